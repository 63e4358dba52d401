# SPDX-License-Identifier: MIT
"""A device comes back with its own cursors: exactly what it missed."""
import asyncio
import json
import sqlite3

import pytest

from chat import Chat, close_all
from client import Tenant
from raw import CONT, TEXT, Raw, frame, open_raw, text

RESUME = "/ws?resume=1"


class Device:
    """What a client keeps: messages and cursors, over its connections."""

    def __init__(self, tenant, user):
        self.tenant = tenant
        self.user = user
        self.rooms = {}
        self.cursors = {}
        self.epoch = None
        self.chat = None

    async def connect(self, slot=None):
        self.chat = await Chat.connect(self.tenant, self.user, slot)
        return await self.synced(await self.chat.wait("sync.complete"))

    async def resume(self, slot=None, cursors=None, epoch=None):
        self.chat = await Chat.connect(self.tenant, self.user, slot, RESUME)
        done = await self.chat.ask(
            "sync.complete", "resume", epoch=epoch or self.epoch,
            cursors=self.cursors if cursors is None else cursors)
        return await self.synced(done)

    async def synced(self, done):
        self.epoch = self.chat.welcome["epoch"]
        self.cursors = done["heads"]
        self.apply()
        return done

    async def leave(self):
        await self.chat.barrier()
        self.apply()
        await self.chat.close()

    def apply(self):
        """Takes in all frames of this connection, from the first."""
        for f in self.chat.log:
            room = self.rooms.setdefault(f.get("room_id"), {})
            if f["type"] == "message":
                room[f["seq"]] = (f.get("content"), f.get("rev", 0))
                at = self.cursors.setdefault(f["room_id"],
                                             {"seq": 0, "rev": 0})
                at["seq"] = max(at["seq"], f["seq"])
            elif f["type"] in ("message.edited", "message.deleted"):
                at = self.cursors[f["room_id"]]
                at["rev"] = max(at["rev"], f["rev"])
                if f["seq"] in room and room[f["seq"]][1] < f["rev"]:
                    room[f["seq"]] = (f.get("content"), f["rev"])

    def check(self, room_id):
        """It holds what the server holds."""
        with_rev = {m["seq"]: (m.get("content"), m.get("rev", 0))
                    for m in self.tenant.backend().history(room_id)}
        assert self.rooms[room_id] == with_rev


def path(room, message):
    return f"/rooms/{room}/messages/{message['message_id']}"


def changes(chat, room):
    return [(f["type"], f["seq"], f["rev"]) for f in chat.log
            if f["type"] in ("message.edited", "message.deleted")
            and f["room_id"] == room]


async def test_gets_exactly_what_it_missed(tenant):
    """Two devices of one user at different places, acks in between."""
    ann = tenant.user("ann")
    rooms = [ann.make_room(["bob"])["room_id"] for _ in range(3)]
    phone, laptop = Device(tenant, "bob"), Device(tenant, "bob")
    await phone.connect(slot=0)
    await laptop.connect(slot=1)
    for i in range(5):
        ann.say(rooms[0], f"both {i}")
    for device in (phone, laptop):
        await device.chat.wait_seq(rooms[0], 5)
    await phone.leave()
    for i in range(7):
        ann.say(rooms[i % 2], f"laptop only {i}")
    await laptop.chat.wait_seq(rooms[0], 9)
    await laptop.chat.wait_seq(rooms[1], 3)
    await laptop.chat.ask("ack.received", "ack", room_id=rooms[0], seq=9)
    await laptop.leave()
    ann.say(rooms[2], "nobody there")

    done = await phone.resume(slot=2)
    assert phone.chat.seqs(rooms[0]) == [6, 7, 8, 9]
    assert phone.chat.seqs(rooms[1]) == [1, 2, 3]
    assert phone.chat.seqs(rooms[2]) == [1]
    assert {r: done["heads"][r]["seq"] for r in rooms} == \
        {rooms[0]: 9, rooms[1]: 3, rooms[2]: 1}
    await laptop.resume(slot=0)
    assert laptop.chat.seqs(rooms[0]) == []
    assert laptop.chat.seqs(rooms[1]) == []
    assert laptop.chat.seqs(rooms[2]) == [1]
    for room in rooms:
        phone.check(room)
        laptop.check(room)
    ann.say(rooms[1], "live")
    await phone.chat.wait_seq(rooms[1], 4)
    await laptop.chat.wait_seq(rooms[1], 4)
    await close_all([phone.chat, laptop.chat])


