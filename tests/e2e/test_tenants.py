# SPDX-License-Identifier: MIT
"""Tenants over their whole life, as their operator sees them: read, list,
change, disable, enable, delete."""
import base64
import json
import os
import re
import sqlite3
import subprocess
import time

import pytest

from chat import Chat
from client import Rest, Tenant, operator
from harness import BIN, DEADLINE, MASTER_KEY, clean_env, scaled, until

NOBODY = "tenant_0123456789abcdefghjkmn"
# RFC 8037, appendix A.2.
ED25519 = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
SPKI = bytes.fromhex("302a300506032b6570032100")
HS256 = "a secret of more than thirty-two bytes"
FIELDS = {"tenant_id", "name", "created_at", "disabled", "rate_limit",
          "webhook_url", "jwt_alg", "jwt_public_key", "retention_days"}


def pem(key=ED25519, prefix=SPKI, kind="PUBLIC KEY", eol="\n"):
    der = prefix + base64.urlsafe_b64decode(key + "=")
    return f"-----BEGIN {kind}-----{eol}" \
        f"{base64.b64encode(der).decode()}{eol}-----END {kind}-----{eol}"


def patch(tenant, body, slot=None):
    return Rest(tenant.server, {"X-Master-Key": MASTER_KEY}, slot).call(
        "PATCH", f"/admin/tenants/{tenant.id}", body)


def show(tenant):
    return operator(tenant.server).get(
        f"/admin/tenants/{tenant.id}").expect(200)


def database(server):
    return os.path.join(server.dir, "chatapi.db")


def tool(server, *args, stdin="", ok=True, env=None):
    done = subprocess.run(
        [BIN, "-d", "file:chatapi.db", *args], cwd=server.dir, text=True,
        env=clean_env(env), input=stdin, capture_output=True,
        timeout=DEADLINE)
    if ok:
        assert done.returncode == 0, done.stderr
    return done


# ---- who may ----

@pytest.mark.parametrize("headers", [
    {}, {"X-Master-Key": "wrong"}, {"X-Master-Key": ""},
    {"X-Master-Key": MASTER_KEY + "x"}], ids=str)
def test_only_the_operator(tenant, headers):
    one = f"/admin/tenants/{tenant.id}"
    for who in (Rest(tenant.server, headers),
                Rest(tenant.server, {**tenant.headers(), **headers})):
        for method, path in (("GET", one), ("PATCH", one), ("DELETE", one),
                             ("GET", one + "/keys"), ("POST", one + "/keys"),
                             ("DELETE", one + "/keys/x")):
            who.call(method, path, {"name": "mine"}).error(
                401, "unauthorized")
    assert show(tenant)["name"] == tenant.name
    tenant.user("ann").get("/rooms").expect(200)


def test_admin_api_is_off(start_server):
    server = start_server(workers=1, env={"MASTER_API_KEY": ""})
    rest = operator(server)
    for method in ("GET", "PATCH", "DELETE"):
        rest.call(method, f"/admin/tenants/{NOBODY}", {}).error(
            403, "forbidden")


def test_methods(tenant):
    rest = operator(tenant.server)
    one = f"/admin/tenants/{tenant.id}"
    for path, allow in ((one, "GET, HEAD, PATCH, DELETE"),
                        (one + "/keys", "GET, HEAD, POST"),
                        (one + "/keys/key_x", "DELETE")):
        got = rest.call("PUT", path, {})
        got.error(405, "method_not_allowed")
        assert got.headers["allow"] == allow


@pytest.mark.parametrize("name", [
    NOBODY, "tenant_", "x", "0123456789abcdefghjkmn", "%20", "tenant_" + "u"
    * 22, "room_0123456789abcdefghjkmn", "x" * 1500])
def test_unknown(server, name):
    rest = operator(server)
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""),
                         ("GET", "/keys"), ("POST", "/keys"),
                         ("DELETE", "/keys/key_0123456789abcdefghjkmn")):
        rest.call(method, f"/admin/tenants/{name}{path}",
                  {"name": "x"}).error(404, "not_found")


# ---- read and list ----

def test_read(tenant):
    got = show(tenant)
    assert set(got) == FIELDS
    assert got["tenant_id"] == tenant.id and got["name"] == tenant.name
    assert got["disabled"] is False
    for name in FIELDS - {"tenant_id", "name", "created_at", "disabled"}:
        assert got[name] is None, name


