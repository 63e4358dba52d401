# SPDX-License-Identifier: MIT
"""POST /ws/token: each token opens one WebSocket, on any worker, whatever
dies meanwhile, and hangs on the credential that it was made by."""
import asyncio
import http.client
import os
import pathlib
import re
import signal
import sqlite3
import threading
import time

import pytest

from chat import Chat
from client import Rest, Tenant, operator
from harness import scaled, until
from raw import TEXT, Closed, Raw, frame
from tokens import LEEWAY, Bearer, Issuer, bearer, change

FORM = re.compile(r"\Awst_[A-Za-z0-9_-]{43}\Z")


def new_token(rest, body=None):
    made = rest.post("/ws/token", body).expect(200)
    assert set(made) == {"token", "expires_in"} and FORM.match(made["token"])
    return made["token"]


def handshake(server, token, slot=None, headers=None, replace=None):
    """(status, body) of one attempt."""
    c = Raw(server, slot)
    try:
        status, _, body = c.handshake(headers or {}, f"/ws?token={token}",
                                      replace=replace)
        return status, body
    finally:
        c.close()


async def connect(server, token, **options):
    return await Chat.connect(Bearer(server), None,
                              path=f"/ws?token={token}", **options)


def race(server, token, meanwhile=None):
    """One attempt on each worker at the same time; their statuses, None for
    a connection that was closed without an answer."""
    conns = [Raw(server, i) for i in range(server.workers)]
    gate = threading.Barrier(len(conns) + 1)
    out = [None] * len(conns)

    def attempt(i, c):
        gate.wait()
        try:
            out[i] = c.handshake({}, f"/ws?token={token}")[0]
        except (Closed, OSError):
            pass

    threads = [threading.Thread(target=attempt, args=a)
               for a in enumerate(conns)]
    for t in threads:
        t.start()
    gate.wait()
    if meanwhile is not None:
        meanwhile()
    for t in threads:
        t.join()
    for c in conns:
        c.close()
    return out


async def test_opens_as_the_user(tenant, server):
    issuer = Issuer(tenant).install()
    by_key = new_token(tenant.user("zoë 🐟".encode().decode("latin-1")))
    for token, user in ((by_key, "zoë 🐟"),
                        (new_token(tenant.backend(), {"user_id": "bob"}),
                         "bob"),
                        (new_token(issuer.user("cid")), "cid")):
        chat = await connect(server, token)
        assert chat.welcome["user_id"] == user
        room = await asyncio.to_thread(
            tenant.backend().make_room, [user, "x"])
        sent = await chat.say(room["room_id"], "hi")
        assert sent["seq"] == 1
        assert handshake(server, token)[0] == 401


def test_what_is_asked_for(tenant, server):
    ann, backend = tenant.user("ann"), tenant.backend()
    jwt_user = Issuer(tenant).install().user("ann")
    assert ann.post("/ws/token", {}).expect(200)["expires_in"] == 60
    new_token(ann, {"user_id": "ann", "more": 1})
    new_token(jwt_user, {"user_id": "ann"})
    ann.post("/ws/token", {"user_id": "bob"}).error(400, None, "user_id")
    jwt_user.post("/ws/token", {"user_id": "bob"}).error(403)
    backend.post("/ws/token").error(400, None, "user_id")
    backend.post("/ws/token", {}).error(400, None, "user_id")
    for bad in ("", "x" * 129, "a\0", "a\n", 1, None, ["ann"], {}):
        backend.post("/ws/token", {"user_id": bad}) \
            .error(400, None, "user_id")
        ann.post("/ws/token", {"user_id": bad}).error(400, None, "user_id")
    for raw in (b"[]", b"x", b'"ann"', b"{}{}"):
        ann.post("/ws/token", raw=raw).error(400)
    ann.post("/ws/token", raw=b"{}",
             headers={"Content-Type": "text/plain"}).error(415)
    ann.get("/ws/token").error(405)
    Rest(server).post("/ws/token").error(401)
    operator(server).post("/ws/token").error(401)
    assert len({new_token(ann) for _ in range(50)}) == 50


