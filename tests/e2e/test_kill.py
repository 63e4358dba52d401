# SPDX-License-Identifier: MIT
"""Processes killed with SIGKILL under load.

Clients do what the contract asks of them: reconnect, and send again what
was not acknowledged, under the same client_msg_id.  Then every acknowledged
message must be there exactly once, and every room's seqs are 1..n.
"""
import asyncio
import collections
import http.client
import itertools
import os
import signal
import threading
import time

import pytest
import websockets.exceptions

from chat import Chat, close_all
from client import Rest, Tenant
from harness import DEADLINE, scaled, until

KILLS = scaled(30, 12)
ROOMS = 3
# Between two messages of a sender: the load is not to starve the rest of
# the machine, kills are to find something in flight.
PAUSE = 0.004


class Kills:
    """When which worker was killed, on the monotonic clock."""

    def __init__(self):
        self.of_slot = collections.defaultdict(list)

    def excuse(self, slot, since):
        """This worker was killed after `since`."""
        return any(t >= since for t in self.of_slot[slot])


class Client:
    """Sends and receives, reconnects, and keeps account of both."""

    def __init__(self, tenant, user, rooms, kills, slot=None):
        self.tenant = tenant
        self.user = user
        self.rooms = rooms
        self.kills = kills
        self.slot = slot
        self.numbers = itertools.count(1)
        self.open = {}          # client_msg_id -> room, not acknowledged
        self.acked = {}         # client_msg_id -> (room, seq)
        self.have = dict.fromkeys(rooms, 0)
        self.stopped = asyncio.Event()
        self.connects = 0
        self.faults = []

    def on_frame(self, chat, frame):
        if frame["type"] == "message":
            room, seq = frame["room_id"], frame["seq"]
            last = chat.at.get(room)
            if last is not None and seq != last + 1:
                self.faults.append(f"{self.user}: {seq} after {last}")
            if seq > self.have[room] + 1:
                self.faults.append(
                    f"{self.user}: {seq}, had {self.have[room]}")
            chat.at[room] = seq
            self.have[room] = max(self.have[room], seq)
        elif frame["type"] == "message.sent":
            name = frame["client_msg_id"]
            self.open.pop(name, None)
            now = (frame["room_id"], frame["seq"])
            if self.acked.setdefault(name, now) != now:
                self.faults.append(f"{name}: {self.acked[name]}, then {now}")
        elif frame["type"] == "error" and not frame["temporary"]:
            self.faults.append(f"{self.user}: {frame}")

    async def connect(self):
        end = time.monotonic() + DEADLINE
        while True:
            # When the worker answered, and may have died, nobody knows.
            began = time.monotonic()
            try:
                c = await Chat.open(self.tenant, self.user, self.slot,
                                    on_frame=self._first)
                c.at = {}
                self.began = began
                welcome = await c.wait("welcome")
                c.slot = int(welcome["session_id"].partition("-")[0])
                self.connects += 1
                return c
            except (OSError, AssertionError, asyncio.TimeoutError,
                    websockets.exceptions.WebSocketException) as e:
                if time.monotonic() > end:
                    raise AssertionError("could not reconnect") from e
                await asyncio.sleep(0.01)

    def _first(self, chat, frame):
        if not hasattr(chat, "at"):
            chat.at = {}
        self.on_frame(chat, frame)

    async def _send(self, c, name, room):
        await c.send("send_message", room_id=room, content=name,
                     client_msg_id=name)

    async def run(self, window=4):
        """Until stopped and everything sent is acknowledged."""
        while not self.stopped.is_set() or self.open:
            c = await self.connect()
            try:
                for name, room in list(self.open.items()):
                    await self._send(c, name, room)
                while not self.stopped.is_set():
                    while len(self.open) < window:
                        n = next(self.numbers)
                        name = f"{self.user}-{n}"
                        self.open[name] = self.rooms[n % ROOMS]
                        await self._send(c, name, self.open[name])
                    await self._ack(c)
                    await asyncio.sleep(PAUSE)
                    if c.reader.done():
                        break
                if self.stopped.is_set():
                    await self._settle(c)
            except websockets.exceptions.ConnectionClosed:
                pass
            await self._gone(c)

    async def watch(self):
        """Only receives; until stopped."""
        while not self.stopped.is_set():
            c = await self.connect()
            while not self.stopped.is_set() and not c.reader.done():
                try:
                    await self._ack(c)
                except websockets.exceptions.ConnectionClosed:
                    break
                await asyncio.wait([c.reader], timeout=0.25)
            await self._gone(c)

    async def _ack(self, c):
        """Tells what this connection has got, so that a reconnect does
        not bring all of it again."""
        for room, seq in list(c.at.items()):
            if seq >= getattr(c, "told", {}).get(room, 0) + 50:
                await c.send("ack", room_id=room, seq=seq)
                c.told = {**getattr(c, "told", {}), room: seq}

    async def _settle(self, c):
        """Waits for the last answers, or for the end of the line."""
        end = time.monotonic() + DEADLINE
        while self.open and not c.reader.done():
            if time.monotonic() > end:
                self.faults.append(f"{self.user}: no answer to {self.open}")
                self.open.clear()
            await asyncio.sleep(0.02)

    async def _gone(self, c):
        if c.reader.done() and not self.kills.excuse(c.slot, self.began):
            self.faults.append(
                f"{self.user} was closed with {c.ws.close_code} on worker "
                f"{c.slot}, which nobody had killed")
        await c.close()


