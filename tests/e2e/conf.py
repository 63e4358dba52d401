# SPDX-License-Identifier: MIT
"""A server with a configuration file, its reloads and what `chatapi status`
says of it."""
import json
import os
import shutil
import signal

from harness import BIN, MASTER_KEY, Server, run, until

# What the file says unless a test wants it otherwise; the environment, which
# would beat it, says nothing.
DEFAULTS = {"master_api_key": MASTER_KEY, "default_rate_limit": 0,
            "ws_max_connections_per_user": 1000}


class ConfServer(Server):
    def __init__(self, workers=2, settings=None, args=()):
        super().__init__(workers, args=["-c", "chatapi.conf", *args])
        self.env = {}
        self.settings = {**DEFAULTS, "workers": workers, **(settings or {})}
        at = self.args.index("-w")
        del self.args[at:at + 2]
        self.write()

    def write(self, text=None):
        """The file as the settings now are, or as given."""
        if text is None:
            text = "".join(f"{k} = {v}\n" for k, v in self.settings.items())
        path = os.path.join(self.dir, "chatapi.conf")
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def own_program(self):
        """A copy of the program, to be replaced during the test."""
        self.program = os.path.join(self.dir, "chatapi")
        for name in ("chatapi", "chatapi-courier"):
            beside = os.path.join(os.path.dirname(BIN), name)
            if os.path.exists(beside):
                shutil.copy(beside, os.path.join(self.dir, name))
        return self

    def install(self, data):
        """Puts another program in its place, as an upgrade does."""
        with open(self.program + ".new", "wb") as f:
            f.write(data)
        os.chmod(self.program + ".new", 0o755)
        os.rename(self.program + ".new", self.program)

    def wait_ready(self):
        """Until each process is: one worker that answers is enough for
        start(), but not for `serving`, nor for a reload of them all."""
        until(lambda: {p["state"] for p in self.status()["processes"]} ==
              {"ready"}, "each process was ready\n" + self.log_tail())
        return self

    def hup(self):
        self.process.send_signal(signal.SIGHUP)

    def reload(self, deadline=None, **settings):
        """Changes settings, reloads and waits; returns the state in which
        it ended (idle, refused, stopped) and what the log said."""
        if settings:
            self.settings.update(settings)
            self.write()
        before, start = self.status()["reload"]["begun"], len(self.log())
        self.hup()
        return self.wait_reload(before, deadline), self.log()[start:]

    def wait_reload(self, before, deadline=None):
        """Until the reload after the first `before` has ended."""
        def ended():
            got = self.status()["reload"]
            return got["begun"] > before and got["state"] != "running" and \
                got["state"]
        return until(ended, "the reload ended\n" + self.log_tail(20),
                     deadline)

    def status(self):
        done = run("-d", "file:chatapi.db", "status", "--json", cwd=self.dir)
        assert done.returncode in (0, 1), done
        out = json.loads(done.stdout)
        assert out["serving"] == (done.returncode == 0), done
        return out
