# SPDX-License-Identifier: MIT
"""Whether what a process held was flat.

Memory is judged by the bytes that are a process' own (private dirty pages):
what it shares counts less for each when a neighbour starts.  Compared are
the medians of the first and of the last third of its life, from when it was
warm, so that single peaks do not count.  That is done for what was seen
under load and again for what was seen at low tide, when nothing but the
process' own is left.  Descriptors are compared exactly, at low tide.
"""
import dataclasses
import statistics

MIB = 1 << 20


@dataclasses.dataclass
class Bounds:
    # What allocator and page caches move by without anything being lost:
    # an arena grows by up to 1 MiB when a burst comes at a bad moment.
    floor: int = MIB
    # Of a process that is large, a share.
    share: float = 0.05
    # Seconds after its start, or that of the run, in which it may grow: its
    # caches fill and each kind of work is done for the first time.
    warm: float = 180
    # Less than these many seconds of a warm life tell nothing of a trend.
    least: float = 120
    # A log that is checkpointed in time: it is begun anew at 16 MiB, and a
    # backup or a long read may hold that up for a while.
    wal: int = 64 * MIB

    def growth(self, before):
        return max(self.floor, self.share * before)


@dataclasses.dataclass
class Sample:
    at: float           # seconds since the run began
    pss: int
    rss: int
    private: int
    fds: int
    threads: int
    low: bool = False   # nobody was connected
    kept: int = 0       # of fds, those that may stay: idle webhook links


@dataclasses.dataclass
class Life:
    """One process, from its start on."""
    name: str
    pid: int
    samples: list
    began: float = 0

    @property
    def role(self):
        return self.name.split()[0]


@dataclasses.dataclass
class Verdict:
    name: str
    what: str
    good: bool
    text: str

    def __str__(self):
        return f"{'ok  ' if self.good else 'FAIL'} {self.name}: {self.text}"


def thirds(values):
    """(median of the first third, median of the last third)."""
    n = max(1, len(values) // 3)
    return statistics.median(values[:n]), statistics.median(values[-n:])


def slope(points):
    """Least squares over (x, y): how much y rises when x does by one."""
    if len(points) < 2:
        return 0.0
    mx = statistics.fmean(x for x, _ in points)
    my = statistics.fmean(y for _, y in points)
    under = sum((x - mx) ** 2 for x, _ in points)
    if under == 0:
        return 0.0
    return sum((x - mx) * (y - my) for x, y in points) / under


def warm(life, bounds):
    """Its samples from when it had warmed up."""
    since = max(bounds.warm, life.began + bounds.warm)
    return [s for s in life.samples if s.at >= since]


def long_enough(life, bounds):
    w = warm(life, bounds)
    return len(w) >= 6 and w[-1].at - w[0].at >= bounds.least


def memory(life, bounds):
    """Verdicts on one life; none when it was too short to tell."""
    if not long_enough(life, bounds):
        return []
    out = []
    for low, when in ((False, "under load"), (True, "at low tide")):
        values = [s.private for s in warm(life, bounds) if s.low == low]
        if len(values) < 3:
            continue
        first, last = thirds(values)
        bound = bounds.growth(first)
        out.append(Verdict(
            f"{life.name} pid {life.pid}", "memory", last - first <= bound,
            f"private memory {when} went from {first / MIB:.2f} to "
            f"{last / MIB:.2f} MiB, may grow by {bound / MIB:.2f}"))
    return out


def descriptors(life, idle):
    """At each low tide as many as an idle process of its role had, before
    or after its first use."""
    seen = [(s.at, s.fds - s.kept) for s in life.samples if s.low]
    if not seen:
        return []
    want = idle[life.role]
    off = [(at, n) for at, n in seen if n not in want]
    idle_ones = " or ".join(map(str, want))
    return [Verdict(
        f"{life.name} pid {life.pid}", "descriptors", not off,
        f"{idle_ones} descriptors at {len(seen)} low tides" if not off else
        f"{off[0][1]} and {off[-1][1]} descriptors at {off[0][0]:.0f} and "
        f"{off[-1][0]:.0f} s, an idle one has {idle_ones}")]


def busy_descriptors(life, bounds):
    """Under load there is no exact number, but no trend either."""
    if not long_enough(life, bounds):
        return []
    values = [s.fds for s in warm(life, bounds) if not s.low]
    if len(values) < 3:
        return []
    first, last = thirds(values)
    # A worker has its share of a load that swings.
    bound = max(16, first / 2)
    return [Verdict(
        f"{life.name} pid {life.pid}", "descriptors under load",
        last - first <= bound,
        f"{first:.0f}, later {last:.0f} descriptors under load, may rise by "
        f"{bound:.0f}")]


def threads(life):
    """None is ever made but those of its start."""
    if not life.samples:
        return []
    seen = sorted({s.threads for s in life.samples})
    return [Verdict(f"{life.name} pid {life.pid}", "threads", len(seen) == 1,
                    f"threads: {', '.join(map(str, seen))}")]


def log_file(sizes, bounds):
    """The WAL's size."""
    most = max(sizes, default=0)
    return [Verdict("database", "wal", most <= bounds.wal,
                    f"the WAL was at most {most / MIB:.1f} MiB, may be "
                    f"{bounds.wal / MIB:.0f}")]


def all_lives(lives, idle, bounds):
    out = []
    for life in lives:
        out += memory(life, bounds) + descriptors(life, idle) + \
            busy_descriptors(life, bounds) + threads(life)
    return out
