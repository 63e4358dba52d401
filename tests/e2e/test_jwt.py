# SPDX-License-Identifier: MIT
"""Users who show a JWT: which are let in, as whom, and for how long."""
import asyncio
import json
import time

import jwt
import pytest

from chat import Chat
from client import Rest, Tenant, operator
from harness import until
from raw import Raw
from tokens import LEEWAY, Bearer, Issuer, base64url, bearer, by_hand, change

ALGORITHMS = ("HS256", "EdDSA")
# Seconds of a token that is to end, but not before it was shown.
SHORT = 5


@pytest.fixture(params=ALGORITHMS)
def issuer(request, tenant):
    return Issuer(tenant, request.param).install()


@pytest.fixture
def hs256(tenant):
    return Issuer(tenant).install()


def shows(server, token, **headers):
    """The answer to GET /rooms with that token."""
    return Rest(server, {**bearer(token), **headers}).get("/rooms")


def refused(reply, word=""):
    message = reply.error(401)["message"]
    assert word in message, message
    assert "Bearer" in reply.headers["www-authenticate"]
    return message


async def ws(server, token, **options):
    return await Chat.connect(Bearer(server), None,
                              path=f"/ws?token={token}", **options)


def known_everywhere(issuer):
    """Each worker is told of a new key by itself."""
    for slot in range(issuer.server.workers):
        until(lambda: issuer.user("ann", slot).get("/rooms").status == 200,
              "the worker took the token")


def ws_status(server, query, headers=None):
    """The status of a handshake with that query."""
    c = Raw(server)
    status, _, body = c.handshake(headers or {}, path="/ws?" + query)
    c.close()
    return status, body


async def test_acts_as_the_user(issuer):
    ann, bob = issuer.user("ann"), issuer.user("zoë 🐟")
    room = ann.make_room(["zoë 🐟"])["room_id"]
    bob.say(room, "hello")
    chat = await ws(issuer.server, issuer.token("ann"))
    assert chat.welcome["user_id"] == "ann"
    message = await chat.wait("message")
    assert (message["sender_id"], message["content"]) == ("zoë 🐟", "hello")
    await chat.say(room, "hi")
    assert [m["sender_id"] for m in ann.history(room)] == ["zoë 🐟", "ann"]
    assert ann.post("/acks", {"room_id": room, "seq": 2}).expect(200) == \
        {"room_id": room, "seq": 2}
    issuer.user("eve").get(f"/rooms/{room}").error(403)
    # Authorization is a handshake's header, too.
    with_header = Rest(issuer.server, bearer(issuer.token()))
    c = Raw(issuer.server)
    assert c.handshake(with_header.headers)[0] == 101
    c.close()


def test_is_no_operator_and_no_backend(issuer):
    ann = issuer.user("ann")
    ann.get("/admin/tenants").error(401)
    assert ann.get("/rooms").expect(200)["rooms"] == []
    room = issuer.tenant.backend().make_room(["bob"])["room_id"]
    ann.get(f"/rooms/{room}").error(403)
    assert ann.get("/rooms").expect(200)["rooms"] == []


def test_dm_with_himself_only(issuer):
    ann = issuer.user("ann")
    reply = ann.post("/rooms", {"type": "dm", "members": ["bob", "cid"]})
    reply.error(403)
    made = ann.make_room(["bob"], "dm")
    again = ann.post("/rooms", {"type": "dm", "members": ["bob", "ann"]})
    assert again.expect(200)["room_id"] == made["room_id"]
    # Malformed comes first; who has the key may name any two.
    ann.post("/rooms", {"type": "dm", "members": ["bob", "bob"]}) \
        .error(400, None, "members")
    issuer.tenant.user("ann").make_room(["bob", "cid"], "dm")


def test_public_key_as_pem(tenant):
    issuer = Issuer(tenant, "EdDSA")
    change(tenant, jwt_public_key=issuer.pem())
    assert shows(tenant.server, issuer.token()).status == 200


