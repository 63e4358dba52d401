# SPDX-License-Identifier: MIT
"""Refusals: their form, their order, and that they give nothing away."""
import json
import re

import pytest

from client import Rest, Tenant, operator
from harness import MASTER_KEY, Server

NOWHERE = "room_0123456789abcdefghjkmn"


@pytest.fixture
def room(tenant):
    return tenant.user("ann").make_room(["bob"])["room_id"]


@pytest.fixture
def ann(tenant):
    return tenant.user("ann")


# ---- identity ----

@pytest.mark.parametrize("headers", [
    {}, {"X-User-Id": "ann"}, {"X-API-Key": ""}, {"X-API-Key": "sk_"},
    {"X-API-Key": "sk_" + "a" * 43}, {"X-API-Key": "nonsense"},
    {"X-API-Key": "sk_" + "a" * 5000}, {"X-Master-Key": MASTER_KEY},
    {"X-API-Key": "sk_ü".encode().decode("latin-1")},
], ids=lambda h: str(h)[:40])
def test_no_identity(server, headers):
    Rest(server, headers).get("/rooms").error(401, "unauthorized")


def test_key_in_the_url(tenant):
    for path in ("/rooms", "/ws"):
        got = Rest(tenant.server).get(f"{path}?api_key={tenant.key}").error(
            401, "unauthorized")
        assert "X-API-Key" in got["message"]


@pytest.mark.parametrize("user", [
    "", "x" * 129, "a\tb", "a\x7fb", "\xff\xfe", "\xc0\x80"], ids=ascii)
def test_bad_user_id(tenant, user):
    h = tenant.headers()
    h["X-User-Id"] = user.encode("latin-1")
    Rest(tenant.server, h).get("/rooms").error(
        400, "invalid_request", "X-User-Id")


def test_user_id_is_utf8(tenant):
    h = tenant.headers()
    h["X-User-Id"] = "用户".encode()
    room = Rest(tenant.server, h).make_room()["room_id"]
    got = tenant.backend().get(f"/rooms/{room}/members").expect(200)
    assert got["members"][0]["user_id"] == "用户"


# ---- the operator ----

def test_admin_needs_its_key(server, tenant):
    for headers in ({}, {"X-Master-Key": "wrong"}, tenant.headers(),
                    {"X-Master-Key": MASTER_KEY + "x"},
                    {"X-Master-Key": MASTER_KEY[:-1]},
                    {"X-Master-Key": ""}):
        for method, body in (("GET", None), ("POST", {"name": "x"})):
            Rest(server, headers).call(method, "/admin/tenants", body) \
                .error(401, "unauthorized")


def test_admin_is_off_without_a_key(start_server):
    server = start_server(workers=1, env={"MASTER_API_KEY": ""})
    got = operator(server).post("/admin/tenants", {"name": "x"}).error(
        403, "forbidden")
    assert "MASTER_API_KEY" in got["message"]


def test_admin_creates_and_lists(server):
    op = operator(server)
    made = op.post("/admin/tenants", {"name": "Ünited"}).expect(201)
    assert made["tenant_id"].startswith("tenant_")
    assert re.match(r"\Ask_[A-Za-z0-9_-]{43}\Z", made["api_key"])
    seen, cursor = [], ""
    while cursor is not None:
        page = op.get("/admin/tenants?limit=100"
                      + (f"&cursor={cursor}" if cursor else "")).expect(200)
        seen += page["tenants"]
        cursor = page["next_cursor"]
        assert made["api_key"] not in json.dumps(page)
    mine, = [t for t in seen if t["tenant_id"] == made["tenant_id"]]
    assert mine["name"] == "Ünited"
    assert mine["created_at"] == made["created_at"]
    assert len({t["tenant_id"] for t in seen}) == len(seen)


@pytest.mark.parametrize("body", [
    {}, {"name": ""}, {"name": 5}, {"name": None}, {"name": "x" * 100000}],
    ids=lambda b: str(b)[:20])
