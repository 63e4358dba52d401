# SPDX-License-Identifier: MIT
"""Members of rooms by REST: who may add, remove, join and leave."""
import urllib.parse

import pytest

from client import TIME


def members(caller, room_id):
    got = caller.get(f"/rooms/{room_id}/members").expect(200)["members"]
    return {m["user_id"]: m["role"] for m in got}


def add(caller, room_id, **body):
    return caller.post(f"/rooms/{room_id}/members", body)


def remove(caller, room_id, user):
    return caller.delete(
        f"/rooms/{room_id}/members/{urllib.parse.quote(user, safe='')}")


@pytest.fixture
def group(tenant):
    """Made by ann, who is its admin; bob is a member."""
    return tenant.user("ann").make_room(["bob"])["room_id"]


@pytest.fixture
def channel(tenant):
    return tenant.user("ann").make_room(["bob"], "channel")["room_id"]


@pytest.fixture
def dm(tenant):
    return tenant.user("ann").make_room(["bob"], "dm")["room_id"]


# ---- the list ----

def test_list(tenant, group):
    got = tenant.user("bob").get(f"/rooms/{group}/members").expect(200)
    assert got["next_cursor"] is None
    for m in got["members"]:
        assert set(m) == {"user_id", "role", "joined_at"}
        assert TIME.match(m["joined_at"])


def test_list_by_pages(tenant):
    users = {f"u{i}" for i in range(10)}
    room = tenant.backend().make_room(list(users))["room_id"]
    seen, cursor = [], ""
    while cursor is not None:
        page = tenant.backend().get(
            f"/rooms/{room}/members?limit=4"
            + (f"&cursor={cursor}" if cursor else "")).expect(200)
        assert len(page["members"]) <= 4
        seen += [m["user_id"] for m in page["members"]]
        cursor = page["next_cursor"]
    assert len(seen) == 10 and set(seen) == users


def test_list_needs_membership(tenant, group):
    tenant.user("eve").get(f"/rooms/{group}/members").error(403)


# ---- adding ----

def test_admin_adds(tenant, group):
    got = add(tenant.user("ann"), group, user_id="carl").expect(200)
    assert "carl" in [m["user_id"] for m in got["members"]]
    assert members(tenant.user("carl"), group)["carl"] == "member"


def test_backend_adds_many(tenant, group):
    add(tenant.backend(), group, user_ids=["carl", "dora"]).expect(200)
    assert set(members(tenant.backend(), group)) == {
        "ann", "bob", "carl", "dora"}


def test_plain_member_adds_nobody(tenant, group):
    add(tenant.user("bob"), group, user_id="carl").error(403, "forbidden")
    assert "carl" not in members(tenant.backend(), group)


def test_stranger_adds_nobody(tenant, group, channel):
    for room in (group, channel):
        add(tenant.user("eve"), room, user_id="carl").error(403)


def test_role_is_given(tenant, group):
    add(tenant.user("ann"), group, user_id="carl", role="admin").expect(200)
    add(tenant.user("carl"), group, user_id="dora").expect(200)
    assert members(tenant.backend(), group)["carl"] == "admin"


def test_role_of_one_who_is_there_is_set(tenant, group):
    add(tenant.user("ann"), group, user_id="bob", role="admin").expect(200)
    assert members(tenant.backend(), group)["bob"] == "admin"
    add(tenant.user("ann"), group, user_id="bob", role="member").expect(200)
    assert members(tenant.backend(), group)["bob"] == "member"


def test_adding_one_who_is_there_changes_nothing(tenant, group):
    before = tenant.backend().get(f"/rooms/{group}/members").expect(200)
    add(tenant.user("ann"), group, user_id="ann").expect(200)
    add(tenant.user("ann"), group, user_id="bob").expect(200)
    after = tenant.backend().get(f"/rooms/{group}/members").expect(200)
    assert after == before


@pytest.mark.parametrize("body, field", [
    ({}, "user_id"), ({"user_id": 5}, "user_id"), ({"user_id": ""}, "user_id"),
    ({"user_id": "x" * 129}, "user_id"), ({"user_id": "a\tb"}, "user_id"),
    ({"user_ids": "a"}, "user_ids"), ({"user_ids": [5]}, "user_ids"),
    ({"user_ids": [f"u{i}" for i in range(1001)]}, "user_ids"),
    ({"user_id": "a", "role": "king"}, "role"),
    ({"user_id": "a", "role": 1}, "role"),
], ids=str)
def test_add_refused(tenant, group, body, field):
    add(tenant.backend(), group, **body).error(400, field=field)
    assert set(members(tenant.backend(), group)) == {"ann", "bob"}


