# SPDX-License-Identifier: MIT
"""Webhooks that fail: tried again, given up, listed, queued again under the
same id, dropped."""
import asyncio
import json
import os
import re
import socket
import sqlite3
import time

import pytest
from chat import Chat
from client import TIME, Rest, Tenant, operator
from conftest import served
from harness import MASTER_KEY, until
from hook import ENV, Hook
from metrics import scrape
from tokens import by_hand

TRIES = 3
ROWS = {"id", "attempts", "last_attempt_at", "error", "room_id",
        "message_id", "recipient_id"}


@pytest.fixture(scope="module")
def hooked(request):
    with served(request, "dead-letters", workers=2, env={
            **ENV, "RETRY_MAX_ATTEMPTS": str(TRIES),
            "RETRY_INTERVAL": "20ms"}) as server:
        yield server


@pytest.fixture
def tenant(hooked, hook):
    tenant = Tenant(hooked)
    hook.serve(tenant)
    return tenant


def dead(tenant, query=""):
    return tenant.backend().get("/admin/dead-letters" + query).expect(200)


def killed(tenant, hook, users=("bob",), n=1, answer=500):
    """Messages whose webhooks are given up; returns the list."""
    hook.answer = lambda call: answer
    ann = tenant.user("ann")
    room = ann.make_room(list(users))["room_id"]
    for i in range(n):
        ann.say(room, f"{i}")
    want = n * len(users)
    return until(lambda: (lambda d: len(d) >= want and d)(
        dead(tenant)["failed_messages"]), "they were given up")


def test_given_up_then_retried(tenant, hook):
    before = time.time()
    (row,) = killed(tenant, hook)
    assert set(row) == ROWS and TIME.match(row["last_attempt_at"])
    assert row["attempts"] == TRIES == len(hook.calls)
    assert row["error"] == "HTTP status 500"
    assert {c.id for c in hook.calls} == {row["id"]}
    assert row["recipient_id"] == "bob"
    message = hook.calls[0].json["message"]
    assert (row["room_id"], row["message_id"]) == \
        (message["room_id"], message["message_id"])
    # It is signed anew each time.
    assert all(before - 1 < int(c.headers["webhook-timestamp"])
               <= time.time() + 1 for c in hook.calls)
    # Again with all its attempts, and given up again.
    path = f"/admin/dead-letters/{row['id']}"
    assert tenant.backend().post(path + "/retry").expect(202) == {}
    (again,) = until(lambda: dead(tenant)["failed_messages"], "given up")
    assert again["id"] == row["id"] and len(hook.calls) == 2 * TRIES
    hook.answer = lambda call: 204
    tenant.backend().post(path + "/retry").expect(202)
    until(lambda: len(hook.calls) == 2 * TRIES + 1, "it came")
    until(lambda: not dead(tenant)["failed_messages"], "it is gone")
    assert {c.id for c in hook.calls} == {row["id"]}
    assert json.loads(hook.calls[-1].raw)["message"] == message
    tenant.backend().post(path + "/retry").error(404, "not_found")


def test_drop(tenant, hook):
    (row,) = killed(tenant, hook)
    path = f"/admin/dead-letters/{row['id']}"
    tenant.backend().delete(path).expect(204)
    assert not dead(tenant)["failed_messages"]
    tenant.backend().delete(path).error(404, "not_found")
    tenant.backend().post(path + "/retry").error(404, "not_found")
    assert len(hook.calls) == TRIES


def test_pages(tenant, hook):
    rows = killed(tenant, hook, ["bob", "carol"], 3)
    assert len(rows) == 6
    seen, cursor = [], None
    while True:
        page = dead(tenant, "?limit=4" + (f"&cursor={cursor}"
                                          if cursor else ""))
        assert page["failed_notifications"] == []
        seen += page["failed_messages"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["failed_messages"]) == 4
    assert seen == rows
    times = [r["id"][:14] for r in seen]        # "dlv_" and the time
    assert times == sorted(times)


