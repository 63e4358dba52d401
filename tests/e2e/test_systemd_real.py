# SPDX-License-Identifier: MIT
"""As a service of a systemd that is the first process of a machine of its
own: the units as they are installed, none of their settings taken away."""
import concurrent.futures
import json
import os
import re
import resource
import shlex
import signal
import socket
import threading
import time

import pytest

from chat import Chat
from client import Rest, Tenant
from crowd import Crowd
from harness import DEADLINE, REPORT, run, scaled, until
from machine import Machine, NotHere, Service
from samples import blocks

REQUEST = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
PAGE = os.path.join(os.path.dirname(__file__), "../../doc/operations.md")
CAP_SYS_RESOURCE = 1 << 24
# As soon as a child does not move: 7.5 s and one turn of the timer.  Shorter,
# and the master starves it when the machine is busy.
WATCHDOG = "[Service]\nWatchdogSec=6\n"

pytestmark = pytest.mark.skipif(
    "built without libsystemd" in run("--version").stdout,
    reason="built without libsystemd")


@pytest.fixture(scope="module")
def machine():
    try:
        made = Machine()
    except NotHere as e:
        pytest.skip(f"systemd cannot be booted: {e}")
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def service(machine, request):
    made = Service(machine)
    made.begin()
    with machine.network():
        yield made
    log = made.log()
    if getattr(request.node, "failed_somewhere", False):
        print(made.journal("-n", "80", "-o", "short-precise"))
    assert not REPORT.search(log), log[-12000:]


def documented(beginning):
    """What the operator's page tells to do."""
    return next(b.text for b in blocks(PAGE)
                if b.text.startswith(beginning)).replace("sudo ", "")


def started(service):
    service.systemctl("start", "chatapi")
    return service


def lines(service, *args):
    return [json.loads(line) for line in
            service.journal("-o", "json", *args).splitlines()]


def contents(tenant, room):
    return [m["content"] for m in tenant.user("ann").history(room)]


# ---- start ----

def test_installed_as_documented(service):
    """Ready is said when all can be had: what comes right after is served by
    the writer and by each of the workers."""
    service.machine.run("sh", "-ec", documented("sudo systemd-sysusers"))
    assert {"writer", "worker 0", "worker 1"} <= set(service.children())
    assert service.healthy()
    tenant = Tenant(service)
    room = tenant.user("ann").make_room()["room_id"]
    assert tenant.user("ann").say(room, "one")["seq"] == 1
    for slot in range(service.workers):
        Rest(service, slot=slot).get("/health").expect(200)
    assert service.show("Type") == "notify"
    assert service.show("UnitFileState") == "enabled"
    assert service.show("ActiveState") == "active"
    assert service.show("NRestarts") == "0"
    # Nothing waits for the courier.
    there = until(service.whole, "all were there")
    assert set(there) == {"writer", "worker 0", "worker 1", "courier"}


def test_not_ready_without_a_writer(service):
    """A start that fails was never one that had succeeded."""
    service.machine.run("sh", "-ec", "yes 'no database' | head -n 1000 "
                        ">/var/lib/chatapi/chatapi.db; "
                        "chown chatapi: /var/lib/chatapi/chatapi.db")
    since = service.show("ActiveEnterTimestampMonotonic")
    assert service.systemctl("start", "chatapi", check=False).returncode != 0
    service.systemctl("stop", "chatapi")
    assert service.show("ActiveEnterTimestampMonotonic") == since
    assert lines(service, "-p", "err", "SYSLOG_IDENTIFIER=chatapi")


# ---- how it is shut in ----

def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f
                    if ":\t" in line)


def open_files(pid):
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)


def most_files(service):
    """What the unit says, or as much as this machine lets systemd give."""
    wanted = int(service.show("LimitNOFILE"))
    assert wanted == 65536
    if not int(status_of("self")["CapEff"], 16) & CAP_SYS_RESOURCE:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        wanted = wanted if hard == resource.RLIM_INFINITY else \
            min(wanted, hard)
    return wanted, wanted