async def test_changes_made_while_away(tenant):
    """By rev: also of messages older than the cursor, each once."""
    ann = tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    told = [ann.say(room, f"m{i}") for i in range(6)]
    bob = Device(tenant, "bob")
    await bob.connect(slot=0)
    await bob.leave()

    for i in range(4):
        ann.call("PUT", path(room, told[0]),
                 {"content": f"edit {i}"}).expect(200)
    ann.call("PUT", path(room, told[1]), {"content": "once"}).expect(200)
    ann.delete(path(room, told[2])).expect(204)
    ann.call("PUT", path(room, told[3]), {"content": "gone"}).expect(200)
    ann.delete(path(room, told[3])).expect(204)
    new = [ann.say(room, f"new {i}") for i in range(3)]
    ann.call("PUT", path(room, new[0]), {"content": "new, edited"}) \
        .expect(200)
    ann.delete(path(room, new[1])).expect(204)

    done = await bob.resume(slot=1)
    assert changes(bob.chat, room) == [
        ("message.edited", 1, 4), ("message.edited", 2, 5),
        ("message.deleted", 3, 6), ("message.deleted", 4, 8)]
    assert bob.chat.seqs(room) == [7, 8, 9]
    seven, eight, nine = bob.chat.of("message", room_id=room)
    assert (seven["content"], seven["rev"]) == ("new, edited", 9)
    assert "edited_at" in seven
    assert "content" not in eight and "deleted_at" in eight
    assert eight["rev"] == 10
    assert "rev" not in nine
    assert done["heads"][room] == {"seq": 9, "rev": 10}
    edited = bob.chat.of("message.edited", seq=1)[0]
    assert edited["content"] == "edit 3" and edited["sender_id"] == "ann"
    assert edited["message_id"] == told[0]["message_id"]
    bob.check(room)

    # Live from here on, and nothing twice.
    ann.call("PUT", path(room, told[5]), {"content": "live"}).expect(200)
    live = await bob.chat.wait("message.edited", seq=6)
    assert (live["rev"], live["content"]) == (11, "live")
    await bob.leave()
    bob.check(room)
    await bob.resume(slot=2)
    assert changes(bob.chat, room) == []
    await bob.leave()


async def test_without_rev_no_change_is_replayed(tenant):
    ann = tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    told = [ann.say(room, f"m{i}") for i in range(3)]
    ann.call("PUT", path(room, told[0]), {"content": "edited"}).expect(200)
    bob = Device(tenant, "bob")
    bob.epoch = (await Chat.connect(tenant, "bob")).welcome["epoch"]
    done = await bob.resume(cursors={room: {"seq": 2}})
    assert bob.chat.seqs(room) == [3]
    assert changes(bob.chat, room) == []
    assert done["heads"][room] == {"seq": 3, "rev": 1}
    ann.call("PUT", path(room, told[1]), {"content": "two"}).expect(200)
    assert (await bob.chat.wait("message.edited"))["rev"] == 2
    await bob.leave()


