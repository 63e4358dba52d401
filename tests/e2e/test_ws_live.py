# SPDX-License-Identifier: MIT
"""What members see live, whichever workers they and the senders are on."""
import asyncio
import time

import pytest

from chat import Chat, close_all
from client import Rest, Tenant
from harness import DEADLINE, scaled


async def members_on(tenant, users):
    """One connection a user, over the workers in turn, caught up."""
    chats = [await Chat.connect(tenant, u, slot=i % tenant.server.workers)
             for i, u in enumerate(users)]
    for c in chats:
        await c.wait("sync.complete")
    return chats


# ---- order ----

async def test_every_member_sees_every_message_once_in_order(tenant):
    """8 senders on different workers, by REST and WebSocket mixed, into
    one room of 20 members."""
    users = [f"user{i:02}" for i in range(20)]
    room = tenant.backend().make_room(users)["room_id"]
    each = scaled(60, 20)
    chats = await members_on(tenant, users)
    # Some have a second device, on another worker.
    chats += [await Chat.connect(tenant, users[i], slot=(i + 1) % 3)
              for i in range(4)]

    async def by_websocket(chat, name):
        for i in range(each):
            await chat.say(room, f"{name} {i}")

    def by_rest(name, slot):
        rest = tenant.user(name, slot)
        for i in range(each):
            rest.say(room, f"{name} {i}")

    await asyncio.gather(
        *(by_websocket(chats[i], users[i]) for i in range(4)),
        *(asyncio.to_thread(by_rest, users[i], i % 3) for i in range(4, 8)))
    total = 8 * each
    stored = tenant.backend().history(room)
    assert [m["seq"] for m in stored] == list(range(1, total + 1))
    for c in chats:
        await c.wait_seq(room, total)
        await c.barrier()
        got = c.of("message", room_id=room)
        assert [m["seq"] for m in got] == list(range(1, total + 1))
        for frame, message in zip(got, stored):
            for name in message:
                if name != "meta":
                    assert frame[name] == message[name]
    # Each sender's messages are in the order in which he sent them.
    for name in users[:8]:
        assert [m["content"] for m in stored if m["sender_id"] == name] == \
            [f"{name} {i}" for i in range(each)]
    await close_all(chats)


async def test_many_rooms_at_once(tenant):
    """Rooms do not disturb each other's order."""
    users = ["ann", "bob", "carl"]
    rooms = [tenant.backend().make_room(users)["room_id"] for _ in range(10)]
    chats = await members_on(tenant, users)
    each = scaled(30, 10)

    async def talk(chat):
        for i in range(each):
            for room in rooms:
                await chat.send("send_message", room_id=room, content=str(i))
        await chat.until(
            lambda: len(chat.of("message.sent")) == each * len(rooms))

    await asyncio.gather(*(talk(c) for c in chats))
    for c in chats:
        for room in rooms:
            await c.wait_seq(room, each * 3)
            assert c.seqs(room) == list(range(1, each * 3 + 1))
    await close_all(chats)


# ---- the frames ----

async def test_message_and_its_answer(tenant):
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    ann, bob = await members_on(tenant, ["ann", "bob"])
    sent = await ann.say(room, "hi", meta={"m": [1, None]},
                         client_msg_id="c1")
    assert set(sent) == {"type", "request_id", "client_msg_id", "room_id",
                         "message_id", "seq", "created_at", "duplicate"}
    for c in (ann, bob):
        got = await c.wait("message", room_id=room)
        assert got["message_id"] == sent["message_id"]
        assert got["seq"] == sent["seq"] == 1
        assert got["created_at"] == sent["created_at"]
        assert got["sender_id"] == "ann" and got["content"] == "hi"
        assert got["meta"] == {"m": [1, None]}
    await close_all([ann, bob])


async def test_client_msg_id_is_for_the_senders_own_devices(tenant):
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    chats = await members_on(tenant, ["ann", "ann", "bob", "ann", "bob"])
    await chats[0].say(room, "by websocket", client_msg_id="c1")
    tenant.user("ann").say(room, "by rest", client_msg_id="c2")
    tenant.user("bob").say(room, "bob's", client_msg_id="c3")
    await chats[0].say(room, "without")
    for c, user in zip(chats, ["ann", "ann", "bob", "ann", "bob"]):
        await c.wait_seq(room, 4)
        own = [m.get("client_msg_id") for m in c.of("message")]
        assert own == (["c1", "c2", None, None] if user == "ann"
                       else [None, None, "c3", None])
    await close_all(chats)


