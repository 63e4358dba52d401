# SPDX-License-Identifier: MIT
"""A worker reads what has been stored before it hears that it was: the
master, which passes the news on, stands still."""
import asyncio
import contextlib
import os
import signal

from chat import Chat, close_all
from client import Tenant


@contextlib.contextmanager
def no_news(server):
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def start(start_server):
    server = start_server(workers=2)
    tenant = Tenant(server)
    backend = tenant.backend(slot=0)
    bob = await Chat.connect(tenant, "bob", slot=1)
    await bob.wait("sync.complete")
    return server, tenant, backend, bob


async def news_came(backend, bob):
    """Everything that was held up has reached bob's worker."""
    last = await asyncio.to_thread(backend.make_room, ["bob"], name="last")
    await bob.wait("room.joined", room_id=last["room_id"])
    await bob.barrier()


async def test_room_read_before_it_is_announced(start_server):
    """Who subscribes at once is told of his new room all the same, and of
    what becomes of it."""
    server, tenant, backend, bob = await start(start_server)
    with no_news(server):
        room = (await asyncio.to_thread(
            backend.make_room, ["bob"], name="old"))["room_id"]
        await bob.send("subscribe", room_id=room)
        await bob.wait("room.joined", room_id=room)
        (await asyncio.to_thread(
            backend.call, "PATCH", f"/rooms/{room}",
            {"name": "new"})).expect(200)
    got = await bob.wait("room.updated", room_id=room)
    assert got["room"]["name"] == "new"
    await news_came(backend, bob)
    assert len(bob.of("room.joined", room_id=room)) == 1
    await close_all([bob])


async def test_back_in_the_room_before_the_removal_is_known(start_server):
    """Nothing is sent twice to who was read as a member again."""
    server, tenant, backend, bob = await start(start_server)
    room = (await asyncio.to_thread(
        backend.make_room, ["ann", "bob"]))["room_id"]
    await bob.wait("room.joined", room_id=room)
    ann = tenant.user("ann", slot=0)
    ann.say(room, "one")
    await bob.wait_seq(room, 1)
    with no_news(server):
        backend.delete(f"/rooms/{room}/members/bob").expect(204)
        backend.post(f"/rooms/{room}/members",
                     {"user_id": "bob"}).expect(200)
        ann.say(room, "two")
        await bob.ask("sync.complete", "subscribe", room_id=room,
                      after_seq=1)
        assert bob.seqs(room) == [1, 2]
    await news_came(backend, bob)
    await asyncio.to_thread(ann.say, room, "three")
    await bob.wait_seq(room, 3)
    assert bob.seqs(room) == [1, 2, 3]
    # He is in it as far as he was told.
    told = [f["type"] for f in bob.log if f.get("room_id") == room and
            f["type"] in ("room.joined", "room.left")]
    assert told[-1] == "room.joined"
    await close_all([bob])


async def test_removal_and_deletion_read_before_they_are_announced(
        start_server):
    """Each is told once, and a subscribe is answered once."""
    server, tenant, backend, bob = await start(start_server)
    left, gone = [(await asyncio.to_thread(
        backend.make_room, ["ann", "bob"]))["room_id"] for _ in range(2)]
    ann = tenant.user("ann", slot=0)
    for room in left, gone:
        await bob.wait("room.joined", room_id=room)
        ann.say(room, "one")
        await bob.wait_seq(room, 1)
    with no_news(server):
        backend.delete(f"/rooms/{left}/members/bob").expect(204)
        ann.say(left, "not for bob")
        backend.delete(f"/rooms/{gone}").expect(204)
        for room in left, gone:
            await bob.send("subscribe", room_id=room, after_seq=0,
                           request_id=room)
        await bob.wait("room.deleted", room_id=gone)
        assert (await bob.wait("error", request_id=gone))["code"] == \
            "not_found"
        await bob.barrier()
        assert bob.seqs(left) == [1]
    await bob.wait("room.left", room_id=left)
    assert (await bob.wait("error", request_id=left))["code"] == "forbidden"
    await news_came(backend, bob)
    for room in left, gone:
        assert bob.seqs(room) == [1]
        assert len([f for f in bob.log if f.get("request_id") == room]) == 1
    assert len(bob.of("room.deleted")) == len(bob.of("room.left")) == 1
    await close_all([bob])


async def test_changes_read_before_they_are_announced(start_server):
    server, tenant, backend, bob = await start(start_server)
    room = (await asyncio.to_thread(
        backend.make_room, ["ann", "bob"]))["room_id"]
    ann = tenant.user("ann", slot=0)
    sent = [ann.say(room, f"{i}")["message_id"] for i in range(3)]
    await bob.wait_seq(room, 3)
    path = f"/rooms/{room}/messages/"
    with no_news(server):
        ann.call("PUT", path + sent[0], {"content": "0!"}).expect(200)
        ann.delete(path + sent[1]).expect(204)
        new = ann.say(room, "3")["message_id"]
        ann.call("PUT", path + new, {"content": "3!"}).expect(200)
        got = await bob.ask("sync.complete", "subscribe", room_id=room,
                            rev=0)
        assert got["heads"] == {room: {"seq": 4, "rev": 3}}
    await news_came(backend, bob)
    ann.call("PUT", path + sent[2], {"content": "2!"}).expect(200)
    await bob.wait("message.edited", rev=4)
    told = [(f["type"], f["seq"], f.get("rev"), f.get("content"))
            for f in bob.log if f.get("room_id") == room and "seq" in f]
    assert told == [("message", 1, None, "0"), ("message", 2, None, "1"),
                    ("message", 3, None, "2"),
                    ("message.edited", 1, 1, "0!"),
                    ("message.deleted", 2, 2, None),
                    ("message", 4, 3, "3!"),
                    ("message.edited", 3, 4, "2!")]
    await close_all([bob])
