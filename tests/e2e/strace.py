# SPDX-License-Identifier: MIT
"""strace on a process of the server: what it does, and death at a call."""
import re
import shutil
import signal
import subprocess

import pytest

from harness import until

CALL = re.compile(r"^(?:\[pid\s+\d+\] |\d+ +)?(\w+)\((.*)$")
RESUMED = re.compile(
    r"^(?:\[pid\s+\d+\] |\d+ +)?<\.\.\. (\w+) resumed>(.*)$")


class Strace:
    """strace attached to one process."""

    def __init__(self, pid, path, calls, size=64, inject=None):
        self.path = path
        self.errors = path + ".err"
        with open(self.errors, "wb") as err:
            self.process = subprocess.Popen(
                ["strace", "-f", "-p", str(pid), "-o", path, "-y",
                 "-s", str(size), "-e", f"trace={calls}",
                 *(["-e", f"inject={inject}"] if inject else [])],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=err)
        until(lambda: self._attached(pid), "strace was attached")

    def _attached(self, pid):
        if self.process.poll() is not None:
            with open(self.errors, encoding="utf-8") as f:
                said = f.read().strip()
            # It has died already of what was injected.
            if f"Process {pid} attached" in said:
                return True
            pytest.skip("strace cannot attach here (ptrace): " + said)
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                return f"TracerPid:\t{self.process.pid}\n" in f.read()
        except (FileNotFoundError, ProcessLookupError):
            return False    # strace is about to end, too

    def stop(self):
        """Detaches; returns [(call, rest of the line)] in their order."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        out = []
        with open(self.path, encoding="latin-1") as f:
            for line in f:
                m = CALL.match(line)
                if m and "<unfinished ...>" not in line:
                    out.append((m[1], m[2]))
                    continue
                m = RESUMED.match(line)
                if m:
                    out.append((m[1], m[2]))
        return out


@pytest.fixture
def strace(tmp_path):
    """Attaches strace to a process: strace(pid, calls, …)."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (Debian package: strace)")
    running = []

    def attach(pid, *args, **kwargs):
        path = str(tmp_path / f"strace.{len(running)}")
        running.append(Strace(pid, path, *args, **kwargs))
        return running[-1]

    yield attach
    for s in running:
        if s.process.poll() is None:
            s.process.send_signal(signal.SIGINT)
            s.process.wait(30)