def rest_client(tenant, user, rooms, stopped, acked, faults):
    """The same by REST: one request at a time."""
    numbers = itertools.count(1)
    rest = tenant.user(user)
    while not stopped.is_set():
        n = next(numbers)
        name, room = f"{user}-{n}", rooms[n % ROOMS]
        end = time.monotonic() + DEADLINE
        while True:
            try:
                got = rest.post(f"/rooms/{room}/messages", {
                    "content": name, "client_msg_id": name})
                if got.status in (200, 201):
                    acked[name] = (room, got.json["seq"])
                    break
                if got.status != 503:
                    faults.append(f"{name}: {got!r}")
                    break
            except (OSError, http.client.HTTPException):
                rest.close()
                rest = tenant.user(user)
            if time.monotonic() > end:
                faults.append(f"{name}: never answered")
                break
        time.sleep(PAUSE)


def check_stored(tenant, rooms, acked):
    """Everything acknowledged is there once, and no seq is missing."""
    total = 0
    stored = {}
    for room in rooms:
        messages = tenant.backend().history(room)
        assert [m["seq"] for m in messages] == \
            list(range(1, len(messages) + 1))
        for m in messages:
            assert m["content"] not in stored, \
                f"{m['content']} is stored twice"
            stored[m["content"]] = (room, m["seq"])
        total += len(messages)
    for name, where in acked.items():
        assert stored.get(name) == where, \
            f"{name}: acknowledged {where}, stored {stored.get(name)}"
    return total


