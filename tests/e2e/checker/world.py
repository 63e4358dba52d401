# SPDX-License-Identifier: MIT
"""Tenants, users, devices and rooms, and the rounds in which they live:
some seconds of traffic with faults in it, then a calm in which everything
is compared with the log."""
import asyncio
import collections
import os
import time

import control
from chat import Chat
from client import Tenant as Api
from harness import DEADLINE, Server

from . import actor, plan
from .audit import Audit
from .device import Device
from .faults import Faults
from .hooks import ENV, Hooks
from .notes import Herald, Notes
from .report import Report, Violation
from .stewards import Steward
from .truth import Truth

ROUND = 3.0         # seconds of traffic


class Tenant:
    def __init__(self, server, tenant_plan):
        self.plan = tenant_plan
        self.users = tenant_plan.users
        self.api = Api(server, tenant_plan.name)
        self.rooms = []
        self.steward = None


class World:
    def __init__(self, options):
        self.options = options
        self.seed = options.seed
        self.slow = options.slow
        self.limit = 2 * DEADLINE
        self.server = Server(workers=options.workers, env=ENV)
        self.port = self.server.port
        self.report = Report(os.path.join(self.server.dir, "checker.log"))
        self.report.on_failure = self._failed
        self.journal = self.report.note
        self.truth = Truth(self.report)
        self.faults = Faults(self)
        self.audit = Audit(self)
        self.counts = collections.Counter()
        self.tenants = []
        self.devices = []
        self.stewards = []
        self.heralds = []
        self.notes = Notes(self)
        self.hooks = Hooks(self)
        self.ops = set()
        self.traffic = False
        self.traffic_done = 0.0     # seconds of traffic in earlier rounds
        self.traffic_began = 0.0
        self.stopped = asyncio.Event()
        self.failed = asyncio.Event()

    def _failed(self):
        self.traffic = False
        self.stopped.set()
        self.failed.set()

    # ---- for the actors ----

    def count(self, what):
        self.counts[what] += 1

    def traffic_time(self):
        """The clock of the rounds: stands still in a calm."""
        now = time.monotonic() - self.traffic_began if self.traffic else 0
        return self.traffic_done + now

    async def sleep(self, seconds):
        """Ends early when the round does."""
        try:
            await asyncio.wait_for(self.stopped.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    def spawn(self, actor, coro):
        """An operation that goes on beside its actor."""
        actor.busy += 1
        task = asyncio.ensure_future(self.guard(coro))
        self.ops.add(task)

        def done(_):
            actor.busy -= 1
            self.ops.discard(task)
        task.add_done_callback(done)

    async def guard(self, coro):
        try:
            await coro
        except Violation:
            pass
        except asyncio.CancelledError:
            raise
        except Exception as e:
            try:
                self.report.fail(f"{e!r} in the checker")
            except Violation:
                pass
            raise

    def away_since(self, user):
        """When the last connection of a user without one ended."""
        return max((d.hung_up for d in self.devices if d.user == user),
                   default=0.0)

    def judge_close(self, conn):
        """The server ended a connection: who killed that worker?"""
        conn.expect(
            conn.aborted or self.faults.excuse(conn.slot, conn.opened),
            lambda: f"closed with {conn.ws.close_code} "
            f"{conn.ws.close_reason!r}; nobody had killed its worker")

    # ---- the beginning ----

    async def start(self):
        await asyncio.to_thread(self.server.start)
        await self.faults.settled()
        without = self.options.without
        pace = 4 if self.slow else 1
        for tenant_plan in plan.tenants(self.seed):
            tenant = Tenant(self.server, tenant_plan)
            self.tenants.append(tenant)
            steward = Steward(self, tenant, plan.Script(
                self.seed, f"steward/{tenant_plan.name}", plan.STEWARD,
                plan.STEWARD_PAUSE * pace, without))
            if tenant_plan.hook:
                await asyncio.to_thread(self.hooks.serve, tenant)
            self.heralds.append(Herald(self, tenant, plan.Script(
                self.seed, f"herald/{tenant_plan.name}", plan.HERALD,
                plan.HERALD_PAUSE * pace, without)))
            tenant.steward = steward
            self.stewards.append(steward)
            for room in tenant_plan.rooms:
                await steward.new_room(room)
            for user in tenant_plan.people:
                for name, slow in plan.devices_of(self.seed, user):
                    self.devices.append(Device(
                        self, tenant, user, name, slow, plan.Script(
                            self.seed, f"device/{name}", plan.DEVICE,
                            plan.DEVICE_PAUSE * pace, without)))

    # ---- rounds ----

    async def round(self, number):
        self.journal(f"round {number}")
        self.stopped.clear()
        self.traffic = True
        self.traffic_began = time.monotonic()
        actors = [asyncio.ensure_future(self.guard(actor.run(d)))
                  for d in self.devices]
        actors += [asyncio.ensure_future(self.guard(s.run()))
                   for s in self.stewards + self.heralds]
        faults = self.faults.plan.of_round(number)
        await self.guard(self._faults(f for f in faults if not f.last))
        await self.sleep(self.traffic_began + ROUND - time.monotonic())
        self.traffic_done = self.traffic_time()
        self.traffic = False
        self.stopped.set()
        await self.gathered(actors)
        await self.calm()
        for fault in faults:
            if fault.last:
                await self.guard(self.faults.run(fault))
                await self.calm()
        await self.retention(number)

    async def _faults(self, faults):
        for fault in faults:
            at = self.traffic_began + fault.at * ROUND
            await self.sleep(at - time.monotonic())
            if self.failed.is_set():
                return
            await self.faults.run(fault)

    async def gathered(self, tasks):
        """Waits for them, or for a failure."""
        tasks = set(tasks)
        failed = asyncio.ensure_future(self.failed.wait())
        end = time.monotonic() + self.limit + DEADLINE
        while tasks and not self.failed.is_set():
            await asyncio.wait(
                tasks | {failed}, timeout=1,
                return_when=asyncio.FIRST_COMPLETED)
            tasks = {t for t in tasks if not t.done()}
            if time.monotonic() > end:
                self.report.fail(f"{len(tasks)} actions did not end")
        failed.cancel()
        if self.failed.is_set():
            raise Violation(self.report.failure)

    async def calm(self, last=False):
        """Traffic has stopped; all is answered, connected and compared."""
        began = time.monotonic()
        self.journal("calm")
        while self.ops:
            await self.gathered(self.ops)
        await self.faults.settled()
        for dev in self.devices:
            if dev.conn is not None:
                dev.conn.flowing.set()
        here = [d for d in self.devices
                if last or d.away_until <= self.traffic_time()]
        await self.gathered([asyncio.ensure_future(
            self.guard(self.connected(d))) for d in here])
        await self.audit.compare(here)
        self.faults.check()
        self.server.check_log()
        self.journal(f"calm took {time.monotonic() - began:.2f} s")

    async def retention(self, number):
        """Between two rounds a room may lose its beginning."""
        at = plan.trim_of_round(self.seed, number)
        rooms = [r for t in self.tenants for r in t.rooms
                 if r.alive() and r.head > 20]
        if at is None or not rooms or "trim" in self.options.without:
            return
        room = rooms[int(at[0] * len(rooms))]
        room.first = max(room.first, int(at[1] * room.head))
        self.journal(f"trim {room} below {room.first}")
        outcome, first = await asyncio.to_thread(
            control.trim, self.server, room.id, room.first)
        self.report.expect(
            outcome in (control.OK, control.REPEATED) and
            first == room.first,
            lambda: f"trim of {room} to {room.first}: {outcome}, {first}")
        self.count("rooms trimmed")

    async def connected(self, dev):
        """Until it is connected and synced."""
        end = time.monotonic() + self.limit
        while True:
            if await dev.ensure():
                await asyncio.wait({dev.conn.sync_done},
                                   timeout=end - time.monotonic())
                if dev.conn.synced and not dev.conn.reader.done():
                    return
            self.report.expect(
                time.monotonic() < end,
                f"{dev.name} did not reach sync.complete", dev.conn)
            await asyncio.sleep(0.05)

    async def again(self):
        """Everybody comes back once more, to find nothing new."""
        for dev in self.devices:
            await dev.hang_up()
        await self.calm(last=True)

    async def run(self):
        await self.start()
        end = time.monotonic() + self.options.seconds
        number = 0
        while number < 2 or time.monotonic() < end:
            await self.round(number)
            number += 1
        self.counts["rounds"] = number
        await self.calm(last=True)
        await self.again()
        await self.audit.by_rest()
        await self.audit.webhooks()
        await self.close()
        await asyncio.to_thread(self.server.stop)
        self.audit.database()

    async def close(self):
        for dev in self.devices:
            if dev.conn is not None:
                dev.conn.abort()
        for dev in self.devices:
            if dev.conn is not None:
                await asyncio.wait({dev.conn.reader})

    async def abandon(self):
        """After a failure: ends every task."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for dev in self.devices:
            if dev.conn is not None:
                dev.conn.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        Chat.alive.clear()
