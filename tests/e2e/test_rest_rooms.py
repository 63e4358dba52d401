# SPDX-License-Identifier: MIT
"""Rooms by REST: making, reading and listing them."""
import json

import pytest

from client import TIME, Tenant


def nested(depth):
    out = 0
    for _ in range(depth):
        out = [out]
    return out


# ---- making one ----

@pytest.mark.parametrize("kind", ["group", "channel"])
def test_create_by_user(tenant, kind):
    room = tenant.user("ann").make_room(["bob"], kind, name="The room",
                                        metadata={"colour": "red"})
    assert room["room_id"].startswith("room_")
    assert room["type"] == kind
    assert room["name"] == "The room"
    assert room["metadata"] == {"colour": "red"}
    assert room["last_seq"] == 0
    assert TIME.match(room["created_at"])
    got = tenant.user("bob").get("/rooms/" + room["room_id"]).expect(200)
    assert got == room


def test_creator_is_admin_and_member(tenant):
    room = tenant.user("ann").make_room(["bob"])
    got = tenant.user("ann").get(
        f"/rooms/{room['room_id']}/members").expect(200)["members"]
    assert {m["user_id"]: m["role"] for m in got} == {
        "ann": "admin", "bob": "member"}


def test_group_of_nobody_else(tenant):
    room = tenant.user("ann").make_room([])
    got = tenant.user("ann").get(
        f"/rooms/{room['room_id']}/members").expect(200)["members"]
    assert [m["user_id"] for m in got] == ["ann"]


def test_backend_makes_plain_members(tenant):
    room = tenant.backend().make_room(["ann", "bob"])
    got = tenant.backend().get(
        f"/rooms/{room['room_id']}/members").expect(200)["members"]
    assert {m["user_id"]: m["role"] for m in got} == {
        "ann": "member", "bob": "member"}


def test_member_named_twice_is_there_once(tenant):
    room = tenant.backend().make_room(["ann", "bob", "ann"])
    got = tenant.backend().get(
        f"/rooms/{room['room_id']}/members").expect(200)["members"]
    assert sorted(m["user_id"] for m in got) == ["ann", "bob"]


def test_thousand_members(tenant):
    users = [f"user-{i:04}" for i in range(1000)]
    room = tenant.backend().make_room(users, "channel")
    got = tenant.backend().get(
        f"/rooms/{room['room_id']}/members").expect(200)
    assert sorted(m["user_id"] for m in got["members"]) == users
    assert got["next_cursor"] is None


def test_user_ids_are_any_text(tenant):
    users = ["ann@example.org", "用户", "a b", "x" * 128, "a/b?c&d",
             "ü" * 64]
    room = tenant.backend().make_room(users)
    got = tenant.backend().get(
        f"/rooms/{room['room_id']}/members").expect(200)
    assert {m["user_id"] for m in got["members"]} == set(users)


@pytest.mark.parametrize("body, field", [
    ({"members": ["a"]}, "type"),
    ({"type": "club", "members": ["a"]}, "type"),
    ({"type": 7, "members": ["a"]}, "type"),
    ({"type": None, "members": ["a"]}, "type"),
    ({"type": "group", "members": "a"}, "members"),
    ({"type": "group", "members": {"a": 1}}, "members"),
    ({"type": "group", "members": [1]}, "members"),
    ({"type": "group", "members": [None]}, "members"),
    ({"type": "group", "members": [""]}, "members"),
    ({"type": "group", "members": ["x" * 129]}, "members"),
    ({"type": "group", "members": ["a\nb"]}, "members"),
    ({"type": "group", "members": ["a\u0000b"]}, "members"),
    ({"type": "group", "members": ["a\x7fb"]}, "members"),
    ({"type": "group", "members": [f"u{i}" for i in range(1001)]},
     "members"),
    ({"type": "group", "members": ["a"], "name": 5}, "name"),
    ({"type": "group", "members": ["a"], "name": "n" * 257}, "name"),
    ({"type": "group", "members": ["a"], "name": "ü" * 129}, "name"),
    ({"type": "group", "members": ["a"], "metadata": "m" * 16384},
     "metadata"),
    ({"type": "group", "members": ["a"], "metadata": nested(33)},
     "metadata"),
    ({"type": "dm", "members": []}, "members"),
    ({"type": "dm", "members": ["a"]}, "members"),
    ({"type": "dm", "members": ["a", "a"]}, "members"),
    ({"type": "dm", "members": ["a", "b", "c"]}, "members"),
], ids=lambda v: json.dumps(v)[:50] if isinstance(v, dict) else v)
def test_refused(tenant, body, field):
    tenant.backend().post("/rooms", body).error(400, field=field)
    rooms = tenant.backend().get("/rooms").expect(200)["rooms"]
    assert rooms == []


