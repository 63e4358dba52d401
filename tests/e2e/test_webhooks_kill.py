# SPDX-License-Identifier: MIT
"""Webhooks through killed processes: each absent recipient of each message
hears of it at least once, and again only what was under way."""
import asyncio
import collections
import threading
import time

import pytest
from chat import Chat
from client import Tenant
from harness import scaled, until
from hook import ENV
from test_webhooks import settled

UNDER_WAY = 8           # requests to one tenant's endpoint at once


class Flow(threading.Thread):
    """Messages to a group, each acknowledged by the server."""

    def __init__(self, tenant, room):
        super().__init__()
        self.tenant, self.room = tenant, room
        self.sent = []
        self.done = threading.Event()

    def run(self):
        ann = self.tenant.user("ann")
        n = 0
        while not self.done.is_set():
            n += 1
            # What nobody could answer is asked again.
            until(lambda: self._say(ann, n), "it was taken", every=0.02)
            time.sleep(0.005)

    def _say(self, ann, n):
        try:
            reply = ann.post(f"/rooms/{self.room}/messages", {
                "content": f"{n}", "client_msg_id": f"{n}"})
        except OSError:
            ann.close()
            return False
        except Exception:
            ann.close()
            return False
        if reply.status not in (200, 201):
            return False
        self.sent.append(reply.json["message_id"])
        return True

    def end(self):
        self.done.set()
        self.join()


@pytest.mark.parametrize("victim", ["courier", "writer", "both"])
def test_nothing_is_forgotten(start_server, hook, victim):
    server = start_server(workers=1, env=ENV)
    tenant = Tenant(server)
    hook.serve(tenant)
    room = tenant.user("ann").make_room(["bob", "carol", "dave"])["room_id"]
    flow = Flow(tenant, room)
    flow.start()
    kills = scaled(5, 3)
    try:
        for _ in range(kills):
            before = len(hook.calls)
            until(lambda: len(hook.calls) > before + 20, "some were sent")
            old = {name: server.kill(name) for name in ("courier", "writer")
                   if victim in (name, "both")}
            for name, pid in old.items():
                server.wait_respawn(name, None, pid)
            # Sooner they would be started with a delay.
            time.sleep(0.6)
    finally:
        flow.end()
    settled(tenant)
    want = {(m, user) for m in flow.sent for user in ("bob", "carol", "dave")}
    assert {c.key for c in hook.calls} == want
    # One message and recipient has one id, however often it comes.
    ids = collections.defaultdict(set)
    for call in hook.calls:
        ids[call.key].add(call.id)
    assert all(len(v) == 1 for v in ids.values())
    again = len(hook.calls) - len(want)
    if victim == "writer":
        # The courier knows what was answered.
        assert again == 0
    assert again <= UNDER_WAY * kills, again


def test_restart_goes_on(start_server, hook):
    """Also a stop and a start of the whole server."""
    # However late it is stopped: nothing has been given up by then.
    server = start_server(workers=1, env={**ENV, "RETRY_MAX_ATTEMPTS": "100"})
    tenant = Tenant(server)
    hook.serve(tenant)
    hook.answer = lambda call: (503, {"Retry-After": "1"}, b"")
    ann = tenant.user("ann")
    room = ann.make_room([f"u{i}" for i in range(30)])["room_id"]
    ann.say(room, "x")
    until(lambda: len(hook.calls) >= 3, "tries were made")
    server.stop()
    hook.answer = lambda call: 200
    before = len(hook.calls)
    server.start()
    settled(tenant)
    good = hook.calls[before:]
    assert sorted({c.recipient for c in good}) == sorted(
        f"u{i}" for i in range(30))
    assert len({c.id for c in good}) == len(good) == 30


async def test_a_start_waits_for_who_comes_back(start_server, hook):
    """When the whole server has died everybody connects again: who does so
    within the grace was never absent."""
    server = start_server(workers=1, env={**ENV, "PRESENCE_GRACE": "10s"})
    tenant = Tenant(server)
    hook.serve(tenant)
    ann = tenant.user("ann")
    room = ann.make_room(["bob", "carol"])["room_id"]
    await asyncio.to_thread(server.destroy)
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(tenant.user("ann").say, room, "back?")
    await Chat.connect(tenant, "bob")
    await asyncio.to_thread(settled, tenant)
    assert [c.recipient for c in hook.calls] == ["carol"]


def test_a_hanging_endpoint_holds_up_no_stop(start_server, hook):
    # Longer than the 15 s that a webhook may take, so that nobody is killed.
    server = start_server(workers=1, env={**ENV,
                                          "SHUTDOWN_DRAIN_TIMEOUT": "60s"})
    tenant = Tenant(server)
    hook.serve(tenant)
    hook.answer = lambda call: None
    ann = tenant.user("ann")
    ann.say(ann.make_room(["bob"])["room_id"], "x")
    until(lambda: hook.calls, "it hangs")
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < scaled(10, 15)
    hook.answer = lambda call: 200
    server.start()
    until(lambda: len(hook.calls) == 2, "it was sent again")
    assert hook.calls[0].id == hook.calls[1].id
