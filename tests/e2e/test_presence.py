# SPDX-License-Identifier: MIT
"""Who is told of whom that he is online, on whichever worker they are.

That nothing comes is shown by something that comes behind it: changes reach
a worker, and from there its clients, in the order in which they happened.
"""
import asyncio
import time

import pytest

from chat import Chat, close_all
from client import Tenant
from harness import DEADLINE, until
from raw import open_raw

GRACE = 1.0
# Longer than any reconnect takes, however busy the machine.
LONG = {"PRESENCE_GRACE": "1h"}


@pytest.fixture
def quick(start_server):
    return start_server(workers=3, env={"PRESENCE_GRACE": f"{GRACE}s"})


@pytest.fixture
def patient(start_server):
    return start_server(workers=3, env=LONG)


async def connect(tenant, user, slot=None):
    c = await Chat.connect(tenant, user, slot=slot)
    await c.wait("sync.complete")
    return c


def told(chat, user=None):
    """What it was told, in order: [(user, status)], or of one user."""
    return [(f["user_id"], f["status"]) if user is None else f["status"]
            for f in chat.of("presence.update")
            if user in (None, f["user_id"])]


def initial(chat):
    """Of whom it had been told before sync.complete, in order."""
    out = []
    for f in chat.log:
        if f["type"] == "sync.complete":
            return out
        if f["type"] == "presence.update":
            assert f["status"] == "online", f
            out.append(f["user_id"])
    raise AssertionError("no sync.complete")


def check_alternates(chat, own):
    """online, offline, online, … of each user, and never of oneself."""
    for user in {u for u, _ in told(chat)}:
        assert user != own
        states = told(chat, user)
        want = ["online", "offline"] * len(states)
        assert states == want[:len(states)], (own, user, states)


async def come_and_go(tenant, watcher, user, slot):
    """The user is online and off again, and the watcher was told of both:
    a worker that stood still meanwhile would know only how it ended."""
    c = await connect(tenant, user, slot)
    await watcher.wait("presence.update", user_id=user, status="online")
    await c.close()
    await watcher.wait("presence.update", user_id=user, status="offline")


def add(tenant, room, *users):
    tenant.backend().post(f"/rooms/{room}/members",
                          {"user_ids": list(users)}).expect(200)


def remove(tenant, room, user):
    tenant.backend().delete(f"/rooms/{room}/members/{user}").expect(204)


async def test_sharers_on_every_worker_and_nobody_else(server, tenant):
    other = Tenant(server)
    for t in (tenant, other):
        t.backend().make_room(["ann", "bob"])
        t.backend().make_room(["ann", "zoe"])
        t.backend().make_room(["eve", "dan"])
    watchers = [await connect(tenant, "ann", i) for i in range(3)]
    eve = await connect(tenant, "eve", 1)
    foreign = await connect(other, "ann", 1)
    bob = await connect(tenant, "bob", 2)
    for c in watchers:
        f = await c.wait("presence.update")
        assert f == {"type": "presence.update", "user_id": "bob",
                     "status": "online"}
    # Told behind whatever else there might have been.
    await connect(tenant, "zoe", 0)
    await connect(tenant, "dan", 0)
    await connect(other, "zoe", 0)
    for c in watchers:
        await c.wait("presence.update", user_id="zoe")
        assert told(c) == [("bob", "online"), ("zoe", "online")]
    await eve.wait("presence.update", user_id="dan")
    assert told(eve) == [("dan", "online")]
    await foreign.wait("presence.update", user_id="zoe")
    assert told(foreign) == [("zoe", "online")]
    assert initial(bob) == ["ann"]
    assert told(bob) == [("ann", "online")]


