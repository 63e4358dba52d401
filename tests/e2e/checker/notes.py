# SPDX-License-Identifier: MIT
"""Notifications: whom each is for, who has acknowledged it, and what the
backends do with them and with topics.

A request to notify is made once: if its answer was lost, the notification
may be there or not.
"""
import asyncio
import collections
import itertools
import time

from .acts import Until, rest, ws_code
from .plan import TOPICS, generator
from .stewards import AsUser
from .web import Lost


class Ack:
    def __init__(self):
        self.begun = 0              # attempts, so far
        self.lost = False           # one of them had no answer
        self.done = None            # tick of the first answer
        self.done_at = None         # the same on the clock


class Note:
    numbers = itertools.count(1)

    def __init__(self, tenant, kind, topic, tick):
        self.key = next(Note.numbers)
        self.tenant = tenant
        self.kind = kind            # users, room, topic, all
        self.topic = topic
        self.room = None
        self.begun = tick
        self.begun_at = time.monotonic()
        self.id = None              # as told or seen
        self.created = None
        self.told = False
        self.users = frozenset()    # named
        self.must = None            # who gets it; known in the next calm
        self.acks = collections.defaultdict(Ack)

    def acked(self, user):
        """Somebody has begun to acknowledge it for him."""
        return user in self.acks

    def __repr__(self):
        return f"notification {self.key} for {self.kind} ({self.id})"


class Wish:
    """A user and a topic."""

    def __init__(self):
        self.state = "out"
        self.ever = False
        self.tick = 0
        self.id = None
        self.lock = asyncio.Lock()


