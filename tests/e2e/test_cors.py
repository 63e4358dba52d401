# SPDX-License-Identifier: MIT
"""Pages of other origins: what a browser is told that they may do."""
import json
import os
import re

import pytest

from client import MASTER_KEY, Rest, Tenant
from harness import until
from raw import Raw
from tokens import Issuer

APP, OTHER = "https://app.example", "http://localhost:3000"
EVIL = "https://evil.example"
ASKS = {"Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-api-key"}
EXPOSED = {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset",
           "retry-after", "x-request-id"}
TAKEN = {"x-api-key", "x-user-id", "authorization", "idempotency-key",
         "content-type", "x-request-id"}
DOC = os.path.join(os.path.dirname(__file__), "../../doc/openapi.json")


@pytest.fixture(scope="module")
def listed(request):
    from harness import Server
    server = Server(workers=2, env={"ALLOWED_ORIGINS": f"{APP}, {OTHER}"})
    try:
        server.start()
        yield server
        server.stop()
    finally:
        server.destroy()
        server.remove()


def words(value):
    return {w.strip().lower() for w in value.split(",")}


def cors(reply):
    return {k: v for k, v in reply.headers.items()
            if k.startswith("access-control-")}


def assert_readable(reply, origin, credentials=True):
    got = cors(reply)
    assert got.pop("access-control-allow-origin") == origin, reply
    assert words(got.pop("access-control-expose-headers")) == EXPOSED
    assert (got.pop("access-control-allow-credentials", None) == "true") == \
        credentials
    assert not got, got
    assert "origin" in words(reply.headers["vary"])


def routes():
    """(path, its methods) of the whole API."""
    with open(DOC, encoding="utf-8") as f:
        paths = json.load(f)["paths"]
    for path, item in paths.items():
        methods = {m.upper() for m in item
                   if m in ("get", "post", "put", "patch", "delete")}
        if "GET" in methods:
            methods.add("HEAD")
        yield re.sub(r"\{\w+\}", "x", path), methods


def test_preflight_of_every_route(listed):
    rest = Rest(listed)
    n = 0
    for path, methods in routes():
        for origin in (APP, OTHER):
            reply = rest.call("OPTIONS", path,
                              headers={"Origin": origin, **ASKS})
            assert reply.status == 204 and reply.body == b"", (path, reply)
            got = reply.headers
            assert got["access-control-allow-origin"] == origin
            assert got["access-control-allow-credentials"] == "true"
            assert words(got["access-control-allow-methods"]) == \
                {m.lower() for m in methods}, path
            assert words(got["access-control-allow-headers"]) == TAKEN
            assert int(got["access-control-max-age"]) > 0
            assert "origin" in words(got["vary"])
            assert "x-request-id" in got
        refused = rest.call("OPTIONS", path,
                            headers={"Origin": EVIL, **ASKS})
        assert "ALLOWED_ORIGINS" in refused.error(403)["message"]
        assert not cors(refused)
        n += 1
    assert n > 10


def test_what_is_no_preflight(listed):
    rest = Rest(listed)
    page = {"Origin": APP}
    for headers in ({}, page, ASKS):
        reply = rest.call("OPTIONS", "/rooms", headers=headers)
        reply.error(405)
        assert words(reply.headers["allow"]) == {"get", "head", "post"}
    for headers in ({}, {**page, **ASKS}):
        rest.call("OPTIONS", "/nowhere", headers=headers).error(404)
    rest.call("POST", "/health", headers={**page, **ASKS}).error(405)
    rest.call("OPTIONS", "/rooms?a=%zz",
              headers={**page, **ASKS}).error(400)
    # It asks for nobody's identity and leaves no trace in the rate.
    tenant = Tenant(listed)
    reply = rest.call("OPTIONS", "/rooms", headers={
        **page, **ASKS, **tenant.headers("ann")})
    assert reply.status == 204 and "x-ratelimit-limit" not in reply.headers


def test_answers_can_be_read(listed):
    tenant = Tenant(listed)
    page = {"Origin": APP}
    users = [tenant.user("ann"), Issuer(tenant).install().user("ann")]
    for rest in users:
        made = rest.post("/rooms", {"type": "group", "members": []},
                         headers=page)
        assert made.status == 201
        assert_readable(made, APP)
        # Errors, too, of every kind.
        for method, path, body, status in (
                ("GET", "/rooms/room_x", None, 404),
                ("GET", "/nowhere", None, 404), ("PUT", "/rooms", None, 405),
                ("POST", "/rooms", [], 400),
                ("POST", "/rooms", {"name": "x" * 300000}, 413),
                ("GET", "/rooms?limit=x", None, 400),
                ("GET", "/rooms?a=%zz", None, 400),
                ("GET", "/rooms?api_key=x", None, 401)):
            reply = rest.call(method, path, body, headers=page)
            assert reply.status == status, (path, reply)
            assert_readable(reply, APP)
    nobody = Rest(listed, page)
    for path, status in (("/rooms", 401), ("/health", 200), ("/ws", 401),
                         ("/admin/tenants", 401)):
        reply = nobody.get(path)
        assert reply.status == status
        assert_readable(reply, APP)
    assert_readable(Rest(listed, {**page, "X-Master-Key": MASTER_KEY})
                    .get("/admin/tenants"), APP)
    empty = tenant.user("ann").call("HEAD", "/rooms", headers=page)
    assert empty.status == 200
    assert_readable(empty, APP)


