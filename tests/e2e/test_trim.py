# SPDX-License-Identifier: MIT
"""Retention cuts a room's log: who had not read so far is told once from
where to where, and nothing above is lost.  Deleted and trimmed rows go."""
import asyncio
import os
import random
import sqlite3

from chat import Chat, close_all
from client import Tenant
from control import OK, REPEATED, ROOM_NOT_FOUND, trim
from harness import scaled, until


def make_room(tenant, count, users=("bob",)):
    """A room of ann's with so many messages."""
    ann = tenant.user("ann")
    room = ann.make_room(list(users))["room_id"]
    return room, [ann.say(room, f"{i}", client_msg_id=f"id {i}")
                  for i in range(1, count + 1)]


def stream(chat, room, start):
    """Checks that messages and gaps together leave nothing out and show
    nothing twice, from start + 1 on; returns (seqs, gaps, end)."""
    seqs, gaps, at = [], [], start
    for f in chat.log:
        if f.get("room_id") != room:
            continue
        if f["type"] == "message":
            assert f["seq"] == at + 1, (at, f)
            seqs.append(f["seq"])
            at = f["seq"]
        elif f["type"] == "sync.gap":
            assert set(f) == {"type", "room_id", "from", "to", "reason"}
            assert f["from"] == at + 1 <= f["to"], (at, f)
            assert f["reason"] == "retention"
            gaps.append((f["from"], f["to"]))
            at = f["to"]
    return seqs, gaps, at


def rows(server, sql, *args):
    db = sqlite3.connect(os.path.join(server.dir, "chatapi.db"))
    try:
        return db.execute(sql, args).fetchone()[0]
    finally:
        db.close()


def gone(server):
    """No row waits any more for its removal."""
    return rows(server, "SELECT count(*) FROM sweep") == 0


async def test_gap_once(tenant):
    """From where the user's cursor stood to the cut, before the rest."""
    room, _ = make_room(tenant, 30, ["bob", "carol", "dave"])
    for user, ack in ("bob", 5), ("carol", 25), ("dave", 20):
        tenant.user(user).post("/acks", {"room_id": room, "seq": ack}) \
            .expect(200)
    assert trim(tenant.server, room, 21) == (OK, 21)
    for slot in (0, 1):
        # Each connection starts from the cursor, so each is told.
        bob = await Chat.connect(tenant, "bob", slot)
        done = await bob.wait("sync.complete")
        assert stream(bob, room, 5) == (list(range(21, 31)), [(6, 20)], 30)
        assert done["heads"] == {room: {"seq": 30, "rev": 0}}
        gap = bob.of("sync.gap")
        assert bob.log.index(gap[0]) < bob.log.index(done)
        await bob.close()
    for user, first in ("carol", 26), ("dave", 21):
        c = await Chat.connect(tenant, user)
        await c.wait("sync.complete")
        seqs, gaps, _ = stream(c, room, first - 1)
        assert (seqs, gaps) == (list(range(first, 31)), [])
        await c.close()
    tenant.user("bob").post("/acks", {"room_id": room, "seq": 30}).expect(200)
    bob = await Chat.connect(tenant, "bob")
    await bob.wait("sync.complete")
    assert stream(bob, room, 30) == ([], [], 30)


async def test_gap_of_a_device_and_of_subscribe(tenant):
    """Cursors of resume and after_seq are told of what they miss alike."""
    room, _ = make_room(tenant, 10)
    bob = await Chat.connect(tenant, "bob")
    await bob.wait("sync.complete")
    assert trim(tenant.server, room, 8) == (OK, 8)
    # Live at the head: nothing to say.
    tenant.user("ann").say(room, "11")
    await bob.wait_seq(room, 11)
    assert stream(bob, room, 0) == (list(range(1, 12)), [], 11)
    for after, first in (0, 1), (6, 7), (7, None), (9, None):
        del bob.log[:]
        await bob.ask("sync.complete", "subscribe", room_id=room,
                      after_seq=after)
        seqs, gaps, end = stream(bob, room, after)
        assert gaps == ([(first, 7)] if first else [])
        assert (seqs[0], end) == (max(8, after + 1), 11)
        device = await Chat.connect(tenant, "bob", path="/ws?resume=1")
        await device.ask("sync.complete", "resume",
                         epoch=device.welcome["epoch"],
                         cursors={room: {"seq": after, "rev": 0}})
        assert stream(device, room, after) == (seqs, gaps, end)
        await device.close()


async def test_trimmed_to_nothing(tenant):
    """An empty room goes on where it was."""
    room, sent = make_room(tenant, 7)
    bob_rest = tenant.user("bob")
    bob_rest.post("/acks", {"room_id": room, "seq": 3}).expect(200)
    assert trim(tenant.server, room, 1 << 40) == (OK, 8)
    listed, = bob_rest.get("/rooms").expect(200)["rooms"]
    assert listed["last_message"] is None
    assert (listed["last_seq"], listed["last_ack"]) == (7, 3)
    assert bob_rest.history(room) == []
    bob = await Chat.connect(tenant, "bob")
    done = await bob.wait("sync.complete")
    assert stream(bob, room, 3) == ([], [(4, 7)], 7)
    assert done["heads"] == {room: {"seq": 7, "rev": 0}}
    assert tenant.user("ann").say(room, "on")["seq"] == 8
    await bob.wait_seq(room, 8)
    assert stream(bob, room, 3) == ([8], [(4, 7)], 8)
    bob_rest.post("/acks", {"room_id": room, "seq": 8}).expect(200)
    listed, = bob_rest.get("/rooms").expect(200)["rooms"]
    assert listed["unread_count"] == 0
    assert listed["last_message"]["seq"] == 8