def test_admin_create_refused(server, body):
    reply = operator(server).post("/admin/tenants", body)
    if len(str(body)) > 65536:
        reply.error(413, "payload_too_large")
    else:
        reply.error(400, "invalid_request", "name")


# ---- the order of refusals ----

def test_unknown_path_before_identity(server):
    for path in ("/", "/room", "/rooms/", "/rooms//x", "/roomsx", "/admin",
                 "/%72ooms/x/y", "/rooms/a/b/c", "/favicon.ico", "/ws/x"):
        Rest(server).get(path).error(404, "not_found")


def test_root_says_where_to_go(server, start_server):
    error = Rest(server).get("/").error(404, "not_found")
    said = error["message"]
    for path in ("/console/", "/openapi.json"):
        assert path in said
        assert Rest(server).get(path).status == 200
    without = start_server(workers=1, env={"CONSOLE": "no"})
    said = Rest(without).get("/").error(404, "not_found")["message"]
    assert "/openapi.json" in said and "console" not in said


@pytest.mark.parametrize("method, path, allowed", [
    ("DELETE", "/rooms", {"GET", "POST"}),
    ("PUT", "/rooms", {"GET", "POST"}),
    ("POST", "/health", {"GET"}),
    ("PUT", "/acks", {"POST"}),
    ("GET", "/acks", {"POST"}),
    ("POST", "/ws", {"GET"}),
    ("PUT", "/admin/tenants", {"GET", "POST"}),
    ("PATCH", f"/rooms/{NOWHERE}/messages", {"GET", "POST"}),
    ("PUT", f"/rooms/{NOWHERE}/members", {"GET", "POST"}),
])
def test_method_before_identity(server, method, path, allowed):
    reply = Rest(server).call(method, path)
    error = reply.error(405, "method_not_allowed")
    assert f"it takes {reply.headers['allow']}." in error["message"]
    allow = {m.strip() for m in reply.headers["allow"].split(",")}
    assert allowed <= allow and method not in allow
    assert allow <= allowed | {"HEAD", "OPTIONS"}


def test_identity_before_media_type_and_size(server):
    Rest(server).post("/rooms", raw=b"x",
                      headers={"Content-Type": "text/plain"}).error(401)
    Rest(server).post("/acks", raw=b"x" * 100000).error(401)


def test_media_type_before_query_and_body(ann, room):
    for type_ in ("text/plain", "application/x-www-form-urlencoded",
                  "multipart/form-data; boundary=x", "application/jsonx",
                  "text/json", "application/json2"):
        ann.post(f"/rooms/{room}/messages?x=1", raw=b"nonsense",
                 headers={"Content-Type": type_}).error(
                     415, "unsupported_media_type")


@pytest.mark.parametrize("type_", [
    "application/json", "application/json; charset=utf-8",
    "APPLICATION/JSON", "application/json;charset=UTF-8"])
def test_media_types_of_json(ann, room, type_):
    ann.post(f"/rooms/{room}/messages", raw=b'{"content":"x"}',
             headers={"Content-Type": type_}).expect(201)


def test_body_before_room(ann):
    ann.post(f"/rooms/{NOWHERE}/messages", {"content": 5}).error(400)
    ann.post("/acks", {"room_id": NOWHERE, "seq": "x"}).error(400)
    ann.get(f"/rooms/{NOWHERE}/messages?limit=x").error(400)


def test_room_before_membership_and_state(tenant, room):
    tenant.user("eve").post(f"/rooms/{NOWHERE}/messages",
                            {"content": "x"}).error(404)
    dm = tenant.user("ann").make_room(["bob"], "dm")["room_id"]
    # A stranger hears that he is none, not that a dm is for good.
    tenant.user("eve").post(f"/rooms/{dm}/members",
                            {"user_id": "eve"}).error(403)
    tenant.user("eve").delete(f"/rooms/{dm}/members/ann").error(403)


