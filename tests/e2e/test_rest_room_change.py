# SPDX-License-Identifier: MIT
"""PATCH and DELETE of a room: who may, what changes, what is refused."""
import json

import pytest

from chat import Chat, close_all
from client import Tenant
from harness import scaled

NOWHERE = "room_0123456789abcdefghjkmn"


def nested(depth):
    out = 0
    for _ in range(depth):
        out = [out]
    return out


def patch(caller, room_id, /, **body):
    return caller.call("PATCH", f"/rooms/{room_id}", body)


@pytest.fixture
def ann(tenant):
    return tenant.user("ann")


@pytest.fixture
def bob(tenant):
    return tenant.user("bob")


@pytest.fixture
def room(ann):
    return ann.make_room(["bob"], name="old", metadata={"a": 1})


# ---- PATCH ----

@pytest.mark.parametrize("body", [
    {"name": "new"}, {"metadata": {"b": 2}},
    {"name": "new", "metadata": [1]}, {"name": None}, {"metadata": None},
    {"name": None, "metadata": None}, {"metadata": 0}, {"metadata": False},
    {"metadata": ""}, {"metadata": {}}, {"metadata": []},
    {"metadata": nested(32)}, {"metadata": "m" * 16382},
    {"name": "n" * 256}, {"name": "ü" * 128}, {"name": "a\u0000b"},
], ids=lambda b: json.dumps(b)[:40])
def test_patch(ann, bob, tenant, room, body):
    """What is named changes, null clears, the rest stays."""
    got = patch(ann, room["room_id"], **body).expect(200)
    assert got == {**room, **body}
    for name, value in body.items():
        assert type(got[name]) is type(value)
    for caller in (bob, tenant.backend()):
        assert caller.get("/rooms/" + room["room_id"]).expect(200) == got
    listed, = bob.get("/rooms").expect(200)["rooms"]
    assert {k: listed[k] for k in got} == got


def test_patch_of_nothing_changes_nothing(ann, room):
    for body in ({}, {"colour": "red"}, {"type": "channel"},
                 {"room_id": NOWHERE, "last_seq": 9, "members": ["eve"]}):
        assert patch(ann, room["room_id"], **body).expect(200) == room
    assert patch(ann, room["room_id"], name="old",
                 metadata={"a": 1}).expect(200) == room


def test_an_empty_name_is_none(ann, room):
    assert patch(ann, room["room_id"], name="").expect(200)["name"] is None
    assert ann.make_room(name="")["name"] is None


def test_patch_leaves_the_rest_alone(ann, bob, room):
    """No message, no unread, no move to the top of the list."""
    other = ann.make_room(["bob"])["room_id"]
    ann.say(room["room_id"], "x")
    ann.say(other, "y")
    got = patch(ann, room["room_id"], name="new").expect(200)
    assert got["last_seq"] == 1
    rooms = bob.get("/rooms").expect(200)["rooms"]
    assert [r["room_id"] for r in rooms] == [other, room["room_id"]]
    assert rooms[1]["unread_count"] == 1


@pytest.mark.parametrize("raw, field", [
    (b"", None), (b"{", None), (b"[]", None), (b"null", None),
    (b'"x"', None), (b'{"name":"x"', None), (b'{"name":"\xff"}', None),
    (b'{"name":5}', "name"), (b'{"name":true}', "name"),
    (b'{"name":["x"]}', "name"), (b'{"name":"x","name":5}', "name"),
    (b'{"name":"' + b"n" * 257 + b'"}', "name"),
    (b'{"name":"' + "ü".encode() * 129 + b'"}', "name"),
    (b'{"name":"\\ud800"}', "name"),
    (b'{"metadata":"' + b"m" * 16383 + b'"}', "metadata"),
    (b'{"metadata":' + b"[" * 33 + b"]" * 33 + b"}", "metadata"),
    (b'{"metadata":1e400}', "metadata"),
    (b'{"metadata":{"\\u0000":1}}', "metadata"),
    (b'{"name":"good","metadata":"' + b"m" * 16383 + b'"}', "metadata"),
], ids=lambda v: repr(v)[:30])
def test_patch_refused(ann, room, raw, field):
    ann.call("PATCH", "/rooms/" + room["room_id"], raw=raw).error(
        400, "invalid_request", field)
    assert ann.get("/rooms/" + room["room_id"]).expect(200) == room


