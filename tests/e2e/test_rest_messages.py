# SPDX-License-Identifier: MIT
"""Messages and acks by REST."""
import json
from decimal import Decimal

import pytest

from client import TIME


@pytest.fixture
def room(tenant):
    return tenant.user("ann").make_room(["bob"])["room_id"]


@pytest.fixture
def ann(tenant):
    return tenant.user("ann")


@pytest.fixture
def bob(tenant):
    return tenant.user("bob")


def nested(depth):
    out = 0
    for _ in range(depth):
        out = {"a": out}
    return out


# ---- sending ----

def test_send(ann, bob, room):
    sent = ann.post(f"/rooms/{room}/messages",
                    {"content": "Hello", "meta": {"k": [1]}}).expect(201)
    assert sent["message_id"].startswith("msg_")
    assert sent["room_id"] == room
    assert sent["sender_id"] == "ann"
    assert sent["seq"] == 1
    assert sent["content"] == "Hello"
    assert sent["meta"] == {"k": [1]}
    assert TIME.match(sent["created_at"])
    got = bob.get(f"/rooms/{room}/messages/{sent['message_id']}").expect(200)
    assert got == sent


def test_seq_goes_up_by_one_and_ids_sort(ann, bob, room):
    sent = [(ann, bob)[i % 2].say(room, str(i)) for i in range(20)]
    assert [m["seq"] for m in sent] == list(range(1, 21))
    ids = [m["message_id"] for m in sent]
    assert ids == sorted(ids) and len(set(ids)) == 20


def test_rooms_count_for_themselves(ann, room):
    other = ann.make_room()["room_id"]
    ann.say(room, "a")
    assert ann.say(other, "b")["seq"] == 1


@pytest.mark.parametrize("content", [
    "x", " ", "\n", "ü", "\U0001f600", "a\u0000b", "\u0000", "\ud7ff\ue000",
    '"\\/\b\f\n\r\t', "\x7f\x1f", "</script>\u2028\u2029", "x" * 16384,
    "ü" * 8192, "\U0001f600" * 4096, "\ufeffbom", "\uffff"],
    ids=lambda c: ascii(c)[:20])
def test_content_comes_back_as_sent(ann, bob, room, content):
    sent = ann.say(room, content)
    assert sent["content"] == content
    got, = bob.history(room)
    assert got == sent


@pytest.mark.parametrize("content", [
    "", None, 5, True, ["x"], {"x": 1}, "x" * 16385, "ü" * 8193,
    "x" + "\U0001f600" * 4096], ids=lambda c: ascii(c)[:20])
def test_content_refused(ann, room, content):
    ann.post(f"/rooms/{room}/messages", {"content": content}).error(
        400, "invalid_request", "content")
    assert ann.history(room) == []


def test_content_missing(ann, room):
    ann.post(f"/rooms/{room}/messages", {"text": "x"}).error(
        400, "invalid_request", "content")


@pytest.mark.parametrize("meta", [
    0, -1, 1.5, 1e300, 2**53, -2**53, 9007199254740991, True, False, "", "x",
    [], {}, [[]], {"": {}}, {"a": None}, [None], "\u0000",
    nested(32), "m" * 16382, {"z": 1, "a": 2}, 0.1, 1e-7,
    [1, "2", {"3": [4.25]}]], ids=lambda m: ascii(m)[:20])
def test_meta_comes_back_as_sent(ann, bob, room, meta):
    sent = ann.say(room, "x", meta=meta)
    got, = bob.history(room)
    for m in (sent, got):
        assert m["meta"] == meta and type(m["meta"]) is type(meta)


def test_meta_null_is_absent(ann, bob, room):
    ann.say(room, "x", meta=None)
    ann.say(room, "x")
    for m in bob.history(room):
        assert m.get("meta") is None


@pytest.mark.parametrize("meta", [
    nested(33), "m" * 16383, ["x" * 8000, "y" * 8500]],
    ids=lambda m: ascii(m)[:20])
def test_meta_refused(ann, room, meta):
    ann.post(f"/rooms/{room}/messages", {"content": "x", "meta": meta}) \
        .error(400, "invalid_request", "meta")
    assert ann.history(room) == []


