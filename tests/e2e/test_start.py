# SPDX-License-Identifier: MIT
"""Flags, environment and file; starts that must not happen; the end."""
import asyncio
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

import pytest

from chat import Chat
from client import Rest, Tenant
from harness import (AS_ROOT, BIN, DEADLINE, Server, clean_env, free_port, proc_title,
                     run, until)


@pytest.fixture
def refused(tmp_path):
    """Starts what must not start; returns (status, log)."""
    def start(*args, env=None, launch=None):
        began = time.monotonic()
        done = run(*AS_ROOT, *args, env=env, cwd=tmp_path,
                   deadline=DEADLINE + 10)
        assert done.returncode != 0, done.stderr
        assert time.monotonic() - began < DEADLINE + 10
        assert done.stderr.strip(), "it did not say why"
        return done.returncode, done.stderr
    return start


def answers(port, host="127.0.0.1", patience=DEADLINE):
    """/health by a connection of one's own."""
    try:
        with socket.create_connection((host, port), patience) as s:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n"
                      b"Connection: close\r\n\r\n")
            return s.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


# ---- what only prints ----

def test_version():
    done = run("--version")
    assert done.returncode == 0
    assert re.search(r"\bchatapi \d+\.\d+\.\d+", done.stdout)


def test_help():
    done = run("--help")
    assert done.returncode == 0
    for word in ("-c", "-w", "--workers", "-l", "-d", "--log-level", "-t",
                 "--check-config", "--version", "tenant", "key",
                 "LISTEN_ADDR", "DATABASE_DSN", "MASTER_API_KEY"):
        assert word in done.stdout
    assert "--role" not in done.stdout