def test_gone_at_once(tenant):
    """By REST, before and after the rows have gone."""
    server = tenant.server
    ann = tenant.user("ann")
    room, sent = make_room(tenant, 10)
    path = f"/rooms/{room}/messages/"
    assert trim(server, room, 6) == (OK, 6)
    for again in range(2):
        for m in sent[:5]:
            ann.get(path + m["message_id"]).error(404)
            ann.call("PUT", path + m["message_id"], {"content": "x"}) \
                .error(404)
            ann.delete(path + m["message_id"]).error(404)
        assert [m["seq"] for m in ann.history(room)] == list(range(6, 11 +
                                                                   again))
        # Its client_msg_id lived as long as the message did.
        new = ann.post(f"/rooms/{room}/messages",
                       {"content": f"{again + 1}",
                        "client_msg_id": f"id {again + 1}"}).expect(201)
        assert new["seq"] == 11 + again
        # That of one above the cut lives on.
        old = ann.post(f"/rooms/{room}/messages",
                       {"content": "7", "client_msg_id": "id 7"}).expect(200)
        assert old["seq"] == 7
        until(lambda: gone(server), "the rows had gone")
    assert rows(server, "SELECT count(*) FROM message m JOIN room r"
                " ON r.id = m.room WHERE r.token = ?", room[5:]) == 7


def test_refusals(tenant):
    server = tenant.server
    room, _ = make_room(tenant, 3)
    assert trim(server, room, 3) == (OK, 3)
    assert trim(server, room, 3) == (REPEATED, 3)
    assert trim(server, room, 1) == (REPEATED, 3)
    assert trim(server, "room_0123456789abcdefghjkmn", 1)[0] == ROOM_NOT_FOUND
    tenant.backend().delete(f"/rooms/{room}").expect(204)
    assert trim(server, room, 4)[0] == ROOM_NOT_FOUND


async def test_trims_under_readers(tenant):
    """While somebody writes and retention follows him closely, readers
    come and go: each sees all, or is told what it missed."""
    count = scaled(1500, 300)
    room, _ = make_room(tenant, 1, ["bob"])
    ann = await Chat.connect(tenant, "ann")
    await ann.wait("sync.complete")
    done = asyncio.Event()
    rng = random.Random(3)

    async def write():
        for i in range(count):
            await ann.send("send_message", room_id=room, content="x" * 200)
            if i % 100 == 99:
                await ann.until(
                    lambda: len(ann.of("message.sent")) == i + 1)
                await asyncio.to_thread(trim, tenant.server, room,
                                        i - rng.randrange(80))
        done.set()

    async def visit(start):
        c = await Chat.connect(tenant, "bob", path="/ws?resume=1")
        await c.ask("sync.complete", "resume", epoch=c.welcome["epoch"],
                    cursors={room: {"seq": start}})
        await asyncio.sleep(rng.random() * 0.05)
        await c.barrier()
        gaps = stream(c, room, start)[1]
        await c.close()
        return gaps

    async def read():
        while not done.is_set():
            await visit(rng.randrange(max(1, len(ann.of("message.sent")))))

    await asyncio.gather(read(), read(), read(), write())
    assert len(await visit(0)) == 1
    # What is left is above the last cut, whole.
    left = [m["seq"] for m in tenant.user("ann").history(room)]
    assert left == list(range(left[0], count + 2))
    await close_all([ann])


def test_rows_go_over_restarts(start_server):
    """Removal goes on where a killed writer left off; others are served
    meanwhile and their rooms are whole."""
    server = start_server(workers=1)
    tenant = Tenant(server)
    ann = tenant.user("ann")
    count = scaled(1500, 400)
    big, cut, kept = [ann.make_room(["bob"])["room_id"] for _ in range(3)]
    for room, n in (big, count), (cut, count), (kept, 20):
        for i in range(n):
            ann.send("POST", f"/rooms/{room}/messages",
                     {"content": "x" * 100})
            ann.read().expect(201)
    ann.delete(f"/rooms/{big}").expect(204)
    assert trim(server, cut, count - 9)[0] == OK
    for _ in range(2):
        old = server.kill("writer")
        server.wait_respawn("writer", None, old)
        assert [m["seq"] for m in ann.history(cut)] == \
            list(range(count - 9, count + 1))
    server.stop()
    server.start()
    ann = tenant.user("ann")
    ann.get(f"/rooms/{big}").error(404)
    until(lambda: gone(server), "the rows had gone")
    assert rows(server, "SELECT count(*) FROM message") == 10 + 20
    assert rows(server, "SELECT count(*) FROM member") == 4
    assert len(ann.history(kept)) == 20
    assert ann.say(cut, "on")["seq"] == count + 1
