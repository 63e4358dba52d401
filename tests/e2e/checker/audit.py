# SPDX-License-Identifier: MIT
"""Everything compared with the log, when nothing moves.

First the log with what clients did and were told; then what each device
holds with the log.  A device may still be on its way there, so its part is
tried until it is so, or has taken too long.
"""
import asyncio
import json
import time
from datetime import datetime, timezone

from harness import DEADLINE

from .acts import rest
from .log import Log
from .looks import act_rooms
from .plan import Action


def milliseconds(text):
    """Of an RFC 3339 time as the API has them."""
    at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    return round(at.replace(tzinfo=timezone.utc).timestamp() * 1000)


class Audit:
    def __init__(self, world):
        self.world = world
        self.truth = world.truth
        self.log = Log(world.server.dir)
        self.looked = 0

    def fail(self, what, conn=None):
        self.world.report.fail(what, conn)

    def expect(self, holds, what):
        self.world.report.expect(holds, what)

    async def compare(self, devices):
        await self._still()
        await asyncio.to_thread(self.log.read)
        self._rooms()
        self.world.notes.compare(self.log)
        self.world.hooks.take()
        self.world.hooks.compare(self.log)
        end = time.monotonic() + DEADLINE
        for dev in devices:
            while True:
                said = self._device(dev)
                if said is None:
                    break
                if time.monotonic() > end:
                    self.fail(f"{dev.name} did not converge: {said}",
                              dev.conn)
                await asyncio.sleep(0.02)
                # It may have been read to its end only now.
                if dev.conn.reader.done():
                    await self.world.connected(dev)
        for room in self.truth.rooms.values():
            for pair in room.pairs.values():
                pair.calm = (pair.adds, pair.removes)

    async def _still(self):
        """Nothing has been committed for a while: a request whose answer
        was lost may still have been on its way."""
        last = await asyncio.to_thread(self.log.batch)
        quiet = 0
        end = time.monotonic() + self.world.limit
        while quiet < 3:
            await asyncio.sleep(0.05)
            now = await asyncio.to_thread(self.log.batch)
            quiet = quiet + 1 if now == last else 0
            last = now
            self.expect(time.monotonic() < end, "commits do not end")

    # ---- the log and what was done ----

    def _rooms(self):
        self._orphans()
        known = {}
        for room_id, room in list(self.truth.rooms.items()):
            logged = self.log.rooms.get(room_id)
            if room.deleting is not None:
                self.expect(logged is None or not logged.members,
                            lambda: f"{room} was deleted and has members")
                continue
            self.expect(logged is not None, lambda: f"{room} is lost")
            known[room_id] = room
            self._room(room, logged)
        for room_id in self.log.rooms:
            self.expect(room_id in self.truth.rooms,
                        lambda: f"the log has {room_id}, made by nobody")

    def _orphans(self):
        """Rooms whose making was not answered: are they there?"""
        for room_id, logged in self.log.rooms.items():
            if room_id in self.truth.rooms:
                continue
            room = self.truth.making.get(
                json.loads(logged.metadata or "{}").get("key"))
            if room is not None:
                self.truth.found(room, room_id)
        for key, room in list(self.truth.making.items()):
            del self.truth.making[key]
            if room.id is None:
                room.tenant.rooms.remove(room)
                continue
            self.expect(room.id in self.log.rooms,
                        lambda: f"{room} was seen, and is lost")
            self.truth.made_room(room, {
                "room_id": room.id, "name": self.log.rooms[room.id].name})

    def _room(self, room, logged):
        seqs, head = logged.messages, logged.head
        self.expect(
            logged.first == room.first and
            len(seqs) == head - room.first + 1 and (not seqs or (
                min(seqs) == room.first and max(seqs) == head)),
            lambda: f"{room} has {len(seqs)} messages from {logged.first} "
            f"to {head}; it begins at {room.first}")
        self.expect(
            room.head <= head and room.rev <= logged.rev,
            lambda: f"{room} was at {room.head}, rev {room.rev}; the log "
            f"is at {head}, rev {logged.rev}")
        self.expect(
            logged.name in room.names,
            lambda: f"{room} is named {logged.name!r}, not one of "
            f"{room.names}")
        room.names = {logged.name}
        for seq in logged.fresh:
            self._message(room, logged.messages[seq])
        for send in room.sends:
            if send.seq is None or send.seq >= room.first:
                self._send(room, logged, send)
        for seq, send in room.seen.items():
            self.expect(
                seq < room.first or
                seq in seqs and seqs[seq].client == send.cmid,
                lambda: f"{send} was announced; the log has "
                f"{seqs.get(seq)} there")
        for rev, (seq, content) in room.revs.items():
            row = seqs.get(seq)
            self.expect(
                seq < room.first or
                row is not None and row.rev >= rev and
                (row.rev > rev or row.content == content),
                lambda: f"rev {rev} of {room} was announced; the log has "
                f"{row}")
        room.revs = {k: v for k, v in room.revs.items()
                     if v[0] in seqs and seqs[v[0]].rev == k}
        self._members(room, logged)

    def _message(self, room, row):
        """A row of the log is what somebody did."""
        send = self.truth.sends.get(row.client)
        self.expect(
            send is not None and send.room is room and
            send.user == row.sender,
            lambda: f"{room} has {row}, which nobody sent")
        self.expect(send.seq in (None, row.seq),
                    lambda: f"{send} is stored at {row.seq} too")
        send.seq = row.seq
        room.head = max(room.head, row.seq)
        room.seen.setdefault(row.seq, send)
        self.expect(
            send.created is None or
            milliseconds(send.created) == row.created,
            lambda: f"{send} was made at {send.created}, not {row}")
        meta = json.loads(row.meta) if row.meta is not None else None
        if row.deleted is not None:
            self.expect(
                row.content is None and row.meta is None and row.rev > 0,
                lambda: f"{send} is no clean tombstone: {row}")
        else:
            self.expect(meta == send.meta,
                        lambda: f"{send} has meta {row.meta}")
        self.expect((row.edited is None and row.deleted is None) ==
                    (row.rev == 0),
                    lambda: f"{send} has rev and times {row}")

    def _send(self, room, logged, send):
        """What was done to a message is what the log has of it."""
        row = logged.messages.get(send.seq)
        if send.refused is not None:
            self.expect(row is None or send.lost,
                        lambda: f"{send} was refused, and is stored")
        if row is None:
            self.expect(
                send.seq is None and not send.told,
                lambda: f"{send} was acknowledged, and is not in the log")
            return
        self.expect(row.client == send.cmid,
                    lambda: f"{send} is not where it was: {row}")
        self.expect(not send.told or send.firsts == 1 or send.lost,
                    lambda: f"{send} was never new")
        dead = row.deleted is not None
        self.expect(
            send.deleted == "maybe" or dead == (send.deleted == "yes"),
            lambda: f"{send} deleted: {send.deleted}; the log has {row}")
        send.deleted = "yes" if dead else "no"
        if not dead:
            self.expect(
                row.content in send.possible,
                lambda: f"{send} should be one of {send.possible}; the "
                f"log has {row}")
            send.possible = {row.content}

    def _members(self, room, logged):
        for user, pair in room.pairs.items():
            now = "in" if user in logged.members else "out"
            self.expect(
                pair.state in (now, "unsure"),
                lambda: f"{user} is {now} in the log of {room}; he was "
                f"{pair.state} since tick {pair.tick}")
            pair.state = now
            if now == "out":
                continue
            ack = logged.members[user]
            self.expect(
                pair.lo <= ack <= min(pair.hi, logged.head),
                lambda: f"last_ack of {user} in {room} is {ack}; it can be "
                f"{pair.lo} to {pair.hi}")
            pair.lo = pair.hi = ack
        self.expect(
            set(logged.members) <= set(room.pairs) and
            logged.count == len(logged.members),
            lambda: f"{room} has members {logged.members}, counted as "
            f"{logged.count}")

    # ---- devices and the log ----

    def _device(self, dev):
        """What the device lacks; None if nothing."""
        conn = dev.conn
        for room_id, logged in self.log.rooms.items():
            room = self.truth.rooms[room_id]
            if room.tenant is not dev.tenant:
                continue
            feed = conn.feeds.get(room_id)
            state = feed.state if feed is not None else "maybe"
            member = dev.user in logged.members
            if not member:
                if state == "in":
                    return f"it has not left {room}"
                continue
            if state != "in":
                return f"{room} is {state}, but {dev.user} is a member"
            said = self._feed(dev, room, logged, feed)
            if said is not None:
                return said
        for room_id, feed in conn.feeds.items():
            if feed.state == "in" and room_id not in self.log.rooms:
                return f"it still has {self.truth.rooms[room_id]}"
        return self.world.notes.lacks(dev) or self._presence(dev)

    def _feed(self, dev, room, logged, feed):
        pair = room.pair(dev.user)
        if feed.pos is None:
            # He joined, and nothing was sent since.
            after = [s for s in room.sends
                     if s.seq is not None and s.begun > pair.added]
            if after:
                return f"it has nothing of {room} since joining"
        elif feed.pos != logged.head:
            return f"it is at {feed.pos} of {logged.head} in {room}"
        if feed.name != logged.name and (
                feed.name is not None or
                room.naming > dev.conn.synced_at):
            return f"it knows {room} as {feed.name!r}"
        ack = logged.members[dev.user]
        if feed.joined is not None and feed.adds == pair.adds and \
                pair.adds == pair.calm[0] + 1 and \
                pair.removes <= pair.calm[1] + 1 and \
                not pair.acked and feed.first not in (None, ack + 1):
            # He joined once since the last calm, and his last_ack is still
            # the head at which he did.
            self.fail(f"{dev.name} joined {room} at {ack}, and got "
                      f"{feed.first} first", dev.conn)
        for seq, held in dev.held.get(room.id, {}).items():
            if seq < room.first:
                continue
            row = logged.messages.get(seq)
            if row is None or (held.content, held.rev, held.sender) != (
                    row.content, row.rev, row.sender):
                return (f"it holds {held} at {seq} of {room}; the log has "
                        f"{row}")
            if row.meta is None and held.meta is not None:
                return f"it holds meta {held.meta} of {row} in {room}"
        return None

    def _presence(self, dev):
        """Everybody it shares a room with is known as he is."""
        if "presence" in self.world.options.without:
            return None
        here = {d.user for d in self.world.devices if d.online()}
        fellows = set()
        for logged in self.log.rooms.values():
            if dev.user in logged.members:
                fellows |= set(logged.members)
        fellows = {u for u in fellows if u in dev.tenant.users}
        for user in fellows & here - {dev.user}:
            if dev.conn.presence.get(user) != "online":
                return f"it has not heard that {user} is online"
        for user in fellows - here:
            if dev.conn.presence.get(user) == "online" and \
                    self.world.away_since(user) < time.monotonic() - 6:
                return f"it has not heard that {user} is offline"
        return None

    # ---- the end ----

    async def by_rest(self):
        """What REST shows is the log."""
        await asyncio.to_thread(self.log.read, True)
        self._rooms()
        for tenant in self.world.tenants:
            for room in tenant.rooms:
                if room.alive():
                    await self._history(tenant, room)
        for dev in self.world.devices:
            await act_rooms(dev, Action("rooms", 0.5, 0, 0, 0))
            await self.world.notes.by_rest(dev)

    async def webhooks(self):
        """All that was to be sent has been."""
        end = time.monotonic() + self.world.limit
        while True:
            await asyncio.to_thread(self.log.rest)
            if not self.log.outbox and not self.log.deliveries or \
                    time.monotonic() > end:
                break
            await asyncio.sleep(0.1)
        self.world.hooks.take()
        self.world.hooks.compare(self.log, last=True)

    async def _history(self, tenant, room):
        logged, more = self.log.rooms[room.id], True
        after = room.first - 1
        path = f"/rooms/{room.id}/messages"
        while more:
            answer = await rest(tenant.steward, "GET",
                                f"{path}?after_seq={after}&limit=100",
                                backend=True)
            self.expect(answer.status == 200, lambda: f"{answer}")
            more = answer.json["has_more"]
            for message in answer.json["messages"]:
                self._shown(room, message, logged, after + 1)
                after = message["seq"]
        self.expect(after == logged.head,
                    lambda: f"GET of {room} ends at {after}, not "
                    f"{logged.head}")
        step = max(1, len(room.sends) // 20)
        for send in [s for s in room.sends if s.id is not None and
                     s.seq >= room.first][::step]:
            answer = await rest(tenant.steward, "GET", f"{path}/{send.id}",
                                backend=True)
            self.expect(answer.status == 200,
                        lambda: f"GET of {send}: {answer}")
            self._shown(room, answer.json, logged, send.seq)

    def _shown(self, room, message, logged, seq):
        self.truth.shown(room, message)
        row = logged.messages[seq]
        self.expect(
            message["seq"] == seq and
            message.get("content") == row.content and
            message.get("rev", 0) == row.rev and
            ("deleted_at" in message) == (row.deleted is not None) and
            ("edited_at" in message) == (row.edited is not None and
                                         row.deleted is None),
            lambda: f"GET shows {message} in {room}; the log has {row}")

    def database(self):
        """The file itself, after the server has ended."""
        said = self.log.integrity()
        self.expect(said == ["ok"], f"integrity_check: {said}")
