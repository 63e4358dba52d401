# SPDX-License-Identifier: MIT
"""Processes that die, and the ones that follow them.

The master starts children again; a dead master, or group of all, is
started again here, as an init system would.  Everything else that ends is
a fault of the server's.
"""
import asyncio
import os
import signal

from harness import DEADLINE

from . import acts
from .plan import Action


class Faults:
    def __init__(self, world):
        self.world = world
        self.server = world.server
        self.killed = []        # (tick, slot; None for all)
        self.expected = {}      # name -> pid, when nothing goes on
        self.done = 0

    def note(self, slot, text):
        self.killed.append((self.world.report.note("fault: " + text), slot))

    def excuse(self, slot, since):
        """A connection to that worker, open since then, may have ended."""
        return any(tick >= since and (slot is None or s in (slot, None))
                   for tick, s in self.killed)

    async def run(self, fault):
        self.done += 1
        self.world.count("faults")
        await getattr(self, "_" + fault.kind)(fault)
        await self.settled()

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
            if now:
                break
            self.world.report.expect(
                asyncio.get_running_loop().time() < end,
                "the processes did not come back\n"
                + self.server.log_tail(30))
            await asyncio.sleep(0.01)
        self.expected = now

    def check(self):
        """Nothing has ended that was not killed here."""
        self.world.report.expect(
            self.server.running() and
            self.server.children() == self.expected,
            lambda: f"processes are {self.server.children()}, were "
            f"{self.expected}\n" + self.server.log_tail(30))

    async def _surge(self, x):
        """So that it dies with something under way: every device sends,
        and some milliseconds go by."""
        for i, dev in enumerate(self.world.devices):
            if dev.online() and dev.busy < acts.MAY_FLY:
                share = (x * 7 + i * 0.37) % 1
                self.world.spawn(dev, acts.act_send(dev, Action(
                    "send", share, share, x, 0)))
                if i % 3 == 0:
                    self.world.spawn(dev, acts.act_edit(dev, Action(
                        "edit", share, x, share, 0)))
        await asyncio.sleep(0.06 * x * x)

    def _kill(self, role, slot=None, sig=signal.SIGKILL):
        name = role if slot is None else f"{role} {slot}"
        pid = self.server.children().get(name)
        if pid is not None:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass
        return pid

    async def _worker(self, fault):
        self.note(fault.slot, f"kill worker {fault.slot}")
        self._kill("worker", fault.slot)

    async def _writer(self, fault):
        await self._surge(fault.x)
        self.note(-1, "kill writer")
        self._kill("writer")

    async def _writer_twice(self, fault):
        self.note(-1, "kill writer, twice")
        self._kill("writer")
        await asyncio.sleep(0.6 * fault.x)
        self._kill("writer")

    async def _both(self, fault):
        await self._surge(fault.x)
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
        pid = self._kill("worker", fault.slot, signal.SIGSTOP)
        ops = []
        for i in range(850):
            dev = senders[i % len(senders)]
            ops.append(asyncio.ensure_future(self.world.guard(
                acts.settle(dev, acts.new_send(
                    dev, room, 0.5, size=15000), True))))
            if i % 32 == 31:
                await asyncio.wait(ops[-32:], timeout=0.5)
        await asyncio.wait(ops, timeout=2)
        if pid is not None:
            self._kill("worker", fault.slot, signal.SIGCONT)
        await asyncio.wait(ops)

    async def _master(self, fault):
        self.note(None, "kill master")
        self.server.children()
        self.server.process.kill()
        await self._start_again()

    async def _group(self, fault):
        await self._surge(fault.x)
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