def test_shut_in(service):
    """What the unit promises is in force in every process."""
    machine, children = service.machine, started(service).children()
    assert service.show("DropInPaths") == ""
    uid, gid = machine.run("sh", "-c", "id -u chatapi; id -g chatapi"
                           ).stdout.split()
    assert uid != "0"
    for pid in [service.pid, *children.values()]:
        said = status_of(pid)
        assert said["Uid"].split() == [uid] * 4
        assert said["Gid"].split() == [gid] * 4
        assert said["Groups"].split() == [gid]
        assert said["NoNewPrivs"] == "1" and said["Seccomp"] == "2"
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(said[kind], 16) == 0, kind
        assert os.readlink(f"/proc/{pid}/ns/user") != \
            os.readlink("/proc/self/ns/user")
        assert open_files(pid) == most_files(service)
    state = machine.run("stat", "-c", "%U %G %a", "/var/lib/chatapi")
    assert state.stdout == "chatapi chatapi 700\n"
    files = machine.run("find", "/var/lib/chatapi", "-type", "f", "-printf",
                        "%u %m\n").stdout
    assert set(files.splitlines()) == {"chatapi 600"}


def seen_by(service, command):
    """What root would get done where the service is."""
    main = service.show("MainPID")
    return service.machine.run(
        "nsenter", f"--target={main}", "--mount", "--wd=/", "--", "sh", "-c",
        command, check=False)


def test_file_system(service):
    machine = started(service).machine
    machine.run("sh", "-c", "mkdir -p /home/ann; touch /home/ann/secret "
                "/root/secret /tmp/of-others")
    for where in ("/usr", "/etc", "/var/log", "/var/lib", "/boot", "/home",
                  "/sys/fs/cgroup", "/proc/sys/kernel/hostname"):
        done = seen_by(service, f"touch {shlex.quote(where)}/x || "
                       f"echo x >{shlex.quote(where)}")
        assert done.returncode != 0, where
    for where in ("/var/lib/chatapi", "/tmp", "/var/tmp"):
        assert seen_by(service, f"touch {where}/x && rm {where}/x"
                       ).returncode == 0, where
    assert seen_by(service, "ls -A /home /root /tmp").stdout.split() == \
        ["/home:", "/root:", "/tmp:"]
    assert seen_by(service, "ls /dev/kmsg /dev/mem /dev/tty1 /proc/modules "
                   "/proc/kallsyms 2>/dev/null").stdout == ""


def test_rated(service):
    """By systemd itself, as the unit is loaded."""
    started(service)
    said = service.machine.run("systemd-analyze", "security", "--no-pager",
                               "chatapi.service").stdout
    rated = re.search(r"exposure level for chatapi.service: ([0-9.]+)", said)
    assert float(rated.group(1)) < 1.5, said


def test_no_complaint(service):
    """systemd knows every line of the units, and can do what they say."""
    started(service)
    done = service.machine.run("systemd-analyze", "verify", "--man=no",
                               *(service.show("FragmentPath", u) for u in
                                 ("chatapi.service", "chatapi.socket")))
    assert "chatapi" not in done.stderr, done.stderr
    service.systemctl("stop", "chatapi")
    own = [m["MESSAGE"] for m in lines(service, "-p", "warning")
           if m["_PID"] == "1"]
    assert not own, own


# ---- what it says ----

