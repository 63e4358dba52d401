# SPDX-License-Identifier: MIT
"""What stands in for systemd: hears what a service says, and hands it
sockets that it has bound itself."""
import fcntl
import os
import socket
import struct
import subprocess
import tempfile
import time

import harness
from harness import Server, clean_env, until

FIRST = 3       # descriptor of those that are handed over
SO_TIMESTAMPNS = 35


class Manager:
    """Hears one service."""

    def __init__(self, watchdog=None):
        self.dir = tempfile.mkdtemp(prefix="chatapi-notify-")
        self.path = os.path.join(self.dir, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.watchdog = watchdog        # seconds
        self.heard = []                 # (when it was said, {field: value})

    def end(self):
        self.socket.close()
        os.unlink(self.path)
        os.rmdir(self.dir)

    def listen(self):
        """Takes in what has come; returns all of it."""
        while True:
            try:
                data, more, _, _ = self.socket.recvmsg(65536, 64)
            except BlockingIOError:
                return [m for _, m in self.heard]
            seconds, ns = struct.unpack("=qq", more[0][2])
            ago = time.time() - (seconds + ns / 1e9)
            lines = data.decode().splitlines()
            self.heard.append((time.monotonic() - ago,
                               dict(line.split("=", 1) for line in lines)))

    def said(self, field, value=None):
        """Whether it was said so far."""
        return any(field in m and value in (None, m[field])
                   for m in self.listen())

    def last_status(self):
        return [m["STATUS"] for m in self.listen() if "STATUS" in m][-1]

    def fed(self):
        """When the watchdog was fed."""
        self.listen()
        return [at for at, m in self.heard if m.get("WATCHDOG") == "1"]

    def env(self):
        out = {"NOTIFY_SOCKET": self.path}
        if self.watchdog is not None:
            out["WATCHDOG_USEC"] = str(int(self.watchdog * 1e6))
        return out

    def start(self, server, sockets=(), names=()):
        """Starts it as a service; it need not be ready yet."""
        self.listen()
        self.heard.clear()              # what one before it said
        env = {**server.env, **self.env()}
        if sockets:
            env.update(LISTEN_FDS=str(len(sockets)),
                       LISTEN_FDNAMES=":".join(names))
        fds = [s.fileno() for s in sockets]

        def prepare():
            harness._die_with_parent()
            # Out of the way first: both sets of numbers may overlap.
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in fds]
            for i, fd in enumerate(high):
                os.dup2(fd, FIRST + i)

        with open(server.log_path, "ab") as log:
            server.process = subprocess.Popen(
                # The variables name the process that the shell becomes.
                ["/bin/sh", "-c", 'export WATCHDOG_PID=$$ LISTEN_PID=$$; '
                 'exec "$0" "$@"', harness.BIN, *server.args],
                cwd=server.dir, env=clean_env(env),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=prepare,
                pass_fds=[FIRST + i for i in range(len(fds))])

    def start_ready(self, server, *args, **kwargs):
        self.start(server, *args, **kwargs)
        until(lambda: self.said("READY", "1") or not server.running(),
              "it said READY\n" + server.log_tail())
        assert server.running(), server.log_tail()
        until(server.whole, "every process had its name")


def service(**kwargs):
    """A server that is handed its sockets."""
    return Server(listen=False, **kwargs)


def bound(backlog=128):
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(backlog)
    return s