@pytest.mark.parametrize("content", ["a\u0000b", "\U0001f600\u2028", "\"\\"],
                         ids=ascii)
async def test_content_is_the_same_live_and_stored(tenant, content):
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    chats = await members_on(tenant, ["ann", "bob"])
    await chats[0].say(room, content, client_msg_id="\u0000\"")
    for c in chats:
        assert (await c.wait("message"))["content"] == content
    assert chats[0].of("message")[0]["client_msg_id"] == "\u0000\""
    await close_all(chats)


async def test_largest_message(tenant):
    """Content that grows when it is escaped, up to the frame's limit."""
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    chats = await members_on(tenant, ["ann", "bob"])
    tenant.user("ann").say(room, "\u0001" * 8000, meta="m" * 16382)
    await chats[0].say(room, "x" * 16384, meta="m" * 16382)
    for c in chats:
        await c.wait_seq(room, 2)
        got = c.of("message")
        assert got[0]["content"] == "\u0001" * 8000
        assert got[1]["content"] == "x" * 16384
        assert got[1]["meta"] == "m" * 16382
    await close_all(chats)


async def test_tenants_hear_nothing_of_each_other(tenant, server):
    other = Tenant(server)
    rooms = [t.backend().make_room(["ann", "bob"], "dm")["room_id"]
             for t in (tenant, other)]
    mine = await members_on(tenant, ["ann", "bob"])
    theirs = await members_on(other, ["ann", "bob"])
    await mine[0].say(rooms[0], "mine")
    await theirs[0].say(rooms[1], "theirs")
    for chats, room in ((mine, rooms[0]), (theirs, rooms[1])):
        for c in chats:
            await c.wait_seq(room, 1)
            await c.barrier()
            assert {m["room_id"] for m in c.of("message")} == {room}
    await close_all(mine + theirs)


# ---- acks ----

async def test_ack_is_told_to_all_members(tenant):
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    for i in range(5):
        tenant.user("ann").say(room, str(i))
    bob, bob2, ann = await members_on(tenant, ["bob", "bob", "ann"])
    got = await bob.ask("ack.received", "ack", room_id=room, seq=3)
    assert (got["room_id"], got["seq"], got["user_id"]) == (room, 3, "bob")
    for c in (bob2, ann):
        got = await c.wait("ack.received")
        assert (got["room_id"], got["seq"], got["user_id"]) == \
            (room, 3, "bob")
        assert "request_id" not in got
    # By REST: to all of them.
    tenant.user("bob").post("/acks", {"room_id": room, "seq": 4}).expect(200)
    for c in (bob, bob2, ann):
        assert (await c.wait("ack.received", seq=4))["user_id"] == "bob"
    await close_all([bob, bob2, ann])


async def test_ack_that_moves_nothing_is_only_answered(tenant):
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    for i in range(3):
        tenant.user("ann").say(room, str(i))
    bob, ann = await members_on(tenant, ["bob", "ann"])
    await bob.ask("ack.received", "ack", room_id=room, seq=2)
    got = await bob.ask("ack.received", "ack", room_id=room, seq=1)
    assert got["seq"] == 2
    got = await bob.ask("ack.received", "ack", room_id=room, seq=99)
    assert got["seq"] == 3
    await ann.wait("ack.received", seq=3)
    assert [f["seq"] for f in ann.of("ack.received")] == [2, 3]
    assert len(bob.of("ack.received")) == 3
    await close_all([bob, ann])


async def test_ack_in_a_large_room_is_only_answered(tenant):
    users = ["ann", "bob"] + [f"u{i}" for i in range(99)]
    room = tenant.backend().make_room(users)["room_id"]
    tenant.user("ann").say(room, "x")
    bob, ann = await members_on(tenant, ["bob", "ann"])
    await bob.ask("ack.received", "ack", room_id=room, seq=1)
    tenant.user("bob").say(room, "y")
    await ann.wait_seq(room, 2)
    assert ann.of("ack.received") == []
    await close_all([bob, ann])