def test_whose_they_are(tenant, hook):
    (row,) = killed(tenant, hook)
    path = f"/admin/dead-letters/{row['id']}"
    other = Tenant(tenant.server)
    Hook.serve(hook, other)
    assert dead(other)["failed_messages"] == []
    other.backend().delete(path).error(404)
    other.backend().post(path + "/retry").error(404)
    master = Rest(tenant.server, {"X-Master-Key": MASTER_KEY})
    operator(tenant.server).call(
        "PATCH", f"/admin/tenants/{tenant.id}",
        {"jwt_secret": "s" * 32}).expect(200)
    token = by_hand({"alg": "HS256"}, {
        "sub": "ann", "tid": tenant.id, "exp": int(time.time()) + 600},
        "s" * 32)
    bearer = Rest(tenant.server, {"Authorization": "Bearer " + token})
    for method, at in (("GET", "/admin/dead-letters"),
                       ("POST", path + "/retry"), ("DELETE", path)):
        master.call(method, at).error(401, "unauthorized")
        bearer.call(method, at).error(403, "forbidden")
        tenant.user("ann").call(method, at).error(403, "forbidden")
    assert dead(tenant)["failed_messages"] == [row]


def test_no_url_no_retry(tenant, hook):
    (row,) = killed(tenant, hook)
    operator(tenant.server).call("PATCH", f"/admin/tenants/{tenant.id}",
                                 {"webhook_url": None}).expect(200)
    tenant.backend().post(
        f"/admin/dead-letters/{row['id']}/retry").error(409, "conflict")
    assert dead(tenant)["failed_messages"] == [row]


@pytest.mark.parametrize("what", ["message", "room", "tenant"])
def test_deleted_with_what_they_are_of(tenant, hook, what):
    (row,) = killed(tenant, hook)
    room = f"/rooms/{row['room_id']}"
    if what == "message":
        tenant.user("ann").delete(
            f"{room}/messages/{row['message_id']}").expect(204)
    elif what == "room":
        tenant.backend().delete(room).expect(204)
    else:
        operator(tenant.server).delete(
            f"/admin/tenants/{tenant.id}").expect(204)
    if what != "tenant":
        assert dead(tenant)["failed_messages"] == []

    def rows():
        import sqlite3
        db = sqlite3.connect(tenant.server.dir + "/chatapi.db")
        try:
            return db.execute("SELECT count(*) FROM delivery WHERE token = ?",
                              (row["id"][4:],)).fetchone()[0]
        finally:
            db.close()
    until(lambda: rows() == 0, "its row was removed")


def test_merely_offline(hooked):
    """Without a webhook nothing is kept for who is away."""
    tenant = Tenant(hooked)
    ann = tenant.user("ann")
    ann.say(ann.make_room(["bob"])["room_id"], "x")
    assert dead(tenant) == {"failed_messages": [],
                            "failed_notifications": [], "next_cursor": None}


@pytest.mark.parametrize("answer, error", [
    (404, "HTTP status 404"), (410, "HTTP status 410"),
    ((302, {"Location": "http://127.0.0.1:1/"}, b""),
     "HTTP status 302: redirects are not followed"),
    ((307, {"Location": "/elsewhere"}, b""),
     "HTTP status 307: redirects are not followed")])
def test_answers_that_are_no_success(tenant, hook, answer, error):
    (row,) = killed(tenant, hook, answer=answer)
    assert row["error"] == error
    assert {c.path for c in hook.calls} == {"/hook?x=1"}


def test_nobody_listens(hooked, hook):
    tenant = Tenant(hooked)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        hook.serve(tenant, url=f"http://127.0.0.1:{s.getsockname()[1]}/")
        (row,) = killed(tenant, hook)
    assert "refused" in row["error"] or "connect" in row["error"], row


def test_retry_after_is_heeded(tenant, hook):
    hook.answer = lambda call: (503, {"Retry-After": "1"}, b"")
    ann = tenant.user("ann")
    ann.say(ann.make_room(["bob"])["room_id"], "x")
    until(lambda: len(hook.calls) == 2, "it was tried again")
    assert hook.calls[1].at - hook.calls[0].at > 0.9


