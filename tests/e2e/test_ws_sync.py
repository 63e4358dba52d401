# SPDX-License-Identifier: MIT
"""Catching up: history since last_ack, then live, exactly once each."""
import asyncio
import random

import pytest

from chat import Chat, close_all
from client import Tenant
from harness import scaled
from raw import Raw, text
from strace import strace       # noqa: F401 (a fixture)


def rooms_of(tenant, count, users):
    return [tenant.backend().make_room(users)["room_id"]
            for _ in range(count)]


async def fill(chat, room, count):
    """Many messages, fast."""
    before = len(chat.of("message.sent"))
    for i in range(count):
        await chat.send("send_message", room_id=room, content=f"old {i}")
    await chat.until(
        lambda: len(chat.of("message.sent")) == before + count)


def check_stream(chat, room, start):
    """From start + 1 on, rising by one."""
    seqs = chat.seqs(room)
    assert seqs == list(range(start + 1, start + 1 + len(seqs)))


def check_heads(chat, complete, rooms):
    """heads are the positions sent before the frame, per room."""
    at = chat.log.index(complete)
    assert set(complete["heads"]) == set(rooms)
    for room, start in rooms.items():
        seqs = [f["seq"] for f in chat.log[:at]
                if f["type"] == "message" and f["room_id"] == room]
        assert complete["heads"][room]["seq"] == max(seqs, default=start)
        assert complete["heads"][room]["rev"] == 0


# ---- connect ----

async def test_connects_into_a_running_stream(tenant):
    """200 connections open while others keep sending in three rooms."""
    connects = scaled(200, 60)
    users = [f"user{i}" for i in range(connects)]
    rooms = rooms_of(tenant, 3, users + ["ann", "bob"])
    senders = [await Chat.connect(tenant, u, slot=i)
               for i, u in enumerate(("ann", "bob"))]
    await fill(senders[0], rooms[0], 250)
    await fill(senders[1], rooms[1], 30)
    rng = random.Random(1)
    stopped = asyncio.Event()

    async def stream(chat, pause):
        i = 0
        while not stopped.is_set():
            await chat.say(rng.choice(rooms), f"live {i}")
            i += 1
            await asyncio.sleep(pause)

    streams = [asyncio.ensure_future(stream(c, 0.004)) for c in senders]

    async def visit(i):
        user = users[i]
        start = dict.fromkeys(rooms, 0)
        start[rooms[0]] = rng.randrange(150, 250)
        await asyncio.to_thread(
            lambda: tenant.user(user).post("/acks", {
                "room_id": rooms[0], "seq": start[rooms[0]]}).expect(200))
        c = await Chat.connect(tenant, user)
        complete = await c.wait("sync.complete")
        at = len(c.of("message"))
        await c.until(lambda: len(c.of("message")) >= at + 10)
        for room in rooms:
            check_stream(c, room, start[room])
        check_heads(c, complete, start)
        assert len(c.of("sync.complete")) == 1
        assert [f["type"] for f in c.of("error")] == []
        await c.close()

    try:
        todo = list(range(connects))

        async def visitor():
            while todo:
                await visit(todo.pop())

        await asyncio.gather(*(visitor() for _ in range(16)))
    finally:
        stopped.set()
        await asyncio.gather(*streams)
    assert todo == []
    await close_all(senders)


async def one_message_at_the_seam(tenant, rounds, at_once):
    """Exactly one message while a connection opens, and no other after it
    that could give a miss away."""
    ann = await Chat.connect(tenant, "ann", slot=0)
    users = [f"user{i}" for i in range(rounds)]
    rooms = [tenant.backend().make_room(["ann", u])["room_id"]
             for u in users]

    async def visit(i, lock):
        async with lock:
            c = await Chat.open(tenant, users[i], slot=1 + i % 2)
            # At any point from the handshake to sync.complete.
            for _ in range(i % 12):
                await asyncio.sleep(0)
            if i % 3 == 0:
                await c.until_first()
            sent = await ann.say(rooms[i], "the only one")
            assert sent["seq"] == 1
            await c.wait("message", room_id=rooms[i])
            await c.wait("sync.complete")
            assert c.seqs(rooms[i]) == [1]
            await c.close()

    lock = asyncio.Semaphore(at_once)
    await asyncio.gather(*(visit(i, lock) for i in range(rounds)))
    await ann.close()


async def test_one_message_at_the_seam(tenant):
    await one_message_at_the_seam(tenant, scaled(240, 80), 8)


