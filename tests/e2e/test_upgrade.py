# SPDX-License-Identifier: MIT
"""A database that an earlier program wrote is served as if nothing had been.

tests/e2e/data has one of each earlier schema, and what the program of those
days answered about it; make.py there tells how they were made.
"""
import json
import os
import re
import shutil
import signal
import sqlite3

import pytest

import faults
import hook
from chat import Chat
from client import Rest, Tenant, operator
from harness import AS_ROOT, DEADLINE, free_port, run, until
from hook import Hook
from test_disk import Preload, Tmpfs
from tokens import Bearer, by_hand

DATA = os.path.join(os.path.dirname(__file__), "data")
EARLIER = range(1, 9)
WEBHOOKS = 6    # the first schema with them


class Earlier:
    """What was written and answered then; load() makes the database."""

    def __init__(self, n):
        with open(os.path.join(DATA, f"schema-{n}.json"),
                  encoding="utf-8") as f:
            self.__dict__.update(json.load(f))
        self.acme = self.tenants[0]
        self.rooms = self.acme["rooms"]

    def load(self, directory, journal="WAL"):
        path = os.path.join(directory, "chatapi.db")
        db = sqlite3.connect(path)
        with open(os.path.join(DATA, f"schema-{self.schema}.sql"),
                  encoding="utf-8") as f:
            db.executescript(f.read())
        mode, = db.execute(f"PRAGMA journal_mode = {journal}").fetchone()
        assert mode == journal.lower()
        db.close()
        if hasattr(self, "key_file"):
            with open(path + "-secrets", "wb") as f:
                os.fchmod(f.fileno(), 0o600)
                f.write(bytes.fromhex(self.key_file))
        return path

    def tenant(self, server, index=0):
        t = Tenant.__new__(Tenant)
        t.server = server
        t.id, t.name, t.key = (self.tenants[index][k]
                               for k in ("id", "name", "key"))
        return t

    def serve(self, start_server, **options):
        server = start_server(launch=False, **options)
        self.load(server.dir)
        server.start()
        return server


@pytest.fixture(params=EARLIER, ids=lambda n: f"schema-{n}")
def earlier(request):
    return Earlier(request.param)


def schema_of(path):
    """{table: columns}, {index: (table, columns, condition)}."""
    db = sqlite3.connect(path)
    tables = {}
    for table, in db.execute("SELECT name FROM sqlite_master"
                             " WHERE type = 'table'"):
        tables[table] = [c[1:] for c in db.execute(
            f"PRAGMA table_info({table})")]
    indexes = {name: (table, [c[2] for c in db.execute(
        f"PRAGMA index_info({name})")], (sql or "").partition("WHERE")[2])
        for name, table, sql in db.execute(
            "SELECT name, tbl_name, sql FROM sqlite_master"
            " WHERE type = 'index'")}
    version, = db.execute("PRAGMA user_version").fetchone()
    db.close()
    return version, tables, indexes


def check(server):
    done = run("-d", "file:chatapi.db", "check", "--json", cwd=server.dir,
               deadline=DEADLINE * 3)
    assert done.returncode == 0, done.stdout + done.stderr


def same(was, now, where="answer"):
    """Now says what was said then; it may say more."""
    if isinstance(was, dict):
        assert isinstance(now, dict), where
        for k, v in was.items():
            assert k in now, f"{where}: no {k} any more"
            same(v, now[k], f"{where}.{k}")
    elif isinstance(was, list):
        assert len(was) == len(now), (where, was, now)
        for i, v in enumerate(was):
            same(v, now[i], f"{where}[{i}]")
    else:
        assert was == now, (where, was, now)


def ask(rest, was, path):
    """Asks again what could be asked then."""
    if was is not None:
        same(was, rest.get(path).expect(200), path)


