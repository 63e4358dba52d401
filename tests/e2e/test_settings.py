# SPDX-License-Identifier: MIT
"""SIGHUP: each setting that can change takes effect on every worker, a bad
file changes nothing; and what `chatapi status` says."""
import os
import re
import time

import pytest

from chat import Chat
from client import Rest, Tenant
from conf import ConfServer
from conftest import finish
from harness import MASTER_KEY, run, until

WORKERS = 2
ORIGIN = "https://chat.example.org"


@pytest.fixture
def conf(request):
    server = ConfServer(WORKERS)
    try:
        server.start()
        yield server.wait_ready()
    finally:
        finish(server, getattr(request.node, "failed_somewhere", False),
               request.node.name)


def everywhere(server, check):
    """check() of a connection to each worker; they take settings in their
    own time, a moment later."""
    for slot in range(WORKERS):
        until(lambda s=slot: check(s), f"worker {slot} had taken it")


def test_log_level(conf):
    end, said = conf.reload(log_level="debug")
    assert end == "idle" and "name=LOG_LEVEL" in said
    for slot in range(WORKERS):
        until(lambda s=slot: re.search(
            rf"level=debug role=worker slot={s} ", conf.log()),
            f"worker {slot} logs more")
    conf.reload(log_level="error")
    start = len(conf.log())
    conf.reload()
    assert "level=info" not in conf.log()[start:]


def test_rate_limit(conf):
    tenant = Tenant(conf)

    def limit(slot):
        return tenant.user("ann", slot).get("/rooms").headers.get(
            "x-ratelimit-limit")

    assert limit(0) is None or limit(0) == "0"
    assert conf.reload(default_rate_limit=7777)[0] == "idle"
    everywhere(conf, lambda slot: limit(slot) == "7777")


async def test_rate_limit_of_a_websocket(conf):
    tenant = Tenant(conf)
    room = tenant.backend().make_room(["ann"])["room_id"]
    chats = [await Chat.connect(tenant, "ann", slot=i)
             for i in range(WORKERS)]
    assert conf.reload(default_rate_limit=1)[0] == "idle"
    for chat in chats:
        for i in range(100):
            await chat.send("send_message", room_id=room, content="x",
                            request_id=str(i))
            frame = await chat.wait(None, request_id=str(i))
            if frame["type"] == "error":
                break
        assert frame["type"] == "error", "it was never over its rate"
        assert frame["code"] == "rate_limit_exceeded"


def test_connections_of_a_user(conf):
    import asyncio

    async def check():
        tenant = Tenant(conf)
        conf.reload(ws_max_connections_per_user=2)
        chats = [await Chat.connect(tenant, "ann", slot=i % WORKERS)
                 for i in range(2)]
        third = await Chat.open(tenant, "ann")
        assert await third.wait_closed() == 1008
        conf.reload(ws_max_connections_per_user=3)
        chats.append(await Chat.connect(tenant, "ann"))
        for chat in [third, *chats]:
            await chat.close()
    asyncio.run(check())


def test_origins(conf):
    tenant = Tenant(conf)

    def allowed(slot):
        return tenant.user("ann", slot).get(
            "/rooms", headers={"Origin": ORIGIN}).headers.get(
                "access-control-allow-origin")

    assert allowed(0) is None
    conf.reload(allowed_origins=ORIGIN)
    everywhere(conf, lambda slot: allowed(slot) == ORIGIN)
    conf.reload(allowed_origins="")
    everywhere(conf, lambda slot: allowed(slot) is None)


def test_master_key(conf):
    other = "another-key-of-the-operator"

    def status(slot, key):
        return Rest(conf, {"X-Master-Key": key}, slot).get(
            "/admin/tenants").status

    end, said = conf.reload(master_api_key=other)
    assert end == "idle" and "MASTER_API_KEY" in said
    assert other not in conf.log() and MASTER_KEY not in conf.log()
    everywhere(conf, lambda slot: (status(slot, other),
                                   status(slot, MASTER_KEY)) == (200, 401))
    conf.reload(master_api_key="")
    everywhere(conf, lambda slot: status(slot, other) == 403)


async def test_presence_grace(conf):
    conf.reload(presence_grace="1h")
    tenant = Tenant(conf)
    tenant.backend().make_room(["ann", "bob", "carl"])
    ann, bob, carl = [await Chat.connect(tenant, u)
                      for u in ("ann", "bob", "carl")]
    # Who has not been told of one who comes hears nothing when he goes.
    for user in ("bob", "carl"):
        await ann.wait("presence.update", user_id=user, status="online")
    await bob.close()
    await ann.barrier()
    began = time.monotonic()
    # Also for who is in grace already.
    conf.reload(presence_grace="300ms")
    await ann.wait("presence.update", user_id="bob", status="offline")
    await carl.close()
    await ann.wait("presence.update", user_id="carl", status="offline")
    assert time.monotonic() - began < 60


async def test_resume_wait(conf):
    conf.reload(resume_wait="200ms")
    tenant = Tenant(conf)
    for slot in range(WORKERS):
        chat = await Chat.connect(tenant, "ann", slot=slot,
                                  path="/ws?resume=1")
        await chat.wait("sync.complete", deadline=15)


def test_drain_timeout(conf):
    conf.reload(shutdown_drain_timeout="7s")
    conf.stop()
    assert "timeout_ms=7000" in conf.log()


