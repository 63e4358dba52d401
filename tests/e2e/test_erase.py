# SPDX-License-Identifier: MIT
"""chatapi user erase: what one person said and where he was is gone; what
others said, and the numbering, is not."""
import json
import os
import sqlite3
import struct
import subprocess

import hook
from chat import Chat
from client import Tenant
from harness import BIN, DEADLINE, clean_env, run, scaled, until
from notices import inbox

SECRET = "zq-what-ann-said"


def check(server):
    done = run("-d", "file:chatapi.db", "check", "--json", cwd=server.dir,
               deadline=DEADLINE)
    assert done.returncode == 0, done.stdout + done.stderr


def erase(server, tenant, user, ok=True):
    done = run("-d", "file:chatapi.db", "user", "erase", "--tenant",
               tenant.id, user, "--json", cwd=server.dir,
               deadline=DEADLINE * 2)
    if ok:
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["erased"]
    return done


def found(done):
    """What it says it has found."""
    out = json.loads(done.stdout)
    return out["messages"], out["memberships"], out["others"] > 0


def furnish(tenant, n):
    """Ann and bob talk in a group, a room that she has left, and a dm."""
    ann, bob = tenant.user("ann"), tenant.user("bob")
    rooms = {"group": bob.make_room(["ann", "cid"])["room_id"],
             "left": bob.make_room(["ann"])["room_id"],
             "dm": ann.make_room(["ann", "bob"], type_="dm")["room_id"]}
    for room in rooms.values():
        for i in range(n):
            ann.say(room, f"{SECRET} {i}", meta={"m": SECRET},
                    client_msg_id=f"c{i}")
            bob.say(room, f"bob {i}")
        gone = ann.say(room, "deleted by herself")
        ann.delete(f"/rooms/{room}/messages/" + gone["message_id"])
    tenant.backend().delete(f"/rooms/{rooms['left']}/members/ann")
    ann.post("/subscriptions", {"topic": "news"}).expect(201)
    return rooms


def check_erased(tenant, rooms, n):
    bob = tenant.user("bob")
    names = set()
    for name, room in rooms.items():
        history = bob.history(room)
        assert [m["seq"] for m in history] == list(range(1, 2 * n + 2))
        his = [m for m in history if m["sender_id"] == "bob"]
        assert [m["content"] for m in his] == [f"bob {i}" for i in range(n)]
        hers = [m for m in history if m["sender_id"] != "bob"]
        assert all(m["deleted_at"] and "meta" not in m and
                   not m.get("content") for m in hers)
        names |= {m["sender_id"] for m in hers}
        members = bob.get(f"/rooms/{room}/members").expect(200)["members"]
        assert "ann" not in [m["user_id"] for m in members]
        assert len(members) == {"group": 2, "left": 1, "dm": 2}[name]
    assert len(names) == 1
    assert names.pop().startswith("erased-")
    ann = tenant.user("ann")
    assert ann.get("/rooms").expect(200)["rooms"] == []
    assert ann.get("/subscriptions").expect(200)["subscriptions"] == []


def check_files(server):
    """Not a byte of it is left in the stopped server's files."""
    files = [os.path.join(directory, name)
             for directory, _, names in os.walk(server.dir) for name in names
             if name.startswith("chatapi.db") and "ctl" not in name]
    assert os.path.join(server.dir, "chatapi.db") in files
    for path in files:
        with open(path, "rb") as f:
            assert SECRET.encode() not in f.read(), path


async def test_live(start_server):
    server = start_server(workers=2)
    tenant = Tenant(server)
    n = 40
    rooms = furnish(tenant, n)
    other = Tenant(server)
    theirs = other.user("ann").make_room()["room_id"]
    other.user("ann").say(theirs, "of another tenant")
    ann = await Chat.connect(tenant, "ann")
    # Before he is in his rooms he is not told that he leaves them.
    await ann.wait("sync.complete")
    bob = await Chat.connect(tenant, "bob", path="/ws?resume=1")
    await bob.send("resume", epoch=bob.welcome["epoch"], cursors={
        r: {"seq": 2 * n + 1, "rev": 1} for r in rooms.values()})
    await bob.wait("sync.complete")
    assert found(erase(server, tenant, "ann")) == (3 * n, 2, True)
    for room in (rooms["group"], rooms["dm"]):
        await ann.wait("room.left", room_id=room)
    for room in rooms.values():
        await bob.until(lambda: len(bob.of("message.deleted",
                                           room_id=room)) >= n)
        frames = bob.of("message.deleted", room_id=room)
        assert [f["rev"] for f in frames] == list(range(2, n + 2))
    check_erased(tenant, rooms, n)
    assert len(other.user("ann").history(theirs)) == 1
    # Nothing to erase is no fault, and is said.
    for where, whom in ((tenant, "ann"), (tenant, "Bob"),
                        (Tenant(server), "nobody")):
        done = erase(server, where, whom)
        assert found(done) == (0, 0, False)
        assert "nothing of this user" in done.stderr
    # A dm of the two is a new one.
    fresh = tenant.user("ann").post("/rooms", {
        "type": "dm", "members": ["ann", "bob"]}).expect(201)
    assert fresh["room_id"] not in rooms.values()
    check(server)
    server.stop()
    check_files(server)


