# SPDX-License-Identifier: MIT
"""The wall clock is set: an hour back, a day forward and back again.

Order, ids and times of messages only ever go forward, and whatever waits
for time to pass goes by a clock that nobody sets.
"""
import asyncio
import datetime
import time

import pytest

import faults
from chat import Chat, close_all
from client import TIME, Rest, Tenant
from harness import until

HOUR, DAY = 3600, 86400


@pytest.fixture
def clock(tmp_path):
    return faults.Clock(str(tmp_path / "clock"))


@pytest.fixture
def server(start_server, clock):
    """With a clock of its own."""
    server = start_server(workers=2, launch=False)
    server.env.update(clock.env)
    return server.start()


def seconds(text):
    """A time of the API in Unix seconds."""
    assert TIME.match(text), text
    return datetime.datetime.fromisoformat(text).timestamp()


def rises(values):
    """Each is at least the one before it."""
    return all(a <= b for a, b in zip(values, values[1:]))


class History:
    """One client's doings, one after the other."""

    def __init__(self, server):
        self.tenant = Tenant(server)
        self.ann = self.tenant.user("ann")
        self.rooms = [self.ann.make_room(["bob"]) for _ in range(2)]
        self.messages = []
        self.edits = []

    def go_on(self):
        """Some of everything that gets a time or an id."""
        ann = self.ann = self.tenant.user("ann")
        for i in range(3):
            for room in self.rooms[:2]:
                self.messages.append(ann.say(room["room_id"], f"no. {i}"))
        edited, deleted = self.messages[-2:]
        for m, method, body in ((edited, "PUT", {"content": "edited"}),
                                (deleted, "DELETE", None)):
            path = f"/rooms/{m['room_id']}/messages/{m['message_id']}"
            assert ann.call(method, path, body).status in (200, 204)
            now = ann.get(path).expect(200)
            self.edits.append(now.get("edited_at") or now["deleted_at"])
            assert seconds(self.edits[-1]) >= seconds(m["created_at"])
        self.rooms.append(ann.make_room(["bob"]))

    def check(self):
        """Nothing has ever gone back, nothing is there twice."""
        for of, key in ((self.messages, "message_id"),
                        (self.rooms, "room_id")):
            ids = [x[key] for x in of]
            assert len(set(ids)) == len(ids)
            # The prefix and ten digits of time.
            assert rises([i[:i.index("_") + 11] for i in ids]), ids
            assert rises([x["created_at"] for x in of])
        assert rises(self.edits)
        for room in self.rooms[:2]:
            said = [m for m in self.messages
                    if m["room_id"] == room["room_id"]]
            ids = [m["message_id"] for m in said]
            assert ids == sorted(ids)
            shown = self.ann.history(room["room_id"])
            assert [(m["seq"], m["message_id"], m["created_at"])
                    for m in shown] == [
                (i, m["message_id"], m["created_at"])
                for i, m in enumerate(said, 1)]


def again(server, how):
    if how == "writer":
        old = server.kill("writer")
        server.wait_respawn("writer", None, old)
    elif how == "stop":
        server.stop()
        server.start()
    elif how == "kill":
        server.destroy()
        server.start()


@pytest.mark.parametrize("how", ["goes on", "writer", "stop", "kill"])
def test_order_and_ids(server, clock, how):
    """Also over a new writer or a whole new server after the jump."""
    history = History(server)
    history.go_on()
    for moved in (-HOUR, DAY, 0, -DAY, 365 * DAY, HOUR):
        clock.move(moved)
        again(server, how)
        history.go_on()
        history.check()
        if moved == DAY:
            # The server does go by the clock that was set.
            ahead = seconds(history.messages[-1]["created_at"]) - time.time()
            assert DAY - HOUR < ahead < DAY + HOUR


async def test_live_and_catching_up(server, clock):
    """Clients see one order, whatever the clock says meanwhile."""
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    ann = await Chat.connect(tenant, "ann", slot=0)
    bob = await Chat.connect(tenant, "bob", slot=1)
    for i, moved in enumerate((0, -HOUR, DAY, -HOUR)):
        clock.move(moved)
        for k in range(5):
            await ann.say(room, f"{i} {k}", client_msg_id=f"{i} {k}")
        # The same one again is the same one.
        got = await ann.say(room, f"{i} 0", client_msg_id=f"{i} 0")
        assert got["duplicate"] is True and got["seq"] == 5 * i + 1
        late = await Chat.connect(tenant, "bob", slot=i % 2)
        assert abs(seconds(late.welcome["server_time"]) - time.time()
                   - moved) < HOUR / 2
        await late.wait("sync.complete")
        assert late.seqs(room) == list(range(1, 5 * i + 6))
        assert rises([m["created_at"] for m in late.of("message")])
        await late.close()
    await bob.wait_seq(room, 20)
    await ann.wait_seq(room, 20)
    assert ann.seqs(room) == bob.seqs(room) == list(range(1, 21))
    ids = [m["message_id"] for m in bob.of("message")]
    assert ids == sorted(set(ids))
    await close_all([ann, bob])