class Notes:
    def __init__(self, world):
        self.world = world
        self.report = world.report
        self.by_key = {}
        self.wishes = collections.defaultdict(Wish)

    def expect(self, holds, what, conn=None):
        self.report.expect(holds, what, conn)

    def begin(self, tenant, kind, topic):
        note = Note(tenant, kind, topic, self.report.step())
        self.by_key[note.key] = note
        return note

    # ---- whom it is for ----

    def may(self, note, user):
        if note.kind == "users":
            return user in note.users
        if note.kind == "room":
            pair = note.room.pairs.get(user)
            return pair is not None and pair.adds > 0
        if note.kind == "topic":
            return self.wishes[note.tenant, user, note.topic].ever
        return user in note.tenant.users

    def _certain(self, note):
        """Who was one of those meant from before it until now."""
        if note.kind == "users":
            return set(note.users)
        if note.kind == "room":
            room = note.room
            return {u for u, p in room.pairs.items()
                    if room.deleting is None and p.sure("in", note.begun)}
        if note.kind == "topic":
            return {u for (t, u, topic), w in self.wishes.items()
                    if t is note.tenant and topic == note.topic and
                    w.state == "in" and w.tick <= note.begun}
        return {u for r in note.tenant.rooms for u, p in r.pairs.items()
                if p.added is not None and p.added <= note.begun}

    def shown(self, tenant, user, shown, conn=None):
        """Somebody is shown a notification; returns it."""
        note = self.by_key.get((shown["payload"] or {}).get("key"))
        self.expect(
            note is not None and note.tenant is tenant and
            shown["topic"] == note.topic and
            shown["payload"] == {"key": note.key},
            lambda: f"{shown}, which nobody in {tenant.plan.name} made",
            conn)
        self.expect(self.may(note, user),
                    lambda: f"{note} came to {user}, for whom it is not",
                    conn)
        self.place(note, shown["notification_id"], shown["created_at"], conn)
        return note

    def place(self, note, note_id, created, conn=None):
        """It has this id and time, as always; a row shows no time."""
        note.id = note.id or note_id
        note.created = note.created or created
        self.expect(
            note.id == note_id and created in (None, note.created),
            lambda: f"{note}, made at {note.created}, is now {note_id}, "
            f"{created}", conn)

    def seen(self, conn, frame):
        """A connection got one: once, and not after its end."""
        dev = conn.device
        note = self.shown(dev.tenant, dev.user, frame, conn)
        self.expect(note not in conn.notes,
                    lambda: f"{note} for the second time", conn)
        ack = note.acks.get(dev.user)
        self.expect(
            ack is None or ack.done is None or ack.done > conn.opened,
            lambda: f"{note}, which {dev.user} had acknowledged at "
            f"{ack.done}", conn)
        conn.notes.add(note)
        if self.world.traffic:
            r = generator(self.world.seed, f"{note.key}/{dev.name}")
            x, wait = r.random(), 3 * r.random() ** 2
            if x < 0.3:
                self.world.spawn(dev, self._ack_later(dev, note, x, wait))

    async def _ack_later(self, dev, note, x, wait):
        await self.world.sleep(wait)
        await self.ack(dev, note, x < 0.2)

    # ---- acknowledging ----

    async def ack(self, who, note, by_ws):
        """Until it is answered; `who` is a device or a user's backend."""
        until = Until(self.world, f"ack of {note} by {who.user}")
        ack = note.acks[who.user]
        ack.begun += 1
        while True:
            try:
                if by_ws and who.online():
                    code = await self._ack_ws(who, note)
                else:
                    answer = await rest(
                        who, "POST", f"/notifications/{note.id}/ack")
                    code = answer.code
                break
            except Lost as e:
                ack.lost = ack.lost or e.sent
                by_ws = not by_ws
                await until.again(e)
        # There is nothing left to do, if another one did it.
        self.expect(
            code is None or
            code == "not_found" and (ack.begun > 1 or ack.lost),
            lambda: f"{until.what} was answered with {code}")
        if ack.done is None:
            ack.done = self.report.note(f"{until.what} is done")
            ack.done_at = time.monotonic()
        self.world.count("notifications acknowledged")

    @staticmethod
    async def _ack_ws(dev, note):
        conn = dev.conn
        answer = await conn.request("notification.ack",
                                    notification_id=note.id)
        if answer["type"] == "error":
            return ws_code(conn, answer, f"ack of {note}")
        conn.expect(answer["type"] == "ok",
                    lambda: f"ack of {note} was answered with {answer}")
        return None

    # ---- in a calm ----

    def compare(self, log):
        """What waits in the database is what was made and is not
        acknowledged, for each user once."""
        waiting = collections.defaultdict(set)
        for token, user, tenant in log.inbox:
            note = self._stored("ntf_" + token, log)
            self.expect(
                note.tenant.api.id == "tenant_" + tenant and
                self.may(note, user),
                lambda: f"{note} waits for {user} of {tenant}")
            ack = note.acks.get(user)
            self.expect(ack is None or ack.done is None,
                        lambda: f"{note} waits for {user}, who "
                        "acknowledged it")
            self.expect(user not in waiting[note],
                        lambda: f"{note} waits twice for {user}")
            waiting[note].add(user)
        for note in self.by_key.values():
            if note.must is None:
                note.must = self._certain(note) if note.told else set()
            lost = {u for u in note.must if not note.acked(u)} - \
                waiting[note]
            self.expect(
                not lost,
                lambda: f"{note} does not wait for {sorted(lost)}, who did "
                "not acknowledge it")

    def _stored(self, note_id, log):
        note = self.by_key.get(log.notes[note_id])
        self.expect(note is not None,
                    lambda: f"{note_id} was made by nobody")
        self.place(note, note_id, None)
        return note

    def lacks(self, dev):
        """What a connected device has not been sent; None if nothing."""
        for note in self.by_key.values():
            if note.must and dev.user in note.must and \
                    note.tenant is dev.tenant and \
                    not note.acked(dev.user) and \
                    note not in dev.conn.notes:
                return f"it was not sent {note}"
        return None

    async def by_rest(self, dev):
        """GET shows what waits for him."""
        shown, cursor = set(), ""
        while cursor is not None:
            answer = await rest(dev, "GET",
                                f"/notifications?limit=20{cursor}")
            self.expect(answer.status == 200, lambda: f"{answer}")
            for n in answer.json["notifications"]:
                note = self.shown(dev.tenant, dev.user, n)
                self.expect(note not in shown, lambda: f"{note} twice")
                shown.add(note)
            cursor = answer.json["next_cursor"]
            cursor = cursor and "&cursor=" + cursor
        want = {n for n in self.by_key.values()
                if n.must and dev.user in n.must and n.tenant is dev.tenant}
        odd = [n for n in want - shown if not n.acked(dev.user)] + \
            [n for n in shown if n.acked(dev.user)]
        self.expect(not odd, lambda: f"GET /notifications of {dev.user} is "
                    f"wrong about {odd}")


