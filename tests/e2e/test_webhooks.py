# SPDX-License-Identifier: MIT
"""Messages that find a member with no open connection go to the tenant's
webhook: who gets one, what it looks like and how it is signed."""
import asyncio
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest
from chat import Chat
from client import TIME, Tenant, operator
from conftest import served
from harness import DEADLINE, until
from hook import ENV, verify


@pytest.fixture(scope="module")
def hooked(request):
    """A server that may send to this machine; shared by the module."""
    with served(request, "hooked", workers=2, env=ENV) as server:
        yield server


@pytest.fixture
def hooked_tenant(hooked, hook):
    tenant = Tenant(hooked)
    hook.serve(tenant)
    return tenant


def settled(tenant):
    """Nothing waits to be sent any more."""
    def empty():
        db = __import__("sqlite3").connect(
            os.path.join(tenant.server.dir, "chatapi.db"))
        try:
            return db.execute(
                "SELECT (SELECT count(*) FROM fanout)"
                " + (SELECT count(*) FROM outbox) + (SELECT count(*)"
                " FROM delivery WHERE state = 0)").fetchone()[0] == 0
        finally:
            db.close()
    until(empty, "everything was sent", 3 * DEADLINE)


class Held:
    """Refuses every try until go_on(), then takes all.  The try by which
    each of n deliveries has had one is left without an answer meanwhile; and
    who only refuses gets one at a time: so the test may change something
    while nothing is under way."""

    def __init__(self, hook, n):
        self.hook = hook
        self.n = n
        self.holding, self.gone_on = threading.Event(), threading.Event()
        hook.answer = self.answer

    def answer(self, call):
        if self.gone_on.is_set():
            return 200
        if len({c.key for c in list(self.hook.calls)}) == self.n:
            self.holding.set()
            self.gone_on.wait(3 * DEADLINE)
        return 503, {"Retry-After": "1"}, b""

    def wait(self):
        assert self.holding.wait(DEADLINE), "some were never tried"

    def go_on(self, tenant):
        """Returns the tries that came from then on."""
        before = len(self.hook.calls)
        self.gone_on.set()
        settled(tenant)
        return self.hook.calls[before:]


def test_form_and_signatures(hooked_tenant, hook):
    ann = hooked_tenant.user("ann")
    room = ann.make_room(["bob"], metadata={"topic": "é", "n": [1, 2]})
    sent = ann.say(room["room_id"], "Hello, \"Bob\"\u0000…",
                   meta={"a": None})
    until(lambda: hook.calls, "a webhook came")
    settled(hooked_tenant)
    (call,) = hook.calls
    assert call.path == "/hook?x=1"
    assert call.headers["content-type"] == "application/json"
    assert call.headers["user-agent"].startswith("chatapi/")
    assert call.id.startswith("dlv_")
    assert "expect" not in call.headers
    verify(hook.secret, call.headers, call.raw)
    assert call.json == {
        "event": "message.new", "tenant_id": hooked_tenant.id,
        "room_id": room["room_id"], "recipient_id": "bob",
        "room_metadata": {"topic": "é", "n": [1, 2]}, "message": sent}
    assert TIME.match(call.json["message"]["created_at"])


def test_dm_without_metadata(hooked_tenant, hook):
    ann = hooked_tenant.user("ann")
    room = ann.make_room(["ann", "bob"], "dm")
    ann.say(room["room_id"], "hi")
    until(lambda: hook.calls, "a webhook came")
    settled(hooked_tenant)
    assert [c.recipient for c in hook.calls] == ["bob"]
    assert "room_metadata" not in hook.calls[0].json


@pytest.mark.parametrize("secret", [
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "no base64 at all: äöü and more", "whsec_not base64!"])
def test_secrets(hooked, hook, secret):
    tenant = Tenant(hooked)
    hook.serve(tenant, secret)
    room = tenant.user("ann").make_room(["bob"])
    tenant.user("ann").say(room["room_id"], "x")
    until(lambda: hook.calls, "a webhook came")
    call = hook.calls[0]
    if secret == "whsec_not base64!":
        # Then it is not "whsec_" + base64, and used as it is.
        import base64
        import hashlib
        import hmac
        signed = (f"{call.id}.{call.headers['webhook-timestamp']}."
                  ).encode() + call.raw
        assert call.headers["webhook-signature"] == "v1," + \
            base64.b64encode(hmac.digest(secret.encode(), signed,
                                         hashlib.sha256)).decode()
    else:
        verify(secret, call.headers, call.raw)


NODE = """
const { Webhook } = require(process.argv[1]);
let text = '';
process.stdin.on('data', (d) => text += d).on('end', () => {
  const { secret, headers, raw } = JSON.parse(text);
  const out = new Webhook(secret).verify(raw, headers);
  process.stdout.write(out.event);
});
"""


