# SPDX-License-Identifier: MIT
"""One WebSocket of the flock: what it checks of what it is sent.

That its rooms' messages rise by one, that answers are those expected, and
that nobody closes it without a reason.  A client has a way of behaving and
a way of leaving, and some of these are bad.
"""
import base64
import collections
import json
import os
import socket
import ssl
import struct

from harness import DEADLINE
from many import CLOSE, PING, TEXT, Member
from raw import frame

# How it behaves, and how often.
MANNERS = {"normal": 60, "mute": 8, "slow": 14, "stalled": 4, "resume": 10,
           "silent-resume": 2, "half": 2}
# How it leaves.
EXITS = {"close": 40, "reset": 25, "fin": 15, "shut": 8, "break": 12}

# What breaks a WebSocket, each in its own way.
BREAKS = (
    b"\x81\x05hello",                                   # not masked
    frame(2, b"\x00" * 20),                             # binary
    frame(1, b"\xff\xfe\xfd"),                          # no UTF-8
    frame(1, b"x", rsv=4),                              # a reserved bit
    frame(9, b"x" * 126),                               # a long ping
    b"\x81\xff" + struct.pack(">Q", 1 << 40) + b"\0\0\0\0",  # too big
    frame(8, b"\x03"),                                  # half a code
)
# Of a room of which it has asked for older messages: any may come.
UNSURE = -1


class Client(Member):
    def __init__(self, flock, tenant, user, manner, exit_, path, headers,
                 tls):
        super().__init__(user, None)
        self.flock = flock
        self.tenant = tenant
        self.manner = manner
        self.exit = exit_
        self.seqs = {}          # room -> seq sent last, or UNSURE
        self.pending = {}       # client_msg_id -> (room, content)
        self.code = None
        self.leaving = False    # what happens now is its own doing
        self.told = False       # server.shutdown has come
        self.tls = tls
        self.epoch = None
        self.deaf = None        # when it stopped reading
        self.after = collections.Counter()  # frames since it wants to go
        self.heard = 0          # when something came last
        self.left = 0           # when it began to go
        self.sock = self._dial(tls, manner in ("slow", "stalled"))
        try:
            self._ask(path, headers)
            self.sock.setblocking(False)
        except BaseException:
            self.sock.close()
            raise

    def _dial(self, tls, small):
        server = self.flock.world.server
        s = socket.socket()
        try:
            if small:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.settimeout(DEADLINE)
            s.connect(("127.0.0.1", server.tls_port if tls else server.port))
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                s = self.flock.world.tls.wrap_socket(
                    s, server_hostname="localhost")
            return s
        except BaseException:
            s.close()
            raise

    def _ask(self, path, headers):
        h = {"Host": "localhost", "Upgrade": "websocket",
             "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
             **headers}
        text = f"GET {path} HTTP/1.1\r\n" + "".join(
            f"{k}: {v}\r\n" for k, v in h.items())
        if self.manner != "half":
            text += "\r\n"
        self.sock.sendall(text.encode())

    # ---- what it sends ----

    def send_raw(self, data):
        """All or, when the buffer is full, none that matters."""
        try:
            self.sock.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError,
                ssl.SSLWantReadError):
            pass
        except OSError:
            self.leaving = True

    def say(self, **value):
        self.send_raw(frame(TEXT, json.dumps(value)))

    def new_message(self, room, content, name):
        self.pending[name] = (room, content)
        self.say(type="send_message", room_id=room, content=content,
                 client_msg_id=name, request_id=name)

    # ---- what it gets ----

    def fault(self, text):
        self.flock.world.fault(
            f"{self.user} ({self.manner}, {self.exit}): {text}")

    def frame(self, opcode, payload):
        if opcode == PING:
            if self.manner != "mute":
                self.send_raw(frame(10, payload))
        elif opcode == CLOSE:
            self.code = int.from_bytes(payload[:2], "big")
            self.send_raw(frame(8, payload[:2]))
            self.leaving = True
        elif opcode == TEXT:
            self.text(payload)

    def text(self, payload):
        got = json.loads(payload)
        if self.leaving:
            self.after[got["type"]] += 1
        handle = getattr(self, "_" + got["type"].replace(".", "_"), None)
        if handle is not None:
            handle(got)

    def _welcome(self, got):
        self.epoch = got["epoch"]
        if self.manner == "resume":
            cursors = {r: {"seq": s, "rev": 0} for r, s in
                       self.flock.heads.get((self.tenant.id, self.user),
                                            {}).items()}
            self.say(type="resume", epoch=self.epoch, cursors=cursors)

    def _message(self, got):
        room, seq = got["room_id"], got["seq"]
        last = self.seqs.get(room)
        if last == UNSURE:
            return
        if last is not None and seq != last + 1:
            self.fault(f"{room}: {seq} after {last}")
        self.seqs[room] = seq
        self.flock.messages += 1

    def _message_sent(self, got):
        room, content = self.pending.pop(got["client_msg_id"])
        self.flock.world.truth.sent(room, got["seq"], content)

    def _room_joined(self, got):
        self.seqs.pop(got["room"]["room_id"] if "room" in got
                      else got["room_id"], None)

    def _room_left(self, got):
        self.seqs.pop(got["room_id"], None)

    _room_deleted = _room_left

    def _sync_complete(self, got):
        self.synced = True
        name = got.get("request_id", "")
        if name.startswith("sub "):
            self.seqs.pop(name[4:], None)

    def _notification(self, got):
        if self.manner == "normal":
            self.say(type="notification.ack",
                     notification_id=got["notification_id"])

    def _server_shutdown(self, got):
        self.told = True

    def _error(self, got):
        self.flock.world.count("frame error " + got["code"])
        if got["code"] == "internal_error":
            self.fault(f"{got}")

    # ---- how it goes ----

    def settled(self):
        return {r: s for r, s in self.seqs.items() if s != UNSURE}

    def leave(self, now=False):
        """Begins to end it; True when nothing is left to wait for."""
        self.leaving = True
        exit_ = self.exit
        if exit_ == "break" and self.open and not now:
            self.send_raw(self.flock.rng.choice(BREAKS))
            return False
        if exit_ == "close" and self.open:
            self.send_raw(frame(8, b"\x03\xe8"))
            return now
        if exit_ == "shut" and not now and not self.tls:
            try:
                self.sock.shutdown(socket.SHUT_WR)
                return False
            except OSError:
                return True
        if exit_ == "reset":
            self.reset()
        return True

    def reset(self):
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                 struct.pack("ii", 1, 0))
        except OSError:
            pass
