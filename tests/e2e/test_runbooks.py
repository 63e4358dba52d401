# SPDX-License-Identifier: MIT
"""The runbooks of doc/operations.md: each fault is made, shows itself as the
page says, and its commands, as printed, end it."""
import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys

import pytest

from client import Rest, Tenant
from conf import ConfServer
from harness import MASTER_KEY, free_port, run, until
from hook import Hook
from metrics import scrape
from runbook import Operator, blocks, check_quoted, commands, PAGE
from test_disk import Preload, check_sick, wait_well
from tls import Authority

PAGE_SIZE = 4096


@pytest.fixture
def begin(request, tmp_path):
    """Starts a server with a configuration file: (server, its operator)."""
    from conftest import finish
    servers = []

    def start(launch=True, env=None, **kwargs):
        server = ConfServer(**kwargs)
        server.env.update(env or {})
        servers.append(server)
        if launch:
            server.start().wait_ready()
        return server, Operator(server, tmp_path)

    yield start
    for server in servers:
        finish(server, getattr(request.node, "failed_somewhere", False),
               request.node.name)


def status(server):
    return run("-d", "file:chatapi.db", "status", cwd=server.dir)


def state_of(server, name):
    """As in the table of `chatapi status`."""
    found = re.search(rf"^{name} +\d+ +(\w+)", status(server).stdout, re.M)
    return found and found.group(1)


def room_of(tenant, messages=0, size=10):
    ann = tenant.user("ann")
    room = ann.make_room(["ann", "bob"])["room_id"]
    for i in range(messages):
        ann.say(room, f"{i} " + "x" * size)
    return room


def check_well(server, tenant, room):
    """The page's own test, and that it is true."""
    server.wait_ready()
    done = status(server)
    assert done.returncode == 0, done
    assert Rest(server).get("/health").expect(200)["db_writable"] is True
    sent = tenant.user("ann").say(room, "all is well")
    shown = tenant.user("bob").history(room)
    assert [m["seq"] for m in shown] == list(range(1, sent["seq"] + 1))
    return shown


def test_first_look(begin):
    server, op = begin()
    setting, look = commands("Runbooks")
    op.run(setting)
    said = op.run(look)
    assert re.search(r"^state +serving$", said, re.M), said
    assert '"db_writable":true' in said and "ALLOWED_ORIGINS" in said


def test_no_command_is_left_out():
    """Each block below the runbooks is run by a test of this file."""
    with open(__file__, encoding="utf-8") as f:
        tests = f.read()
    lines = open(PAGE, encoding="utf-8").read().splitlines()
    start = lines.index("## Runbooks")
    for block in blocks(PAGE):
        if block.line > start and block.language == "sh":
            head = next(line for line in reversed(lines[:block.line])
                        if line.startswith("#") and " " in line)
            assert f'"{head.lstrip("# ")}"' in tests, head


def test_disk_full(begin, tmp_path):
    disk = Preload(tmp_path)
    server, op = begin(launch=False, env=disk.env)
    disk.disk.of(os.path.join(server.dir, "chatapi.db"))
    server.env.update(disk.disk.env)
    server.start()
    tenant = Tenant(server)
    room = room_of(tenant)
    disk.fill()
    tenant.user("ann").post(f"/rooms/{room}/messages",
                            {"content": "no"}).error(503, "unavailable")
    check_sick(server)
    done = status(server)
    assert done.returncode == 1
    assert re.search(r"^writable +false$", done.stdout, re.M), done.stdout
    check_quoted("Disk full", server)
    (look,) = commands("Disk full")
    assert "chatapi.db" in op.run(look)
    disk.heal()
    wait_well(server)
    until(lambda: 'msg="database writable again"' in server.log(),
          "the log said so")
    check_well(server, tenant, room)