def test_signature(issuer, server):
    other = Issuer(issuer.tenant, issuer.algorithm,
                   None if issuer.algorithm == "EdDSA" else "x" * 40)
    messages = {refused(shows(server, other.token()))}
    head, body, mac = issuer.token().split(".")
    flipped = ("B" if mac[5] == "A" else "A").join((mac[:5], mac[6:]))
    for token in (f"{head}.{body}.{flipped}", f"{head}.{body}.",
                  f"{head}.{body}.{mac[:40]}"):
        messages.add(refused(shows(server, token)))
    # Signed well, for a tenant without a key, and for none.
    messages.add(refused(shows(server, issuer.token(
        tid=Tenant(server).id))))
    messages.add(refused(shows(server, issuer.token(
        tid=issuer.tenant.id[:-3] + "000"))))
    # Nobody learns which of these it was.
    assert len(messages) == 1, messages


def test_algorithm_is_the_tenants(tenant, server):
    ed = Issuer(tenant, "EdDSA").install()
    claims = ed.claims()
    for secret in (ed.raw_public(), ed.setting["jwt_public_key"].encode()):
        refused(shows(server, jwt.encode(claims, secret, "HS256")))
    refused(shows(server, by_hand({"alg": "EdDSA"}, claims, "x")))
    hs = Issuer(tenant).install()
    known_everywhere(hs)
    refused(shows(server, ed.token()))
    assert shows(server, hs.token()).status == 200
    for algorithm in ("HS384", "HS512"):
        refused(shows(server, jwt.encode(claims, hs.key, algorithm)), "alg")
    refused(shows(server, jwt.encode(claims, None, "none")), "alg")
    refused(shows(server, by_hand({"alg": "hs256"}, claims, hs.key)), "alg")