def test_list_by_cursor(start_server):
    server = start_server(workers=2)
    made = [Tenant(server) for _ in range(7)]
    rest = operator(server)
    for limit in (1, 3, 7, 100, 5000):
        seen, cursor = [], ""
        while cursor is not None:
            page = rest.get(
                f"/admin/tenants?limit={limit}{cursor}").expect(200)
            assert len(page["tenants"]) <= limit
            seen += page["tenants"]
            cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]
        assert [t["tenant_id"] for t in seen] == [t.id for t in made]
        assert all(set(t) == FIELDS for t in seen)
    # A page does not hang on the one before it being there still.
    page = rest.get("/admin/tenants?limit=3").expect(200)
    rest.delete(f"/admin/tenants/{made[2].id}").expect(204)
    page = rest.get("/admin/tenants?cursor=" + page["next_cursor"]).expect(200)
    assert [t["tenant_id"] for t in page["tenants"]] == \
        [t.id for t in made[3:]]
    for bad in ("cursor=x", "limit=0", "limit=x", "cursor="):
        rest.get("/admin/tenants?" + bad).error(400, "invalid_request",
                                                bad.split("=")[0])


# ---- change ----

GOOD = [
    ({"name": "Ümläute 用户"}, {}),
    ({"name": "x" * 256}, {}),
    ({"rate_limit": 0}, {}), ({"rate_limit": 1}, {}),
    ({"rate_limit": 1000000}, {}), ({"rate_limit": None}, {}),
    ({"disabled": True}, {}), ({"disabled": False}, {}),
    ({"retention_days": 1}, {}), ({"retention_days": 36500}, {}),
    ({"retention_days": None}, {}),
    ({"webhook_url": "https://example.org/hook?a=b&c=%20d"}, {}),
    ({"webhook_url": "HTTP://example.org:8080"}, {}),
    ({"webhook_url": "https://hooks.example.org./"}, {}),
    ({"webhook_url": "http://localhost/a-name-is-looked-up-when-used"}, {}),
    ({"webhook_url": "http://93.184.216.34/"}, {}),
    ({"webhook_url": "http://[2606:2800:220:1:248:1893:25c8:1946]:80/"}, {}),
    ({"webhook_url": "http://e.org/" + "x" * 2035}, {}),
    ({"webhook_url": None}, {}),
    ({"jwt_secret": HS256},
     {"jwt_alg": "HS256", "jwt_public_key": None, "jwt_secret": ...}),
    ({"jwt_secret": "ü" * 16}, {"jwt_alg": "HS256", "jwt_secret": ...}),
    ({"jwt_secret": "x" * 512}, {"jwt_alg": "HS256", "jwt_secret": ...}),
    ({"jwt_secret": None}, {"jwt_alg": None, "jwt_secret": ...}),
    ({"jwt_public_key": ED25519}, {"jwt_alg": "EdDSA"}),
    ({"jwt_public_key": ED25519 + "="},
     {"jwt_alg": "EdDSA", "jwt_public_key": ED25519}),
    ({"jwt_public_key": pem()},
     {"jwt_alg": "EdDSA", "jwt_public_key": ED25519}),
    ({"jwt_public_key": "\n" + pem(eol="\r\n")},
     {"jwt_alg": "EdDSA", "jwt_public_key": ED25519}),
    ({"jwt_public_key": None}, {"jwt_alg": None}),
    ({"webhook_secret": "any text will do"}, {"webhook_secret": ...}),
    ({"webhook_secret": None}, {"webhook_secret": ...}),
    ({}, {}), ({"unknown": 1, "tenant_id": NOBODY, "created_at": "x"},
               {"unknown": ..., "tenant_id": ..., "created_at": ...}),
]


@pytest.mark.parametrize("body,more", GOOD, ids=lambda v: str(v)[:60])
def test_patch(tenant, body, more):
    """Each field alone: it is as asked, the others stay, and a second time
    is the same."""
    wanted = show(tenant)
    wanted.update({k: v for k, v in {**body, **more}.items()
                   if more.get(k) is not ...})
    for _ in range(2):
        got = patch(tenant, body).expect(200)
        got.pop("webhook_secret", None)
        assert got == wanted
        assert show(tenant) == wanted


PRIVATE = [
    "127.0.0.1", "127.1", "127.255.255.254", "0.0.0.0", "0", "10.1.2.3",
    "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254",
    "100.64.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1",
    "127.0.0.1.", "224.0.0.1", "255.255.255.255", "198.18.0.1",
    "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[fd12:3456::1]",
    "[::ffff:127.0.0.1]", "[::ffff:a00:1]", "[64:ff9b::10.0.0.1]",
    "[2002:7f00:1::]", "[ff02::1]", "[0:0:0:0:0:0:0:1]"]
