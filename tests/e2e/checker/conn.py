# SPDX-License-Identifier: MIT
"""One connection of a device, and what must hold on each.

Every frame is judged as it comes, by its form, by what is known of the
room and its members, and by where the room stands on this connection.
What a frame changes in the device's own state is the device's business.
"""
import asyncio
import collections
import itertools
import json
import math
import re
import time

import websockets.exceptions

from chat import Chat

from .frames import fault_of
from .report import Violation
from .web import Lost

REQUEST = itertools.count(1)
FILLING = re.compile("xxxxx+|yyyyy+")


def shorter(text):
    """A frame's text without the filling of long contents."""
    return FILLING.sub(lambda m: m[0][0] + "~", text)[:400]


class Feed:
    """A room on one connection."""

    def __init__(self, lo, hi):
        self.state = "maybe"    # in, left or deleted, once a frame says it
        self.pos = None         # seq of the last message
        self.lo = lo            # it starts between these
        self.hi = hi            # None: the user's last_ack, as it may be
        self.changed = 0        # rev of the last edit or deletion
        self.resets = []        # subscribes not answered yet
        self.name = None        # as said by a frame on this connection
        self.joined = None      # tick of the last room.joined
        self.adds = 0           # how often he had been added then
        self.first = None       # seq of the first message since
        self.muted = False      # unsubscribed


class Reset:
    """A subscribe under way."""

    def __init__(self, request_id, after, rev, head, pos):
        self.request_id = request_id
        self.after = after
        self.rev = rev
        self.head = head        # proved when it was sent
        self.pos = pos          # of the feed then
        self.taken = False


