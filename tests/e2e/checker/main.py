# SPDX-License-Identifier: MIT
"""Runs the checker: for the command line and for pytest."""
import argparse
import asyncio
import logging
import os
import random
import shutil
import sys
import traceback

from harness import BIN, SLOW

from .plan import CONNECT, DEVICE, FAULTS, HERALD, STEWARD
from .report import Violation
from .world import World


def options(argv):
    p = argparse.ArgumentParser(
        prog="tests/e2e/check",
        description="Random clients against a real server whose processes "
        "are killed; then everything is compared with the log.")
    p.add_argument("--seed", help="what happens (default: a random one)")
    p.add_argument("--seconds", type=float, default=None,
                   help="of the run, at least two rounds (default 60)")
    p.add_argument("--minutes", type=float, default=None)
    p.add_argument("--workers", type=int, default=3)
    p.add_argument("--slow", action="store_true", default=SLOW,
                   help="less traffic, for builds that are slow")
    p.add_argument("--without", default="",
                   help="kinds of actions, faults and frames to leave out, "
                   "with commas: " + ", ".join(sorted(
                       {*DEVICE, *STEWARD, *HERALD, *FAULTS, *CONNECT,
                        "presence", "trim"})))
    p.add_argument("--keep", default=os.environ.get("CHATAPI_E2E_LOGS"),
                   help="where to keep the journal, log and database of a "
                   "run that failed (default: where they were made)")
    o = p.parse_args(argv)
    o.without = frozenset(filter(None, o.without.split(",")))
    if o.seed is None:
        o.seed = str(random.SystemRandom().randrange(10 ** 8))
    if o.seconds is None:
        o.seconds = 60 * o.minutes if o.minutes is not None else 60
    return o


def replay(o):
    """The command line that makes the same run."""
    out = f"tests/e2e/check --seed {o.seed} --seconds {o.seconds:g} " \
        f"--workers {o.workers}"
    if o.slow:
        out += " --slow"
    if o.without:
        out += " --without " + ",".join(sorted(o.without))
    return out


async def _run(world):
    """None, or what went wrong."""
    try:
        await world.run()
        return None
    except Violation:
        return world.report.failure
    except Exception:
        return world.report.failure or traceback.format_exc()
    finally:
        await world.abandon()


def _keep(o, world):
    """Puts what a failed run left where it stays; returns the place."""
    where = world.server.dir
    if o.keep:
        where = os.path.join(o.keep, f"checker-{o.seed}")
        shutil.rmtree(where, ignore_errors=True)
        shutil.copytree(world.server.dir, where, ignore=lambda d, names: [
            n for n in names if n.endswith("-ctl")])
        world.server.remove()
    return where


def check(o):
    """One run; returns (what went wrong or None, what was done)."""
    # asyncio's remark on each write to a connection that has just ended.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    world = World(o)
    try:
        failure = asyncio.run(_run(world))
    finally:
        world.server.destroy()
        world.hooks.close()
        world.report.close()
    done = ", ".join(f"{v} {k}" for k, v in sorted(world.counts.items()))
    if failure is None:
        world.server.remove()
        return None, done
    return (f"seed {o.seed}: {failure}\n"
            f"server log:\n{world.server.log_tail(30)}\n"
            f"done: {done}\n"
            f"kept: {_keep(o, world)}\n"
            f"again: {replay(o)}\n"
            "(the same actions and faults; their timing may differ)"), done


def main(argv):
    o = options(argv)
    if not BIN:
        print("CHATAPI_BIN must name the program to test", file=sys.stderr)
        return 2
    print(f"seed {o.seed}: {replay(o)}", flush=True)
    failure, done = check(o)
    if failure is not None:
        print("FAILED, " + failure)
        return 1
    print("passed: " + done)
    return 0