def test_without_a_server(start_server):
    server = start_server(workers=1)
    tenant = Tenant(server)
    rooms = furnish(tenant, 20)
    server.stop()
    done = erase(server, tenant, "ann")
    assert found(done) == (60, 2, True) and not done.stderr
    check_files(server)
    check(server)
    server.start()
    check_erased(tenant, rooms, 20)


def test_through_kills(start_server):
    """The writer and the command die again and again; each message goes
    once, and all go."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    n = scaled(250, 80)
    rooms = furnish(tenant, n)
    p = subprocess.Popen(
        [BIN, "-d", "file:chatapi.db", "user", "erase", "--tenant",
         tenant.id, "ann"], cwd=server.dir, env=clean_env(),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    bob = tenant.user("bob")

    def gone():
        page = bob.get(f"/rooms/{rooms['group']}/messages?limit=100")
        return page.status == 200 and page.json["messages"][0].get(
            "deleted_at")

    until(gone, "it had begun")
    for _ in range(3):
        old = server.kill("writer")
        server.wait_respawn("writer", None, old)
    p.kill()
    p.wait()
    server.destroy()
    server.start()
    erase(server, tenant, "ann")
    check_erased(tenant, rooms, n)
    bob = tenant.user("bob")
    for room in rooms.values():
        # One rev for each that was not a tombstone, and the own deletion.
        revs = sorted(m_rev(server, room))
        assert revs == list(range(1, n + 2))
    check(server)


def m_rev(server, room):
    path = os.path.join(server.dir, "chatapi.db")
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return [r for r, in db.execute(
            "SELECT rev FROM message m JOIN room r ON r.id = m.room"
            " WHERE r.token = ? AND rev > 0", (room[5:],))]
    finally:
        db.close()


# ---- what is under way ----

NAME = "zq-who-ann-is"


def traces(server):
    """Where his name or what he said still stands: rows and files."""
    out = []
    path = os.path.join(server.dir, "chatapi.db")
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    db.text_factory = bytes
    for table, in db.execute("SELECT name FROM sqlite_master"
                             " WHERE type = 'table'").fetchall():
        for row in db.execute(f"SELECT * FROM {table.decode()}"):
            text = b" ".join(v for v in row if isinstance(v, bytes))
            if NAME.encode() in text or SECRET.encode() in text:
                out.append((table.decode(), row))
    db.close()
    for name in ("chatapi.db", "chatapi.db-wal"):
        try:
            with open(os.path.join(server.dir, name), "rb") as f:
                data = f.read()
        except FileNotFoundError:
            continue
        out += [(name, what) for what in (NAME, SECRET)
                if what.encode() in data]
    return out


def counts(server):
    path = os.path.join(server.dir, "chatapi.db")
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    out = db.execute("SELECT (SELECT count(*) FROM fanout), (SELECT count(*)"
                     " FROM delivery WHERE recipient = ?)",
                     (NAME,)).fetchone()
    db.close()
    return out


def test_while_notifications_and_webhooks_wait(start_server):
    """Lists that name him, an outbox, deliveries to a receiver that does
    not answer: nothing of him is left in a row, in a page or in the log."""
    server = start_server(workers=2, env={**hook.ENV,
                                          "PRESENCE_GRACE": "0s"})
    tenant = Tenant(server)
    him, bob = tenant.user(NAME), tenant.user("bob")
    room = bob.make_room([NAME, "cid"])["room_id"]
    h = hook.Hook(lambda call: None)
    try:
        h.serve(tenant)
        him.post("/subscriptions", {"topic": "news"}).expect(201)
        for i in range(20):
            said = him.say(room, f"{SECRET} {i} " + "x" * 3000,
                           client_msg_id=f"{SECRET} {i}")
            bob.say(room, f"for him {i}")
        him.call("PUT", f"/rooms/{room}/messages/" + said["message_id"],
                 {"content": SECRET + " edited"}).expect(200)
        him.post("/acks", {"room_id": room, "seq": 5}).expect(200)
        him.post("/ws/token").expect(200)
        until(lambda: counts(server)[1] > 10, "something waited for him")
        users = [f"crowd-{i:04}" for i in range(998)]
        backend = tenant.backend()
        told = 0

        def under_way():
            """More than is brought at once; again when it was, before
            anybody could look."""
            nonlocal told
            for _ in range(scaled(25, 8)):
                backend.post("/notify", {
                    "topic": "news", "payload": told, "targets": {
                        "user_ids": [*users, NAME],
                        "topic_subscribers": True,
                        "room_id": room}}).expect(202)
                told += 1
            backend.post("/notify", {"topic": "all", "payload": 0,
                                     "targets": {}}).expect(202)
            return counts(server)[0] > 0

        until(under_way, "something was under way")
        erase(server, tenant, NAME)
        until(lambda: not traces(server), "all was gone")
        # Those whom it is for beside him get all of it.
        until(lambda: counts(server)[0] == 0, "all had been brought")
        assert not traces(server)
        assert len(inbox(tenant.user("crowd-0997"))) == told
        check(server)
    finally:
        h.close()
    server.stop()
    assert not traces(server)


def test_places_in_lists(start_server):
    """A list that had just come to him goes on behind him, and his name is
    not where it stands."""
    server = start_server(workers=1)
    tenant = Tenant(server)
    names = ["aaa", NAME, NAME + "-2", "zz"]
    room = tenant.user("aaa").make_room(names[1:])["room_id"]
    for user in names:
        tenant.user(user).post("/subscriptions", {"topic": "t"}).expect(201)
    tenant.user("aaa").say(room, "hello")
    ids = [tenant.backend().post("/notify", {
        "topic": "t", "payload": i, "targets": {"user_ids": ["keeper"]}})
        .expect(202)["notification_id"] for i in range(4)]
    server.stop()
    path = os.path.join(server.dir, "chatapi.db")
    with sqlite3.connect(path) as db:
        t, = db.execute("SELECT id FROM tenant").fetchone()
        r, = db.execute("SELECT id FROM room").fetchone()
        n = [db.execute("SELECT id FROM notification WHERE token = ?",
                        (i[4:],)).fetchone()[0] for i in ids]
        rest = b"".join(struct.pack("<I", len(u)) + u.encode()
                        for u in names[1:])
        db.executemany("INSERT INTO fanout VALUES (?, ?, ?, ?, ?, ?)", [
            (t, n[0], 1, None, rest, "aaa"), (t, n[1], 2, r, None, NAME),
            (t, n[2], 3, None, None, NAME), (t, n[3], 4, None, None, NAME)])
        db.execute("INSERT INTO outbox VALUES (9, ?, 1, ?, 1, ?)",
                   (t, r, NAME))
    db.close()
    erase(server, tenant, NAME)
    with sqlite3.connect(path) as db:
        assert {a for a, in db.execute("SELECT after_user FROM outbox")} == \
            {"aaa"}
        assert [tuple(x) for x in db.execute(
            "SELECT kind, after FROM fanout ORDER BY kind")] == [
                (1, ""), (2, "aaa"), (3, "aaa"), (4, "aaa")]
        # Another's name may begin with his.
        left = rest.replace(struct.pack("<I", len(NAME)) + NAME.encode(),
                            b"", 1)
        assert db.execute("SELECT list FROM fanout WHERE kind = 1"
                          ).fetchone()[0] == left
    db.close()
    server.start()
    until(lambda: counts(server)[0] == 0, "all had been brought")
    for user, what in (("aaa", []), (NAME, []), (NAME + "-2", ids),
                       ("zz", ids)):
        got = tenant.user(user).get("/notifications").expect(200)
        assert [x["notification_id"] for x in got["notifications"]] == what
    check(server)


def test_refused(start_server):
    server = start_server(workers=1)
    tenant = Tenant(server)
    for args in (("user", "erase", "ann"),
                 ("user", "erase", "--tenant", "nonsense", "ann"),
                 ("user", "erase", "--tenant",
                  "tenant_0123456789abcdefghjkmn", "ann"),
                 ("user", "erase", "--tenant", tenant.id, ""),
                 ("user", "erase", "--tenant", tenant.id)):
        done = run("-d", "file:chatapi.db", *args, cwd=server.dir)
        assert done.returncode in (1, 2) and done.stderr, args