async def test_all_who_are_online_before_sync_complete(server, tenant):
    users = [f"user {i:02}" for i in range(40)]
    backend = tenant.backend()
    for i in range(0, 40, 2):
        backend.make_room(["ann"] + users[:i + 2])
    backend.make_room(["ann", "gone"])
    backend.make_room(users + ["stranger"])
    room = backend.make_room(["ann", users[0]])["room_id"]
    for i in range(200):
        tenant.user(users[0]).say(room, f"{i}")
    online = users[:-3]
    others = [await connect(tenant, u, i % 3)
              for i, u in enumerate(online + ["stranger"])]
    for slot in range(3):
        c = await connect(tenant, "ann", slot)
        assert sorted(initial(c)) == online
        assert sorted(told(c)) == [(u, "online") for u in online]
    late = await connect(tenant, users[-1], 0)
    assert sorted(initial(late)) == sorted(online + ["ann", "stranger"])
    for c in others[:-1]:
        await c.wait("presence.update", user_id=users[-1])
        check_alternates(c, None)
        assert told(c, "ann") == ["online"]


async def test_offline_after_the_grace_once(quick):
    tenant = Tenant(quick)
    tenant.backend().make_room(["ann", "bob"])
    tenant.backend().make_room(["ann", "bob"])
    ann = await connect(tenant, "ann", 0)
    first = await connect(tenant, "bob", 1)
    second = await connect(tenant, "bob", 2)
    third = await connect(tenant, "bob", 2)
    await ann.wait("presence.update", user_id="bob", status="online")
    await close_all([first, third])
    # Longer than the grace of what has gone; measured by that of another.
    tenant.backend().make_room(["ann", "mark"])
    await come_and_go(tenant, ann, "mark", 1)
    assert told(ann, "bob") == ["online"]
    began = time.monotonic()
    await second.close()
    await ann.wait("presence.update", user_id="bob", status="offline")
    assert time.monotonic() - began >= GRACE - 0.05
    back = await connect(tenant, "bob", 0)
    await ann.wait("presence.update", user_id="bob", status="online")
    assert told(ann, "bob") == ["online", "offline", "online"]
    assert initial(back) == ["ann"]


async def test_default_grace(server, tenant):
    tenant.backend().make_room(["ann", "bob"])
    ann = await connect(tenant, "ann")
    bob = await connect(tenant, "bob")
    await ann.wait("presence.update", user_id="bob", status="online")
    began = time.monotonic()
    await bob.close()
    await ann.wait("presence.update", user_id="bob", status="offline")
    assert time.monotonic() - began >= 4.95


async def test_back_within_the_grace(patient):
    tenant = Tenant(patient)
    tenant.backend().make_room(["ann", "bob", "mark"])
    ann = await connect(tenant, "ann", 0)
    for slot in (1, 2, 1, 0):
        bob = await connect(tenant, "bob", slot)
        await bob.close()
    # In grace he counts as online, for newcomers too.
    late = await connect(tenant, "mark", 2)
    assert sorted(initial(late)) == ["ann", "bob"]
    await ann.wait("presence.update", user_id="mark")
    assert told(ann) == [("bob", "online"), ("mark", "online")]


async def test_large_rooms_have_none(quick):
    tenant = Tenant(quick)
    users = ["ann", "bob"] + [f"u{i}" for i in range(98)]
    room = tenant.backend().make_room(users)["room_id"]
    tenant.backend().make_room(["ann", "mark"])
    ann = await connect(tenant, "ann", 0)
    bob = await connect(tenant, "bob", 1)
    assert initial(bob) == ["ann"]
    await ann.wait("presence.update", user_id="bob")
    # 101: nobody hears of anybody any more.
    add(tenant, room, "one more")
    more = await connect(tenant, "one more", 1)
    await connect(tenant, "u1", 2)
    await bob.close()
    await come_and_go(tenant, ann, "mark", 1)
    assert told(ann) == [("bob", "online"), ("mark", "online"),
                         ("mark", "offline")]
    assert told(more) == []
    # 100 again: one word about each who is online, or no longer is.
    remove(tenant, room, "u97")
    await ann.wait("presence.update", user_id="bob", status="offline")
    await ann.wait("presence.update", user_id="u1", status="online")
    await ann.wait("presence.update", user_id="one more", status="online")
    await more.wait("presence.update", user_id="u1", status="online")
    await more.wait("presence.update", user_id="ann", status="online")
    assert sorted(told(ann)[3:]) == [
        ("bob", "offline"), ("one more", "online"), ("u1", "online")]
    check_alternates(ann, "ann")
    check_alternates(more, "one more")


