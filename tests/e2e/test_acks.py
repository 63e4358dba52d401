# SPDX-License-Identifier: MIT
"""Acks: one cursor of a user and a room, whatever device moves it."""
import asyncio
import os
import random

import pytest

from chat import Chat, close_all
from client import Tenant
from harness import scaled, until
from strace import strace       # noqa: F401 (a fixture)
from test_durable import SYNCS, is_wal


def fill(tenant, room, n):
    ann = tenant.user("ann")
    for i in range(n):
        ann.say(room, f"{i}")


async def connect(tenant, user, slot):
    """A connection that hears of all acks from now on: before it is in its
    rooms, nobody tells it of any."""
    c = await Chat.connect(tenant, user, slot=slot)
    await c.wait("sync.complete")
    return c


def stand(caller, room):
    got, = [r for r in caller.get("/rooms").expect(200)["rooms"]
            if r["room_id"] == room]
    assert got["unread_count"] == got["last_seq"] - got["last_ack"]
    return got["last_ack"]


@pytest.mark.parametrize("way", ["rest", "websocket"])
async def test_forward_only(tenant, way):
    """(what is acked, where the cursor then stands), on turning workers."""
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    fill(tenant, room, 10)
    chats = [await Chat.connect(tenant, "bob", slot=i) for i in range(3)]
    for turn, (seq, now) in enumerate([
            (0, 0), (3, 3), (1, 3), (3, 3), (2, 3), (7, 7), (6, 7),
            (11, 10), (5, 10), (2 ** 53, 10), (10, 10), (0, 10)]):
        if way == "rest":
            got = tenant.user("bob", turn % 3).post(
                "/acks", {"room_id": room, "seq": seq}).expect(200)
            assert got == {"room_id": room, "seq": now}
        else:
            got = await chats[turn % 3].ask("ack.received", "ack",
                                            room_id=room, seq=seq)
            assert got["seq"] == now and got["user_id"] == "bob"
        assert stand(tenant.user("bob", (turn + 1) % 3), room) == now
    await close_all(chats)


async def test_devices_race(tenant):
    """Devices on all workers ack all over the place: no answer is below
    what was asked or what that device had heard before."""
    head = scaled(60, 30)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    fill(tenant, room, head)
    chats = [await connect(tenant, "bob", i % 3) for i in range(6)]
    rests = [tenant.user("bob", i) for i in range(3)]

    def by_rest(rest, seed):
        dice, last = random.Random(seed), 0
        for _ in range(scaled(60, 20)):
            seq = dice.randrange(head)
            got = rest.post("/acks", {"room_id": room, "seq": seq}).expect(
                200)["seq"]
            assert got >= max(seq, last)
            last = got
        return last

    async def by_chat(c, seed):
        dice, last = random.Random(seed), 0
        for _ in range(scaled(60, 20)):
            seq = dice.randrange(head)
            got = (await c.ask("ack.received", "ack", room_id=room,
                               seq=seq))["seq"]
            assert got >= max(seq, last)
            last = got
        return last

    ends = await asyncio.gather(
        *(by_chat(c, i) for i, c in enumerate(chats)),
        *(asyncio.to_thread(by_rest, r, 100 + i)
          for i, r in enumerate(rests)))
    assert stand(tenant.user("bob"), room) == max(ends)
    # A last one: then every device has the same, by whatever way.
    await chats[0].ask("ack.received", "ack", room_id=room, seq=head)
    for c in chats[1:]:
        await c.until(lambda c=c: c.of("ack.received", seq=head))
    await close_all(chats)


async def test_who_hears_of_it(tenant):
    """Every other connection of every member, the acker's own too, once;
    and only when the cursor moved."""
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    fill(tenant, room, 5)
    acker = await connect(tenant, "bob", 0)
    others = [await connect(tenant, user, slot)
              for user in ("ann", "bob") for slot in range(3)]
    stranger = await Chat.connect(tenant, "eve")
    for seq in (2, 1, 2, 9, 5):
        await acker.ask("ack.received", "ack", room_id=room, seq=seq)
    tenant.user("bob").post("/acks", {"room_id": room, "seq": 3}).expect(200)
    # Of another cursor, which comes last.
    tenant.user("ann").post("/acks", {"room_id": room, "seq": 1}).expect(200)
    for c in others:
        await c.wait("ack.received", user_id="ann")
        got = [(f["room_id"], f["user_id"], f["seq"])
               for f in c.of("ack.received")]
        assert got == [(room, "bob", 2), (room, "bob", 5), (room, "ann", 1)]
        assert all("request_id" not in f for f in c.of("ack.received"))
    await acker.wait("ack.received", user_id="ann")
    mine = acker.of("ack.received", user_id="bob")
    assert [f["seq"] for f in mine] == [2, 2, 2, 5, 5]
    assert all("request_id" in f for f in mine)
    await stranger.barrier()
    assert stranger.of("ack.received") == []
    await close_all([acker, stranger] + others)


