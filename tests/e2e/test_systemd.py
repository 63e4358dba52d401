# SPDX-License-Identifier: MIT
"""As a service of systemd: what it says and when, its watchdog, sockets that
are handed to it."""
import os
import re
import signal
import socket
import time

import pytest

import harness
from chat import Chat
from client import Tenant
from harness import DEADLINE, Server, run, until
from strace import strace               # noqa: F401, a fixture
from systemd import Manager, bound, service

REQUEST = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
STATUS = re.compile(
    r"serving with (\d+) workers, (\d+) connections, (\d+) messages")

pytestmark = pytest.mark.skipif(
    "built without libsystemd" in run("--version").stdout,
    reason="built without libsystemd")


@pytest.fixture
def manager(request):
    made = Manager(watchdog=getattr(request, "param", 3))
    yield made
    made.end()


@pytest.fixture
def started():
    """Ends servers whatever has become of them."""
    servers = []

    def note(server):
        servers.append(server)
        return server

    yield note
    for s in servers:
        s.destroy()
        s.remove()


def answered(s):
    """What comes until the server closes."""
    out = b""
    while data := s.recv(65536):
        out += data
    return out


def ask(address):
    s = socket.create_connection(address, DEADLINE)
    s.settimeout(DEADLINE)
    s.sendall(REQUEST)
    return s


# ---- what it says ----

async def test_what_it_says(manager, started):
    server = started(Server(workers=2))
    manager.start_ready(server)
    first = manager.listen()
    # Ready means ready, and nothing is said before it but that it lives.
    assert server.healthy()
    said = [m for m in first if m != {"WATCHDOG": "1"}]
    assert said[0]["READY"] == "1"
    assert STATUS.search(said[0]["STATUS"]).groups() == ("2", "0", "0")
    tenant = Tenant(server)
    room = tenant.user("ann").make_room()["room_id"]
    tenant.user("ann").say(room, "one")
    tenant.user("ann").say(room, "two")
    ann = await Chat.connect(tenant, "ann")
    until(lambda: STATUS.search(manager.last_status()).groups() ==
          ("2", "1", "2"), "the status tells of it")
    await ann.close()
    server.stop()
    said = [m for m in manager.listen() if m != {"WATCHDOG": "1"}]
    assert [m.get("READY") for m in said].count("1") == 1
    assert said[-1]["STOPPING"] == "1" and said[-1]["STATUS"] == "stopping"
    # What SHUTDOWN_DRAIN_TIMEOUT allows, and a little for the writer.
    assert 10e6 <= int(said[-1]["EXTEND_TIMEOUT_USEC"]) <= 20e6
    assert all("STOPPING" not in m for m in said[:-1])


def test_it_tells_of_a_reload(manager, started):
    server = started(Server(workers=2))
    manager.start_ready(server)
    manager.listen()
    count = len(manager.heard)
    began = time.monotonic() * 1e6
    os.kill(server.pid, signal.SIGHUP)

    def said():
        manager.listen()
        return [m for _, m in manager.heard[count:]
                if "RELOADING" in m or "READY" in m]

    until(lambda: any("READY" in m for m in said()), "it was ready again")
    first, last = said()
    assert first["RELOADING"] == "1" and "READY" not in first
    assert began <= int(first["MONOTONIC_USEC"]) <= time.monotonic() * 1e6
    assert last["READY"] == "1" and STATUS.search(last["STATUS"])
    server.stop()


def test_a_start_that_fails_is_never_ready(manager, started):
    server = started(Server(workers=1))
    with open(os.path.join(server.dir, "chatapi.db"), "w",
              encoding="ascii") as f:
        f.write("no database " * 1000)
    manager.start(server)
    assert server.process.wait(DEADLINE) == 1
    assert not manager.said("READY")


# ---- the watchdog ----

def feeding(manager, times=2):
    """It is fed from now on, never later than it must be."""
    before = len(manager.fed())
    until(lambda: len(manager.fed()) >= before + times, "the watchdog was fed")


# Fed three times as often, which leaves room for a machine that is busy.
@pytest.mark.parametrize("manager", [5], indirect=True, ids=str)
def test_watchdog(manager, started):
    server = started(Server(workers=2))
    manager.start_ready(server)
    feeding(manager)
    # Who has died is replaced; that is no reason to end the whole.
    server.wait_respawn("worker", 1, server.kill("worker", 1))
    server.wait_respawn("writer", None, server.kill("writer"))
    feeding(manager)
    fed = manager.fed()
    gaps = [b - a for a, b in zip(fed, fed[1:])]
    assert max(gaps) < manager.watchdog, gaps
    # A writer that stands still must starve it: three of its heartbeats
    # later at the most, and 5 s for a busy machine, and for good.
    writer = server.kill("writer", sig=signal.SIGSTOP)
    stopped = time.monotonic()
    until(lambda: "not feeding the watchdog" in server.log() and
          time.monotonic() - manager.fed()[-1] > manager.watchdog,
          "the watchdog starved", 2 * DEADLINE)
    assert manager.fed()[-1] - stopped < 8.5 + 5
    assert server.running() and server.pid_of("writer") == writer
    os.kill(writer, signal.SIGCONT)
    feeding(manager)
    server.stop()


def test_nobody_asks(started):
    """Neither status nor watchdog without a manager."""
    server = started(Server(workers=1)).start()
    assert "watchdog" not in server.log()
    server.stop()


# ---- sockets ----

