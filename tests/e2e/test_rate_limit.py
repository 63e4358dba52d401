# SPDX-License-Identifier: MIT
"""The tenant's rate limit: one allowance over all workers."""
import asyncio
import time

import pytest

from chat import Chat
from client import Rest, Tenant
from harness import DEADLINE

LIMIT = 20


@pytest.fixture(scope="module")
def limited():
    """Three workers, 20 requests a second for each tenant."""
    from conftest import finish
    from harness import Server
    server = Server(workers=3, env={"DEFAULT_RATE_LIMIT": str(LIMIT)})
    try:
        server.start()
        yield server
    finally:
        finish(server, not server.running(), "limited")


def patiently(call):
    """Repeats a request until the limit lets it through."""
    end = time.monotonic() + DEADLINE
    while True:
        reply = call()
        if reply.status != 429:
            return reply
        assert time.monotonic() < end, "the limit never let it through"
        time.sleep(0.02)


def burst(clients, rounds, make):
    """Sends on all connections at once, then reads; returns the replies
    and how long it took."""
    began = time.monotonic()
    out = []
    for _ in range(rounds):
        for c in clients:
            make(c)
        out += [c.read() for c in clients]
    return out, time.monotonic() - began


def until_refused(clients, make):
    """Bursts until the limit has refused something; returns all replies."""
    end = time.monotonic() + DEADLINE
    out = []
    while 429 not in {r.status for r in out}:
        assert time.monotonic() < end, "nothing was ever refused"
        out += burst(clients, 6, make)[0]
    return out


def test_counted_over_all_workers(limited):
    tenant = Tenant(limited)
    clients = [tenant.user("ann", slot=i % 3) for i in range(9)]
    replies, took = burst(clients, 8, lambda c: c.send("GET", "/rooms"))
    passed = [r for r in replies if r.status == 200]
    refused = [r for r in replies if r.status == 429]
    assert len(passed) + len(refused) == 72
    assert LIMIT <= len(passed) <= LIMIT + took * LIMIT + 1
    for r in refused:
        r.error(429, "rate_limit_exceeded")


def test_exact_over_four_workers(start_server):
    """Offered more than allowed on every worker, a tenant gets its burst
    and its rate, within 5 %."""
    limit = 200
    server = start_server(workers=4, env={"DEFAULT_RATE_LIMIT": str(limit)})
    tenant = Tenant(server)
    clients = [tenant.user("ann", slot=i % 4) for i in range(12)]
    passed, per_worker = 0, [0] * 4
    # (beginning, end, passed so far) of rounds in which nothing was left.
    empty = []
    start = time.monotonic()
    while not empty or empty[-1][0] - empty[0][1] < 2:
        began = time.monotonic()
        replies, _ = burst(clients, 1, lambda c: c.send("GET", "/rooms"))
        ended = time.monotonic()
        for i, r in enumerate(replies):
            assert r.status in (200, 429), r
            passed += r.status == 200
            per_worker[i % 4] += r.status == 200
        assert began - start < DEADLINE, "there was never too much"
        if replies[-1].status != 429:
            continue
        if not empty:
            assert limit <= passed <= limit * (1 + ended - start) * 1.05
        elif ended - empty[-1][0] >= 1:
            # Longer than a burst: some that was allowed was never asked for.
            empty.clear()
        empty.append((began, ended, passed))
    first, last = empty[0], empty[-1]
    got = last[2] - first[2]
    least, most = (last[0] - first[1]) * limit, (last[1] - first[0]) * limit
    assert 0.95 * least <= got <= 1.05 * most, (got, least, most)
    assert all(per_worker), per_worker


def test_headers(limited):
    tenant = Tenant(limited)
    ann = tenant.user("ann")
    before = time.time()
    first = ann.get("/rooms")
    after = time.time()
    assert first.headers["x-ratelimit-limit"] == str(LIMIT)
    assert first.headers["x-ratelimit-remaining"] == str(LIMIT - 1)
    assert before - 3 <= int(first.headers["x-ratelimit-reset"]) <= after + 3
    left = int(first.headers["x-ratelimit-remaining"])
    for _ in range(200):
        reply = ann.get("/rooms")
        if reply.status == 429:
            break
        assert int(reply.headers["x-ratelimit-remaining"]) <= left + LIMIT
        left = int(reply.headers["x-ratelimit-remaining"])
    reply.error(429, "rate_limit_exceeded")
    assert reply.headers["x-ratelimit-limit"] == str(LIMIT)
    assert reply.headers["x-ratelimit-remaining"] == "0"
    assert int(reply.headers["retry-after"]) == 1
    assert patiently(lambda: ann.get("/rooms")).status == 200


def test_headers_on_every_tenant_answer(limited):
    tenant = Tenant(limited)
    ann = tenant.user("ann")
    for reply in (ann.post("/rooms", {"type": "group", "members": []}),
                  ann.get("/rooms/room_x"), ann.post("/rooms", {})):
        for name in ("limit", "remaining", "reset"):
            assert f"x-ratelimit-{name}" in reply.headers, reply


