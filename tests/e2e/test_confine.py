# SPDX-License-Identifier: MIT
"""The processes confine themselves, and serve all the same.  What each may
still do is tried in tests/unit/test_confine.c, and here in the processes of
a server; that nothing they need is refused is what all other tests show."""
import errno
import os
import re
import signal
import shutil
import sqlite3
import subprocess

import pytest

import faults
from client import Tenant
from harness import BIN, SANITIZERS, until
from hook import ENV, Hook
from tls import Authority, tls_server
from tokens import Issuer

pytestmark = pytest.mark.skipif(
    SANITIZERS, reason="sanitizers need more than a server does")


def seccomp(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"^Seccomp:\s*(\d)$", f.read(), re.M)[1])


def said(server):
    """{role: (Landlock, seccomp)} of the log."""
    return {role: (int(landlock), int(calls)) for role, landlock, calls in
            re.findall(r'role=(\w+) .*msg="confined" landlock=(\d+) '
                       r'seccomp=(\d)', server.log())}


def confined(server):
    """They confine themselves first, and then open what they need."""
    def ready():
        log = server.log()
        return log.count('msg="confined"') >= server.workers + 2 and \
            log.count('msg="worker ready"') >= server.workers and \
            'msg="courier ready"' in log and 'msg="writer ready"' in log
    until(ready, "each process had said so, and was ready")
    return said(server)


def test_confined(start_server):
    server = start_server(workers=2)
    found = confined(server)
    for name, pid in server.children().items():
        _, calls = found[name.split()[0]]
        assert seccomp(pid) == (2 if calls else seccomp(server.pid)), name
    # The next ones, too; the database is there by then.
    old = server.kill("writer")
    pid, _ = server.wait_respawn("writer", None, old)
    assert (seccomp(pid) == 2) == bool(found["writer"][1])
    Tenant(server).user("ann").make_room()
    server.stop()


def test_switched_off(start_server):
    server = start_server(workers=1, env={"CONFINE": "no"})
    until(lambda: server.log().count("not confined: CONFINE is no") == 3,
          "each process had said so")
    assert said(server) == {}
    own = seccomp(server.pid)
    assert {seccomp(p) for p in server.children().values()} == {own}
    server.stop()


def test_key_file_elsewhere(start_server, tmp_path):
    """The writer may make it where it was asked to, the workers read it."""
    (tmp_path / "keys").mkdir()
    path = tmp_path / "keys" / "key"
    server = start_server(workers=1, env={"KEY_FILE": str(path)})
    issuer = Issuer(Tenant(server)).install()
    assert path.stat().st_size == 32
    issuer.user("ann").get("/rooms").expect(200)
    server.stop()


# ---- files, tried by the processes themselves ----

# What is tried, and whom it is refused.  %s is the database.
TRIES = {
    "r%s": "", "w%s": "worker courier",
    "r%s-wal": "", "w%s-wal": "worker courier",
    "w%s-shm": "",
    "c%s-new": "worker writer courier",
    "u%s-wal": "worker writer courier",
    "m%s": "worker writer courier",
    "c%s-staging/new": "worker courier",
    "r%s-secrets": "worker writer courier", "w%s-secrets": "worker writer courier",
    "u%s-secrets": "worker writer courier",
    # The master's files, and what others have put beside the database.
    "w%s-lock": "worker writer courier",
    "r{dir}/server.key": "worker writer courier",
    "r{dir}/server.crt": "worker writer courier",
    "w{dir}/neighbour": "worker writer courier",
    "u{dir}/neighbour": "worker writer courier",
    "r{conf}": "worker writer courier",
    "d{dir}": "worker courier",
    "s": "worker writer",
}


class Trial:
    """A server that can be asked what its processes may do."""

    def __init__(self, start_server, directory):
        (directory / "ca").mkdir()
        self.ca = Authority(directory / "ca")
        self.server = tls_server(start_server, self.ca, workers=2,
                                 launch=False)
        self.dir = os.path.realpath(self.server.dir)
        for name in self.ca.files:
            os.link(name, os.path.join(self.dir,
                                       "server" + os.path.splitext(name)[1]))
        self.tries = {}
        for text, whom in TRIES.items():
            text = text.replace("%s", os.path.join(self.dir, "chatapi.db"))
            text = text.format(dir=self.dir, conf="/etc/group")
            self.tries[text[0] + " " + text[1:]] = whom.split()
        self.server.env.update(faults.preload("preload_tries.so"))
        self.server.env["FAULT_TRIES"] = "\n".join(
            t[0] + (t[2:] or "-") for t in self.tries)
        with open(os.path.join(self.dir, "neighbour"), "wb"):
            pass

    def ask(self, pid):
        """{try: errno} of that process."""
        os.kill(pid, signal.SIGRTMIN + 3)
        pattern = re.compile(rf"^tried {pid} (\d+) (\S) (\S+)$", re.M)
        found = until(
            lambda: (lambda f: len(f) >= len(self.tries) and f)(
                pattern.findall(self.server.log())), "it had tried all")
        return {f"{what} {'' if name == '-' else name}": int(e)
                for e, what, name in found[-len(self.tries):]}

    def check(self, found):
        for name, pid in self.server.children().items():
            role = name.split()[0]
            for what, e in self.ask(pid).items():
                kind = errno.EPERM if what[0] == "s" else errno.EACCES
                if not found[role][1 if what[0] == "s" else 0]:
                    continue
                want = kind if role in self.tries[what] else 0
                assert e == want, (name, what, errno.errorcode.get(e, e))


