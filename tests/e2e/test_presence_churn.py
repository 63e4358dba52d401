# SPDX-License-Identifier: MIT
"""Presence and the connection limit under many changes at random.

A seed that fails prints itself; CHATAPI_SEED runs that one again.
"""
import asyncio
import os
import random

import websockets.exceptions

from chat import Chat, close_all
from client import Tenant
from harness import DEADLINE, scaled

SEED = int(os.environ.get("CHATAPI_SEED") or random.randrange(1 << 32))
STEPS = scaled(250, 80)
USERS = 14
ROOMS = 6
GRACE = "300ms"


class World:
    """What there is: rooms and their members, users and connections."""

    def __init__(self, server, seed):
        self.server = server
        self.random = random.Random(seed)
        self.tenant = Tenant(server)
        self.users = [f"user-{i}" for i in range(USERS)]
        self.chats = {u: [] for u in self.users}
        self.ended = []
        self.rooms = {}
        self.shared = set()  # who ever shared a small room with whom
        self.crowd = [f"crowd-{i}" for i in range(97)]
        for i in range(ROOMS):
            members = set(self.random.sample(self.users, 4))
            self.make_room(members, crowd=i == 0)

    @property
    def backend(self):
        """On a connection of its own: workers die."""
        return self.tenant.backend()

    def make_room(self, members, crowd=False):
        room = self.backend.make_room(
            sorted(members) + (self.crowd if crowd else []))["room_id"]
        self.rooms[room] = (members, len(self.crowd) if crowd else 0)
        self.note(room)

    def note(self, room):
        members = self.rooms[room][0]
        if self.small(room):
            self.shared |= {(a, b) for a in members for b in members}

    def small(self, room):
        members, crowd = self.rooms[room]
        return len(members) + crowd <= 100

    def sharers(self, user):
        out = set()
        for room, (members, _) in self.rooms.items():
            if user in members and self.small(room):
                out |= members
        return out - {user}

    # ---- steps ----

    async def connect(self):
        user = self.random.choice(self.users)
        if len(self.chats[user]) < 3:
            try:
                c = await Chat.connect(self.tenant, user)
            except (AssertionError, OSError,
                    websockets.exceptions.WebSocketException):
                return  # its worker was killed just then
            self.chats[user].append(c)

    async def close(self):
        user = self.random.choice(self.users)
        if self.chats[user]:
            c = self.chats[user].pop(
                self.random.randrange(len(self.chats[user])))
            await c.close()
            self.ended.append((user, c))

    async def join(self):
        room = self.random.choice(list(self.rooms))
        away = [u for u in self.users if u not in self.rooms[room][0]]
        add = self.random.sample(away, min(len(away),
                                           self.random.randint(1, 3)))
        if add:
            self.backend.post(f"/rooms/{room}/members",
                              {"user_ids": add}).expect(200)
            self.rooms[room][0].update(add)
            self.note(room)

    async def leave(self):
        room = self.random.choice(list(self.rooms))
        if len(self.rooms[room][0]) > 1:
            user = self.random.choice(sorted(self.rooms[room][0]))
            self.backend.delete(
                f"/rooms/{room}/members/{user}").expect(204)
            self.rooms[room][0].discard(user)
            self.note(room)

    async def new_room(self):
        old = self.random.choice(list(self.rooms))
        if self.rooms[old][1] == 0:
            self.backend.delete(f"/rooms/{old}").expect(204)
            del self.rooms[old]
            self.make_room(set(self.random.sample(self.users, 5)))

    async def wait(self):
        await asyncio.sleep(self.random.random() * 0.2)

    async def kill(self):
        slot = self.random.randrange(3)
        pid = self.server.kill("worker", slot)
        await asyncio.get_running_loop().run_in_executor(
            None, self.server.wait_respawn, "worker", slot, pid)
        for user, chats in self.chats.items():
            for c in [c for c in chats if c.slot == slot]:
                await asyncio.wait_for(c.reader, DEADLINE)
                Chat.alive.discard(c)
                chats.remove(c)
                self.ended.append((user, c))

    async def step(self):
        what = self.random.choices(
            [self.connect, self.close, self.join, self.leave,
             self.new_room, self.wait, self.kill],
            [30, 22, 12, 12, 3, 10, 1])[0]
        await what()

    # ---- what must hold ----

    def check_told(self):
        for user, c in self.ended + self.open():
            state = {}
            for f in c.of("presence.update"):
                other = f["user_id"]
                assert other != user, "told of himself"
                assert (user, other) in self.shared, f
                assert f["status"] != state.get(other, "offline"), \
                    (user, other, f["status"])
                state[other] = f["status"]

    def open(self):
        return [(u, c) for u, chats in self.chats.items() for c in chats]

    def settled(self):
        """Each sees all with whom he shares a room as they are."""
        for user, c in self.open():
            last = {f["user_id"]: f["status"]
                    for f in c.of("presence.update")}
            for other in self.sharers(user):
                is_ = "online" if self.chats[other] else "offline"
                if last.get(other, "offline") != is_:
                    return False
        return True

    def differences(self):
        out = []
        for user, c in self.open():
            last = {f["user_id"]: f["status"]
                    for f in c.of("presence.update")}
            for other in sorted(self.sharers(user)):
                is_ = "online" if self.chats[other] else "offline"
                if last.get(other, "offline") != is_:
                    out.append((user, c.slot, other, is_))
        return out


