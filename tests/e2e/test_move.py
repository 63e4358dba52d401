# SPDX-License-Identifier: MIT
"""A tenant moves to another server, and nobody can tell."""
import json
import os
import pty
import sqlite3

import pytest

from client import Rest, Tenant, operator
from harness import BIN, DEADLINE, clean_env, run

PHRASE = "correct horse battery staple"


def tool(server, *args, ok=True):
    done = run("-d", "file:chatapi.db", *args, cwd=server.dir,
               deadline=DEADLINE * 3)
    if ok:
        assert done.returncode == 0, done.stderr
    return done


def furnish(tenant):
    """Rooms of every kind with a past."""
    ann, bob = tenant.user("ann"), tenant.user("bob")
    rooms = [ann.make_room(["bob", "cid"], name="one",
                           metadata={"a": [1, None]})["room_id"],
             ann.make_room(type_="channel", name="all")["room_id"],
             ann.make_room(["ann", "bob"], type_="dm")["room_id"]]
    for room in rooms:
        for i in range(120):
            sent = ann.say(room, f"message {i}", meta={"i": i},
                           client_msg_id=f"c{i}")
            path = f"/rooms/{room}/messages/{sent['message_id']}"
            if i % 10 == 3:
                ann.call("PUT", path, {"content": "edited"}).expect(200)
            if i % 10 == 7:
                ann.delete(path).expect(204)
    bob.post("/acks", {"room_id": rooms[0], "seq": 33}).expect(200)
    bob.post("/subscriptions", {"topic": "news"}).expect(201)
    tenant.backend().post("/notify", {
        "topic": "news", "payload": {"x": 1},
        "targets": {"user_ids": ["bob"]}}).expect(202)
    return rooms


def everything(tenant, rooms):
    """All that the tenant's backend and users can read, byte for byte."""
    out = {}
    for who in (None, "ann", "bob"):
        rest = Rest(tenant.server, tenant.headers(who))
        paths = ["/rooms", "/channels"] if who else ["/rooms"]
        for r in rooms:
            paths += [f"/rooms/{r}", f"/rooms/{r}/members",
                      f"/rooms/{r}/messages?after_seq=0&limit=100",
                      f"/rooms/{r}/messages?after_seq=100",
                      f"/rooms/{r}/messages?before_seq=1000"]
        if who:
            paths += ["/subscriptions", "/notifications"]
        for p in paths:
            reply = rest.get(p)
            # Not a member of the channel: the same refusal.
            assert reply.status in (200, 403)
            if reply.status == 200:
                out[(who, p)] = reply.body
    return out


def test_moves(start_server, tmp_path):
    a = start_server(workers=1)
    for _ in range(3):
        # Others before him: his numbers are other ones there.
        furnish(Tenant(a))
    tenant = Tenant(a)
    rooms = furnish(tenant)
    first = operator(a)
    secret = {"webhook_url": "https://example.org/hook",
              "jwt_secret": "a secret of thirty-two characters"}
    made = first.call("PATCH", f"/admin/tenants/{tenant.id}",
                      secret).expect(200)
    before = everything(tenant, rooms)
    (tmp_path / "phrase").write_text(PHRASE + "\n")
    (tmp_path / "other").write_text("another passphrase\n")
    out = json.loads(tool(
        a, "export", "--tenant", tenant.id, "--passphrase-file",
        tmp_path / "phrase", "--json", tmp_path / "t.export").stdout)
    assert out["rooms"] == 3 and out["messages"] == 360 and out["secrets"]
    assert os.listdir(os.path.join(a.dir, "chatapi.db-staging")) == []
    raw = (tmp_path / "t.export").read_bytes()
    assert secret["jwt_secret"].encode() not in raw
    assert made["webhook_secret"].encode() not in raw
    a.stop()

    b = start_server(workers=2)
    furnish(Tenant(b))
    refused = tool(b, "import", tmp_path / "t.export", "--passphrase-file",
                   tmp_path / "phrase", ok=False)
    assert refused.returncode == 1 and "stop the server" in refused.stderr
    b.stop()
    refused = tool(b, "import", tmp_path / "t.export", "--passphrase-file",
                   tmp_path / "other", ok=False)
    assert refused.returncode == 1 and "passphrase" in refused.stderr
    tool(b, "import", tmp_path / "t.export", "--passphrase-file",
         tmp_path / "phrase")
    refused = tool(b, "import", tmp_path / "t.export", "--passphrase-file",
                   tmp_path / "phrase", ok=False)
    assert refused.returncode == 1 and "already" in refused.stderr
    assert json.loads(tool(b, "check", "--json").stdout)["sound"]
    b.start()
    tenant.server = b
    assert everything(tenant, rooms) == before
    # He goes on where he was; what was sent stays sent once.
    ann = tenant.user("ann")
    again = ann.post(f"/rooms/{rooms[0]}/messages", {
        "content": "message 0", "meta": {"i": 0}, "client_msg_id": "c0"})
    assert again.expect(200)["seq"] == 1
    assert ann.say(rooms[0], "more")["seq"] == 121
    rooms_now = ann.get("/rooms").expect(200)["rooms"]
    assert rooms_now[0]["room_id"] == rooms[0]
    assert ann.make_room(["bob"])["room_id"] not in rooms
    shown = operator(b).get(f"/admin/tenants/{tenant.id}").expect(200)
    assert shown["webhook_url"] == secret["webhook_url"]
    token = jwt_of(tenant.id, "ann", secret["jwt_secret"])
    Rest(b, {"Authorization": "Bearer " + token}).get("/rooms").expect(200)