def test_retry_after_beyond_all_bounds(tenant, hook):
    """Means an hour, as any other that is too long."""
    hook.answer = lambda call: (503, {"Retry-After": "9" * 30}, b"")
    ann = tenant.user("ann")
    ann.say(ann.make_room(["bob"])["room_id"], "x")
    until(lambda: hook.calls, "a try")

    def waits_ms():
        db = sqlite3.connect(os.path.join(tenant.server.dir, "chatapi.db"))
        try:
            rows = db.execute("SELECT next_ms - last_ms FROM delivery WHERE "
                              "attempts = 1 AND state = 0 AND token = ?",
                              (hook.calls[0].id[len("dlv_"):],)).fetchall()
        finally:
            db.close()
        return rows and rows[0][0]
    assert 3600_000 <= until(waits_ms, "it was noted") < 3700_000
    assert len(hook.calls) == 1


def test_few_lines_in_the_log(start_server, hook):
    """However many tries fail; all are counted in the metrics."""
    server = start_server(workers=1, env={
        **ENV, "RETRY_MAX_ATTEMPTS": str(TRIES), "RETRY_INTERVAL": "20ms"})
    tenant = Tenant(server)
    hook.serve(tenant)
    rows = killed(tenant, hook, n=30)
    retry = "/admin/dead-letters/{}/retry".format(rows[0]["id"])
    hook.answer = lambda call: 200
    for i in range(2):
        ann = tenant.user("ann")
        ann.say(ann.make_room(["bob"])["room_id"], "x")
    tenant.backend().post(retry).expect(202)
    until(lambda: len(dead(tenant)["failed_messages"]) == 29, "it came")
    until(lambda: "webhook works again" in server.log(), "the log said so")
    said = [line for line in server.log().splitlines()
            if 'msg="webhook' in line]
    assert [re.search(r'msg="(.*?)"', line)[1] for line in said] == [
        "webhook failed", "webhook given up", "webhook works again"], said
    assert all("times=1 " in line for line in said[:2]), said
    assert scrape(server).get("webhooks_total", outcome="failed") == \
        30 * TRIES