def test_activation(manager, started):
    """A client who came before the server is answered; all workers take from
    the one queue; it outlives the server."""
    with bound() as listening:
        address = listening.getsockname()
        early = ask(address)
        server = started(service(workers=3))
        server.port = address[1]
        manager.start_ready(server, [listening], ["http"])
        assert answered(early).startswith(b"HTTP/1.1 200 ")
        assert f"listen=127.0.0.1:{address[1]} " in server.log()
        # Nothing else is listened on: LISTEN_ADDR has given way.
        assert listeners(server) == {address[1]}
        for pid in server.worker_pids():
            until(lambda: server._answers(pid),
                  f"worker {pid} took a connection")
        old = server.kill("worker", 0)
        pid, _ = server.wait_respawn("worker", 0, old)
        # Once more, if the others were always quicker.
        until(lambda: server._answers(pid), "the new one took one, too")
        server.stop()
        waiting = ask(address)
        manager.start_ready(server, [listening], ["http"])
        assert answered(waiting).startswith(b"HTTP/1.1 200 ")
        server.stop()


def listeners(server):
    """Ports on which a process of the server listens."""
    inodes = set()
    for pid in [server.pid, *server.children().values()]:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
            except FileNotFoundError:
                pass        # closed meanwhile
    ports = set()
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(path, encoding="ascii") as f:
            next(f)
            for line in f:
                field = line.split()
                if field[3] == "0A" and f"socket:[{field[9]}]" in inodes:
                    ports.add(int(field[1].split(":")[1], 16))
    return ports


def test_who_has_connected_is_answered(manager, started):
    """His connection was taken from the queue that outlives the server, so
    nobody else can answer him; without such a queue he is hung up on."""
    with bound() as listening:
        server = started(service(workers=2))
        server.port = listening.getsockname()[1]
        for _ in range(5):
            manager.start_ready(server, [listening], ["http"])
            start = len(server.log())
            quiet = socket.create_connection(listening.getsockname(), DEADLINE)
            early = socket.create_connection(listening.getsockname(), DEADLINE)
            early.settimeout(DEADLINE)
            until(lambda: server.owner_of(early) and server.owner_of(quiet),
                  "both were accepted")
            began = time.monotonic()
            os.kill(server.pid, signal.SIGTERM)
            until(lambda: server.log()[start:].count(
                'msg="draining" requests') == 2, "both workers drain")
            early.sendall(REQUEST)
            # He has a second; had he been later, nothing would follow.
            quick = time.monotonic() - began < 1
            if quick:
                assert answered(early).startswith(b"HTTP/1.1 200 ")
            # Who says nothing does not hold it up for long: less than all
            # the time that there is for draining.
            server.wait_exit(8 + (harness.SLOW and DEADLINE))
            quiet.close()
            early.close()
            if quick:
                break
        assert quick, "he never was in time"


def test_several_sockets(manager, started):
    with bound() as one, bound() as two:
        server = started(service(workers=2))
        server.port = one.getsockname()[1]
        manager.start_ready(server, [one, two], ["a", "b"])
        for s in (one, two):
            assert b" 200 " in answered(ask(s.getsockname()))
        server.stop()


def test_tls_by_name(manager, started, tmp_path):
    """A socket named https speaks TLS, the others do not."""
    from tls import Authority
    ca = Authority(tmp_path)
    with bound() as plain, bound() as secret:
        server = started(service(workers=1))
        server.port = plain.getsockname()[1]
        manager.start(server, [secret], ["https"])
        assert server.process.wait(DEADLINE) == 1
        assert "TLS_CERT" in server.log()
        server.env.update(TLS_CERT=ca.files[0], TLS_KEY=ca.files[1])
        manager.start_ready(server, [plain, secret], ["http", "https"])
        assert b" 200 " in answered(ask(plain.getsockname()))
        with socket.create_connection(secret.getsockname(), DEADLINE) as s, \
                ca.context().wrap_socket(
                    s, server_hostname="localhost") as t:
            t.sendall(REQUEST)
            assert b" 200 " in t.recv(4096)
        server.stop()


def datagrams():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    return s


def not_listening():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    return s


@pytest.mark.parametrize("make", [datagrams, not_listening])
def test_what_is_no_listening_socket(manager, started, make):
    with make() as s:
        server = started(service(workers=1))
        manager.start(server, [s], ["x"])
        assert server.process.wait(DEADLINE) == 1
        assert "descriptor 3 of the service manager is no" in server.log()


def test_sockets_of_another_process(started):
    """The variables are meant for the process that they name."""
    server = started(Server(workers=1, env={"LISTEN_FDS": "1",
                                            "LISTEN_PID": "1"}))
    server.start()
    server.stop()


def test_few_accepts_a_turn(manager, started, strace):     # noqa: F811
    """A worker leaves the others something of the shared queue."""
    with bound() as listening:
        server = started(service(workers=1))
        server.port = listening.getsockname()[1]
        manager.start_ready(server, [listening], ["http"])
        pid = server.kill("worker", 0, sig=signal.SIGSTOP)
        clients = [ask(listening.getsockname()) for _ in range(50)]
        traced = strace(pid, "accept4,epoll_wait")
        os.kill(pid, signal.SIGCONT)
        for c in clients:
            assert b" 200 " in answered(c)
        turns = [0]
        for call, rest in traced.stop():
            if call == "epoll_wait":
                turns.append(0)
            elif " = -1 " not in rest:
                turns[-1] += 1
        assert sum(turns) == 50
        assert 4 < max(turns) <= 8, turns
        server.stop()