async def test_one_message_at_the_seam_of_a_slow_hub(
        start_server, strace):      # noqa: F811
    """The same while all that the master reads is late: what is asked of
    the hub and what is announced through it overtake each other."""
    server = start_server(workers=3)
    reads = "read,readv,recvfrom,recvmsg,recvmmsg"
    tenant = Tenant(server)
    trace = await asyncio.to_thread(
        strace, server.pid, reads, inject=f"{reads}:delay_enter=4000")
    await one_message_at_the_seam(tenant, scaled(60, 30), 4)
    await asyncio.to_thread(trace.stop)


async def test_starts_after_last_ack(tenant):
    room, = rooms_of(tenant, 1, ["ann", "bob"])
    ann = await Chat.connect(tenant, "ann")
    await fill(ann, room, 300)
    for acked in (0, 1, 150, 299, 300):
        tenant.user("bob").post("/acks", {"room_id": room,
                                          "seq": acked}).expect(200)
        bob = await Chat.connect(tenant, "bob")
        complete = await bob.wait("sync.complete")
        assert complete["heads"] == {room: {"seq": 300, "rev": 0}}
        assert "request_id" not in complete
        assert bob.seqs(room) == list(range(acked + 1, 301))
        await bob.close()
    await ann.close()


async def test_without_rooms(tenant):
    c = await Chat.connect(tenant, "nobody")
    assert (await c.wait("sync.complete"))["heads"] == {}
    await c.close()


async def test_with_many_rooms(tenant):
    count = scaled(300, 60)
    rooms = rooms_of(tenant, count, ["ann", "bob"])
    ann = tenant.user("ann")
    for i, room in enumerate(rooms):
        for _ in range(i % 3):
            ann.say(room, "x")
    bob = await Chat.connect(tenant, "bob")
    complete = await bob.wait("sync.complete")
    assert {r: h["seq"] for r, h in complete["heads"].items()} == \
        {r: i % 3 for i, r in enumerate(rooms)}
    for i, room in enumerate(rooms):
        assert bob.seqs(room) == list(range(1, i % 3 + 1))
    assert bob.of("room.joined") == []
    # And all of them are live.
    for room in rooms[::7]:
        ann.say(room, "live")
    for i, room in list(enumerate(rooms))[::7]:
        await bob.wait_seq(room, i % 3 + 1)
    await bob.close()


async def test_own_client_msg_ids_in_the_backlog(tenant):
    room, = rooms_of(tenant, 1, ["ann", "bob"])
    tenant.user("ann").say(room, "x", client_msg_id="c1")
    for user, mine in (("ann", "c1"), ("bob", None)):
        c = await Chat.connect(tenant, user)
        got = await c.wait("message")
        assert got.get("client_msg_id") == mine
        await c.close()


async def test_acking_and_reconnecting_misses_nothing(tenant):
    """A device that acks what it has and comes back, over and over."""
    room, = rooms_of(tenant, 1, ["ann", "bob"])
    ann = await Chat.connect(tenant, "ann")
    stopped = asyncio.Event()

    async def stream():
        i = 0
        while not stopped.is_set():
            await ann.say(room, str(i))
            i += 1
        return i

    task = asyncio.ensure_future(stream())
    have = 0
    for turn in range(scaled(25, 10)):
        bob = await Chat.connect(tenant, "bob", slot=turn % 3)
        await bob.wait_seq(room, have + 20)
        check_stream(bob, room, have)
        have = bob.seqs(room)[-1]
        await bob.ask("ack.received", "ack", room_id=room, seq=have)
        await bob.close()
    stopped.set()
    total = await task
    assert have <= total
    bob = await Chat.connect(tenant, "bob")
    await bob.wait("sync.complete")
    assert bob.seqs(room) == list(range(have + 1, total + 1))
    await close_all([ann, bob])


# ---- subscribe ----

@pytest.fixture
async def talk(tenant):
    """(room of 200 messages, ann who sends, bob who has it all)."""
    room, = rooms_of(tenant, 1, ["ann", "bob"])
    ann = await Chat.connect(tenant, "ann", slot=0)
    await fill(ann, room, 200)
    bob = await Chat.connect(tenant, "bob", slot=1)
    await bob.wait("sync.complete")
    assert bob.seqs(room) == list(range(1, 201))
    yield room, ann, bob
    await close_all([ann, bob])


async def test_subscribe_goes_back(talk):
    room, ann, bob = talk
    for after in (150, 0, 199, 200):
        at = len(bob.log)
        complete = await bob.ask("sync.complete", "subscribe", room_id=room,
                                 after_seq=after)
        assert complete["heads"][room] == {"seq": 200, "rev": 0}
        seqs = [f["seq"] for f in bob.log[at:] if f["type"] == "message"]
        assert seqs == list(range(after + 1, 201))
    at = len(bob.log)
    await ann.say(room, "live")
    await bob.wait("message", seq=201)
    assert [f["seq"] for f in bob.log[at:] if f["type"] == "message"] == [201]


