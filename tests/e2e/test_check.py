# SPDX-License-Identifier: MIT
"""chatapi check: silent on what is sound, also while it is written to, and
loud about each planted fault."""
import json
import os
import sqlite3
import threading

import pytest

import hook
from client import Tenant, operator
from harness import DEADLINE, run, scaled, until
from load import Load


def check(server, *args):
    """(exit status, what it says)"""
    done = run("-d", "file:chatapi.db", "check", "--json", *args,
               cwd=server.dir, deadline=DEADLINE * 3)
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


# Of a live database nothing is read for longer than 200 ms at a time: what
# takes longer is left out, and said to be.
READ_MS = 250


def unhurried(server):
    """The same, when the machine has let it go on: nothing was left out but
    what always is."""
    def look():
        status, out = check(server)
        return len(out["not_checked"]) == 1 and \
            out["longest_read_ms"] < READ_MS and (status, out)
    return until(look, "no read took long")


def lively(server):
    """A tenant with every kind of room and some history."""
    tenant = Tenant(server)
    ann = tenant.user("ann")
    rooms = {
        "group": ann.make_room(["bob", "cid"])["room_id"],
        "channel": ann.make_room(type_="channel", name="all")["room_id"],
        "dm": ann.make_room(["ann", "bob"], type_="dm")["room_id"],
        "gone": ann.make_room(["bob"])["room_id"],
    }
    for name, room in rooms.items():
        for i in range(20):
            sent = ann.say(room, f"{name} {i}", client_msg_id=f"c{i}")
            if i % 7 == 3:
                ann.call("PUT", f"/rooms/{room}/messages/"
                         + sent["message_id"], {"content": "edited"})
            if i % 7 == 5:
                ann.delete(f"/rooms/{room}/messages/" + sent["message_id"])
    tenant.user("bob").post("/acks", {"room_id": rooms["group"], "seq": 9})
    tenant.backend().delete(f"/rooms/{rooms['gone']}").expect(204)
    other = Tenant(server)
    other.user("ann").make_room(["bob"])
    return tenant, rooms


# Deliveries fail and wait for long.
SLOW_HOOK = {"WEBHOOK_ALLOW_PRIVATE": "1", "RETRY_INTERVAL": "1h",
             "PRESENCE_GRACE": "0s"}


def deliveries(server):
    path = os.path.join(server.dir, "chatapi.db")
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        out = db.execute("SELECT count(*), count(last_ms), (SELECT count(*)"
                         " FROM outbox) + (SELECT count(*) FROM fanout)"
                         " FROM delivery").fetchone()
    db.close()
    return out


def waiting(server, tenant, rooms):
    """Something in each table of what waits."""
    operator(server).call("PATCH", "/admin/tenants/" + tenant.id, {
        "webhook_url": "http://127.0.0.1:9/"}).expect(200)
    ann, backend = tenant.user("ann"), tenant.backend()
    ann.post("/subscriptions", {"topic": "news"}).expect(201)
    for targets in ({"user_ids": ["ann", "bob"]}, {"room_id": rooms["dm"]},
                    {"topic_subscribers": True}):
        backend.post("/notify", {"topic": "news", "payload": 1,
                                 "targets": targets}).expect(202)
    until(lambda: deliveries(server) == (5, 5, 0), "all were tried")


def test_sound(start_server, tmp_path):
    server = start_server(workers=2, env=SLOW_HOOK)
    tenant, rooms = lively(server)
    waiting(server, tenant, rooms)
    for args in ((), ("--full",)):
        status, out = check(server, *args) if args else unhurried(server)
        assert (status, out["faults"]) == (0, []), out
        assert out["sound"] and out["rooms"] == 4
        assert out["members"] == 3 + 1 + 2 + 2
        assert out["messages"] == 60
        # Subscription, notifications, inboxes, deliveries.
        assert out["waiting"] == 1 + 3 + 5 + 5
        assert bool(out["not_checked"]) == (args == ())
    assert os.listdir(os.path.join(server.dir, "chatapi.db-staging")) == []
    run("-d", "file:chatapi.db", "backup", tmp_path / "b.db", cwd=server.dir)
    assert check(server, tmp_path / "b.db")[1]["messages"] == 60
    assert os.listdir(tmp_path) == ["b.db"]
    server.stop()
    status, out = check(server)
    assert (status, out["faults"], out["not_checked"]) == (0, [], []), out
    text = run("-d", "file:chatapi.db", "check", cwd=server.dir)
    assert text.returncode == 0 and "4 rooms" in text.stdout
    assert "14 waiting" in text.stdout