def test_everything_is_as_before(start_server, earlier):
    server = earlier.serve(start_server, workers=2)
    for i, was in enumerate(earlier.tenants):
        tenant = earlier.tenant(server, i)
        assert bool(was["rooms"])
        for user, of in was["users"].items():
            rest = tenant.user(user)
            same(of["rooms"], rest.get("/rooms").expect(200)["rooms"], user)
            ask(rest, of["subscriptions"], "/subscriptions")
            ask(rest, of["notifications"], "/notifications")
            for room in of["rooms"]:
                path = "/rooms/" + room["room_id"]
                then = was["rooms"][room["room_id"]]
                ask(rest, then["room"], path)
                ask(rest, then["members"], path + "/members")
                ask(rest, then["messages"], path + "/messages?limit=100")
        ask(operator(server), was["tenant"], "/admin/tenants/" + was["id"])
        ask(tenant.backend(), was["dead_letters"], "/admin/dead-letters")
    # Rooms and tenants do not see each other's.
    theirs = next(iter(earlier.tenants[1]["rooms"]))
    earlier.tenant(server).user("ann").get("/rooms/" + theirs).error(404)
    check(server)
    server.stop()
    check(server)


def test_schema_is_that_of_a_new_database(start_server, earlier, tmp_path):
    """No step was changed after somebody had taken it."""
    new = start_server(workers=1)
    old = earlier.serve(start_server, workers=1)
    new.stop()
    old.stop()
    want, got = (schema_of(os.path.join(s.dir, "chatapi.db"))
                 for s in (new, old))
    assert got == want
    assert got[0] > max(EARLIER)


def test_keys_and_secrets(start_server, earlier):
    if "second_key" not in earlier.acme:
        # Only what each of them has.
        server = earlier.serve(start_server, workers=1)
        earlier.tenant(server).user("ann").get("/rooms").expect(200)
        return
    server = earlier.serve(start_server, workers=2)
    was = earlier.acme
    for key, status in (("key", 200), ("second_key", 200),
                        ("revoked_key", 401)):
        rest = Rest(server, {"X-API-Key": was[key], "X-User-Id": "ann"})
        assert rest.get("/rooms").status == status, key
    token = by_hand({"alg": "HS256", "typ": "JWT"}, {
        "sub": "ann", "tid": was["id"], "exp": 4102444800},
        was["jwt_secret"])
    rest = Rest(server, {"Authorization": "Bearer " + token})
    same(was["users"]["ann"]["rooms"],
         rest.get("/rooms").expect(200)["rooms"])
    assert rest.get("/rooms").headers["x-ratelimit-limit"] == "7777"


def test_resent_messages_are_known(start_server, earlier):
    server = earlier.serve(start_server, workers=2)
    tenant = earlier.tenant(server)
    assert len(earlier.sent) >= 32
    for m in earlier.sent:
        rest = tenant.user(m["user"])
        path = f"/rooms/{m['room_id']}/messages"
        if m["room_id"] not in earlier.rooms:
            rest.post(path, m["body"]).error(404)
            continue
        again = rest.post(path, m["body"]).expect(200)
        assert (again["message_id"], again["seq"]) == \
            (m["message_id"], m["seq"])
        rest.post(path, {**m["body"], "content": "another"}).error(409)
    for room, was in earlier.rooms.items():
        same(was["messages"]["messages"], tenant.user("ann").history(room))


