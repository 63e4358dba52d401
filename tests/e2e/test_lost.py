# SPDX-License-Identifier: MIT
"""A worker that misses records, because it stood still and the queue to it
was dropped, finds out all of what it missed."""
import asyncio
import json
import os
import signal

from chat import Chat, close_all
from client import Tenant
from harness import run

# More than any queue between two processes holds.
COUNT = 3000
SIZE = 4096


async def pour(chat, room, count):
    flying = 0
    for i in range(count):
        if flying >= 64:
            await chat.wait("message.sent")
            flying -= 1
        flying += 1
        await chat.send("send_message", room_id=room,
                        content=f"{i:06}" + "x" * SIZE)
    for _ in range(flying):
        await chat.wait("message.sent")


async def test_worker_that_stood_still(start_server):
    server = start_server(workers=2)
    tenant, other = Tenant(server), Tenant(server)
    backend = tenant.backend(slot=0)
    room = backend.make_room(["ann", "bob"])["room_id"]
    left = backend.make_room(["ann", "bob"])["room_id"]
    quiet = backend.make_room(["ann", "bob"])["room_id"]
    key = tenant.key
    ann = await Chat.connect(tenant, "ann", slot=0)
    bob = await Chat.connect(tenant, "bob", slot=1)
    gone = await Chat.connect(other, "eve", slot=1)
    await bob.wait("sync.complete")
    listed = json.loads(run("-d", "file:chatapi.db", "key", "list",
                            other.id, "--json", cwd=server.dir).stdout)
    pid = server.kill("worker", 1, signal.SIGSTOP)
    try:
        # In the midst of it: one message in a room that then falls silent,
        # a new room, a removal, a revoked key.
        await pour(ann, room, COUNT // 2)
        await ann.say(quiet, "a single one")
        new = await asyncio.to_thread(backend.make_room, ["ann", "bob"])
        await ann.say(new["room_id"], "in the new one")
        (await asyncio.to_thread(
            backend.delete, f"/rooms/{left}/members/bob")).expect(204)
        await asyncio.to_thread(
            run, "-d", "file:chatapi.db", "key", "revoke", other.id,
            listed["keys"][0]["key_id"], cwd=server.dir)
        await pour(ann, room, COUNT - COUNT // 2)
    finally:
        os.kill(pid, signal.SIGCONT)
    await bob.wait_seq(room, COUNT)
    assert bob.seqs(room) == list(range(1, COUNT + 1))
    await bob.wait_seq(quiet, 1)
    await bob.wait("room.joined", room_id=new["room_id"])
    await bob.wait_seq(new["room_id"], 1)
    await bob.wait("room.left", room_id=left)
    assert await gone.wait_closed() == 4500
    # And all is live again.
    for target in (room, quiet, new["room_id"]):
        sent = await ann.say(target, "live")
        await bob.wait_seq(target, sent["seq"])
    assert "events dropped" in server.log(), "nothing was dropped"
    assert len(bob.of("room.joined")) == len(bob.of("room.left")) == 1
    assert tenant.key == key and server.pid_of("worker", 1) == pid
    await close_all([ann, bob])


async def test_sends_of_a_worker_that_stood_still(start_server):
    """What it took before is stored once; its clients get their answers."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    ann = await Chat.connect(tenant, "ann", slot=0)
    bob = await Chat.connect(tenant, "bob", slot=1)
    for turn in range(3):
        pid = server.kill("worker", 1, signal.SIGSTOP)
        for i in range(100):
            await bob.send("send_message", room_id=room,
                           content=f"{turn} {i}", request_id=f"{turn} {i}")
        for i in range(20):
            await ann.say(room, f"{turn} of ann {i}")
        os.kill(pid, signal.SIGCONT)
        for i in range(100):
            await bob.wait("message.sent", request_id=f"{turn} {i}")
    for c in (ann, bob):
        await c.wait_seq(room, 360)
        assert c.seqs(room) == list(range(1, 361))
    contents = {m["content"] for m in tenant.user("ann").history(room)}
    assert len(contents) == 360
    await close_all([ann, bob])
