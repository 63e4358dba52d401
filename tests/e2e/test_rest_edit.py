# SPDX-License-Identifier: MIT
"""PUT and DELETE of a message: who may, what changes, what is refused."""
import json

import pytest

from chat import Chat, close_all
from client import TIME, Tenant
from harness import scaled

NOWHERE = "room_0123456789abcdefghjkmn"


@pytest.fixture
def room(tenant):
    return tenant.user("ann").make_room(["bob"])["room_id"]


@pytest.fixture
def ann(tenant):
    return tenant.user("ann")


@pytest.fixture
def bob(tenant):
    return tenant.user("bob")


def path(message):
    return f"/rooms/{message['room_id']}/messages/{message['message_id']}"


def edit(caller, message, content, **more):
    return caller.call("PUT", path(message), {"content": content, **more})


# ---- edit ----

def test_edit(ann, bob, room):
    sent = ann.say(room, "Helo", meta={"a": [1]})
    got = edit(ann, sent, "Hello").expect(200)
    assert TIME.match(got["edited_at"])
    assert got["edited_at"] >= sent["created_at"]
    assert got["content"] == "Hello"
    assert got["rev"] == 1
    for name in ("message_id", "room_id", "sender_id", "seq", "meta",
                 "created_at"):
        assert got[name] == sent[name]
    assert "deleted_at" not in got
    assert bob.get(path(sent)).expect(200) == got
    assert bob.history(room) == [got]
    listed, = bob.get("/rooms").expect(200)["rooms"]
    assert listed["last_message"] == got
    assert listed["last_seq"] == 1


def test_edits_count_the_rooms_rev(ann, bob, room):
    """rev counts the changes of the room, each message has its latest."""
    a, b = ann.say(room, "a"), bob.say(room, "b")
    assert "rev" not in a
    revs = [edit(who, m, f"text {i}").expect(200)["rev"]
            for i, (who, m) in enumerate(
                ((ann, a), (bob, b), (ann, a), (ann, a)))]
    assert revs == [1, 2, 3, 4]
    assert [m["rev"] for m in ann.history(room)] == [4, 2]


def test_edit_moves_no_cursor_and_no_room(ann, bob, room):
    """It is no new message: nothing unread, and the room stays where it
    is among the others."""
    first = ann.say(room, "x")
    bob.post("/acks", {"room_id": room, "seq": 1}).expect(200)
    other = ann.make_room(["bob"])["room_id"]
    ann.say(other, "y")
    edit(ann, first, "z").expect(200)
    got = bob.get("/rooms").expect(200)["rooms"]
    assert [r["room_id"] for r in got] == [other, room]
    assert got[1]["unread_count"] == 0 and got[1]["last_ack"] == 1


@pytest.mark.parametrize("content", [
    "x", " ", "\u0000", "a\u0000b", "</script>\u2028", '"\\/\n',
    "x" * 16384, "ü" * 8192, "\U0001f600" * 4096],
    ids=lambda c: ascii(c)[:20])
def test_content_comes_back_as_sent(ann, bob, room, content):
    sent = ann.say(room, "before")
    got = edit(ann, sent, content).expect(200)
    assert got["content"] == content
    assert bob.history(room) == [got]


def test_same_content_changes_nothing(ann, room):
    sent = ann.say(room, "same", meta=1)
    assert edit(ann, sent, "same").expect(200) == sent
    changed = edit(ann, sent, "other").expect(200)
    assert edit(ann, sent, "other").expect(200) == changed
    back = edit(ann, sent, "same").expect(200)
    assert back["content"] == "same" and back["rev"] == 2


def test_only_content_is_edited(ann, room):
    sent = ann.say(room, "x", meta={"a": 1}, client_msg_id="1")
    got = edit(ann, sent, "y", meta={"a": 2}, seq=9, sender_id="bob",
               client_msg_id="2", deleted_at="now", colour=[1]).expect(200)
    assert got["meta"] == {"a": 1}
    assert got["seq"] == 1 and got["sender_id"] == "ann"
    assert "deleted_at" not in got and "colour" not in got