# ---- typing ----

async def test_typing_is_told_to_the_others(tenant):
    room = tenant.user("ann").make_room(["bob", "carl"])["room_id"]
    users = ["ann", "ann", "bob", "carl"]
    chats = await members_on(tenant, users)
    await chats[0].ask("ok", "typing.start", room_id=room)
    for c in chats[2:]:
        got = await c.wait("typing")
        assert got == {"type": "typing", "room_id": room, "user_id": "ann",
                       "action": "start"}
    await chats[0].send("typing.stop", room_id=room)
    for c in chats[2:]:
        assert (await c.wait("typing"))["action"] == "stop"
    await chats[2].say(room, "x")
    for c in chats:
        await c.wait_seq(room, 1)
    assert chats[0].of("typing") == [] == chats[1].of("typing")
    await close_all(chats)


async def test_repeated_typing_is_swallowed(tenant):
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    ann, bob = await members_on(tenant, ["ann", "bob"])
    # A start that comes three seconds after the one told is told again: a
    # round that took so long says nothing.
    for _ in range(5):
        before, began = len(bob.of("typing")), time.monotonic()
        for action in ("start", "start", "start", "stop", "start", "stop"):
            await ann.ask("ok", "typing." + action, room_id=room)
        # The last one of the round is the second stop.
        await bob.until(lambda: [f["action"] for f in bob.of("typing")][
            before:].count("stop") == 2)
        seq = (await ann.say(room, "x"))["seq"]
        await bob.wait_seq(room, seq)
        took = time.monotonic() - began
        if took < 3:
            break
    assert took < 3, "no round was quick enough"
    assert [f["action"] for f in bob.of("typing")[before:]] == [
        "start", "stop", "start", "stop"]
    await close_all([ann, bob])


async def test_typing_that_never_stops_ends(tenant):
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    ann, bob = await members_on(tenant, ["ann", "bob"])
    await ann.send("typing.start", room_id=room)
    await bob.wait("typing", action="start")
    began = time.monotonic()
    await bob.wait("typing", action="stop", deadline=DEADLINE + 10)
    assert time.monotonic() - began > 5
    await close_all([ann, bob])


async def test_typing_in_a_large_room_is_not_told(tenant):
    users = ["ann", "bob"] + [f"u{i}" for i in range(99)]
    room = tenant.backend().make_room(users)["room_id"]
    ann, bob = await members_on(tenant, ["ann", "bob"])
    await ann.ask("ok", "typing.start", room_id=room)
    await ann.say(room, "x")
    await bob.wait_seq(room, 1)
    await bob.barrier()
    assert bob.of("typing") == []
    await close_all([ann, bob])


async def test_typing_is_for_members(tenant):
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    eve, bob = await members_on(tenant, ["eve", "bob"])
    got = await eve.ask("error", "typing.start", room_id=room)
    assert got["code"] == "forbidden"
    await bob.ask("ok", "typing.start", room_id=room)
    await bob.barrier()
    assert bob.of("typing") == [] == eve.of("typing")
    await close_all([eve, bob])


# ---- membership, live ----

async def test_new_room_appears(tenant):
    chats = await members_on(tenant, ["ann", "bob", "carl"])
    room = tenant.user("ann").make_room(["bob"], name="new")
    for c in chats[:2]:
        got = await c.wait("room.joined")
        assert got["room_id"] == room["room_id"]
        assert got["room"]["room_id"] == room["room_id"]
        assert got["room"]["name"] == "new"
        assert got["room"]["type"] == "group"
    tenant.user("bob").say(room["room_id"], "hello")
    for c in chats[:2]:
        await c.wait_seq(room["room_id"], 1)
        kinds = [f["type"] for f in c.log if f["type"] in
                 ("message", "room.joined")]
        assert kinds == ["room.joined", "message"]
    await chats[2].barrier()
    assert chats[2].of("room.joined") == [] == chats[2].of("message")
    await close_all(chats)


async def test_added_member_sees_from_then_on(tenant):
    room = tenant.user("ann").make_room()["room_id"]
    bob, = await members_on(tenant, ["bob"])
    for i in range(5):
        tenant.user("ann").say(room, f"before {i}")
    tenant.user("ann").post(f"/rooms/{room}/members",
                            {"user_id": "bob"}).expect(200)
    await bob.wait("room.joined", room_id=room)
    for i in range(5):
        tenant.user("ann").say(room, f"after {i}")
    await bob.wait_seq(room, 10)
    assert bob.seqs(room) == [6, 7, 8, 9, 10]
    await bob.close()


