# SPDX-License-Identifier: MIT
"""What clients did, what they were told, and what any of them has seen.

Times are ticks of the report.  What is not known (an answer was lost) is
kept as a set of what it may be, until the log is read in a calm.
"""
import asyncio
import itertools
import math
import time


class Send:
    """A message somebody sends, for as long as the checker runs."""

    def __init__(self, cmid, room, user, content, meta, begun):
        self.cmid = cmid
        self.room = room
        self.user = user
        self.content = content
        self.meta = meta
        self.begun = begun
        self.begun_at = time.monotonic()
        self.seq = None             # as told or seen
        self.id = None
        self.created = None
        self.firsts = 0             # answers that it was new
        self.told = False
        self.lost = False           # an attempt had no answer
        self.refused = None         # code, once given up
        self.versions = {content: begun}    # every content ever tried
        self.possible = {content}   # what it may be now
        self.deleting = None        # tick of the first attempt
        self.deleted = "no"         # no, maybe, yes
        self.lock = asyncio.Lock()  # of changes
        self.edits = 0

    def __repr__(self):
        return f"{self.cmid} (seq {self.seq} of {self.room.key})"


class Pair:
    """A user and a room."""

    def __init__(self):
        self.state = "out"      # out, in, unsure (until the next calm)
        self.busy = 0           # changes under way
        self.tick = 0           # of the last thing that happened
        self.adds = 0           # begun ever
        self.removes = 0
        self.calm = (0, 0)      # both at the last calm
        self.removed = None     # when the last removal was answered
        self.added = None       # when the last adding was answered
        self.founder = False
        self.lo = 0             # last_ack is at least this
        self.hi = 0             # and at most this
        self.acked = False      # since he joined
        self.lock = asyncio.Lock()

    def sure(self, state, since):
        """It has been so, for certain, from `since` to now."""
        return self.state == state and self.busy == 0 and \
            self.tick <= since


class Room:
    numbers = itertools.count(1)

    def __init__(self, tenant, plan, members):
        self.plan = plan
        self.key = f"{plan.key}#{next(Room.numbers)}"
        self.type = plan.type
        self.tenant = tenant
        self.id = None
        self.made = None        # tick of the answer
        self.founders = frozenset(members)
        self.pairs = {}
        self.head = 0           # a message with this seq is known
        self.first = 1          # those below were trimmed
        self.rev = 0            # a change with this rev is known
        self.seen = {}          # seq -> Send
        self.revs = {}          # rev -> (seq, content or None)
        self.sends = []
        self.names = set()      # what the name may be now
        self.names_ever = set()
        self.naming = 0         # tick at which the last one was begun
        self.lock = asyncio.Lock()
        self.deleting = None    # ticks
        self.deleted = None

    def pair(self, user):
        return self.pairs.setdefault(user, Pair())

    def members(self, state="in"):
        return [u for u, p in self.pairs.items() if p.state == state]

    def alive(self):
        return self.id is not None and self.deleting is None

    def __repr__(self):
        return f"{self.key} ({self.id})"


