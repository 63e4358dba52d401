# SPDX-License-Identifier: MIT
"""The writer dies at each step of one message: done once, told once.

Messages bear no client_msg_id here: what a client has handed over must not
be stored twice by the processes themselves.
"""
import asyncio
import contextlib
import os
import signal

import pytest

from chat import Chat, close_all
from client import Tenant
from harness import scaled
from strace import strace       # noqa: F401 (a fixture)

SENDS = "write,writev,sendto,sendmsg,sendmmsg"


async def dies_at(server, strace, inject):      # noqa: F811
    """Arms the death of the present writer; returns its pid."""
    pid = server.pid_of("writer")
    await asyncio.to_thread(strace, pid, inject.partition(":")[0],
                            inject=inject + ":signal=SIGKILL")
    return pid


def end(server, pid):
    """That writer, too, if it has not died of what was injected."""
    if server.children().get("writer") == pid:
        with contextlib.suppress(ProcessLookupError):   # it has just now
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("inject", [
    "pwrite64:when=1", "pwrite64:when=2", "fdatasync,fsync:when=1",
    f"{SENDS}:when=1", f"{SENDS}:when=2", f"{SENDS}:when=3",
    f"{SENDS}:when=4"])
async def test_dies_at_a_call(start_server, strace, inject):    # noqa: F811
    server = start_server(workers=2)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    ann = await Chat.connect(tenant, "ann", slot=0)
    bob = await Chat.connect(tenant, "bob", slot=1)
    await ann.say(room, "to warm up")
    pid = await dies_at(server, strace, inject)
    rest = tenant.user("bob", slot=1)
    for i in range(4):
        asked = asyncio.ensure_future(ann.say(room, f"by websocket {i}"))
        sent = (await asyncio.to_thread(
            rest.say, room, f"by rest {i}"), await asked)
        assert sorted(m["seq"] for m in sent) == [2 * i + 2, 2 * i + 3]
    # strace, which sees it die, may end later than the next one answers.
    assert server.children().get("writer") != pid, \
        "the writer was not killed"
    await asyncio.to_thread(server.wait_respawn, "writer", None, pid)
    stored = tenant.backend().history(room)
    assert [m["seq"] for m in stored] == list(range(1, 10))
    assert len({m["content"] for m in stored}) == 9
    for c in (ann, bob):
        await c.wait_seq(room, 9)
        await c.barrier()
        assert [(m["seq"], m["content"]) for m in c.of("message")] == \
            [(m["seq"], m["content"]) for m in stored]
    assert len(ann.of("message.sent")) == 5
    await close_all([ann, bob])


@pytest.mark.parametrize("inject", [
    "fdatasync,fsync:when=1", f"{SENDS}:when=1", f"{SENDS}:when=2"])
async def test_dies_making_and_filling_rooms(start_server, strace,
                                             inject):   # noqa: F811
    """Rooms and members, too, are made once and told once."""
    server = start_server(workers=1)
    tenant = Tenant(server)
    bob = await Chat.connect(tenant, "bob")
    # What is in his list of rooms is no news to him.
    await bob.wait("sync.complete")
    ann = tenant.user("ann")
    first = ann.make_room([])["room_id"]
    for operation in ("room", "members", "ack", "remove"):
        if operation == "remove":
            # He was in it, and has got all of it.
            await bob.wait_seq(first, 1)
        pid = await dies_at(server, strace, inject)
        if operation == "room":
            made = await asyncio.to_thread(ann.make_room, ["bob"])
            await bob.wait("room.joined", room_id=made["room_id"])
        elif operation == "members":
            (await asyncio.to_thread(
                ann.post, f"/rooms/{first}/members",
                {"user_id": "bob"})).expect(200)
            ann.say(first, "x")
        elif operation == "ack":
            (await asyncio.to_thread(
                ann.post, "/acks", {"room_id": first, "seq": 1})).expect(200)
        else:
            (await asyncio.to_thread(
                ann.delete, f"/rooms/{first}/members/bob")).expect(204)
        end(server, pid)
        await asyncio.to_thread(server.wait_respawn, "writer", None, pid)
    await bob.wait("room.left", room_id=first)
    await bob.barrier()
    assert [r["room_id"] for r in
            ann.get("/rooms").expect(200)["rooms"]] == [
                first, made["room_id"]]
    assert [f["room_id"] for f in bob.of("room.joined")] == [
        made["room_id"], first]
    assert len(bob.of("room.left")) == 1
    assert bob.seqs(first) == [1]
    await bob.close()