def test_killed_is_sound(start_server):
    """What kill -9 of everything leaves, log and all."""
    server = start_server(workers=2)
    tenant, rooms = lively(server)
    server.destroy()
    assert os.path.getsize(os.path.join(server.dir, "chatapi.db-wal")) > 0
    status, out = check(server)
    assert (status, out["faults"], out["messages"]) == (0, [], 60), out


def check_short(longest):
    """A busy machine may stop the command in a read, but not mostly."""
    assert sorted(longest)[len(longest) // 2] < READ_MS, longest


def test_while_written(start_server):
    """No false alarm and no long read while rooms grow, are trimmed, come
    and go."""
    server = start_server(workers=2)
    tenant, rooms = lively(server)
    ann = tenant.user("ann")
    load = Load(tenant, [ann.make_room(["bob"])["room_id"]
                         for _ in range(3)])
    longest = []
    for i in range(scaled(12, 5)):
        room = ann.make_room(["bob", "cid"])["room_id"]
        ann.say(room, "hello")
        status, out = check(server)
        assert (status, out["faults"]) == (0, []), out
        longest.append(out["longest_read_ms"])
        ann.delete(f"/rooms/{room}").expect(204)
    load.stop()
    check_short(longest)


class Bustle(threading.Thread):
    """Notifications, webhooks, subscriptions, persons and tenants that come
    and go, until stop()."""

    def __init__(self, server, tenant, room):
        super().__init__()
        self.server, self.tenant, self.room = server, tenant, room
        self.ending = threading.Event()
        self.rounds = 0
        self.failed = None

    def run(self):
        try:
            while not self.ending.is_set():
                self.round(self.rounds)
                self.rounds += 1
        except Exception as e:                          # noqa: BLE001
            self.failed = e

    def round(self, n):
        backend, bob = self.tenant.backend(), self.tenant.user("bob")
        crowd = [f"u{n}-{i}" for i in range(150)]
        for targets in ({"user_ids": crowd}, {"topic_subscribers": True},
                        {"room_id": self.room}, {}):
            backend.post("/notify", {"topic": f"t{n % 5}", "payload": n,
                                     "targets": targets}).expect(202)
        made = bob.post("/subscriptions", {"topic": f"t{n % 7}"}).json["id"]
        for note in bob.get("/notifications").expect(200)["notifications"]:
            bob.post("/notifications/" + note["notification_id"] + "/ack")
        bob.delete("/subscriptions/" + made)
        short = Tenant(self.server)
        room = short.user("ann").make_room(["bob"])["room_id"]
        short.user("ann").say(room, "x")
        short.backend().post("/notify", {
            "topic": "t", "payload": 1, "targets": {
                "user_ids": crowd, "room_id": room}}).expect(202)
        operator(self.server).delete("/admin/tenants/" + short.id)
        if n % 3 == 0:
            done = run("-d", "file:chatapi.db", "user", "erase", "--tenant",
                       self.tenant.id, crowd[0], cwd=self.server.dir)
            assert done.returncode == 0, done.stderr
        for rest in (backend, bob):
            rest.close()

    def stop(self):
        self.ending.set()
        self.join()
        assert self.failed is None, self.failed
        assert self.rounds > 1


def test_while_everything_moves(start_server):
    """No false alarm while notifications are brought, webhooks fail, die
    and arrive, and tenants go."""
    server = start_server(workers=2, env={
        **hook.ENV, "RETRY_MAX_ATTEMPTS": "2", "PRESENCE_GRACE": "0s"})
    tenant, rooms = lively(server)
    h = hook.Hook(lambda call: 503 if len(h.calls) % 3 else 200)
    bustle = Bustle(server, tenant, rooms["group"])
    load = Load(tenant, [rooms["group"], rooms["dm"]])
    longest = []
    try:
        h.serve(tenant)
        bustle.start()
        for _ in range(scaled(15, 5)):
            status, out = check(server)
            assert (status, out["faults"]) == (0, []), out
            longest.append(out["longest_read_ms"])
        check_short(longest)
        until(lambda: bustle.rounds > 1 or bustle.failed, "it went round")
    finally:
        load.stop()
        bustle.ending.set()
        bustle.join()
        h.close()
    bustle.stop()
    # What it was in the middle of is no fault, either.
    server.destroy()
    status, out = check(server)
    assert (status, out["faults"]) == (0, []), out


FAULTS = {
    "hole": ("DELETE FROM message WHERE room = 1 AND seq = 7",
             "missing, from seq 7"),
    "first": ("DELETE FROM message WHERE room = 1 AND seq = 1",
              "missing, from seq 1"),
    "last": ("DELETE FROM message WHERE room = 1 AND seq = 20",
             "missing, from seq 20"),
    "behind": ("UPDATE room_head SET last_seq = 19 WHERE room = 1",
               "after its last seq"),
    "before": ("UPDATE room_head SET first_seq = 5 WHERE room = 1",
               "before its first seq"),
    "members": ("UPDATE room_head SET members = 9 WHERE room = 1",
                "has 3 members, not 9"),
    "member row": ("DELETE FROM member WHERE room = 1 AND user = 'cid'",
                   "has 2 members, not 3"),
    "dm": ("DELETE FROM member WHERE room = 3 AND user = 'bob'",
           "a dm with 1 members"),
    "ack": ("UPDATE member SET last_ack = 99 WHERE room = 1", "past its end"),
    "rev": ("UPDATE message SET rev = 99 WHERE room = 1 AND seq = 4",
            "a rev above"),
    "empty": ("UPDATE message SET content = NULL WHERE room = 1 AND seq = 2",
              "without content"),
    "head": ("DELETE FROM room_head WHERE room = 2", "has no head"),
    "tenant": ("UPDATE room SET tenant = 77 WHERE id = 2", "of no tenant"),
    "orphan head": ("INSERT INTO room_head VALUES (99, 0, 1, 0, 0, 0)",
                    "a head of no room"),
    "orphan message": (
        "INSERT INTO message (room, seq, sender, content, created_ms)"
        " VALUES (99, 1, 'ann', 'x', 1)", "messages of no room"),
    "orphan member": ("INSERT INTO member VALUES (99, 'ann', 1, 0, 1, 0)",
                      "members of no room"),
    "orphan key": ("UPDATE api_key SET tenant = 77 WHERE id = 1",
                   "API keys of no tenant"),
    "orphan subscription": ("UPDATE subscription SET tenant = 77",
                            "subscription: of no tenant"),
    "stranger": ("DELETE FROM user WHERE user = 'ann'",
                 "whom the tenant does not know"),
    "orphan notification": (
        "UPDATE notification SET tenant = 77 WHERE id = 1",
        "notification: of no tenant"),
    "forgotten notification": ("DELETE FROM inbox WHERE notification = 1",
                               "for nobody any more"),
    "orphan inbox": ("UPDATE inbox SET tenant = 77 WHERE id = 1",
                     "inbox: of no tenant"),
    "empty inbox": ("DELETE FROM notification WHERE id = 1",
                    "inbox: of no notification"),
    "inbox of nobody": ("UPDATE inbox SET user = '' WHERE id = 1",
                        "inbox: of no user"),
    "orphan outbox": ("INSERT INTO outbox VALUES (99, 77, 1, 1, 1, '')",
                      "outbox: of no tenant"),
    "outbox kind": ("INSERT INTO outbox VALUES (99, 1, 3, 1, 1, '')",
                    "outbox: of no known kind"),
    "outbox room": ("INSERT INTO outbox VALUES (99, 1, 1, 999, 1, '')",
                    "outbox: of a message that there never was"),
    "outbox seq": ("INSERT INTO outbox VALUES (99, 1, 1, 1, 999, '')",
                   "outbox: of a message that there never was"),
    "outbox of another": ("INSERT INTO outbox VALUES (99, 2, 1, 1, 1, '')",
                          "outbox: of a message that there never was"),
    "outbox notification": (
        "INSERT INTO outbox VALUES (99, 1, 2, 999, 9, '8')",
        "outbox: of a notification that there never was"),
    "outbox end": ("INSERT INTO outbox VALUES (99, 1, 2, 1, 9, '9')",
                   "past its end"),
    "orphan delivery": ("UPDATE delivery SET tenant = 77 WHERE id = 1",
                        "delivery: of no tenant"),
    "delivery state": ("UPDATE delivery SET state = 2 WHERE id = 1",
                       "delivery: of no known kind or state"),
    "delivery room": (
        "UPDATE delivery SET kind = 1, room = 999, seq = 1 WHERE id = 1",
        "delivery: of a message that there never was"),
    "delivery seq": (
        "UPDATE delivery SET kind = 1, room = 1, seq = 999 WHERE id = 1",
        "delivery: of a message that there never was"),
    "delivery notification": (
        "UPDATE delivery SET room = 999 WHERE id = 1",
        "delivery: of a notification that there never was"),
    "delivery to nobody": ("UPDATE delivery SET recipient = ''"
                           " WHERE id = 1", "delivery: to no user"),
    "dead and never tried": (
        "UPDATE delivery SET state = 1, attempts = 0 WHERE id = 1",
        "tries that cannot be"),
    "never due": ("UPDATE delivery SET next_ms = next_ms + 864000000"
                  " WHERE id = 1", "stuck: not due for days"),
    "orphan fanout": ("INSERT INTO fanout VALUES (77, 1, 4, NULL, NULL, '')",
                      "fanout of no notification"),
    "empty fanout": ("INSERT INTO fanout VALUES (1, 999, 4, NULL, NULL, '')",
                     "fanout of no notification"),
    "fanout kind": ("INSERT INTO fanout VALUES (1, 1, 9, NULL, NULL, '')",
                    "no known kind"),
    "stuck fanout": (
        "INSERT INTO fanout VALUES (1, 1, 1, NULL, x'ff000000', '')",
        "stuck, its list"),
    "acked for ever": ("INSERT INTO inbox_acked VALUES (1, 'ann')",
                       "acknowledgements that nobody will forget"),
    "orphan user": ("INSERT INTO user VALUES (77, 'ann')",
                    "users of no tenant"),
    "room to go": ("INSERT INTO sweep VALUES (1, NULL)",
                   "there and yet to be removed"),
    "messages to go": ("INSERT INTO sweep VALUES (1, 5)",
                       "there and yet to be removed"),
    "orphan erasure": (
        "INSERT INTO erasure (tenant, user, pseudonym, room, seq)"
        " VALUES (77, 'ann', 'erased-0', 0, 0)",
        "erasure: of no tenant"),
}


@pytest.fixture(scope="module")
def sound_file(tmp_path_factory):
    """A sound database that no server uses."""
    from harness import Server
    server = Server(workers=1, env=SLOW_HOOK)
    try:
        server.start()
        waiting(server, *lively(server))
        server.stop()
        path = str(tmp_path_factory.mktemp("check") / "sound.db")
        done = run("-d", "file:chatapi.db", "backup", path, cwd=server.dir)
        assert done.returncode == 0, done.stderr
    finally:
        server.destroy()
        server.remove()
    with open(path, "rb") as f:
        return f.read()


@pytest.mark.parametrize("fault", FAULTS)
def test_planted(sound_file, tmp_path, fault):
    statement, says = FAULTS[fault]
    path = tmp_path / "chatapi.db"
    path.write_bytes(sound_file)
    with sqlite3.connect(path) as db:
        assert db.execute(statement).rowcount > 0
    db.close()
    done = run("check", path, "--json")
    out = json.loads(done.stdout)
    assert done.returncode == 1 and not out["sound"]
    assert any(says in f for f in out["faults"]), out
    assert len(out["faults"]) <= 3, out


def test_index_that_lost_an_entry(sound_file, tmp_path):
    """Found by the piecewise look, too, which a server allows."""
    path = tmp_path / "chatapi.db"
    path.write_bytes(sound_file)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA writable_schema = ON")
        sql, = db.execute("SELECT sql FROM sqlite_master"
                          " WHERE name = 'message_rev'").fetchone()
        # The index that is made is empty, the one that is believed is not.
        db.execute("DROP INDEX message_rev")
        db.execute(sql.replace("rev > 0", "rev > 1000"))
        db.execute("UPDATE sqlite_master SET sql = ?"
                   " WHERE name = 'message_rev'", (sql,))
    db.close()
    out = json.loads(run("check", path, "--json").stdout)
    assert any("missing in message_rev" in f for f in out["faults"]), out
    assert any(f.startswith("file: ") for f in out["faults"]), out


def test_refused(start_server, tmp_path):
    (tmp_path / "text").write_text("x" * 5000)
    for path in (tmp_path / "text", tmp_path / "none"):
        done = run("check", path)
        assert done.returncode == 1 and str(path) in done.stderr
    done = run("-d", "file:chatapi.db", "check", cwd=tmp_path)
    assert done.returncode == 1 and "no database" in done.stderr
    assert not (tmp_path / "chatapi.db").exists()


def test_long_history_in_pieces(start_server):
    """A fault far behind in a room is found while the server runs."""
    server = start_server(workers=1)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room()["room_id"]
    server.stop()
    path = os.path.join(server.dir, "chatapi.db")
    db = sqlite3.connect(path)
    with db:
        rid, = db.execute("SELECT id FROM room").fetchone()
        db.executemany(
            "INSERT INTO message (room, seq, sender, content, created_ms)"
            " VALUES (?, ?, 'ann', 'x', 1)",
            ((rid, i) for i in range(1, 30001) if i not in (4001, 29000)))
        db.execute("UPDATE room_head SET last_seq = 30000")
    db.close()
    server.start()
    until(server.healthy, "the server answers")
    status, out = unhurried(server)
    assert status == 1 and out["messages"] == 29998
    assert [f.rpartition(" ")[2] for f in out["faults"]] == ["4001", "29000"]