@pytest.mark.parametrize("kind", ["group", "channel"])
def test_who_may_patch(tenant, ann, bob, kind):
    room_id = ann.make_room(["bob", "carl"], kind)["room_id"]
    ann.post(f"/rooms/{room_id}/members",
             {"user_id": "carl", "role": "admin"}).expect(200)
    for name, caller in (("1", ann), ("2", tenant.user("carl")),
                         ("3", tenant.backend())):
        assert patch(caller, room_id, name=name).expect(200)["name"] == name
    for caller in (bob, tenant.user("eve")):
        for body in ({"name": "x"}, {}):
            patch(caller, room_id, **body).error(403, "forbidden")
    assert ann.get("/rooms/" + room_id).expect(200)["name"] == "3"


def test_members_of_a_dm_patch_it(tenant, ann, bob):
    room = ann.make_room(["bob"], "dm")
    room_id = room["room_id"]
    for i, caller in enumerate((ann, bob, tenant.backend())):
        got = patch(caller, room_id, name=f"{i}",
                    metadata={"i": i}).expect(200)
        assert got == {**room, "name": f"{i}", "metadata": {"i": i}}
    patch(tenant.user("eve"), room_id, name="x").error(403, "forbidden")
    # It is still the dm of these two.
    again = bob.post("/rooms", {"type": "dm", "members": ["ann"]})
    assert again.expect(200) == got


def test_who_left_may_no_more(ann, tenant, room):
    ann.delete(f"/rooms/{room['room_id']}/members/ann").expect(204)
    patch(ann, room["room_id"], name="x").error(403, "forbidden")
    ann.delete("/rooms/" + room["room_id"]).error(403, "forbidden")
    # Nobody is admin now; the backend still is.
    patch(tenant.user("bob"), room["room_id"], name="x").error(403)
    patch(tenant.backend(), room["room_id"], name="x").expect(200)


def test_racing_patches(tenant, ann, room):
    """Each changes its own member and leaves the other's alone."""
    room_id = room["room_id"]
    count = scaled(30, 12)
    clients = [tenant.user("ann", i % 3) for i in range(count)]
    for i, c in enumerate(clients):
        c.send("PATCH", "/rooms/" + room_id,
               {"name": f"{i}"} if i % 2 else {"metadata": i})
    replies = [c.read().expect(200) for c in clients]
    got = ann.get("/rooms/" + room_id).expect(200)
    assert got["name"] in {f"{i}" for i in range(1, count, 2)}
    assert got["metadata"] in set(range(0, count, 2))
    assert got in replies


# ---- DELETE ----

def assert_gone(caller, room_id, message_id):
    calls = [
        ("GET", "", None), ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None), ("GET", "/members", None),
        ("POST", "/members", {"user_id": "bob"}),
        ("DELETE", "/members/bob", None), ("GET", "/messages", None),
        ("GET", f"/messages/{message_id}", None),
        ("DELETE", f"/messages/{message_id}", None)]
    if "X-User-Id" in caller.headers:
        calls += [("POST", "/messages", {"content": "x"}),
                  ("POST", "/messages",
                   {"content": "x", "client_msg_id": "1"}),
                  ("PUT", f"/messages/{message_id}", {"content": "x"})]
        caller.post("/acks", {"room_id": room_id, "seq": 1}).error(404)
    for method, tail, body in calls:
        caller.call(method, f"/rooms/{room_id}{tail}", body).error(
            404, "not_found")
    rooms = caller.get("/rooms").expect(200)["rooms"]
    assert room_id not in {r["room_id"] for r in rooms}


@pytest.mark.parametrize("kind, who", [
    ("group", "ann"), ("group", None), ("channel", "ann"), ("channel", None),
    ("dm", None)])
def test_delete(tenant, ann, bob, kind, who):
    room_id = ann.make_room(["bob"], kind)["room_id"]
    kept = ann.make_room(["bob"])["room_id"]
    sent = ann.say(room_id, "x", client_msg_id="1")
    ann.say(kept, "y")
    # All workers know the room before.
    for slot in range(3):
        tenant.user("bob", slot).get("/rooms/" + room_id).expect(200)
    caller = tenant.backend() if who is None else ann
    assert caller.delete("/rooms/" + room_id).expect(204) is None
    for slot in range(3):
        for c in (tenant.user("ann", slot), tenant.user("bob", slot),
                  tenant.user("eve", slot), tenant.backend(slot)):
            assert_gone(c, room_id, sent["message_id"])
    rest, = bob.get("/rooms").expect(200)["rooms"]
    assert rest["room_id"] == kept and rest["last_seq"] == 1