BAD = [
    *(("name", v) for v in ("", None, 1, [], "x" * 257, "ü" * 129)),
    *(("rate_limit", v) for v in (-1, 1000001, 1.5, "10", True, [], 1e30)),
    *(("disabled", v) for v in (None, 0, 1, "true", "", [])),
    *(("retention_days", v) for v in (0, -1, 36501, 1.5, "7", True)),
    *(("webhook_url", v) for v in (
        "", "example.org", "ftp://example.org/", "https://", "https:///x",
        "https://a b/", "https://exämple.org/", "http://e.org/#f", 7, True,
        "https://user@example.org/", "https://user:pw@example.org/",
        "http://e.org:0/", "http://e.org:65536/", "http://e.org:/",
        "http://e.org:x/", "http://-a\\b/", "http://e..org/", "javascript:x",
        "http://[::1/", "http://[::1]x/", "http://[fe80::1%25eth0]/",
        "http://127.0.0.1%2f@e.org/", "http://%31%32%37.0.0.1/",
        "http://1.2.3.4.5/", "http://999.1.1.1/", "http://e.org/\n",
        "http://e.org/" + "x" * 2036, {"url": "https://e.org/"})),
    *(("webhook_url", f"http://{h}/") for h in PRIVATE),
    *(("webhook_url", f"https://{h}:8443?x") for h in PRIVATE[:3]),
    *(("webhook_secret", v) for v in ("", "x" * 513, "a\nb", "a\0b", 1, [])),
    *(("jwt_secret", v) for v in ("", "short", "x" * 31, "x" * 513, 5,
                                  "x" * 31 + "\n", "x" * 40 + "\0")),
    *(("jwt_public_key", v) for v in (
        "", "x", ED25519[:-1], ED25519 + "A", ED25519.replace("_", "/"),
        pem(kind="PRIVATE KEY"), pem(prefix=SPKI[:-1] + b"\1"),
        pem(prefix=bytes.fromhex("302a300506032b656e032100")),
        pem()[:-10], pem() + pem(), pem().replace("M", "!", 1),
        # Points that verify what nobody has signed.
        "A" * 43, "AQ" + "A" * 41, 1, {"kty": "OKP"})),
]


def test_patch_refused(tenant):
    """Each alone and beside a good one: nothing of it is stored."""
    patch(tenant, {"webhook_url": "https://e.org/", "rate_limit": 7,
                   "jwt_public_key": ED25519}).expect(200)
    before = show(tenant)
    for field, value in BAD:
        for body in ({field: value}, {"name": "new", field: value},
                     {"retention_days": 3, field: value}):
            got = patch(tenant, body)
            assert got.status == 400, (body, got)
            got.error(400, "invalid_request", field)
    assert show(tenant) == before
    patch(tenant, {"jwt_secret": HS256, "jwt_public_key": ED25519}).error(
        400, "invalid_request", "jwt_public_key")
    rest = operator(tenant.server)
    path = f"/admin/tenants/{tenant.id}"
    for raw in (b"", b"[]", b"null", b"{", b'{"name":"\xff"}', b'"x"',
                b'{"name":"\\ud800"}'):
        rest.call("PATCH", path, raw=raw).error(400, "invalid_request")
    rest.call("PATCH", path, {"name": "x" * 70000}).error(413)
    rest.call("PATCH", path, raw=b"{}",
              headers={"Content-Type": "text/plain"}).error(415)
    assert show(tenant) == before


def test_of_duplicate_members_the_last_counts(tenant):
    operator(tenant.server).call(
        "PATCH", f"/admin/tenants/{tenant.id}",
        raw=b'{"name":"a","rate_limit":5,"name":"b"}').expect(200)
    assert show(tenant)["name"] == "b"
    assert show(tenant)["rate_limit"] == 5


def test_the_body_is_looked_at_before_the_tenant(server):
    operator(server).call("PATCH", f"/admin/tenants/{NOBODY}",
                          {"name": 1}).error(400, field="name")


def test_private_targets_where_allowed(start_server):
    server = start_server(workers=1, env={"WEBHOOK_ALLOW_PRIVATE": "1"})
    tenant = Tenant(server)
    for host in PRIVATE:
        patch(tenant, {"webhook_url": f"http://{host}/"}).expect(200)
    patch(tenant, {"webhook_url": "ftp://127.0.0.1/"}).error(400)


WHSEC = re.compile(r"\Awhsec_[A-Za-z0-9+/]{43}=\Z")


