# SPDX-License-Identifier: MIT
"""The sample configurations of reverse proxies, with real ones."""
import json
import os
import re
import shutil
import socket
import subprocess

import pytest

from client import Rest, Tenant
from harness import DEADLINE, MASTER_KEY, free_port, until
from raw import Raw, text
from tls import Authority, tls_server

CONTRIB = os.path.join(os.path.dirname(__file__), "../../contrib")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:" + os.path.abspath(
    os.path.join(CONTRIB, "../build/tools"))
CLIENT = "127.0.0.2"


def tool(name):
    path = shutil.which(name, path=PATH)
    if path is None:
        pytest.skip(f"there is no {name} here")
    return path


def sample(name):
    with open(os.path.join(CONTRIB, name), encoding="ascii") as f:
        return f.read()


def replace(config, *pairs):
    for old, new in pairs:
        assert old in config, old
        config = config.replace(old, new)
    return config


class Nginx:
    """An nginx of the test's own, in a directory."""

    def __init__(self, directory, ca, *pairs):
        self.port = self.tls_port = free_port()
        config = replace(
            sample("nginx/chatapi.conf"),
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            ("listen [::]:443 ssl;", ""),
            ("/etc/ssl/chat.example.org.pem", ca.files[0]),
            ("/etc/ssl/private/chat.example.org.key", ca.files[1]), *pairs)
        places = "".join(
            f"{kind}_temp_path {directory}/{kind};\n" for kind in
            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        main = f"{directory}/nginx.conf"
        self.log = f"{directory}/error.log"
        with open(main, "w", encoding="ascii") as f:
            f.write(("user root;\n" if os.geteuid() == 0 else "")
                    + f"daemon off;\npid {directory}/pid;\n"
                    f"error_log {self.log};\nworker_processes 1;\n"
                    "events { }\nhttp {\naccess_log off;\n" + places
                    + config + "}\n")
        self.process = subprocess.Popen(
            [tool("nginx"), "-c", main, "-p", str(directory), "-e",
             self.log], stdin=subprocess.DEVNULL)
        until(self.answers, "nginx listened")

    def answers(self):
        assert self.process.poll() is None, open(self.log).read()
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.terminate()
        self.process.wait(DEADLINE)


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["unix", "tls"])
def both(request, start_server, ca, tmp_path):
    """nginx in front of the server's Unix-domain socket, or of its TLS."""
    tool("nginx")
    path = f"{tmp_path}/http.sock"
    if request.param == "unix":
        server = start_server(workers=2, args=["-l", f"unix:{path}"], env={
            "TRUSTED_PROXIES": "unix", "LOG_LEVEL": "debug"})
        pairs = [("/run/chatapi/http.sock", path)]
    else:
        server = tls_server(start_server, ca, workers=2, env={
            "TRUSTED_PROXIES": "127.0.0.1", "LOG_LEVEL": "debug"})
        with open(f"{tmp_path}/ca.pem", "wb") as f:
            f.write(ca.pem)
        pairs = [("unix:/run/chatapi/http.sock",
                  f"127.0.0.1:{server.tls_port}"),
                 ("proxy_pass http://", "proxy_ssl_verify on;\n"
                  f"proxy_ssl_trusted_certificate {tmp_path}/ca.pem;\n"
                  "proxy_ssl_name localhost;\nproxy_pass https://")]
    nginx = Nginx(tmp_path, ca, *pairs)
    yield server, nginx
    nginx.stop()


def dial(nginx, ca, source=CLIENT):
    s = socket.create_connection(("127.0.0.1", nginx.port), DEADLINE,
                                 (source, 0))
    return ca.context().wrap_socket(s, server_hostname="localhost")


def rest(server, nginx, ca, headers=None, source=CLIENT):
    client = Rest(server, headers)
    client.http.sock = dial(nginx, ca, source)
    return client


def test_through_nginx(both, ca):
    server, nginx = both
    tenant = Tenant(server)
    assert rest(server, nginx, ca).get("/health").expect(200)
    ann = rest(server, nginx, ca, tenant.headers("ann"))
    room = ann.make_room(["bob"])["room_id"]
    # As much as any body may be, and one byte more.
    body = json.dumps({"type": "group", "members": ["bob"]}).encode()
    body = body[:-1] + b" " * (256 * 1024 - len(body)) + b"}"
    assert len(body) == 256 * 1024
    ann.post("/rooms", raw=body).expect(201)
    ann.post("/rooms", raw=body + b" ").error(413)
    ws = Raw(server, sock=dial(nginx, ca))
    spoofed = {"X-Forwarded-For": "203.0.113.1",
               "X-Forwarded-Host": "evil.example",
               "X-Forwarded-Proto": "http"}
    host = f"localhost:{nginx.port}"
    early = text({"type": "send_message", "room_id": room, "content": "0",
                  "request_id": "0"})
    status, headers, _ = ws.handshake(
        {**tenant.headers("bob"), **spoofed, "Host": host,
         "Origin": f"https://{host}", "X-Request-Id": "mine"}, early=early)
    assert status == 101 and headers["x-request-id"] == "mine"
    assert ws.read_json()["type"] == "welcome"
    assert ws.read_json("message.sent")["seq"] == 1
    for i in range(20):
        ann.say(room, f"{i} " + "x" * 15000)
    while ws.read_json("message")["seq"] < 21:
        pass
    # What nginx saw, and not what the client made up.
    until(lambda: f"peer={CLIENT}" in server.log(), "the log had the client")
    assert "peer=203.0.113.1" not in server.log()
    ws.send(b"\x88\x82\0\0\0\0\x03\xe8")
    ws.expect_close(1000)
    ws.wait_eof()
    # A page of another origin, also one that the client names.
    for origin in ("https://evil.example", f"http://{host}"):
        other = Raw(server, sock=dial(nginx, ca))
        assert other.handshake({**tenant.headers("bob"), **spoofed,
                                "Host": host, "Origin": origin})[0] == 403
        other.close()