@pytest.mark.parametrize("number", [
    "9007199254740993", "-9007199254740993", "9223372036854775807",
    "9223372036854775808", "18446744073709551615", "18446744073709551616",
    "123456789012345678901234567890", "1e400", "-1e400", "1e-400",
    "0.1234567890123456789012345", "3.141592653589793",
    "1.7976931348623157e308", "5e-324", "-0", "-0.0", "1E5", "1e5",
    "100000.0"])
def test_number_survives_or_is_refused(ann, room, number):
    """A number is never silently another one."""
    reply = ann.post(f"/rooms/{room}/messages",
                     raw=b'{"content":"x","meta":[%s]}' % number.encode())
    if reply.status == 400:
        reply.error(400, "invalid_request", "meta")
        assert ann.history(room) == []
        return
    reply.expect(201)
    body = ann.get(f"/rooms/{room}/messages").body.decode()
    got = json.loads(body, parse_int=str, parse_float=str)
    got = got["messages"][0]["meta"][0]
    assert Decimal(got) == Decimal(number)


def test_meta_member_named_with_nul(ann, bob, room):
    """Refused, as doc/api.md says, and nothing is stored."""
    for name in ("\u0000", "a\u0000b"):
        ann.post(f"/rooms/{room}/messages",
                 {"content": "x", "meta": {name: 1}}).error(
            400, "invalid_request", "meta")
    assert bob.history(room) == []


@pytest.mark.parametrize("number", [
    "1e400", "-1e400", "123456789012345678901234567890"])
def test_number_that_no_double_or_integer_holds(ann, room, number):
    ann.post(f"/rooms/{room}/messages",
             raw=b'{"content":"x","meta":%s}' % number.encode()) \
        .error(400, "invalid_request", "meta")


def test_backend_does_not_send(tenant, room):
    tenant.backend().post(f"/rooms/{room}/messages", {"content": "x"}).error(
        400, "invalid_request", "X-User-Id")
    assert tenant.backend().history(room) == []


def test_stranger_does_not_send(tenant, room):
    tenant.user("eve").post(f"/rooms/{room}/messages", {"content": "x"}) \
        .error(403, "forbidden")
    assert tenant.backend().history(room) == []


def test_members_of_a_channel_may_send(tenant):
    room = tenant.backend().make_room(["ann"], "channel")["room_id"]
    tenant.user("ann").say(room, "x")
    tenant.user("eve").post(f"/rooms/{room}/messages", {"content": "x"}) \
        .error(403)


def test_client_msg_id_at_the_limit(ann, room):
    ann.say(room, "x", client_msg_id="i" * 128)
    ann.say(room, "y", client_msg_id="ü" * 64)


@pytest.mark.parametrize("value", [
    "", "i" * 129, "ü" * 65, 5, ["x"]], ids=lambda c: ascii(c)[:20])
def test_client_msg_id_refused(ann, room, value):
    ann.post(f"/rooms/{room}/messages",
             {"content": "x", "client_msg_id": value}).error(
                 400, "invalid_request", "client_msg_id")


# ---- reading ----

@pytest.fixture
def full(ann, room):
    """A room of 120 messages."""
    for i in range(1, 121):
        ann.say(room, f"text {i}")
    return room


@pytest.mark.parametrize("query, first, last, more", [
    ("", 1, 50, True),
    ("?limit=10", 1, 10, True),
    ("?after_seq=0", 1, 50, True),
    ("?after_seq=5&limit=3", 6, 8, True),
    ("?after_seq=100", 101, 120, False),
    ("?after_seq=70", 71, 120, False),
    ("?after_seq=69", 70, 119, True),
    ("?limit=100", 1, 100, True),
    ("?limit=1000", 1, 100, True),
    ("?before_seq=121", 71, 120, True),
    ("?before_seq=9999", 71, 120, True),
    ("?before_seq=51", 1, 50, False),
    ("?before_seq=52", 2, 51, True),
    ("?before_seq=20&limit=5", 15, 19, True),
    ("?before_seq=4", 1, 3, False),
])
def test_pages(bob, full, query, first, last, more):
    got = bob.get(f"/rooms/{full}/messages{query}").expect(200)
    assert [m["seq"] for m in got["messages"]] == \
        list(range(first, last + 1))
    assert got["has_more"] is more
    assert got["messages"][0]["content"] == f"text {first}"