def spoil(path):
    """Overwrites a page that holds messages of the middle of a room."""
    with sqlite3.connect(path) as db:
        leaves = [n for (n,) in db.execute(
            "SELECT pageno FROM dbstat WHERE name = 'message' AND "
            "pagetype = 'leaf' ORDER BY path")]
    assert len(leaves) > 20
    with open(path, "r+b") as f:
        f.seek((leaves[len(leaves) // 2] - 1) * PAGE_SIZE)
        f.write(os.urandom(PAGE_SIZE))


@pytest.mark.parametrize("way", ["restore", "salvage"])
def test_corrupt_database(begin, way):
    server, op = begin()
    tenant = Tenant(server)
    rooms = [room_of(tenant, 120, 300) for _ in range(3)]
    before = {r: tenant.user("bob").history(r) for r in rooms}
    run("-d", "file:chatapi.db", "backup", "backup-chatapi.db",
        cwd=server.dir).check_returncode()
    late = tenant.user("ann").say(rooms[0], "after the backup")
    epoch = epoch_of(server)
    server.stop()
    spoil(os.path.join(server.dir, "chatapi.db"))
    server.start()
    answers = [tenant.user("bob").get(
        f"/rooms/{r}/messages?after_seq={seq}&limit=100")
        for r in rooms for seq in (0, 50)]
    assert {a.status for a in answers} == {200, 503}
    check_quoted("Corrupt database", server)
    (errors,) = commands("Server errors")
    assert "status=503 route=/rooms/{}/messages" in op.run(errors)
    save, restore, salvage = commands("Corrupt database")
    with pytest.raises(AssertionError, match="malformed"):
        op.run(save)
    assert os.path.exists(os.path.join(server.dir, "broken", "chatapi.db"))
    said = op.run(restore if way == "restore" else salvage)
    assert re.search(r"^faults +0$", said, re.M), said
    assert epoch_of(server) != epoch
    shown = {r: check_well(server, tenant, r)[:-1] for r in rooms}
    if way == "restore":
        assert shown == before
        return
    # All but what the page held, which are tombstones, and the late one.
    before[rooms[0]].append(late | {"client_msg_id": None})
    lost = [m for r in rooms for m in shown[r] if "deleted_at" in m]
    assert 0 < len(lost) < 20 and f"{len(lost)} of them lost" in said
    for r in rooms:
        for was, now in zip(before[r], shown[r], strict=True):
            assert now in lost or (now["message_id"], now["content"]) == \
                (was["message_id"], was["content"])
    done = run("-d", "file:chatapi.db", "check", "--full", cwd=server.dir)
    assert done.returncode == 0, done


def epoch_of(server):
    with sqlite3.connect(f"file:{server.dir}/chatapi.db?mode=ro",
                         uri=True) as db:
        return db.execute("SELECT epoch FROM state").fetchone()[0]


def test_stuck_worker(begin):
    server, op = begin()
    tenant = Tenant(server)
    room = room_of(tenant)
    # It is noticed and replaced by the server itself.  Status says so for
    # 2.5 s at least, which a busy machine may sleep through.

    def seen_or_gone():
        return state_of(server, "worker 1") == "silent" and "seen" or \
            server.children().get("worker 1") != old and "gone"

    seen, stopped = None, 0
    while seen != "seen" and stopped < 4:
        old = server.kill("worker", 1, signal.SIGSTOP)
        stopped += 1
        seen = until(seen_or_gone, "status said so", 30)
        server.wait_respawn("worker", 1, old, 30)
    assert seen == "seen", "status never said so"
    check_quoted("Stuck worker", server)
    until(lambda: state_of(server, "worker 1") == "ready", "it was ready")
    # And sooner by who follows the page.
    old = server.kill("worker", 1, signal.SIGSTOP)
    (block,) = commands("Stuck worker")
    said = op.run(block)
    assert re.search(rf"^ *{old} +T", said, re.M), said
    server.wait_respawn("worker", 1, old)
    assert server.log().count('why="no heartbeat"') == stopped
    (deaths,) = commands("Processes keep dying")
    assert op.run(deaths).count("child died") == stopped + 1
    check_well(server, tenant, room)


def test_stuck_writer(begin):
    server, op = begin()
    tenant = Tenant(server)
    room = room_of(tenant)
    old = server.kill("writer", sig=signal.SIGSTOP)
    with pytest.raises(OSError):
        tenant.user("ann").post(f"/rooms/{room}/messages", {"content": "?"})
    assert state_of(server, "writer") == "silent"
    check_quoted("Stuck writer", server)
    (block,) = commands("Stuck writer")
    assert re.search(rf"^ *{old} +T", op.run(block), re.M)
    server.wait_respawn("writer", None, old)
    check_well(server, tenant, room)


def test_writer_does_not_come_back(begin, tmp_path):
    disk = Preload(tmp_path)
    server, _ = begin(launch=False)
    disk.disk.of(os.path.join(server.dir, "chatapi.db"))
    server.env.update(disk.disk.env)
    server.start()
    tenant = Tenant(server)
    room = room_of(tenant)
    disk.disk.open_error = 5
    server.kill("writer")
    until(lambda: server.log().count("delay_ms=") >= 3, "it was tried")
    check_quoted("Writer does not come back", server)
    until(lambda: state_of(server, "writer") in ("down", "starting", None),
          "status said so")
    check_sick(server)
    disk.heal()
    wait_well(server)
    check_well(server, tenant, room)


READER = """import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN")
db.execute("SELECT count(*) FROM message").fetchone()
print("holds it", flush=True)
sys.stdin.read()
"""


def wal_mib(server):
    return scrape(server).get("wal_bytes") / (1 << 20)


def test_long_reader(begin):
    server, op = begin()
    tenant = Tenant(server)
    room = room_of(tenant)
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, server.dir + "/chatapi.db"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert reader.stdout.readline() == "holds it\n"
        ann = tenant.user("ann")
        while wal_mib(server) < 20:
            for _ in range(100):
                ann.say(room, "x" * 16000)
        (look,) = commands("Write-ahead log grows")
        said = op.run(look)
        named = re.findall(r"^ *(\d+) +[\d:-]+ (.+)$", said, re.M)
        assert [int(pid) for pid, args in named
                if not args.startswith("chatapi: ")] == [reader.pid], said
    finally:
        reader.kill()
        reader.wait()

    def less():
        ann.say(room, "x")
        return wal_mib(server) < 16
    until(less, "the log began anew")
    check_well(server, tenant, room)


def test_too_many_connections(begin):
    server, op = begin(workers=1)
    tenant = Tenant(server)
    room = room_of(tenant)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (120, 120))
    old = server.kill("worker", 0)
    server.wait_respawn("worker", 0, old)
    ann = tenant.user("ann")
    ann.say(room, "connected before")
    crowd = []
    for _ in range(150):
        s = socket.create_connection(("127.0.0.1", server.port))
        s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n")
        crowd.append(s)
    until(lambda: "accepting no more" in server.log(), "it was full")
    check_quoted("Too many connections", server)
    worker = server.pid_of("worker", 0)
    # What the master sends still has a descriptor: a new writer's link.
    for _ in range(3):
        writer = server.kill("writer")
        until(lambda: server.children().get("writer") not in (None, writer),
              "there was another")
        ann.say(room, "full, and served")
    assert server.pid_of("worker", 0) == worker
    # A proxy asks in vain, so only what needs no new connection is run.
    look, more = commands("Too many connections")
    assert re.search(r"\d+ 127\.0\.0\.1$", op.run(look), re.M)
    server.workers = 4
    op.run(more)
    until(server.whole, "there were four workers")
    for s in crowd:
        s.close()
    until(lambda: 'msg="accepting again"' in server.log() or
          server.pid_of("worker", 0) != worker, "it accepted")
    until(lambda: len(server.status()["processes"]) == 7 and
          server.status()["reload"]["state"] == "idle", "all were replaced")
    assert scrape(server).get("accept_pauses_total") >= 1
    check_well(server, tenant, room)


def test_certificate(begin, tmp_path):
    ca = Authority(tmp_path)
    server, op = begin(launch=False)
    for path, name in zip(ca.files, ("cert.pem", "key.pem")):
        os.link(path, os.path.join(server.dir, name))
    port = free_port()
    server.settings |= {"tls_cert": "cert.pem", "tls_key": "key.pem",
                        "tls_listen_addr": f"127.0.0.1:{port}"}
    server.write()
    server.start()
    tenant = Tenant(server)
    room = room_of(tenant)
    (block,) = commands("Certificate about to expire, or refused")
    block = block.replace(":8443", f":{port}")
    said = op.run(block)
    assert said.count("notAfter=") == 2
    until(lambda: 'msg="certificate read again"' in server.log(), "read")
    until(lambda: server.status()["reload"]["state"] == "idle", "reloaded")
    with open(os.path.join(server.dir, "key.pem"), "wb") as f:
        f.write(ca.make()[1])
    with pytest.raises(AssertionError, match="TLS_KEY is not the key of"):
        op.run(block)
    server.hup()
    until(lambda: "certificate refused" in server.log(), "it was refused")
    check_quoted("Certificate about to expire, or refused", server)
    check_well(server, tenant, room)


def test_dead_letters(begin):
    server, op = begin(settings={
        "webhook_allow_private": "1", "retry_interval": "20ms",
        "retry_max_attempts": 2, "presence_grace": "200ms"})
    hook = Hook()
    try:
        tenant = Tenant(server)
        hook.serve(tenant)
        hook.answer = lambda call: 500
        room = room_of(tenant, 5)

        def dead():
            return tenant.backend().get("/admin/dead-letters").expect(200)[
                "failed_messages"]
        until(lambda: len(dead()) == 5, "they were given up")
        hook.answer = lambda call: 200
        (block,) = commands("Dead letters pile up")
        assert "HTTP status 500" in op.run(block, KEY=tenant.key)
        until(lambda: not dead(), "they were delivered")
        until(lambda: scrape(server).get("dead_letters") == 0, "none is left")
    finally:
        hook.close()
    check_well(server, tenant, room)


def test_clock(begin):
    """What jumps do: test_clock.py."""
    server, op = begin()
    (block,) = commands("Clock jumped")
    assert re.search(r"^date: \w", op.run(block), re.M | re.I)


def test_keys(begin):
    title = "Keys: forgotten master key, leaked API key"
    server, op = begin()
    tenant = Tenant(server)
    room = room_of(tenant)
    master, leaked = commands(title)
    assert MASTER_KEY in op.run(master)

    def old_is_refused(slot):
        return Rest(server, {"X-Master-Key": MASTER_KEY}, slot).get(
            "/admin/tenants").status == 401
    # Each worker is told by itself.
    for slot in range(server.workers):
        until(lambda: old_is_refused(slot), "the old master key was refused")
    new = re.search(r"master_api_key = (\w{48})\n", open(
        os.path.join(server.dir, "chatapi.conf"), encoding="utf-8").read())
    Rest(server, {"X-Master-Key": new.group(1)}).get(
        "/admin/tenants").expect(200)
    listed = run("-d", "file:chatapi.db", "key", "list", tenant.id,
                 cwd=server.dir).stdout
    key_id = re.search(r"key_\w+", listed).group()
    said = op.run(leaked, TENANT=tenant.id, KEY_ID=key_id)
    until(lambda: tenant.backend().get("/rooms").status == 401,
          "the old key was refused")
    tenant.key = re.search(r"sk_[\w-]+", said).group()
    check_well(server, tenant, room)