@pytest.mark.parametrize("raw", [
    b"", b"{", b"[]", b'"x"', b"null", b"{}", b'{"text":"x"}',
    b'{"content":""}', b'{"content":null}', b'{"content":5}',
    b'{"content":["x"]}', b'{"content":"a","content":5}',
    b'{"content":"\\ud800"}', b'{"content":"\xff"}', b'{"content":"x",}',
    b'{"content":"' + b"x" * 16385 + b'"}',
    b'{"content":"' + "ü".encode() * 8193 + b'"}',
], ids=lambda r: repr(r)[:30])
def test_edit_refused(ann, room, raw):
    sent = ann.say(room, "as it was")
    ann.call("PUT", path(sent), raw=raw).error(400, "invalid_request")
    assert ann.history(room) == [sent]


def test_field_to_blame(ann, room):
    sent = ann.say(room, "x")
    for content in ("", None, 5, "x" * 16385):
        edit(ann, sent, content).error(400, field="content")


# ---- delete ----

def tombstone(message):
    out = {k: v for k, v in message.items()
           if k not in ("content", "meta", "edited_at")}
    return out


def test_delete(ann, bob, room):
    sent = ann.say(room, "secret", meta={"secret": 1})
    assert ann.delete(path(sent)).expect(204) is None
    got = bob.get(path(sent)).expect(200)
    assert TIME.match(got.pop("deleted_at"))
    assert got.pop("rev") == 1
    assert got == tombstone(sent)
    reply = bob.get(f"/rooms/{room}/messages")
    assert b"secret" not in reply.body
    assert len(reply.json["messages"]) == 1


def test_a_tombstone_keeps_its_place(ann, bob, room):
    sent = [ann.say(room, f"text {i}") for i in range(1, 4)]
    ann.delete(path(sent[1])).expect(204)
    got = bob.history(room)
    assert [m["seq"] for m in got] == [1, 2, 3]
    assert [m.get("content") for m in got] == ["text 1", None, "text 3"]
    assert ann.say(room, "text 4")["seq"] == 4
    # The newest one, too: the room's head does not move.
    last = ann.history(room)[-1]
    ann.delete(path(last)).expect(204)
    listed, = bob.get("/rooms").expect(200)["rooms"]
    assert listed["last_seq"] == 4 and listed["unread_count"] == 4
    assert listed["last_message"]["seq"] == 4
    assert "deleted_at" in listed["last_message"]
    assert "content" not in listed["last_message"]
    assert ann.say(room, "text 5")["seq"] == 5


def test_delete_of_an_edited_one(ann, bob, room):
    sent = ann.say(room, "x")
    edit(ann, sent, "y").expect(200)
    ann.delete(path(sent)).expect(204)
    got, = bob.history(room)
    assert got["rev"] == 2 and "content" not in got
    assert "edited_at" not in got


def test_a_tombstone_is_for_good(ann, bob, tenant, room):
    sent = ann.say(room, "x")
    ann.delete(path(sent)).expect(204)
    before = bob.get(path(sent)).expect(200)
    for caller in (ann, tenant.backend(), ann):
        caller.delete(path(sent)).expect(204)
    edit(ann, sent, "y").error(409, "conflict")
    edit(ann, sent, "x").error(409, "conflict")
    assert bob.get(path(sent)).expect(200) == before


def test_backend_deletes_any(tenant, ann, bob, room):
    for who in (ann, bob):
        sent = who.say(room, "x")
        tenant.backend().delete(path(sent)).expect(204)
        assert "deleted_at" in who.get(path(sent)).expect(200)


def test_delete_takes_no_body(ann, room):
    sent = ann.say(room, "x")
    ann.call("DELETE", path(sent), raw=b"no json").expect(204)


# ---- who may ----

def test_backend_does_not_edit(tenant, ann, room):
    sent = ann.say(room, "x")
    edit(tenant.backend(), sent, "y").error(
        400, "invalid_request", "X-User-Id")
    # Before the body and the room are looked at.
    tenant.backend().call("PUT", path(sent), {"content": 5}).error(
        400, field="X-User-Id")
    tenant.backend().call(
        "PUT", f"/rooms/{NOWHERE}/messages/{sent['message_id']}",
        {"content": "y"}).error(400, field="X-User-Id")
    assert ann.history(room) == [sent]


