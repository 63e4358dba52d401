# SPDX-License-Identifier: MIT
"""A client that keeps its state over its connections.

It has, for each room, the seq and rev up to which it knows everything, and
the messages themselves.  What it cannot know to be current (it came back
without saying its rev) it throws away, as a real client would read it again.
"""
import asyncio
import collections
import socket
import time

import websockets.exceptions

from harness import DEADLINE

from .conn import Conn, Reset
from .web import Lost

Before = collections.namedtuple("Before", "tick heads floors")
Held = collections.namedtuple("Held", "content rev meta sender")

CANNOT_CONNECT = (OSError, asyncio.TimeoutError, EOFError,
                  websockets.exceptions.WebSocketException)


class Device:
    def __init__(self, world, tenant, user, name, slow, script):
        self.world = world
        self.tenant = tenant
        self.user = user
        self.name = name
        self.slow = slow            # reads through a small window
        self.script = script
        self.conn = None
        self.epoch = None
        self.cur = {}               # room_id -> seq
        self.rev = {}               # room_id -> rev
        self.held = collections.defaultdict(dict)
        self.lock = asyncio.Lock()  # of connecting
        self.away_until = 0.0       # of the rounds' clock
        self.numbers = 0
        self.busy = 0               # operations under way
        self.connects = 0
        self.hung_up = 0.0          # when the last connection ended

    def tenant_rooms(self):
        return [r for r in self.tenant.rooms if r.id is not None]

    def headers(self):
        return self.tenant.api.headers(self.user)

    # ---- connections ----

    def online(self):
        return self.conn is not None and self.conn.usable()

    async def ensure(self):
        """Connects, if it is not; True when it is."""
        async with self.lock:
            if self.conn is not None:
                if not self.conn.reader.done():
                    return True
                await self._hang_up()
            mode, x = self.script.connect()
            return await self._connect(mode, x)

    async def hang_up(self):
        """Ends the connection without a word.  What had come before is
        still read, and judged."""
        async with self.lock:
            await self._hang_up()

    async def _hang_up(self):
        conn, self.conn = self.conn, None
        if conn is None:
            return
        if conn.reader.done():
            self.world.judge_close(conn)
        conn.abort()
        await asyncio.wait({conn.reader})
        self.hung_up = time.monotonic()

    def before(self):
        rooms = self.tenant_rooms()
        return Before(self.world.report.step(),
                      {r.id: r.head for r in rooms},
                      {r.id: r.pair(self.user).lo for r in rooms})

    async def _connect(self, mode, x):
        options = {}
        before = self.before()
        plan = self._plan(mode, x)
        try:
            if self.slow:
                options = {"sock": self._narrow(), "max_queue": 4,
                           "read_limit": 4096}
            conn = await Conn.open(
                self.tenant.api, self.user, on_frame=None,
                path="/ws" if mode == "plain" else "/ws?resume=1",
                **options)
        except CANNOT_CONNECT as e:
            self.world.journal(f"{self.name} cannot connect: {e!r}")
            return False
        self.connects += 1
        cursors = plan["cursors"] if plan else {}
        conn.begin(self, mode, cursors, before)
        conn.may_resync = plan is not None and plan["resync"]
        self.conn = conn
        self.world.journal(
            f"{self.name} connects: {mode} {x:.3f} {cursors}")
        for room_id in list(self.held):
            if "rev" not in cursors.get(room_id, {}):
                self._forget(room_id)
        try:
            if plan:
                await self._resume(conn, plan)
        except Lost:
            return False
        return True

    def _narrow(self):
        s = socket.socket()
        try:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.settimeout(DEADLINE)
            s.connect(("127.0.0.1", self.tenant.api.server.port))
        except OSError:
            s.close()
            raise
        return s

    def _plan(self, mode, x):
        """The resume to send; None on a plain connection."""
        if mode == "plain":
            return None
        plan = {"resync": False, "bad_first": False, "twice": False,
                "epoch": None, "cursors": {}, "more": {}}
        for i, room_id in enumerate(sorted(self.cur)):
            if mode == "resume_some" and (int(x * 16) >> (i % 4)) & 1:
                continue
            cursor = {"seq": self.cur[room_id]}
            if mode != "resume_norev" and room_id in self.rev:
                cursor["rev"] = self.rev[room_id]
            plan["cursors"][room_id] = cursor
        if mode == "resume_odd":
            self._odd(plan, x)
        return plan

    def _odd(self, plan, x):
        """What is ignored, refused or corrected."""
        others = [r.id for t in self.world.tenants if t is not self.tenant
                  for r in t.rooms if r.id is not None]
        plan["more"] = {"room_" + "0" * 26: {"seq": 3}, others[0]: {
            "seq": 1, "rev": 1}}
        if x < 0.25:
            plan["epoch"], plan["resync"] = "another", True
        elif x < 0.5 and plan["cursors"]:
            room_id = min(plan["cursors"])
            # Counts as the head, so nothing before it is known.
            plan["cursors"][room_id] = {
                "seq": plan["cursors"][room_id]["seq"] + 100000}
        elif x < 0.75:
            plan["bad_first"] = True
        else:
            plan["twice"] = True

    async def _resume(self, conn, plan):
        await self._welcomed(conn)
        if plan["bad_first"]:
            answer = await conn.request("resume", epoch=self.epoch,
                                        cursors={"room_x": {"seq": -1}})
            self._refused(conn, answer)
        frame = {"type": "resume", "epoch": plan["epoch"] or self.epoch,
                 "cursors": {**plan["cursors"], **plan["more"]}}
        request_id, _ = conn.promise()
        conn.resume_id = request_id
        await conn.push({**frame, "request_id": request_id})
        if plan["twice"]:
            self._refused(conn, await conn.request("resume", **{
                k: v for k, v in frame.items() if k != "type"}))

    def _refused(self, conn, answer):
        conn.expect(answer["type"] == "error" and
                    answer["code"] == "invalid_request",
                    lambda: f"a wrong resume was answered with {answer}")

    async def _welcomed(self, conn):
        end = time.monotonic() + self.world.limit
        while conn.welcome is None:
            if conn.reader.done():
                raise Lost(False, "closed")
            conn.expect(time.monotonic() < end, "no welcome came")
            await asyncio.sleep(0.002)

    # ---- what the frames tell ----

    def _forget(self, room_id):
        self.held.pop(room_id, None)
        self.rev.pop(room_id, None)

    def on_welcome(self, conn, frame):
        conn.expect(self.epoch in (None, frame["epoch"]),
                    lambda: f"the epoch was {self.epoch}, and is "
                    f"{frame['epoch']}")
        self.epoch = frame["epoch"]

    def on_resync(self, conn):
        for room_id in list(self.held) + list(self.rev):
            self._forget(room_id)

    def on_message(self, room, frame):
        self.cur[room.id] = frame["seq"]
        self.held[room.id][frame["seq"]] = Held(
            frame.get("content"), frame.get("rev", 0), frame.get("meta"),
            frame["sender_id"])

    def on_change(self, room, frame):
        """Ignored if it is not above what is held, and where nothing is."""
        held = self.held[room.id].get(frame["seq"])
        if held is not None and frame["rev"] > held.rev:
            content = frame.get("content")
            self.held[room.id][frame["seq"]] = held._replace(
                content=content, rev=frame["rev"],
                meta=held.meta if content is not None else None)
        # A rev is a position only where an earlier one is known.
        if room.id in self.rev:
            self.rev[room.id] = max(self.rev[room.id], frame["rev"])

    def on_position(self, room, seq):
        self.cur[room.id] = seq

    def on_rev(self, room, rev):
        self.rev[room.id] = rev

    def on_joined(self, room):
        self._forget(room.id)
        self.cur.pop(room.id, None)

    def on_gone(self, room):
        self.on_joined(room)

    def on_synced(self, conn):
        self.world.journal(f"{self.name} is synced")

    # ---- subscribe ----

    async def subscribe(self, room, after, with_rev):
        """Sets the position in a room; after None: goes on."""
        conn = self.conn
        feed = conn.feeds.get(room.id) if conn is not None else None
        if feed is None or feed.state != "in" or not conn.synced:
            return
        request_id, future = conn.promise()
        frame = {"type": "subscribe", "room_id": room.id,
                 "request_id": request_id}
        rev = self.rev.get(room.id) if with_rev else None
        if after is not None:
            frame["after_seq"] = after
        if rev is not None:
            frame["rev"] = rev
        elif after is not None:
            self.held.pop(room.id, None)
        reset = Reset(request_id, after, rev, room.head, feed.pos)
        feed.resets.append(reset)
        self.world.journal(f"{self.name} {frame}")
        await conn.push(frame)
        answer = await asyncio.wait_for(future, self.world.limit)
        if answer["type"] == "error":
            conn.expect(
                answer["code"] in ("forbidden", "not_found") and
                not room.pair(self.user).sure("in", conn.opened),
                lambda: f"subscribe was answered with {answer}")
            now = conn.feeds.get(room.id)
            if now is not None and reset in now.resets:
                now.resets.remove(reset)