async def test_many_changes_over_pages(tenant):
    """More changes and messages than a page holds, edits going on."""
    ann = tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    told = [ann.say(room, f"m{i}") for i in range(200)]
    bob = Device(tenant, "bob")
    await bob.connect(slot=0)
    await bob.chat.wait_seq(room, 200)
    await bob.leave()
    for m in told[::-1]:
        ann.call("PUT", path(room, m),
                 {"content": "edited " + "x" * 900}).expect(200)
    for i in range(150):
        ann.say(room, f"new {i}")

    stop = asyncio.Event()

    async def edits():
        at = 0
        while not stop.is_set():
            last = await asyncio.to_thread(
                ann.call, "PUT", path(room, told[at % 200]),
                {"content": f"meanwhile {at}"})
            at += 1
        return last.expect(200)["rev"]

    editing = asyncio.ensure_future(edits())
    done = await bob.resume(slot=1)
    assert bob.chat.seqs(room)[:150] == list(range(201, 351))
    stop.set()
    await bob.chat.wait("message.edited", rev=await editing)
    revs = [rev for _, _, rev in changes(bob.chat, room)]
    assert revs == sorted(set(revs)), "each rev once, rising"
    assert done["heads"][room]["rev"] >= 200
    await bob.leave()
    bob.check(room)


async def test_rooms_joined_left_and_not_named(tenant):
    ann, back = tenant.user("ann"), tenant.backend()
    stays = ann.make_room(["bob"])["room_id"]
    leaves = ann.make_room(["bob"])["room_id"]
    for room in (stays, leaves):
        ann.say(room, "before")
    bob = Device(tenant, "bob")
    await bob.connect()
    await bob.leave()
    back.delete(f"/rooms/{leaves}/members/bob").expect(204)
    ann.say(leaves, "without bob")
    ann.say(stays, "with bob")
    joined = ann.make_room([])["room_id"]
    ann.say(joined, "before bob")
    ann.post(f"/rooms/{joined}/members", {"user_id": "bob"}).expect(200)
    ann.say(joined, "after bob")
    foreign = Tenant(tenant.server).user("eve").make_room([])["room_id"]

    done = await bob.resume(cursors={
        **bob.cursors, foreign: {"seq": 0}, "room_nonsense": {"seq": 1},
        "nonsense": {"seq": 2}})
    assert bob.chat.seqs(stays) == [2]
    assert bob.chat.seqs(leaves) == []
    assert bob.chat.seqs(joined) == [2]
    assert set(done["heads"]) == {stays, joined}
    assert not bob.chat.of("room.left") and not bob.chat.of("room.joined")
    await bob.chat.close()

    # Not named: from last_ack, without earlier changes.
    bob2 = Device(tenant, "bob")
    bob2.epoch = bob.epoch
    await bob2.resume(cursors={})
    assert bob2.chat.seqs(stays) == [1, 2]
    await bob2.leave()


async def test_cursor_past_the_head_means_the_head(tenant):
    ann = tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    told = ann.say(room, "one")
    bob = Device(tenant, "bob")
    bob.epoch = (await Chat.connect(tenant, "bob")).welcome["epoch"]
    done = await bob.resume(cursors={room: {"seq": 10**18, "rev": 77}})
    assert done["heads"][room] == {"seq": 1, "rev": 0}
    assert bob.chat.seqs(room) == []
    ann.say(room, "two")
    await bob.chat.wait_seq(room, 2)
    ann.call("PUT", path(room, told), {"content": "changed"}).expect(200)
    assert (await bob.chat.wait("message.edited"))["rev"] == 1
    await bob.leave()


async def test_pipelined_behind_the_handshake(tenant):
    """The frame is there before the welcome is sent."""
    ann = tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    for i in range(3):
        ann.say(room, f"m{i}")
    epoch = (await Chat.connect(tenant, "bob")).welcome["epoch"]
    raw = Raw(tenant.server)
    status, _, _ = raw.handshake(tenant.headers("bob"), RESUME, text({
        "type": "resume", "epoch": epoch, "request_id": 7,
        "cursors": {room: {"seq": 2, "rev": 0}}}))
    assert status == 101
    frames = [raw.read_json() for _ in range(3)]
    assert [f["type"] for f in frames] == \
        ["welcome", "message", "sync.complete"]
    assert frames[1]["seq"] == 3
    assert frames[2]["request_id"] == 7
    raw.close()