def test_header(hs256, server):
    claims = hs256.claims()
    for good in ({"alg": "HS256", "typ": "JWT", "kid": "7", "x5u": "http://x"},
                 {"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}},
                 '{"alg":"none","alg":"HS256"}', ' {"alg" : "HS256"}\n'):
        reply = shows(server, by_hand(good, claims, hs256.key))
        assert reply.status == 200, good
    for bad, word in (({"alg": "HS256", "crit": []}, "crit"),
                      ({"alg": "HS256", "crit": ["exp"]}, "crit"),
                      ({"alg": "HS256", "b64": False, "crit": ["b64"]},
                       "crit"),
                      ({"typ": "JWT"}, "alg"), ({"alg": None}, "alg"),
                      ([], "header"), ("", "header"), ("{", "header"),
                      ('{"alg":"HS256"}}', "header"),
                      (b'{"alg":"HS256","x":"\xff"}', "header")):
        refused(shows(server, by_hand(bad, claims, hs256.key)), word)


def test_claims(hs256, server):
    token = hs256.token
    now = int(time.time())
    good = [{}, {"aud": ["x"], "iss": 1, "iat": now + 9999, "jti": None},
            {"exp": now + 60.5}, {"exp": 2 ** 63}, {"exp": 1e300},
            {"nbf": now - 60}, {"nbf": now + 2}, {"nbf": -1},
            {"sub": "é" * 64}]
    for claims in good:
        assert shows(server, token(**claims)).status == 200, claims

    def just_over():
        """The answer, unless it may have come behind the leeway."""
        exp = int(time.time()) - 2
        reply = shows(server, token(exp=exp))
        return time.time() < exp + LEEWAY and reply

    assert until(just_over, "a token was shown in time").status == 200
    bad = [({"sub": None}, "sub"), ({"tid": None}, "tid"),
           ({"exp": None}, "exp"), ({"sub": ""}, "sub"),
           ({"sub": "a\nb"}, "sub"), ({"sub": "a\0"}, "sub"),
           ({"sub": "x" * 129}, "sub"), ({"tid": "tenant_"}, "tid"),
           ({"tid": hs256.tenant.id[len("tenant_"):]}, "tid"),
           ({"exp": now - LEEWAY - 1}, "expired"), ({"exp": 0}, "expired"),
           ({"exp": -2 ** 63}, "expired"), ({"exp": -1e300}, "expired"),
           ({"nbf": now + LEEWAY + 60}, "nbf")]
    for claims, word in bad:
        refused(shows(server, by_hand({"alg": "HS256"},
                                      hs256.claims(**claims), hs256.key)),
                word)
    for name in ("sub", "tid", "exp", "nbf"):
        for value in ([], {}, True, None if name == "nbf" else 1.5):
            if name == "exp" and value == 1.5:
                value = str(now + 60)
            claims = {**hs256.claims(), name: value}
            refused(shows(server, by_hand({"alg": "HS256"}, claims,
                                          hs256.key)), name)


def test_odd_json(hs256, server):
    text = json.dumps(hs256.claims("ann"))[:-1]

    def of(claims):
        return shows(server, by_hand({"alg": "HS256"}, claims, hs256.key))

    # The last of two counts, as everywhere.
    token = by_hand({"alg": "HS256"}, text + ',"sub":"bob"}', hs256.key)
    made = Rest(server, bearer(token)).make_room(["cid"], "dm")
    assert made["unique_key"] == "bob:cid"
    refused(of(text + ',"exp":1}'), "expired")
    assert of(text + ',"x":' + "[" * 30 + "]" * 30 + "}").status == 200
    refused(of(text + ',"x":' + "[" * 999 + "]" * 999 + "}"), "claims")
    for end in (',"x":NaN}', ',"x":"\\ud800"}', ",}", "}}", "", "}\0"):
        refused(of(text + end), "claims")
    refused(of(text.encode() + b',"x":"\xff"}'), "claims")
    refused(of("[1]"), "claims")


def test_size_and_encoding(hs256, server):
    long = hs256.token(x="y" * 2900)
    assert len(long) <= 4096 and shows(server, long).status == 200
    refused(shows(server, hs256.token(x="y" * 3100)), "4096")
    token = hs256.token()
    for bad in (token + "=", token + ".", "." + token, token.replace(".", "!"),
                token[:-1] + "+", token.replace(".", ".\x20", 1),
                token.rpartition(".")[0], "x", "..",
                base64url(b"{}") * 3):
        refused(shows(server, bad))
    assert Rest(server, {"Authorization": "bearer  " + token}) \
        .get("/rooms").status == 200
    for scheme in ("", "Bearer", "Bearer ", "Basic eDp5", "Bearerx y",
                   "Token " + token):
        refused(Rest(server, {"Authorization": scheme}).get("/rooms"))


def test_one_identity_at_a_time(hs256, server):
    tenant, token = hs256.tenant, hs256.token("ann")
    both = {**bearer(token), "X-API-Key": tenant.key}
    refused(Rest(server, both).get("/rooms"), "not both")
    refused(Rest(server, {**both, "X-User-Id": "ann"}).get("/rooms"))
    # Another scheme is some proxy's affair.
    proxy = {**tenant.headers("ann"), "Authorization": "Basic eDp5"}
    assert Rest(server, proxy).get("/rooms").status == 200
    # X-User-Id may say what sub says.
    assert shows(server, token, **{"X-User-Id": "ann"}).status == 200
    shows(server, token, **{"X-User-Id": "bob"}) \
        .error(400, None, "X-User-Id")
    # Kinds of tokens are not taken for one another.
    refused(shows(server, tenant.key), "X-API-Key")
    refused(shows(server, "wst_" + "a" * 43), "WebSocket")
    refused(Rest(server).get(f"/rooms?token={token}"), "Bearer")
    assert ws_status(server, f"token={token}", tenant.headers("ann"))[0] == 401
    assert ws_status(server, f"token={token}", bearer(token))[0] == 401
    status, body = ws_status(server, f"token={tenant.key}")
    assert status == 401 and b"X-API-Key" in body
    for url in (f"api_key={tenant.key}", f"token={token}&api_key=x"):
        status, body = ws_status(server, url)
        assert status == 401 and b"X-API-Key" in body
    refused(Rest(server, bearer(token)).get("/rooms?api_key=x"), "X-API-Key")
    assert ws_status(server, f"token={token}",
                     {"X-User-Id": "bob"})[0] == 400


def test_no_key_no_token(tenant, server):
    issuer = Issuer(tenant)
    refused(shows(server, issuer.token()))
    issuer.install()
    known_everywhere(issuer)
    change(tenant, jwt_secret=None)
    until(lambda: shows(server, issuer.token()).status == 401,
          "no worker took the token any more")


async def test_expiry_closes(issuer):
    server = issuer.server
    # Found before the tokens are made: they do not live long.
    socks = [server.connect(i) for i in range(server.workers)]
    began = time.time()
    short = await asyncio.gather(*(
        ws(server, issuer.token("ann", SHORT), sock=s) for s in socks))
    assert [c.slot for c in short] == list(range(server.workers))
    long = await ws(server, issuer.token("ann", 600), slot=0)
    key = await Chat.connect(issuer.tenant, "ann", slot=0)
    codes = await asyncio.gather(*(c.wait_closed() for c in short))
    assert codes == [4103] * len(short)
    # exp has whole seconds: not before the leeway is over.
    assert time.time() - began > SHORT - 1 + LEEWAY - 0.1
    await long.barrier()
    await key.barrier()


async def test_changed_key_closes(issuer):
    tenant, server = issuer.tenant, issuer.server
    chats = [await ws(server, issuer.token(), slot=i)
             for i in range(server.workers)]
    key = await Chat.connect(tenant, "ann")
    # The same key again is no change, and neither is a name.
    change(tenant, name="other", **issuer.setting)
    for chat in chats:
        await chat.barrier()
    other = Issuer(tenant, "HS256", "y" * 40).install()
    codes = await asyncio.gather(*(c.wait_closed() for c in chats))
    assert codes == [4500] * len(chats)
    await key.barrier()
    until(lambda: shows(server, issuer.token()).status == 401, "401")
    for slot in range(server.workers):
        reply = other.user("ann", slot).get("/rooms")
        assert reply.status == 200
        refused(issuer.user("ann", slot).get("/rooms"))
    chat = await ws(server, other.token())
    change(tenant, jwt_secret=None)
    assert await chat.wait_closed() == 4500
    await key.barrier()


async def test_disabled_tenant(issuer):
    tenant, server = issuer.tenant, issuer.server
    chat = await ws(server, issuer.token())
    change(tenant, disabled=True)
    assert await chat.wait_closed() == 4505
    for slot in range(server.workers):
        until(lambda: issuer.user("ann", slot).get("/rooms").status == 403,
              "the tenant is disabled")
    assert ws_status(server, "token=" + issuer.token())[0] == 403
    # Who cannot sign does not learn it.
    refused(shows(server, Issuer(tenant, "HS256", "z" * 40).token()))
    change(tenant, disabled=False)
    until(lambda: shows(server, issuer.token()).status == 200, "enabled")
    operator(server).delete(f"/admin/tenants/{tenant.id}").expect(204)
    until(lambda: shows(server, issuer.token()).status == 401, "deleted")


def test_rate_limit_is_the_tenants(tenant, server):
    issuer = Issuer(tenant).install()
    change(tenant, rate_limit=3)
    limited = until(lambda: [r for r in (issuer.user(f"u{i}").get("/rooms")
                                         for i in range(5))
                             if r.status == 429], "429")
    assert "retry-after" in limited[0].headers
    assert limited[0].headers["x-ratelimit-limit"] == "3"


def test_over_a_restart(start_server):
    server = start_server(workers=2)
    issuers = [Issuer(Tenant(server), a).install() for a in ALGORITHMS]
    server.stop()
    server.start()
    for issuer in issuers:
        assert shows(server, issuer.token()).status == 200
