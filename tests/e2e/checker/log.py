# SPDX-License-Identifier: MIT
"""The server's log, read from its database while nothing moves.

Only what has changed since the last time is read: new messages by seq,
changed ones by rev.  whole=True reads everything again.
"""
import json
import os
import sqlite3
from collections import namedtuple

Row = namedtuple("Row", "seq sender content meta created client rev edited "
                 "deleted")
COLUMNS = ("seq, sender, content, meta, created_ms, client_msg_id, rev, "
           "edited_ms, deleted_ms")


class LogRoom:
    def __init__(self, number, token):
        self.number = number
        self.token = token
        self.name = None
        self.metadata = None
        self.head = 0
        self.rev = 0
        self.first = 1
        self.count = 0          # members, as room_head has it
        self.members = {}       # user -> last_ack
        self.messages = {}      # seq -> Row
        self.fresh = []         # seqs read this time


class Log:
    def __init__(self, directory):
        self.path = os.path.join(directory, "chatapi.db")
        self.rooms = {}         # room_id -> LogRoom
        self.inbox = []         # (notification, user, tenant), tokens
        self.notes = {}         # notification_id -> key
        self.outbox = set()     # what has recipients to be found
        self.deliveries = set()     # what is to be sent
        self.dead = []

    def _open(self):
        db = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True,
                             timeout=20)
        db.execute("BEGIN")
        return db

    def batch(self):
        """Number of the last commit."""
        db = self._open()
        try:
            return db.execute("SELECT max(n) FROM batch").fetchone()[0]
        finally:
            db.close()

    def read(self, whole=False):
        db = self._open()
        try:
            was = {} if whole else self.rooms
            self.rooms = {}
            for number, token, name, metadata in db.execute(
                    "SELECT id, token, name, metadata FROM room"):
                room = was.get("room_" + token)
                room = room or LogRoom(number, token)
                room.name = name
                self.rooms["room_" + token] = room
                self._room(db, room)
            self._rest(db)
        finally:
            db.close()

    def rest(self):
        """Only what waits to be sent."""
        db = self._open()
        try:
            self._rest(db)
        finally:
            db.close()

    def _rest(self, db):
        notes = {n: ("ntf_" + token, payload) for n, token, payload in
                 db.execute("SELECT id, token, payload FROM notification")}
        self.notes = {token: json.loads(payload)["key"]
                      for token, payload in notes.values()}
        self.inbox = db.execute(
            "SELECT n.token, i.user, t.public_id FROM inbox i "
            "JOIN notification n ON n.id = i.notification "
            "JOIN tenant t ON t.id = i.tenant").fetchall()
        rooms = {r.number: room_id for room_id, r in self.rooms.items()}

        def what(kind, number, seq):
            if kind == 1:
                return "message", rooms.get(number), seq
            return "notification", notes.get(number, (None,))[0]

        self.outbox = {what(*row) for row in db.execute(
            "SELECT kind, room, seq FROM outbox")}
        self.deliveries, self.dead = set(), []
        for *row, user, state, error in db.execute(
                "SELECT kind, room, seq, recipient, state, error "
                "FROM delivery"):
            if state == 0:
                self.deliveries.add((*what(*row), user))
            else:
                self.dead.append((*what(*row), user, error))

    def _room(self, db, room):
        n, old_head, old_rev = room.number, room.head, room.rev
        room.head, room.first, room.rev, room.count = db.execute(
            "SELECT last_seq, first_seq, rev, members FROM room_head "
            "WHERE room = ?", (n,)).fetchone()
        room.members = dict(db.execute(
            "SELECT user, last_ack FROM member WHERE room = ?", (n,)))
        room.fresh = []
        # What was trimmed may still be there for a while.
        for seq in [s for s in room.messages if s < room.first]:
            del room.messages[seq]
        for where, value in (("seq", old_head), ("rev", old_rev)):
            for row in db.execute(
                    f"SELECT {COLUMNS} FROM message WHERE room = ? AND "
                    f"{where} > ? AND seq >= ?", (n, value, room.first)):
                row = Row(*row)
                room.messages[row.seq] = row
                room.fresh.append(row.seq)

    def integrity(self):
        """What PRAGMA integrity_check says; ["ok"] is good."""
        db = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        try:
            return [r[0] for r in db.execute("PRAGMA integrity_check")]
        finally:
            db.close()