async def test_a_large_resume(tenant):
    """Thousands of cursors are a megabyte; other frames are not."""
    ann = tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    ann.say(room, "one")
    first = await Chat.connect(tenant, "bob")
    many = {f"room_{i:022d}": {"seq": i, "rev": i} for i in range(15000)}
    many[room] = {"seq": 0, "rev": 0}
    frame = {"type": "resume", "epoch": first.welcome["epoch"],
             "cursors": many}
    assert 700_000 < len(json.dumps(frame)) < 1 << 20
    chat = await Chat.connect(tenant, "bob", path=RESUME)
    await chat.ws.send(json.dumps(frame))
    await chat.wait("sync.complete")
    assert chat.seqs(room) == [1]
    # From now on frames have the usual limit.
    await chat.ws.send(json.dumps({"type": "ping", "x": "y" * 70_000}))
    assert await chat.wait_closed() == 1009
    big = await Chat.connect(tenant, "bob", path=RESUME)
    await big.ws.send(json.dumps({"type": "ping", "x": "y" * 70_000}))
    assert await big.wait_closed() == 1009
    huge = await Chat.connect(tenant, "bob", path=RESUME)
    await huge.ws.send(json.dumps({**frame, "x": "y" * (1 << 20)}))
    assert await huge.wait_closed() == 1009
    await first.close()


BAD = [
    ({"cursors": {}}, "epoch"),
    ({"epoch": 1, "cursors": {}}, "epoch"),
    ({"epoch": "e"}, "cursors"),
    ({"epoch": "e", "cursors": []}, "cursors"),
    ({"epoch": "e", "cursors": {"room_x": 1}}, "cursors"),
    ({"epoch": "e", "cursors": {"room_x": {}}}, "seq"),
    ({"epoch": "e", "cursors": {"room_x": {"seq": "1"}}}, "seq"),
    ({"epoch": "e", "cursors": {"room_x": {"seq": -1}}}, "seq"),
    ({"epoch": "e", "cursors": {"room_x": {"seq": 1, "rev": 1.5}}}, "rev"),
]


async def test_malformed_ones_may_be_tried_again(tenant):
    ann = tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    ann.say(room, "one")
    chat = await Chat.connect(tenant, "bob", path=RESUME)
    for fields, field in BAD:
        error = await chat.ask("error", "resume", **fields)
        assert error["code"] == "invalid_request", fields
        assert error["field"] == field, fields
        assert error["temporary"] is False
    # Where rooms begin is what the resume says.
    for frame in ("subscribe", "unsubscribe"):
        error = await chat.ask("error", frame, room_id=room)
        assert error["code"] == "invalid_request"
    # What needs no position works.
    assert (await chat.say(room, "two"))["seq"] == 2
    await chat.barrier()
    assert not chat.of("message") and not chat.of("sync.complete")
    await chat.ask("sync.complete", "resume",
                   epoch=chat.welcome["epoch"], cursors={})
    assert chat.seqs(room) == [1, 2]
    error = await chat.ask("error", "resume",
                           epoch=chat.welcome["epoch"], cursors={})
    assert error["code"] == "invalid_request"
    assert len(chat.of("sync.complete")) == 1
    plain = await Chat.connect(tenant, "bob")
    error = await plain.ask("error", "resume",
                            epoch=plain.welcome["epoch"], cursors={})
    assert error["code"] == "invalid_request"
    await close_all([chat, plain])


async def test_under_data(tenant):
    ann = tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    ann.say(room, "one")
    chat = await Chat.connect(tenant, "bob", path=RESUME)
    await chat.send("resume", data={"epoch": chat.welcome["epoch"],
                                    "cursors": {room: {"seq": 1}}})
    await chat.wait("sync.complete")
    assert chat.seqs(room) == []
    await chat.close()


