# SPDX-License-Identifier: MIT
"""Hundreds of WebSockets in one thread, which come, behave and go."""
import heapq
import itertools
import selectors
import socket
import ssl
import time

from many import raise_files
from tokens import bearer

from .client import EXITS, MANNERS, UNSURE, Client
from .tide import Actor

AGAIN = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
# Closes that a client may get without having done anything.
RIGHTFUL = {1008, 1012, 4103, 4108, 1000}
PAUSE_MOST = 20.0
# Seconds until a server that goes on sending is not excused any more.
CUT_MOST = 90.0


class Flock(Actor):
    pause = 0

    def __init__(self, world, size):
        super().__init__(world, "flock")
        raise_files()
        self.size = size
        self.selector = selectors.DefaultSelector()
        self.clients = set()
        self.due = []           # (when, number, client, what)
        self.number = itertools.count()
        self.heads = {}         # (tenant, user) -> {room: seq}
        self.messages = 0
        self.next_send = 0

    # ---- coming ----

    def pick(self, table):
        return self.rng.choices(list(table), list(table.values()))[0]

    def identity(self, tenant, user):
        """(path, headers): by key, JWT or a token that others fetched."""
        x = self.rng.random()
        if x < 0.3:
            token = tenant.take_ws_token(user)
            if token:
                return f"/ws?token={token}", {}
        if x < 0.6:
            return "/ws", bearer(tenant.issuer.token(user, seconds=1200))
        return "/ws", tenant.headers(user)

    def come(self):
        rng = self.rng
        tenant = rng.choice(self.world.tenants)
        user = rng.choice(tenant.users)
        manner, exit_ = self.pick(MANNERS), self.pick(EXITS)
        path, headers = self.identity(tenant, user)
        if "resume" in manner:
            path += ("&" if "?" in path else "?") + "resume=1"
        try:
            c = Client(self, tenant, user, manner, exit_, path, headers,
                       rng.random() < 0.2)
        except OSError as e:
            self.lost("connect", e)
            return
        self.world.count("ws connects")
        self.clients.add(c)
        self.selector.register(c.sock, selectors.EVENT_READ, c)
        life = rng.expovariate(1 / self.world.options.life)
        self.later(life, c, "end")
        if manner in ("slow", "stalled"):
            self.later(rng.uniform(0.2, 2), c, "pause")

    def later(self, seconds, client, what):
        heapq.heappush(self.due, (time.monotonic() + seconds,
                                  next(self.number), client, what))

    # ---- a turn ----

    def turn(self):
        for _ in range(min(4, self.size - len(self.clients))):
            self.come()
        now = time.monotonic()
        while self.due and self.due[0][0] <= now:
            _, _, client, what = heapq.heappop(self.due)
            if client in self.clients:
                getattr(self, "_" + what)(client)
        if now >= self.next_send and self.clients:
            self.next_send = now + 0.03 / self.world.options.rate
            self.act(self.rng.choice(tuple(self.clients)))
        for key, _ in self.selector.select(0.02):
            if key.data in self.clients:
                self.read(key.data)

    def read(self, c):
        try:
            while True:
                data = c.sock.recv(65536)
                if not data:
                    break
                c.heard = time.monotonic()
                c.take(data)
                if not c.tls or not c.sock.pending():
                    return
        except AGAIN:
            return
        except OSError:
            pass
        except AssertionError as e:
            self.refused(c, str(e))
            self.drop(c)
            return
        self.gone(c)

    def refused(self, c, text):
        """The handshake's answer was not 101, or worse."""
        self.world.count("ws refused")
        if "HTTP/1.1 503" in text or "HTTP/1.1 401" in text and \
                "token=wst_" in text:
            return
        if "HTTP/1.1 401" in text:      # a token that was used or is old
            self.world.count("ws token refused")
            return
        c.fault(f"refused: {text[:300]}")

    def gone(self, c):
        """The server has ended it."""
        self.world.count(f"ws closed {c.code}")
        # Half a handshake is waited for 15 s.
        if not c.leaving and c.code is None and c.manner != "half":
            self.lost(f"ws of {c.user} ({c.manner})", "end of stream",
                      c.deaf)
        if c.code is not None and c.code not in RIGHTFUL and \
                c.exit != "break":
            c.fault(f"closed with {c.code}")
        self.drop(c)

    def lost(self, what, why, since=None):
        self.world.lost(f"{what}: {why}", since)

    def drop(self, c):
        self.clients.discard(c)
        if c.settled():
            self.heads.setdefault((c.tenant.id, c.user), {}).update(
                c.settled())
        if c.reading:
            self.selector.unregister(c.sock)
        c.sock.close()

    # ---- what falls due ----

    def _end(self, c):
        if not c.reading:
            self.selector.register(c.sock, selectors.EVENT_READ, c)
            c.reading = True
        c.left = time.monotonic()
        if c.leave():
            self.drop(c)
        else:
            # Cut off if the server does not end it.
            self.later(15, c, "cut")

    def _cut(self, c):
        # What it had not read yet, perhaps megabytes, comes before the end.
        now = time.monotonic()
        if now - c.heard < 15 and now - c.left < CUT_MOST:
            self.later(5, c, "cut")
            return
        if c.exit in ("close", "break"):
            c.fault(f"the server did not end it; since then came "
                    f"{dict(c.after)}, {len(c.buf)} bytes, code {c.code}; "
                    f"open {c.open}, synced {c.synced}, tls {c.tls}")
        self.drop(c)

    def _pause(self, c):
        if c.reading and not c.leaving:
            c.reading = False
            c.deaf = time.monotonic()
            self.selector.unregister(c.sock)
            if c.manner == "slow":
                self.later(self.rng.uniform(1, PAUSE_MOST), c, "read_again")

    def _read_again(self, c):
        if not c.reading:
            c.reading = True
            self.selector.register(c.sock, selectors.EVENT_READ, c)
            self.later(self.rng.uniform(1, 5), c, "pause")

    # ---- what they say ----

    def act(self, c):
        if not c.synced or c.leaving or c.manner not in ("normal", "resume"):
            return
        rng, rooms = self.rng, c.tenant.rooms_of(c.user)
        x = rng.random()
        if x < 0.5 and rooms:
            c.new_message(rng.choice(rooms), self.world.content(rng),
                          f"w{next(self.number)}")
        elif x < 0.8:
            for room, seq in c.settled().items():
                c.say(type="ack", room_id=room, seq=seq)
        elif x < 0.88 and rooms:
            c.say(type=rng.choice(("typing.start", "typing.stop")),
                  room_id=rng.choice(rooms))
        elif x < 0.94 and c.settled():
            room = rng.choice(tuple(c.settled()))
            after = max(0, c.seqs[room] - rng.randrange(200))
            c.seqs[room] = UNSURE
            c.say(type="subscribe", room_id=room, after_seq=after,
                  request_id="sub " + room)
        elif x < 0.97:
            c.say(type="ping", request_id="p")
        else:
            c.say(type=rng.choice(("nonsense", "ack", "send_message")),
                  request_id="bad")

    def leave(self):
        for c in list(self.clients):
            if c.reading:
                self.read(c)        # what was acknowledged counts
            if c in self.clients:
                c.leave(now=True)
                self.drop(c)
        self.due.clear()


def reset(sock):
    """A socket that is closed with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    b"\1\0\0\0\0\0\0\0")
    sock.close()