def test_check_config(tmp_path):
    for flag in ("-t", "--check-config"):
        done = run(flag, "-w", "2", "-l", ":1", "-d", "file:x.db",
                   cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    done = run("-t", "-w", "99999", cwd=tmp_path)
    assert done.returncode != 0 and "99999" in done.stderr
    # It is only looked at: nothing is made.
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("conf, word", [
    ("user = nemo\n", "no user nemo"),
    ("database_dsn = file:{tmp}/none/chatapi.db\n", "no directory"),
    ("database_dsn = file:{tmp}\n", "is no file"),
    ("tls_cert = {tmp}/c.pem\ntls_key = {tmp}/c.key\n", "c.pem"),
], ids=["user", "directory", "database", "certificate"])
def test_check_finds_what_a_start_would_refuse(tmp_path, conf, word):
    (tmp_path / "conf").write_text(conf.format(tmp=tmp_path))
    done = run("-t", "-c", "conf", cwd=tmp_path)
    assert done.returncode == 2 and word in done.stderr
    assert "sound" not in done.stdout
    done = run(*AS_ROOT if "user" not in conf else (), "-c", "conf", "-l",
               f"127.0.0.1:{free_port()}", cwd=tmp_path)
    assert done.returncode != 0 and "cannot start" in done.stderr


@pytest.mark.parametrize("conf, word", [
    ("key_file = {tmp}/none/key\n", "none for the key file"),
    ("key_file = {tmp}/conf\n", "key file {tmp}/conf"),
    ("listen_addr = unix:{tmp}/none/http\n", "none for the socket"),
], ids=["directory", "key", "socket"])
def test_check_warns_of_what_may_come_to_be(tmp_path, conf, word):
    (tmp_path / "conf").write_text(conf.format(tmp=tmp_path))
    done = run("-t", *AS_ROOT, "-c", "conf", cwd=tmp_path)
    assert done.returncode == 0 and "sound" in done.stdout
    warnings = re.findall("warning: (.*)", done.stderr)
    assert len(warnings) == 1 and word.format(tmp=tmp_path) in warnings[0]
    done = run("-t", *AS_ROOT, cwd=tmp_path)
    assert done.returncode == 0 and "warning: " not in done.stderr


# ---- bad values ----

@pytest.mark.parametrize("args, words", [
    (["-w", "0"], ["WORKERS", "flag -w", '"0"', "64"]),
    (["-w", "two"], ["flag -w", '"two"']),
    (["--workers=65"], ["flag --workers", '"65"']),
    (["-w", "3x"], ["flag -w", "3x"]),
    (["--log-level", "loud"], ["LOG_LEVEL", "flag --log-level", '"loud"',
                               "debug"]),
    (["-l", "nonsense"], ["LISTEN_ADDR", "flag -l", "nonsense"]),
    (["-l", "127.0.0.1:99999"], ["flag -l", "99999"]),
    (["-d", ""], ["DATABASE_DSN", "flag -d"]),
    (["-d", "file::memory:"], ["DATABASE_DSN", "flag -d", "memory"]),
    (["-d", "file:x.db?_journal_mode=DELETE"], ["_journal_mode", "flag -d"]),
    (["-d", "file:x.db?_synchronous=OFF"], ["_synchronous"]),
    (["-d", "file:x.db?_sync=1"], ["_sync"]),
    (["-d", "file:x.db?mode=ro"], ["mode"]),
    (["-c", "missing.conf"], ["missing.conf"]),
    (["--nonsense"], ["--nonsense"]), (["-w"], ["-w"]), (["-z"], ["-z"]),
], ids=lambda a: " ".join(a))
def test_bad_flag(refused, args, words):
    status, log = refused(*args)
    assert status == 2
    for word in words:
        assert word in log, log


@pytest.mark.parametrize("name, value", [
    ("WORKERS", "none"), ("LOG_LEVEL", "loud"), ("LISTEN_ADDR", "x"),
    ("DEFAULT_RATE_LIMIT", "-1"), ("DEFAULT_RATE_LIMIT", "many"),
    ("WS_MAX_CONNECTIONS_PER_USER", "0"),
    ("WS_MAX_CONNECTIONS_PER_USER", "1e3"),
    ("SHUTDOWN_DRAIN_TIMEOUT", "10"), ("SHUTDOWN_DRAIN_TIMEOUT", "soon"),
    ("RETRY_INTERVAL", "-5s"), ("RETRY_INTERVAL", "5parsecs"),
    ("RETRY_MAX_ATTEMPTS", "x"), ("ALLOWED_ORIGINS", "example.org"),
    ("DATABASE_DSN", "file:x.db?_synchronous=OFF"),
])
def test_bad_environment(refused, name, value):
    status, log = refused(env={name: value})
    assert status == 2
    for word in (name, value, "environment"):
        assert word in log, log


@pytest.mark.parametrize("text, words", [
    ("workers = none\n", ["WORKERS", "none", "chatapi.conf"]),
    ("# fine\n\nwrokers = 2\n", ["wrokers", "chatapi.conf", "3"]),
    ("log_level\n", ["chatapi.conf"]),
])
def test_bad_file(refused, tmp_path, text, words):
    (tmp_path / "chatapi.conf").write_text(text)
    status, log = refused("-c", "chatapi.conf")
    assert status == 2
    for word in words:
        assert word in log, log


def test_secrets_are_not_repeated(refused):
    _, log = refused(env={"MASTER_API_KEY": "s3cret\x01thing",
                          "WORKERS": "none"})
    assert "s3cret" not in log


def test_flag_beats_environment_beats_file(start_server):
    ports = [free_port() for _ in range(3)]
    server = Server(workers=1, listen=False)
    try:
        with open(os.path.join(server.dir, "c.conf"), "w",
                  encoding="utf-8") as f:
            f.write(f"# a comment\nlisten_addr = 127.0.0.1:{ports[0]}\n"
                    "default_rate_limit = 7\n"
                    "ws_max_connections_per_user = 3\n")
        del server.env["DEFAULT_RATE_LIMIT"]
        server.env["LISTEN_ADDR"] = f"127.0.0.1:{ports[1]}"
        server.args = [*AS_ROOT, "-c", "c.conf", "-d", "file:chatapi.db",
                       "-w", "1"]
        # The environment over the file …
        server.port = ports[1]
        server.start()
        assert not answers(ports[0])
        # … which counts where nothing else is said.
        reply = Tenant(server).user("ann").get("/rooms")
        assert reply.headers["x-ratelimit-limit"] == "7"
        server.stop()
        # The flag over both.
        server.args += ["-l", f"127.0.0.1:{ports[2]}"]
        server.port = ports[2]
        server.start()
        assert not answers(ports[0]) and not answers(ports[1])
        server.stop()
    finally:
        server.destroy()
        server.remove()


# ---- where it listens ----

def test_several_addresses(start_server):
    extra = free_port()
    server = start_server(workers=2, args=["-l", f"127.0.0.1:{extra}"])
    for port in (server.port, extra):
        for _ in range(10):
            assert answers(port)


def test_all_addresses(start_server):
    """`:port` is IPv4 and IPv6."""
    server = start_server(workers=2, listen=False, launch=False)
    server.args += ["-l", f":{server.port}"]
    server.start()
    assert answers(server.port, "127.0.0.1")
    if not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this machine has no IPv6")
    assert answers(server.port, "::1")


# ---- starts that must not happen ----

def test_port_in_use(refused):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        _, log = refused("-l", f"127.0.0.1:{port}", "-w", "1")
        assert str(port) in log and "in use" in log


def test_second_server_on_one_port(start_server, refused):
    """SO_REUSEPORT among the workers does not let strangers in."""
    server = start_server(workers=2)
    _, log = refused("-l", f"127.0.0.1:{server.port}", "-w", "1")
    assert str(server.port) in log
    for _ in range(20):
        assert answers(server.port)


def test_second_server_on_one_database(start_server):
    server = start_server(workers=1)
    path = os.path.join(server.dir, "chatapi.db")
    link = os.path.join(server.dir, "link.db")
    os.symlink("chatapi.db", link)
    others = [subprocess.Popen(
        [BIN, *AS_ROOT, "-d", f"file:{name}", "-l", f"127.0.0.1:{free_port()}",
         "-w", "1"], env=clean_env(), stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True) for name in (path, link)]
    for other in others:
        _, log = other.communicate(timeout=DEADLINE + 10)
        assert other.returncode == 1
        assert server.dir in log
        assert re.search(r"another|already|running", log), log
    Tenant(server).user("ann").make_room()


@pytest.mark.parametrize("path", ["/no/such/place/chatapi.db",
                                  "/proc/chatapi.db"])
def test_database_that_cannot_be_made(refused, path):
    """A missing directory, and one in which nobody may make files."""
    status, log = refused("-d", f"file:{path}", "-w", "1",
                          "-l", f"127.0.0.1:{free_port()}")
    assert status == 1 and path in log


def test_database_that_is_none(refused, tmp_path):
    (tmp_path / "chatapi.db").write_text("This is a letter to my aunt. " * 99)
    _, log = refused("-d", "file:chatapi.db", "-w", "1",
                     "-l", f"127.0.0.1:{free_port()}")
    assert "chatapi.db" in log
    assert (tmp_path / "chatapi.db").read_text().startswith("This is a")


def test_database_of_a_newer_version(refused, tmp_path):
    run("-d", "file:chatapi.db", "tenant", "create", "x", cwd=tmp_path)
    with sqlite3.connect(tmp_path / "chatapi.db") as db:
        version, = db.execute("PRAGMA user_version").fetchone()
        assert version >= 1
        db.execute(f"PRAGMA user_version = {version + 1}")
    db.close()
    _, log = refused("-d", "file:chatapi.db", "-w", "1",
                     "-l", f"127.0.0.1:{free_port()}")
    assert "newer" in log and str(version + 1) in log


# ---- processes ----

def test_names_in_ps(start_server):
    server = start_server(workers=3)
    assert proc_title(server.pid) == "chatapi: master"
    assert set(server.children()) == {"writer", "courier", "worker 0",
                                      "worker 1", "worker 2"}


def test_workers_default_to_the_cpus(start_server):
    server = start_server(workers=min(len(os.sched_getaffinity(0)), 64),
                          launch=False)
    at = server.args.index("-w")
    del server.args[at:at + 2]
    server.start()
    assert f" workers={server.workers} " in server.log()


def test_master_killed(start_server):
    """Its children go too, and the next start finds everything."""
    server = start_server(workers=3)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room()["room_id"]
    for turn in range(1, 4):
        tenant.user("ann").say(room, f"turn {turn}")
        server.children()
        server.process.kill()
        server.process.wait()
        until(lambda: not server.left_over(), "the children ended")
        server.start()
        assert len(tenant.user("ann").history(room)) == turn


def test_started_anew_at_once(start_server):
    """A port and a database are free as soon as the server has ended."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room()["room_id"]
    for i in range(5):
        tenant.user("ann").say(room, str(i))
        server.stop()
        server.start()
    assert len(tenant.user("ann").history(room)) == 5


def test_next_start_waits_for_the_last_end(start_server):
    """A restart that overlaps the drain succeeds."""
    server = start_server(workers=1)
    Tenant(server)
    second = Server(workers=1, directory=server.dir)
    try:
        server.process.send_signal(signal.SIGTERM)
        second.start()
        server.wait_exit()
        until(second.healthy, "the second serves")
        second.stop()
    finally:
        second.destroy()


# ---- the end ----

@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
async def test_drain_sends_clients_away(start_server, sig):
    server = start_server(workers=3)
    tenant = Tenant(server)
    chats = [await Chat.connect(tenant, f"user{i}", slot=i % 3)
             for i in range(12)]
    server.children()
    server.process.send_signal(sig)
    waits = []
    for c in chats:
        frame = await c.wait("server.shutdown")
        waits.append(frame["reconnect_after_ms"])
        assert await c.wait_closed() == 1012
        assert c.log[-1] is frame
    assert all(isinstance(w, int) and 0 <= w <= 60000 for w in waits)
    assert len(set(waits)) > 3, waits
    await asyncio.to_thread(server.wait_exit)


def test_drain_answers_what_is_in_flight(start_server):
    """Requests before a busy writer are answered, and they are stored."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room()["room_id"]
    writer = server.kill("writer", sig=signal.SIGSTOP)
    clients = [tenant.user("ann", i % 2) for i in range(10)]
    for i, c in enumerate(clients):
        c.send("POST", f"/rooms/{room}/messages", {"content": str(i)})
        server.wait_taken(c.http.sock)
    server.process.send_signal(signal.SIGTERM)
    # Nobody is let in any more: the drain has begun.
    until(lambda: not answers(server.port, patience=2),
          "the server stopped accepting")
    assert server.running()
    os.kill(writer, signal.SIGCONT)
    sent = [c.read().expect(201) for c in clients]
    server.wait_exit()
    server.start()
    stored = tenant.user("ann").history(room)
    assert sorted(m["seq"] for m in sent) == [m["seq"] for m in stored]
    assert {m["message_id"] for m in sent} == \
        {m["message_id"] for m in stored}


async def test_drain_answers_frames_in_flight(start_server):
    server = start_server(workers=1)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room()["room_id"]
    ann = await Chat.connect(tenant, "ann")
    writer = server.kill("writer", sig=signal.SIGSTOP)
    for i in range(10):
        await ann.send("send_message", room_id=room, content=str(i),
                       request_id=str(i))
    await ann.barrier()
    server.process.send_signal(signal.SIGTERM)
    await ann.wait("server.shutdown")
    os.kill(writer, signal.SIGCONT)
    for i in range(10):
        await ann.wait("message.sent", request_id=str(i))
    assert await ann.wait_closed() == 1012
    await asyncio.to_thread(server.wait_exit)


def test_drain_ends_in_its_time(start_server):
    """Clients that do nothing do not hold it up longer than allowed."""
    from raw import Raw, open_raw
    server = start_server(workers=2,
                          env={"SHUTDOWN_DRAIN_TIMEOUT": "2s"})
    tenant = Tenant(server)
    held = [open_raw(tenant, f"u{i}") for i in range(4)]
    half = [Raw(server) for _ in range(4)]
    for h in half:
        h.send(b"POST /rooms HTTP/1.1\r\nHost: x\r\nContent-Le")
    idle = Rest(server, tenant.headers())
    idle.get("/rooms").expect(200)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 2 + max(8, DEADLINE / 4)
    for c in held + half:
        c.close()


def test_second_signal_does_not_harm(start_server):
    server = start_server(workers=2)
    tenant = Tenant(server)
    tenant.user("ann").make_room()
    server.children()
    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGINT)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(DEADLINE + 15) in (0, 1)
    until(lambda: not server.left_over(), "no child was left")
    server.start()
    assert len(tenant.backend().get("/rooms").expect(200)["rooms"]) == 1


