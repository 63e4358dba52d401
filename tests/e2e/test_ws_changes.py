# SPDX-License-Identifier: MIT
"""Edits, deletes, and rooms that change or go: told live on every worker,
and caught up by whoever missed them."""
import asyncio
import os
import signal

from chat import Chat, close_all
from client import Tenant
from raw import open_raw, text

CHANGES = ("message.edited", "message.deleted")


def path(room, message):
    return f"/rooms/{room}/messages/{message['message_id']}"


def put(who, room, message, content):
    return who.call("PUT", path(room, message),
                    {"content": content}).expect(200)


def changes(log, room):
    return [(f["type"], f["seq"], f["rev"]) for f in log
            if f["type"] in CHANGES and f["room_id"] == room]


async def members_on(tenant, users):
    chats = [await Chat.connect(tenant, u, slot=i % 3)
             for i, u in enumerate(users)]
    for c in chats:
        await c.wait("sync.complete")
    return chats


async def test_told_to_every_connection_on_every_worker(tenant):
    users = ["ann", "bob", "carl", "ann"]
    room = tenant.backend().make_room(["ann", "bob", "carl"])["room_id"]
    ann = tenant.user("ann", slot=2)
    chats = await members_on(tenant, users)
    first = ann.say(room, "first", client_msg_id="a1")
    second = tenant.user("bob").say(room, "second", meta={"a": 1})
    edited = put(ann, room, first, "first, edited")
    tenant.user("bob").delete(path(room, second)).expect(204)
    tenant.backend().delete(path(room, first)).expect(204)
    for c in chats:
        await c.wait("message.deleted", seq=1)
        assert changes(c.log, room) == [
            ("message.edited", 1, 1), ("message.deleted", 2, 2),
            ("message.deleted", 1, 3)]
        assert c.of("message.edited") == [{
            "type": "message.edited", "room_id": room, "seq": 1, "rev": 1,
            "message_id": first["message_id"], "sender_id": "ann",
            "content": "first, edited", "edited_at": edited["edited_at"]}]
        assert c.of("message.deleted", seq=2) == [{
            "type": "message.deleted", "room_id": room, "seq": 2, "rev": 2,
            "message_id": second["message_id"]}]
    await close_all(chats)


async def test_what_changes_nothing_is_not_told(tenant):
    room = tenant.backend().make_room(["ann", "bob"])["room_id"]
    ann = tenant.user("ann")
    chats = await members_on(tenant, ["bob"])
    told = ann.say(room, "same")
    put(ann, room, told, "same")
    ann.delete(path(room, told)).expect(204)
    ann.delete(path(room, told)).expect(204)
    ann.say(room, "end")
    await chats[0].wait_seq(room, 2)
    assert changes(chats[0].log, room) == [("message.deleted", 1, 1)]
    await close_all(chats)


async def test_tenants_and_strangers_hear_nothing(tenant, server):
    room = tenant.backend().make_room(["ann", "bob"])["room_id"]
    ann = tenant.user("ann")
    told = ann.say(room, "one")
    stranger = await Chat.connect(tenant, "eve", slot=0)
    foreign = await Chat.connect(Tenant(server), "bob", slot=1)
    bob = await Chat.connect(tenant, "bob", slot=2)
    await bob.wait("sync.complete")
    put(ann, room, told, "two")
    ann.delete(path(room, told)).expect(204)
    tenant.backend().call("PATCH", f"/rooms/{room}",
                          {"name": "new"}).expect(200)
    tenant.backend().delete(f"/rooms/{room}").expect(204)
    await bob.wait("room.deleted")
    for c in (stranger, foreign):
        await c.barrier()
        assert {f["type"] for f in c.log} <= \
            {"welcome", "sync.complete", "pong"}
    await close_all([stranger, foreign, bob])


async def test_room_updated_and_deleted(tenant):
    backend = tenant.backend()
    users = ["ann", "bob", "carl"]
    room = backend.make_room(users, name="old",
                             metadata={"k": [1]})["room_id"]
    other = backend.make_room(users)["room_id"]
    chats = await members_on(tenant, users)
    now = backend.call("PATCH", f"/rooms/{room}",
                       {"name": "new"}).expect(200)
    assert now["name"] == "new" and now["metadata"] == {"k": [1]}
    for c in chats:
        frame = await c.wait("room.updated")
        assert frame == {"type": "room.updated", "room_id": room,
                         "room": now}
    # The same again is no change.
    backend.call("PATCH", f"/rooms/{room}", {"name": "new"}).expect(200)
    cleared = backend.call("PATCH", f"/rooms/{room}",
                           {"metadata": None}).expect(200)
    for c in chats:
        assert (await c.wait("room.updated"))["room"] == cleared
    backend.delete(f"/rooms/{room}").expect(204)
    for c in chats:
        assert await c.wait("room.deleted") == \
            {"type": "room.deleted", "room_id": room}
        error = await c.ask("error", "send_message", room_id=room,
                            content="late")
        assert error["code"] == "not_found"
        error = await c.ask("error", "subscribe", room_id=room)
        assert error["code"] == "not_found"
        await c.ask("ok", "typing.start", room_id=other)
    sent = await chats[0].say(other, "still here")
    for c in chats:
        await c.wait_seq(other, sent["seq"])
        assert len(c.of("room.updated")) == 2
        assert not c.of("room.left")
    again = await Chat.connect(tenant, "ann")
    assert set((await again.wait("sync.complete"))["heads"]) == {other}
    await close_all(chats + [again])