def test_the_library_of_standard_webhooks(hooked_tenant, hook):
    """The specification's own library, where it is installed."""
    path = os.environ.get("STANDARDWEBHOOKS", "standardwebhooks")
    node = shutil.which("node")
    if node is None or subprocess.run(
            [node, "-e", "require(process.argv[1])", path],
            capture_output=True).returncode != 0:
        pytest.skip("node or its library standardwebhooks is not there")
    ann = hooked_tenant.user("ann")
    ann.say(ann.make_room(["bob"])["room_id"], "für den Boten")
    until(lambda: hook.calls, "a webhook came")
    call = hook.calls[0]
    out = subprocess.run(
        [node, "-e", NODE, path], input=json.dumps({
            "secret": hook.secret, "headers": call.headers,
            "raw": call.raw.decode()}),
        capture_output=True, text=True, check=True)
    assert out.stdout == "message.new"


async def test_only_who_is_absent(hooked_tenant, hook):
    """Not the sender, not who is connected, on whichever worker."""
    ann = hooked_tenant.user("ann", slot=0)
    room = ann.make_room(["bob", "carol", "dave", "erin"])["room_id"]
    for user, slot in (("bob", 0), ("carol", 1)):
        await Chat.connect(hooked_tenant, user, slot=slot)
    sent = await asyncio.to_thread(ann.say, room, "who is there?")
    await asyncio.to_thread(settled, hooked_tenant)
    assert sorted(c.recipient for c in hook.calls) == ["dave", "erin"]
    assert {c.json["message"]["message_id"] for c in hook.calls} == \
        {sent["message_id"]}
    assert len({c.id for c in hook.calls}) == 2


async def test_channels_send_none(hooked_tenant, hook):
    ann = hooked_tenant.user("ann")
    channel = ann.make_room(["bob"], "channel")["room_id"]
    ann.say(channel, "to all who look")
    group = ann.make_room(["bob"])["room_id"]
    ann.say(group, "to bob")
    await asyncio.to_thread(settled, hooked_tenant)
    assert [c.json["room_id"] for c in hook.calls] == [group]


async def test_grace(start_server, hook):
    """Who has just lost his connection is given the grace to come back; it
    is decided at its end."""
    grace = 5
    server = start_server(workers=2,
                          env={**ENV, "PRESENCE_GRACE": f"{grace}s"})
    tenant = Tenant(server)
    hook.serve(tenant)
    ann = tenant.user("ann")
    room = ann.make_room(["bob", "carol", "dave"])["room_id"]
    chats = [await Chat.connect(tenant, user) for user in ("bob", "carol")]
    # For one grace after its start the server decides on nobody.
    await asyncio.to_thread(ann.say, room, "slow")
    await asyncio.to_thread(until, lambda: hook.of("dave"), "dave's came")
    before = time.monotonic()
    for chat in chats:
        await chat.close()
    await asyncio.to_thread(ann.say, room, "quick")
    await asyncio.to_thread(until, lambda: len(hook.of("dave")) == 2,
                            "his next one came")
    assert not hook.of("bob") and not hook.of("carol")
    await Chat.connect(tenant, "carol", slot=1)
    await asyncio.to_thread(until, lambda: hook.of("bob"), "bob's came")
    assert hook.of("bob")[0].mono - before > grace - 0.5
    await asyncio.to_thread(settled, tenant)
    assert sorted(c.recipient for c in hook.calls) == ["bob", "dave", "dave"]


def test_as_it_now_stands(hooked, hook):
    """What was edited comes edited, what was deleted not at all."""
    tenant = Tenant(hooked)
    hook.serve(tenant)
    held = Held(hook, 2)
    ann = tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    first, second = ann.say(room, "frist"), ann.say(room, "secret")
    held.wait()
    base = f"/rooms/{room}/messages/"
    ann.call("PUT", base + first["message_id"],
             {"content": "first"}).expect(200)
    ann.delete(base + second["message_id"]).expect(204)
    late = held.go_on(tenant)
    assert {c.json["message"]["message_id"] for c in late} == \
        {first["message_id"]}
    assert late[-1].json["message"]["content"] == "first"
    assert "edited_at" in late[-1].json["message"]
    assert not tenant.backend().get("/admin/dead-letters").expect(200)[
        "failed_messages"]


def test_removed_member_hears_no_more(hooked, hook):
    """Neither of what waits to be tried again when he is removed, nor when
    he has come back behind it."""
    tenant = Tenant(hooked)
    hook.serve(tenant)
    ann = tenant.user("ann")
    users = ["bob", "carol", "dave"]
    held = Held(hook, len(users))
    members = f"/rooms/{ann.make_room(users)['room_id']}/members"
    ann.say(members.split("/")[2], "x")
    held.wait()
    ann.delete(f"{members}/bob").expect(204)
    ann.delete(f"{members}/dave").expect(204)
    ann.post(members, {"user_id": "dave"}).expect(200)
    assert {c.recipient for c in held.go_on(tenant)} == {"carol"}
    assert not tenant.backend().get("/admin/dead-letters").expect(200)[
        "failed_messages"]