def test_what_is_no_token(tenant, server):
    token = new_token(tenant.user("ann"))
    flipped = token[:-1] + ("A" if token[-1] != "A" else "E")
    for bad in ("", "wst_", "wst_" + "a" * 43, flipped, token + "a",
                token[:-1], token.upper(), "x", token + "%20",
                "%20" + token):
        status, body = handshake(server, bad)
        assert status == 401, (bad, body)
    assert handshake(server, token, headers=tenant.headers("ann"))[0] == 401
    # It identifies nobody elsewhere.
    Rest(server, bearer(token)).get("/rooms").error(401)
    Rest(server).get(f"/rooms?token={token}").error(401)
    assert handshake(server, token)[0] == 101


def test_a_handshake_that_fails_uses_none_up(tenant, server):
    token = new_token(tenant.user("ann"))
    for wrong in ({"Upgrade": None}, {"Connection": "close"},
                  {"Sec-WebSocket-Version": "12"}, {"Sec-WebSocket-Key": "x"},
                  {"Origin": "https://evil.example"}):
        assert handshake(server, token, replace=wrong)[0] in (400, 403, 426)
    assert handshake(server, token)[0] == 101


def test_frames_right_behind_the_handshake(tenant, server):
    ann = tenant.user("ann")
    room = ann.make_room()["room_id"]
    ann.say(room, "one")
    resume = f'{{"type":"resume","epoch":"x","cursors":{{}},"request_id":"r"}}'
    c = Raw(server)
    status, _, _ = c.handshake({}, f"/ws?resume=1&token={new_token(ann)}",
                               early=frame(TEXT, resume))
    assert status == 101
    seen = []
    while "message" not in seen:
        seen.append(c.read_json()["type"])
    assert seen[0] == "welcome" and "error" in seen
    c.close()


def test_once_over_all_workers(tenant, server):
    ann = tenant.user("ann")
    for _ in range(scaled(25, 5)):
        statuses = race(server, new_token(ann))
        assert sorted(statuses) == [101] + [401] * (server.workers - 1)


@pytest.mark.parametrize("victim", ["writer", "worker"])
def test_once_whatever_dies(start_server, victim):
    """A process is killed while a token is redeemed on all workers."""
    server = start_server(workers=3)
    ann = Tenant(server).user("ann")
    ended = set()
    for i in range(scaled(12, 4)):
        ann.close()
        # A child that dies young is replaced later and later.
        grown = time.monotonic() + 0.6
        while time.monotonic() < grown:
            statuses = race(server, new_token(ann))
            assert sorted(statuses) == [101, 401, 401]
        token = new_token(ann)
        slot = None if victim == "writer" else i % 3
        pid = server.pid_of(victim, slot)
        statuses = race(server, token,
                        lambda: os.kill(pid, signal.SIGKILL))
        server.wait_respawn(victim, slot, pid)
        ended.update(statuses)
        opened = statuses.count(101)
        assert opened <= 1, statuses
        again = handshake(server, token)[0]
        if opened == 1:
            assert again == 401, statuses
        elif victim == "writer":
            # Nothing was done, and it said so; or the token is there yet.
            assert again == 101, statuses
    assert ended <= {101, 401, 503, None}, ended