async def test_waits_a_while_then_goes_on_from_last_ack(start_server):
    """30 s, unless RESUME_WAIT says otherwise."""
    tenant = Tenant(start_server(workers=2, env={"RESUME_WAIT": "5s"}))
    ann = tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    for i in range(3):
        ann.say(room, f"m{i}")
    tenant.user("bob").post("/acks", {"room_id": room, "seq": 1}).expect(200)
    loop = asyncio.get_running_loop()
    began = loop.time()
    chat = await Chat.connect(tenant, "bob", path=RESUME)
    ann.say(room, "while it waits")
    other = ann.make_room(["bob"])["room_id"]
    done = await chat.wait("sync.complete")
    # The loop's timers go by the kernel's coarse clock: a tick of it may be
    # missing, 10 ms at most.
    assert loop.time() - began >= 4.99
    assert [f["type"] for f in chat.log] == \
        ["welcome", "message", "message", "message", "sync.complete"]
    assert chat.seqs(room) == [2, 3, 4]
    assert set(done["heads"]) == {room, other}
    error = await chat.ask("error", "resume",
                           epoch=chat.welcome["epoch"], cursors={})
    assert error["code"] == "invalid_request"
    await chat.close()


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_large_one_that_comes_late_is_refused(pieces, start_server):
    """It was on its way when the wait was over: no reason to close."""
    tenant = Tenant(start_server(workers=1, env={"RESUME_WAIT": "500ms"}))
    room = tenant.backend().make_room(["ann"])["room_id"]
    ws = open_raw(tenant, "ann", path=RESUME)
    late = json.dumps({"type": "resume", "request_id": "late",
                       "epoch": ws.welcome["epoch"], "pad": "p" * 200000,
                       "cursors": {room: {"seq": 0}}})
    size = len(late) // pieces + 1
    parts = [late[at:at + size] for at in range(0, len(late), size)]
    data = b"".join(frame(CONT if i else TEXT, part, fin=i == pieces - 1)
                    for i, part in enumerate(parts))
    ws.send(data[:100000])
    assert list(ws.read_json("sync.complete")["heads"]) == [room]
    ws.send(data[100000:])
    error = ws.read_json("error")
    assert (error["code"], error["request_id"]) == ("invalid_request",
                                                    "late")
    ws.send(text({"type": "ping"}))
    ws.read_json("pong")
    # From now on frames have their usual size.
    ws.send(frame(TEXT, late)[:1000])
    ws.expect_close(1009)
    ws.close()


@pytest.mark.parametrize("how", ["resume", "sync"])
async def test_another_epoch(how, start_server, tmp_path):
    """The database was restored: the cursors mean nothing any more."""
    server = start_server(workers=2, directory=str(tmp_path))
    tenant = Tenant(server)
    ann = tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    ann.say(room, "one")
    bob = Device(tenant, "bob")
    await bob.connect()
    await bob.leave()
    server.stop()
    with sqlite3.connect(tmp_path / "chatapi.db") as db:
        db.execute("UPDATE state SET epoch = ?", ("f" * 32,))
    db.close()
    tenant.server = start_server(workers=2, directory=str(tmp_path))
    chat = await Chat.connect(tenant, "bob", path=RESUME)
    assert chat.welcome["epoch"] == "f" * 32 != bob.epoch
    if how == "resume":
        error = await chat.ask("error", "resume", epoch=bob.epoch,
                               cursors=bob.cursors)
        assert error["code"] == "resync_required"
        assert error["temporary"] is False
    else:
        await chat.send("resume", epoch=chat.welcome["epoch"],
                        cursors={room: {"seq": 0}})
    await chat.wait("sync.complete")
    assert chat.seqs(room) == [1]
    await chat.close()


