# SPDX-License-Identifier: MIT
"""Starts the real program for the end-to-end tests and looks after it.

A Server is one master with its children in a directory of its own.  It
knows its processes by the names that ps shows, kills them by role, and
tells on which worker a TCP connection ended up.  It has no part in what
the tests assert about the API.
"""
import ctypes
import errno
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BIN = os.environ.get("CHATAPI_BIN") or os.environ.get("CHATAPI") or ""
SANITIZERS = os.environ.get("CHATAPI_SANITIZERS") == "yes"
SLOW = SANITIZERS or os.environ.get("CHATAPI_SLOW", "") not in ("", "0")

# Seconds within which anything that will happen has happened.
DEADLINE = 60.0 if SLOW else 20.0
# The web console as it will be installed.
CONSOLE = os.path.join(os.path.dirname(os.path.abspath(BIN)), "share",
                       "console")
MASTER_KEY = "operator-key-of-the-end-to-end-tests"

# What a sanitizer or an abort leaves in the log.
REPORT = re.compile(
    r"ERROR: (?:Address|Leak|Memory|Thread)Sanitizer|runtime error:"
    r"|Assertion .* failed|\*\*\* stack smashing|free\(\): |malloc\(\): ")

# The program serves as root only when it is told to.
AS_ROOT = ["--user", "root"] if os.geteuid() == 0 else []

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def scaled(n, slow):
    """n on a normal build, slow where everything takes longer."""
    return slow if SLOW else n


def until(condition, what, deadline=None, every=0.01):
    """Polls until condition() is true; returns its value."""
    end = time.monotonic() + (deadline or DEADLINE)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited in vain until " + what)
        time.sleep(every)


def free_port():
    """Not one of those that connections get, so that it stays free while its
    server is down, and above all that browsers refuse as unsafe."""
    with open("/proc/sys/net/ipv4/ip_local_port_range",
              encoding="ascii") as f:
        end = int(f.read().split()[0])
    while end > 16384:
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", random.randrange(10240, end)))
            except OSError as e:
                if e.errno != errno.EADDRINUSE:
                    raise
                continue
            return s.getsockname()[1]
    raise AssertionError("all ports are connections'")


def clean_env(env=None):
    """An environment in which only the given settings are set."""
    keep = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH",
            "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS",
            "LLVM_PROFILE_FILE", "GCOV_PREFIX", "GCOV_PREFIX_STRIP")
    out = {k: os.environ[k] for k in keep if k in os.environ}
    out.update(env or {})
    return out


def run(*args, env=None, cwd=None, deadline=None):
    """Runs the program to its end; returns a CompletedProcess (text)."""
    return subprocess.run(
        [BIN, *map(str, args)], env=clean_env(env), cwd=cwd, text=True,
        stdin=subprocess.DEVNULL, capture_output=True,
        timeout=deadline or DEADLINE)