def test_a_token_told_of_is_there(start_server):
    """The writer is killed around the making of tokens."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    told = []
    stop = threading.Event()

    def ask(slot):
        while not stop.is_set():
            rest = tenant.user(f"u{slot}", slot)
            try:
                reply = rest.post("/ws/token")
                if reply.status == 200:
                    told.append(reply.json["token"])
                else:
                    assert reply.status == 503, reply
            except (OSError, http.client.HTTPException):
                pass
            rest.close()

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    for _ in range(scaled(4, 2)):
        more = len(told) + 5
        until(lambda: len(told) > more, "tokens were made")
        server.wait_respawn("writer", None, server.kill("writer"))
    stop.set()
    for t in threads:
        t.join()
    assert len(set(told)) == len(told)
    for token in told:
        assert handshake(server, token)[0] == 101
        assert handshake(server, token)[0] == 401


def test_over_a_restart(start_server):
    server = start_server(workers=2)
    ann = Tenant(server).user("ann")
    used, kept = new_token(ann), new_token(ann)
    assert handshake(server, used)[0] == 101
    server.stop()
    server.start()
    assert handshake(server, used)[0] == 401
    assert handshake(server, kept)[0] == 101
    assert handshake(server, kept)[0] == 401


def test_sixty_seconds(start_server):
    server = start_server(workers=2, launch=False)
    # Confined, no process could read it.
    server.env["CONFINE"] = "no"
    clock = pathlib.Path(server.dir) / "clock"
    clock.write_text("0")
    server.env["CHATAPI_TEST_CLOCK_FILE"] = str(clock)
    server.start()
    tenant = Tenant(server)
    ann = tenant.user("ann")
    tokens = [new_token(ann) for _ in range(40)]
    clock.write_text("50000")
    assert handshake(server, tokens.pop())[0] == 101
    clock.write_text("61000")
    for token in tokens[:3]:
        status, body = handshake(server, token)
        assert status == 401 and b"/ws/token" in body
    db = os.path.join(server.dir, "chatapi.db")

    def rows():
        # Something to do wakes the writer.
        tenant.backend().make_room(["x"])
        with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as c:
            return c.execute("SELECT count(*) FROM ws_token").fetchone()[0]

    until(lambda: rows() == 0, "no expired token was left")
    with open(db, "rb") as f:
        assert tokens[0].encode() not in f.read()


async def test_hangs_on_its_key(tenant, server):
    keys = operator(server)
    path = f"/admin/tenants/{tenant.id}/keys"
    made = keys.post(path).expect(201)
    other = Rest(server, {"X-API-Key": made["api_key"]})
    mine = Issuer(tenant).install()
    chats = [await connect(server, new_token(other, {"user_id": "ann"}),
                           slot=i) for i in range(server.workers)]
    kept = [await connect(server, new_token(r)) for r in
            (tenant.user("ann"), mine.user("ann"))]
    unused = new_token(other, {"user_id": "ann"})
    keys.delete(f"{path}/{made['key_id']}").expect(204)
    codes = await asyncio.gather(*(c.wait_closed() for c in chats))
    assert codes == [4500] * len(chats)
    for slot in range(server.workers):
        assert handshake(server, unused, slot)[0] == 401
    for chat in kept:
        await chat.barrier()


async def test_hangs_on_the_jwt_key(tenant, server):
    issuer = Issuer(tenant, "EdDSA").install()
    chat = await connect(server, new_token(issuer.user("ann")))
    kept = await connect(server, new_token(tenant.user("ann")))
    unused = new_token(issuer.user("ann"))
    Issuer(tenant).install()
    assert await chat.wait_closed() == 4500
    assert handshake(server, unused)[0] == 401
    await kept.barrier()


async def test_ends_with_the_jwt(tenant, server):
    issuer = Issuer(tenant).install()
    made = issuer.user("ann", seconds=20).post("/ws/token").expect(200)
    assert 10 <= made["expires_in"] <= 20 + LEEWAY
    # Seconds enough to come in on a busy machine.
    chat = await connect(server, new_token(issuer.user("ann", seconds=6)))
    kept = await connect(server, new_token(issuer.user("ann")))
    assert await chat.wait_closed() == 4103
    await kept.barrier()


async def test_disabled_tenant(tenant, server):
    chat = await connect(server, new_token(tenant.user("ann")))
    token = new_token(tenant.user("ann"))
    change(tenant, disabled=True)
    assert await chat.wait_closed() == 4505
    assert handshake(server, token)[0] == 403
    # Each worker hears of it by itself.
    for slot in range(server.workers):
        until(lambda: tenant.user("ann", slot).get("/rooms").status == 403,
              "the tenant is disabled")
        tenant.user("ann", slot).post("/ws/token").error(403)
    change(tenant, disabled=False)
    for slot in range(server.workers):
        until(lambda: tenant.user("ann", slot).get("/rooms").status == 200,
              "enabled")
    assert handshake(server, token)[0] == 101
    token = new_token(tenant.user("ann"))
    operator(server).delete(f"/admin/tenants/{tenant.id}").expect(204)
    assert handshake(server, token)[0] == 401


def test_draws_on_the_rate_limit(tenant, server):
    change(tenant, rate_limit=2)
    until(lambda: tenant.user("ann").post("/ws/token").status == 429, "429")