@pytest.mark.parametrize("query", [
    "?after_seq=120", "?after_seq=5000", "?before_seq=1", "?before_seq=0"])
def test_empty_pages(bob, full, query):
    got = bob.get(f"/rooms/{full}/messages{query}").expect(200)
    assert got == {"messages": [], "has_more": False}


@pytest.mark.parametrize("query, field", [
    ("after_seq=x", "after_seq"), ("after_seq=-1", "after_seq"),
    ("before_seq=1.5", "before_seq"), ("limit=0", "limit"),
    ("limit=ten", "limit"), ("after_seq=", "after_seq"),
    ("after_seq=1&before_seq=5", None)])
def test_bad_query(ann, room, query, field):
    ann.get(f"/rooms/{room}/messages?{query}").error(
        400, "invalid_request", field)


def test_backend_reads(tenant, full):
    backend = tenant.backend()
    assert len(backend.history(full)) == 120
    one = backend.get(f"/rooms/{full}/messages?limit=1").expect(200)
    message_id = one["messages"][0]["message_id"]
    backend.get(f"/rooms/{full}/messages/{message_id}").expect(200)


def test_stranger_does_not_read(tenant, full, ann):
    one = ann.get(f"/rooms/{full}/messages?limit=1").expect(200)
    message_id = one["messages"][0]["message_id"]
    eve = tenant.user("eve")
    eve.get(f"/rooms/{full}/messages").error(403)
    eve.get(f"/rooms/{full}/messages/{message_id}").error(403)


def test_get_of_another_rooms_message(ann, room):
    other = ann.make_room()["room_id"]
    message_id = ann.say(other, "x")["message_id"]
    ann.get(f"/rooms/{room}/messages/{message_id}").error(404, "not_found")


def test_get_of_what_is_not_there(ann, room):
    real = ann.say(room, "x")["message_id"]
    for wrong in (real[:-1] + ("0" if real[-1] != "0" else "1"),
                  real[:-1], real + "0", "msg_", "msg_x", "nonsense", room,
                  real.upper(), "msg_" + "0" * 41, "%00"):
        reply = ann.get(f"/rooms/{room}/messages/{wrong}")
        assert reply.status in (400, 404), (wrong, reply)
        reply.error(reply.status)


# ---- acks ----

def stand(caller, room):
    got, = [r for r in caller.get("/rooms").expect(200)["rooms"]
            if r["room_id"] == room]
    return got["last_ack"]


def test_ack_only_moves_forward(bob, full):
    for seq, now in ((5, 5), (3, 5), (5, 5), (0, 5), (80, 80), (120, 120)):
        got = bob.post("/acks", {"room_id": full, "seq": seq}).expect(200)
        assert got == {"room_id": full, "seq": now}
        assert stand(bob, full) == now


def test_ack_past_the_end_is_the_end(bob, full):
    for seq in (121, 10**6, 2**53):
        got = bob.post("/acks", {"room_id": full, "seq": seq}).expect(200)
        assert got["seq"] == 120
    assert stand(bob, full) == 120


def test_ack_is_the_users_own(ann, bob, full):
    bob.post("/acks", {"room_id": full, "seq": 7}).expect(200)
    assert stand(ann, full) == 0


@pytest.mark.parametrize("seq", [
    "5", -1, 1.5, None, [1], True, 1e300], ids=str)
def test_ack_refused(bob, full, seq):
    bob.post("/acks", {"room_id": full, "seq": seq}).error(400, field="seq")
    assert stand(bob, full) == 0


def test_ack_without_fields(bob, full):
    bob.post("/acks", {"seq": 1}).error(400, field="room_id")
    bob.post("/acks", {"room_id": full}).error(400, field="seq")


def test_backend_does_not_ack(tenant, full):
    tenant.backend().post("/acks", {"room_id": full, "seq": 1}).error(
        400, field="X-User-Id")


def test_ack_by_a_stranger(tenant, full):
    tenant.user("eve").post("/acks", {"room_id": full, "seq": 1}).error(403)