def test_journal(service):
    """Each line has the priority of its level, and is told from what."""
    service.defaults(LOG_LEVEL="debug")
    started(service)
    service.wait_respawn("worker", 1, service.kill("worker", 1))
    priority = {"error": "3", "warn": "4", "info": "6", "debug": "7"}
    found = set()
    until(lambda: "child respawned" in service.log(), "it was logged")
    for m in lines(service, "SYSLOG_IDENTIFIER=chatapi"):
        level = re.match(r"level=(\w+) role=\w+ ", m["MESSAGE"])
        assert level, m["MESSAGE"]
        assert m["PRIORITY"] == priority[level.group(1)], m
        found.add(level.group(1))
    assert found >= {"error", "info", "debug"}, found
    service.defaults(LOG_LEVEL="loud")
    assert service.systemctl("restart", "chatapi",
                             check=False).returncode != 0
    service.systemctl("stop", "chatapi")
    why = [m["MESSAGE"] for m in lines(service, "-p", "err",
                                       "SYSLOG_IDENTIFIER=chatapi")]
    assert any("LOG_LEVEL" in line for line in why), why


async def test_status(service):
    service.drop_in(WATCHDOG)
    tenant = Tenant(started(service))
    room = tenant.user("ann").make_room()["room_id"]
    tenant.user("ann").say(room, "one")
    ann = await Chat.connect(tenant, "ann")
    until(lambda: "Status: \"serving with 2 workers, 1 connections, "
          "1 messages\"" in service.systemctl("status", "chatapi").stdout,
          "the status told of both")
    await ann.close()


# ---- reload ----

def watch_reload(service):
    """The states that systemd sees, from the first word to the last."""
    states = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        done = pool.submit(service.systemctl, "reload", "chatapi")
        until(lambda: (states.append(service.show("ActiveState")) or
                       "reloading" in states and states[-1] == "active"),
              "it had reloaded", 4 * DEADLINE)
        done.result()
    return states


def test_reload_loses_nobody(service):
    tenant = Tenant(started(service))
    before, main = service.children(), service.show("MainPID")
    crowd = Crowd(service, tenant, 5, scaled(100, 30))
    try:
        crowd.start()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            done = pool.submit(watch_reload, service)
            while not done.done():
                crowd.turn()
            assert set(done.result()) == {"active", "reloading"}
            # Ready is said when the last process has been replaced.
            assert 'msg="reloaded"' in service.log()
        crowd.run_until(crowd.all_there, "all were back")
        crowd.end()
        assert set(crowd.codes) == {1012}
    finally:
        crowd.close()
    after = until(service.whole, "all were there")
    assert not set(before.values()) & set(after.values())
    assert service.show("MainPID") == main
    assert service.show("NRestarts") == "0"


# ---- the socket ----

def answered(address):
    with socket.create_connection(address, DEADLINE) as s:
        s.settimeout(DEADLINE)
        s.sendall(REQUEST)
        out = b""
        while data := s.recv(65536):
            out += data
    return out.startswith(b"HTTP/1.1 200 ")


def take_over(service):
    """The socket instead of the service's own, as documented."""
    service.drop_in(documented("[Socket]"), "chatapi.socket")
    service.machine.run("sh", "-ec", documented("sudo systemctl stop"))
    service.port = 80


def test_the_first_connection_starts_it(service):
    started(service)
    take_over(service)
    assert service.show("ActiveState", "chatapi.socket") == "active"
    assert answered(("127.0.0.1", 80)) and answered(("::1", 80))
    service.systemctl("stop", "chatapi")
    assert not service.running()
    assert answered(("127.0.0.1", 80))
    assert service.running()
    assert service.show("Result") == "success"
    with pytest.raises(ConnectionRefusedError):
        answered(("127.0.0.1", 8080))


def ask_on(address, stop, seen):
    while not stop.wait(0.005):
        try:
            seen.append("answered" if answered(address) else "no answer")
        except OSError as e:
            seen.append(repr(e))


def test_restarts_that_nobody_notices(service):
    """Nobody is refused; who came before the start is answered after it."""
    started(service)
    take_over(service)
    stop, seen = threading.Event(), []
    asking = [threading.Thread(target=ask_on, args=(
        ("127.0.0.1", 80), stop, seen)) for _ in range(4)]
    for t in asking:
        t.start()
    try:
        for _ in range(3):
            before, main = len(seen), service.show("MainPID")
            service.systemctl("restart", "chatapi")
            assert service.show("MainPID") != main
            until(lambda: len(seen) > before + 20, "more were answered")
    finally:
        stop.set()
        for t in asking:
            t.join()
    assert set(seen) == {"answered"}, \
        {what: seen.count(what) for what in set(seen)}


