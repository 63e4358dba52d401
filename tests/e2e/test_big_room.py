# SPDX-License-Identifier: MIT
"""A channel with fifty thousand members: everything works, each of the
connected gets everything, and nothing costs more for those who are not."""
import asyncio
import statistics

from chat import Chat, close_all
from client import Tenant
from harness import proc_io, scaled
from many import Herd

MEMBERS = scaled(50000, 5000)
CONNECTED = scaled(200, 60)
BATCH = 1000
MESSAGES = 30
PAGE = 4096


def name(i):
    return f"user{i:06}"


def page_through(backend, room):
    """All members, by pages as large as there are."""
    out, cursor, pages = [], "", 0
    while cursor is not None:
        page = backend.get(f"/rooms/{room}/members?limit=1000{cursor}") \
            .expect(200)
        out += page["members"]
        pages += 1
        assert len(page["members"]) <= 1000
        cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]
    return out, pages


def add_all(backend, room):
    for at in range(0, MEMBERS, BATCH):
        backend.post(f"/rooms/{room}/members", {
            "user_ids": [name(i) for i in range(at, at + BATCH)]}) \
            .expect(200)


async def test_channel_of_fifty_thousand(start_server):
    server = start_server(workers=3)
    tenant = Tenant(server)
    backend = tenant.backend()
    room = backend.make_room([], "channel", name="all of them")["room_id"]
    # A message from before they join is there to read, and is not sent.
    # The sender joins first and stays.
    tenant.user("zoe").post(f"/rooms/{room}/members",
                            {"user_id": "zoe"}).expect(200)
    tenant.user("zoe").say(room, "before")
    step = MEMBERS // CONNECTED
    users = [name(i * step) for i in range(CONNECTED)]
    # One of each three is connected while he is added, in a batch of many.
    early = await asyncio.gather(*(Chat.connect(tenant, u)
                                   for u in users[::3]))
    for c in early:
        await c.wait("sync.complete")
    await asyncio.to_thread(add_all, backend, room)
    for c in early:
        await c.wait("room.joined", room_id=room)
    late = await asyncio.to_thread(
        Herd, tenant, [u for i, u in enumerate(users) if i % 3], 1 << 17)
    try:
        for m in late.members:
            m.last = 1          # of before they joined
        await asyncio.to_thread(late.read_until, lambda m: m.synced,
                                "synced")
        assert {m.slot for m in late.members} == {0, 1, 2}
        await use(tenant, backend, room, users, early, late)
    finally:
        late.close()
    await close_all(early)


