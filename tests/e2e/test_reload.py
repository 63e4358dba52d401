# SPDX-License-Identifier: MIT
"""SIGHUP: every process is replaced while clients are served; a program that
is not good is not taken."""
import contextlib
import http.client
import os
import re
import signal
import socket
import threading
import time

import pytest

from chat import Chat, close_all
from client import Tenant
from conf import ConfServer
from conftest import finish
from crowd import Crowd
from harness import BIN, DEADLINE, free_port, run, scaled, until
from tls import Authority

WORKERS = 2


@pytest.fixture
def start_conf(request):
    servers = []

    def start(*args, own=False, **kwargs):
        servers.append(ConfServer(*args, **kwargs))
        if own:
            servers[-1].own_program()
        return servers[-1].start().wait_ready()

    yield start
    failed = getattr(request.node, "failed_somewhere", False)
    for server in servers:
        finish(server, failed, request.node.name)


def workers_of(status):
    return [p for p in status["processes"] if p["role"] == "worker"]


def states(server):
    return server.status()["reload"]


# ---- under load ----

def reload_under_load(server, crowd, times, pause):
    """Reloads while the crowd is looked after; each second time it is all
    back before the next."""
    seen, faults, took = set(), [], []

    def drive():
        try:
            for i in range(times):
                if i % 2:
                    until(crowd.all_there, "all were back")
                before = server.children()
                began = time.monotonic()
                end, said = server.reload(deadline=4 * DEADLINE)
                took.append(time.monotonic() - began)
                assert end == "idle", said
                until(server.whole, "all had their names")
                after = server.children()
                same = set(before.values()) & set(after.values())
                assert not same, f"not replaced: {same}"
                seen.update(after.values())
                time.sleep(pause)
        except BaseException as e:      # noqa: B902: shown by the test
            faults.append(e)

    driver = threading.Thread(target=drive)
    driver.start()
    while driver.is_alive():
        crowd.turn()
    if faults:
        raise faults[0]
    return took


def figures(crowd, took, size):
    sent = len(crowd.acked)
    print(f"\n{len(took)} reloads, {size} clients: "
          f"{min(took):.2f} to {max(took):.2f} s each, {sent} messages, "
          f"{sum(f.connects for f in crowd.fans) - size} reconnects, closes "
          f"{crowd.codes}, requests repeated {len(crowd.retried)}")