def test_database_is_whole_after_a_stop(start_server):
    """One file that any SQLite reads; nothing waits in the log."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    ann = tenant.user("ann")
    room = ann.make_room()["room_id"]
    for i in range(50):
        ann.say(room, str(i))
    server.stop()
    copy = os.path.join(server.dir, "copy.db")
    shutil.copy(os.path.join(server.dir, "chatapi.db"), copy)
    db = sqlite3.connect(copy)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("SELECT count(*) FROM message").fetchone() == (50,)
    db.close()


def test_modes_of_the_files(start_server):
    """Nobody else may read the database or command the server."""
    server = start_server(workers=1)
    control = os.stat(os.path.join(server.dir, "chatapi.db-ctl"))
    assert control.st_mode & 0o777 == 0o600


def test_log_says_what_happened(start_server):
    server = start_server(workers=2)
    old = server.kill("worker", 1)
    server.wait_respawn("worker", 1, old)
    server.stop()
    lines = server.log().splitlines()
    assert any("start" in line for line in lines)
    assert any(str(old) in line for line in lines), "the death is not told"
    assert len(lines) < 60, "\n".join(lines)


def test_runs_with_standard_input_closed(start_server):
    """As a service manager may start it."""
    server = start_server(workers=1, launch=False)
    with open(server.log_path, "ab") as log:
        server.process = subprocess.Popen(
            [BIN, *server.args], cwd=server.dir, env=clean_env(server.env),
            stdout=log, stderr=log, start_new_session=True,
            preexec_fn=lambda: os.close(0))
    until(server.healthy, "it answered\n" + server.log_tail())
    Tenant(server).user("ann").make_room()