async def test_a_shared_room_appears(server, tenant):
    backend = tenant.backend()
    side = backend.make_room(["ann", "bob"])["room_id"]
    chats = {u: await connect(tenant, u, i % 3)
             for i, u in enumerate(["ann", "bob", "carl", "dora"])}
    room = backend.make_room(["ann", "bob", "off"])["room_id"]
    await chats["bob"].wait("room.joined", room_id=room)
    # By being added, and by a room that is new.
    add(tenant, room, "carl")
    for u in ("ann", "bob"):
        await chats[u].wait("presence.update", user_id="carl")
        await chats["carl"].wait("presence.update", user_id=u)
    backend.make_room(["dora", "carl"])
    await chats["carl"].wait("presence.update", user_id="dora")
    await chats["dora"].wait("presence.update", user_id="carl")
    add(tenant, side, "dora")
    for u in ("ann", "bob"):
        await chats[u].wait("presence.update", user_id="dora")
        await chats["dora"].wait("presence.update", user_id=u)
    for user, c in chats.items():
        await c.barrier()
        assert sorted(told(c)) == [(u, "online") for u in sorted(chats)
                                   if u != user]


async def test_nothing_of_people_with_no_room_in_common(quick):
    tenant = Tenant(quick)
    backend = tenant.backend()
    room = backend.make_room(["ann", "bob", "carl"])["room_id"]
    backend.make_room(["ann", "mark"])
    ann = await connect(tenant, "ann", 0)
    bob = await connect(tenant, "bob", 1)
    carl = await connect(tenant, "carl", 2)
    await ann.wait("presence.update", user_id="carl")
    await bob.wait("presence.update", user_id="carl")
    remove(tenant, room, "bob")
    await bob.wait("room.left", room_id=room)
    await close_all([bob, carl])
    # Bob went from mark's worker, carl from one that may be slower.
    await come_and_go(tenant, ann, "mark", 1)
    await ann.wait("presence.update", user_id="carl", status="offline")
    assert told(ann, "bob") == ["online"]
    assert told(ann, "carl") == ["online", "offline"]
    # He is back in the room, and not there.
    add(tenant, room, "bob")
    await ann.wait("presence.update", user_id="bob", status="offline")
    back = await connect(tenant, "bob", 2)
    await ann.wait("presence.update", user_id="bob", status="online")
    assert initial(back) == ["ann"]
    check_alternates(ann, "ann")


async def test_a_deleted_room_is_shared_no_more(quick):
    tenant = Tenant(quick)
    backend = tenant.backend()
    room = backend.make_room(["ann", "bob"])["room_id"]
    backend.make_room(["ann", "mark"])
    ann = await connect(tenant, "ann", 0)
    bob = await connect(tenant, "bob", 1)
    await ann.wait("presence.update", user_id="bob")
    backend.delete(f"/rooms/{room}").expect(204)
    await ann.wait("room.deleted", room_id=room)
    await bob.wait("room.deleted", room_id=room)
    await bob.close()
    await come_and_go(tenant, ann, "mark", 1)
    assert told(ann, "bob") == ["online"]
    assert initial(await connect(tenant, "bob", 0)) == []


async def test_unsubscribed_is_not_gone(server, tenant):
    """unsubscribe stops a room's messages, not who is there."""
    room = tenant.backend().make_room(["ann", "bob"])["room_id"]
    ann = await connect(tenant, "ann", 0)
    await ann.ask("ok", "unsubscribe", room_id=room)
    await connect(tenant, "bob", 1)
    await ann.wait("presence.update", user_id="bob", status="online")