def test_disabled_tenant_waits(hooked, hook):
    tenant = Tenant(hooked)
    hook.serve(tenant)
    hook.answer = lambda call: 503
    ann = tenant.user("ann")
    ann.say(ann.make_room(["bob"])["room_id"], "x")
    until(lambda: hook.calls, "a try")
    path = f"/admin/tenants/{tenant.id}"
    operator(hooked).call("PATCH", path, {"disabled": True}).expect(200)
    hook.answer = lambda call: 200
    operator(hooked).call("PATCH", path, {"disabled": False}).expect(200)
    settled(tenant)
    assert len({c.id for c in hook.calls}) == 1


def test_removed_url_takes_what_waits(hooked, hook):
    tenant = Tenant(hooked)
    hook.serve(tenant)
    hook.answer = lambda call: (503, {"Retry-After": "600"}, b"")
    ann = tenant.user("ann")
    ann.say(ann.make_room(["bob"])["room_id"], "x")
    until(lambda: hook.calls, "a try")
    operator(hooked).call("PATCH", f"/admin/tenants/{tenant.id}",
                          {"webhook_url": None}).expect(200)
    settled(tenant)
    assert len(hook.calls) == 1


def test_large_group_is_gone_through_in_pages(hooked, hook):
    tenant = Tenant(hooked)
    hook.serve(tenant)
    ann = tenant.user("ann")
    users = [f"user {i}" for i in range(1300)]
    room = ann.make_room(users[:900])["room_id"]
    ann.post(f"/rooms/{room}/members",
             {"user_ids": users[900:]}).expect(200)
    ann.say(room, "to all")
    settled(tenant)
    assert sorted(c.recipient for c in hook.calls) == sorted(users)
    assert len({c.id for c in hook.calls}) == 1300


def test_not_for_who_joins_behind_it(hooked_tenant, hook):
    """However late the courier looks at the members."""
    ann = hooked_tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    courier = hooked_tenant.server.pid_of("courier")
    os.kill(courier, signal.SIGSTOP)
    try:
        ann.say(room, "before")
        sent = time.time()
        until(lambda: time.time() > sent + 0.002, "another millisecond")
        ann.post(f"/rooms/{room}/members", {"user_id": "carol"}).expect(200)
        ann.say(room, "behind")
    finally:
        os.kill(courier, signal.SIGCONT)
    settled(hooked_tenant)
    assert sorted((c.recipient, c.json["message"]["content"])
                  for c in hook.calls) == [
        ("bob", "before"), ("bob", "behind"), ("carol", "behind")]


async def test_notifications(hooked_tenant, hook):
    """To those who are absent; as it is in the inbox."""
    for user in ("bob", "carol", "dave"):
        hooked_tenant.user(user).post(
            "/subscriptions", {"topic": "news"}).expect(201)
    await Chat.connect(hooked_tenant, "carol", slot=1)
    made = hooked_tenant.backend().post("/notify", {
        "topic": "news", "payload": {"a": [1, None]},
        "targets": {"user_ids": ["erin"], "topic_subscribers": True}}).expect(202)
    await asyncio.to_thread(settled, hooked_tenant)
    assert sorted(c.recipient for c in hook.calls) == ["bob", "dave", "erin"]
    for call in hook.calls:
        verify(hook.secret, call.headers, call.raw)
        assert call.json == {
            "event": "notification.new", "tenant_id": hooked_tenant.id,
            "recipient_id": call.recipient, "notification": {
                "notification_id": made["notification_id"], "topic": "news",
                "payload": {"a": [1, None]},
                "created_at": made["created_at"]}}


def test_acknowledged_notification_is_not_sent(hooked_tenant, hook):
    held = Held(hook, 2)
    made = hooked_tenant.backend().post("/notify", {
        "topic": "news", "payload": 1,
        "targets": {"user_ids": ["bob", "carol"]}}).expect(202)
    held.wait()
    hooked_tenant.user("bob").post(
        f"/notifications/{made['notification_id']}/ack").expect(200)
    late = held.go_on(hooked_tenant)
    assert [c.recipient for c in late] == ["carol"]


def test_notification_to_many(hooked_tenant, hook):
    """Which goes out in pieces."""
    users = [f"user {i}" for i in range(700)]
    hooked_tenant.backend().post("/notify", {
        "topic": "news", "payload": 1,
        "targets": {"user_ids": users}}).expect(202)
    until(lambda: len(hook.calls) >= 700, "all came", 3 * DEADLINE)
    settled(hooked_tenant)
    assert sorted(c.recipient for c in hook.calls) == sorted(users)