class Conn(Chat):
    """Made by Chat.open(); the device fills in the rest by begin()."""

    def __init__(self, ws, slot):
        self.device = None
        self.here = self.gone = None    # times of its welcome and end
        self.aborted = False        # ended by us
        self.recent = collections.deque(maxlen=60)
        self.answers = {}
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.ready = asyncio.Event()
        super().__init__(ws, slot)
        self.log = self.recent

    def begin(self, device, mode, cursors, before):
        """before: what was certain before the handshake."""
        self.device = device
        self.truth = device.world.truth
        self.report = device.world.report
        self.user = device.user
        self.mode = mode
        self.cursors = cursors      # of the resume; {} on plain /ws
        self.resume_id = None
        self.may_resync = False
        self.opened = before.tick
        self.synced = False
        self.synced_at = 0
        self.sync_done = asyncio.get_running_loop().create_future()
        self.shutdown = False
        self.presence = {}
        self.acks = {}
        self.notes = set()
        self.feeds = {}
        self.heads = before.heads
        self.floors = before.floors
        self.ready.set()

    def __str__(self):
        return (f"the connection of {self.device.name} to worker "
                f"{self.slot}, opened at tick {self.opened} ({self.mode})")

    # ---- frames ----

    async def _read(self):
        await self.ready.wait()
        try:
            async for data in self.ws:
                if not self.flowing.is_set():
                    await self.flowing.wait()
                self._take(data)
        except websockets.exceptions.ConnectionClosed:
            pass
        except Violation:
            pass
        except Exception as e:          # of the checker itself
            try:
                self.report.fail(f"{e!r} in the checker", self)
            except Violation:
                pass
            raise
        finally:
            self._end()

    def _end(self):
        self.gone = self.gone or time.monotonic()
        for future in self.answers.values():
            if not future.done():
                future.set_exception(Lost(True, "closed"))
                future.exception()      # may be nobody's
        self.answers.clear()
        if not self.sync_done.done():
            self.sync_done.cancel()

    def _take(self, data):
        tick = self.report.step()
        self.recent.append(f"{tick} {shorter(str(data))}")
        try:
            frame = json.loads(data)
        except ValueError:
            self.fail("a frame that is no JSON")
        fault = fault_of(frame)
        self.expect(fault is None, lambda: f"a frame with {fault}: "
                    f"{str(data)[:500]}")
        self.expect((frame["type"] == "welcome") == (self.welcome is None),
                    lambda: f"{frame['type']} is the first frame, or a "
                    "second welcome")
        self.device.world.count("frames " + frame["type"])
        handler = getattr(self, "_on_" + frame["type"].replace(".", "_"),
                          None)
        if handler is not None:
            handler(frame)
        future = self.answers.pop(frame.get("request_id"), None)
        if future is not None and not future.done():
            future.set_result(frame)

    def fail(self, what):
        self.report.fail(what, self)

    def expect(self, holds, what):
        if not holds:
            self.fail(what() if callable(what) else what)

    def room_of(self, frame):
        """The frame's room, if a frame of it may come here at all."""
        room = self.truth.room(frame["room_id"], self)
        pair = room.pairs.get(self.user)
        self.expect(
            room.tenant is self.device.tenant and pair is not None and
            pair.adds > 0,
            lambda: f"{frame['type']} of {room}, of which {self.user} was "
            "never a member")
        self.expect(
            pair.removed is None or pair.busy or pair.state != "out" or
            pair.removed > self.opened,
            lambda: f"{frame['type']} of {room}, from which {self.user} "
            f"was removed at {pair.removed}, before this connection")
        self.expect(
            room.deleted is None or room.deleted > self.opened,
            lambda: f"{frame['type']} of {room}, deleted at {room.deleted},"
            " before this connection")
        return room

    def feed_of(self, room):
        feed = self.feeds.get(room.id)
        if feed is None:
            cursor = self.cursors.get(room.id)
            if cursor is None:
                feed = Feed(self.floors.get(room.id, 0), None)
            elif cursor["seq"] <= self.heads.get(room.id, 0):
                feed = Feed(cursor["seq"], cursor["seq"])
            else:
                feed = Feed(self.heads.get(room.id, 0), math.inf)
            if cursor is not None:
                feed.changed = cursor.get("rev", 0)
            self.feeds[room.id] = feed
        return feed

    def feed_in(self, frame):
        """The room and feed of a frame that only a member may get."""
        room = self.room_of(frame)
        feed = self.feed_of(room)
        self.expect(
            feed.state not in ("left", "deleted"),
            lambda: f"{frame['type']} of {room} after room.{feed.state}")
        self.expect(
            not feed.muted or not frame["type"].startswith("message"),
            lambda: f"{frame['type']} of {room} after unsubscribe")
        return room, feed

    def _not_since_removed(self, room, begun, frame):
        """Nothing that was begun after his removal reaches him."""
        pair = room.pair(self.user)
        if pair.removed is None or pair.busy or pair.state != "out":
            return
        self.expect(
            begun < pair.removed,
            lambda: f"{str(frame)[:300]}, begun at {begun}, came to "
            f"{self.user}, removed from {room} at {pair.removed}")

    def _on_welcome(self, frame):
        self.welcome = frame
        self.here = time.monotonic()
        self.device.world.hooks.spans[self.user].append(self)
        self.slot = int(frame["session_id"].partition("-")[0])
        self.expect(frame["user_id"] == self.user,
                    f"welcome is for {frame['user_id']}")
        self.device.on_welcome(self, frame)

    def _on_message(self, frame):
        room, feed = self.feed_in(frame)
        send = self.truth.shown(room, frame, self)
        if send is not None:
            self._not_since_removed(room, send.begun, frame)
            self.expect(
                frame.get("client_msg_id") ==
                (send.cmid if send.user == self.user else None),
                lambda: f"client_msg_id {frame.get('client_msg_id')} with "
                f"{send} for {self.user}")
        self._step(room, feed, frame["seq"])
        self.device.on_message(room, frame)

    def _step(self, room, feed, seq):
        """seq goes up by one, from where the room was started or set."""
        for i, reset in enumerate(feed.resets):
            if self._resets(feed, reset, seq):
                reset.taken = True
                for other in feed.resets[:i]:
                    other.taken = True
                feed.pos = seq
                return
        if feed.state == "maybe":
            feed.state = "in"
        if feed.pos is not None:
            self.expect(
                seq == feed.pos + 1,
                lambda: f"{seq} of {room} after {feed.pos}; subscribes "
                f"under way: {[r.after for r in feed.resets]}")
        else:
            hi = feed.hi if feed.hi is not None else \
                room.pair(self.user).hi
            self.expect(
                feed.lo < seq <= hi + 1,
                lambda: f"{seq} is the first of {room}; it starts between "
                f"{feed.lo} and {hi}")
            feed.first = seq
        feed.pos = seq

    @staticmethod
    def _resets(feed, reset, seq):
        if reset.taken or reset.after is None or \
                (feed.pos is not None and seq == feed.pos + 1):
            return False
        if reset.after <= reset.head:
            return seq == reset.after + 1
        return reset.head < seq <= reset.after + 1

    def _on_message_edited(self, frame):
        room, feed = self.feed_in(frame)
        send = self.truth.changed(room, frame, self)
        if send is not None and "content" in frame:
            self._not_since_removed(
                room, send.versions[frame["content"]], frame)
        self.expect(
            feed.pos is None or frame["seq"] <= feed.pos or feed.resets,
            lambda: f"{frame['type']} of {frame['seq']} in {room} when "
            f"only {feed.pos} had been sent")
        if not any(r.rev is not None for r in feed.resets):
            self.expect(
                frame["rev"] > feed.changed,
                lambda: f"rev {frame['rev']} of {room} after "
                f"{feed.changed}")
        feed.changed = max(feed.changed, frame["rev"])
        self.device.on_change(room, frame)

    _on_message_deleted = _on_message_edited

    def _on_sync_complete(self, frame):
        request_id = frame.get("request_id")
        for room_id, feed in self.feeds.items():
            for reset in feed.resets:
                if reset.request_id == request_id:
                    self._reset_done(room_id, feed, reset, frame)
                    return
        self.expect(
            not self.synced and request_id == self.resume_id,
            "sync.complete for the second time, or of another request")
        self.synced, self.synced_at = True, self.report.tick
        for room_id, head in frame["heads"].items():
            self._head(room_id, head)
        for room in self.device.tenant_rooms():
            pair = room.pair(self.user)
            if room.deleting is None and pair.sure("in", self.opened):
                self.expect(
                    room.id in frame["heads"],
                    lambda: f"{room} is missing in sync.complete")
        self.device.on_synced(self)
        self.sync_done.set_result(None)

    def _head(self, room_id, head):
        """One of sync.complete's positions."""
        if room_id not in self.truth.rooms and self.truth.making:
            return
        room = self.room_of({"type": "sync.complete", "room_id": room_id})
        feed = self.feed_of(room)
        if feed.state in ("left", "deleted"):
            self.fail(f"{room} in sync.complete after room.{feed.state}")
        feed.state = "in"
        seq, least = head["seq"], self.heads.get(room_id, 0)
        if feed.pos is not None:
            self.expect(
                seq == feed.pos or feed.resets,
                lambda: f"sync.complete has {room} at {seq}; {feed.pos} "
                "was sent last")
        else:
            hi = feed.hi if feed.hi is not None else \
                room.pair(self.user).hi
            self.expect(
                feed.lo <= seq <= hi,
                lambda: f"sync.complete has {room} at {seq}, which starts "
                f"between {feed.lo} and {hi}, and sent nothing")
            feed.pos = seq
            self.device.on_position(room, seq)
        if not feed.resets:
            self.expect(
                head["rev"] >= feed.changed,
                lambda: f"sync.complete has {room} at rev {head['rev']}, "
                f"after {feed.changed}")
        if not feed.resets and feed.joined is None:
            self.expect(
                seq >= least,
                lambda: f"sync.complete has {room} at {seq}; its head was "
                f"{least} before the connection")
        self.device.on_rev(room, head["rev"])

    def _reset_done(self, room_id, feed, reset, frame):
        """A subscribe was answered."""
        room = self.truth.rooms[room_id]
        self.expect(set(frame["heads"]) == {room_id},
                    f"heads of other rooms than {room} in the answer")
        head = frame["heads"][room_id]
        seq = head["seq"]
        feed.resets = feed.resets[feed.resets.index(reset) + 1:]
        self.expect(
            reset.taken or reset.after is None or reset.pos is None or
            reset.after >= reset.pos,
            lambda: f"subscribe after {reset.after} in {room}, then at "
            f"{reset.pos}, was answered; nothing had come again")
        if reset.after is not None and not reset.taken and \
                (feed.pos is None or reset.after > feed.pos):
            self.expect(
                seq >= min(reset.after, reset.head),
                lambda: f"subscribe after {reset.after} in {room} ended "
                f"at {seq}")
            if not feed.resets:
                feed.pos = seq
                self.device.on_position(room, seq)
        elif not feed.resets:
            self.expect(
                feed.pos in (None, seq) and (
                    # A live one that goes on is not read again.
                    seq >= reset.head or reset.after is None),
                lambda: f"subscribe after {reset.after} in {room} was "
                f"answered with {seq}; {feed.pos} was sent last, the head "
                f"was {reset.head}")
            feed.pos = seq
        if not feed.resets:
            feed.changed = max(feed.changed, head["rev"]) \
                if reset.rev is None else head["rev"]
            self.device.on_rev(room, feed.changed)

    def _on_room_joined(self, frame):
        room = self.truth.room_of_object(frame["room"], self)
        self.room_of(frame)
        feed = self.feed_of(room)
        self.expect(feed.state not in ("in", "deleted"),
                    lambda: f"room.joined of {room}, already {feed.state}")
        pair = room.pair(self.user)
        fresh = Feed(0, 0 if pair.founder and pair.removes == 0
                     else math.inf)
        fresh.state, fresh.joined = "in", self.report.tick
        fresh.name, fresh.adds = frame["room"]["name"], pair.adds
        # One that was sent before he was removed may be run now.
        fresh.resets = [r for r in feed.resets if not r.taken]
        for reset in fresh.resets:
            reset.pos = None
        self.feeds[room.id] = fresh
        self.device.on_joined(room)

    def _on_room_updated(self, frame):
        room, feed = self.feed_in(frame)
        self.truth.room_of_object(frame["room"], self)
        self.expect(
            frame["room"]["name"] in room.names_ever,
            lambda: f"{room} is named {frame['room']['name']!r}; nobody "
            "did")
        feed.name = frame["room"]["name"]

    def _on_room_left(self, frame):
        room = self.room_of(frame)
        feed = self.feed_of(room)
        self.expect(
            room.pair(self.user).removes > 0 and
            feed.state not in ("left", "deleted"),
            lambda: f"room.left of {room}, {feed.state} here; "
            f"{self.user} was removed {room.pair(self.user).removes} times")
        feed.state = "left"
        self.device.on_gone(room)

    def _on_room_deleted(self, frame):
        room, feed = self.feed_in(frame)
        self.expect(room.deleting is not None,
                    lambda: f"room.deleted of {room}; nobody did")
        feed.state = "deleted"
        self.device.on_gone(room)

    def _on_sync_gap(self, frame):
        """Exactly what was trimmed and had not been reached."""
        room, feed = self.feed_in(frame)
        last = frame["from"] - 1
        self.expect(
            frame["from"] <= frame["to"] == room.first - 1 and
            frame["reason"] == "retention",
            lambda: f"{frame}; {room} begins at {room.first}")
        if feed.pos is None:
            hi = feed.hi if feed.hi is not None else \
                room.pair(self.user).hi
            self.expect(
                feed.lo <= last <= hi,
                lambda: f"{frame}; {room} starts between {feed.lo} and "
                f"{hi}")
        else:
            self.expect(
                last == feed.pos or any(
                    r.after == last for r in feed.resets),
                lambda: f"{frame}; {feed.pos} of {room} was sent last")
        for reset in feed.resets:
            if reset.after == last and last != feed.pos:
                reset.taken = True
        if feed.state == "maybe":
            feed.state = "in"
        feed.pos = frame["to"]
        self.device.on_position(room, feed.pos)

    # ---- hints ----

    def _on_notification(self, frame):
        self.device.world.notes.seen(self, frame)

    def _on_ack_received(self, frame):
        if frame.get("request_id") is not None:
            return
        room, _ = self.feed_in(frame)
        user, seq = frame["user_id"], frame["seq"]
        pair = room.pairs.get(user)
        self.expect(
            pair is not None and seq <= pair.hi,
            lambda: f"{frame} of {room}; {user} acknowledged "
            f"{pair and pair.hi}")
        self.expect(
            self.acks.get((room, user), -1) < seq,
            lambda: f"{frame}, after {self.acks[(room, user)]}")
        self.acks[(room, user)] = seq

    def _on_typing(self, frame):
        room, _ = self.feed_in(frame)
        self.expect(
            frame["user_id"] != self.user and
            (room, frame["user_id"]) in self.truth.typed,
            lambda: f"{frame}, but that user did not type")

    def _on_presence_update(self, frame):
        user, status = frame["user_id"], frame["status"]
        self.expect(
            any(r.pairs[user].adds and r.pair(self.user).adds
                for r in self.device.tenant_rooms()
                if user in r.pairs and self.user in r.pairs),
            lambda: f"{frame}, but they never shared a room")
        self.expect(
            self.presence.get(user, "offline") != status,
            lambda: f"{frame} for the second time")
        self.presence[user] = status

    def _on_error(self, frame):
        if frame["code"] == "resync_required":
            self.expect(self.may_resync, lambda: f"{frame}, though the "
                        "epoch is the server's")
            # It goes on from last_ack, and that answers nothing.
            self.cursors = {}
            self.resume_id = None
            self.device.on_resync(self)
        elif "request_id" not in frame:
            self.fail(f"{frame} without a request")

    def _on_server_shutdown(self, frame):
        self.shutdown = True

    # ---- requests ----

    def usable(self):
        return self.welcome is not None and not self.reader.done() and \
            self.ws.open and self.flowing.is_set()

    async def push(self, frame):
        """Sends a frame; Lost if that cannot be."""
        try:
            await self.ws.send(json.dumps(frame))
        except (websockets.exceptions.ConnectionClosed, OSError) as e:
            raise Lost(False, repr(e)) from None

    def promise(self):
        """A new request_id, and the future of its answer."""
        request_id = f"r{next(REQUEST)}"
        future = asyncio.get_running_loop().create_future()
        self.answers[request_id] = future
        return request_id, future

    async def request(self, type_, **fields):
        """Sends a frame and returns its answer; Lost if none came."""
        request_id, future = self.promise()
        if self.reader.done():
            self._end()
        else:
            await self.push({"type": type_, "request_id": request_id,
                             **fields})
        return await asyncio.wait_for(future, self.device.world.limit)

    def abort(self):
        Chat.alive.discard(self)
        self.aborted = True
        self.gone = self.gone or time.monotonic()
        self.flowing.set()
        self.ready.set()
        if self.ws.transport is not None:
            self.ws.transport.abort()