async def test_a_dead_workers_users(quick):
    """Those with another connection, or a new one within the grace, were
    never away; the others are offline, once."""
    tenant = Tenant(quick)
    users = ["ann", "both", "back", "gone"]
    tenant.backend().make_room(users)
    ann = await connect(tenant, "ann", 0)
    await connect(tenant, "both", 1)
    await connect(tenant, "both", 2)
    await connect(tenant, "back", 1)
    await connect(tenant, "gone", 1)
    for u in users[1:]:
        await ann.wait("presence.update", user_id=u)
    began = time.monotonic()
    quick.kill("worker", 1)
    await connect(tenant, "back", 2)
    within = time.monotonic() - began < GRACE / 2
    await ann.wait("presence.update", user_id="gone", status="offline")
    assert time.monotonic() - began >= GRACE - 0.05
    assert told(ann, "gone") == ["online", "offline"]
    assert told(ann, "both") == ["online"]
    if within:
        assert told(ann, "back") == ["online"]
    # The worker's successor knows all of it.
    until(quick.whole, "the worker is back")
    late = await connect(tenant, "gone", 1)
    assert sorted(initial(late)) == ["ann", "back", "both"]
    await ann.wait("presence.update", user_id="gone", status="online")
    check_alternates(ann, "ann")


async def test_no_flicker_over_a_workers_death(patient):
    tenant = Tenant(patient)
    users = [f"user {i}" for i in range(10)]
    tenant.backend().make_room(["ann", "mark"] + users)
    ann = await connect(tenant, "ann", 0)
    for u in users:
        await connect(tenant, u, 1)
    pid = patient.kill("worker", 1)
    patient.wait_respawn("worker", 1, pid)
    back = [await connect(tenant, u, 1) for u in users]
    await connect(tenant, "mark", 1)
    await ann.wait("presence.update", user_id="mark")
    assert told(ann) == [(u, "online") for u in users] + \
        [("mark", "online")]
    for u, c in zip(users, back):
        assert sorted(initial(c)) == ["ann"] + [x for x in users if x != u]


async def test_a_slow_reader_is_owed_what_is_true(quick):
    tenant = Tenant(quick)
    backend = tenant.backend()
    peers = [f"user {i}" for i in range(6)]
    room = backend.make_room(["slow"] + peers)["room_id"]
    chats = {u: await connect(tenant, u, 1) for u in peers[:4]}
    slow = open_raw(tenant, "slow", slot=0, rcvbuf=4096)
    state, changes = {}, []

    def take(deadline=DEADLINE):
        slow.sock.settimeout(deadline)
        f = slow.read_json()
        if f["type"] == "presence.update":
            changes.append((f["user_id"], f["status"]))
            assert state.get(f["user_id"], "offline") != f["status"], changes
            state[f["user_id"]] = f["status"]
        return f

    while take()["type"] != "sync.complete":
        pass
    assert state == dict.fromkeys(peers[:4], "online")
    # Far more than all buffers on the way hold.
    speaker = tenant.user(peers[0])
    for i in range(400):
        speaker.say(room, f"{i} " + "x" * 4096)
    # Before they go: all that is sent to it may take longer than a grace.
    marker = await connect(tenant, peers[0], 2)
    await close_all([chats.pop(peers[2]), chats.pop(peers[3])])
    chats[peers[4]] = await connect(tenant, peers[4], 2)
    await marker.wait("presence.update", user_id=peers[2], status="offline")
    await marker.wait("presence.update", user_id=peers[3], status="offline")
    # One of them was away only while nobody could be told.
    chats[peers[3]] = await connect(tenant, peers[3], 1)
    await marker.until(lambda: told(marker, peers[3]) == [
        "online", "offline", "online"])
    last = 0
    want = {peers[0]: "online", peers[1]: "online", peers[2]: "offline",
            peers[3]: "online", peers[4]: "online"}
    while last < 400 or state != want:
        f = await asyncio.get_running_loop().run_in_executor(None, take)
        if f["type"] == "message":
            assert f["seq"] == last + 1
            last = f["seq"]
    assert (peers[4], "online") in changes
    slow.close()
