# SPDX-License-Identifier: MIT
"""Hundreds of WebSockets of one room in one thread, cheaply.

A Herd opens them, checks of every frame only what is needed to tell that
each connection gets the room's messages once and in order, and lets them
stop reading.
"""
import base64
import os
import resource
import selectors
import socket
import time

from harness import DEADLINE

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def raise_files():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def number_after(payload, mark):
    """The digits behind mark in a frame; None without it."""
    at = payload.find(mark)
    if at == -1:
        return None
    at += len(mark)
    end = at
    while payload[end:end + 1].isdigit():
        end += 1
    return int(payload[at:end])


class Member:
    """One connection."""

    def __init__(self, user, sock):
        self.user = user
        self.sock = sock
        self.buf = bytearray()
        self.open = False       # the handshake was answered
        self.slot = None        # its worker
        self.synced = False
        self.last = 0           # seq of the latest message
        self.faults = []
        self.others = []        # types of other frames
        self.reading = True

    def take(self, data):
        self.buf += data
        if not self.open:
            end = self.buf.find(b"\r\n\r\n")
            if end == -1:
                return
            assert self.buf.startswith(b"HTTP/1.1 101"), bytes(self.buf[:200])
            del self.buf[:end + 4]
            self.open = True
        at = 0
        while len(self.buf) >= at + 2:
            n, head = self.buf[at + 1], 2
            if n == 126:
                head = 4
            elif n == 127:
                head = 10
            if len(self.buf) < at + head:
                break
            if head > 2:
                n = int.from_bytes(self.buf[at + 2:at + head], "big")
            if len(self.buf) < at + head + n:
                break
            self.frame(self.buf[at] & 15,
                       bytes(self.buf[at + head:at + head + n]))
            at += head + n
        del self.buf[:at]

    def frame(self, opcode, payload):
        if opcode == PING:
            mask = b"\0\0\0\0"
            self.sock.send(bytes([0x80 | PONG, 0x80 | len(payload)]) + mask
                           + payload)
        elif opcode == CLOSE:
            self.faults.append(f"closed: {payload!r}")
        elif opcode == TEXT:
            self.text(payload)

    def text(self, payload):
        type_ = payload[9:payload.index(b'"', 9)]
        if type_ == b"message":
            seq = number_after(payload, b'"seq":')
            if seq != self.last + 1:
                self.faults.append(f"{seq} after {self.last}")
            self.last = seq
        elif type_ == b"sync.complete":
            self.synced = True
        elif type_ == b"welcome":
            self.slot = number_after(payload, b'"session_id":"')
        else:
            self.others.append(type_.decode())


class Herd:
    def __init__(self, tenant, users, rcvbuf):
        raise_files()
        self.selector = selectors.DefaultSelector()
        self.members = []
        for user in users:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            s.settimeout(DEADLINE)
            s.connect(("127.0.0.1", tenant.server.port))
            headers = {
                "Host": "localhost", "Upgrade": "websocket",
                "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key":
                    base64.b64encode(os.urandom(16)).decode(),
                **tenant.headers(user)}
            s.sendall(("GET /ws HTTP/1.1\r\n" + "".join(
                f"{k}: {v}\r\n" for k, v in headers.items())
                + "\r\n").encode())
            m = Member(user, s)
            self.members.append(m)
            self.selector.register(s, selectors.EVENT_READ, m)

    def close(self):
        for m in self.members:
            m.sock.close()
        self.selector.close()

    def stop_reading(self, members):
        for m in members:
            m.reading = False
            self.selector.unregister(m.sock)

    def read_again(self, members):
        for m in members:
            m.reading = True
            self.selector.register(m.sock, selectors.EVENT_READ, m)

    def turn(self, timeout):
        for key, _ in self.selector.select(timeout):
            m = key.data
            try:
                data = m.sock.recv(262144)
            except ConnectionError as e:
                data = str(e).encode()[:0]
            if not data:
                m.faults.append("the connection ended")
                self.selector.unregister(m.sock)
                m.reading = False
                continue
            m.take(data)

    def read_until(self, condition, what, deadline=None):
        """Reads until condition(member) holds for all who read."""
        end = time.monotonic() + (deadline or DEADLINE)
        while True:
            left = [m for m in self.members
                    if m.reading and not condition(m)]
            if not left:
                break
            assert time.monotonic() < end, \
                f"{len(left)} members in vain until {what}: " \
                f"{left[0].user} at {left[0].last}, {self.faults()}"
            self.turn(0.05)

    def faults(self):
        return [(m.user, m.faults) for m in self.members if m.faults][:5]
