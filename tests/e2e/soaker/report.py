# SPDX-License-Identifier: MIT
"""The table of a run, in Markdown, and its raw data."""
import dataclasses
import json

from . import judge
from .judge import MIB


def at_start_warm_end(life, bounds):
    """Three samples: the first, the first warm one, the last."""
    warm = judge.warm(life, bounds)
    busy = [s for s in life.samples if not s.low] or life.samples
    first_warm = next((s for s in warm if not s.low), busy[0])
    return busy[0], first_warm, busy[-1]


def row(life, bounds):
    start, warm, end = at_start_warm_end(life, bounds)
    lows = [s for s in life.samples if s.low]
    warm_low = next((s for s in judge.warm(life, bounds) if s.low), None)
    points = [(s.at / 60, s.private / 1024)
              for s in judge.warm(life, bounds) if not s.low]
    slope = f"{judge.slope(points):+.1f}" if \
        judge.long_enough(life, bounds) else ""

    def mib(n):
        return f"{n / MIB:.2f}"
    return "| {} | {:.0f}–{:.0f} | {} | {} | {} | {} | {} | {} |".format(
        f"{life.name} ({life.pid})", life.samples[0].at,
        life.samples[-1].at,
        ", ".join(mib(s.pss) for s in (start, warm, end)),
        ", ".join(mib(s.private) for s in (start, warm, end)),
        ", ".join(mib(s.private) for s in
                  ((lows[0], warm_low or lows[0], lows[-1])
                   if lows else ())),
        slope,
        ", ".join(str(s.fds) for s in (start, warm, end)),
        ", ".join(map(str, sorted({s.fds - s.kept for s in lows}))))


def table(lives, bounds):
    out = ["| process (pid) | seen, s | PSS, MiB: start, warm, end | "
           "private, MiB: start, warm, end | private at low tide, MiB: "
           "start, warm, end | slope of private, KiB/min | descriptors: start, "
           "warm, end | at low tide |", "|---|---|---|---|---|---|---|---|"]
    for life in sorted(lives, key=lambda x: (x.name, x.samples[0].at)):
        out.append(row(life, bounds))
    return "\n".join(out)


def text(world, verdicts, full=True):
    o, counts = world.options, world.counts
    files = world.sampler.files
    out = [f"seed {o.seed}, {o.minutes:g} minutes, {o.workers} workers, "
           f"{o.clients} WebSockets, {len(world.lows)} low tides", "",
           table(world.sampler.lives.values(), world.bounds()), ""]
    if files:
        out.append(
            f"Database: {files[0][1] / MIB:.1f} MiB at first, "
            f"{files[-1][1] / MIB:.1f} in the end, at most "
            f"{max(f[3] for f in files)} free pages, {files[-1][3]} in the "
            f"end; WAL at most {max(f[2] for f in files) / MIB:.1f} MiB.")
    if world.lows:
        out.append("Idle at low tide after "
                   f"{max(s for _, s in world.lows):.1f} s at most.")
    ill = world.ill
    out += [f"{ill.reloads} reloads, {ill.backups} backups, killed "
            f"{ill.killed}.",
            f"{world.truth.count()} acknowledged messages of rooms that "
            "stay.", "", "Done: " + ", ".join(
                f"{v} {k}" for k, v in sorted(counts.items())), ""]
    bad = [v for v in verdicts if not v.good]
    out += [str(v) for v in (verdicts if full else bad)]
    out += [f"FAIL {f}" for f in world.faults]
    good = len(verdicts) - len(bad)
    out.append(f"{good} of {len(verdicts)} judgements good, "
               f"{len(world.faults)} faults")
    return "\n".join(out)


def raw(world, verdicts):
    return json.dumps({
        "options": vars(world.options),
        "idle_descriptors": getattr(world, "idle_counts", None),
        "bounds": dataclasses.asdict(world.bounds()),
        "lives": [dataclasses.asdict(x)
                  for x in world.sampler.lives.values()],
        "files": world.sampler.files, "status": world.sampler.status,
        "lows": world.lows, "notes": world.notes,
        "counts": world.counts, "faults": world.faults,
        "verdicts": [dataclasses.asdict(v) for v in verdicts]})