@pytest.mark.parametrize("more", [
    {"name": "n" * 256}, {"name": "ü" * 128},
    {"metadata": "m" * 16382}, {"metadata": nested(32)},
    {"metadata": 0}, {"metadata": False}, {"metadata": ""},
    {"metadata": {"a": [1, 2.5, None, "\u0000\u20ac\U0001f600"]}},
], ids=lambda v: json.dumps(v)[:40])
def test_at_the_limit(tenant, more):
    made = tenant.backend().make_room(["ann"], **more)
    got = tenant.user("ann").get("/rooms/" + made["room_id"]).expect(200)
    for name, value in more.items():
        assert got[name] == value and type(got[name]) is type(value)


# ---- dm ----

def test_dm_is_made_once_in_either_order(tenant):
    first = tenant.user("ann").post(
        "/rooms", {"type": "dm", "members": ["ann", "bob"]})
    room = first.expect(201)
    assert room["type"] == "dm" and room["unique_key"]
    for members in (["ann", "bob"], ["bob", "ann"]):
        for caller in (tenant.user("bob"), tenant.backend()):
            again = caller.post("/rooms", {"type": "dm",
                                           "members": members}).expect(200)
            assert again == room


def test_dm_with_one_name_means_the_caller_too(tenant):
    room = tenant.user("ann").post(
        "/rooms", {"type": "dm", "members": ["bob"]}).expect(201)
    got = tenant.backend().get(
        f"/rooms/{room['room_id']}/members").expect(200)["members"]
    assert {m["user_id"] for m in got} == {"ann", "bob"}


def test_dm_with_oneself_is_refused(tenant):
    tenant.user("ann").post(
        "/rooms", {"type": "dm", "members": ["ann"]}).error(
            400, field="members")


def test_dm_of_two_others_by_key(tenant):
    room = tenant.user("eve").post(
        "/rooms", {"type": "dm", "members": ["ann", "bob"]}).expect(201)
    tenant.user("eve").get("/rooms/" + room["room_id"]).error(403)
    tenant.user("ann").get("/rooms/" + room["room_id"]).expect(200)


def test_dm_of_names_with_separators_are_different(tenant):
    pairs = [["a:b", "c"], ["a", "b:c"], ["a%3Ab", "c"], ["a", "b%3Ac"]]
    ids = {tenant.backend().make_room(p, "dm")["room_id"] for p in pairs}
    assert len(ids) == len(pairs)


def test_dm_of_two_tenants_are_different(server):
    a = Tenant(server).backend().make_room(["ann", "bob"], "dm")
    b = Tenant(server).backend().make_room(["ann", "bob"], "dm")
    assert a["room_id"] != b["room_id"]


# ---- reading one ----

def test_get_needs_membership(tenant):
    room = tenant.user("ann").make_room(["bob"])
    path = "/rooms/" + room["room_id"]
    assert tenant.user("bob").get(path).expect(200) == room
    assert tenant.backend().get(path).expect(200) == room
    tenant.user("eve").get(path).error(403, "forbidden")


def test_get_of_a_channel_needs_membership(tenant):
    room = tenant.user("ann").make_room([], "channel")
    tenant.user("eve").get("/rooms/" + room["room_id"]).error(403)


@pytest.mark.parametrize("room_id", [
    "room_0123456789abcdefghjkmn", "room_", "nonsense", "%00", "room_%ff",
    "msg_0123456789abcdefghjkmn", "x" * 300, "..", "%2e%2e%2fhealth"])
def test_get_of_what_is_not_there(tenant, room_id):
    reply = tenant.user("ann").get("/rooms/" + room_id)
    assert reply.status in (400, 404)
    reply.error(reply.status)


# ---- listing ----

