# SPDX-License-Identifier: MIT
"""What each process of the server holds, looked at every few seconds."""
import os
import sqlite3
import threading

from harness import children_of, proc_stat, proc_title, until

from .judge import Life, Sample

LOST = (FileNotFoundError, ProcessLookupError, PermissionError)


def memory_of(pid):
    """(pss, rss, private dirty) in bytes."""
    got = {}
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        for line in f:
            field = line.split()
            if field[-1] == "kB":
                got[field[0]] = int(field[1]) << 10
    return got["Pss:"], got["Rss:"], got["Private_Dirty:"]


def threads_of(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def descriptors_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Sampler(threading.Thread):
    """lives: every process that was ever seen, by (pid, start time)."""

    def __init__(self, world, every=5.0):
        super().__init__(name="sampler")
        self.world = world
        self.every = every
        self.lives = {}
        self.files = []         # (at, database, WAL, free pages)
        self.status = []        # what `chatapi status` said
        self.lock = threading.Lock()
        self.ending = threading.Event()

    def processes(self):
        """[(name, pid)], also when two have one name during a reload."""
        master = self.world.server.pid
        out = [("master", master)]
        for pid in children_of(master):
            stat = proc_stat(pid)
            title = proc_title(pid)
            if stat and stat[0] == master and title.startswith("chatapi: "):
                out.append((title[len("chatapi: "):], pid))
        return out

    def kept_by(self, name):
        """The courier may keep idle links to an endpoint of webhooks."""
        return self.world.hook.links if name == "courier" else 0

    def look(self, low=False):
        """One sample of each process."""
        now = self.world.time()
        for name, pid in self.processes():
            try:
                since = proc_stat(pid)[1]
                sample = Sample(now, *memory_of(pid), descriptors_of(pid),
                                threads_of(pid), low, self.kept_by(name))
            except (*LOST, TypeError, KeyError):
                continue
            with self.lock:
                life = self.lives.setdefault(
                    (pid, since), Life(name, pid, [], now))
                life.samples.append(sample)

    def look_at_files(self):
        path = os.path.join(self.world.server.dir, "chatapi.db")
        sizes = [os.path.getsize(p) if os.path.exists(p) else 0
                 for p in (path, path + "-wal")]
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            free = db.execute("PRAGMA freelist_count").fetchone()[0]
        finally:
            db.close()
        self.files.append((self.world.time(), *sizes, free))

    def run(self):
        try:
            while not self.ending.wait(self.every):
                if not self.world.tide.high:
                    continue    # the conductor looks then
                self.look()
                self.look_at_files()
                s = self.world.server.status()
                self.status.append(
                    {"at": self.world.time(),
                     "connections": s["connections"],
                     "users_online": s["users_online"],
                     "queues": s["queues"]})
        except Exception as e:
            self.world.fault(f"sampler: {e!r}")

    def stop(self):
        self.ending.set()
        self.join()

    def idle_counts(self):
        """{role: descriptors} of processes that nobody uses."""
        before = None

        def steady():
            # The master may still have an operator's command.
            nonlocal before
            last, before = before, self.descriptors()
            return last == before
        until(steady, "no descriptor is closed any more", every=0.5)
        self.look(low=True)
        out = {}
        for life in self.lives.values():
            n = life.samples[-1].fds - life.samples[-1].kept
            assert out.setdefault(life.role, n) == n, \
                f"{life.name} has {n} descriptors, another {out[life.role]}"
        return out

    def descriptors(self):
        """{(name, pid): number} now, without what may be kept."""
        out = {}
        for name, pid in self.processes():
            try:
                out[name, pid] = descriptors_of(pid) - self.kept_by(name)
            except LOST:
                pass
        return out