def test_drawn_before_body_is_looked_at(limited):
    """A refused request costs as much; 429 comes before 415 and 400."""
    tenant = Tenant(limited)
    clients = [tenant.user("ann") for _ in range(10)]
    replies = until_refused(clients, lambda c: c.send(
        "POST", "/rooms", raw=b"x", headers={"Content-Type": "text/plain"}))
    assert {r.status for r in replies} == {415, 429}


def test_no_identity_draws_nothing(limited):
    tenant = Tenant(limited)
    before = int(tenant.user("ann").get("/rooms")
                 .headers["x-ratelimit-remaining"])
    assert before == LIMIT - 1
    stranger = Rest(limited, {"X-API-Key": "sk_" + "a" * 43})
    for _ in range(100):
        assert stranger.get("/rooms").status == 401
    reply = tenant.user("ann").get("/rooms")
    assert reply.status == 200
    assert int(reply.headers["x-ratelimit-remaining"]) >= LIMIT - 2


def test_tenants_do_not_share(limited):
    a, b = Tenant(limited), Tenant(limited)
    clients = [a.user("ann") for _ in range(10)]
    until_refused(clients, lambda c: c.send("GET", "/rooms"))
    for _ in range(10):
        b.user("ann").get("/rooms").expect(200)


def test_health_is_never_limited(limited):
    rest = Rest(limited)
    for _ in range(100):
        rest.get("/health").expect(200)


async def test_frames_draw_on_it_too(limited):
    tenant = Tenant(limited)
    room = tenant.user("ann").make_room()["room_id"]
    chats = [await Chat.connect(tenant, "ann", slot=i) for i in range(3)]
    began = time.monotonic()
    for i in range(30):
        for c in chats:
            await c.send("send_message", room_id=room, content=str(i),
                         request_id=str(i))
    for c in chats:
        await c.until(lambda c=c: len(c.of("message.sent"))
                      + len(c.of("error")) == 30)
    took = time.monotonic() - began
    passed = sum(len(c.of("message.sent")) for c in chats)
    assert LIMIT - 1 <= passed <= LIMIT + took * LIMIT + 1
    for c in chats:
        for e in c.of("error"):
            assert e["code"] == "rate_limit_exceeded"
            assert e["temporary"] is True
            assert e["message"] and e["request_id"]
            assert 0 < e["retry_after_ms"] <= 1000
    # What was refused is not stored; the connection is good later on.
    stored = patiently(lambda: tenant.user("ann").get("/rooms"))
    assert stored.expect(200)["rooms"][0]["last_seq"] == passed
    end = time.monotonic() + DEADLINE
    while True:
        await chats[0].send("send_message", room_id=room, content="late",
                            request_id="late")
        got = await chats[0].wait(None, lambda f:
                                  f.get("request_id") == "late")
        if got["type"] == "message.sent":
            break
        assert time.monotonic() < end
        await asyncio.sleep(got["retry_after_ms"] / 1000)


@pytest.mark.parametrize("type_, fields, answer", [
    ("ack", {"seq": 0}, "ack.received"),
    ("subscribe", {"after_seq": 0}, "sync.complete")])
async def test_acks_and_subscribes_draw_on_it(limited, type_, fields,
                                              answer):
    tenant = Tenant(limited)
    room = tenant.user("ann").make_room()["room_id"]
    c = await Chat.connect(tenant, "ann")
    began = time.monotonic()
    sent, passed, refused = 0, [], []
    # Once, unless that has taken so long that none was too many.
    while not refused:
        for i in range(sent, sent + 60):
            await c.send(type_, room_id=room, request_id=str(i), **fields)
        answers = [await c.wait(None, request_id=str(i))
                   for i in range(sent, sent + 60)]
        sent += 60
        took = time.monotonic() - began
        passed += [a for a in answers if a["type"] == answer]
        refused += [a for a in answers if a["type"] == "error"]
        assert len(passed) + len(refused) == sent
        assert LIMIT - 1 <= len(passed) <= LIMIT + took * LIMIT + 1
        assert took < DEADLINE, "nothing was ever refused"
    assert {e["code"] for e in refused} == {"rate_limit_exceeded"}


async def test_typing_is_free(limited):
    tenant = Tenant(limited)
    room = tenant.user("ann").make_room()["room_id"]
    c = await Chat.connect(tenant, "ann")
    for i in range(100):
        await c.ask("ok", ("typing.start", "typing.stop")[i % 2],
                    room_id=room)


async def test_pings_and_the_handshake_are_free(limited):
    tenant = Tenant(limited)
    room = tenant.user("ann").make_room()["room_id"]
    for _ in range(25):
        c = await Chat.connect(tenant, "ann")
        for _ in range(4):
            await c.barrier()
        await c.close()
    c = await Chat.connect(tenant, "ann")
    await c.say(room, "still allowed")


def test_no_limit(server):
    tenant = Tenant(server)
    clients = [tenant.user("ann") for _ in range(10)]
    replies, _ = burst(clients, 30, lambda c: c.send("GET", "/rooms"))
    assert {r.status for r in replies} == {200}