def test_list_of_a_stranger_is_empty(tenant):
    tenant.user("ann").make_room(["bob"])
    got = tenant.user("eve").get("/rooms").expect(200)
    assert got == {"rooms": [], "next_cursor": None}


def test_list_is_by_latest_activity(tenant):
    ann, bob = tenant.user("ann"), tenant.user("bob")
    ids = [ann.make_room(["bob"], name=str(i))["room_id"] for i in range(4)]
    for i in (2, 0, 3, 1, 0):
        ann.say(ids[i], "hello")
    got = bob.get("/rooms").expect(200)["rooms"]
    assert [r["room_id"] for r in got] == [ids[i] for i in (0, 1, 3, 2)]


def test_list_tells_where_the_user_stands(tenant):
    ann, bob = tenant.user("ann"), tenant.user("bob")
    room_id = ann.make_room(["bob"], name="n")["room_id"]
    for i in range(5):
        last = ann.say(room_id, f"text {i}")
    bob.post("/acks", {"room_id": room_id, "seq": 3}).expect(200)
    room, = bob.get("/rooms").expect(200)["rooms"]
    assert room["room_id"] == room_id and room["name"] == "n"
    assert room["last_seq"] == 5
    assert room["last_ack"] == 3
    assert room["unread_count"] == 2
    for name in ("message_id", "seq", "sender_id", "content", "created_at"):
        assert room["last_message"][name] == last[name]
    # Sending does not move the sender's cursor.
    room, = ann.get("/rooms").expect(200)["rooms"]
    assert room["last_ack"] == 0 and room["unread_count"] == 5


def test_list_of_a_silent_room(tenant):
    tenant.user("ann").make_room()
    room, = tenant.user("ann").get("/rooms").expect(200)["rooms"]
    assert room["last_seq"] == 0 and room["unread_count"] == 0
    assert room["last_message"] is None


def test_list_by_pages(tenant):
    ann = tenant.user("ann")
    ids = {ann.make_room(name=str(i))["room_id"] for i in range(25)}
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        page = ann.get("/rooms?limit=10" + (
            "&cursor=" + cursor if cursor else "")).expect(200)
        assert len(page["rooms"]) <= 10
        seen += [r["room_id"] for r in page["rooms"]]
        cursor = page["next_cursor"]
        pages += 1
    assert pages == 3
    assert len(seen) == 25 and set(seen) == ids


def test_list_of_the_backend_is_all_of_the_tenant(tenant, server):
    a = tenant.user("ann").make_room()["room_id"]
    b = tenant.user("bob").make_room()["room_id"]
    Tenant(server).user("ann").make_room()
    got = tenant.backend().get("/rooms").expect(200)["rooms"]
    assert {r["room_id"] for r in got} == {a, b}
    for r in got:
        assert "last_ack" not in r and "unread_count" not in r
        assert "last_message" in r


def test_list_of_the_backend_by_pages(tenant):
    backend = tenant.backend()
    ids = {backend.make_room(["a"])["room_id"] for _ in range(7)}
    seen, cursor = [], ""
    while cursor is not None:
        page = backend.get("/rooms?limit=3" + (
            "&cursor=" + cursor if cursor else "")).expect(200)
        seen += [r["room_id"] for r in page["rooms"]]
        cursor = page["next_cursor"]
    assert len(seen) == 7 and set(seen) == ids


def test_list_larger_limit_counts_as_the_most(tenant):
    backend = tenant.backend()
    for _ in range(101):
        backend.make_room(["ann"])
    for caller in (backend, tenant.user("ann")):
        page = caller.get("/rooms?limit=5000").expect(200)
        assert len(page["rooms"]) == 100
        assert page["next_cursor"] is not None


@pytest.mark.parametrize("query, field", [
    ("limit=abc", "limit"), ("limit=-1", "limit"), ("limit=0", "limit"),
    ("limit=", "limit"), ("limit=1.5", "limit"),
    ("limit=99999999999999999999999", None), ("cursor=%00", "cursor"),
    ("cursor=nonsense!", "cursor")])
def test_list_bad_query(tenant, query, field):
    reply = tenant.user("ann").get("/rooms?" + query)
    if field is None:
        # A number is a number: refused or counted as the most.
        assert reply.status in (200, 400)
    else:
        reply.error(400, "invalid_request", field)