def test_deleted_is_like_never_there(tenant, ann, room):
    """Byte for byte, request id aside."""
    room_id = room["room_id"]
    ann.delete("/rooms/" + room_id).expect(204)
    for method, body in (("GET", None), ("DELETE", None),
                         ("PATCH", b'{"name":"x"}')):
        answers = []
        for target in (room_id, NOWHERE):
            reply = ann.call(method, "/rooms/" + target, raw=body,
                             headers={"X-Request-Id": "same"})
            reply.error(404, "not_found")
            headers = dict(reply.headers)
            headers.pop("date")
            answers.append((reply.body, headers))
        assert answers[0] == answers[1]


@pytest.mark.parametrize("kind", ["group", "channel"])
def test_who_may_delete(tenant, ann, bob, kind):
    room_id = ann.make_room(["bob"], kind)["room_id"]
    for caller in (bob, tenant.user("eve")):
        caller.delete("/rooms/" + room_id).error(403, "forbidden")
    ann.get("/rooms/" + room_id).expect(200)
    # An admin who is not the one who made it.
    ann.post(f"/rooms/{room_id}/members",
             {"user_id": "bob", "role": "admin"}).expect(200)
    bob.delete("/rooms/" + room_id).expect(204)
    ann.get("/rooms/" + room_id).error(404)


def test_only_the_backend_deletes_a_dm(tenant, ann, bob):
    room = ann.make_room(["bob"], "dm")
    room_id = room["room_id"]
    for caller in (ann, bob, tenant.user("eve")):
        caller.delete("/rooms/" + room_id).error(403, "forbidden")
    assert bob.get("/rooms/" + room_id).expect(200) == room
    tenant.backend().delete("/rooms/" + room_id).expect(204)
    # The next one of the two is a new room, empty.
    new = bob.make_room(["ann"], "dm")
    assert new["room_id"] != room_id and new["last_seq"] == 0
    assert new["unique_key"] == room["unique_key"]


def test_racing_deletes(tenant, ann, room):
    """One is done, the others find nothing."""
    clients = [tenant.user("ann", i % 3) for i in range(9)]
    for c in clients:
        c.send("DELETE", "/rooms/" + room["room_id"])
    assert sorted(c.read().status for c in clients) == [204] + [404] * 8


def test_racing_sends_and_a_delete(tenant, ann):
    """A send is stored before it or finds no room; nothing in between."""
    for _ in range(scaled(5, 2)):
        room_id = ann.make_room(["bob"])["room_id"]
        clients = [tenant.user("bob", i % 3) for i in range(12)]
        for i, c in enumerate(clients):
            if i == 6:
                c.headers = tenant.headers("ann")
                c.send("DELETE", "/rooms/" + room_id)
            else:
                c.send("POST", f"/rooms/{room_id}/messages",
                       {"content": f"{i}"})
        replies = [c.read() for c in clients]
        assert replies.pop(6).status == 204
        stored = [r.json["seq"] for r in replies if r.status == 201]
        assert sorted(stored) == list(range(1, len(stored) + 1))
        assert {r.status for r in replies} <= {201, 404}
        ann.get("/rooms/" + room_id).error(404)


def test_a_big_room_goes_in_pieces(tenant, ann):
    """Others are served while its rows go, and it is gone at once."""
    users = [f"user-{i}" for i in range(1000)]
    room_id = tenant.backend().make_room(users, "channel")["room_id"]
    ann.post(f"/rooms/{room_id}/members", {"user_id": "ann"}).expect(200)
    other = ann.make_room(["bob"])["room_id"]
    sent = ann.say(room_id, "x")
    for i in range(scaled(300, 50)):
        ann.say(room_id, f"{i}")
    tenant.backend().delete("/rooms/" + room_id).expect(204)
    assert ann.say(other, "at once")["seq"] == 1
    assert_gone(ann, room_id, sent["message_id"])
    assert tenant.user("user-7").get("/rooms").expect(200)["rooms"] == []