async def test_a_subscribe_that_waits_when_its_room_goes(tenant):
    """It is answered, one way or the other."""
    backend = tenant.backend()
    for i in range(20):
        room = backend.make_room(["ann"])["room_id"]
        tenant.user("ann").say(room, "x")
        chat = await Chat.connect(tenant, "ann", slot=i % 3)
        await chat.wait("sync.complete")
        await chat.send("subscribe", room_id=room, after_seq=0,
                        request_id="s")
        await asyncio.to_thread(backend.delete, f"/rooms/{room}")
        await chat.until(lambda: any(f.get("request_id") == "s"
                                     for f in chat.log))
        await chat.wait("room.deleted", room_id=room)
        await chat.close()


def drain(ws, until):
    """Reads frames until one of that type and these fields has come."""
    log = []
    while not log or not until(log[-1]):
        log.append(ws.read_json())
    return log


def test_a_slow_reader_gets_all_changes(start_server):
    """It reads nothing while messages, edits, a rename and a deletion of
    another room go by; then it stands where the others stand."""
    tenant = Tenant(start_server(workers=2))
    backend, ann = tenant.backend(), tenant.user("ann")
    room = backend.make_room(["ann", "slow"])["room_id"]
    doomed = backend.make_room(["ann", "slow"])["room_id"]
    told = [ann.say(room, f"early {i}") for i in range(10)]
    slow = open_raw(tenant, "slow", slot=1, rcvbuf=8192)
    assert slow.read_json("sync.complete")
    for i in range(200):
        ann.say(room, f"{i}" + "x" * 8000)
    for i in range(3):
        for m in told:
            put(ann, room, m, f"edit {i}")
    ann.delete(path(room, told[4])).expect(204)
    backend.call("PATCH", f"/rooms/{room}", {"name": "new"}).expect(200)
    backend.delete(f"/rooms/{doomed}").expect(204)
    late = ann.say(room, "the last")
    put(ann, room, late, "the very last")

    log = drain(slow, lambda f: (f["type"] == "message" and
                                 f.get("rev") == 32) or
                (f["type"] == "message.edited" and f["rev"] == 32))
    slow.send(text({"type": "ping", "request_id": 1}))
    log += drain(slow, lambda f: f["type"] == "pong")
    seqs = [f["seq"] for f in log if f["type"] == "message"]
    assert seqs == list(range(11, 212))
    revs = [f["rev"] for f in log if f["type"] in CHANGES]
    assert revs == sorted(set(revs))
    state = {}
    for f in log:
        if f["type"] in CHANGES:
            state[f["seq"]] = f.get("content")
    assert [state[m["seq"]] for m in told] == \
        ["edit 2"] * 4 + [None] + ["edit 2"] * 5
    updates = [f for f in log if f["type"] == "room.updated"]
    assert updates and updates[-1]["room"]["name"] == "new"
    assert [f["room_id"] for f in log if f["type"] == "room.deleted"] == \
        [doomed]
    slow.close()


async def pour(chat, room, count):
    for at in range(0, count, 64):
        n = min(64, count - at)
        for i in range(n):
            await chat.send("send_message", room_id=room,
                            content=f"{at + i:06}" + "x" * 4096)
        for _ in range(n):
            await chat.wait("message.sent")


async def test_worker_that_stood_still(start_server):
    """Its queue was dropped: it finds each kind of change in the log."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    backend, ann = tenant.backend(slot=0), tenant.user("ann", slot=0)
    busy, quiet, renamed, doomed = (
        backend.make_room(["ann", "bob"])["room_id"] for _ in range(4))
    told = [ann.say(quiet, f"m{i}") for i in range(3)]
    chat = await Chat.connect(tenant, "ann", slot=0)
    bob = await Chat.connect(tenant, "bob", slot=1)
    await bob.wait("sync.complete")
    pid = server.kill("worker", 1, signal.SIGSTOP)
    try:
        await pour(chat, busy, 1500)
        for call in ((put, ann, quiet, told[0], "edited"),
                     (put, ann, quiet, told[0], "edited again"),
                     (ann.delete, path(quiet, told[1])),
                     (backend.call, "PATCH", f"/rooms/{renamed}",
                      {"name": "new"}),
                     (backend.delete, f"/rooms/{doomed}")):
            await asyncio.to_thread(*call)
        await pour(chat, busy, 1500)
    finally:
        os.kill(pid, signal.SIGCONT)
    await bob.wait("room.deleted", room_id=doomed)
    updated = await bob.wait("room.updated", room_id=renamed)
    assert updated["room"]["name"] == "new"
    await bob.until(lambda: len(changes(bob.log, quiet)) == 2)
    assert changes(bob.log, quiet) == [("message.edited", 1, 2),
                                       ("message.deleted", 2, 3)]
    await bob.wait_seq(busy, 3000)
    assert bob.seqs(busy) == list(range(1, 3001))
    assert "events dropped" in server.log(), "nothing was dropped"
    # And all is live again.
    await asyncio.to_thread(put, ann, quiet, told[2], "live")
    assert (await bob.wait("message.edited", seq=3))["rev"] == 4
    await close_all([chat, bob])


async def test_the_writer_dies_between_changes(start_server):
    """Each change is told once, whichever writer made it."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    room = tenant.backend().make_room(["ann", "bob"])["room_id"]
    ann = tenant.user("ann", slot=0)
    told = [ann.say(room, f"m{i}") for i in range(40)]
    bob = await Chat.connect(tenant, "bob", slot=1)
    await bob.wait_seq(room, 40)
    for i, m in enumerate(told):
        editing = asyncio.ensure_future(
            asyncio.to_thread(put, ann, room, m, "edited"))
        if i % 10 == 5:
            old = server.kill("writer")
            await asyncio.to_thread(
                server.wait_respawn, "writer", None, old)
        await editing
    await bob.until(lambda: len(changes(bob.log, room)) >= 40)
    await bob.barrier()
    assert changes(bob.log, room) == \
        [("message.edited", i, i) for i in range(1, 41)]
    await bob.close()
