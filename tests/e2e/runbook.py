# SPDX-License-Identifier: MIT
"""Runs the commands of doc/operations.md's runbooks as they are printed.

The paths of an installation become those of the test's server, and four
commands that speak to the whole machine are stood in for: systemctl (stops,
starts and reloads this server), journalctl (shows its log), pgrep (finds
its children only) and runuser (stays who it is).
"""
import os
import re
import select
import subprocess

import harness
from harness import BIN, DEADLINE
from samples import blocks

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
PAGE = os.path.join(TOP, "doc", "operations.md")
SALVAGE = "/usr/share/doc/chatapi/examples/salvage"

SHIMS = {
    # The commands of a page name nobody to serve as; root must.
    "chatapi": "if [ \"$(id -u)\" = 0 ]; then set -- --user root \"$@\"; fi\n"
               "exec '{bin}' \"$@\"\n",
    "systemctl": "[ \"$2\" = chatapi ] || exit 1\n"
                 "echo \"$1\" >'{dir}/ask'\nread -r answer <'{dir}/done'\n",
    "journalctl": "cat '{log}'\n",
    "pgrep": "exec /usr/bin/pgrep -P '{pid}' \"$@\"\n",
    "runuser": "while [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\"\n",
}


def section(title):
    """First and last line of a section of the page."""
    with open(PAGE, encoding="utf-8") as f:
        lines = f.read().splitlines()
    heads = [i for i, line in enumerate(lines, 1)
             if re.match(r"#{2,3} ", line)] + [len(lines) + 1]
    first = next(i for i in heads[:-1]
                 if re.fullmatch(r"#{2,3} " + re.escape(title), lines[i - 1]))
    return first, heads[heads.index(first) + 1]


def of_section(title):
    first, end = section(title)
    return [b for b in blocks(PAGE) if first <= b.line < end]


def commands(title):
    """Its blocks of commands, each marked as run by test_runbooks.py."""
    out = [b for b in of_section(title) if b.language == "sh"]
    assert out and all(b.value.endswith("test_runbooks.py") for b in out)
    return [b.text for b in out]


def quoted(title):
    """The log lines that it quotes, as regular expressions: numbers and
    what … stands for may differ."""
    out = []
    for block in of_section(title):
        if not block.language:
            for line in block.text.splitlines():
                line = re.sub(r"\d+", "0", line)
                out.append(re.escape(line).replace("0", r"\d+")
                           .replace("…", ".*"))
    assert out, f"{title} quotes nothing"
    return out


def check_quoted(title, server):
    """The log has these lines, or will at once: others are told first."""
    for wanted in quoted(title):
        harness.until(lambda w=wanted: re.search(w, server.log()),
                      f"the log had {wanted}\n" + server.log_tail())


class Operator:
    """Somebody who copies commands from the page."""

    def __init__(self, server, tmp_path):
        self.server = server
        self.dir = str(tmp_path / "shims")
        self.work = server.dir
        os.makedirs(self.dir, exist_ok=True)
        for name in ("ask", "done"):
            os.mkfifo(os.path.join(self.dir, name))
        self.ran = 0

    def shims(self):
        for name, text in SHIMS.items():
            path = os.path.join(self.dir, name)
            with open(path, "w", encoding="utf-8") as f:
                f.write("#!/bin/sh\n" + text.format(
                    bin=BIN, dir=self.dir, log=self.server.log_path,
                    pid=self.server.pid if self.server.process else 0))
            os.chmod(path, 0o755)

    def here(self, text):
        """The command for this server."""
        return (text.replace(SALVAGE, os.path.join(TOP, "contrib/salvage"))
                .replace("/etc/default/chatapi", "/dev/null")
                .replace("/etc/chatapi/", self.work + "/")
                .replace("/var/lib/chatapi", self.work)
                .replace("/backup/", self.work + "/backup-")
                .replace(":8080", f":{self.server.port}"))

    def systemctl(self, verb):
        if verb == "stop":
            self.server.stop()
        elif verb == "start":
            self.server.start()
        else:
            assert verb == "reload", verb
            self.server.hup()

    def run(self, text, **env):
        """A block of the page; its output."""
        self.shims()
        env = harness.clean_env({
            "PATH": f"{self.dir}:{os.environ['PATH']}:/usr/sbin",
            "DATABASE_DSN": f"file:{self.work}/chatapi.db", **env})
        out = os.path.join(self.dir, f"out{self.ran}")
        self.ran += 1
        ask = os.open(os.path.join(self.dir, "ask"),
                      os.O_RDWR | os.O_NONBLOCK)
        done = os.open(os.path.join(self.dir, "done"), os.O_RDWR)
        with open(out, "wb") as f:
            process = subprocess.Popen(
                ["bash", "-e", "-c", self.here(text)], env=env,
                cwd=self.work, stdin=subprocess.DEVNULL, stdout=f, stderr=f)
        try:
            self.wait(process, ask, done)
        finally:
            process.kill()
            process.wait()
            os.close(ask)
            os.close(done)
        with open(out, encoding="utf-8", errors="replace") as f:
            said = f.read()
        assert process.returncode == 0, said
        return said

    def wait(self, process, ask, done):
        def ended():
            if select.select([ask], [], [], 0.02)[0]:
                self.systemctl(os.read(ask, 64).decode().strip())
                os.write(done, b"done\n")
            return process.poll() is not None
        harness.until(ended, "the commands ended", DEADLINE * 2, every=0)