async def test_it_goes_on(start_server, earlier):
    """Sending, changing, reading, and what came only later."""
    server = earlier.serve(start_server, workers=2)
    tenant = earlier.tenant(server)
    ann, bob = tenant.user("ann"), tenant.user("bob")
    chat = await Chat.connect(tenant, "bob")
    for name, room in earlier.room_ids.items():
        head = earlier.heads[room]
        new = ann.say(room, "by today's", client_msg_id="new")
        assert new["seq"] == head["seq"] + 1
        await chat.wait("message", message_id=new["message_id"])
        path = f"/rooms/{room}/messages/{new['message_id']}"
        assert ann.call("PUT", path, {"content": "edited"}).expect(200)[
            "rev"] == head["rev"] + 1
        old = earlier.rooms[room]["messages"]["messages"][0]
        bob_or_ann = tenant.user(old["sender_id"])
        bob_or_ann.delete(
            f"/rooms/{room}/messages/{old['message_id']}").expect(204)
        frame = await chat.wait("message.deleted", room_id=room, seq=1)
        assert frame["rev"] == head["rev"] + 2
        got = bob.post("/acks", {"room_id": room, "seq": new["seq"]})
        assert got.expect(200)["seq"] == new["seq"]
    dm = ann.post("/rooms", {"type": "dm", "members": ["bob", "ann"]})
    assert dm.expect(200)["room_id"] == earlier.room_ids["dm"]
    token = ann.post("/ws/token").expect(200)["token"]
    by_token = await Chat.connect(Bearer(server), None,
                                  path="/ws?token=" + token)
    ann.post("/subscriptions", {"topic": "later"}).expect(201)
    sent = tenant.backend().post("/notify", {
        "topic": "later", "payload": 1, "targets": {}}).expect(202)
    for c in (chat, by_token):
        await c.wait("notification",
                     notification_id=sent["notification_id"])
    ann.post(f"/notifications/{sent['notification_id']}/ack").expect(200)
    fresh = ann.make_room(["bob"])["room_id"]
    assert ann.say(fresh, "first")["seq"] == 1
    check(server)


async def test_a_device_that_was_away(start_server, earlier):
    """Its cursor is from before the upgrade: it gets what it missed, once,
    and nothing else."""
    server = earlier.serve(start_server, workers=2)
    ann = await Chat.connect(earlier.tenant(server), "ann",
                             path="/ws?resume=1")
    assert ann.welcome["epoch"] == earlier.epoch
    await ann.send("resume", epoch=earlier.epoch, cursors=earlier.cursors)
    done = await ann.wait("sync.complete")
    assert done["heads"] == earlier.heads
    assert not ann.of("error") and not ann.of("sync.gap")
    for room, was in earlier.rooms.items():
        cursor = earlier.cursors[room]
        messages = was["messages"]["messages"]
        missed = [m for m in messages if m["seq"] > cursor["seq"]]
        got = ann.of("message", room_id=room)
        assert [m["seq"] for m in got] == [m["seq"] for m in missed]
        same([{k: v for k, v in m.items() if k != "edited_at" or "rev" in m}
              for m in missed], got)
        changed = {m["seq"]: m["rev"] for m in messages
                   if m["seq"] <= cursor["seq"] and
                   m.get("rev", 0) > cursor["rev"]}
        frames = ann.of("message.edited", room_id=room) + \
            ann.of("message.deleted", room_id=room)
        assert {f["seq"]: f["rev"] for f in frames} == changed
        assert len(frames) == len(changed)
    if earlier.schema > 1:
        assert ann.of("message.edited") and ann.of("message.deleted")


@pytest.mark.parametrize("n", [n for n in EARLIER if n >= WEBHOOKS])
def test_webhooks_that_waited(start_server, n):
    """What was to be tried again, what nobody had yet looked at, and what
    had been given up: all arrive, under the names they had."""
    earlier = Earlier(n)
    server = start_server(launch=False, workers=1, env={
        **hook.ENV, "RETRY_MAX_ATTEMPTS": "100"})
    path = earlier.load(server.dir)
    with sqlite3.connect(path) as db:
        # Their hour is over.
        db.execute("UPDATE delivery SET next_ms = 0 WHERE state = 0")
        waiting = {"dlv_" + token for token, in db.execute(
            "SELECT token FROM delivery WHERE state = 0")}
        new, = db.execute("SELECT count(*) FROM outbox").fetchone()
    db.close()
    assert len(waiting) == 3 and new == 2
    server.start()
    tenant = earlier.tenant(server)
    h = Hook()
    try:
        secret = earlier.acme["webhook_secret"]
        operator(server).call("PATCH", "/admin/tenants/" + tenant.id,
                              {"webhook_url": h.url}).expect(200)
        dead = earlier.acme["dead_letters"]
        names = {d["id"] for d in dead["failed_messages"]
                 + dead["failed_notifications"]}
        assert len(names) == 3
        for name in names:
            tenant.backend().post(
                f"/admin/dead-letters/{name}/retry").expect(202)
        until(lambda: len({c.id for c in h.calls}) == 9, "all had come")
        got = {c.id for c in h.calls}
        assert names | waiting < got
        for call in h.calls:
            hook.verify(secret, call.headers, call.raw)
        assert {c.recipient for c in h.calls} == {"ann", "cid", "eve"}
    finally:
        h.close()
    check(server)