def under_load(start_conf, times, size, rooms, workers=WORKERS, pause=0.2):
    server = start_conf(workers)
    tenant = Tenant(server)
    crowd = Crowd(server, tenant, rooms, size)
    try:
        crowd.start()
        took = reload_under_load(server, crowd, times, pause)
        crowd.run_until(crowd.all_there, "all were back")
        crowd.end()
        figures(crowd, took, size)
        assert set(crowd.codes) == {1012}
        assert server.status()["reload"]["done"] == times
        assert all(f.connects > times // 2 for f in crowd.fans)
    finally:
        crowd.close()


def test_nobody_notices(start_conf):
    under_load(start_conf, scaled(5, 2), scaled(200, 60), 10)


@pytest.mark.long
def test_twenty_reloads_with_two_thousand(start_conf):
    under_load(start_conf, 20, 2000, 40, workers=3, pause=1)


def test_no_warning_of_a_reload(start_conf):
    """A new writer has everybody read the log, which is no loss."""
    server = start_conf(2, settings={"console": "no"})
    for _ in range(2):
        start = len(server.log())
        assert server.reload()[0] == "idle"
        until(server.whole, "all had their names")
        # Workers hear of a new writer when the master has.
        until(lambda: "reading the log" in server.log()[start:],
              "the workers had read the log")
        assert not re.findall("level=(?:warn|error).*",
                              server.log()[start:])


def test_workers_up_and_down(start_conf):
    server = start_conf(2)
    tenant = Tenant(server)
    crowd = Crowd(server, tenant, 4, 40, pause=0.02)
    try:
        crowd.start()
        for n in (4, 1, 3, 2):
            changing = threading.Thread(
                target=lambda n=n: server.reload(workers=n))
            changing.start()
            while changing.is_alive():
                crowd.turn()
            server.workers = n
            crowd.run_until(server.whole, f"there were {n} workers")
            got = server.status()
            assert got["reload"]["state"] == "idle", got
            assert got["workers"] == n
            assert [p["slot"] for p in workers_of(got)] == list(range(n))
                # Whoever's socket the kernel chooses is served.
            for _ in range(40):
                assert ask(server) == 200
        crowd.run_until(crowd.all_there, "all were back")
        crowd.end()
        assert set(crowd.codes) == {1012}
    finally:
        crowd.close()


def ask(server):
    c = http.client.HTTPConnection("127.0.0.1", server.port,
                                   timeout=DEADLINE)
    c.request("GET", "/health")
    status = c.getresponse().status
    c.close()
    return status


async def test_as_many_as_there_can_be(start_conf):
    """There is a place for a successor beside each of 64 workers, too."""
    server = start_conf(64)
    before = server.children()
    end, said = server.reload(deadline=8 * DEADLINE)
    assert end == "idle", said
    until(server.whole, "all had their names", 4 * DEADLINE)
    got = server.status()
    assert got["reload"]["replaced"] == got["reload"]["of"] == 64 + 2
    assert [p["slot"] for p in workers_of(got)] == list(range(64))
    assert not set(before.values()) & set(server.children().values())
    # Worker 0 was the first to be replaced: by one in slot 64.
    tenant = Tenant(server)
    ann = await Chat.connect(tenant, "ann", slot=0)
    ben = await Chat.connect(tenant, "ben", slot=1)
    # A room that is in the first list is told by nothing else.
    for chat in (ann, ben):
        await chat.wait("sync.complete")
    room = tenant.backend().make_room(["ann", "ben"])["room_id"]
    await ann.wait("room.joined", room_id=room)
    await ben.wait("room.joined", room_id=room)
    await ben.wait("presence.update", user_id="ann", status="online")
    await ann.wait("presence.update", user_id="ben", status="online")
    for sender, other in ((ann, ben), (ben, ann)):
        sent = await sender.say(room, "hello")
        await other.wait("message", message_id=sent["message_id"])
    await close_all([ann, ben])


def test_workers_in_metrics(start_conf):
    """A worker keeps its name over the processes that it is."""
    server = start_conf(2)
    names = re.compile(rb'chatapi_worker_up\{slot="(\d+)"\} (\d)')
    for _ in range(3):
        assert server.reload()[0] == "idle"
        until(server.whole, "all had their names")
        c = http.client.HTTPConnection("127.0.0.1", server.port)
        c.request("GET", "/metrics")
        assert names.findall(c.getresponse().read()) == \
            [(b"0", b"1"), (b"1", b"1")]
        c.close()
    # Nothing was amiss.
    c.request("GET", "/metrics")
    starts = re.findall(rb'chatapi_restarts_total\{.*\} (\d+)',
                        c.getresponse().read())
    assert set(starts) == {b"0"} and len(starts) >= 3
    c.close()


# ---- when ----

def test_settings_alone_disturb_nobody(start_conf):
    server = start_conf(own=True)
    before = server.children()
    assert server.reload(log_level="debug")[0] == "idle"
    assert server.children() == before
    # The same program again, as a file of its own: a rebuilt one.
    with open(BIN, "rb") as f:
        server.install(f.read())
    assert server.reload(log_level="info")[0] == "idle"
    until(server.whole, "all had their names")
    assert not set(server.children().values()) & set(before.values())
    assert server.status()["reload"]["done"] == 2


async def test_a_new_certificate_disturbs_nobody(start_conf, tmp_path):
    ca = Authority(tmp_path)
    port = free_port()
    server = start_conf(settings={
        "tls_cert": ca.files[0], "tls_key": ca.files[1],
        "tls_listen_addr": f"127.0.0.1:{port}"})
    before = server.children()
    chat = await Chat.connect(Tenant(server), "ann")

    def serial():
        with socket.create_connection(("127.0.0.1", port)) as s, \
                ca.context().wrap_socket(s, server_hostname="localhost") as t:
            return int(t.getpeercert()["serialNumber"], 16)

    old = ca.serial
    ca.write("server")
    assert server.reload()[0] == "idle" and states(server)["why"] is None
    assert {serial() for _ in range(8)} == {ca.serial} != {old}
    with open(ca.files[0], "wb") as f:
        f.write(b"no certificate")
    assert server.reload()[0] == "refused"
    assert ca.files[0] in states(server)["why"]
    assert {serial() for _ in range(8)} == {ca.serial}
    await chat.barrier()
    assert server.children() == before


def held(server):
    """A request that is not whole: the worker that is the first to be
    replaced waits for the rest, for 4 s."""
    s = server.connect(0)
    s.sendall(b"POST /rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
              b"\r\n{")
    server.wait_taken(s)
    return s


def in_state(server, state):
    return until(lambda: [p for p in server.status()["processes"]
                          if p["state"] == state], f"one was {state}")[0]


@contextlib.contextmanager
def no_writer(server):
    """It stands still while a request waits for it, and so does the first
    worker that is to be replaced: for as long as an operation may wait."""
    writer = server.pid_of("writer")
    rest = Tenant(server).backend(0)
    os.kill(writer, signal.SIGSTOP)
    try:
        rest.send("POST", "/rooms", {"type": "group", "members": ["ann"]})
        server.wait_taken(rest.http.sock)
        yield
    finally:
        os.kill(writer, signal.SIGCONT)
        rest.close()


def test_one_more_is_remembered(start_conf):
    server = start_conf(settings={"shutdown_drain_timeout": "1m"})
    with no_writer(server):
        for _ in range(5):
            server.hup()
            in_state(server, "leaving")
            assert states(server)["state"] == "running"
    got = until(lambda: states(server)["done"] == 2 and states(server),
                "both had ended")
    assert got["begun"] == 2 and got["state"] == "idle"


async def test_requests_and_frames_in_flight(start_conf):
    """What the old worker has begun it ends."""
    server = start_conf()
    tenant = Tenant(server)
    room = tenant.backend().make_room(["ann"])["room_id"]
    chats = [await Chat.connect(tenant, "ann") for _ in range(4)]
    body = b'{"content":"half"}'
    s = socket.create_connection(("127.0.0.1", server.port))
    s.sendall((f"POST /rooms/{room}/messages HTTP/1.1\r\nHost: x\r\n"
               f"X-API-Key: {tenant.key}\r\nX-User-Id: ann\r\n"
               f"Content-Length: {len(body)}\r\n\r\n").encode()
              + body[:5])
    server.wait_taken(s)
    server.hup()
    in_state(server, "leaving")
    s.sendall(body[5:])
    s.settimeout(DEADLINE)
    answer = s.recv(65536)
    assert answer.startswith(b"HTTP/1.1 201"), answer
    s.close()
    for chat in chats:
        frame = await chat.wait("server.shutdown")
        assert 200 <= frame["reconnect_after_ms"] < 200 + 2000 + 4
        assert await chat.wait_closed() == 1012
    until(lambda: states(server)["done"] == 1, "the reload ended")


# ---- a program that is not good ----

def other_version(path):
    """The program with another version in it."""
    with open(path, "rb") as f:
        data = f.read()
    version = run("--version").stdout.split()[1].encode()
    other = version[:-1] + (b"8" if version[-1:] != b"8" else b"9")
    assert data.count(version) > 0
    return data.replace(version, other), other.decode()


def serves_on(server, before):
    """The same processes as before, and each of them answers."""
    assert server.children() == before
    for slot in range(server.workers):
        Tenant(server).user("ann", slot).get("/rooms").expect(200)


def test_another_version(start_conf):
    server = start_conf(own=True)
    before = server.children()
    data, version = other_version(BIN)
    server.install(data)
    end, said = server.reload()
    assert end == "stopped"
    got = states(server)
    assert version in got["why"] and "restart needed" in got["why"]
    assert re.search(r"level=error .*reload stopped.*restart needed", said)
    serves_on(server, before)
    # One that dies comes back as it was, although its file is gone.
    for role, slot in (("worker", 0), ("writer", None)):
        server.wait_respawn(role, slot, server.kill(role, slot))
    with open(BIN, "rb") as f:
        server.install(f.read())
    assert server.reload()[0] == "idle"
    assert states(server)["why"] is None
    until(server.whole, "all had their names")
    assert not set(server.children().values()) & set(before.values())


@pytest.mark.parametrize("program,word", [
    (b"#!/bin/sh\nexit 3\n", "status 3"),
    (b"#!/bin/sh\nkill -SEGV $$\n", "signal 11"),
    (b"no program at all", "status 127"),
    (b"#!/bin/sh\necho what is this >&3\nexec sleep 100\n",
     "not become ready")],
    ids=["exits", "crashes", "none", "talks"])
def test_one_that_does_not_start(start_conf, program, word):
    server = start_conf(own=True)
    before = server.children()
    server.install(program)
    end, _ = server.reload()
    assert end == "stopped" and word in states(server)["why"]
    serves_on(server, before)
    os.unlink(server.program)
    assert server.reload()[0] == "stopped"
    serves_on(server, before)


HANGS = b"#!/bin/sh\nexec sleep 1000\n"


def test_killed_on_trial(start_conf):
    server = start_conf(own=True)
    before = server.children()
    server.install(HANGS)
    server.hup()
    os.kill(in_state(server, "starting")["pid"], signal.SIGKILL)
    until(lambda: states(server)["state"] == "stopped", "it was stopped")
    assert "signal 9" in states(server)["why"]
    serves_on(server, before)


@pytest.mark.long
def test_never_ready(start_conf):
    server = start_conf(own=True)
    before = server.children()
    server.install(HANGS)
    assert server.reload(deadline=90)[0] == "stopped"
    assert "not become ready" in states(server)["why"]
    serves_on(server, before)


def test_old_one_killed_meanwhile(start_conf):
    """Its seat waits for the successor; when that fails, it is started
    again."""
    server = start_conf(own=True)
    server.install(HANGS)
    server.hup()
    trial = in_state(server, "starting")
    old = server.kill("worker", trial["slot"])
    assert in_state(server, "down")["slot"] == trial["slot"]
    waiting = [socket.create_connection(("127.0.0.1", server.port))
               for _ in range(20)]
    for s in waiting:
        s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    os.kill(trial["pid"], signal.SIGKILL)
    server.wait_respawn("worker", trial["slot"], old)
    for s in waiting:
        s.settimeout(DEADLINE)
        assert s.recv(64).startswith(b"HTTP/1.1 200")
        s.close()


def test_leaving_one_killed(start_conf):
    server = start_conf(settings={"shutdown_drain_timeout": "1m"})
    with no_writer(server):
        server.hup()
        os.kill(in_state(server, "leaving")["pid"], signal.SIGKILL)
    until(lambda: states(server)["done"] == 1, "the reload ended")
    assert until(server.whole, "all were there")


WAITS = b"""#!/bin/sh
cd "${0%/*}"
while [ ! -e go ]; do sleep 0.01; done
exec ./courier-itself
"""


def starting_courier(server):
    """The pid of a courier that is starting from a program which is replaced
    by the good one again; it goes on when there is a file `go`."""
    program = os.path.join(server.dir, "chatapi-courier")
    os.link(program, os.path.join(server.dir, "courier-itself"))
    with open(program + ".new", "wb") as f:
        f.write(WAITS)
    os.chmod(program + ".new", 0o755)
    os.rename(program + ".new", program)
    server.kill("courier")
    pid = in_state(server, "starting")["pid"]
    with open(f"/proc/{pid}/cmdline", "rb") as f:
        assert b"sh" in f.read()
    os.link(os.path.join(server.dir, "courier-itself"), program + ".new")
    os.rename(program + ".new", program)
    return pid


def at_the_courier(server):
    """A reload that has come so far."""
    server.hup()
    until(lambda: states(server)["replaced"] == server.workers,
          "the workers were replaced")


def test_courier_starting_meanwhile(start_conf):
    """One that was started before the reload does not stay."""
    server = start_conf(own=True)
    writer = server.pid_of("writer")
    old = starting_courier(server)
    at_the_courier(server)
    assert server.pid_of("writer") == writer
    assert states(server)["state"] == "running"
    open(os.path.join(server.dir, "go"), "wb").close()
    until(lambda: states(server)["done"] == 1, "the reload ended")
    assert states(server)["replaced"] == server.workers + 2
    assert server.pid_of("courier") != old
    assert server.pid_of("writer") != writer


def test_courier_dies_starting(start_conf):
    """Nor does the reload wait for one that never will be ready: the next one
    is started from the new program anyway."""
    server = start_conf(own=True)
    old = starting_courier(server)
    at_the_courier(server)
    os.kill(old, signal.SIGKILL)
    until(lambda: states(server)["done"] == 1, "the reload ended")
    assert states(server)["state"] == "idle"
    server.wait_respawn("courier", None, old)
    until(server.whole, "all were there")


def test_writer_killed_meanwhile(start_conf):
    server = start_conf()
    with held(server):
        server.hup()
        in_state(server, "leaving")
        server.kill("writer")
        until(lambda: states(server)["done"] == 1, "the reload ended")
    until(server.whole, "all were there")
    Tenant(server)


def test_stopped_on_trial(start_conf):
    server = start_conf(own=True)
    server.install(HANGS)
    server.hup()
    in_state(server, "starting")
    server.children()
    server.stop()


def test_stopped_while_one_leaves(start_conf):
    server = start_conf()
    with held(server):
        server.hup()
        in_state(server, "leaving")
        server.hup()
        server.stop()