class Truth:
    def __init__(self, report):
        self.report = report
        self.rooms = {}         # room_id -> Room
        self.making = {}        # key -> Room, not answered yet
        self.sends = {}         # cmid -> Send
        self.typed = set()      # (room, user) that ever typed
        self.numbers = itertools.count(1)

    # ---- rooms and members ----

    def room(self, room_id, conn=None):
        room = self.rooms.get(room_id)
        if room is None:
            self.report.fail(f"{room_id} is a room nobody made", conn)
        return room

    def room_of_object(self, obj, conn=None):
        """The room that a room object describes; a new one is known by
        the key in its metadata, which may arrive before the answer."""
        if obj["room_id"] not in self.rooms:
            key = (obj["metadata"] or {}).get("key")
            room = self.making.get(key)
            self.report.expect(room is not None,
                               f"{obj} is a room nobody made", conn)
            self.found(room, obj["room_id"])
        room = self.rooms[obj["room_id"]]
        self.report.expect(
            obj["type"] == room.type and
            obj["metadata"] == {"key": room.key},
            lambda: f"{room} is said to be {obj}", conn)
        return room

    def found(self, room, room_id):
        """The id of a room being made has become known."""
        self.report.expect(
            room.id in (None, room_id) and
            self.rooms.get(room_id, room) is room,
            lambda: f"{room} was made again as {room_id}")
        room.id = room_id
        self.rooms[room_id] = room

    def making_room(self, room):
        self.making[room.key] = room
        tick = self.report.note(f"making {room.key}")
        for user in room.founders:
            pair = room.pair(user)
            pair.adds, pair.busy, pair.founder = 1, 1, True
            pair.tick = tick

    def made_room(self, room, obj):
        self.found(room, obj["room_id"])
        del self.making[room.key]
        room.made = self.report.note(f"made {room}")
        room.names = {obj["name"]}
        room.names_ever.add(obj["name"])
        for user in room.founders:
            pair = room.pair(user)
            pair.state, pair.busy = "in", 0
            pair.tick = pair.added = room.made

    def begin_member(self, room, user, adding):
        pair = room.pair(user)
        pair.busy += 1
        pair.tick = self.report.note(
            f"{'add' if adding else 'remove'} {user} in {room.key}")
        if adding and pair.state != "in":
            pair.adds += 1
            pair.lo = max(pair.lo, room.head)
            pair.hi = math.inf
            pair.acked = False
            pair.founder = False
        elif not adding:
            pair.removes += 1
        return pair

    def end_member(self, room, user, adding, outcome):
        """outcome: done, refused (nothing happened), unknown."""
        pair = room.pair(user)
        pair.busy -= 1
        pair.tick = self.report.note(
            f"{'add' if adding else 'remove'} {user} in {room.key}: "
            + outcome)
        if outcome == "unknown":
            pair.state = "unsure"
        elif outcome == "done" and pair.state != "unsure":
            was, pair.state = pair.state, "in" if adding else "out"
            if adding and was == "in":
                pass
            elif adding:
                pair.added, pair.removed = pair.tick, None
            else:
                pair.removed = pair.tick

    # ---- messages ----

    def begin_send(self, cmid, room, user, content, meta):
        send = Send(cmid, room, user, content, meta, self.report.step())
        self.sends[cmid] = send
        room.sends.append(send)
        return send

    def told(self, send, answer, first, conn=None):
        """A send was answered with a message."""
        self.report.expect(
            answer["room_id"] == send.room.id and
            answer.get("client_msg_id", send.cmid) == send.cmid,
            lambda: f"{send} was answered with {answer}", conn)
        self._place(send, answer["seq"], answer, conn)
        send.told = True
        send.refused = None
        if first:
            send.firsts += 1
            self.report.expect(
                send.firsts == 1,
                f"{send} was new {send.firsts} times", conn)

    def _place(self, send, seq, shown, conn):
        """A message is shown with this seq, id and time, as always."""
        now = (seq, shown["message_id"], shown["created_at"])
        if send.seq is None:
            send.seq, send.id, send.created = now
        self.report.expect(
            (send.seq, send.id, send.created) == now,
            lambda: f"{send} was {send.seq} {send.id} {send.created}, "
            f"then {now}", conn)
        other = send.room.seen.setdefault(seq, send)
        self.report.expect(
            other is send,
            lambda: f"{send.room} has {other} and {send} at {seq}", conn)
        send.room.head = max(send.room.head, seq)

    def shown(self, room, message, conn=None):
        """Somebody is shown a message, in a frame or an answer; returns
        its Send, None for an unknown tombstone."""
        seq = message["seq"]
        if "deleted_at" in message:
            send = room.seen.get(seq)
            if send is None:
                room.head = max(room.head, seq)
                return None
            self.report.expect(
                send.deleting is not None,
                lambda: f"{send} is shown as deleted; nobody did", conn)
            self._place(send, seq, message, conn)
        else:
            send = self._by_content(room, message, conn)
            self._place(send, seq, message, conn)
            self.report.expect(
                message.get("meta") == send.meta,
                lambda: f"{send} is shown with meta "
                f"{message.get('meta')!r}", conn)
            self.report.expect(
                ("edited_at" in message) or
                message["content"] == send.content,
                lambda: f"{send} is shown changed, without edited_at", conn)
        self.report.expect(
            message["sender_id"] == send.user,
            lambda: f"{send} is shown as sent by {message['sender_id']}",
            conn)
        if "rev" in message:
            self._rev(room, message["rev"], seq, message.get("content"),
                      conn)
        return send

    def changed(self, room, frame, conn):
        """message.edited or message.deleted; returns its Send or None."""
        seq, content = frame["seq"], frame.get("content")
        send = room.seen.get(seq)
        if content is not None:
            send = self._by_content(room, frame, conn)
            self.report.expect(
                frame["sender_id"] == send.user,
                lambda: f"{send} changed by {frame['sender_id']}", conn)
        elif send is not None:
            self.report.expect(
                send.deleting is not None,
                lambda: f"{send} was deleted; nobody did", conn)
        if send is not None and send.id is not None:
            self.report.expect(
                (send.seq, send.id) == (seq, frame["message_id"]),
                lambda: f"{frame} is said of {send} {send.id}", conn)
        self._rev(room, frame["rev"], seq, content, conn)
        return send

    def _by_content(self, room, message, conn):
        """Contents name their message, so each can be recognised."""
        send = self.sends.get(message["content"].partition(" ")[0])
        self.report.expect(
            send is not None and send.room is room and
            message["content"] in send.versions,
            lambda: f"{str(message)[:300]} in {room}, which nobody sent "
            "there", conn)
        return send

    def _rev(self, room, rev, seq, content, conn):
        """A room's rev is one state of one message, for everybody."""
        was = room.revs.setdefault(rev, (seq, content))
        self.report.expect(
            was == (seq, content),
            lambda: f"rev {rev} of {room} was {was}, then "
            f"{(seq, content)}", conn)
        room.rev = max(room.rev, rev)

    # ---- cursors ----

    def begin_ack(self, room, user, seq):
        """Returns the least that the answer may be."""
        pair = room.pair(user)
        pair.hi = max(pair.hi, seq)
        pair.acked = True
        return max(pair.lo, min(seq, room.head))

    def acked(self, room, user, at_least, cursor, conn=None):
        pair = room.pair(user)
        self.report.expect(
            at_least <= cursor <= pair.hi,
            lambda: f"an ack of {user} in {room} was answered with "
            f"{cursor}; it can be {at_least} to {pair.hi}", conn)
        pair.lo = max(pair.lo, cursor)