async def test_subscribe_past_the_head(talk):
    room, ann, bob = talk
    complete = await bob.ask("sync.complete", "subscribe", room_id=room,
                             after_seq=5000)
    assert complete["heads"][room]["seq"] == 200
    await ann.say(room, "live")
    await bob.wait("message", seq=201)


async def test_subscribe_into_a_running_stream(talk):
    room, ann, bob = talk
    stopped = asyncio.Event()

    async def stream():
        while not stopped.is_set():
            await ann.say(room, "live")

    task = asyncio.ensure_future(stream())
    try:
        for _ in range(scaled(30, 10)):
            at = len(bob.log)
            complete = await bob.ask("sync.complete", "subscribe",
                                     room_id=room, after_seq=100)
            end = bob.log.index(complete)
            head = complete["heads"][room]["seq"]
            await bob.wait("message", lambda f: f["seq"] > head + 3)
            seqs = [f["seq"] for f in bob.log[at:]
                    if f["type"] == "message"]
            # What was under way may come first; then from 101, by one.
            start = seqs.index(101)
            assert seqs[start:] == list(range(101, 101 + len(seqs) - start))
            assert seqs[:start] == list(
                range(seqs[0], seqs[0] + start)) if start else True
            before = [f["seq"] for f in bob.log[at:end]
                      if f["type"] == "message"]
            assert before[-1] == head
    finally:
        stopped.set()
        await task


async def test_unsubscribe_is_for_this_connection(talk, tenant):
    room, ann, bob = talk
    other = await Chat.connect(tenant, "bob", slot=1)
    await other.wait("sync.complete")
    await bob.ask("ok", "unsubscribe", room_id=room)
    for i in range(5):
        await ann.say(room, f"away {i}")
    await other.wait_seq(room, 205)
    await bob.barrier()
    assert bob.seqs(room)[-1] == 200
    complete = await bob.ask("sync.complete", "subscribe", room_id=room)
    assert complete["heads"][room]["seq"] == 205
    check_stream(bob, room, 0)
    await ann.say(room, "live")
    await bob.wait_seq(room, 206)
    check_stream(bob, room, 0)
    await other.close()


async def test_unsubscribe_twice(talk):
    room, ann, bob = talk
    await bob.ask("ok", "unsubscribe", room_id=room)
    await bob.ask("ok", "unsubscribe", room_id=room)
    await ann.say(room, "away")
    await bob.ask("sync.complete", "subscribe", room_id=room)
    check_stream(bob, room, 0)
    assert bob.seqs(room)[-1] == 201


async def test_sending_to_an_unsubscribed_room(talk):
    room, _, bob = talk
    await bob.ask("ok", "unsubscribe", room_id=room)
    sent = await bob.say(room, "still mine")
    assert sent["seq"] == 201
    await bob.barrier()
    assert bob.seqs(room)[-1] == 200


@pytest.mark.parametrize("after", ["5", -1, 1.5, True, []], ids=str)
async def test_subscribe_bad_position(talk, after):
    room, _, bob = talk
    got = await bob.ask("error", "subscribe", room_id=room, after_seq=after)
    assert got["code"] == "invalid_request"


async def test_subscribe_answers_each(talk):
    """Several at once: one sync.complete a request."""
    room, _, bob = talk
    ids = [f"s{i}" for i in range(20)]
    for i in ids:
        await bob.send("subscribe", room_id=room, after_seq=190,
                       request_id=i)
    for i in ids:
        await bob.wait("sync.complete", request_id=i)


def test_subscribe_before_the_list_is_read(start_server):
    """sync.complete still waits for the room's backlog."""
    server = start_server(workers=1)
    tenant = Tenant(server)
    room = rooms_of(tenant, 1, ["ann", "bob"])[0]
    ann = tenant.user("ann")
    for i in range(80):
        ann.say(room, f"old {i}")
    ws = Raw(server)
    status, _, _ = ws.handshake(
        tenant.headers("bob"), early=text(
            {"type": "subscribe", "room_id": room, "request_id": "early"}))
    assert status == 101
    seqs = []
    while True:
        got = ws.read_json()
        if got["type"] == "message":
            seqs.append(got["seq"])
        if got["type"] == "sync.complete" and "request_id" not in got:
            break
    assert seqs == list(range(1, 81))
    assert got["heads"][room]["seq"] == 80