def test_anybody_joins_a_channel(tenant, channel):
    add(tenant.user("eve"), channel, user_id="eve").expect(200)
    assert members(tenant.user("eve"), channel)["eve"] == "member"


def test_nobody_makes_himself_admin_by_joining(tenant, channel):
    reply = add(tenant.user("eve"), channel, user_id="eve", role="admin")
    assert reply.status in (200, 403)
    assert members(tenant.backend(), channel).get("eve") != "admin"


def test_a_member_does_not_raise_himself(tenant, channel, group):
    for room in (channel, group):
        reply = add(tenant.user("bob"), room, user_id="bob", role="admin")
        assert reply.status in (200, 403)
        assert members(tenant.backend(), room)["bob"] == "member"


def test_nobody_joins_a_group(tenant, group):
    add(tenant.user("eve"), group, user_id="eve").error(403)


def test_dm_takes_nobody(tenant, dm):
    for caller in (tenant.user("ann"), tenant.backend()):
        add(caller, dm, user_id="carl").error(409, "conflict")
    assert set(members(tenant.backend(), dm)) == {"ann", "bob"}


def test_who_joins_starts_at_the_head(tenant, channel):
    for i in range(3):
        tenant.user("ann").say(channel, f"before {i}")
    eve = tenant.user("eve")
    add(eve, channel, user_id="eve").expect(200)
    room, = eve.get("/rooms").expect(200)["rooms"]
    assert room["last_ack"] == 3 and room["unread_count"] == 0
    assert len(eve.history(channel)) == 3
    tenant.user("ann").say(channel, "after")
    room, = eve.get("/rooms").expect(200)["rooms"]
    assert room["unread_count"] == 1


# ---- removing ----

def test_admin_removes(tenant, group):
    assert remove(tenant.user("ann"), group, "bob").expect(204) is None
    assert set(members(tenant.backend(), group)) == {"ann"}
    bob = tenant.user("bob")
    bob.get(f"/rooms/{group}").error(403)
    bob.get(f"/rooms/{group}/messages").error(403)
    bob.post(f"/rooms/{group}/messages", {"content": "x"}).error(403)
    bob.post("/acks", {"room_id": group, "seq": 1}).error(403)
    assert bob.get("/rooms").expect(200)["rooms"] == []


def test_backend_removes(tenant, group):
    remove(tenant.backend(), group, "ann").expect(204)
    assert set(members(tenant.backend(), group)) == {"bob"}


def test_plain_member_removes_nobody(tenant, group):
    remove(tenant.user("bob"), group, "ann").error(403)
    remove(tenant.user("eve"), group, "ann").error(403)
    assert set(members(tenant.backend(), group)) == {"ann", "bob"}


@pytest.mark.parametrize("user", ["ann", "bob"])
def test_leaving(tenant, group, user):
    remove(tenant.user(user), group, user).expect(204)
    assert user not in members(tenant.backend(), group)


def test_the_last_one_may_leave(tenant, group):
    remove(tenant.user("ann"), group, "ann").expect(204)
    remove(tenant.user("bob"), group, "bob").expect(204)
    assert members(tenant.backend(), group) == {}


def test_removing_who_is_not_there(tenant, group):
    remove(tenant.backend(), group, "carl").error(404, "not_found")
    remove(tenant.user("ann"), group, "carl").error(404, "not_found")


def test_dm_loses_nobody(tenant, dm):
    remove(tenant.user("ann"), dm, "ann").error(409, "conflict")
    remove(tenant.user("ann"), dm, "bob").error(409, "conflict")
    remove(tenant.backend(), dm, "bob").error(409, "conflict")
    assert set(members(tenant.backend(), dm)) == {"ann", "bob"}


def test_user_id_in_the_path_is_decoded(tenant):
    user = "a/b ?ü%41"
    room = tenant.backend().make_room([user, "bob"])["room_id"]
    remove(tenant.backend(), room, user).expect(204)
    assert set(members(tenant.backend(), room)) == {"bob"}


def test_back_again_after_removal(tenant, group):
    remove(tenant.user("ann"), group, "bob").expect(204)
    tenant.user("ann").say(group, "while he was away")
    add(tenant.user("ann"), group, user_id="bob").expect(200)
    room, = tenant.user("bob").get("/rooms").expect(200)["rooms"]
    assert room["last_ack"] == 1
