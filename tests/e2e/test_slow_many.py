# SPDX-License-Identifier: MIT
"""A thousand members of a busy room who stop reading cost little, hold up
nobody, and get every message once when they read again."""
import asyncio

from chat import Chat, close_all
from client import Tenant
from harness import SANITIZERS, SLOW, proc_rss, scaled
from many import Herd
from test_slow_reader import LEAN

KIB = 1 << 10
# What may be unsent for a connection is 32 KiB and the frame that went
# beyond, each of its own while it is fed from the log; twice that, for what
# the allocator rounds up and does not give back.  The worker's own caches
# and the address sanitizer's shadow come on top.
EACH = 2 * (32 + 5) * KIB
ONCE = (40 if SANITIZERS else 12) * KIB * KIB
SIZE = 4096


async def test_many_stalled_in_a_busy_room(start_server, record_property):
    count, stalled = scaled(120, 80), scaled(1000, 90)
    server = start_server(workers=3, env=LEAN)
    tenant = Tenant(server)
    users = [f"slow{i}" for i in range(stalled)]
    live = [f"live{i}" for i in range(6)]
    backend = tenant.backend()
    room = backend.make_room(live + ["ann"])["room_id"]
    for at in range(0, stalled, 1000):
        backend.post(f"/rooms/{room}/members",
                     {"user_ids": users[at:at + 1000]}).expect(200)
    ann = await Chat.connect(tenant, "ann")
    chats = [await Chat.connect(tenant, u, slot=i % 3)
             for i, u in enumerate(live)]
    herd = await asyncio.to_thread(Herd, tenant, users, 65536)
    try:
        await run_herd(server, ann, chats, herd, room, count,
                       record_property)
    finally:
        herd.close()
    await close_all(chats + [ann])


async def run_herd(server, ann, chats, herd, room, count, record_property):
    def settle():
        herd.read_until(lambda m: m.synced, "synced")

    await asyncio.to_thread(settle)
    slots = [m.slot for m in herd.members]
    assert set(slots) == {0, 1, 2}, "a worker has none of them"
    # Everything warm before the measure is taken.
    content = "x" * SIZE
    for _ in range(5):
        await ann.say(room, content)
    await asyncio.to_thread(
        herd.read_until, lambda m: m.last == 5, "all had the first five")
    pids = server.worker_pids()
    before = [proc_rss(p) for p in pids]

    herd.stop_reading(herd.members)
    most = list(before)
    for _ in range(count):
        await ann.say(room, content)
        most = [max(m, proc_rss(p)) for m, p in zip(most, pids)]
    # Nobody else waits for them: all of it is there before they read.
    last = 5 + count
    for c in chats:
        await c.wait_seq(room, last)
        assert c.seqs(room) == list(range(1, last + 1))
    assert all(m.last == 5 for m in herd.members)

    # They read again at different times, while the room goes on.
    group = -(-len(herd.members) // 8)
    for at in range(0, len(herd.members), group):
        herd.read_again(herd.members[at:at + group])
        for _ in range(3):
            last = (await ann.say(room, content))["seq"]
        await asyncio.to_thread(herd.turn, 0.01)
        most = [max(m, proc_rss(p)) for m, p in zip(most, pids)]
    await asyncio.to_thread(herd.read_until, lambda m: m.last >= last,
                            "all had caught up", 240 if SLOW else 120)
    most = [max(m, proc_rss(p)) for m, p in zip(most, pids)]
    assert herd.faults() == []
    assert all(m.last == last for m in herd.members)
    # And all of them are live again.
    last = (await ann.say(room, "live"))["seq"]
    await asyncio.to_thread(herd.read_until, lambda m: m.last == last,
                            "all were live again")
    assert herd.faults() == []
    for c in chats:
        await c.wait_seq(room, last)
        assert c.seqs(room) == list(range(1, last + 1))
    for i, (a, b) in enumerate(zip(before, most)):
        n = slots.count(i)
        record_property(f"worker {i}: bytes a stalled connection",
                        (b - a) // n)
        assert b - a <= ONCE + n * EACH, \
            f"worker {i} grew by {b - a} bytes for {n} stalled connections"