def test_tried(start_server, tmp_path):
    """By the first processes, by those after a crash and after a reload."""
    trial = Trial(start_server, tmp_path)
    server = trial.server.start()
    found = confined(server)
    tenant = Tenant(server)
    trial.check(found)
    for role, slot in (("writer", None), ("worker", 0), ("courier", None)):
        server.wait_respawn(role, slot, server.kill(*[
            x for x in (role, slot) if x is not None]))
    trial.check(found)
    old = set(server.children().values())
    os.kill(server.pid, signal.SIGHUP)
    until(lambda: not old & set(server.children().values()) and
          server.whole(), "all were replaced")
    until(lambda: "reloaded" in server.log(), "it was reloaded")
    trial.check(found)
    ann = tenant.user("ann")
    ann.say(ann.make_room()["room_id"], "hello")
    server.stop()


def descriptors(pid):
    """(path, flags) of what a process has open."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            path = os.readlink(f"/proc/{pid}/fd/{fd}")
            with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as f:
                flags = int(re.search(r"flags:\s*(\d+)", f.read())[1], 8)
        except FileNotFoundError:
            continue    # closed just now, as a client's connection may be
        yield path, flags


def test_open_files(start_server):
    """Nor does a process hold what it may not open: SQLite opens the log to
    write wherever it can."""
    server = start_server(workers=2)
    confined(server)
    ann = Tenant(server).user("ann")
    ann.say(ann.make_room()["room_id"], "hello")
    writable = {}
    for name, pid in server.children().items():
        found = writable.setdefault(name.split()[0], set())
        for path, flags in descriptors(pid):
            if "chatapi.db" in path and flags & os.O_ACCMODE != os.O_RDONLY:
                found.add(path.rpartition("chatapi.db")[2])
    assert writable["writer"] == {"", "-wal", "-shm", "-lock"}
    for role in ("worker", "courier"):
        if said(server)[role][0]:
            assert writable[role] == {"-shm"}, role


# ---- what the writer still can ----

def files(server):
    return {n[len("chatapi.db"):]: os.stat(os.path.join(server.dir, n))
            for n in os.listdir(server.dir) if n.startswith("chatapi.db")}


def test_log_stays(start_server):
    """The log is empty when the server has stopped, and the same file while
    it runs, whoever dies."""
    server = start_server(workers=1)
    confined(server)
    first = files(server)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room()["room_id"]
    for role, slot in (("worker", 0), ("writer", None)):
        server.wait_respawn(role, slot, server.kill(*[
            x for x in (role, slot) if x is not None]))
        tenant.user("ann").say(room, role)
    later = files(server)
    for name in ("", "-wal", "-shm"):
        assert first[name].st_ino == later[name].st_ino, name
    assert later["-wal"].st_size > 0
    server.stop()
    assert files(server)["-wal"].st_size == 0
    # All of it is in the one file.
    path = os.path.join(server.dir, "chatapi.db")
    with sqlite3.connect(f"file:{path}?immutable=1", uri=True) as db:
        assert db.execute("SELECT count(*) FROM message").fetchone() == (2,)
    server.start()
    assert len(tenant.user("ann").history(room)) == 2
    server.stop()


# ---- what the courier still can ----

def mount(pid, what, where):
    """In the name space of that process only."""
    return subprocess.run(
        ["nsenter", f"--mount=/proc/{pid}/ns/mnt", "mount", "--bind",
         str(what), where], capture_output=True, timeout=30,
        check=False).returncode == 0


def test_names_replaced(start_server, tmp_path):
    """Another file in the place of /etc/hosts is out of the courier's reach,
    and it begins anew: nothing is lost but the time that takes."""
    if os.geteuid() != 0 or subprocess.run(
            ["unshare", "--mount", "true"], check=False).returncode != 0:
        pytest.skip("no file may be mounted here")
    env = {**ENV, "RETRY_INTERVAL": "1s", "RETRY_MAX_ATTEMPTS": "20"}
    server = start_server(workers=1, env=env, launch=False)
    server.program = shutil.which("unshare")
    server.args = ["--mount", BIN, *server.args]
    server.start()
    confined(server)
    old = server.pid_of("courier")
    hosts = tmp_path / "hosts"
    with open("/etc/hosts", encoding="utf-8") as f:
        hosts.write_text(f.read() + "\n127.0.0.1 hook.confined.test\n",
                         encoding="utf-8")
    hosts.chmod(0o644)
    hook = Hook()
    try:
        tenant = Tenant(server)
        hook.serve(tenant, url=f"http://hook.confined.test:{hook.port}/")
        assert mount(server.pid, hosts, "/etc/hosts")
        ann = tenant.user("ann")
        ann.say(ann.make_room(["bob"])["room_id"], "hello")
        until(lambda: hook.calls, "it came")
        if said(server)["courier"][0]:
            assert server.pid_of("courier") != old
            assert "name service were replaced" in server.log()
    finally:
        hook.close()
    server.stop()