def proc_stat(pid):
    """(parent, start time, state) of a live process, or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
            fields = f.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in "ZX":
        return None
    return int(fields[1]), int(fields[19]), fields[0]


def proc_title(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().rstrip(b"\0 ").decode("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def proc_rss(pid):
    """Resident bytes."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def children_of(pid):
    """Numbers of what may be its children."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children",
                  encoding="ascii") as f:
            return [int(n) for n in f.read().split()]
    except FileNotFoundError:
        # It is gone, or this kernel has no such file.
        return [int(n) for n in os.listdir("/proc") if n.isdigit()]


def _die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Server:
    """One running chatapi."""

    def __init__(self, workers=3, env=None, args=(), listen=True,
                 directory=None):
        self.workers = workers
        self.own_dir = directory is None
        self.dir = directory or tempfile.mkdtemp(prefix="chatapi-e2e-")
        self.port = free_port()
        self.env = {"MASTER_API_KEY": MASTER_KEY, "DEFAULT_RATE_LIMIT": "0",
                    "WS_MAX_CONNECTIONS_PER_USER": "1000",
                    "CONSOLE_DIR": CONSOLE}
        self.env.update(env or {})
        self.args = [*AS_ROOT, "-w", str(workers), "-d", "file:chatapi.db"]
        if listen:
            self.args += ["-l", f"127.0.0.1:{self.port}"]
        self.args += list(args)
        self.log_path = os.path.join(self.dir, "server.log")
        self.program = BIN
        self.process = None
        self.seen = {}

    # ---- life ----

    def launch(self):
        """Starts the process and does not wait for it."""
        assert BIN and os.access(BIN, os.X_OK), \
            "CHATAPI_BIN names no program"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, *self.args], cwd=self.dir, env=clean_env(self.env),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=_die_with_parent)
        return self

    def start(self):
        self.launch()
        until(self._ready, "the server answered /health\n" + self.log_tail())
        self.seen = {}
        until(self.whole, "every process had its name\n" + self.log_tail())
        return self

    def whole(self):
        """children(), if all that there should be are there."""
        children = self.children()
        names = {f"worker {i}" for i in range(self.workers)} | \
            {"writer", "courier"}
        return children if set(children) == names else None

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(
                f"the server ended with {self.process.returncode}:\n"
                + self.log_tail())
        return self.healthy()

    def healthy(self):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            c.request("GET", "/health")
            r = c.getresponse()
            return r.status == 200 and \
                json.loads(r.read())["status"] == "ok"
        except (OSError, http.client.HTTPException):
            return False
        finally:
            c.close()

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, sig=signal.SIGTERM, deadline=None):
        """Ends it in the orderly way and checks that it was one."""
        if self.process is None:
            return
        assert self.running(), \
            f"the server had ended with {self.process.returncode}:\n" \
            + self.log_tail()
        self.children()
        self.process.send_signal(sig)
        self.wait_exit(deadline)

    def wait_exit(self, deadline=None):
        try:
            status = self.process.wait(deadline or DEADLINE + 15)
        except subprocess.TimeoutExpired:
            raise AssertionError("the server did not end:\n"
                                 + self.log_tail()) from None
        assert status == 0, f"exit status {status}:\n" + self.log_tail()
        until(lambda: not self.left_over(), "no child was left")
        self.check_log()
        self.process = None

    def left_over(self):
        """Children ever seen that are still there."""
        return [pid for pid, since in self.seen.items()
                if (proc_stat(pid) or (0, 0))[1] == since]

    def destroy(self):
        """Ends everything at once, whatever state it is in."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        for pid in self.left_over():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        # Until then they hold the lock and the port.
        until(lambda: not self.left_over(), "no child was left")

    def remove(self):
        if self.own_dir:
            shutil.rmtree(self.dir, ignore_errors=True)

    # ---- log ----

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8",
                      errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:])

    def check_log(self):
        found = REPORT.search(self.log())
        if found:
            raise AssertionError(
                "a report in the log:\n"
                + self.log()[max(0, found.start() - 500):][:12000])

    # ---- processes ----

    def children(self):
        """{"worker 0": pid, …, "writer": pid} of those that have a name."""
        out = {}
        for pid in children_of(self.pid):
            stat = proc_stat(pid)
            if stat is None or stat[0] != self.pid:
                continue
            self.seen[pid] = stat[1]
            title = proc_title(pid)
            if title.startswith("chatapi: "):
                out[title[len("chatapi: "):]] = pid
        return out

    def pid_of(self, role, slot=None):
        name = role if slot is None else f"{role} {slot}"
        return until(lambda: self.children().get(name), f"{name} was there")

    def worker_pids(self):
        return [self.pid_of("worker", i) for i in range(self.workers)]

    def kill(self, role, slot=None, sig=signal.SIGKILL):
        """Signals a child; returns its pid."""
        pid = self.pid_of(role, slot)
        os.kill(pid, sig)
        return pid

    def wait_respawn(self, role, slot, old, deadline=None):
        """Waits for the successor of pid `old` and an answer from it;
        returns (pid, seconds)."""
        name = role if slot is None else f"{role} {slot}"
        began = time.monotonic()

        def successor():
            pid = self.children().get(name)
            if pid is None or pid == old:
                return None
            if role == "worker":
                return pid if self._answers(pid) else None
            if role == "courier":
                ready = f'msg="courier ready" pid={pid}\n'
                return pid if ready in self.log() else None
            return pid if self._writes() else None

        pid = until(successor, f"{name} was replaced and answered\n"
                    + self.log_tail(20), deadline, every=0.002)
        return pid, time.monotonic() - began

    def _answers(self, pid):
        """A request to this very worker is answered."""
        for _ in range(60):
            s = socket.create_connection(("127.0.0.1", self.port), 5)
            try:
                if self.owner_of(s, wait=0.05) != pid:
                    continue
                s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                return s.recv(64).startswith(b"HTTP/1.1 ")
            except OSError:
                return False
            finally:
                s.close()
        return False

    def _writes(self):
        """The writer takes a write."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            c.request("POST", "/admin/tenants", '{"name":"probe"}',
                      {"X-Master-Key": MASTER_KEY,
                       "Content-Type": "application/json"})
            return c.getresponse().status == 201
        except (OSError, http.client.HTTPException):
            return False
        finally:
            c.close()

    # ---- which worker has a connection ----

    def _server_side(self, local_port):
        """(inode, bytes not yet read) of the accepted end, or None."""
        want = (f"{local_port:04X}", f"{self.port:04X}")
        with open("/proc/net/tcp", encoding="ascii") as f:
            next(f)
            for line in f:
                field = line.split()
                if field[1].endswith(":" + want[1]) and \
                        field[2].endswith(":" + want[0]):
                    return int(field[9]), int(field[4].split(":")[1], 16)
        return None

    def owner_of(self, sock, wait=None):
        """The pid of the child that has accepted this connection."""
        local_port = sock.getsockname()[1]
        end = time.monotonic() + (DEADLINE if wait is None else wait)
        while True:
            side = self._server_side(local_port)
            if side and side[0]:
                link = f"socket:[{side[0]}]"
                for pid in self.children().values():
                    if self._has(pid, link):
                        return pid
            if time.monotonic() > end:
                return None
            time.sleep(0.001)

    @staticmethod
    def _has(pid, link):
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                try:
                    if os.readlink(f"/proc/{pid}/fd/{fd}") == link:
                        return True
                except OSError:
                    continue
        except OSError:
            pass
        return False

    def wait_taken(self, sock):
        """Everything sent on sock has been read by the server."""
        port = sock.getsockname()[1]

        def taken():
            side = self._server_side(port)
            return side is not None and side[0] and side[1] == 0

        until(taken, "the server had read what was sent")

    def connect(self, slot=None, rcvbuf=None):
        """A TCP connection, to the worker in `slot` if one is given."""
        for _ in range(400):
            s = socket.socket()
            if rcvbuf:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            s.settimeout(DEADLINE)
            s.connect(("127.0.0.1", self.port))
            if slot is None or \
                    self.owner_of(s) == self.children().get(f"worker {slot}"):
                return s
            s.close()
        raise AssertionError(f"no connection came to worker {slot}")


def proc_io(pid):
    """What it has passed to read() and write(), files and pipes but no
    sockets: {"rchar": bytes, "wchar": bytes, …}."""
    with open(f"/proc/{pid}/io", encoding="ascii") as f:
        return {k: int(v) for k, v in
                (line.split(":") for line in f if line.strip())}
