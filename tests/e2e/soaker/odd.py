# SPDX-License-Identifier: MIT
"""What is no proper request, or the start of one: each a connection that
the server must let go of with all that it had made for it."""
import os
import socket
import ssl

from client import Rest
from harness import MASTER_KEY

from .flock import reset
from .tide import Actor

HEAD = b"Host: x\r\nContent-Type: application/json\r\n"
GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET\r\n\r\n", b"\r\n\r\n\r\n", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /rooms HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"POST /rooms HTTP/1.1\r\n" + HEAD + b"Content-Length: 9\r\n"
    b"Content-Length: 8\r\n\r\n{}",
    b"POST /rooms HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n"
    b"\r\nffffffffff\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 5,
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: short\r\n\r\n",
)


class Odd(Actor):
    pause = 0.1

    TABLE = {"garbage": 5, "noise": 2, "half_head": 4, "half_body": 3,
             "connect_only": 3, "plain_to_tls": 3, "wrong_ca": 4,
             "half_hello": 3, "old_tls": 2, "tls_then_reset": 3,
             "refused": 6, "pages": 4, "too_large": 2, "unread": 2}

    def __init__(self, world, name):
        super().__init__(world, name)
        self.held = []          # half-open ones, for a while

    def turn(self):
        kind = self.rng.choices(list(self.TABLE),
                                list(self.TABLE.values()))[0]
        try:
            getattr(self, kind)()
            self.world.count("odd " + kind)
        except (ConnectionError, ssl.SSLError, *self.world.LOST):
            self.world.count("odd ended")
        while len(self.held) > 40:
            self.end(self.held.pop(0))

    def leave(self):
        while self.held:
            self.end(self.held.pop())

    def end(self, s):
        if self.rng.random() < 0.5:
            reset(s)
        else:
            s.close()

    def dial(self, port=None):
        s = socket.create_connection(
            ("127.0.0.1", port or self.world.server.port), 20)
        # Bounded, should the server not answer.
        s.settimeout(3)
        return s

    def answered(self, data, port=None):
        """Sends it and reads what comes, a while."""
        s = self.dial(port)
        try:
            s.sendall(data)
            s.recv(65536)
        except TimeoutError:
            pass
        finally:
            self.end(s)

    def garbage(self):
        self.answered(self.rng.choice(GARBAGE))

    def noise(self):
        self.answered(os.urandom(self.rng.randrange(1, 5000)) + b"\r\n\r\n")

    def half_head(self):
        """Left open, some until the server has had enough."""
        s = self.dial()
        self.held.append(s)
        s.sendall(b"GET /rooms HTTP/1.1\r\nHost: x\r\nX-Half: ")

    def half_body(self):
        s = self.dial()
        self.held.append(s)
        t = self.rng.choice(self.world.tenants)
        s.sendall(b"POST /rooms HTTP/1.1\r\n" + HEAD + b"X-API-Key: "
                  + t.key.encode() + b"\r\nContent-Length: 1000\r\n\r\n{")

    def connect_only(self):
        self.held.append(self.dial())

    def unread(self):
        """Asks for much and goes before it comes."""
        t = self.rng.choice(self.world.tenants)
        room = self.rng.choice(list(t.members))
        s = self.dial()
        s.sendall(b"".join(
            f"GET /rooms/{room}/messages?limit=100 HTTP/1.1\r\nHost: x\r\n"
            f"X-API-Key: {t.key}\r\n\r\n".encode() for _ in range(8)))
        self.end(s)

    # ---- TLS ----

    def plain_to_tls(self):
        self.answered(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
                      self.world.server.tls_port)

    def handshake(self, context):
        s = self.dial(self.world.server.tls_port)
        try:
            return context.wrap_socket(s, server_hostname="localhost")
        except BaseException:
            s.close()
            raise

    def wrong_ca(self):
        try:
            self.handshake(ssl.create_default_context()).close()
        except ssl.SSLError:
            return
        self.world.fault("a stranger's certificate was believed")

    def half_hello(self):
        s = self.dial(self.world.server.tls_port)
        self.held.append(s)
        s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")

    def old_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("AES256-SHA:@SECLEVEL=0")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.handshake(context).close()

    def tls_then_reset(self):
        s = self.handshake(self.world.tls)
        s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        if self.rng.random() < 0.5:
            s.recv(4096)
        reset(s)

    # ---- what is refused, and pages that are not ----

    def ask(self, method, path, headers=None, **kw):
        rest = Rest(self.world.server, headers)
        try:
            return rest.call(method, path, **kw)
        finally:
            rest.close()

    def refused(self):
        t = self.rng.choice(self.world.tenants)
        room = self.rng.choice(list(t.members))
        got = self.rng.choice((
            lambda: self.ask("GET", "/rooms", {"X-API-Key": "sk_wrong"}),
            lambda: self.ask("GET", "/rooms", {"Authorization": "Bearer x"}),
            lambda: self.ask("GET", "/ws?token=wst_wrong"),
            lambda: self.ask("GET", "/nothing/there"),
            lambda: self.ask("PUT", "/rooms"),
            lambda: self.ask("GET", "/admin/tenants",
                             {"X-Master-Key": "wrong"}),
            lambda: self.ask("POST", "/rooms", t.headers("u0"), raw=b"{x"),
            lambda: self.ask("POST", "/rooms", t.headers("u0"),
                             body={"type": "club"}),
            lambda: self.ask("GET", f"/rooms/{room}/messages?limit=x",
                             t.headers("u0")),
            lambda: self.ask("GET", "/rooms/room_0000/messages",
                             t.headers("u0"))))()
        if not 400 <= got.status < 500 and not self.world.excused():
            self.world.fault(f"not refused: {got!r}")

    def pages(self):
        for path in ("/health", "/metrics", "/openapi.json", "/console/"):
            self.ask("GET", path)
        self.ask("GET", "/admin/tenants?limit=5",
                 {"X-Master-Key": MASTER_KEY})

    def too_large(self):
        t = self.rng.choice(self.world.tenants)
        self.ask("POST", "/rooms", t.headers("u0"), raw=b" " * 300000)
