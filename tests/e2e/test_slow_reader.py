# SPDX-License-Identifier: MIT
"""Who does not read costs a cursor, not a queue, and loses nothing."""
import asyncio
import json
import os
import time

from chat import Chat, close_all
from client import Tenant
from harness import DEADLINE, SANITIZERS, proc_rss, scaled
from raw import TEXT, open_raw, text

MIB = 1 << 20
# What was freed stays with the address sanitizer for a while: little of it,
# and its shadow, so that the memory measured is still the server's.
GROWTH = (12 if SANITIZERS else 8) * MIB
LEAN = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")
        + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
        ":allocator_release_to_os_interval_ms=100"}


async def test_stops_reading_while_20_mib_arrive(start_server,
                                                 record_property):
    count = 5000
    server = start_server(workers=3, env=LEAN)
    tenant = Tenant(server)
    users = ["ann", "slow", "bob", "carl", "dora"]
    room = tenant.backend().make_room(users)["room_id"]
    side = tenant.backend().make_room(["bob", "carl"])["room_id"]
    # One fast reader shares the slow one's worker.
    ann = await Chat.connect(tenant, "ann", slot=0)
    fast = [await Chat.connect(tenant, u, slot=i)
            for i, u in enumerate(["bob", "carl", "dora"])]
    slow = open_raw(tenant, "slow", slot=1, rcvbuf=16384)
    assert slow.read_json("sync.complete")
    content = "x" * 4096
    # Everything warm before the measure is taken.
    for _ in range(50):
        await ann.say(room, content)
    for c in fast:
        await c.wait_seq(room, 50)
    pids = server.worker_pids()
    before = [proc_rss(p) for p in pids]
    most = list(before)
    delays = []

    def sample():
        for i, p in enumerate(pids):
            most[i] = max(most[i], proc_rss(p))

    async def probe():
        """How long a message takes while the others pile up."""
        while ann.seqs_seen < count:
            began = time.monotonic()
            sent = await fast[0].say(side, "probe")
            await fast[1].wait("message", room_id=side, seq=sent["seq"])
            delays.append(time.monotonic() - began)
            sample()
            await asyncio.sleep(0.05)

    async def pour():
        for _ in range(50, count):
            while ann.flying >= 32:
                await ann.wait("message.sent")
                ann.flying -= 1
            ann.flying += 1
            await ann.send("send_message", room_id=room, content=content)
            ann.seqs_seen += 1

    ann.flying, ann.seqs_seen = 0, 50
    probing = asyncio.ensure_future(probe())
    await pour()
    await probing
    # The others have all of it while the slow one has not read a byte.
    for c in fast:
        await c.wait_seq(room, count)
        assert c.seqs(room) == list(range(1, count + 1))
    sample()
    growth = [(m - b) / MIB for m, b in zip(most, before)]
    record_property("rss growth of the workers, MiB",
                    ", ".join(f"{g:.1f}" for g in growth))
    record_property("longest delay of another room, s",
                    f"{max(delays):.3f}")
    assert max(growth) * MIB <= GROWTH, growth
    # Who had to wait for the slow one would wait for a minute.
    assert max(delays) < DEADLINE / 2, max(delays)

    # It reads again and gets everything, in order.
    def read_all():
        want = 1
        while want <= count:
            _, opcode, payload = slow.read_frame()
            if opcode != TEXT:
                continue
            got = json.loads(payload)
            if got["type"] == "message":
                assert got["seq"] == want and got["content"] == content
                want += 1

    reading = asyncio.get_running_loop().run_in_executor(None, read_all)
    while not reading.done():
        sample()
        await asyncio.wait([reading], timeout=0.05)
    await reading
    growth = [(m - b) / MIB for m, b in zip(most, before)]
    assert max(growth) * MIB <= GROWTH, growth
    # And is live again.
    sent = await ann.say(room, "live")
    got = await asyncio.to_thread(slow.read_json, "message")
    assert got["seq"] == sent["seq"] == count + 1
    slow.close()
    await close_all(fast + [ann])