# ---- when something is wrong ----

def test_a_writer_that_stands_still(service):
    """The watchdog starves, systemd starts all anew."""
    service.drop_in(WATCHDOG)
    tenant = Tenant(started(service))
    room = tenant.user("ann").make_room()["room_id"]
    tenant.user("ann").say(room, "one")
    old = [service.pid, *service.children().values()]
    service.kill("writer", sig=signal.SIGSTOP)
    began = time.monotonic()
    until(lambda: service.show("NRestarts") == "1", "systemd had enough",
          3 * DEADLINE)
    until(lambda: service.show("ActiveState") == "active", "it was back")
    # 7.5 s for the heartbeat, 2 until the timer looks, 6 for the watchdog, one
    # until the start; the master itself would kill it after 60.
    assert time.monotonic() - began < scaled(30, 40)
    assert "watchdog timeout" in service.journal().lower()
    assert not [p for p in old if os.path.exists(f"/proc/{p}")]
    assert contents(tenant, room) == ["one"]


def test_a_killed_master(service):
    """All that was acknowledged is there again, without anybody's doing."""
    tenant = Tenant(started(service))
    ann = tenant.user("ann")
    room = ann.make_room()["room_id"]
    ann.say(room, "n0")
    acked = ["n0"]
    old = [service.pid, *service.children().values()]
    killer = threading.Timer(0.3, os.kill, (old[0], signal.SIGKILL))
    killer.start()
    try:
        while True:
            ann.say(room, f"n{len(acked)}")
            acked.append(f"n{len(acked)}")
    except OSError:
        pass        # that was it
    killer.join()
    until(lambda: service.show("NRestarts") == "1" and
          service.show("ActiveState") == "active", "it was back")
    assert not [p for p in old if os.path.exists(f"/proc/{p}")]
    now = contents(tenant, room)
    # The last one may have been stored though its answer was lost.
    assert now[:len(acked)] == acked and len(now) <= len(acked) + 1


# ---- stop ----

def gone(service):
    assert service.show("ActiveState") == "inactive"
    assert service.show("Result") == "success"
    assert service.show("ExecMainStatus") == "0"
    assert service.show("NRestarts") == "0"
    assert not os.path.exists(service.machine.path(
        "/sys/fs/cgroup/system.slice/chatapi.service"))


async def test_stop_drains(service):
    tenant = Tenant(started(service))
    room = tenant.user("ann").make_room()["room_id"]
    chats = [await Chat.connect(tenant, "ann") for _ in range(5)]
    tenant.user("ann").say(room, "last")
    began = time.monotonic()
    service.systemctl("stop", "chatapi")
    assert time.monotonic() - began < 30
    for c in chats:
        await c.reader
        assert c.ws.close_code == 1012
        assert [f["type"] for f in c.log].count("server.shutdown") == 1
    gone(service)
    started(service)
    assert contents(tenant, room) == ["last"]


def test_stop_may_take_as_long_as_it_says(service):
    """systemd gives it the time it asks for, beyond TimeoutStopSec, and what
    had been sent before is answered."""
    service.drop_in("[Service]\nTimeoutStopSec=1\n")
    ann = Tenant(started(service)).user("ann")
    room = ann.make_room()["room_id"]
    writer = service.kill("writer", sig=signal.SIGSTOP)
    ann.send("POST", f"/rooms/{room}/messages", {"content": "late"})
    service.wait_taken(ann.http.sock)
    hold = threading.Timer(3, os.kill, (writer, signal.SIGCONT))
    began = time.monotonic()
    hold.start()
    service.systemctl("stop", "chatapi")
    took = time.monotonic() - began
    hold.join()
    assert ann.read().expect(201)["content"] == "late"
    assert took > 2.5
    gone(service)