async def test_past_the_head_is_the_head_of_that_moment(tenant):
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    bob = tenant.user("bob")
    for head in range(1, 6):
        fill(tenant, room, 1)
        got = bob.post("/acks", {"room_id": room, "seq": 1000}).expect(200)
        assert got["seq"] == head
    fill(tenant, room, 3)
    assert stand(bob, room) == 5
    c = await Chat.connect(tenant, "bob")
    await c.wait("sync.complete")
    assert c.seqs(room) == [6, 7, 8]
    await c.close()


async def test_refusals(tenant):
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    fill(tenant, room, 1)
    eve = await Chat.connect(tenant, "eve")
    got = await eve.ask("error", "ack", room_id=room, seq=1)
    assert got["code"] == "forbidden"
    got = await eve.ask("error", "ack",
                        room_id="room_0123456789abcdefghjkmn", seq=1)
    assert got["code"] == "not_found"
    for seq in (-1, "1", None, 1.5, [1]):
        got = await eve.ask("error", "ack", room_id=room, seq=seq)
        assert got["code"] == "invalid_request"
    await eve.close()


async def test_acks_share_syncs(start_server, strace,       # noqa: F811
                                record_property):
    """They are written in batches, as messages are."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    users = [f"user{i}" for i in range(8)]
    room = tenant.user("ann").make_room(users)["room_id"]
    head = scaled(200, 75)
    fill(tenant, room, head)
    chats = [await Chat.connect(tenant, u, slot=i % 2)
             for i, u in enumerate(users)]
    trace = await asyncio.to_thread(strace, server.pid_of("writer"), SYNCS)

    def note(c, frame):
        if frame["type"] == "ack.received" and frame["user_id"] == c.user:
            c.now = frame["seq"]

    for c, u in zip(chats, users):
        c.user, c.now, c.on_frame = u, 0, note

    async def read(c):
        # Every ack moves the cursor: none is free.
        for start in range(1, head + 1, 25):
            for seq in range(start, start + 25):
                await c.send("ack", room_id=room, seq=seq)
            await c.until(lambda: c.now == start + 24)

    await asyncio.gather(*(read(c) for c in chats))
    calls = await asyncio.to_thread(trace.stop)
    syncs = len([1 for _, rest in calls if is_wal(rest)])
    total = head * len(chats)
    record_property("acks", str(total))
    record_property("syncs of the log", str(syncs))
    assert 0 < syncs < total / 4
    for u in users:
        assert stand(tenant.user(u), room) == head
    await close_all(chats)


def test_ack_that_moves_nothing_costs_no_sync(start_server,
                                              strace):      # noqa: F811
    server = start_server(workers=1)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    fill(tenant, room, 3)
    bob = tenant.user("bob")
    bob.post("/acks", {"room_id": room, "seq": 3}).expect(200)
    trace = strace(server.pid_of("writer"), SYNCS)
    for i in range(100):
        got = bob.post("/acks", {"room_id": room, "seq": i % 5}).expect(200)
        assert got["seq"] == 3
    syncs = [rest for _, rest in trace.stop() if is_wal(rest)]
    # A key's last use may be noted meanwhile.
    assert len(syncs) < 10


def test_what_was_answered_survives(start_server):
    """kill -9 of everything after the answer."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    rooms = [tenant.user("ann").make_room(["bob"])["room_id"]
             for _ in range(3)]
    for room in rooms:
        fill(tenant, room, 20)
    bob = tenant.user("bob")
    told = dict.fromkeys(rooms, 0)
    dice = random.Random(7)
    for _ in range(scaled(3, 2)):
        for _ in range(20):
            room = dice.choice(rooms)
            told[room] = bob.post(
                "/acks", {"room_id": room, "seq": dice.randrange(25)}
            ).expect(200)["seq"]
        children = server.children()
        server.process.kill()
        for pid in children.values():
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        server.process.wait()
        until(lambda: not server.left_over(), "all were gone")
        server.start()
        bob = tenant.user("bob")
        assert {r: stand(bob, r) for r in rooms} == told
