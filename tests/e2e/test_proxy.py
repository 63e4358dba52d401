# SPDX-License-Identifier: MIT
"""Behind a reverse proxy: whose word is taken for who the client is."""
import itertools
import re
import socket

import pytest

from client import Rest, Tenant
from harness import DEADLINE, run, until
from raw import Raw

NUMBER = itertools.count(1)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    """A server that trusts 127.0.0.1, 10/8 and its Unix-domain socket."""
    from harness import Server
    path = f"{tmp_path_factory.mktemp('proxy')}/s"
    server = Server(workers=1, args=["-l", f"unix:{path}"], env={
        "TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8, 2001:db8::/32, unix",
        "LOG_LEVEL": "debug"}).start()
    server.unix = path
    yield server
    server.stop()
    server.remove()


def unix_rest(server):
    client = Rest(server)
    client.http.sock = socket.socket(socket.AF_UNIX)
    client.http.sock.settimeout(DEADLINE)
    client.http.sock.connect(server.unix)
    return client


def logged_peer(server, client, lines):
    """Who the log says asked, with these X-Forwarded-For lines."""
    number = next(NUMBER)
    request = f"GET /nowhere HTTP/1.1\r\nHost: x\r\nX-Request-Id: p{number}" \
        "\r\n" + "".join(f"X-Forwarded-For: {v}\r\n" for v in lines) + "\r\n"
    client.http.connect() if client.http.sock is None else None
    client.http.sock.sendall(request.encode())
    assert client.http.sock.recv(65536).startswith(b"HTTP/1.1 404")
    pattern = re.compile(rf"req=p{number} peer=(\S+)")
    return until(lambda: pattern.search(server.log()),
                 "the log had the line").group(1)


@pytest.mark.parametrize("lines,peer", [
    ([], "127.0.0.1"),
    (["198.51.100.7"], "198.51.100.7"),
    # What the client made up stands to the left of what the proxy saw.
    (["203.0.113.1, 198.51.100.7"], "198.51.100.7"),
    (["203.0.113.1", "198.51.100.7"], "198.51.100.7"),
    # Through several trusted ones.
    (["203.0.113.1, 198.51.100.7, 10.1.2.3"], "198.51.100.7"),
    (["198.51.100.7", "10.1.2.3, 127.0.0.1"], "198.51.100.7"),
    (["10.1.2.3"], "10.1.2.3"),
    (["2001:db9::1, 2001:db8::5"], "2001:db9::1"),
    (["[2001:db9::1]:4711"], "2001:db9::1"),
    (["198.51.100.7:4711"], "198.51.100.7"),
    # No address.
    (["unknown"], "127.0.0.1"),
    (["198.51.100.7, unknown"], "127.0.0.1"),
    (["198.51.100.7,"], "127.0.0.1"),
    (["198.51.100.7\" evil=1, x y"], "127.0.0.1"),
])
def test_forwarded_for(proxied, lines, peer):
    assert logged_peer(proxied, Rest(proxied), lines) == peer


def test_over_the_unix_socket(proxied):
    assert logged_peer(proxied, unix_rest(proxied), []) == "unix"
    assert logged_peer(proxied, unix_rest(proxied),
                       ["198.51.100.7"]) == "198.51.100.7"


def test_from_anybody_else_it_means_nothing(start_server, tmp_path):
    server = start_server(workers=1, args=["-l", f"unix:{tmp_path}/s"], env={
        "TRUSTED_PROXIES": "192.0.2.1", "LOG_LEVEL": "debug"})
    server.unix = f"{tmp_path}/s"
    assert logged_peer(server, Rest(server), ["198.51.100.7"]) == "127.0.0.1"
    assert logged_peer(server, unix_rest(server), ["198.51.100.7"]) == "unix"
    # Nor does it make another origin the server's own.
    tenant = Tenant(server)
    assert upgrade(tenant, "https://chat.example", {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "chat.example"}) == 403
    assert upgrade(tenant, "http://localhost", {
        "X-Forwarded-Proto": "https"}) == 101


def upgrade(tenant, origin, headers):
    ws = Raw(tenant.server)
    status = ws.handshake({**tenant.headers("ann"), "Origin": origin,
                           **headers})[0]
    ws.close()
    return status


@pytest.mark.parametrize("origin,headers,status", [
    # The proxy hands the client's Host on, or says what it was.
    ("https://chat.example", {"Host": "chat.example",
                              "X-Forwarded-Proto": "https"}, 101),
    ("https://chat.example", {"X-Forwarded-Host": "chat.example",
                              "X-Forwarded-Proto": "https"}, 101),
    ("https://chat.example", {"X-Forwarded-Host": "chat.example"}, 101),
    # A page that came by plain HTTP is of another origin.
    ("http://chat.example", {"X-Forwarded-Host": "chat.example",
                             "X-Forwarded-Proto": "https"}, 403),
    ("https://chat.example", {"X-Forwarded-Host": "chat.example",
                              "X-Forwarded-Proto": "http"}, 403),
    ("https://evil.example", {"X-Forwarded-Host": "chat.example",
                              "X-Forwarded-Proto": "https"}, 403),
    # Two hosts are none: Host counts.
    ("https://chat.example", {"X-Forwarded-Host": "chat.example, b"}, 403),
    ("http://localhost", {"X-Forwarded-Host": "chat.example, b"}, 101),
])
def test_own_origin(proxied, origin, headers, status):
    assert upgrade(Tenant(proxied), origin, headers) == status


@pytest.mark.parametrize("bad", [
    "10.0.0.0/33", "10.0.0/8", "::/129", "proxy.example", "10.0.0.1/",
    "10.0.0.1,,unix", "10.0.0.1/8x", "[::1]", "10.0.0.1:80"])
def test_bad_lists(bad):
    got = run("-t", env={"TRUSTED_PROXIES": bad})
    assert got.returncode == 2 and "TRUSTED_PROXIES" in got.stderr
