# SPDX-License-Identifier: MIT
"""Many WebSockets that come back whenever they are sent away: each resumes
by its cursor and checks that it gets its room's messages once and in order.
And those who send to these rooms by REST."""
import base64
import http.client
import json
import os
import random
import selectors
import socket
import threading
import time

from client import Rest
from harness import DEADLINE
from many import CLOSE, Member, number_after, raise_files


class Fan(Member):
    """A device of one user in one room, over all its connections."""

    def __init__(self, crowd, user, room):
        super().__init__(user, None)
        self.crowd = crowd
        self.room = room
        self.epoch = None
        self.back_at = 0
        self.after_ms = None
        self.code = None
        self.connects = 0

    def connect(self):
        self.buf.clear()
        self.open = self.synced = False
        self.after_ms = self.code = None
        self.sock = socket.socket()
        self.sock.settimeout(DEADLINE)
        # Whoever refuses here, refuses the test.
        self.sock.connect(("127.0.0.1", self.crowd.server.port))
        headers = {
            "Host": "localhost", "Upgrade": "websocket",
            "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            **self.crowd.tenant.headers(self.user)}
        self.sock.sendall(("GET /ws?resume=1 HTTP/1.1\r\n" + "".join(
            f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode())
        self.connects += 1

    def send_text(self, value):
        data = json.dumps(value).encode()
        assert 125 < len(data) < 65536
        self.sock.sendall(bytes([0x81, 0x80 | 126]) + len(data).to_bytes(
            2, "big") + b"\0\0\0\0" + data)

    def frame(self, opcode, payload):
        if opcode == CLOSE:
            self.code = int.from_bytes(payload[:2], "big")
            try:
                self.sock.sendall(bytes([0x88, 0x82, 0, 0, 0, 0])
                                  + payload[:2])
            except OSError:
                pass
        else:
            super().frame(opcode, payload)

    def text(self, payload):
        type_ = payload[9:payload.index(b'"', 9)]
        if type_ == b"welcome":
            at = payload.index(b'"epoch":"') + 9
            self.epoch = payload[at:payload.index(b'"', at)].decode()
            self.send_text({"type": "resume", "epoch": self.epoch, "pad":
                            "x" * 100, "cursors": {
                                self.room: {"seq": self.last, "rev": 0}}})
        elif type_ == b"server.shutdown":
            self.after_ms = number_after(payload, b'"reconnect_after_ms":')
        else:
            super().text(payload)


class Crowd:
    def __init__(self, server, tenant, rooms, size, senders=4, pause=0.05):
        raise_files()
        self.server = server
        self.tenant = tenant
        self.selector = selectors.DefaultSelector()
        users = [[f"u{i}" for i in range(n, size, rooms)]
                 for n in range(rooms)]
        backend = tenant.backend()
        self.rooms = [backend.make_room(u)["room_id"] for u in users]
        self.fans = [Fan(self, u, room) for room, us in
                     zip(self.rooms, users) for u in us]
        self.away = list(self.fans)
        self.pause = pause
        self.stopped = threading.Event()
        self.acked = {}         # client_msg_id -> (room, seq)
        self.retried = []
        self.faults = []
        self.codes = {}
        self.senders = [threading.Thread(target=self._send, args=(i,))
                        for i in range(senders)]

    # ---- who sends ----

    def _send(self, number):
        # One who keeps his connection, one who makes a new one each time.
        rest, n = None, 0
        while not self.stopped.is_set():
            room = random.choice(self.rooms)
            n += 1
            name = f"s{number}-{n}"
            while True:
                if rest is None or number % 2:
                    rest = Rest(self.server, self.tenant.headers())
                try:
                    got = rest.post(
                        f"/rooms/{room}/messages",
                        {"content": name, "client_msg_id": name},
                        headers={"X-User-Id": self._user(room)})
                    if got.status not in (200, 201):
                        self.faults.append(f"{name}: {got!r}")
                    else:
                        self.acked[name] = (room, got.json["seq"])
                    break
                except ConnectionRefusedError as e:
                    self.faults.append(f"{name}: {e}")
                    return
                except (OSError, http.client.HTTPException) as e:
                    self.retried.append(repr(e))
                    rest = None
            time.sleep(self.pause)

    def _user(self, room):
        return f"u{self.rooms.index(room)}"

    # ---- who listens ----

    def turn(self, timeout=0.02):
        now = time.monotonic()
        for fan in [f for f in self.away if f.back_at <= now]:
            self.away.remove(fan)
            fan.connect()
            self.selector.register(fan.sock, selectors.EVENT_READ, fan)
        for key, _ in self.selector.select(timeout):
            fan = key.data
            try:
                data = fan.sock.recv(262144)
            except ConnectionError:
                data = b""
            if data:
                fan.take(data)
            else:
                self.gone(fan)

    def gone(self, fan):
        self.selector.unregister(fan.sock)
        fan.sock.close()
        self.codes[fan.code] = self.codes.get(fan.code, 0) + 1
        if not fan.open:
            fan.faults.append("a handshake was not answered")
        if fan.code is None:
            fan.faults.append("it ended without a close frame")
        fan.back_at = time.monotonic() + (fan.after_ms or 0) / 1000
        self.away.append(fan)

    def all_there(self):
        return not self.away and all(f.synced for f in self.fans)

    def run_until(self, condition, what, deadline=None):
        end = time.monotonic() + (deadline or 3 * DEADLINE)
        while not condition():
            assert time.monotonic() < end, f"in vain until {what}: " \
                f"{len(self.away)} away, {self.found()}"
            self.turn()

    def start(self):
        self.run_until(self.all_there, "all were there")
        for s in self.senders:
            s.start()

    def end(self):
        """Nobody sends any more; all get everything, and it is right."""
        self.stopped.set()
        while any(s.is_alive() for s in self.senders):
            self.turn()
        heads = {}
        backend = self.tenant.backend()
        for room in self.rooms:
            log = backend.history(room)
            names = [m["content"] for m in log]
            assert [m["seq"] for m in log] == list(range(1, len(log) + 1))
            assert len(set(names)) == len(names), "a message is there twice"
            for m in log:
                assert self.acked.get(m["content"]) == (room, m["seq"]), m
            heads[room] = len(log)
        assert sum(heads.values()) == len(self.acked)
        self.run_until(
            lambda: all(f.last == heads[f.room] for f in self.fans),
            "all had all messages")
        self.turn(0.1)
        assert not self.found(), self.found()
        assert all(f.last == heads[f.room] for f in self.fans)

    def found(self):
        return (self.faults + [(f.user, f.faults) for f in self.fans
                               if f.faults])[:5]

    def close(self):
        self.stopped.set()
        for f in self.fans:
            if f.sock is not None:
                f.sock.close()
        self.selector.close()
