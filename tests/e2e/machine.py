# SPDX-License-Identifier: MIT
"""A machine of its own with systemd as its first process, and chatapi
installed in it as a service.  machine.sh makes it and takes it away."""
import contextlib
import ctypes
import os
import shutil
import subprocess
import tempfile

import harness
from harness import LIBC, MASTER_KEY, Server, children_of, proc_stat, until

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.dirname(os.path.abspath(harness.BIN))
CLONE_NEWNET = 0x40000000
# What an operator may have written to /etc/default/chatapi.
DEFAULTS = {"MASTER_API_KEY": MASTER_KEY, "WORKERS": "2",
            "DEFAULT_RATE_LIMIT": "0", "WS_MAX_CONNECTIONS_PER_USER": "1000"}
if harness.SANITIZERS:
    # To look for leaks it would have to trace itself, which the unit forbids.
    DEFAULTS["ASAN_OPTIONS"] = "detect_leaks=0"


class NotHere(Exception):
    """It cannot be made, and why."""


def why_not():
    """What is missing before anything is tried; None if nothing is."""
    if os.geteuid() != 0:
        return "namespaces and mounts need root"
    if not os.path.exists("/lib/systemd/systemd"):
        return "there is no systemd (Debian package: systemd)"
    for tool in ("mount", "unshare", "nsenter", "pivot_root", "make"):
        if shutil.which(tool) is None:
            return f"there is no {tool}"
    if not os.path.exists(os.path.join(BUILD, "Makefile")):
        return f"{BUILD} is no build directory to install from"
    return None


class Machine:
    def __init__(self):
        if why_not():
            raise NotHere(why_not())
        self.said = tempfile.TemporaryFile()
        self.dir = tempfile.mkdtemp(prefix="chatapi-machine-")
        env = {k: v for k, v in os.environ.items()
               if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "DESTDIR")}
        self.guard = subprocess.Popen(
            ["/bin/sh", os.path.join(HERE, "machine.sh"),
             self.dir, "make", "-s", "-C", BUILD, "install"],
            stdin=subprocess.PIPE, stdout=self.said, stderr=self.said,
            env=env, start_new_session=True)
        try:
            self.init = until(self._first, "systemd was started")
            until(self._booted, "systemd had booted")
        except BaseException:
            self.end()
            raise

    def _first(self):
        """The process that systemd has become, by its number here."""
        if self.guard.poll() is not None:
            self.said.seek(0)
            said = self.said.read().decode("utf-8", "replace")[-2000:]
            if self.guard.returncode == 77:
                raise NotHere(said.strip())
            raise AssertionError(f"no machine: {said}")
        for outer in offspring(self.guard.pid):
            for pid in offspring(outer):
                # Before that it is a shell that mounts.
                if comm(pid) == "systemd":
                    return pid
        return None

    def _booted(self):
        return self.run("systemctl", "is-system-running",
                        check=False).stdout == "running\n"

    def end(self):
        self.guard.stdin.close()
        self.guard.wait(harness.DEADLINE)
        self.said.close()
        # It goes with the rest, unless that was refused at the outset.
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(self.dir)

    # ---- in it ----

    def run(self, *command, check=True):
        """Runs it as root in there; returns a CompletedProcess (text)."""
        done = subprocess.run(
            ["nsenter", f"--target={self.init}", "--all", "--wd=/", "--",
             *command], text=True, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=2 * harness.DEADLINE,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})
        assert not check or done.returncode == 0, \
            (done.args[4:], done.returncode, done.stdout, done.stderr)
        return done

    def path(self, inside):
        return f"/proc/{self.init}/root{inside}"

    def write(self, inside, text):
        os.makedirs(os.path.dirname(self.path(inside)), exist_ok=True)
        with open(self.path(inside), "w", encoding="utf-8") as f:
            f.write(text)

    def outside(self, inside):
        """The number here of a process that systemd has started."""
        for pid in offspring(self.init):
            if namespace_pid(pid) == inside:
                return pid
        raise AssertionError(f"no process {inside} in the machine")

    @contextlib.contextmanager
    def network(self):
        """This thread, and those it starts, are in its network."""
        with open("/proc/thread-self/ns/net", "rb") as own, \
                open(f"/proc/{self.init}/ns/net", "rb") as its:
            enter(its)
            try:
                yield
            finally:
                enter(own)


def enter(network):
    if LIBC.setns(network.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def comm(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
            return f.read().rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def offspring(pid):
    return [p for p in children_of(pid)
            if (proc_stat(p) or (None,))[0] == pid]


def namespace_pid(pid):
    """Its number where it is."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as f:
            return next(int(line.split()[-1]) for line in f
                        if line.startswith("NSpid:"))
    except (FileNotFoundError, ProcessLookupError):
        return None


class Service(Server):
    """chatapi.service of a machine, which knows its processes as Server
    does; systemd starts and ends it."""

    def __init__(self, machine):            # noqa: W0231: nothing of that
        self.machine = machine
        self.port = 8080
        self.workers = int(DEFAULTS["WORKERS"])
        self.seen = {}
        self.since = None

    def systemctl(self, *args, **kwargs):
        return self.machine.run("systemctl", *args, **kwargs)

    def show(self, name, unit="chatapi.service"):
        return self.systemctl("show", "-P", name, unit).stdout.rstrip("\n")

    @property
    def pid(self):
        inside = int(self.show("MainPID"))
        assert inside != 0, "it does not run\n" + self.log_tail()
        return self.machine.outside(inside)

    def running(self):
        return self.show("MainPID") != "0"

    def begin(self, **settings):
        """Nothing of an earlier test is left; the journal counts from
        here."""
        self.systemctl("stop", "chatapi.socket", "chatapi.service")
        self.machine.run("rm", "-rf", "/var/lib/chatapi",
                         "/run/systemd/system/chatapi.service.d",
                         "/run/systemd/system/chatapi.socket.d")
        self.machine.run("systemd-sysusers")
        self.machine.run("systemd-tmpfiles", "--create")
        self.defaults(**settings)
        self.systemctl("daemon-reload")
        self.systemctl("reset-failed")
        self.machine.run("journalctl", "--sync")
        self.since = self.machine.run(
            "journalctl", "-q", "-n", "0", "--show-cursor"
            ).stdout.partition(": ")[2].strip()
        self.seen = {}

    def defaults(self, **settings):
        self.machine.write("/etc/default/chatapi", "".join(
            f"{k}={v}\n" for k, v in {**DEFAULTS, **settings}.items()))

    def drop_in(self, text, unit="chatapi.service"):
        """What `systemctl edit' makes."""
        self.machine.write(f"/run/systemd/system/{unit}.d/test.conf", text)
        self.systemctl("daemon-reload")

    def journal(self, *args):
        # journald has what was said when it has time to read it.
        self.machine.run("journalctl", "--sync")
        return self.machine.run(
            "journalctl", "-q", "--no-pager", "-u", "chatapi",
            f"--after-cursor={self.since}", *args).stdout

    def log(self):
        return self.journal("-o", "cat")
