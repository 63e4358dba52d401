# SPDX-License-Identifier: MIT
"""A user's WebSocket, on the websockets library.

A Chat reads everything at once and sorts it by type; wait() takes the first
frame of a type that nobody has taken, when it comes.  log holds all frames
in their order, for what must not have come.
"""
import asyncio
import collections
import itertools
import json

import websockets
import websockets.exceptions

import contract
from harness import DEADLINE

REQUEST = itertools.count(1)


class Chat:
    alive = set()

    def __init__(self, ws, slot):
        self.ws = ws
        self.log = []
        self.seen = contract.Seen()
        self.free = collections.defaultdict(collections.deque)
        self.waiters = []
        self.slot = slot
        self.welcome = None
        self.on_frame = None
        self.reader = asyncio.ensure_future(self._read())
        Chat.alive.add(self)

    @classmethod
    async def connect(cls, tenant, user, slot=None, path="/ws",
                      on_frame=None, **options):
        """Opens a connection and waits for its welcome.  tls is a client's
        context, for the TLS port."""
        self = await cls.open(tenant, user, slot, path, on_frame, **options)
        self.welcome = await self.wait("welcome")
        assert self.log[0]["type"] == "welcome", self.log[0]
        got = int(self.welcome["session_id"].partition("-")[0])
        assert slot is None or got == slot, self.welcome
        self.slot = got
        return self

    @classmethod
    async def open(cls, tenant, user, slot=None, path="/ws", on_frame=None,
                   tls=None, **options):
        server = tenant.server
        settings = {"compression": None, "ping_interval": None,
                    "max_size": 1 << 20, "max_queue": 1024,
                    "open_timeout": DEADLINE, "close_timeout": DEADLINE}
        settings.update(options)
        if slot is not None:
            settings["sock"] = server.connect(slot)
        url = f"ws://127.0.0.1:{server.port}{path}"
        if tls is not None:
            url = f"wss://127.0.0.1:{server.tls_port}{path}"
            settings["ssl"] = tls
        ws = await websockets.connect(
            url,
            extra_headers=tenant.headers(user), **settings)
        self = cls(ws, slot)
        self.on_frame = on_frame
        return self

    async def _read(self):
        try:
            async for data in self.ws:
                assert isinstance(data, str), "a binary frame came"
                frame = json.loads(data)
                self.seen.check(frame)
                self.log.append(frame)
                if self.on_frame is not None:
                    self.on_frame(self, frame)
                self._hand_out(frame)
        except websockets.exceptions.ConnectionClosed:
            pass
        finally:
            for _, _, future in self.waiters:
                if not future.done():
                    future.set_exception(AssertionError(
                        f"closed with {self.ws.close_code} while waiting"))
            self.waiters.clear()

    def _hand_out(self, frame):
        taken = False
        for type_, matches, future in list(self.waiters):
            if future.done() or (taken and type_ is not None):
                continue
            if type_ in (None, frame["type"]) and matches(frame):
                future.set_result(frame)
                taken = taken or type_ is not None
        if not taken:
            self.free[frame["type"]].append(frame)

    async def wait(self, type_, matches=None, deadline=None, **fields):
        """Takes the first frame of that type (None = any) with these
        fields."""
        def match(frame):
            return all(frame.get(k) == v for k, v in fields.items()) and \
                (matches is None or matches(frame))

        for queue in [self.free[type_]] if type_ else self.free.values():
            for i, frame in enumerate(queue):
                if match(frame):
                    del queue[i]
                    return frame
        return await self._await(type_, match, deadline)

    async def until_first(self, deadline=None):
        """Until the first frame has come, or the connection has ended."""
        end = asyncio.get_running_loop().time() + (deadline or DEADLINE)
        while not self.log and not self.reader.done():
            assert asyncio.get_running_loop().time() < end, "silence"
            await asyncio.sleep(0.002)

    async def until(self, condition, deadline=None):
        """Waits for frames until condition() is true."""
        if not condition():
            await self._await(None, lambda frame: condition(), deadline)

    async def _await(self, type_, match, deadline):
        assert not self.reader.done(), \
            f"closed with {self.ws.close_code}; wanted {type_}"
        future = asyncio.get_running_loop().create_future()
        self.waiters.append((type_, match, future))
        try:
            return await asyncio.wait_for(future, deadline or DEADLINE)
        except asyncio.TimeoutError:
            raise AssertionError(
                f"no {type_ or 'such'} frame came; the last ones: "
                + json.dumps(self.log[-5:])[:2000]) from None
        finally:
            self.waiters = [w for w in self.waiters if w[2] is not future]

    async def send(self, type_, **fields):
        await self.ws.send(json.dumps({"type": type_, **fields}))

    async def ask(self, answer, type_, **fields):
        """Sends a frame with a request_id, returns the answer to it."""
        request_id = f"r{next(REQUEST)}"
        await self.send(type_, request_id=request_id, **fields)
        return await self.wait(answer, request_id=request_id)

    async def say(self, room_id, content, **more):
        return await self.ask("message.sent", "send_message",
                              room_id=room_id, content=content, **more)

    async def barrier(self):
        """Everything that the worker had for this connection has come."""
        await self.ask("pong", "ping")

    def of(self, type_, **fields):
        """All frames of that type so far, taken or not."""
        return [f for f in self.log if f["type"] == type_ and
                all(f.get(k) == v for k, v in fields.items())]

    def seqs(self, room_id):
        return [f["seq"] for f in self.of("message", room_id=room_id)]

    async def wait_seq(self, room_id, seq, deadline=None):
        """Until that message has come."""
        last = {"seq": max(self.seqs(room_id), default=0)}

        def reached(frame):
            if frame["type"] == "message" and frame["room_id"] == room_id:
                last["seq"] = max(last["seq"], frame["seq"])
            return last["seq"] >= seq

        if last["seq"] < seq:
            await self._await(None, reached, deadline)

    async def wait_closed(self, deadline=None):
        """Waits for the end; returns the close code."""
        await asyncio.wait_for(self.ws.wait_closed(), deadline or DEADLINE)
        await self.reader
        return self.ws.close_code

    @property
    def open_now(self):
        return self.ws.open

    async def close(self):
        Chat.alive.discard(self)
        await self.ws.close()
        await self.reader


async def close_all(chats):
    await asyncio.gather(*(c.close() for c in chats))