def test_webhook_secret_is_made_and_shown_once(tenant):
    made = []

    def secret(body):
        out = patch(tenant, body).expect(200).get("webhook_secret")
        assert out is None or WHSEC.match(out), out
        assert out not in made
        made.append(out)
        assert "webhook_secret" not in show(tenant)
        return out

    assert secret({"webhook_url": "https://a.example/"}) is not None
    made.remove(made[-1])
    del made[:]
    # There is one: another url leaves it alone, the same one too.
    assert "webhook_secret" not in patch(
        tenant, {"webhook_url": "https://b.example/"}).expect(200)
    # null makes a new one.
    assert secret({"webhook_secret": None}) is not None
    # One's own is never shown.
    for body in ({"webhook_secret": "my own"},
                 {"webhook_secret": "my own", "webhook_url": "https://c.d/"}):
        assert "webhook_secret" not in patch(tenant, body).expect(200)
    # Without an url there is none; with one there is a new one.
    assert "webhook_secret" not in patch(
        tenant, {"webhook_url": None}).expect(200)
    assert secret({"webhook_url": "https://a.example/"}) is not None
    # Given before the url, it is the one.
    assert "webhook_secret" not in patch(
        tenant, {"webhook_url": None, "webhook_secret": "mine"}).expect(200)
    assert "webhook_secret" not in patch(
        tenant, {"webhook_url": "https://a.example/"}).expect(200)


def test_one_jwt_key(tenant):
    def alg(body):
        got = patch(tenant, body).expect(200)
        assert (got["jwt_public_key"] is not None) == \
            (got["jwt_alg"] == "EdDSA")
        return got["jwt_alg"]

    assert alg({"jwt_secret": HS256}) == "HS256"
    assert alg({"jwt_public_key": None}) == "HS256"
    assert alg({"jwt_public_key": ED25519}) == "EdDSA"
    assert alg({"jwt_secret": None}) == "EdDSA"
    assert alg({"jwt_secret": HS256, "jwt_public_key": None}) == "HS256"
    assert alg({"jwt_secret": None, "jwt_public_key": ED25519}) == "EdDSA"
    assert alg({"jwt_secret": None, "jwt_public_key": None}) is None


def test_secrets_are_nowhere_to_be_seen(start_server):
    server = start_server(workers=2, env={"LOG_LEVEL": "debug"})
    tenant = Tenant(server)
    made = patch(tenant, {"webhook_url": "https://e.org/"}).expect(
        200)["webhook_secret"]
    patch(tenant, {"jwt_secret": HS256}).expect(200)
    other = Tenant(server)
    patch(other, {"webhook_secret": HS256 + "2"}).expect(200)
    tool(server, "tenant", "update", other.id, "jwt_secret=@-",
         stdin=HS256 + "3\n")
    secrets = [made.encode(), made[6:-1].encode(), HS256.encode(),
               base64.b64decode(made[6:])]
    rest = operator(server)
    for got in (rest.get(f"/admin/tenants/{tenant.id}"),
                rest.get("/admin/tenants")):
        for s in secrets[:3]:
            assert s not in got.body
    for pid in [server.pid, *server.children().values()]:
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as f:
                text = f.read()
            for s in secrets:
                assert s not in text
    server.stop()
    key_file = database(server) + "-secrets"
    assert os.stat(key_file).st_mode & 0o7777 == 0o600
    assert os.path.getsize(key_file) == 32
    with open(key_file, "rb") as f:
        secrets.append(f.read())
    for name in os.listdir(server.dir):
        path = os.path.join(server.dir, name)
        if path == key_file or not os.path.isfile(path):
            continue
        with open(path, "rb") as f:
            text = f.read()
        for s in secrets:
            assert s not in text, name


# ---- what a change does ----

def test_rate_limit_acts_on_every_worker(start_server):
    """Also on requests and sockets that were there before."""
    server = start_server(workers=3)
    tenant = Tenant(server)
    rests = [tenant.user("ann", slot=i) for i in range(3)]
    for r in rests:
        assert "x-ratelimit-limit" not in r.get("/rooms").headers
    for limit, shown in ((50, "50"), (0, None), (70, "70"), (None, None)):
        patch(tenant, {"rate_limit": limit}).expect(200)
        began = time.monotonic()
        for r in rests:
            until(lambda: r.get("/rooms").headers.get("x-ratelimit-limit")
                  == shown, f"{limit} was in force")
        assert time.monotonic() - began < DEADLINE


async def test_rate_limit_acts_on_open_sockets(server):
    tenant = Tenant(server)
    room = tenant.user("ann").make_room()["room_id"]
    chats = [await Chat.connect(tenant, "ann", slot=i) for i in range(3)]
    for c in chats:
        await c.say(room, "x")
    patch(tenant, {"rate_limit": 1}).expect(200)
    end = time.monotonic() + DEADLINE
    for c in chats:
        refused = None
        while refused is None or refused["code"] != "rate_limit_exceeded":
            assert time.monotonic() < end
            await c.send("ack", room_id=room, seq=1, request_id="r")
            refused = await c.wait(None, request_id="r")
            refused = refused if refused["type"] == "error" else None
    patch(tenant, {"rate_limit": 0}).expect(200)
    for c in chats:
        got = None
        while got is None or got["type"] == "error":
            assert time.monotonic() < end
            await c.send("ack", room_id=room, seq=1, request_id="s")
            got = await c.wait(None, request_id="s")
        await c.close()