# ---- secrets ----

def sealed(server):
    """The first byte of all that is sealed: how that was done."""
    with sqlite3.connect(os.path.join(server.dir, "chatapi.db")) as db:
        return {row[0][0] for row in db.execute(
            "SELECT webhook_secret FROM tenant WHERE webhook_secret NOT NULL"
            " UNION ALL SELECT jwt_key FROM tenant WHERE jwt_alg = 1")}


ANEW = 'msg="secrets sealed anew, by kind" tenants=1'


def test_secrets_are_sealed_anew(start_server):
    """By the first writer, once."""
    server = Earlier(8).serve(start_server, workers=1)
    assert sealed(server) == {2}
    assert server.log().count(ANEW) == 1
    server.wait_respawn("writer", None, server.kill("writer"))
    assert server.log().count(ANEW) == 1
    server.stop()


def test_secrets_whose_key_file_comes_later(start_server):
    """It was left behind when the database moved: nothing is given up, and a
    reload after it was put back makes all good."""
    earlier = Earlier(8)
    server = start_server(launch=False, workers=1)
    key = earlier.load(server.dir) + "-secrets"
    os.rename(key, key + ".away")
    server.start()
    assert sealed(server) == {1}
    assert "put the right key file back" in server.log()
    bearer = {"Authorization": "Bearer " + by_hand(
        {"alg": "HS256", "typ": "JWT"},
        {"sub": "ann", "tid": earlier.acme["id"], "exp": 4102444800},
        earlier.acme["jwt_secret"])}
    Rest(server, bearer).get("/rooms").error(503)
    os.rename(key + ".away", key)
    os.kill(server.pid, signal.SIGHUP)
    # The writer is the last to be replaced; a worker that is, hangs up.
    until(lambda: 'msg="reloaded"' in server.log(), "it was reloaded")
    Rest(server, bearer).get("/rooms").expect(200)
    assert sealed(server) == {2} and ANEW in server.log()
    server.stop()


# ---- a newer one ----

def snapshot(directory):
    out = {}
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), "rb") as f:
            out[name] = f.read()
    return out


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
@pytest.mark.parametrize("log", [False, True], ids=["closed", "killed"])
def test_newer_is_left_alone(tmp_path, journal, log):
    """Not a byte of it changes, and not one of the log that its program
    left when it was killed."""
    path = Earlier(max(EARLIER)).load(tmp_path, journal)
    db = sqlite3.connect(path)
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("PRAGMA user_version = 99")
    db.execute("UPDATE state SET epoch = 'of the newer one'")
    db.commit()
    copy = tmp_path / "copy"
    copy.mkdir()
    if not log:
        db.close()
    for name in os.listdir(tmp_path):
        if name.startswith("chatapi.db") and not name.endswith("-shm"):
            shutil.copy(tmp_path / name, copy / name)
    if log:
        db.close()
    assert (copy / "chatapi.db-wal").exists() == (log and journal == "WAL")
    before = snapshot(copy)
    for args in ([*AS_ROOT, "-l", f"127.0.0.1:{free_port()}"], ["tenant", "list"],
                 ["tenant", "create", "x"]):
        done = run("-d", "file:chatapi.db", *args, cwd=copy,
                   deadline=DEADLINE + 10)
        assert done.returncode != 0
        assert "99" in done.stderr and "newer chatapi" in done.stderr
        after = snapshot(copy)
        for name, data in before.items():
            assert after.get(name) == data, name
        assert set(after) - set(before) <= {
            "chatapi.db-lock", "chatapi.db-shm", "chatapi.db-wal"}
        assert after.get("chatapi.db-wal", b"") == \
            before.get("chatapi.db-wal", b"")


