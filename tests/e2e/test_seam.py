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