@pytest.mark.parametrize("wrong,status", [
    (b"X-API-Key: a\r\nX-API-Key: b", 400), (b"Content-Length: x", 400),
    (b"Content-Length: 2000000", 413), (b"X: " + b"x" * 9000, 400)])
def test_requests_that_come_to_no_handler(listed, wrong, status):
    for origin, allowed in ((APP, True), (EVIL, False)):
        c = Raw(listed)
        c.send(b"POST /rooms HTTP/1.1\r\nHost: x\r\noRIGIN:  "
               + origin.encode() + b" \r\n" + wrong + b"\r\n\r\n")
        got, headers, _ = c.reply()
        assert got == status
        assert headers.get("access-control-allow-origin") == \
            (APP if allowed else None)
        c.close()


def test_origins_that_are_not_listed(listed):
    tenant = Tenant(listed)
    own = f"http://127.0.0.1:{listed.port}"
    for origin in (EVIL, own, "null", "", APP + ".evil.example", APP + "/",
                   APP + ":443", "http://app.example", "https://APP",
                   "*", f"{APP}, {OTHER}", "https://x@app.example"):
        reply = tenant.user("ann").get("/rooms", headers={"Origin": origin})
        assert reply.status == 200
        assert not cors(reply), origin
        assert "origin" in words(reply.headers["vary"])
    plain = tenant.user("ann").get("/rooms")
    assert not cors(plain)
    # One Origin, or none.
    c = Raw(listed)
    c.send(f"GET /health HTTP/1.1\r\nHost: x\r\nOrigin: {APP}\r\n"
           f"Origin: {EVIL}\r\n\r\n".encode())
    assert c.reply()[0] == 400
    c.close()


def test_rate_limit_can_be_read(start_server):
    server = start_server(workers=1, env={"ALLOWED_ORIGINS": APP,
                                          "DEFAULT_RATE_LIMIT": "1"})
    ann = Tenant(server).user("ann")
    replies = []

    def both():
        replies.append(ann.get("/rooms", headers={"Origin": APP}))
        return {r.status for r in replies} == {200, 429}

    until(both, "one was let in and one refused")
    for reply in replies:
        assert_readable(reply, APP)
        assert "x-ratelimit-remaining" in reply.headers


def test_any_origin(start_server):
    server = start_server(workers=1, env={"ALLOWED_ORIGINS": "*"})
    rest = Rest(server)
    for origin in (EVIL, "null"):
        assert_readable(rest.get("/health", headers={"Origin": origin}), "*",
                        credentials=False)
        reply = rest.call("OPTIONS", "/rooms",
                          headers={"Origin": origin, **ASKS})
        assert reply.status == 204
        assert reply.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in reply.headers
    assert "own origin" not in server.log()


def test_unset_is_the_servers_own(server):
    rest = Rest(server)
    own = f"http://127.0.0.1:{server.port}"
    assert_readable(rest.get("/health", headers={"Origin": own}), own)
    for origin in (APP, "http://127.0.0.1", f"http://localhost:{server.port}"):
        assert not cors(rest.get("/health", headers={"Origin": origin}))
        rest.call("OPTIONS", "/rooms",
                  headers={"Origin": origin, **ASKS}).error(403)
    starts = [line for line in server.log().splitlines()
              if "ALLOWED_ORIGINS" in line]
    assert len(starts) == 1 and "own origin" in starts[0]


def test_websocket_with_a_token(listed):
    """The Origin counts for tokens, too."""
    tenant = Tenant(listed)
    issuer = Issuer(tenant).install()
    for origin, status in ((APP, 101), (OTHER, 101), (EVIL, 403),
                           (f"http://127.0.0.1:{listed.port}", 403),
                           (None, 101)):
        ws_token = tenant.user("ann").post("/ws/token").expect(200)["token"]
        for token in (ws_token, issuer.token("ann")):
            c = Raw(listed)
            got = c.handshake({}, f"/ws?token={token}",
                              replace={"Origin": origin})
            assert got[0] == status, (origin, got)
            c.close()