def flood(handler):
    """An answer without end: of body, or of headers."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999"
                        b"\r\n\r\n")
    while True:
        handler.wfile.write(b"x" * 65536)


def flood_headers(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-A: " + b"x" * 1000 + b"\r\n")


def test_floods(tenant, hook):
    """Are cut; nothing of them is kept."""
    from harness import proc_rss
    pid = tenant.server.pid_of("courier")
    before = proc_rss(pid)
    hook.answer = lambda call: flood
    ann = tenant.user("ann")
    room = ann.make_room([f"u{i}" for i in range(20)])["room_id"]
    ann.say(room, "x")
    until(lambda: len(hook.calls) == 20, "all were sent")
    # Each is answered as it was meant to be before others are.
    until(lambda: hook.links == 0, "all were cut")
    until(lambda: tenant.server.pid_of("courier") == pid and
          proc_rss(pid) < before + (8 << 20), "little memory was taken")
    # The status was a success before it was cut.
    assert dead(tenant)["failed_messages"] == []
    (row,) = killed(tenant, hook, answer=flood_headers)
    assert "headers" in row["error"]
    assert tenant.server.pid_of("courier") == pid


def test_private_addresses(start_server, hook):
    """A literal one by PATCH, a name at each delivery."""
    server = start_server(workers=1, env={
        **ENV, "WEBHOOK_ALLOW_PRIVATE": "0", "RETRY_MAX_ATTEMPTS": "2"})
    tenant = Tenant(server)
    path = f"/admin/tenants/{tenant.id}"
    for host in ("127.0.0.1", "[::1]", "10.1.2.3", "192.168.0.1",
                 "169.254.1.1", "[fd00::1]", "[::ffff:127.0.0.1]"):
        operator(server).call("PATCH", path, {
            "webhook_url": f"http://{host}:{hook.port}/"}).error(
                400, field="webhook_url")
    hook.serve(tenant, url=f"http://localhost:{hook.port}/")
    (row,) = killed(tenant, hook)
    # Where the name leads inside is the operator's knowledge.
    assert row["error"] == "not a public address", row
    assert re.search(r'error="not a public address" address=(127\.|::1)',
                     server.log())
    assert hook.calls == []


async def test_a_hanging_endpoint_harms_its_own_tenant(hooked, hook):
    """While one tenant's endpoint hangs with a backlog behind it, another's
    messages go out at once."""
    slow, quick = Tenant(hooked), Tenant(hooked)
    hanging = Hook(lambda call: None)
    try:
        hanging.serve(slow)
        hook.serve(quick)
        ann = slow.user("ann")
        room = ann.make_room([f"u{i}" for i in range(300)])["room_id"]
        for i in range(5):
            ann.say(room, f"{i}")
        until(lambda: hanging.calls, "it hangs")
        ann = quick.user("ann")
        room = ann.make_room(["bob"])["room_id"]
        for i in range(20):
            ann.say(room, f"{i}")
        until(lambda: len(hook.calls) == 20, "they all came")
        # The first that hangs is given up after 15 s.
        assert hook.calls[-1].mono - hanging.calls[0].mono < 12
        # And it is not asked by many requests at once.
        assert len(hanging.calls) <= 8
        # A user of the slow tenant notices nothing.
        bob = await Chat.connect(slow, "u7")
        await asyncio.to_thread(slow.user("u8").say,
                                hanging.calls[0].json["room_id"], "live")
        await bob.wait("message", content="live")
    finally:
        operator(hooked).delete(f"/admin/tenants/{slow.id}").expect(204)
        hanging.close()


def test_without_the_key_file(start_server, hook):
    """The secret cannot be opened: a failure like others, until it can."""
    import os
    server = start_server(workers=1, env={**ENV, "RETRY_MAX_ATTEMPTS": "2"})
    tenant = Tenant(server)
    hook.serve(tenant)
    server.stop()
    key = os.path.join(server.dir, "chatapi.db-secrets")
    os.rename(key, key + ".away")
    server.start()
    (row,) = killed(tenant, hook)
    assert "missing" in row["error"] and hook.calls == []
    os.rename(key + ".away", key)
    hook.answer = lambda call: 200
    tenant.backend().post(
        f"/admin/dead-letters/{row['id']}/retry").expect(202)
    until(lambda: hook.calls, "it came")


def test_notifications_beside_messages(tenant, hook):
    """One cursor goes over both lists; an acknowledged one is gone."""
    (message,) = killed(tenant, hook)
    made = tenant.backend().post("/notify", {
        "topic": "t", "payload": 1,
        "targets": {"user_ids": ["bob", "carol"]}}).expect(202)
    notes = until(lambda: (lambda n: len(n) == 2 and n)(
        dead(tenant)["failed_notifications"]), "they were given up")
    for note in notes:
        assert set(note) == ROWS - {"room_id", "message_id"} | \
            {"notification_id"}
        assert note["notification_id"] == made["notification_id"]
        assert note["attempts"] == TRIES
    assert sorted(n["recipient_id"] for n in notes) == ["bob", "carol"]
    first = dead(tenant, "?limit=2")
    assert first["failed_messages"] == [message]
    assert first["failed_notifications"] == notes[:1]
    rest = dead(tenant, f"?limit=2&cursor={first['next_cursor']}")
    assert (rest["failed_messages"], rest["failed_notifications"],
            rest["next_cursor"]) == ([], notes[1:], None)
    tenant.user("bob").post(
        f"/notifications/{made['notification_id']}/ack").expect(200)
    left = dead(tenant)["failed_notifications"]
    assert [n["recipient_id"] for n in left] == ["carol"]
    hook.answer = lambda call: 200
    before = len(hook.calls)
    tenant.backend().post(
        f"/admin/dead-letters/{left[0]['id']}/retry").expect(202)
    until(lambda: len(hook.calls) == before + 1, "it came")
    assert hook.calls[-1].id == left[0]["id"]