async def test_random_churn(start_server):
    print(f"CHATAPI_SEED={SEED}")
    world = World(start_server(workers=3, env={"PRESENCE_GRACE": GRACE}),
                  SEED)
    for i in range(STEPS):
        await world.step()
        if i % 50 == 49:
            await settle(world)
    await settle(world)
    world.check_told()


async def settle(world):
    end = asyncio.get_running_loop().time() + DEADLINE
    while not world.settled():
        assert asyncio.get_running_loop().time() < end, world.differences()
        await asyncio.sleep(0.02)


async def open_until_refused(tenant, user, slots):
    """Opens connections until one is refused; returns those that were
    not."""
    got = []
    for i in range(100):
        c = await Chat.open(tenant, user, slots[i % len(slots)])
        await c.until_first()
        if c.log:
            assert c.log[0]["type"] == "welcome"
            got.append(c)
            continue
        assert await c.wait_closed() == 1008
        return got
    raise AssertionError("nothing was refused")


async def test_limit_is_exact_after_churn_and_a_death(start_server):
    limit = 7
    server = start_server(workers=3, env={
        "WS_MAX_CONNECTIONS_PER_USER": str(limit)})
    tenant = Tenant(server)
    rnd = random.Random(SEED)
    print(f"CHATAPI_SEED={SEED}")
    chats = []
    for _ in range(STEPS):
        if len(chats) == limit or (chats and rnd.random() < 0.5):
            await chats.pop(rnd.randrange(len(chats))).close()
            continue
        c = await Chat.open(tenant, "ann")
        await c.until_first()
        # What has just closed may still count.
        if c.log:
            chats.append(c)
    chats += await reach(tenant, limit - len(chats), [0, 1, 2])
    assert await open_until_refused(tenant, "ann", [0, 1, 2]) == []
    await close_all(chats)
    got = await reach(tenant, limit, [1, 1, 0, 2])
    on_1 = sum(int(c.log[0]["session_id"].partition("-")[0]) == 1
               for c in got)
    assert 0 < on_1 < limit
    pid = server.kill("worker", 1)
    server.wait_respawn("worker", 1, pid)
    again = await open_until_refused(tenant, "ann", [0, 1, 2])
    assert len(again) == on_1
    # Another user's are his own.
    assert len(await open_until_refused(tenant, "bob", [2])) == limit


async def reach(tenant, count, slots):
    """As many connections as there may be, and that is `count`; of those
    just closed the hub may hear a moment later."""
    got = []
    end = asyncio.get_running_loop().time() + DEADLINE
    while len(got) < count:
        assert asyncio.get_running_loop().time() < end, len(got)
        got += await open_until_refused(tenant, "ann", slots)
    assert len(got) == count
    return got