async def use(tenant, backend, room, users, early, late):
    members, pages = await asyncio.to_thread(page_through, backend, room)
    assert [m["user_id"] for m in members] == \
        [name(i) for i in range(MEMBERS)] + ["zoe"]
    assert {m["role"] for m in members} == {"member"}
    assert pages == -(-(MEMBERS + 1) // 1000)

    # By REST and by WebSocket, from members all over.
    rest = [tenant.user(u) for u in users[1:4]]
    for i in range(MESSAGES):
        if i % 2:
            await early[i % len(early)].say(room, f"message {i}")
        else:
            await asyncio.to_thread(rest[i % 3].say, room, f"message {i}")
    last = 1 + MESSAGES
    await asyncio.to_thread(late.read_until, lambda m: m.last >= last,
                            "had all messages")
    for c in early:
        await c.wait_seq(room, last)
        assert c.seqs(room) == list(range(2, last + 1))
        assert len(c.of("room.joined")) == 1
    assert late.faults() == []

    # An ack moves the one's own cursor and tells nobody else.
    got = await early[0].ask("ack.received", "ack", room_id=room, seq=last)
    assert got["seq"] == last
    mine = tenant.user(users[0]).get("/rooms").expect(200)["rooms"]
    assert [(r["room_id"], r["last_seq"], r["last_ack"], r["unread_count"])
            for r in mine] == [(room, last, last, 0)]
    # Behind the next message its absence is certain.
    last = (await early[1].say(room, "after the ack"))["seq"]
    for c in early:
        await c.wait_seq(room, last)
    assert all(not c.of("ack.received") for c in early[1:])

    # Somebody joins by himself, hears what comes, leaves, hears no more.
    nina = await Chat.connect(tenant, "nina")
    await nina.wait("sync.complete")
    as_nina = tenant.user("nina")
    await asyncio.to_thread(lambda: as_nina.post(
        f"/rooms/{room}/members", {"user_id": "nina"}).expect(200))
    await nina.wait("room.joined", room_id=room)
    heard = (await early[0].say(room, "hello nina"))["seq"]
    await nina.wait_seq(room, heard)
    assert nina.seqs(room) == [heard]
    await asyncio.to_thread(lambda: as_nina.delete(
        f"/rooms/{room}/members/nina").expect(204))
    await nina.wait("room.left", room_id=room)
    last = (await early[0].say(room, "nina is gone"))["seq"]
    await nina.barrier()
    assert nina.seqs(room) == [heard]
    await nina.close()
    # One of the many is removed by the backend.
    gone = early[-1]
    await asyncio.to_thread(lambda: backend.delete(
        f"/rooms/{room}/members/{users[::3][-1]}").expect(204))
    await gone.wait("room.left", room_id=room)
    last = (await early[0].say(room, "one less"))["seq"]
    await asyncio.to_thread(late.read_until, lambda m: m.last >= last,
                            "had the last message")
    await gone.barrier()
    assert max(gone.seqs(room)) == last - 1
    assert late.faults() == []
    members, _ = await asyncio.to_thread(page_through, backend, room)
    assert len(members) == MEMBERS


# ---- cost ----

OPERATIONS = 25


def cost(pids, role, act):
    """Bytes that such processes read or write for one act(): the median,
    so that a checkpoint now and then does not count."""
    what = "wchar" if role == "writer" else "rchar"
    mine = [p for n, p in pids.items() if n.startswith(role)]

    def sample():
        return sum(proc_io(p)[what] for p in mine)

    spent = []
    for i in range(OPERATIONS):
        before = sample()
        act(i)
        spent.append(sample() - before)
    return statistics.median(spent)


def costs(server, tenant, room, users):
    """Of one operation in this room, each answered before the next."""
    pids = server.children()
    sender = tenant.user(users[0])
    ackers = [tenant.user(u) for u in users[:OPERATIONS]]
    guests = [tenant.user(f"{room[-6:]}guest{i}") for i in range(OPERATIONS)]
    members = f"/rooms/{room}/members"

    def send(i):
        sender.say(room, f"message {i}")

    def ack(i):
        ackers[i].post("/acks", {"room_id": room, "seq": 1}).expect(200)

    def join(i):
        guests[i].post(members, {
            "user_id": guests[i].headers["X-User-Id"]}).expect(200)

    def leave(i):
        guests[i].delete(
            f"{members}/{guests[i].headers['X-User-Id']}").expect(204)

    return {f"{role}: {act.__name__}": cost(pids, role, act)
            for act in (send, ack, join, leave)
            for role in (("writer", "worker") if act is send
                         else ("writer",))}


async def test_cost_does_not_grow_with_members(start_server,
                                               record_property):
    """What a message, an ack, a join and a leave write to disk is the same
    in a room of fifty thousand as in one of two hundred: a few pages.  (The
    way to a member's row is a page or two longer.)  And workers read
    nothing for a message."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    backend = tenant.backend()
    users = [name(i * (MEMBERS // CONNECTED)) for i in range(CONNECTED)]
    small = backend.make_room(users, "channel")["room_id"]
    big = backend.make_room([], "channel")["room_id"]
    await asyncio.to_thread(add_all, backend, big)
    herd = await asyncio.to_thread(Herd, tenant, users, 1 << 17)
    try:
        await asyncio.to_thread(herd.read_until, lambda m: m.synced,
                                "synced")
        # Once for whatever is done at the first time only.
        for room in (small, big):
            tenant.user(users[0]).say(room, "first")
        few = await asyncio.to_thread(costs, server, tenant, small, users)
        many = await asyncio.to_thread(costs, server, tenant, big, users)
    finally:
        herd.close()
    record_property("small room", few)
    record_property("big room", many)
    for what, spent in few.items():
        assert many[what] <= spent + 4 * PAGE, (what, few, many)
        assert what.startswith("worker") or 0 < spent < 20 * PAGE, few