async def test_worker_and_writer_killed_every_second(start_server,
                                                     record_property):
    server = start_server(workers=3, env={"LOG_LEVEL": "info"})
    tenant = Tenant(server)
    users = [f"user{i}" for i in range(6)]
    watchers = [f"watch{i}" for i in range(3)]
    rests = [f"rest{i}" for i in range(3)]
    rooms = [tenant.backend().make_room(users + watchers + rests)["room_id"]
             for _ in range(ROOMS)]
    kills = Kills()
    clients = [Client(tenant, u, rooms, kills) for u in users]
    witness = [Client(tenant, u, rooms, kills, slot=i)
               for i, u in enumerate(watchers)]
    stopped = threading.Event()
    acked, faults = {}, []
    tasks = [asyncio.ensure_future(c.run()) for c in clients]
    tasks += [asyncio.ensure_future(c.watch()) for c in witness]
    threads = [asyncio.get_running_loop().run_in_executor(
        None, rest_client, tenant, u, rooms, stopped, acked, faults)
        for u in rests]
    times = {"worker": [], "writer": []}
    try:
        for turn in range(KILLS):
            began = time.monotonic()
            role = ("worker", "writer")[turn % 2]
            slot = turn // 2 % 3 if role == "worker" else None
            if role == "worker":
                kills.of_slot[slot].append(time.monotonic())
            old = server.kill(role, slot)
            if role == "worker":
                kills.of_slot[slot].append(time.monotonic() + 0.05)
            _, took = await asyncio.to_thread(
                server.wait_respawn, role, slot, old)
            times[role].append(took)
            await asyncio.sleep(max(0, began + 1 - time.monotonic()))
    finally:
        stopped.set()
        for c in clients + witness:
            c.stopped.set()
        await asyncio.gather(*tasks, *threads)
    for role, values in times.items():
        values.sort()
        record_property(f"{role}: median time to an answer, s",
                        f"{values[len(values) // 2]:.3f}")
        record_property(f"{role}: longest time to an answer, s",
                        f"{values[-1]:.3f}")
        print(f"{role}: median {values[len(values) // 2]:.3f} s, "
              f"longest {values[-1]:.3f} s")
    for c in clients + witness:
        faults += c.faults
        acked.update(c.acked)
    assert faults == []
    total = await asyncio.to_thread(check_stored, tenant, rooms, acked)
    record_property("messages", str(total))
    assert len(acked) == total, "what was sent was acknowledged in the end"
    assert total > 20 * KILLS
    for values in times.values():
        assert values[len(values) // 2] < DEADLINE / 4, times
    # One whose death was not noticed is missed after 7.5 s at the earliest.
    assert max(sum(times.values(), [])) < max(7, DEADLINE / 4), times
    # The watchers have seen all of it, over all their connections.
    for c in witness:
        late = await Chat.connect(tenant, c.user)
        await late.wait("sync.complete")
        for room in rooms:
            seqs = late.seqs(room)
            assert seqs == [] or seqs[0] <= c.have[room] + 1
        await late.close()


async def test_death_of_a_worker_is_not_noticed_on_the_others(start_server):
    server = start_server(workers=3)
    tenant = Tenant(server)
    users = ["ann", "bob", "carl"]
    room = tenant.backend().make_room(users)["room_id"]
    ann, bob, carl = [await Chat.connect(tenant, u, slot=i)
                      for i, u in enumerate(users)]
    kept = Rest(server, tenant.headers("ann"), slot=0)
    for turn in range(3):
        await ann.say(room, f"before {turn}")
        old = server.kill("worker", 2)
        assert await carl.wait_closed() == 1006
        await ann.say(room, f"while {turn}")
        kept.get("/rooms").expect(200)
        await bob.wait_seq(room, 2 * turn + 2)
        await asyncio.to_thread(server.wait_respawn, "worker", 2, old)
        carl = await Chat.connect(tenant, "carl", slot=2)
        await carl.wait_seq(room, 2 * turn + 2)
    assert ann.open_now and bob.open_now
    await ann.wait_seq(room, 6)
    assert bob.seqs(room) == ann.seqs(room) == [1, 2, 3, 4, 5, 6]
    await close_all([ann, bob, carl])


async def test_death_of_the_writer_is_only_a_delay(start_server):
    """Requests in flight are answered by the next writer, once."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    ann = await Chat.connect(tenant, "ann", slot=0)
    bob = await Chat.connect(tenant, "bob", slot=1)
    for turn in range(5):
        # Stopped, so that it dies with all of this before it.
        pid = server.kill("writer", sig=signal.SIGSTOP)
        for i in range(20):
            await ann.send("send_message", room_id=room,
                           content=f"{turn} {i}", request_id=f"{turn} {i}")
        rests = [tenant.user("bob") for _ in range(5)]
        for i, r in enumerate(rests):
            r.send("POST", f"/rooms/{room}/messages",
                   {"content": f"{turn} rest {i}"})
            await asyncio.to_thread(server.wait_taken, r.http.sock)
        await ann.barrier()
        os.kill(pid, signal.SIGKILL)
        for r in rests:
            (await asyncio.to_thread(r.read)).expect(201)
        for i in range(20):
            await ann.wait("message.sent", request_id=f"{turn} {i}")
    for c in (ann, bob):
        await c.wait_seq(room, 125)
        assert c.seqs(room) == list(range(1, 126))
    contents = [m["content"] for m in tenant.user("bob").history(room)]
    assert len(set(contents)) == len(contents) == 125
    await close_all([ann, bob])


async def test_everything_killed_at_once(start_server):
    """Master, writer and workers; then an ordinary start."""
    server = start_server(workers=3)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    acked = []
    for turn in range(scaled(4, 3)):
        chats = [await Chat.connect(tenant, u, slot=i)
                 for i, u in enumerate(["ann", "bob", "ann"])]

        async def talk(c, turn=turn):
            try:
                for i in itertools.count():
                    sent = await c.say(room, f"{turn} {c.slot} {i}")
                    acked.append((sent["seq"], f"{turn} {c.slot} {i}"))
            except (AssertionError,
                    websockets.exceptions.ConnectionClosed):
                pass

        tasks = [asyncio.ensure_future(talk(c)) for c in chats]
        enough = len(acked) + 100
        while len(acked) < enough:
            await asyncio.sleep(0.005)
        children = server.children()
        server.process.kill()
        for pid in children.values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        server.process.wait()
        await asyncio.gather(*tasks)
        until(lambda: not server.left_over(), "all were gone")
        server.start()
        stored = {m["seq"]: m["content"]
                  for m in tenant.backend().history(room)}
        assert sorted(stored) == list(range(1, len(stored) + 1))
        for seq, content in acked:
            assert stored[seq] == content
        for c in chats:
            await c.reader


async def test_connection_count_survives_a_workers_death(start_server):
    """A dead worker's connections count no more."""
    server = start_server(workers=2,
                          env={"WS_MAX_CONNECTIONS_PER_USER": "2"})
    tenant = Tenant(server)
    chats = [await Chat.connect(tenant, "ann", slot=1) for _ in range(2)]
    old = server.kill("worker", 1)
    for c in chats:
        await c.wait_closed()
    await asyncio.to_thread(server.wait_respawn, "worker", 1, old)
    again = [await Chat.connect(tenant, "ann", slot=i) for i in range(2)]
    for c in again:
        await c.barrier()
    await close_all(again)


@pytest.mark.long
async def test_stuck_worker_is_replaced(start_server):
    """One that is alive and does nothing is killed after 10 s."""
    server = start_server(workers=2)
    old = server.kill("worker", 1, signal.SIGSTOP)
    pid, took = await asyncio.to_thread(
        server.wait_respawn, "worker", 1, old, 60)
    assert pid != old and took > 5
    assert f"{old}" in server.log()
