# SPDX-License-Identifier: MIT
"""A disk that is full or broken, by system calls of the writer that fail.

An error answer means that nothing was stored; a success answer means that it
is on disk; and when the disk is well again, so is the server.
"""
import asyncio

from chat import Chat, close_all
from client import Rest, Tenant
from harness import until
from strace import strace       # noqa: F401 (a fixture)


def health(server):
    return Rest(server).get("/health")


async def test_full_disk(start_server, strace):     # noqa: F811
    server = start_server(workers=2)
    tenant = Tenant(server)
    ann = tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    chat = await Chat.connect(tenant, "bob", slot=1)
    ann.say(room, "before")
    pid = server.pid_of("writer")
    trace = await asyncio.to_thread(
        strace, pid, "pwrite64", inject="pwrite64:error=ENOSPC")
    for i in range(3):
        got = await asyncio.to_thread(
            ann.post, f"/rooms/{room}/messages", {"content": f"no {i}"})
        got.error(503, "unavailable")
        assert int(got.headers["retry-after"]) >= 1
        got = await chat.ask("error", "send_message", room_id=room,
                             content=f"nor {i}")
        assert got["code"] == "unavailable" and got["temporary"] is True
    ann.post("/rooms", {"type": "group", "members": []}).error(503)
    ann.post("/acks", {"room_id": room, "seq": 1}).error(503)
    sick = health(server)
    assert sick.status == 503
    assert sick.json["status"] == "error"
    assert sick.json["db_writable"] is False
    # What can be read is read.
    assert [m["content"] for m in ann.history(room)] == ["before"]
    await asyncio.to_thread(trace.stop)
    await asyncio.to_thread(
        until, lambda: health(server).status == 200, "it was well again")
    sent = await asyncio.to_thread(ann.say, room, "after")
    assert sent["seq"] == 2
    await chat.wait_seq(room, 2)
    assert [m["content"] for m in ann.history(room)] == ["before", "after"]
    assert len(ann.get("/rooms").expect(200)["rooms"]) == 1
    assert server.pid_of("writer") == pid
    await chat.close()


async def test_failed_sync(start_server, strace):   # noqa: F811
    """Nobody can say what is on disk then: the next writer looks, and each
    message is stored and answered once."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    chats = [await Chat.connect(tenant, u, slot=i)
             for i, u in enumerate(("ann", "bob"))]
    await chats[0].say(room, "before")
    old = server.pid_of("writer")
    trace = await asyncio.to_thread(
        strace, old, "fdatasync,fsync",
        inject="fdatasync,fsync:error=EIO:when=1")
    await asyncio.gather(*(c.say(room, f"by {c.slot}") for c in chats))
    await asyncio.to_thread(trace.process.wait, 30)
    assert server.pid_of("writer") != old
    await chats[0].say(room, "after")
    for c in chats:
        await c.wait_seq(room, 4)
        assert c.seqs(room) == [1, 2, 3, 4]
    contents = [m["content"] for m in tenant.backend().history(room)]
    assert contents[0] == "before" and contents[3] == "after"
    assert set(contents[1:3]) == {"by 0", "by 1"}
    await close_all(chats)