@pytest.mark.parametrize("kind", ["group", "channel", "dm"])
def test_only_the_sender(tenant, kind):
    """Not another member, not an admin of the room, not a stranger."""
    ann, bob = tenant.user("ann"), tenant.user("bob")
    room = ann.make_room(["bob"], kind)["room_id"]
    sent = bob.say(room, "bob's")
    eve = tenant.user("eve")
    for who in (ann, eve):
        edit(who, sent, "y").error(403, "forbidden")
        who.delete(path(sent)).error(403, "forbidden")
    assert ann.history(room) == [sent]


def test_who_left_may_no_more(ann, bob, room):
    sent = bob.say(room, "x")
    bob.delete(f"/rooms/{room}/members/bob").expect(204)
    edit(bob, sent, "y").error(403, "forbidden")
    bob.delete(path(sent)).error(403, "forbidden")
    assert ann.history(room) == [sent]
    # And again, when he is back.
    ann.post(f"/rooms/{room}/members", {"user_id": "bob"}).expect(200)
    edit(bob, sent, "y").expect(200)


# ---- the order of refusals ----

def wrong_ids(message):
    real = message["message_id"]
    other = "0" if real[-1] != "0" else "1"
    # The time in it is another one.
    at = 4 + 9
    early = real[:at] + ("0" if real[at] != "0" else "1") + real[at + 1:]
    return [real[:-1] + other, real[:-1], real + "0", early, "msg_", "msg_x",
            "nonsense", message["room_id"], real.upper(), "msg_" + "0" * 41,
            real[:-9] + "0" * 9, real[:-9] + "z" * 9, "x" * 300, "%c3%bc"]


def test_message_that_is_not_there(ann, tenant, room):
    sent = ann.say(room, "x")
    for wrong in wrong_ids(sent):
        for method, body in (("PUT", {"content": "y"}), ("DELETE", None)):
            target = f"/rooms/{room}/messages/{wrong}"
            ann.call(method, target, body).error(404, "not_found")
            # A stranger hears that he is one.
            tenant.user("eve").call(method, target, body).error(403)
        tenant.backend().delete(f"/rooms/{room}/messages/{wrong}").error(404)
    assert ann.history(room) == [sent]


def test_message_of_another_room(ann, room):
    other = ann.make_room()["room_id"]
    sent = ann.say(other, "x")
    ann.say(room, "y")
    wrong = {**sent, "room_id": room}
    edit(ann, wrong, "z").error(404, "not_found")
    ann.delete(path(wrong)).error(404, "not_found")
    assert ann.history(other) == [sent]


@pytest.mark.parametrize("headers, raw, status", [
    # (what is wrong besides an unknown room, what is answered)
    ({"X-API-Key": None}, b"no json", 401),
    ({"X-API-Key": "sk_" + "a" * 43}, b"no json", 401),
    ({"X-User-Id": ""}, b"no json", 400),
    ({"Content-Type": "text/plain"}, b"no json", 415),
    ({}, b"x" * 70000, 413),
    ({}, b"no json", 400),
    ({}, b'{"content":""}', 400),
    ({}, b'{"content":"x"}', 404),
], ids=str)
def test_order(ann, headers, raw, status):
    message = "msg_" + "0" * 41
    ann.call("PUT", f"/rooms/{NOWHERE}/messages/{message}", raw=raw,
             headers=headers).error(status)


def test_role_before_state(ann, bob, room):
    """Who may not edit it does not hear that it is deleted."""
    sent = ann.say(room, "x")
    ann.delete(path(sent)).expect(204)
    edit(bob, sent, "y").error(403)
    bob.delete(path(sent)).error(403)


def test_methods_of_a_message(ann, room):
    sent = ann.say(room, "x")
    for method in ("POST", "PATCH"):
        reply = ann.call(method, path(sent), {"content": "y"})
        reply.error(405, "method_not_allowed")
        assert reply.headers["allow"] == "GET, HEAD, PUT, DELETE"