async def test_disabled_and_enabled(server):
    tenant, other = Tenant(server), Tenant(server)
    room = tenant.user("ann").make_room()["room_id"]
    chats = [await Chat.connect(tenant, f"u{i}", slot=i) for i in range(3)]
    kept = [await Chat.connect(other, f"u{i}", slot=i) for i in range(3)]
    rests = [tenant.user("ann", slot=i) for i in range(3)]
    for r in rests:
        r.get("/rooms").expect(200)
    patch(tenant, {"disabled": True}).expect(200)
    assert show(tenant)["disabled"] is True
    for c in chats:
        assert await c.wait_closed() == 4505
    for r in rests:
        until(lambda: r.get("/rooms").status == 403, "it was disabled")
        r.get("/rooms").error(403, "forbidden")
        r.post(f"/rooms/{room}/messages", {"content": "x"}).error(403)
        # A wrong key is told first, whose tenant it would be is not known.
        r.get("/rooms", headers={"X-API-Key": "sk_" + "a" * 43}).error(401)
        r.get("/ws", headers={"Upgrade": "websocket"}).error(403)
    for c in kept:
        await c.barrier()
        await c.close()
    patch(tenant, {"disabled": False}).expect(200)
    for r in rests:
        until(lambda: r.get("/rooms").status == 200, "it was enabled")
    c = await Chat.connect(tenant, "ann")
    await c.say(room, "back")
    await c.close()


# ---- delete ----

async def test_deleted_is_gone_at_once(server):
    tenant, other = Tenant(server), Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    message = tenant.user("ann").say(room, "x")["message_id"]
    patch(tenant, {"webhook_url": "https://e.org/",
                   "jwt_secret": HS256}).expect(200)
    chats = [await Chat.connect(tenant, "ann", slot=i) for i in range(3)]
    kept = await Chat.connect(other, "ann")
    rests = [tenant.user("ann", slot=i) for i in range(3)]
    unknown = Rest(server, {"X-API-Key": "sk_" + "a" * 43,
                            "X-User-Id": "ann"})
    for r in rests:
        r.get("/rooms").expect(200)
    rest = operator(server)
    rest.delete(f"/admin/tenants/{tenant.id}").expect(204)
    for c in chats:
        assert await c.wait_closed() == 4505
    for r in rests:
        until(lambda: r.get("/rooms").status == 401, "its key was unknown")
        for method, path, body in (
                ("GET", "/rooms", None), ("POST", "/rooms", {}),
                ("GET", f"/rooms/{room}", None), ("GET", "/ws", None),
                ("GET", f"/rooms/{room}/messages/{message}", None),
                ("POST", f"/rooms/{room}/messages", {"content": "x"})):
            got = r.call(method, path, body, headers={"X-Request-Id": "r"})
            like = unknown.call(method, path, body,
                                headers={"X-Request-Id": "r"})
            assert got.status == 401 and got.body == like.body
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""),
                         ("GET", "/keys"), ("POST", "/keys")):
        rest.call(method, f"/admin/tenants/{tenant.id}{path}", {}).error(
            404, "not_found")
    listed, cursor = [], ""
    while cursor is not None:
        page = rest.get("/admin/tenants?limit=100" + cursor).expect(200)
        listed += [t["tenant_id"] for t in page["tenants"]]
        cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]
    assert tenant.id not in listed and other.id in listed
    assert tenant.id not in tool(server, "tenant", "list").stdout
    await kept.barrier()
    await kept.close()
    other.backend().get(f"/rooms/{room}").error(404)


TABLES = ("tenant WHERE id = ?", "api_key WHERE tenant = ?",
          "room WHERE tenant = ?", "member WHERE tenant = ?",
          "ws_token WHERE tenant = ?",
          "room_head WHERE room NOT IN (SELECT id FROM room) AND 0 < ?",
          "message WHERE room NOT IN (SELECT id FROM room) AND 0 < ?",
          "sweep WHERE 0 < ?")


def rows(server, internal):
    db = sqlite3.connect(database(server), timeout=DEADLINE)
    try:
        return {t: db.execute(f"SELECT count(*) FROM {t}",
                              (internal,)).fetchone()[0] for t in TABLES}
    finally:
        db.close()


def internal_id(server, name):
    db = sqlite3.connect(database(server), timeout=DEADLINE)
    try:
        return db.execute("SELECT id FROM tenant WHERE name = ?",
                          (name,)).fetchone()[0]
    finally:
        db.close()


