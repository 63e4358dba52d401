# SPDX-License-Identifier: MIT
"""A repeated client_msg_id stores nothing and says what was stored."""
import json

import pytest

from chat import Chat, close_all
from client import Tenant
from harness import scaled


@pytest.fixture
def room(tenant):
    return tenant.user("ann").make_room(["bob"])["room_id"]


def send(caller, room, content="x", key=None, **more):
    headers = {"Idempotency-Key": key} if key is not None else {}
    return caller.post(f"/rooms/{room}/messages",
                       {"content": content, **more}, headers=headers)


def test_repeat_is_the_first_result(tenant, room):
    ann = tenant.user("ann")
    first = send(ann, room, "x", client_msg_id="1", meta={"a": 1}).expect(201)
    ann.say(room, "between")
    again = send(ann, room, "x", client_msg_id="1", meta={"a": 1}).expect(200)
    assert again == first
    assert len(ann.history(room)) == 2


def test_header_is_the_same_thing(tenant, room):
    ann = tenant.user("ann")
    first = send(ann, room, key="1").expect(201)
    assert send(ann, room, key="1").expect(200) == first
    assert send(ann, room, client_msg_id="1").expect(200) == first
    assert send(ann, room, key="1", client_msg_id="1").expect(200) == first
    assert len(ann.history(room)) == 1


def test_header_and_member_differ(tenant, room):
    ann = tenant.user("ann")
    send(ann, room, key="1", client_msg_id="2").error(400)
    assert ann.history(room) == []


@pytest.mark.parametrize("first, second", [
    ({"content": "x"}, {"content": "y"}),
    ({"content": "x"}, {"content": "x", "meta": 1}),
    ({"content": "x", "meta": 1}, {"content": "x"}),
    ({"content": "x", "meta": 1}, {"content": "x", "meta": 2}),
    ({"content": "x", "meta": [1, 2]}, {"content": "x", "meta": [2, 1]}),
    ({"content": "a", "meta": "b"}, {"content": "ab"}),
], ids=str)
def test_conflict(tenant, room, first, second):
    ann = tenant.user("ann")
    send(ann, room, client_msg_id="1", **first).expect(201)
    send(ann, room, client_msg_id="1", **second).error(409, "conflict")
    message, = ann.history(room)
    assert message["content"] == first["content"]


def test_absent_meta_is_null(tenant, room):
    ann = tenant.user("ann")
    send(ann, room, client_msg_id="1").expect(201)
    send(ann, room, client_msg_id="1", meta=None).expect(200)


def test_spelling_does_not_matter(tenant, room):
    ann = tenant.user("ann")
    path = f"/rooms/{room}/messages"
    ann.post(path, raw=b'{"content":"A\\u00e9","client_msg_id":"1",'
             b'"meta":{"a":[1]}}').expect(201)
    ann.post(path, raw='{ "client_msg_id" : "1", "meta": { "a" : [ 1 ] }, '
             '"content" : "Aé" }'.encode()).expect(200)


def test_scope_is_sender_and_room(tenant, room):
    ann, bob = tenant.user("ann"), tenant.user("bob")
    other = ann.make_room()["room_id"]
    send(ann, room, "a", client_msg_id="1").expect(201)
    send(bob, room, "b", client_msg_id="1").expect(201)
    send(ann, other, "c", client_msg_id="1").expect(201)


def test_ids_are_compared_exactly(tenant, room):
    ann = tenant.user("ann")
    for value in ("a", "A", "a ", " a", "á", "a\u0301", "\u0000", "a\u0000"):
        send(ann, room, client_msg_id=value).expect(201)


def test_racing_repeats_are_one_message(tenant, room):
    """The same request many times at once on all workers."""
    count = scaled(51, 21)
    clients = [tenant.user("ann", i % 3) for i in range(count)]
    for turn in range(scaled(5, 2)):
        for c in clients:
            c.send("POST", f"/rooms/{room}/messages",
                   {"content": f"turn {turn}", "client_msg_id": f"{turn}"})
        replies = [c.read() for c in clients]
        assert sorted(r.status for r in replies) == \
            [200] * (count - 1) + [201]
        assert all(r.json == replies[0].json for r in replies)
    got = tenant.user("bob").history(room)
    assert [m["content"] for m in got] == \
        [f"turn {i}" for i in range(scaled(5, 2))]


def test_racing_conflicts_have_one_winner(tenant, room):
    clients = [tenant.user("ann", i % 3) for i in range(12)]
    for i, c in enumerate(clients):
        c.send("POST", f"/rooms/{room}/messages",
               {"content": f"text {i}", "client_msg_id": "1"})
    replies = [c.read() for c in clients]
    assert sorted(r.status for r in replies) == [201] + [409] * 11
    message, = tenant.user("bob").history(room)
    winner, = [r.json for r in replies if r.status == 201]
    assert message == winner


async def test_by_websocket(tenant, room):
    chats = [await Chat.connect(tenant, "ann", slot=i) for i in range(3)]
    first = await chats[0].say(room, "x", client_msg_id="1", meta=[1])
    assert first["duplicate"] is False and first["client_msg_id"] == "1"
    for c in chats:
        again = await c.say(room, "x", client_msg_id="1", meta=[1])
        assert again["duplicate"] is True
        for name in ("message_id", "seq", "created_at", "room_id"):
            assert again[name] == first[name]
    error = await chats[1].ask("error", "send_message", room_id=room,
                               content="y", client_msg_id="1")
    assert error["code"] == "conflict" and error["temporary"] is False
    # Nobody hears of a repeat.
    await chats[2].say(room, "last")
    await chats[2].wait_seq(room, 2)
    await chats[2].barrier()
    assert chats[2].seqs(room) == [1, 2]
    await close_all(chats)


async def test_rest_and_websocket_are_one(tenant, room):
    c = await Chat.connect(tenant, "ann")
    sent = await c.say(room, "x", client_msg_id="1")
    got = send(tenant.user("ann"), room, client_msg_id="1").expect(200)
    assert got["message_id"] == sent["message_id"]
    await c.close()


def test_after_a_restart(start_server):
    server = start_server(workers=2)
    tenant = Tenant(server)
    ann = tenant.user("ann")
    room = ann.make_room()["room_id"]
    first = send(ann, room, client_msg_id="1").expect(201)
    server.stop()
    server.start()
    ann = tenant.user("ann")
    assert send(ann, room, client_msg_id="1").expect(200) == first
    send(ann, room, "y", client_msg_id="1").error(409)
    assert send(ann, room, "z").expect(201)["seq"] == 2
    assert json.dumps(ann.history(room)[0]) == json.dumps(first)
