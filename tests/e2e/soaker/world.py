# SPDX-License-Identifier: MIT
"""The server, all who use it, and the conductor of a run."""
import collections
import faulthandler
import http.client
import threading
import time

import contract
from client import Rest
from conf import ConfServer
from harness import DEADLINE, SANITIZERS, free_port, until
from hook import Hook
from raw import Closed
from tls import Authority

from . import judge
from .acts import Acts
from .faults import Faults
from .flock import Flock
from .odd import Odd
from .sampler import Sampler
from .tenants import Founder, Home
from .tide import Tide
from .truth import Truth

ACTORS = 6
# Seconds that the lowest part of a tide takes, about.
EBB = 6
FAULTS_MOST = 50


class World:
    LOST = (OSError, http.client.HTTPException, Closed)

    def __init__(self, options):
        self.options = options
        self.began = time.monotonic()
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.tide = Tide()
        self.truth = Truth()
        self.counts = collections.Counter()
        self.faults = []
        self.notes = []
        self.lows = []          # (at, seconds until all was idle)
        self.until_excused = 0
        self.hook_down = False
        self.left_tenants = []
        self.hook = Hook(self._hook)
        self.server = self._server()
        self.sampler = Sampler(self)
        self.ill = Faults(self)

    def _server(self):
        tls_port = free_port()
        s = ConfServer(self.options.workers, settings={
            "webhook_allow_private": 1, "retry_interval": "200ms",
            "retry_max_attempts": 3, "presence_grace": "1s",
            "ws_max_connections_per_user": 5, "confine": "yes",
            "tls_listen_addr": f"127.0.0.1:{tls_port}"})
        s.tls_port = tls_port
        self.authority = Authority(s.dir)
        self.tls = self.authority.context()
        s.settings["tls_cert"], s.settings["tls_key"] = self.authority.files
        s.write()
        return s

    def _hook(self, call):
        n = self.counts["webhooks"] = self.counts["webhooks"] + 1
        del self.hook.calls[:]
        if self.hook_down:
            return 503
        return {3: 500, 11: 302, 17: lambda handler: None}.get(n % 23, 200)

    # ---- notes, from any thread ----

    def time(self):
        return time.monotonic() - self.began

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def note(self, text):
        self.notes.append((self.time(), text))
        self.say(text)

    def say(self, text):
        print(f"{self.time():7.1f} {text}", flush=True)

    def fault(self, text):
        with self.lock:
            if len(self.faults) < FAULTS_MOST:
                self.faults.append(f"at {self.time():.0f} s: {text}")
                self.say("FAULT " + text[:2000])

    def excuse(self, seconds):
        self.until_excused = time.monotonic() + seconds

    def excused(self, since=None):
        return (since or time.monotonic()) < self.until_excused

    def lost(self, text, since=None):
        """A connection ended without an answer, perhaps at any time since
        its client stopped looking."""
        self.count("connections lost")
        if not self.excused(since):
            self.fault("lost without a reason: " + text)

    @staticmethod
    def content(rng):
        return f"{rng.random()} " + "x" * rng.randrange(400)

    # ---- the run ----

    def start(self):
        self.server.start()
        until(lambda: self.idle() is None, "it is idle")
        idle = self.sampler.idle_counts()
        self.tenants = [Home(self.server, f"home {i}") for i in range(2)]
        self.hook.serve(self.tenants[0])
        self.first_use()
        used = self.sampler.idle_counts()
        self.idle_counts = {r: sorted({idle[r], used[r]}) for r in idle}
        o = self.options
        self.actors = [Flock(self, o.clients), Odd(self, "odd"),
                       Founder(self, "founder")]
        self.actors += [Acts(self, f"acts {i}") for i in range(ACTORS)]
        self.sampler.start()
        for a in self.actors:
            a.start()

    def first_use(self):
        """The writer may keep 16 MiB of the database's pages: it would take
        longer than this run until it has seen so many.  And the courier
        loads libcurl with the first webhook."""
        ann = self.tenants[0].user("u0")
        room = ann.make_room()["room_id"]
        for _ in range(1400):
            ann.say(room, "f" * 16000)
        ann.say(ann.make_room(["u1"])["room_id"], "for the hook")
        ann.close()
        until(lambda: self.counts["webhooks"], "a webhook came")
        until(lambda: self.idle() is None, "it is idle again")

    def run(self):
        o = self.options
        cycles = max(2, round(o.minutes * 60 / o.cycle))
        length = o.minutes * 60 / cycles
        self.say(f"{cycles} tides of {length:.0f} s, idle descriptors "
                 f"{self.idle_counts}")
        for i in range(cycles):
            self._cycle(i, cycles, length - EBB)

    def _cycle(self, i, cycles, length):
        begin = self.time()
        self.tide.rise()
        for share, what, *args in self.ill.plan(i, cycles):
            self.wait_till(begin + share * length)
            what(*args)
        self.wait_till(begin + length)
        self.ebb()

    def wait_till(self, at):
        left = at - self.time()
        if left > 0:
            self.stop.wait(left)

    def ebb(self):
        """Everybody leaves; what is left is the processes' own."""
        aground = self.tide.fall(self.actors, 3 * DEADLINE)
        if aground:
            self.fault(f"actors that do not stop: {aground}")
        began = time.monotonic()
        why = self.wait_idle(3 * DEADLINE)
        if why is not None:
            self.fault(f"not idle after {3 * DEADLINE:.0f} s: {why}")
        self.lows.append((self.time(), time.monotonic() - began))
        self.sampler.look(low=True)
        self.sampler.look_at_files()
        for text in contract.take_faults():
            self.fault("outside the contract: " + text)
        mib = {life.name: life.samples[-1].private / judge.MIB for life in
               self.sampler.lives.values() if life.samples[-1].low and
               life.samples[-1].at >= self.lows[-1][0] - 1}
        self.say(f"low tide after {self.lows[-1][1]:.1f} s (last: "
                 f"{self.why_not}): " + ", ".join(
            f"{k} {v:.2f}" for k, v in sorted(mib.items())) + " MiB; "
            f"{self.counts['ws connects']} connects, "
            f"{self.truth.count()} messages")

    def wait_idle(self, deadline):
        """None, or what is still going on in the end."""
        end = time.monotonic() + deadline
        last = None
        # Should a question never be answered, who waits for what?
        faulthandler.dump_traceback_later(deadline / 2)
        while True:
            why = self.idle() or self.not_yet_closed()
            if why is None or time.monotonic() > end:
                self.why_not = last
                faulthandler.cancel_dump_traceback_later()
                return why
            last = why
            time.sleep(0.2)

    def metrics(self):
        rest = Rest(self.server)
        try:
            return rest.get("/metrics", headers={
                "Accept": "application/json"}).expect(200)
        finally:
            rest.close()

    def idle(self):
        """None when nothing is going on; else what is."""
        try:
            m = self.metrics()
        except self.LOST as e:
            return repr(e)
        for name in ("active_connections", "users_online", "feeds_behind",
                     "connections_behind", "operations_pending",
                     "writer_queue_operations", "writer_queue_bytes",
                     "bus_queue_bytes", "webhooks_pending",
                     "notification_expansions"):
            if m[name]:
                return f"{name} is {m[name]}"
        s = self.server.status()
        if s["connections"] or s["users_online"] or any(
                s["queues"].values()):
            return f"status says {s}"
        return None

    def not_yet_closed(self):
        """Of descriptors; a leak is what stays so."""
        for (name, pid), n in self.sampler.descriptors().items():
            want = self.idle_counts[name.split()[0]]
            if n not in want:
                return f"{name}, pid {pid}, has {n} descriptors, not {want}"
        return None

    # ---- the end ----

    def finish(self):
        """What was acknowledged is there; everything ends in order."""
        self.tide.end()
        self.sampler.stop()
        for a in self.actors:
            a.join(2 * DEADLINE)
        self.ill.check_restarts(self.metrics())
        read = 0
        for t in self.tenants:
            backend = t.backend()
            for room in t.members:
                history = backend.history(room)
                read += len(history)
                for text in self.truth.faults(room, history):
                    self.fault(text)
            backend.close()
        self.counts["messages read back"] = read
        self.checked = self.ill.check_database()
        self.server.stop()

    def abandon(self):
        self.stop.set()
        self.tide.end()
        self.sampler.ending.set()
        self.server.destroy()
        self.hook.close()

    def bounds(self):
        b = judge.Bounds(warm=self.options.warm)
        if SANITIZERS:
            # They keep what was freed; what leaks they tell themselves.
            b.floor = 1 << 40
        return b

    def verdicts(self):
        bounds = self.bounds()
        out = judge.all_lives(self.sampler.lives.values(), self.idle_counts,
                              bounds)
        return out + judge.log_file(
            [wal for _, _, wal, _ in self.sampler.files], bounds)
