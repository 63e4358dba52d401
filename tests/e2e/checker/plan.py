# SPDX-License-Identifier: MIT
"""What happens, as a function of the seed.

Each actor draws from a generator of its own, the same number of values for
every action, so its n-th action does not depend on what the others did or
on how long anything took.
"""
import collections
import random

Action = collections.namedtuple("Action", "kind a b c pause")
Fault = collections.namedtuple("Fault", "kind at slot x last")
RoomPlan = collections.namedtuple("RoomPlan", "key type members")
# people have devices; ghosts never connect, and are members like others;
# those of the crowd are known by nothing but what is sent to them.  hook: it
# has a webhook.
TenantPlan = collections.namedtuple(
    "TenantPlan", "name users people ghosts crowd hook rooms")

# What a device does, and how often in comparison.
DEVICE = {
    "send": 40, "burst": 2, "race": 4, "abandon": 3, "conflict": 2,
    "again": 3, "edit": 9, "spree": 1, "delete": 3, "foreign": 1, "ack": 14,
    "typing": 4, "page": 3, "rooms": 2, "subscribe": 4, "mute": 2, "ping": 1,
    "drop": 4, "leave_net": 1, "stall": 2}
# What a tenant's backend does with rooms and members.
STEWARD = {
    "add": 22, "remove": 16, "leave": 8, "join": 8, "bounce": 6,
    "patch": 8, "moderate": 6, "new_room": 3, "delete_room": 2,
    "peek": 4}
# What a tenant's backend has to say, and users' wishes for it.
HERALD = {"users": 24, "room": 10, "topic": 8, "all": 5, "crowd": 8,
          "sweep": 20, "wish": 14}
TOPICS = ["news", "bills", "games"]
# How often each comes in one deck of faults.
FAULTS = {
    "worker": 2, "writer": 2, "master": 1, "group": 1, "restart": 1,
    "both": 1, "courier": 1, "writer_twice": 1, "pause_worker": 1, "flood": 1,
    "unheard": 2, "rush": 2, "backlog": 3}
# How a device connects again.
CONNECT = {"resume": 10, "resume_norev": 2, "resume_some": 2,
           "resume_odd": 2, "plain": 5}

DEVICE_PAUSE = 0.4
STEWARD_PAUSE = 0.25
HERALD_PAUSE = 0.3


def generator(seed, name):
    return random.Random(f"{seed}/{name}")


def pick(r, weights):
    return r.choices(list(weights), list(weights.values()))[0]


class Script:
    """The actions of one actor, and his other choices."""

    def __init__(self, seed, name, weights, pause, without=()):
        self.random = generator(seed, name)
        self.connects = generator(seed, name + "/connect")
        self.weights = weights
        self.pause = pause
        self.without = without

    def next(self):
        r = self.random
        kind = pick(r, self.weights)
        action = Action(kind, r.random(), r.random(), r.random(),
                        min(r.expovariate(1 / self.pause), 8 * self.pause))
        if kind in self.without:
            return action._replace(kind="nothing")
        return action

    def connect(self):
        r = self.connects
        kind, x = pick(r, CONNECT), r.random()
        return ("plain" if "resume" in self.without else kind), x


class Faults:
    """A deck is dealt out, then the next one, so that a short run has
    most kinds too."""

    def __init__(self, seed, workers, without=()):
        self.seed = seed
        self.workers = workers
        self.without = without
        self.random = generator(seed, "faults/decks")
        self.deck = []

    def deal(self):
        if not self.deck:
            self.deck = [k for k, n in FAULTS.items() for _ in range(n)]
            self.random.shuffle(self.deck)
        return self.deck.pop()

    def of_round(self, number):
        """Those of one round, in order; `at` is a share of its time.
        Rounds are asked for in their order.  One that is `last` comes
        when traffic has ended and all is compared, so that what it takes
        away is not made up for by what follows."""
        r = generator(self.seed, f"faults/{number}")
        # The first round shows that the rest works without.
        n = 0 if number == 0 else r.choice((0, 1, 1, 1, 2))
        out = [Fault(self.deal(), 0.1 + 0.8 * r.random(),
                     r.randrange(self.workers), r.random(), False)
               for _ in range(n)]
        out = sorted((f for f in out if f.kind not in self.without),
                     key=lambda f: f.at)
        if out and r.random() < 0.8:
            out[-1] = out[-1]._replace(last=True)
        return out


def trim_of_round(seed, number):
    """Retention in the calm after this round: (which room, how far), as
    shares of 1; or None."""
    r = generator(seed, f"trim/{number}")
    return (r.random(), r.random()) if r.random() < 0.3 else None


def tenants(seed):
    """Tenants that must never hear of each other; the last one has many
    users, of whom hardly any ever come."""
    r = generator(seed, "world")
    big = [f"a{i}" for i in range(18)]
    small = [f"b{i}" for i in range(6)]
    few = [f"c{i}" for i in range(3)]

    def some(users, n):
        return sorted(r.sample(users, n))

    return [
        TenantPlan("big", big + ["ghost1", "ghost2"], big,
                   ["ghost1", "ghost2"], [], True, [
            RoomPlan("busy", "group", some(big, 15)),
            RoomPlan("mid", "group", some(big, 7) + ["ghost1"]),
            RoomPlan("few", "group", some(big, 4) + ["ghost1", "ghost2"]),
            RoomPlan("quiet", "group", some(big, 5)),
            RoomPlan("chan", "channel", some(big, 8)),
            RoomPlan("dm1", "dm", some(big, 2)),
            RoomPlan("dm2", "dm", some(big, 2))]),
        TenantPlan("small", small + ["ghost1"], small, ["ghost1"],
                   [], True, [
            RoomPlan("only", "group", some(small, 4) + ["ghost1"]),
            RoomPlan("open", "channel", some(small, 3)),
            RoomPlan("dm3", "dm", some(small, 2))]),
        TenantPlan("crowded", few, few, [],
                   [f"crowd{i}" for i in range(900)], False, [
                       RoomPlan("three", "group", few)])]


# How likely a room is to be chosen, in comparison; others have 2.
ROOM_WEIGHT = {"busy": 8, "mid": 4, "quiet": 1}


def devices_of(seed, user):
    """Names of a user's devices, and whether each reads slowly."""
    r = generator(seed, f"devices/{user}")
    n = r.choice((1, 1, 1, 2, 2, 3))
    return [(f"{user}.{i}", r.random() < 0.2) for i in range(n)]