def test_rooms_by_activity(server, clock):
    """The room that moved last comes first, not the one whose message bears
    the latest time."""
    ann = Tenant(server).user("ann")
    rooms = [ann.make_room([])["room_id"] for _ in range(4)]
    clock.move(DAY)
    ann.say(rooms[3], "tomorrow")
    clock.move(-HOUR)
    for room in (rooms[1], rooms[3], rooms[0], rooms[2]):
        ann.say(room, "an hour ago")
    listed = ann.get("/rooms").expect(200)["rooms"]
    assert [r["room_id"] for r in listed] == \
        [rooms[2], rooms[0], rooms[3], rooms[1]]
    assert [r["last_message"]["content"] for r in listed] == \
        ["an hour ago"] * 4


async def test_timers(server, clock):
    """What ends by itself ends in its real time, and nobody is taken for
    silent because the clock has jumped."""
    await asyncio.gather(presence(Tenant(server), clock),
                         typing(Tenant(server)))


async def presence(tenant, clock):
    """The clock jumps within each grace of five seconds."""
    room = tenant.user("ann").make_room(["bob", "cyd"])["room_id"]
    ann = await Chat.connect(tenant, "ann", slot=0)
    await ann.wait("sync.complete")
    for user, moved in (("bob", DAY), ("cyd", -HOUR)):
        chat = await Chat.connect(tenant, user, slot=1)
        await ann.wait("presence.update", user_id=user, status="online")
        began = time.monotonic()
        await chat.close()
        clock.move(moved)
        await ann.wait("presence.update", user_id=user, status="offline")
        # The grace may have begun a little before close() returned.
        assert time.monotonic() - began > 4.5
    assert ann.open_now
    await ann.say(room, "still here")
    await ann.close()


async def typing(tenant):
    """It ends ten seconds after its start, while presence() goes on."""
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    ann = await Chat.connect(tenant, "ann", slot=0)
    bob = await Chat.connect(tenant, "bob", slot=1)
    for chat in (ann, bob):
        await chat.wait("sync.complete")
    began = time.monotonic()
    await ann.send("typing.start", room_id=room)
    await bob.wait("typing", action="start")
    await bob.wait("typing", action="stop")
    assert time.monotonic() - began > 9
    await close_all([ann, bob])


def test_rate_limit(start_server, clock):
    """A jump neither gives nor takes."""
    limit = 50
    server = start_server(workers=2, launch=False,
                          env={"DEFAULT_RATE_LIMIT": str(limit)})
    server.env.update(clock.env)
    server.start()
    ann = Tenant(server).user("ann")
    began = time.monotonic()
    taken = asked = 0
    for moved in (DAY, -HOUR, 2 * DAY, -DAY, 0):
        clock.move(moved)
        for _ in range(2 * limit):
            asked += 1
            got = ann.get("/rooms")
            if got.status == 200:
                taken += 1
                reset = int(got.headers["x-ratelimit-reset"])
                assert abs(reset - time.time() - moved) < HOUR / 2
            else:
                got.error(429)
                assert int(got.headers["retry-after"]) == 1
        # The tenant is not shut out for an hour.
        until(lambda: ann.get("/rooms").status == 200, "it was let in")
        taken += 1
    assert taken <= limit * (1 + time.monotonic() - began) + 1
    assert asked == 10 * limit


def test_no_operation_is_late(server, clock):
    """Deadlines and the respawn of children go by the other clock, too."""
    ann = Tenant(server).user("ann")
    room = ann.make_room([])["room_id"]
    for i, moved in enumerate((DAY, -HOUR, DAY), 1):
        clock.move(moved)
        assert ann.say(room, "at once")["seq"] == 2 * i - 1
        old = server.kill("writer")
        assert ann.say(room, "by the next one")["seq"] == 2 * i
        server.wait_respawn("writer", None, old)
        clock.move(-moved)
        up = Rest(server).get("/health").expect(200)["uptime"]
        assert "h" not in up, up