def fill(server, tenant, rooms, messages):
    """Rows straight into the database of a server that is down."""
    db = sqlite3.connect(database(server))
    found = [r[0] for r in db.execute(
        "SELECT r.id FROM room r JOIN tenant t ON t.id = r.tenant"
        " WHERE t.name = ? ORDER BY r.id", (tenant.name,))]
    assert len(found) == rooms
    for room in found:
        db.executemany(
            "INSERT INTO message (room, seq, sender, content, created_ms)"
            " VALUES (?, ?, 'ann', ?, 1)",
            ((room, seq, "x" * 200) for seq in range(1, messages + 1)))
        db.execute("UPDATE room_head SET last_seq = ? WHERE room = ?",
                   (messages, room))
    db.commit()
    db.close()


def test_all_data_goes_while_others_send(start_server):
    """50,000 messages and some rooms; the writer dies and the server is
    started again in the middle.  Another tenant sends all the time: each of
    his messages is answered and there, and none waits for the whole."""
    server = start_server(workers=2)
    # The internal ids that follow must not be taken again.
    some = [Tenant(server, f"goes {i}") for i in range(3)]
    other = Tenant(server, "stays")
    for gone in some:
        backend = gone.backend()
        for i in range(10):
            backend.make_room([f"u{j}" for j in range(20)])
    room = other.user("bob").make_room()["room_id"]
    server.stop()
    for gone in some:
        fill(server, gone, 10, scaled(5000, 1000))
    server.start()
    bob = other.user("bob")
    sent, slowest = [], 0.0

    def say():
        nonlocal slowest
        began = time.monotonic()
        sent.append(bob.say(room, f"{len(sent)}")["seq"])
        slowest = max(slowest, time.monotonic() - began)

    # When we pause after its deletion all may be gone: then the next one.
    for gone in some:
        internal = internal_id(server, gone.name)
        before = rows(server, internal)
        assert before["room WHERE tenant = ?"] == 10
        operator(server).delete(f"/admin/tenants/{gone.id}").expect(204)
        for _ in range(20):
            say()
        left = rows(server, internal)
        if any(left.values()):
            break
    # It is not done by one long write.
    assert any(left.values())
    old = server.pid_of("writer")
    server.kill("writer")
    server.wait_respawn("writer", None, old)
    for _ in range(20):
        say()
    server.stop()
    left = rows(server, internal)
    server.start()
    if any(left.values()):
        assert "removal goes on" in server.log()
    bob = other.user("bob")
    until(lambda: say() or not any(rows(server, internal).values()),
          "all rows were gone", deadline=4 * DEADLINE)
    assert slowest < DEADLINE / 2
    assert [m["seq"] for m in bob.history(room)] == sent == \
        list(range(1, len(sent) + 1))
    again = Tenant(server, "after")
    assert internal_id(server, "after") > internal
    again.user("ann").make_room()


def test_deleted_offline(start_server):
    """By the command, with no server: hidden at once, its rows go when the
    server is started."""
    server = start_server(workers=1)
    tenant = Tenant(server, "goes")
    tenant.user("ann").say(
        tenant.user("ann").make_room()["room_id"], "x")
    internal = internal_id(server, "goes")
    server.stop()
    tool(server, "tenant", "delete", tenant.id)
    done = tool(server, "tenant", "show", tenant.id, ok=False)
    assert done.returncode == 1
    assert tenant.id not in tool(server, "tenant", "list").stdout
    server.start()
    tenant.user("ann").get("/rooms").error(401)
    until(lambda: not any(rows(server, internal).values()),
          "all rows were gone")


# ---- the command ----

@pytest.fixture(params=["running", "stopped"])
def place(request, start_server):
    """A server with a tenant, which then runs or doesn't."""
    server = start_server(workers=2)
    server.tenant = Tenant(server, "acme")
    if request.param == "stopped":
        server.stop()
    return server


def as_json(server, *args, **kw):
    return json.loads(tool(server, *args, "--json", **kw).stdout)


def test_tool_update(place):
    one = place.tenant.id
    got = as_json(place, "tenant", "update", one, "name=Acme & Söhne",
                  "rate_limit=7", "retention_days=30",
                  "webhook_url=https://example.org/hook", "jwt_secret=@-",
                  stdin=HS256 + "\n")
    assert WHSEC.match(got.pop("webhook_secret"))
    assert got["name"] == "Acme & Söhne" and got["rate_limit"] == 7
    assert got["retention_days"] == 30 and got["jwt_alg"] == "HS256"
    assert got["webhook_url"] == "https://example.org/hook"
    assert as_json(place, "tenant", "show", one) == got
    with open(os.path.join(place.dir, "key.pem"), "w",
              encoding="ascii") as f:
        f.write(pem())
    got = as_json(place, "tenant", "update", one,
                  "jwt_public_key=@key.pem", "rate_limit=null",
                  "webhook_url=null", "retention_days=null")
    assert got["jwt_public_key"] == ED25519 and got["jwt_alg"] == "EdDSA"
    assert got["rate_limit"] is None and got["webhook_url"] is None
    assert got["retention_days"] is None
    assert "EdDSA" in tool(place, "tenant", "show", one).stdout
    if not place.running():
        place.start()
    assert show(place.tenant) == got


