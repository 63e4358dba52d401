# SPDX-License-Identifier: MIT
"""A WebSocket client on a bare socket (RFC 6455).

It sends whatever it is told, right or wrong, in pieces of any size, and
may stop reading: what a well-behaved library would never do.  Also the
plain HTTP exchange for requests that http.client would refuse to make.
"""
import base64
import hashlib
import json
import os
import struct
import time

import contract
from harness import DEADLINE

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode, payload=b"", fin=True, mask=True, rsv=0, form=None):
    """The bytes of one frame.  form forces how the length is written:
    7, 16 or 64 bits."""
    if isinstance(payload, str):
        payload = payload.encode()
    n = len(payload)
    if form is None:
        form = 7 if n < 126 else 16 if n < 65536 else 64
    bit = 0x80 if mask else 0
    out = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if form == 7:
        out += bytes([bit | n])
    elif form == 16:
        out += bytes([bit | 126]) + struct.pack(">H", n)
    else:
        out += bytes([bit | 127]) + struct.pack(">Q", n)
    if not mask:
        return out + payload
    key = os.urandom(4)
    if payload:
        long_key = int.from_bytes((key * (n // 4 + 1))[:n], "big")
        payload = (int.from_bytes(payload, "big") ^ long_key) \
            .to_bytes(n, "big")
    return out + key + payload


def text(obj, **kw):
    """A text frame of a JSON value."""
    return frame(TEXT, json.dumps(obj), **kw)


class Closed(Exception):
    """The server closed the TCP connection."""


class Raw:
    def __init__(self, server, slot=None, rcvbuf=None, sock=None):
        self.sock = sock or server.connect(slot, rcvbuf)
        self.buf = bytearray()
        self.seen = contract.Seen()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    # ---- reading ----

    def fill(self, deadline=None):
        end = time.monotonic() + (deadline or DEADLINE)
        left = end - time.monotonic()
        self.sock.settimeout(max(left, 0.01))
        try:
            data = self.sock.recv(65536)
        except ConnectionError as e:
            raise Closed(str(e)) from None
        except TimeoutError:
            raise AssertionError("nothing came in time") from None
        if not data:
            raise Closed("end of stream")
        self.buf += data

    def take(self, n):
        while len(self.buf) < n:
            self.fill()
        out = bytes(self.buf[:n])
        del self.buf[:n]
        return out

    def take_until(self, mark):
        while mark not in self.buf:
            self.fill()
        return self.take(self.buf.index(mark) + len(mark))

    def wait_eof(self):
        """The server closes its end; what came before is thrown away."""
        try:
            while True:
                self.fill()
                self.buf.clear()
        except Closed:
            pass

    # ---- HTTP ----

    def reply(self):
        """(status, headers, body) of an HTTP answer."""
        head = self.take_until(b"\r\n\r\n").decode("latin-1")
        lines = head.split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {}
        for line in lines[1:]:
            if line:
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
        body = b""
        if "content-length" in headers and status != 101:
            body = self.take(int(headers["content-length"]))
        return status, headers, body

    def handshake(self, headers, path="/ws", early=b"", key=None,
                  replace=None):
        """Asks for the upgrade, with `early` in the same segment; returns
        the answer.  replace overrides or (None) leaves out headers."""
        key = key or base64.b64encode(os.urandom(16)).decode()
        h = {"Host": "localhost", "Upgrade": "websocket",
             "Connection": "Upgrade", "Sec-WebSocket-Key": key,
             "Sec-WebSocket-Version": "13"}
        h.update(headers)
        h.update(replace or {})
        request = f"GET {path} HTTP/1.1\r\n"
        for name, value in h.items():
            if value is not None:
                request += f"{name}: {value}\r\n"
        self.send(request.encode() + b"\r\n" + early)
        answer = self.reply()
        contract.check_reply("GET", path, *answer)
        if answer[0] == 101:
            accept = base64.b64encode(
                hashlib.sha1((key + GUID).encode()).digest()).decode()
            assert answer[1]["sec-websocket-accept"] == accept
        return answer

    # ---- frames ----

    def read_frame(self):
        """(fin, opcode, payload); the server never masks or reserves."""
        head = self.take(2)
        assert head[0] & 0x70 == 0, "reserved bits are set"
        assert head[1] & 0x80 == 0, "the server masks"
        n = head[1] & 0x7f
        if n == 126:
            n = struct.unpack(">H", self.take(2))[0]
            assert n >= 126, "a length that is not minimal"
        elif n == 127:
            n = struct.unpack(">Q", self.take(8))[0]
            assert n >= 65536, "a length that is not minimal"
        return head[0] & 0x80 != 0, head[0] & 0x0f, self.take(n)

    def read_json(self, type_=None):
        """The next text frame, or the next one of that type."""
        while True:
            fin, opcode, payload = self.read_frame()
            if opcode == TEXT:
                assert fin
                got = json.loads(payload.decode("utf-8"))
                self.seen.check(got)
                if type_ is None or got["type"] == type_:
                    return got
            else:
                assert opcode in (PING, PONG), (opcode, payload)

    def read_opcode(self, want):
        """The payload of the next frame with that opcode."""
        while True:
            _, opcode, payload = self.read_frame()
            if opcode == want:
                return payload

    def expect_close(self, code):
        """A close frame with that code comes (None = with none), and the
        TCP connection ends."""
        payload = self.read_opcode(CLOSE)
        if code is None:
            assert payload == b""
        else:
            assert len(payload) >= 2, "a close frame without a code"
            got = struct.unpack(">H", payload[:2])[0]
            payload[2:].decode("utf-8")
            assert got == code, f"closed with {got}, not {code}"
        return payload


def open_raw(tenant, user, slot=None, rcvbuf=None, path="/ws"):
    """A connection that has had its welcome."""
    ws = Raw(tenant.server, slot, rcvbuf)
    status, _, body = ws.handshake(tenant.headers(user), path)
    assert status == 101, (status, body)
    ws.welcome = ws.read_json()
    assert ws.welcome["type"] == "welcome", ws.welcome
    return ws