# ---- interrupted ----

def rows_of(path):
    """Everything that is in it, as one compares two of them."""
    db = sqlite3.connect(path)
    out = {}
    for table, in db.execute("SELECT name FROM sqlite_master"
                             " WHERE type = 'table'").fetchall():
        # A batch of one's own has another time.
        if table not in ("batch", "state"):
            out[table] = sorted(map(repr, db.execute(
                f"SELECT * FROM {table}")))
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    return out


def step(directory, env=None):
    """The command without a server opens the database as a writer does."""
    return run("-d", "file:chatapi.db", "tenant", "list", cwd=directory,
               env=env)


def migrated(earlier, directory):
    os.makedirs(directory)
    path = earlier.load(directory)
    done = step(directory)
    assert done.returncode == 0, done.stderr
    return rows_of(path), schema_of(path)


def test_killed_before_each_write(earlier, tmp_path):
    """At every moment the next start finds a database that it completes."""
    want = migrated(earlier, tmp_path / "whole")
    steps = set()
    for k in range(400):
        directory = tmp_path / f"at-{k}"
        os.makedirs(directory)
        path = earlier.load(directory)
        disk = faults.Disk(str(tmp_path / f"disk-{k}"), path,
                           everywhere=True)
        disk.after, disk.times, disk.write_error = k, 1, faults.KILL
        disk.files = faults.DB | faults.WAL
        done = step(directory, disk.env)
        if disk.hits == 0:
            assert done.returncode == 0, done.stderr
            break
        assert done.returncode == -9, done
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        version, = db.execute("PRAGMA user_version").fetchone()
        db.close()
        steps.add(version)
        assert step(directory).returncode == 0
        assert (rows_of(path), schema_of(path)) == want, k
        shutil.rmtree(directory)
    else:
        raise AssertionError("it never came to an end")
    # It was killed between any two steps.
    assert steps == set(range(earlier.schema, want[1][0] + 1)), steps


def test_writer_killed_in_a_migration(start_server):
    """The server's own next writer completes it."""
    earlier = Earlier(2)
    server = start_server(launch=False, workers=2)
    path = earlier.load(server.dir)
    disk = faults.Disk(os.path.join(server.dir, "disk"), path)
    server.env.update(disk.env)
    disk.files, disk.after, disk.times = faults.WAL, 4, 1
    disk.write_error = faults.KILL
    server.start()
    assert disk.hits == 1
    same(earlier.acme["users"]["ann"]["rooms"], earlier.tenant(
        server).user("ann").get("/rooms").expect(200)["rooms"])
    check(server)


@pytest.mark.parametrize("kind", [Preload, Tmpfs], ids=["preload", "tmpfs"])
@pytest.mark.parametrize("order,says", [
    ("fill", "disk"), ("make_readonly", "read-?only")])
def test_no_disk_to_migrate_on(earlier, tmp_path, kind, order, says):
    """A start says why it does not; what is there stays, and is migrated
    when the disk is well again."""
    disk = kind(tmp_path)
    directory = os.path.dirname(disk.database)
    try:
        want = migrated(earlier, tmp_path / "whole")
        path = earlier.load(directory)
        was = rows_of(path)
        getattr(disk, order)()
        for args in ([*AS_ROOT, "-l", f"127.0.0.1:{free_port()}"],
                     ["tenant", "list"]):
            done = run("-d", "file:chatapi.db", *args, cwd=directory,
                       env=disk.env, deadline=DEADLINE + 20)
            assert done.returncode != 0
            assert "chatapi.db" in done.stderr and \
                re.search(says, done.stderr, re.IGNORECASE), done.stderr
        disk.heal()
        assert rows_of(path) == was
        done = step(directory, disk.env)
        assert done.returncode == 0, done.stderr
        assert (rows_of(path), schema_of(path)) == want
    finally:
        disk.end()