async def test_resume_is_rated(start_server):
    server = start_server(workers=1, env={"DEFAULT_RATE_LIMIT": "2"})
    tenant = Tenant(server)
    room = tenant.backend().make_room(["bob"])["room_id"]
    chat = await Chat.connect(tenant, "bob", path=RESUME)
    refused = None
    for _ in range(200):
        error = await chat.ask("error", "resume", epoch=1, cursors={})
        if error["code"] == "rate_limit_exceeded":
            refused = error
            break
    assert refused["temporary"] is True and refused["retry_after_ms"] > 0
    while True:
        await asyncio.sleep(refused["retry_after_ms"] / 1000)
        answer = asyncio.ensure_future(chat.ask(
            "sync.complete", "resume", epoch=chat.welcome["epoch"],
            cursors={}))
        error = asyncio.ensure_future(chat.wait("error"))
        await asyncio.wait({answer, error},
                           return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            error.cancel()
            break
        answer.cancel()
        refused = error.result()
    assert set(answer.result()["heads"]) == {room}
    await chat.close()


async def test_subscribe_with_rev(tenant):
    """The same for one room, at any time."""
    ann = tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    told = [ann.say(room, f"m{i}") for i in range(4)]
    for m in told[:2]:
        ann.call("PUT", path(room, m), {"content": "edited"}).expect(200)
    chat = await Chat.connect(tenant, "bob")
    await chat.wait("sync.complete")
    assert changes(chat, room) == []
    done = await chat.ask("sync.complete", "subscribe", room_id=room,
                          after_seq=4, rev=0)
    assert changes(chat, room) == [("message.edited", 1, 1),
                                   ("message.edited", 2, 2)]
    assert done["heads"] == {room: {"seq": 4, "rev": 2}}
    done = await chat.ask("sync.complete", "subscribe", room_id=room,
                          after_seq=1, rev=1)
    assert chat.seqs(room) == [1, 2, 3, 4, 2, 3, 4]
    assert len(changes(chat, room)) == 2, "it comes as it now stands"
    assert done["heads"] == {room: {"seq": 4, "rev": 2}}
    await chat.ask("ok", "unsubscribe", room_id=room)
    ann.call("PUT", path(room, told[3]), {"content": "away"}).expect(200)
    await chat.barrier()
    assert len(changes(chat, room)) == 2
    await chat.ask("sync.complete", "subscribe", room_id=room)
    assert changes(chat, room)[2:] == [("message.edited", 4, 3)]
    await chat.close()


async def test_one_huge_room_does_not_hold_up_the_others(tenant):
    """Pages take turns over the rooms."""
    ann = tenant.user("ann")
    huge = ann.make_room(["bob"])["room_id"]
    chat = await Chat.connect(tenant, "ann")
    for i in range(3000):
        await chat.send("send_message", room_id=huge, content="x" * 300)
    await chat.until(lambda: len(chat.of("message.sent")) == 3000)
    small = [ann.make_room(["bob"])["room_id"] for _ in range(5)]
    for room in small:
        ann.say(room, "small")
    bob = await Chat.connect(tenant, "bob")
    await bob.wait("sync.complete")
    order = [f["room_id"] for f in bob.of("message")]
    assert order.count(huge) == 3000
    for room in small:
        assert order.index(room) < 1000, "long before the huge one ended"
    assert bob.seqs(huge) == list(range(1, 3001))
    await close_all([bob, chat])


async def test_over_a_crash(start_server):
    """Cursors of before are good after a kill -9 of writer and workers."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    ann = tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    told = [ann.say(room, f"m{i}") for i in range(5)]
    bob = Device(tenant, "bob")
    await bob.connect()
    await bob.chat.wait_seq(room, 5)
    await bob.leave()
    ann.call("PUT", path(room, told[1]), {"content": "x"}).expect(200)
    ann.say(room, "missed")
    for role, slot in (("writer", None), ("worker", 0), ("worker", 1)):
        old = server.kill(role, slot)
        server.wait_respawn(role, slot, old)
    await bob.resume()
    assert bob.chat.seqs(room) == [6]
    assert changes(bob.chat, room) == [("message.edited", 2, 1)]
    bob.check(room)
    await bob.leave()
