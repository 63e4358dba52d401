# SPDX-License-Identifier: MIT
"""Processes that die, and the ones that follow them.

The master starts children again; a dead master, or group of all, is
started again here, as an init system would.  Everything else that ends is
a fault of the server's.
"""
import asyncio
import math
import os
import signal
import time

from harness import DEADLINE

from . import acts
from .plan import Action
from .plan import Faults as Plan
from .web import Lost

POUR = 3.5          # seconds that a flood takes at most


class Faults:
    def __init__(self, world):
        self.world = world
        self.server = world.server
        self.killed = []        # [tick, slot (None: all), tick of its end]
        self.times = []         # (when, slot, the courier too), by the clock
        self.expected = {}      # name -> pid, when nothing goes on
        self.dying = set()      # pids killed, perhaps not dead yet
        self.plan = Plan(world.seed, world.options.workers,
                         world.options.without)

    def note(self, slot, text, courier=False):
        """slot: of the worker whose connections end; -1 for none."""
        tick = self.world.report.note("fault: " + text)
        self.killed.append([tick, slot, math.inf])
        self.times.append((time.monotonic(), slot,
                           courier or slot is None))

    def excuse(self, slot, since):
        """A connection to that worker (None: to any), open since then,
        may have ended."""
        return any(end >= since and s != -1 and
                   (slot is None or s in (slot, None))
                   for _, s, end in self.killed)

    async def run(self, fault):
        self.world.count("faults")
        if fault.last:
            await self.surge(fault.x)
        await getattr(self, "_" + fault.kind)(fault)
        await self.settled()
        for entry in self.killed:
            entry[2] = min(entry[2], self.world.report.step())

    async def settled(self):
        """All processes are there, and are remembered."""
        def whole():
            try:
                return self.server.whole()
            except AttributeError:      # between two masters
                return None
        end = asyncio.get_running_loop().time() + 2 * DEADLINE
        while True:
            now = await asyncio.to_thread(whole)
            if now and not self.dying & set(now.values()):
                break
            self.world.report.expect(
                asyncio.get_running_loop().time() < end,
                "the processes did not come back\n"
                + self.server.log_tail(30))
            await asyncio.sleep(0.01)
        self.expected = now
        self.dying.clear()

    def check(self):
        """Nothing has ended that was not killed here."""
        self.world.report.expect(
            self.server.running() and
            self.server.children() == self.expected,
            lambda: self.processes() + "\n" + self.server.log_tail(30))

    def processes(self):
        return f"processes are {self.server.children()}, were " \
            f"{self.expected}"

    def _all_send(self, x, part=0, parts=1):
        """Devices send something, a share of them also edits."""
        for i, dev in enumerate(self.world.devices):
            if i % parts != part or not dev.online() or \
                    dev.busy >= acts.MAY_FLY:
                continue
            share = (x * 7 + i * 0.37) % 1
            self.world.spawn(dev, acts.act_send(dev, Action(
                "send", share, share, x, 0)))
            if i % 3 == 0:
                self.world.spawn(dev, acts.act_edit(dev, Action(
                    "edit", share, x, share, 0)))

    async def surge(self, x):
        """So that it dies with much under way: for some milliseconds
        everybody sends."""
        end = time.monotonic() + 0.004 + 0.03 * x
        n = 0
        while time.monotonic() < end:
            n += 1
            self._all_send((x * n) % 1)
            await asyncio.sleep(0.001)

    def _kill(self, role, slot=None, sig=signal.SIGKILL):
        name = role if slot is None else f"{role} {slot}"
        pid = self.server.children().get(name)
        if pid is not None:
            try:
                os.kill(pid, sig)
                if sig == signal.SIGKILL:
                    self.dying.add(pid)
            except ProcessLookupError:
                pass
        return pid

    async def _worker(self, fault):
        self.note(fault.slot, f"kill worker {fault.slot}")
        self._kill("worker", fault.slot)

    async def _writer(self, fault):
        await self.surge(fault.x)
        self.note(-1, "kill writer")
        self._kill("writer")

    async def _writer_twice(self, fault):
        self.note(-1, "kill writer, twice")
        self._kill("writer")
        await asyncio.sleep(0.6 * fault.x)
        self._kill("writer")

    async def _courier(self, fault):
        """Nobody is to notice."""
        self.note(-1, "kill courier", courier=True)
        self._kill("courier")

    async def _both(self, fault):
        await self.surge(fault.x)
        self.note(fault.slot, f"kill writer and worker {fault.slot}")
        self._kill("writer")
        self._kill("worker", fault.slot)

    async def _pause_worker(self, fault):
        """It stands still, so others are ahead of it."""
        self.note(-1, f"pause worker {fault.slot}")
        pid = self._kill("worker", fault.slot, signal.SIGSTOP)
        await asyncio.sleep(0.3 + 2 * fault.x)
        if pid is not None:
            self._kill("worker", fault.slot, signal.SIGCONT)

    def _flooded(self, slot):
        """The smallest room with somebody on that worker, and its members
        on other ones."""
        for room in sorted((r for t in self.world.tenants for r in t.rooms
                            if r.alive()),
                           key=lambda r: len(r.members())):
            inside = [d for d in self.world.devices if d.online() and
                      room.pair(d.user).state == "in"]
            others = [d for d in inside if d.conn.slot != slot]
            if others and len(others) < len(inside):
                return room, others
        return None, None

    async def _flood(self, fault):
        """It stands still while more is announced than any queue to it
        holds, so it is told that events were lost."""
        room, senders = self._flooded(fault.slot)
        if room is None or self.world.slow:
            return
        self.note(-1, f"flood {room}, worker {fault.slot} stands still")
        # After 10 s without a sign of life, of which the last may be 2.5 s
        # old, the master would kill it; and we may be late.
        end = time.monotonic() + POUR + 0.5
        pid = self._kill("worker", fault.slot, signal.SIGSTOP)
        ops = await self._pour(room, senders, 850)
        await asyncio.wait(ops, timeout=max(0, end - time.monotonic()))
        if pid is not None:
            self._kill("worker", fault.slot, signal.SIGCONT)
        await asyncio.wait(ops)

    async def _pour(self, room, senders, count, patience=0.5):
        """Large messages; returns the tasks, of which some may go on.
        It must not take long: one that stands still for 10 s is killed by
        the master."""
        ops, end = [], time.monotonic() + POUR
        for i in range(count):
            dev = senders[i % len(senders)]
            ops.append(asyncio.ensure_future(self.world.guard(
                acts.settle(dev, acts.new_send(
                    dev, room, 0.5, size=15000), True))))
            if i % 32 == 31:
                await asyncio.wait(ops[-32:], timeout=patience)
                if time.monotonic() > end:
                    break
        return ops

    async def _unheard(self, fault):
        """While the master stands still more is committed and answered
        than the writer's socket to it holds; then the writer dies, and
        what it had not handed over is announced by nobody."""
        room, senders = self._flooded(fault.slot)
        if room is None:
            return
        self.note(-1, f"master stands still, {room} is flooded, the writer "
                  "dies")
        self.server.process.send_signal(signal.SIGSTOP)
        try:
            await self._removed(fault)
            ops = await self._pour(room, senders,
                                   60 if self.world.slow else 250)
            await self.surge(fault.x)
            for steward in self.world.stewards:
                for kind, x in (("bounce", 0.1), ("remove", 0.4),
                                ("add", 0.6), ("patch", 0.8)):
                    self.world.spawn(steward, getattr(
                        steward, "act_" + kind)(Action(
                            kind, (x + fault.x) % 1, x, fault.x, 0)))
            await asyncio.wait(ops, timeout=3)
            await asyncio.sleep(0.3 * fault.x)
            self._kill("writer")
        finally:
            self.server.process.send_signal(signal.SIGCONT)
        await asyncio.wait(ops)

    async def _backlog(self, fault):
        """The writer dies some milliseconds into work that waited for it,
        so perhaps between its commit and its answers; more than once."""
        for i in range(1 if self.world.slow else 3):
            await self._die_over_backlog(fault, (fault.x + i * 0.37) % 1)
            await self.settled()
            # Sooner it would be started again with a delay.
            await asyncio.sleep(0.6)

    async def _die_over_backlog(self, fault, x):
        room, senders = self._flooded(fault.slot)
        if room is None:
            return
        self.note(-1, f"the writer dies over a backlog in {room}")
        self._kill("writer", sig=signal.SIGSTOP)
        try:
            ops = await self._pour(room, senders,
                                   30 if self.world.slow else 150, 0.02)
            self._all_send(x)
            await asyncio.sleep(0.15)
        finally:
            self._kill("writer", sig=signal.SIGCONT)
        # Not by the loop's clock, which is busy with the answers.
        time.sleep((0.06 if self.world.slow else 0.02) * x)
        self._kill("writer")
        await asyncio.wait(ops)

    async def _removed(self, fault):
        """Somebody is removed, which his worker cannot have heard, and
        asks for what came before; what comes after is not for him."""
        for dev in self.world.devices:
            room = acts.room_at(dev, fault.x, lambda r: r.type != "dm" and
                                len(r.members()) > 3)
            others = [d for d in self.world.devices if d.online() and
                      room is not None and d.user != dev.user and
                      room.pair(d.user).state == "in"]
            if dev.online() and others and not dev.slow:
                break
        else:
            return
        await dev.tenant.steward.member(room, dev.user, False)
        for _ in range(3):
            await acts.settle(others[0], acts.new_send(
                others[0], room, fault.x), True)
        after = max(0, dev.cur.get(room.id, 0) - 3)
        self.world.spawn(dev, self._subscribe(dev, room, after))

    @staticmethod
    async def _subscribe(dev, room, after):
        try:
            if dev.online():
                await dev.subscribe(room, after, True)
        except Lost:
            pass

    async def _rush(self, fault):
        """The clients of a dead worker come back all at once, while the
        others go on and the master stumbles."""
        self.note(fault.slot, f"kill worker {fault.slot}, and rush")
        pid = self._kill("worker", fault.slot)
        await asyncio.to_thread(self.server.wait_respawn, "worker",
                                fault.slot, pid)
        for dev in self.world.devices:
            if dev.conn is None or dev.conn.reader.done():
                self.world.spawn(dev, self._come_back(dev))
        for i in range(4):
            await asyncio.sleep(0.002 + 0.01 * ((fault.x * (i + 3)) % 1))
            self.server.process.send_signal(signal.SIGSTOP)
            self._all_send(fault.x, i, 4)
            await asyncio.sleep(0.02)
            self.server.process.send_signal(signal.SIGCONT)

    async def _come_back(self, dev):
        if dev.away_until <= self.world.traffic_time():
            await dev.ensure()

    async def _master(self, fault):
        self.note(None, "kill master")
        self.server.children()
        self.server.process.kill()
        await self._start_again()

    async def _group(self, fault):
        await self.surge(fault.x)
        self.note(None, "kill all")
        children = self.server.children()
        self.server.process.kill()
        for pid in children.values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        await self._start_again()

    async def _restart(self, fault):
        self.note(None, "SIGTERM and start")
        open_ = [d.conn for d in self.world.devices
                 if d.online() and d.conn.synced]
        await asyncio.to_thread(self.server.stop)
        for conn in open_:
            await asyncio.wait({conn.reader}, timeout=DEADLINE)
            self.world.report.expect(
                conn.shutdown or not conn.flowing.is_set() or
                conn.aborted,
                lambda: f"{conn} ended with {conn.ws.close_code} and "
                "without server.shutdown")
        await asyncio.to_thread(self.server.start)

    async def _start_again(self):
        await asyncio.to_thread(self.server.process.wait)
        await asyncio.to_thread(self.server.start)