async def test_removed_means_gone(tenant):
    """Removed in the middle of a stream: nothing above the head at the
    removal, and nothing of the room behind room.left."""
    users = ["ann", "bob", "carl"]
    room = tenant.backend().make_room(users)["room_id"]
    for slot in range(3):
        # carl is on bob's worker: what carl has got, bob would have.
        ann = await Chat.connect(tenant, "ann", slot=(slot + 1) % 3)
        bob = await Chat.connect(tenant, "bob", slot=slot)
        carl = await Chat.connect(tenant, "carl", slot=slot)
        await bob.wait("sync.complete")
        for i in range(40):
            await ann.send("send_message", room_id=room, content=str(i))
            if i == 20:
                await bob.wait("message", room_id=room)
                await asyncio.to_thread(
                    lambda: tenant.backend().delete(
                        f"/rooms/{room}/members/bob").expect(204))
                head = tenant.backend().get(
                    f"/rooms/{room}").expect(200)["last_seq"]
        await ann.until(lambda: len(ann.of("message.sent")) == 40)
        last = ann.of("message.sent")[-1]["seq"]
        await carl.wait_seq(room, last)
        await bob.wait("room.left", room_id=room)
        await bob.barrier()
        kinds = [f["type"] for f in bob.log if f.get("room_id") == room]
        assert kinds.count("room.left") == 1
        assert kinds[-1] == "room.left", kinds
        assert max(bob.seqs(room)) <= head
        got = await bob.ask("error", "send_message", room_id=room,
                            content="x")
        assert got["code"] == "forbidden"
        await close_all([ann, bob, carl])
        tenant.backend().post(f"/rooms/{room}/members",
                              {"user_id": "bob"}).expect(200)


async def test_back_after_removal(tenant):
    room = tenant.backend().make_room(["ann", "bob"])["room_id"]
    ann, bob = await members_on(tenant, ["ann", "bob"])
    for _ in range(5):
        tenant.backend().delete(f"/rooms/{room}/members/bob").expect(204)
        await bob.wait("room.left", room_id=room)
        await ann.say(room, "away")
        tenant.backend().post(f"/rooms/{room}/members",
                              {"user_id": "bob"}).expect(200)
        await bob.wait("room.joined", room_id=room)
        sent = await ann.say(room, "back")
        await bob.wait("message", room_id=room, seq=sent["seq"])
    assert [m["content"] for m in bob.of("message")] == ["back"] * 5
    await close_all([ann, bob])


async def test_messages_right_behind_the_join_are_not_missed(tenant):
    """Joins race with a stream; from last_ack on nothing is missing."""
    room = tenant.user("ann").make_room([], "channel")["room_id"]
    ann = await Chat.connect(tenant, "ann", slot=0)
    users = [f"user{i}" for i in range(scaled(30, 12))]
    chats = await members_on(tenant, users)
    done = asyncio.Event()

    async def stream():
        n = 0
        while not done.is_set() or n < 50:
            n += 1
            await ann.say(room, str(n))
        return n

    task = asyncio.ensure_future(stream())
    for user in users:
        rest = tenant.user(user)
        await asyncio.to_thread(
            lambda r=rest, u=user: r.post(f"/rooms/{room}/members",
                                          {"user_id": u}).expect(200))
    done.set()
    sent = await task
    # The stream's last one may have been stored before the last join.
    last = (await ann.say(room, "behind all joins"))["seq"]
    assert last == sent + 1
    for c in chats:
        await c.wait_seq(room, last)
        seqs = c.seqs(room)
        assert seqs == list(range(seqs[0], last + 1))
        mine, = tenant.user(c.welcome["user_id"]).get("/rooms").expect(
            200)["rooms"]
        assert seqs[0] == mine["last_ack"] + 1
    await close_all(chats + [ann])


# ---- keys ----

def test_health_of_every_worker(server):
    for slot in range(3):
        assert Rest(server, slot=slot).get("/health").expect(200)