def test_those_that_need_a_restart(conf):
    dsn = "file:chatapi.db?_busy_timeout=4000"
    end, said = conf.reload(key_file="elsewhere.key")
    assert end == "idle"
    assert re.search(r"level=warn .*restart needed.* name=KEY_FILE", said)
    assert conf.status()["reload"]["restart_needed"] == ["KEY_FILE"]
    # A flag beats the file: this changes nothing.
    end, said = conf.reload(database_dsn=dsn)
    assert "DATABASE_DSN" not in said
    assert conf.status()["reload"]["restart_needed"] == ["KEY_FILE"]
    conf.reload(key_file="")
    assert conf.status()["reload"]["restart_needed"] == []


@pytest.mark.parametrize("text", [
    "log_level = loud\n", "no_such_key = 1\n", "log_level\n",
    "log_level = debug\nlog_level = info\n"])
def test_bad_file_changes_nothing(conf, text):
    before = conf.children()
    conf.write("master_api_key = a-key-that-must-not-hold\n" + text)
    end, said = conf.reload()
    assert end == "refused"
    assert re.search(r"level=error .*chatapi\.conf:\d", said)
    got = conf.status()["reload"]
    assert got["state"] == "refused" and "chatapi.conf:" in got["why"]
    for slot in range(WORKERS):
        Rest(conf, {"X-Master-Key": MASTER_KEY}, slot).get(
            "/admin/tenants").expect(200)
    assert conf.children() == before
    conf.write()
    assert conf.reload()[0] == "idle"
    got = conf.status()["reload"]
    assert got["state"] == "idle" and got["why"] is None


def test_missing_file_changes_nothing(conf):
    os.unlink(os.path.join(conf.dir, "chatapi.conf"))
    assert conf.reload()[0] == "refused"
    until(conf.healthy, "it serves on")


# ---- status ----

async def test_status(conf):
    tenant = Tenant(conf)
    room = tenant.backend().make_room(["ann", "bob"])["room_id"]
    chats = [await Chat.connect(tenant, u, slot=i % WORKERS)
             for i, u in enumerate(("ann", "ann", "bob"))]
    batch = conf.status()["database"]["batch"]
    await chats[0].say(room, "hello")

    # The writer and the workers may have something left to do: the moment
    # of a key's last use, too.
    def idle():
        began = time.monotonic()
        now = conf.status()
        took_ms = (time.monotonic() - began) * 1000
        return set(now["queues"].values()) == {0} and (now, took_ms)

    got, took_ms = until(idle, "nothing was queued any more")
    children = conf.children()
    assert got["serving"] and got["phase"] == "serving"
    assert got["listen"] == [f"127.0.0.1:{conf.port}"]
    assert got["workers"] == WORKERS
    assert got["connections"] == 3 and got["users_online"] == 2
    version = run("--version").stdout.split()[1]
    assert got["version"] == version
    seen = {}
    for p in got["processes"]:
        name = p["role"] + (f" {p['slot']}" if "slot" in p else "")
        seen[name] = p["pid"]
        assert p["version"] == version and p["state"] == "ready"
        # The master looks at the clock for each of them.
        assert 0 < p["uptime_ms"] <= got["uptime_ms"] + took_ms + 1
    assert seen.pop("master") == conf.pid
    assert seen == children
    assert sorted(p["connections"] for p in got["processes"]
                  if p["role"] == "worker") == [1, 2]
    db = got["database"]
    path = os.path.join(conf.dir, "chatapi.db")
    assert os.path.samefile(db["path"], path) and db["writable"]
    assert db["bytes"] == os.path.getsize(path)
    assert 0 < db["wal_bytes"] <= os.path.getsize(path + "-wal")
    assert db["batch"] > batch
    assert 0 <= db["last_commit_ms_ago"] < 60000
    assert db["last_commit_us"] > 0
    assert got["reload"]["done"] == 0 and got["reload"]["last_at"] is None


def test_status_for_people(conf):
    Tenant(conf)
    done = run("-d", "file:chatapi.db", "status", cwd=conf.dir)
    assert done.returncode == 0
    for word in ("serving", f"127.0.0.1:{conf.port}", "worker 1",
                 str(conf.pid)):
        assert word in done.stdout
    # As people say it; --json has the milliseconds.
    assert re.search(r"^last_commit +([0-9]+m)?[0-9]+s ago, took [0-9.]+ ms$",
                     done.stdout, re.M), done.stdout


def test_command_beside_a_refused_file(conf):
    """It says how to do without the file."""
    conf.write("log_level = loud\n")
    done = run("-c", "chatapi.conf", "status", cwd=conf.dir)
    assert done.returncode == 2 and "loud" in done.stderr
    assert "-d DSN" in done.stderr and "chatapi.conf" in done.stderr
    done = run("-t", "-c", "chatapi.conf", cwd=conf.dir)
    assert done.returncode == 2 and "-d DSN" not in done.stderr
    assert run("-d", "file:chatapi.db", "status",
               cwd=conf.dir).returncode == 0


def test_status_without_a_server(conf, tmp_path):
    done = run("-d", f"file:{tmp_path}/none.db", "status")
    assert done.returncode == 1 and "no server" in done.stderr
    assert not os.path.exists(tmp_path / "none.db")
    conf.stop()
    assert conf_status(conf) == 1


def conf_status(conf):
    return run("-d", "file:chatapi.db", "status", cwd=conf.dir).returncode


def test_status_while_the_writer_is_gone(conf):
    """It is asked of the master alone, so that it answers whatever else
    hangs; and says when the writer is back."""
    import signal
    pid = conf.kill("writer", sig=signal.SIGSTOP)
    got = conf.status()
    assert [p["pid"] for p in got["processes"]
            if p["role"] == "writer"] == [pid]
    os.kill(pid, signal.SIGKILL)

    def back():
        w, = [p for p in conf.status()["processes"]
              if p["role"] == "writer"]
        return w["pid"] != pid and w["state"] == "ready" and \
            w["starts"] == 2
    until(back, "another writer was there")