# However it is written: the server decodes what it is handed.
OPERATORS = ["/metrics", "/%6detrics", "/metric%73", "/admin/tenants",
             "/%61dmin/tenants", "/admin%2ftenants", "/%2561dmin/tenants",
             "//admin/tenants", "/./admin/tenants", "/x/../metrics"]


def check_inside(server, proxy, ca, outside):
    """A tenant's backend reaches its own dead letters, an operator what is
    his from this machine, and nobody else anything of it."""
    tenant = Tenant(server)
    master = {"X-Master-Key": MASTER_KEY}

    def status(path, headers, source):
        with dial(proxy, ca, source) as s:
            s.sendall((f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
                       "Connection: close\r\n" + "".join(
                           f"{k}: {v}\r\n" for k, v in headers.items())
                       + "\r\n").encode())
            return int(s.recv(100).split()[1])

    for path in OPERATORS:
        assert status(path, master, outside) in (400, 403, 404), path
    for path in ("/metrics", "/admin/tenants"):
        assert status(path, master, outside) == 403
        assert status(path, master, "127.0.0.1") == 200
    for source in (outside, "127.0.0.1"):
        assert status("/admin/dead-letters", {"X-API-Key": tenant.key},
                      source) == 200
        assert status("/admin/dead-letters", master, source) == 401
    assert status("/admin/dead-letters-not", master, outside) == 403


def test_operators_pages_from_inside_only(both, ca):
    server, nginx = both
    check_inside(server, nginx, ca, CLIENT)


def seconds(text_, pattern):
    found = re.findall(pattern, text_)
    assert found, pattern
    return [int(n) for n in found]


def test_timeouts_outlast_a_websocket():
    """Idle is 25 s between pings; a dead one is given up after 60."""
    nginx = sample("nginx/chatapi.conf")
    assert min(seconds(nginx, r"proxy_read_timeout (\d+)s;")) > 60
    assert min(seconds(nginx, r"proxy_send_timeout (\d+)s;")) > 60
    haproxy = sample("haproxy/haproxy.cfg")
    for name in ("client", "server", "tunnel"):
        assert min(seconds(haproxy, rf"timeout {name} (\d+)s")) > 60
    caddy = sample("caddy/Caddyfile")
    assert min(seconds(caddy, r"response_header_timeout (\d+)s")) > 60


class Haproxy:
    """A configuration for this test, and what runs with it."""

    def __init__(self, ca, directory, *pairs):
        self.program = tool("haproxy")
        self.port = free_port()
        self.process = None
        with open(f"{directory}/both.pem", "wb") as f:
            for name in ca.files:
                with open(name, "rb") as part:
                    f.write(part.read())
        self.config = f"{directory}/haproxy.cfg"
        with open(self.config, "w", encoding="ascii") as f:
            f.write(replace(sample("haproxy/haproxy.cfg"),
                            ("/etc/ssl/private/chat.example.org.pem",
                             f"{directory}/both.pem"),
                            ("bind :443", f"bind 127.0.0.1:{self.port}"),
                            *pairs))

    def answers(self):
        assert self.process.poll() is None
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "-db", "-f", self.config],
            stdin=subprocess.DEVNULL)
        until(self.answers, "HAProxy listened")

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(DEADLINE)


def test_through_haproxy(start_server, ca, tmp_path):
    path = f"{tmp_path}/http.sock"
    server = start_server(workers=2, args=["-l", f"unix:{path}"], env={
        "TRUSTED_PROXIES": "unix"})
    # All of loopback is inside for it: but for the one that asks here.
    proxy = Haproxy(ca, tmp_path, ("/run/chatapi/http.sock", path),
                    ("127.0.0.0/8", "127.0.0.1"),
                    ("maxconn 20000", "maxconn 100"))
    proxy.start()
    try:
        until(lambda: rest(server, proxy, ca).get("/health").status == 200,
              "it had found the server well")
        check_inside(server, proxy, ca, CLIENT)
        tenant = Tenant(server)
        ann = rest(server, proxy, ca, tenant.headers("ann"))
        room = ann.make_room(["bob"])["room_id"]
        ws = Raw(server, sock=dial(proxy, ca))
        assert ws.handshake({**tenant.headers("bob"),
                             "Host": "localhost"})[0] == 101
        ann.say(room, "hello")
        assert ws.read_json("message")["content"] == "hello"
        ws.close()
    finally:
        proxy.stop()


def test_haproxy_takes_its_sample(ca, tmp_path):
    proxy = Haproxy(ca, tmp_path)
    program, config = proxy.program, proxy.config
    got = subprocess.run([program, "-c", "-f", config], text=True,
                         capture_output=True, timeout=DEADLINE)
    assert got.returncode == 0, got
    assert "WARNING" not in got.stdout + got.stderr, got


def test_caddy_takes_its_sample():
    got = subprocess.run(
        [tool("caddy"), "validate", "--adapter", "caddyfile", "--config",
         os.path.join(CONTRIB, "caddy/Caddyfile")], text=True,
        capture_output=True, timeout=DEADLINE)
    assert got.returncode == 0, got
