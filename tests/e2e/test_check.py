# SPDX-License-Identifier: MIT
"""chatapi check: silent on what is sound, also while it is written to, and
loud about each planted fault."""
import json
import os
import sqlite3

import pytest

from client import Tenant
from harness import DEADLINE, run, scaled, until
from load import Load


def check(server, *args):
    """(exit status, what it says)"""
    done = run("-d", "file:chatapi.db", "check", "--json", *args,
               cwd=server.dir, deadline=DEADLINE * 3)
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


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


def test_sound(start_server, tmp_path):
    server = start_server(workers=2)
    tenant, rooms = lively(server)
    for args in ((), ("--full",)):
        status, out = check(server, *args)
        assert (status, out["faults"]) == (0, []), out
        assert out["sound"] and out["rooms"] == 4
        assert out["members"] == 3 + 1 + 2 + 2
        assert out["messages"] == 60
        assert bool(out["not_checked"]) == (args == ())
    assert not [n for n in os.listdir(server.dir) if "-backup-" in n]
    run("-d", "file:chatapi.db", "backup", tmp_path / "b.db", cwd=server.dir)
    assert check(server, tmp_path / "b.db")[1]["messages"] == 60
    assert os.listdir(tmp_path) == ["b.db"]
    server.stop()
    status, out = check(server)
    assert (status, out["faults"], out["not_checked"]) == (0, [], []), out
    text = run("-d", "file:chatapi.db", "check", cwd=server.dir)
    assert text.returncode == 0 and "4 rooms" in text.stdout


def test_killed_is_sound(start_server):
    """What kill -9 of everything leaves, log and all."""
    server = start_server(workers=2)
    tenant, rooms = lively(server)
    server.destroy()
    assert os.path.getsize(os.path.join(server.dir, "chatapi.db-wal")) > 0
    status, out = check(server)
    assert (status, out["faults"], out["messages"]) == (0, [], 60), out


def test_while_written(start_server):
    """No false alarm and no long read while rooms grow, are trimmed, come
    and go."""
    server = start_server(workers=2)
    tenant, rooms = lively(server)
    ann = tenant.user("ann")
    load = Load(tenant, [ann.make_room(["bob"])["room_id"]
                         for _ in range(3)])
    for i in range(scaled(12, 5)):
        room = ann.make_room(["bob", "cid"])["room_id"]
        ann.say(room, "hello")
        status, out = check(server)
        assert (status, out["faults"]) == (0, []), out
        assert out["longest_read_ms"] < 250
        ann.delete(f"/rooms/{room}").expect(204)
    load.stop()


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
}


@pytest.fixture(scope="module")
def sound_file(tmp_path_factory):
    """A sound database that no server uses."""
    from harness import Server
    server = Server(workers=1)
    try:
        server.start()
        lively(server)
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
    status, out = check(server)
    assert status == 1 and out["messages"] == 29998
    assert [f.rpartition(" ")[2] for f in out["faults"]] == ["4001", "29000"]
    assert out["longest_read_ms"] < 250
