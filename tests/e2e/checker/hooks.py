# SPDX-License-Identifier: MIT
"""Webhooks: an endpoint for each tenant, and what must and must not come.

Some users never connect (plan.py: ghosts): all that is theirs must
come, at least once.  Nothing may come for who was connected throughout.
"""
import collections
import zlib

from hook import Hook, verify

GRACE = 5.0             # seconds of the server's presence grace
SLACK = 0.3
UNDER_WAY = 5.0         # seconds that a request may take to come here
ENV = {"WEBHOOK_ALLOW_PRIVATE": "1", "RETRY_INTERVAL": "100ms",
       "RETRY_MAX_ATTEMPTS": "100"}


class Hooks:
    def __init__(self, world):
        self.world = world
        self.truth = world.truth
        self.report = world.report
        self.hooks = {}         # Tenant -> Hook
        self.judged = {}        # Hook -> calls looked at
        self.ids = {}           # what and for whom -> webhook-id
        self.subjects = {}      # the other way round
        self.got = {}           # what and for whom -> time of a success
        self.spans = collections.defaultdict(list)      # user -> [Conn]

    def expect(self, holds, what):
        self.report.expect(holds, what)

    def serve(self, tenant):
        hook = Hook(self._answer)
        self.hooks[tenant] = hook
        self.judged[hook] = 0
        hook.serve(tenant.api)

    def close(self):
        for hook in self.hooks.values():
            hook.close()

    @staticmethod
    def _answer(call):
        """Some fail, each time anew.  In a thread of its own."""
        call.ok = zlib.crc32(call.raw + call.headers[
            "webhook-timestamp"].encode()) % 100 >= 8
        return 200 if call.ok else 500

    # ---- who was here ----

    def _span(self, conn):
        """From when to when a connection was there, for certain."""
        end = conn.gone
        for at, slot, _ in self.world.faults.times:
            if at >= conn.here and slot in (conn.slot, None):
                end = at if end is None else min(end, at)
        return conn.here, end

    def _absent(self, user, begun, until):
        """There is a moment between the two at which he had been away for
        the grace."""
        since = 0.0             # the last one's end
        for here, gone in sorted((self._span(c) for c in self.spans[user]),
                                 key=lambda s: s[0]):
            if self._gap(since, here, begun, until):
                return True
            if gone is None:
                return False
            since = max(since, gone)
        return self._gap(since, until, begun, until)

    @staticmethod
    def _gap(since, here, begun, until):
        end = min(here, until)
        return end - since >= GRACE - SLACK and end >= begun

    # ---- what came ----

    def take(self):
        """Judges what has come since the last time."""
        for tenant, hook in self.hooks.items():
            calls = list(hook.calls)
            for call in calls[self.judged[hook]:]:
                self._judge(tenant, hook, call)
            self.judged[hook] = len(calls)

    def _judge(self, tenant, hook, call):
        try:
            verify(hook.secret, call.headers, call.raw, call.at)
        except AssertionError as e:
            self.report.fail(f"a webhook with a bad signature: {e}")
        self.world.count("webhooks")
        self.expect(call.json["tenant_id"] == tenant.api.id,
                    lambda: f"{call.json} came to {tenant.plan.name}")
        if call.json["event"] == "message.new":
            subject, begun = self._message(tenant, call)
        else:
            subject, begun = self._notification(tenant, call)
        self.expect(
            self._absent(call.recipient, begun, call.mono),
            lambda: f"a webhook for {call.recipient}, who was connected: "
            f"{str(call.json)[:400]}")
        self.expect(
            self.ids.setdefault(subject, call.id) == call.id and
            self.subjects.setdefault(call.id, subject) == subject,
            lambda: f"{subject} came as {self.ids[subject]} and {call.id}, "
            f"which is {self.subjects.get(call.id)}")
        if not getattr(call, "ok", False):
            return
        was = self.got.get(subject)
        self.expect(
            was is None or any(at >= was - UNDER_WAY and courier for
                               at, _, courier in self.world.faults.times),
            lambda: f"{subject} came again after it was answered; nobody "
            "had killed the courier")
        self.got[subject] = call.mono

    def _message(self, tenant, call):
        room = self.truth.room(call.json["room_id"])
        message, user = call.json["message"], call.recipient
        self.expect(
            room.tenant is tenant and room.type != "channel" and
            call.json["room_metadata"] == {"key": room.key} and
            "deleted_at" not in message,
            lambda: f"a webhook of {room}: {call.json}")
        send = self.truth.shown(room, message)
        pair = room.pairs.get(user)
        self.expect(
            user != send.user and pair is not None and pair.adds > 0,
            lambda: f"a webhook of {send} for {user}, who is no member")
        self.expect(
            pair.removed is None or pair.busy or pair.state != "out" or
            send.begun < pair.removed,
            lambda: f"a webhook of {send}, begun at {send.begun}, for "
            f"{user}, removed at {pair.removed}")
        return ("message", room.id, send.seq, user), send.begun_at

    def _notification(self, tenant, call):
        note = self.world.notes.shown(tenant, call.recipient,
                                      call.json["notification"])
        ack = note.acks.get(call.recipient)
        self.expect(
            ack is None or ack.done is None or
            ack.done_at > call.mono - UNDER_WAY,
            lambda: f"a webhook of {note} for {call.recipient}, who had "
            "acknowledged it")
        return ("notification", note.id, call.recipient), note.begun_at

    # ---- what had to come ----

    def compare(self, log, last=False):
        """What is theirs who never come has come, or is noted."""
        self.expect(not log.dead, lambda: f"dead letters: {log.dead}")
        self.expect(
            not last or not (log.outbox or log.deliveries),
            lambda: f"still to be sent: {log.outbox} {log.deliveries}")
        for tenant in self.world.tenants:
            for room in tenant.rooms if tenant.plan.hook else ():
                if room.type != "channel" and room.alive():
                    self._owed(room, log.rooms[room.id],
                               set(tenant.plan.ghosts), log)
        for note in self.world.notes.by_key.values():
            for user in set(note.tenant.plan.ghosts) & (note.must or set()):
                self.expect(
                    ("notification", note.id, user) in self.got or
                    ("notification", note.id, user) in log.deliveries or
                    ("notification", note.id) in log.outbox,
                    lambda: f"no webhook of {note} for {user}")

    def _owed(self, room, logged, never, log):
        for user in never & set(room.pairs):
            pair = room.pairs[user]
            if pair.state != "in" or pair.busy or pair.removed is not None:
                continue
            for send in room.sends:
                row = logged.messages.get(send.seq)
                if row is None or row.deleted is not None or \
                        send.deleting is not None or send.user == user or \
                        send.begun <= pair.added:
                    continue
                self.expect(
                    ("message", room.id, send.seq, user) in self.got or
                    ("message", room.id, send.seq, user) in
                    log.deliveries or
                    ("message", room.id, send.seq) in log.outbox,
                    lambda: f"no webhook of {send} for {user}, a member "
                    f"since {pair.added}")
