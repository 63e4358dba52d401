# SPDX-License-Identifier: MIT
"""Notifications: whom they reach, and how long."""
import pytest

from chat import Chat
from client import Tenant
from harness import until


def notify(caller, topic="t", payload=1, **targets):
    body = {"topic": topic, "payload": payload}
    if targets:
        body["targets"] = targets
    return caller.post("/notify", body).expect(202)


def inbox(user):
    return user.get("/notifications").expect(200)["notifications"]


async def test_to_one_user(tenant):
    chat = await Chat.connect(tenant, "ann")
    made = notify(tenant.backend(), "orders", {"a": [1, None]},
                  user_ids=["ann", "bob"])
    frame = await chat.wait("notification")
    assert frame == {"type": "notification", "topic": "orders",
                     "payload": {"a": [1, None]}, **made}
    bob = await Chat.connect(tenant, "bob")
    assert (await bob.wait("notification"))["notification_id"] == \
        made["notification_id"]
    await bob.ask("ok", "notification.ack",
                  notification_id=made["notification_id"])
    assert inbox(tenant.user("bob")) == []
    ann = tenant.user("ann")
    assert inbox(ann) == [{"topic": "orders", "payload": {"a": [1, None]},
                           **made}]
    path = f"/notifications/{made['notification_id']}/ack"
    ann.post(path).expect(200)
    ann.post(path).error(404)
    assert inbox(ann) == []


async def test_kinds_of_target(tenant):
    backend = tenant.backend()
    room = backend.make_room(["ann", "bob"])["room_id"]
    tenant.user("cid").post("/subscriptions", {"topic": "t"}).expect(201)
    chats = {u: await Chat.connect(tenant, u)
             for u in ("ann", "bob", "cid", "dan", "eve")}
    made = notify(backend, user_ids=["eve", "ann"], room_id=room,
                  topic_subscribers=True)
    for u in ("ann", "bob", "cid", "eve"):
        got = await chats[u].wait("notification")
        assert got["notification_id"] == made["notification_id"]
    all_ = notify(backend, payload="all")
    for u, chat in chats.items():
        got = await chat.wait("notification")
        assert got["notification_id"] == all_["notification_id"], u
        assert len(chat.of("notification")) == (1 if u == "dan" else 2)