def test_it_stays_deleted_after_a_crash(start_server):
    server = start_server(workers=2)
    tenant = Tenant(server)
    ann = tenant.user("ann")
    users = [f"user-{i}" for i in range(999)]
    room_id = ann.make_room(users)["room_id"]
    kept = ann.make_room()["room_id"]
    sent = ann.say(room_id, "x", client_msg_id="1")
    ann.delete("/rooms/" + room_id).expect(204)
    server.destroy()
    server.start()
    ann = tenant.user("ann")
    assert_gone(ann, room_id, sent["message_id"])
    assert_gone(tenant.user("user-5"), room_id, sent["message_id"])
    rest, = ann.get("/rooms").expect(200)["rooms"]
    assert rest["room_id"] == kept


# ---- the order of refusals ----

@pytest.mark.parametrize("headers, raw, status", [
    ({"X-API-Key": None}, b"no json", 401),
    ({"X-User-Id": ""}, b"no json", 400),
    ({"Content-Type": "text/plain"}, b"no json", 415),
    ({}, b"x" * 70000, 413),
    ({}, b"no json", 400),
    ({}, b'{"name":5}', 400),
    ({}, b'{"name":"x"}', 404),
    ({}, b"{}", 404),
], ids=str)
def test_order(ann, headers, raw, status):
    ann.call("PATCH", "/rooms/" + NOWHERE, raw=raw,
             headers=headers).error(status)


def test_body_before_role(tenant, room):
    tenant.user("eve").call("PATCH", "/rooms/" + room["room_id"],
                            {"name": 5}).error(400, field="name")


def test_methods_of_a_room(ann, room):
    for method in ("POST", "PUT"):
        reply = ann.call(method, "/rooms/" + room["room_id"], {"name": "x"})
        reply.error(405, "method_not_allowed")
        assert reply.headers["allow"] == "GET, HEAD, PATCH, DELETE"


@pytest.mark.parametrize("kind", ["group", "channel", "dm"])
@pytest.mark.parametrize("who", ["ann", "eve", None])
def test_another_tenants_room_is_like_none(server, tenant, kind, who):
    """Byte for byte, request id aside."""
    room = tenant.user("ann").make_room(["bob"], kind)
    other = Tenant(server)
    caller = other.backend() if who is None else other.user(who)
    for method, raw in (("PATCH", b'{"name":"x"}'), ("PATCH", b"{}"),
                        ("DELETE", None)):
        answers = []
        for target in (room["room_id"], NOWHERE, "nonsense"):
            reply = caller.call(method, "/rooms/" + target, raw=raw,
                                headers={"X-Request-Id": "same"})
            reply.error(404, "not_found")
            headers = dict(reply.headers)
            headers.pop("date")
            answers.append((reply.body, headers))
        assert answers[0] == answers[1] == answers[2], method
    got = tenant.backend().get("/rooms/" + room["room_id"]).expect(200)
    assert got == room


# ---- live ----

async def test_members_hear_of_it(tenant, room):
    """room.updated with the room, room.deleted, and nothing after it."""
    room_id = room["room_id"]
    chats = [await Chat.connect(tenant, user, slot=slot)
             for user in ("ann", "bob") for slot in range(3)]
    # What is so before its list of rooms is read is told by nothing else.
    for c in chats:
        await c.wait("sync.complete")
    ann = tenant.user("ann")
    changed = patch(ann, room_id, name="new").expect(200)
    patch(ann, room_id).expect(200)
    patch(ann, room_id, name="new").expect(200)
    ann.say(room_id, "x")
    ann.delete("/rooms/" + room_id).expect(204)
    for c in chats:
        await c.wait("room.deleted", room_id=room_id)
        await c.barrier()
        updated, = c.of("room.updated")
        assert updated["room_id"] == room_id
        assert updated["room"] == changed
        deleted, = c.of("room.deleted")
        assert deleted == {"type": "room.deleted", "room_id": room_id}
        assert c.seqs(room_id) == [1]
        after = c.log[c.log.index(deleted) + 1:]
        assert room_id not in json.dumps(after)
        error = await c.ask("error", "send_message", room_id=room_id,
                            content="x")
        assert error["code"] == "not_found"
    await close_all(chats)


async def test_strangers_hear_nothing(tenant, server, room):
    eve = await Chat.connect(tenant, "eve")
    other = await Chat.connect(Tenant(server), "ann")
    ann = tenant.user("ann")
    patch(ann, room["room_id"], name="new").expect(200)
    ann.delete("/rooms/" + room["room_id"]).expect(204)
    for c in (eve, other):
        await c.barrier()
        assert room["room_id"] not in json.dumps(c.log)
    await close_all([eve, other])