def test_tool_update_refused(place):
    one = place.tenant.id
    before = as_json(place, "tenant", "show", one)
    for args in (["name="], ["name=null"], ["nonsense=1"], ["name"], [],
                 ["rate_limit=-1"], ["rate_limit=x"], ["rate_limit="],
                 ["disabled=yes"], ["retention_days=0"],
                 ["webhook_url=http://127.0.0.1/"], ["webhook_url="],
                 ["jwt_public_key=x"], ["jwt_secret=@/nonexistent"],
                 ["name=a", "name=b"], ["name=a", "rate_limit=-1"],
                 [f"jwt_secret={HS256}"], ["webhook_secret=x"]):
        done = tool(place, "tenant", "update", one, *args, ok=False)
        assert done.returncode == 2, (args, done)
        assert done.stderr and not done.stdout
    assert as_json(place, "tenant", "show", one) == before
    for args in (("update", NOBODY, "name=x"), ("disable", NOBODY),
                 ("enable", "x"), ("delete", NOBODY)):
        done = tool(place, "tenant", *args, ok=False)
        assert done.returncode == 1 and done.stderr and not done.stdout
    # A secret that was typed is not said again.
    done = tool(place, "tenant", "update", one, f"jwt_secret={HS256}",
                ok=False)
    assert HS256 not in done.stderr


async def test_tool_disable_enable_delete(place):
    tenant = place.tenant

    def everywhere(status, what):
        """Each worker hears of it in its own time."""
        for slot in range(place.workers):
            until(lambda: tenant.user("ann", slot).get(
                "/rooms").status == status, what)

    assert "disabled" in tool(place, "tenant", "disable", tenant.id).stdout
    if not place.running():
        place.start()
        tenant.user("ann").get("/rooms").error(403, "forbidden")
        place.stop()
    else:
        everywhere(403, "it was disabled")
    assert "active" in tool(place, "tenant", "enable", tenant.id).stdout
    if not place.running():
        place.start()
    everywhere(200, "it was enabled")
    chat = await Chat.connect(tenant, "ann")
    assert tenant.id in tool(place, "tenant", "delete", tenant.id).stdout
    assert await chat.wait_closed() == 4505
    until(lambda: tenant.user("ann").get("/rooms").status == 401,
          "its key was unknown")


# ---- the key file ----

def key_file(server):
    return database(server) + "-secrets"


def refused(tenant, body):
    got = patch(tenant, body)
    got.error(503, "unavailable")
    assert "retry-after" in got.headers
    return got


def test_key_file_is_made_at_the_start(start_server):
    """Once, and by commands without a server only when there is need."""
    server = start_server(workers=2, launch=False)
    made = json.loads(tool(server, "tenant", "create", "acme",
                           "--json").stdout)
    tool(server, "tenant", "update", made["tenant_id"], "name=x")
    assert not os.path.exists(key_file(server))
    server.start()
    with open(key_file(server), "rb") as f:
        key = f.read()
    assert len(key) == 32 and len(set(key)) > 8
    tenant = Tenant(server)
    patch(tenant, {"name": "x", "jwt_public_key": ED25519}).expect(200)
    patch(tenant, {"jwt_secret": HS256}).expect(200)
    assert os.stat(key_file(server)).st_mode & 0o7777 == 0o600
    old = server.pid_of("writer")
    server.kill("writer")
    server.wait_respawn("writer", None, old)
    patch(tenant, {"webhook_secret": "s"}).expect(200)
    with open(key_file(server), "rb") as f:
        assert f.read() == key
    assert "cannot be opened" not in server.log()


def test_key_file_elsewhere(start_server, tmp_path):
    path = tmp_path / "deeper" / "key"
    server = start_server(workers=1, env={"KEY_FILE": str(path)})
    tenant = Tenant(server)
    refused(tenant, {"jwt_secret": HS256})
    path.parent.mkdir()
    patch(tenant, {"jwt_secret": HS256}).expect(200)
    assert path.stat().st_size == 32
    assert not os.path.exists(key_file(server))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o777])