@pytest.mark.parametrize("inject", [
    "fdatasync,fsync:when=1", f"{SENDS}:when=1", f"{SENDS}:when=2"])
async def test_dies_changing_things(start_server, strace,
                                    inject):    # noqa: F811
    """Edits, deletions and changes of rooms: each is done once, and told."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    ann = tenant.user("ann", slot=0)
    room = ann.make_room(["bob"], name="old")
    room_id = room["room_id"]
    kept, gone = [ann.say(room_id, f"{i}") for i in range(2)]
    bob = await Chat.connect(tenant, "bob", slot=1)
    await bob.wait("sync.complete")
    path = f"/rooms/{room_id}"
    answers = []
    for method, tail, body, status in (
            ("PUT", f"/messages/{kept['message_id']}", {"content": "a"}, 200),
            ("PUT", f"/messages/{kept['message_id']}", {"content": "b"}, 200),
            ("DELETE", f"/messages/{gone['message_id']}", None, 204),
            ("PATCH", "", {"name": "new"}, 200),
            ("DELETE", "", None, 204)):
        if status == 204 and not tail:
            # All of it was told, before the room goes.
            await bob.until(lambda: bob.of("message.deleted") and
                            bob.of("room.updated"))
            assert await asyncio.to_thread(ann.history, room_id) == [
                answers[1], answers[2]]
        pid = await dies_at(server, strace, inject)
        reply = await asyncio.to_thread(ann.call, method, path + tail, body)
        reply.expect(status)
        end(server, pid)
        await asyncio.to_thread(server.wait_respawn, "writer", None, pid)
        answers.append(reply.json if status == 200 else await
                       asyncio.to_thread(read_message, ann, path + tail))
    await bob.wait("room.deleted", room_id=room_id)
    assert [a.get("rev") for a in answers[:3]] == [1, 2, 3]
    assert answers[3] == {**room, "name": "new", "last_seq": 2}
    revs = [f["rev"] for f in bob.of("message.edited")]
    assert revs == sorted(set(revs)) and revs[-1] == 2
    assert [f["rev"] for f in bob.of("message.deleted")] == [3]
    assert bob.of("room.updated")[-1]["room"] == answers[3]
    assert len(bob.of("room.deleted")) == 1
    await bob.close()


def read_message(caller, path):
    """A message as it now stands; None for what has no such path."""
    reply = caller.get(path)
    return reply.json if reply.status == 200 else None


async def test_dies_under_load(start_server):
    """Again and again with hundreds of messages in flight."""
    server = start_server(workers=3)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    chats = [await Chat.connect(tenant, "ann", slot=i) for i in range(3)]
    bob = await Chat.connect(tenant, "bob", slot=1)
    stopped = asyncio.Event()

    async def talk(c):
        sent = 0
        while not stopped.is_set():
            while sent - len(c.answers) >= 64:
                await asyncio.sleep(0.001)
            sent += 1
            await c.send("send_message", room_id=room,
                         content=f"{c.slot} {sent}", request_id=str(sent))
        await c.until(lambda: len(c.answers) == sent)
        return sent

    def note(c, frame):
        if frame["type"] == "message.sent":
            c.answers.append((frame["request_id"], frame["seq"]))

    for c in chats:
        c.answers = []
        c.on_frame = note
    tasks = [asyncio.ensure_future(talk(c)) for c in chats]
    for _ in range(scaled(10, 5)):
        await asyncio.sleep(0.55)
        old = server.kill("writer")
        await asyncio.to_thread(server.wait_respawn, "writer", None, old)
    stopped.set()
    counts = await asyncio.gather(*tasks)
    stored = await asyncio.to_thread(tenant.backend().history, room)
    assert [m["seq"] for m in stored] == list(range(1, sum(counts) + 1))
    where = {m["content"]: m["seq"] for m in stored}
    assert len(where) == len(stored)
    for c, count in zip(chats, counts):
        assert [(f"{c.slot} {n}", seq) for n, seq in c.answers] == \
            [(f"{c.slot} {n}", where[f"{c.slot} {n}"])
             for n in range(1, count + 1)]
    for c in chats + [bob]:
        await c.wait_seq(room, len(stored))
        assert c.seqs(room) == [m["seq"] for m in stored]
    await close_all(chats + [bob])