def jwt_of(tid, user, secret):
    import jwt
    import time
    return jwt.encode({"sub": user, "tid": tid,
                       "exp": int(time.time()) + 600}, secret, "HS256")


def typed(server, *args, lines):
    """Runs the command on a terminal of its own; (status, what it said)."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(server.dir)
        os.execve(BIN, [BIN, "-d", "file:chatapi.db", *map(str, args)],
                  clean_env())
    said = b""
    try:
        for prompt, line in lines:
            while prompt not in said:
                said += os.read(fd, 1000)
            os.write(fd, line + b"\n")
        while True:
            said += os.read(fd, 1000)
    except OSError:     # the other end is closed
        pass
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def test_passphrase_is_typed_twice(start_server, tmp_path):
    server = start_server(workers=1)
    tenant = Tenant(server)
    operator(server).call("PATCH", f"/admin/tenants/{tenant.id}",
                          {"jwt_secret": "x" * 32}).expect(200)
    args = "export", "--tenant", tenant.id, tmp_path / "t"
    first = b"Passphrase of the secrets: "
    status, said = typed(server, *args, lines=[
        (first, PHRASE.encode()), (b"Again: ", b"another one entirely")])
    assert status == 1 and b"the two differ" in said
    assert PHRASE.encode() not in said and not (tmp_path / "t").exists()
    status, said = typed(server, *args, lines=[
        (first, PHRASE.encode()), (b"Again: ", PHRASE.encode())])
    assert status == 0 and (tmp_path / "t").exists(), said
    tool(server, "tenant", "delete", tenant.id)
    server.stop()
    os.rename(os.path.join(server.dir, "chatapi.db"), tmp_path / "away")
    status, said = typed(server, "import", "--create", tmp_path / "t",
                         lines=[(first, PHRASE.encode())])
    assert status == 0 and b"Again" not in said, said


def test_without_secrets(start_server, tmp_path):
    a = start_server(workers=1)
    tenant = Tenant(a)
    room = tenant.user("ann").make_room()["room_id"]
    tenant.user("ann").say(room, "hello")
    operator(a).call("PATCH", f"/admin/tenants/{tenant.id}", {
        "webhook_url": "https://example.org/hook",
        "jwt_secret": "a secret of thirty-two characters"}).expect(200)
    done = tool(a, "export", "--tenant", tenant.id, tmp_path / "t", ok=False)
    assert done.returncode == 1 and "--no-secrets" in done.stderr
    assert os.listdir(tmp_path) == []
    done = tool(a, "export", "--tenant", "tenant_0123456789abcdefghjkmn",
                tmp_path / "t", ok=False)
    assert done.returncode == 1 and "no tenant" in done.stderr
    a.stop()
    # Without a server, too.
    tool(a, "export", "--tenant", tenant.id, "--no-secrets", tmp_path / "t")
    b = start_server(workers=1, launch=False)
    done = tool(b, "import", tmp_path / "t", ok=False)
    assert done.returncode == 1
    assert "no database" in done.stderr and "--create" in done.stderr
    assert not [n for n in os.listdir(b.dir) if n.startswith("chatapi.db")]
    tool(b, "import", "--create", tmp_path / "t")
    assert not os.path.exists(os.path.join(b.dir, "chatapi.db-secrets"))
    b.start()
    shown = operator(b).get(f"/admin/tenants/{tenant.id}").expect(200)
    assert shown.get("webhook_url") is None
    tenant.server = b
    assert len(tenant.user("ann").history(room)) == 1


@pytest.mark.parametrize("statement", [
    "DELETE FROM message WHERE seq = 1",
    "UPDATE room_head SET members = 7",
    "UPDATE export SET version = 99",
    "UPDATE room_head SET activity = 9223372036854775807",
    "DELETE FROM tenant", "DROP TABLE export"])
def test_unsound_is_refused(start_server, tmp_path, statement):
    """A changed file is not imported, and nothing of it."""
    a = start_server(workers=1)
    tenant = Tenant(a)
    room = tenant.user("ann").make_room()["room_id"]
    tenant.user("ann").say(room, "hello")
    a.stop()
    tool(a, "export", "--tenant", tenant.id, tmp_path / "t")
    with sqlite3.connect(tmp_path / "t") as db:
        db.execute(statement)
    db.close()
    b = start_server(workers=1, launch=False)
    tool(b, "tenant", "create", "first")
    done = tool(b, "import", tmp_path / "t", ok=False)
    assert done.returncode == 1 and done.stderr
    assert "tenant_" in tool(b, "tenant", "list").stdout
    assert tenant.id not in tool(b, "tenant", "list").stdout
    # Nor is an export taken for a backup.
    done = tool(b, "restore", tmp_path / "t", ok=False)
    assert done.returncode == 1