def test_key_file_open_to_others(start_server, mode):
    server = start_server(workers=1)
    tenant = Tenant(server)
    patch(tenant, {"jwt_secret": HS256}).expect(200)
    server.stop()
    os.chmod(key_file(server), mode)
    server.start()
    log = server.log()
    assert tenant.id in log and "chmod 600" in log
    assert key_file(server).rpartition("/")[2] in log
    refused(tenant, {"jwt_secret": HS256 + "2"})
    # What needs no secret goes on.
    patch(tenant, {"name": "new"}).expect(200)
    tenant.user("ann").get("/rooms").expect(200)
    os.chmod(key_file(server), 0o600)
    patch(tenant, {"jwt_secret": HS256 + "2"}).expect(200)


@pytest.mark.parametrize("what", ["short", "long", "empty", "directory",
                                  "other"])
def test_key_file_is_another(start_server, what):
    server = start_server(workers=1)
    tenant = Tenant(server)
    patch(tenant, {"jwt_secret": HS256}).expect(200)
    server.stop()
    os.rename(key_file(server), key_file(server) + ".kept")
    if what == "directory":
        os.mkdir(key_file(server), 0o700)
    else:
        with open(key_file(server), "wb") as f:
            f.write(b"x" * {"short": 31, "long": 33, "empty": 0,
                            "other": 32}[what])
        os.chmod(key_file(server), 0o600)
    server.start()
    assert tenant.id in server.log()
    if what != "other":
        refused(tenant, {"jwt_secret": HS256 + "2"})


def test_database_without_its_key_file(start_server):
    """A restored database: the server starts, says whose secrets are lost,
    makes no new file over the loss, and takes the old one back."""
    server = start_server(workers=2)
    tenants = [Tenant(server) for _ in range(4)]
    patch(tenants[0], {"jwt_secret": HS256}).expect(200)
    patch(tenants[1], {"webhook_url": "https://e.org/"}).expect(200)
    patch(tenants[2], {"jwt_public_key": ED25519}).expect(200)
    server.stop()
    os.rename(key_file(server), key_file(server) + ".kept")
    server.start()
    log = server.log()
    for t, lost in zip(tenants, (True, True, False, False)):
        assert (t.id in log) == lost
        t.user("ann").make_room()
    refused(tenants[3], {"jwt_secret": HS256})
    assert not os.path.exists(key_file(server))
    done = tool(server, "tenant", "update", tenants[3].id, "jwt_secret=@-",
                stdin=HS256, ok=False)
    assert done.returncode == 1 and "key file" in done.stderr
    # It comes back: no restart is needed.
    os.rename(key_file(server) + ".kept", key_file(server))
    patch(tenants[3], {"jwt_secret": HS256}).expect(200)
    # Gone from under the server: nothing new is sealed that would be lost.
    os.rename(key_file(server), key_file(server) + ".kept")
    refused(tenants[3], {"jwt_secret": HS256 + "2"})
    assert "was there and is gone" in server.log()
    os.rename(key_file(server) + ".kept", key_file(server))
    patch(tenants[3], {"jwt_secret": HS256}).expect(200)
    # It does not: what is lost is cleared, and a new one is made.
    server.stop()
    os.unlink(key_file(server))
    server.start()
    for t in tenants:
        patch(t, {"webhook_url": None, "jwt_secret": None}).expect(200)
    patch(tenants[0], {"jwt_secret": HS256}).expect(200)
    assert os.path.getsize(key_file(server)) == 32


def test_tool_refuses_a_bad_key_file(start_server):
    """With no server running, the command itself looks."""
    server = start_server(workers=1)
    tenant = Tenant(server)
    server.stop()
    with open(key_file(server), "wb") as f:
        f.write(b"x" * 32)
    os.chmod(key_file(server), 0o644)
    done = tool(server, "tenant", "update", tenant.id, "jwt_secret=@-",
                stdin=HS256, ok=False)
    assert done.returncode == 1 and "chmod 600" in done.stderr
    assert HS256 not in done.stderr
    os.unlink(key_file(server))
    tool(server, "tenant", "update", tenant.id, "jwt_secret=@-",
         stdin=HS256)
    assert os.stat(key_file(server)).st_mode & 0o7777 == 0o600


# ---- the writer dies ----

def test_changes_survive_the_writer(start_server):
    """A PATCH that was answered is there; one that was not is done once."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    for i in range(scaled(6, 3)):
        old = server.pid_of("writer")
        server.kill("writer")
        got = patch(tenant, {"webhook_url": None}).expect(200)
        got = patch(tenant, {"name": f"n{i}", "rate_limit": 1000 + i,
                             "webhook_url": f"https://e.org/{i}"}).expect(200)
        assert WHSEC.match(got.pop("webhook_secret"))
        server.wait_respawn("writer", None, old)
        assert show(tenant) == got
