# SPDX-License-Identifier: MIT
"""Runs the soak from the command line."""
import argparse
import faulthandler
import os
import random
import shutil
import signal
import sys
import traceback

from harness import BIN, SLOW

from . import report
from .world import World


def options(argv):
    p = argparse.ArgumentParser(
        prog="tests/e2e/soak",
        description="Clients that come and go by hundreds while processes "
        "are replaced and killed; then every process must hold as much "
        "memory and as many descriptors as before.")
    p.add_argument("--minutes", type=float, default=30)
    p.add_argument("--seed", default=str(
        random.SystemRandom().randrange(10 ** 8)))
    p.add_argument("--workers", type=int, default=3)
    p.add_argument("--clients", type=int, default=100 if SLOW else 300,
                   help="WebSockets at once (default %(default)s)")
    p.add_argument("--life", type=float, default=8,
                   help="mean seconds until one leaves (default 8)")
    p.add_argument("--rate", type=float, default=0.3 if SLOW else 1,
                   help="of what they do: 2 is twice as much (default "
                   "%(default)s)")
    p.add_argument("--cycle", type=float, default=None,
                   help="seconds from one low tide to the next (default: a "
                   "twelfth of the run, 30 to 150)")
    p.add_argument("--warm", type=float, default=180,
                   help="seconds in which a process may still grow; runs "
                   "shorter than this and two minutes more judge only "
                   "descriptors (default 180)")
    p.add_argument("--json", metavar="FILE", help="all samples")
    p.add_argument("--report", metavar="FILE", help="the table, as Markdown")
    o = p.parse_args(argv)
    if o.cycle is None:
        o.cycle = min(150, max(30, o.minutes * 60 / 12))
    return o


def write(path, text):
    if path:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text + "\n")


def soak(o):
    """(verdicts, world) of one run."""
    world = World(o)
    try:
        world.start()
        world.run()
        world.finish()
    except Exception:
        world.fault(traceback.format_exc() + world.server.log_tail(30))
    finally:
        world.abandon()
    verdicts = world.verdicts() if hasattr(world, "idle_counts") else []
    return verdicts, world


def main(argv):
    # Where is everybody?
    faulthandler.register(signal.SIGUSR1)
    o = options(argv)
    if not BIN:
        print("CHATAPI_BIN must name the program to test", file=sys.stderr)
        return 2
    verdicts, world = soak(o)
    write(o.json, report.raw(world, verdicts))
    text = report.text(world, verdicts)
    write(o.report, text)
    print(text)
    failed = world.faults or not all(v.good for v in verdicts)
    keep = os.environ.get("CHATAPI_E2E_LOGS")
    if failed and keep:
        os.makedirs(keep, exist_ok=True)
        shutil.copy(world.server.log_path, os.path.join(keep, "soak.log"))
    if failed:
        print(f"FAILED; the server's files are in {world.server.dir}")
        return 1
    world.server.remove()
    return 0