def test_membership_before_the_member(tenant, room):
    tenant.user("eve").delete(f"/rooms/{room}/members/nobody").error(403)


# ---- bodies ----

@pytest.mark.parametrize("raw", [
    b"", b"{", b"nonsense", b"[]", b'"x"', b"5", b"null", b"{}{}",
    b'{"content":"x"} x', b"{'content':'x'}", b'{"content":"x",}',
    b'{"content":"\xff"}', b'{"content":"\xc3"}',
    b'{"content":"\xed\xa0\x80"}',
    b'{"content":"\xf4\x90\x80\x80"}', b'{"content":"\xc0\xaf"}',
    b'{"content":"\\ud800"}', b'{"content":"\\udc00"}',
    b'{"content":"\\ud800\\ud800"}', b'{"content":"\\udc00\\ud800"}',
    b'{"content":"\\ud83dx"}', b'{"content":"x","meta":"\\ud800"}',
    b'{"content":"x","meta":{"\\ud800":1}}', b'{"content":"\\u12"}',
    b'{"content":"\\x41"}', b'{"content":"a\nb"}', b'{"content":"a\x00b"}',
    b'{"content":"x","meta":NaN}', b'{"content":"x","meta":Infinity}',
    b'{"content":"x","meta":01}', b'{"content":"x","meta":1.}',
    b'{"content":"x","meta":.5}', b'{"content":"x","meta":+1}',
    b'{"content":"x","meta":0x10}', b'{"content":"x","meta":True}',
    b'{"content":"x"/*c*/}', b'{"content":"x"}\x00', b"\xef\xbb\xbf{}",
    b'{"content":"x"', b'{content:"x"}', b"\x00" * 10,
], ids=lambda r: repr(r)[:40])
def test_malformed_json(ann, room, raw):
    ann.post(f"/rooms/{room}/messages", raw=raw).error(
        400, "invalid_request")
    assert ann.history(room) == []


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"meta":[{"b":'])
def test_deep_nesting(ann, room, opening):
    depth = 60000 // len(opening)
    ann.post(f"/rooms/{room}/messages",
             raw=b'{"content":"x","meta":' + opening * depth).error(400)
    closed = b'{"content":"x","meta":' + b"[" * 20000 + b"]" * 20000 + b"}"
    ann.post(f"/rooms/{room}/messages", raw=closed).error(400)
    # Also where the value would be ignored.
    closed = b'{"content":"x","other":' + b"[" * 20000 + b"]" * 20000 + b"}"
    reply = ann.post(f"/rooms/{room}/messages", raw=closed)
    assert reply.status in (201, 400)
    assert ann.get("/rooms").status == 200


def test_of_duplicate_members_the_last_counts(ann, room):
    got = ann.post(f"/rooms/{room}/messages",
                   raw=b'{"content":"a","meta":1,"content":"b","meta":2}'
                   ).expect(201)
    assert got["content"] == "b" and got["meta"] == 2
    ann.post(f"/rooms/{room}/messages",
             raw=b'{"content":"a","content":5}').error(400, field="content")


def test_unknown_members_are_ignored(ann, room):
    got = ann.say(room, "x", sender_id="eve", seq=99, colour={"a": [1]})
    assert got["sender_id"] == "ann" and got["seq"] == 1
    assert "colour" not in got


def test_escapes_in_member_names(ann, room):
    got = ann.post(f"/rooms/{room}/messages",
                   raw=b'{"c\\u006fntent":"\\u0041\\u00e9\\ud83d\\ude00"}'
                   ).expect(201)
    assert got["content"] == "A\u00e9\U0001f600"


# ---- request ids ----

@pytest.mark.parametrize("mine", ["abc", "A-b_c.1:2", "x" * 64,
                                  "550e8400-e29b-41d4-a716-446655440000"])
def test_request_id_is_the_callers(ann, mine):
    reply = ann.get("/rooms", headers={"X-Request-Id": mine})
    assert reply.headers["x-request-id"] == mine
    reply = ann.get("/nowhere", headers={"X-Request-Id": mine})
    assert reply.error(404)["request_id"] == mine


@pytest.mark.parametrize("mine", ["", "x" * 5000, 'a"b', "a b\tc", "a\x7fb",
                                  "<script>", "ü"], ids=lambda m: ascii(m)[:9])
def test_request_id_that_is_not_sane(ann, mine):
    reply = ann.get("/rooms", headers={"X-Request-Id": mine.encode()})
    got = reply.headers["x-request-id"]
    assert got and len(got) <= 128 and got != mine
    assert re.match(r"\A[\x21-\x7e]+\Z", got)


def test_request_ids_differ(ann):
    ids = {ann.get("/rooms").headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


# ---- tenants apart ----

CALLS = [
    ("GET", "/rooms/{}", None),
    ("GET", "/rooms/{}/members", None),
    ("POST", "/rooms/{}/members", {"user_id": "mallory"}),
    ("DELETE", "/rooms/{}/members/ann", None),
    ("DELETE", "/rooms/{}/members/mallory", None),
    ("GET", "/rooms/{}/messages", None),
    ("GET", "/rooms/{}/messages?before_seq=5&limit=3", None),
    ("POST", "/rooms/{}/messages", {"content": "x"}),
    ("POST", "/rooms/{}/messages", {"content": "x", "client_msg_id": "1"}),
    ("POST", "/acks", {"room_id": "{}", "seq": 1}),
]


@pytest.mark.parametrize("kind", ["group", "channel", "dm"])
@pytest.mark.parametrize("who", ["ann", "mallory", None])
def test_another_tenants_room_is_like_none(server, tenant, kind, who):
    """Byte for byte, request id aside."""
    room = tenant.user("ann").make_room(["bob"], kind)["room_id"]
    sent = tenant.user("ann").say(room, "secret", client_msg_id="1")
    other = Tenant(server)
    caller = other.backend() if who is None else other.user(who)
    message = f"/rooms/{{}}/messages/{sent['message_id']}"
    for method, path, body in CALLS + [("GET", message, None)]:
        if who is None and method == "POST" and "members" not in path:
            continue
        answers = []
        for target in (room, NOWHERE):
            text = json.dumps(body).replace("{}", target) \
                if body is not None else None
            reply = caller.call(method, path.replace("{}", target),
                                raw=text and text.encode(),
                                headers={"X-Request-Id": "same"})
            reply.error(404, "not_found")
            headers = dict(reply.headers)
            for moving in ("date", "x-ratelimit-remaining",
                           "x-ratelimit-reset"):
                headers.pop(moving, None)
            answers.append((reply.body, headers))
        assert answers[0] == answers[1], (method, path)
    assert [m["content"] for m in tenant.backend().history(room)] == [
        "secret"]


def test_same_user_of_another_tenant_sees_nothing(server, tenant):
    tenant.user("ann").make_room(["bob"])
    other = Tenant(server)
    assert other.user("ann").get("/rooms").expect(200)["rooms"] == []


# ---- health ----

def test_health(server):
    got = Rest(server).get("/health").expect(200)
    assert got["status"] == "ok" and got["service"] == "chatapi"
    assert got["db_writable"] is True
    assert isinstance(got["version"], str) and got["version"]
    assert re.match(r"\A(\d+h)?(\d+m)?\d+s\Z", got["uptime"])


def test_storage_refused_is_said(start_server):
    """A server that cannot start its writer's database does not start."""
    server = Server(workers=1)
    server.args[server.args.index("-d") + 1] = "file:/nowhere/at/all.db"
    try:
        server.launch()
        assert server.process.wait(30) != 0
        assert "/nowhere/at" in server.log()
    finally:
        server.destroy()
        server.remove()