@pytest.mark.parametrize("kind", ["group", "channel", "dm"])
@pytest.mark.parametrize("who", ["ann", "eve", None])
def test_another_tenants_message_is_like_none(server, tenant, kind, who):
    """Byte for byte, request id aside; whatever the message's id."""
    room = tenant.user("ann").make_room(["bob"], kind)["room_id"]
    sent = tenant.user("ann").say(room, "secret")
    other = Tenant(server)
    caller = other.backend() if who is None else other.user(who)
    calls = [("DELETE", None)]
    if who is not None:
        calls.append(("PUT", b'{"content":"x"}'))
    for method, raw in calls:
        for message in (sent["message_id"], "nonsense"):
            answers = []
            for target in (room, NOWHERE, "nonsense"):
                reply = caller.call(
                    method, f"/rooms/{target}/messages/{message}", raw=raw,
                    headers={"X-Request-Id": "same"})
                reply.error(404, "not_found")
                headers = dict(reply.headers)
                headers.pop("date")
                answers.append((reply.body, headers))
            assert answers[0] == answers[1] == answers[2], (method, message)
    assert tenant.backend().history(room) == [sent]


# ---- at once ----

def test_racing_edits_are_all_counted(tenant, ann, room):
    """Edits of one message on all workers: each answer is what was there
    at some time, the last rev is the number of changes."""
    sent = ann.say(room, "x")
    count = scaled(30, 12)
    clients = [tenant.user("ann", i % 3) for i in range(count)]
    for i, c in enumerate(clients):
        c.send("PUT", path(sent), {"content": f"text {i}"})
    got = [c.read().expect(200) for c in clients]
    assert {g["seq"] for g in got} == {1}
    assert max(g["rev"] for g in got) == count
    last, = ann.history(room)
    assert last["rev"] == count
    assert last["content"] in {f"text {i}" for i in range(count)}


def test_racing_edits_and_a_delete(tenant, ann, room):
    """Whoever is late hears of the deletion, and nothing undoes it."""
    for turn in range(scaled(5, 2)):
        sent = ann.say(room, "x")
        clients = [tenant.user("ann", i % 3) for i in range(9)]
        for i, c in enumerate(clients):
            if i == 4:
                c.send("DELETE", path(sent))
            else:
                c.send("PUT", path(sent), {"content": f"{turn} {i}"})
        replies = [c.read() for c in clients]
        assert replies[4].status == 204
        assert {r.status for r in replies} <= {200, 204, 409}
        got = ann.get(path(sent)).expect(200)
        assert "deleted_at" in got and "content" not in got


# ---- live ----

async def test_members_hear_of_it(tenant, room):
    """Each connection of each member gets the change, once."""
    chats = [await Chat.connect(tenant, user, slot=slot)
             for user in ("ann", "bob") for slot in range(3)]
    for c in chats:
        # Who still catches up gets the message as it stands in the end.
        await c.wait("sync.complete")
    ann = tenant.user("ann")
    sent = ann.say(room, "x", meta=1)
    changed = edit(ann, sent, "y").expect(200)
    edit(ann, sent, "y").expect(200)
    ann.delete(path(sent)).expect(204)
    ann.delete(path(sent)).expect(204)
    ann.say(room, "last")
    for c in chats:
        await c.wait_seq(room, 2)
        await c.barrier()
        edited, = c.of("message.edited")
        assert edited == {
            "type": "message.edited", "room_id": room,
            "message_id": sent["message_id"], "seq": 1, "rev": 1,
            "sender_id": "ann", "content": "y",
            "edited_at": changed["edited_at"]}
        deleted, = c.of("message.deleted")
        for name, value in {"room_id": room, "seq": 1, "rev": 2,
                            "message_id": sent["message_id"]}.items():
            assert deleted[name] == value
        assert "content" not in deleted and "meta" not in deleted
        assert c.log.index(edited) < c.log.index(deleted)
    await close_all(chats)


async def test_strangers_hear_nothing(tenant, server, room):
    eve = await Chat.connect(tenant, "eve")
    other = await Chat.connect(Tenant(server), "ann")
    ann = tenant.user("ann")
    sent = ann.say(room, "x")
    edit(ann, sent, "y").expect(200)
    ann.delete(path(sent)).expect(204)
    for c in (eve, other):
        await c.barrier()
        assert room not in json.dumps(c.log)
    await close_all([eve, other])