class Herald:
    """What a tenant's backend notifies, and users' wishes."""

    def __init__(self, world, tenant, script):
        self.world = world
        self.tenant = tenant
        self.script = script
        self.busy = 0
        self.user = None
        self.name = f"herald of {tenant.plan.name}"

    async def run(self):
        world = self.world
        while world.traffic:
            a = self.script.next()
            f = getattr(self, "act_" + a.kind, None)
            if f is not None and self.busy < 4:
                world.spawn(self, f(a))
            await world.sleep(a.pause)

    async def notify(self, kind, topic, users=None, room=None):
        world = self.world
        note = world.notes.begin(self.tenant, kind, topic)
        note.users, note.room = frozenset(users or ()), room
        targets = {"users": {"user_ids": users},
                   "room": {"room_id": room and room.id},
                   "topic": {"topic_subscribers": True}}.get(kind)
        body = {"topic": topic, "payload": {"key": note.key}}
        if targets:
            body["targets"] = targets
        world.journal(f"{note}: {str(users or room)[:200]}")
        try:
            answer = await rest(self, "POST", "/notify", body, backend=True)
        except Lost:
            return
        if answer.status == 404 and room is not None and \
                room.deleting is not None:
            return
        world.report.expect(answer.status == 202,
                            lambda: f"{note} was answered with {answer}")
        note.told = True
        world.notes.place(note, answer.json["notification_id"],
                          answer.json["created_at"])
        world.count("notifications")

    def _pick(self, pool, x):
        return pool[int(x * len(pool))]

    async def act_users(self, a):
        users = self.tenant.users
        first, n = int(a.a * len(users)), 1 + int(6 * a.b)
        # One that is named twice gets it once.
        await self.notify("users", self._pick(TOPICS, a.c), [
            users[(first + i) % len(users)] for i in range(n)] +
            [users[first]])

    async def act_crowd(self, a):
        """More than are reached at once; most of them never come."""
        if not self.tenant.plan.crowd:
            return
        users = self.tenant.users
        n = len(users) // 2
        first = int(a.a * len(users))
        some = [users[(first + i) % len(users)] for i in range(n)]
        await self.notify("users", self._pick(TOPICS, a.c),
                          some + self.tenant.plan.crowd + some[:1])

    async def act_room(self, a):
        rooms = [r for r in self.tenant.rooms if r.alive()]
        if rooms:
            await self.notify("room", self._pick(TOPICS, a.c),
                              room=self._pick(rooms, a.a))

    async def act_topic(self, a):
        await self.notify("topic", self._pick(TOPICS, a.a))

    async def act_all(self, a):
        await self.notify("all", self._pick(TOPICS, a.a))

    async def act_sweep(self, a):
        """The oldest that wait for somebody are acknowledged by REST."""
        people = self.tenant.plan.people
        user = self._pick(people, a.a)
        notes = [n for n in self.world.notes.by_key.values()
                 if n.tenant is self.tenant and n.must and user in n.must and
                 n.id is not None and not n.acked(user)]
        for note in notes[:1 + int(6 * a.b)]:
            await self.world.notes.ack(AsUser(self, user), note, False)

    async def act_wish(self, a):
        """Subscribes to a topic, or ends that."""
        user, topic = self._pick(self.tenant.users, a.a), \
            self._pick(TOPICS, a.b)
        wish = self.world.notes.wishes[self.tenant, user, topic]
        if wish.lock.locked():
            return
        async with wish.lock:
            adding = wish.state == "out"
            wish.state, wish.ever = "unsure", True
            answer = await self._wish(user, topic, wish, adding)
            if adding:
                wish.id = answer.json["id"]
            wish.state = "in" if adding else "out"
            wish.tick = self.world.report.note(
                f"{user} wishes {topic}: {wish.state}")

    async def _wish(self, user, topic, wish, adding):
        what = f"{'' if adding else 'un'}subscribe {user} {topic}"
        until, lost = Until(self.world, what), False
        while True:
            try:
                if adding:
                    answer = await rest(AsUser(self, user), "POST",
                                        "/subscriptions", {"topic": topic})
                else:
                    answer = await rest(AsUser(self, user), "DELETE",
                                        f"/subscriptions/{wish.id}")
                break
            except Lost as e:
                lost = lost or e.sent
                await until.again(e)
        want = (201, 200)[:1 + lost] if adding else (204, 404)[:1 + lost]
        self.world.report.expect(
            answer.status in want,
            lambda: f"{what} was answered with {answer}")
        return answer