async def test_many_who_stop_reading(start_server):
    """Twenty stalled devices at once; each comes back to all of it."""
    count = scaled(400, 150)
    server = start_server(workers=2)
    tenant = Tenant(server)
    users = [f"user{i}" for i in range(20)]
    room = tenant.backend().make_room(users + ["ann"])["room_id"]
    stalled = [open_raw(tenant, u, rcvbuf=8192) for u in users]
    ann = await Chat.connect(tenant, "ann")
    for i in range(count):
        await ann.say(room, "y" * 4096)
    await ann.wait_seq(room, count)

    def read_all(c):
        seqs = []
        while len(seqs) < count:
            seqs.append(c.read_json("message")["seq"])
        c.close()
        return seqs

    for c in stalled:
        seqs = await asyncio.to_thread(read_all, c)
        assert seqs == list(range(1, count + 1))
    await ann.close()


async def test_sends_without_reading_its_answers(start_server):
    """A client that only writes is not read from any more, and its
    messages are neither lost nor doubled when it reads at last."""
    count = scaled(3000, 1000)
    server = start_server(workers=1, env=LEAN)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    raw = open_raw(tenant, "ann", rcvbuf=8192)
    pid = server.pid_of("worker", 0)
    before = proc_rss(pid)

    def push():
        raw.sock.settimeout(None)
        for i in range(count):
            raw.sock.sendall(text({
                "type": "send_message", "room_id": room,
                "content": "z" * 2000, "request_id": str(i)}))

    pushing = asyncio.get_running_loop().run_in_executor(None, push)
    # Somebody else is served all the while.
    bob = await Chat.connect(tenant, "bob")
    for _ in range(20):
        await bob.barrier()
    assert proc_rss(pid) - before <= GROWTH

    def pull():
        answers = []
        while len(answers) < count:
            got = raw.read_json()
            assert got["type"] != "error", got
            if got["type"] == "message.sent":
                answers.append(got["request_id"])
        return answers

    answers = await asyncio.to_thread(pull)
    await pushing
    assert answers == [str(i) for i in range(count)]
    await bob.wait_seq(room, count)
    assert bob.seqs(room) == list(range(1, count + 1))
    raw.close()
    await bob.close()


def clogged(start_server):
    """A reader who has stopped, with more waiting than he may have
    unsent."""
    server = start_server(workers=1, env=LEAN)
    tenant = Tenant(server)
    room = tenant.backend().make_room(["ann", "slow"])["room_id"]
    slow = open_raw(tenant, "slow", rcvbuf=4096)
    slow.read_json("sync.complete")
    ann = tenant.user("ann")
    for _ in range(60):
        ann.say(room, "x" * 16000)
    return server, tenant, room, slow


def test_joins_many_rooms_while_not_reading(start_server):
    """More of them than can be told at once: each is told, and fed."""
    _, tenant, _, slow = clogged(start_server)
    rooms = [tenant.backend().make_room(["ann", "slow"],
                                        metadata="y" * 15000)["room_id"]
             for _ in range(30)]
    joined = [slow.read_json("room.joined")["room_id"] for _ in rooms]
    assert sorted(joined) == sorted(rooms)
    ann = tenant.user("ann")
    for room in rooms:
        ann.say(room, "live")
    heard = set()
    while heard != set(rooms):
        got = slow.read_json("message")
        if got["content"] == "live":
            heard.add(got["room_id"])


def test_subscribes_without_reading_cost_no_memory(start_server):
    server, _, room, slow = clogged(start_server)
    pid = server.pid_of("worker", 0)
    before = proc_rss(pid)
    flood = text({"type": "subscribe", "room_id": room,
                  "request_id": "\x01" * 100}) * 100
    slow.sock.settimeout(2)
    sent = 0
    try:
        while sent < 20 * MIB:
            sent += slow.sock.send(flood)
    except TimeoutError:
        pass
    assert sent < 20 * MIB, "the worker never stopped reading"
    assert proc_rss(pid) - before < GROWTH / 2
    # And it gets its messages and the answers.
    slow.sock.settimeout(DEADLINE)
    seqs, answers = [], 0
    while answers < 100:
        got = slow.read_json()
        if got["type"] == "message":
            seqs.append(got["seq"])
        answers += got["type"] == "sync.complete"
    assert seqs == list(range(1, 61))
