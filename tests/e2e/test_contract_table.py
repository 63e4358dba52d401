# SPDX-License-Identifier: MIT
"""Every operation of doc/openapi.json, and every frame a client may send,
through each way of being refused, and up to each limit.

The cases are made from the descriptions.  That each answer is one of those
described is looked at by the client (contract.py); here, which one it is,
that it is never a 500, and that what was refused has changed nothing.
"""
import json

import pytest

import contract_cases
from client import Rest, Tenant, operator
from contract_cases import SPECIAL, twice
from harness import MASTER_KEY, until
from raw import TEXT, Raw, frame, open_raw

OPERATIONS = contract_cases.operations()
WITH_BODY = [op for op in OPERATIONS if op.body]
FRAMES = contract_cases.frames()
NONE = "0123456789abcdefghjkmn"


def each(ops):
    return pytest.mark.parametrize("op", ops, ids=repr)


class World:
    """A tenant with a room and what is needed to name it."""

    def __init__(self, server, tenant=None):
        self.server = server
        self.tenant = tenant or Tenant(server)
        self.ann = self.tenant.user("ann")
        room = self.ann.make_room(["bob"])["room_id"]
        message = self.ann.say(room, "hello")["message_id"]
        self.admin = operator(server)
        added = self.admin.post(
            f"/admin/tenants/{self.tenant.id}/keys").expect(201)
        self.ids = {"tenant_id": self.tenant.id, "key_id": added["key_id"],
                    "room_id": room, "message_id": message, "user_id": "bob",
                    "notification_id": self.ann.post("/notify", {
                        "topic": "first", "payload": None,
                        "targets": {"user_ids": ["ann"]}}).expect(202)[
                            "notification_id"],
                    "file": "index.html", "module": "index.js",
                    "subscription_id": self.ann.post("/subscriptions", {
                        "topic": "first"}).expect(201)["id"],
                    "dead_letter_id": "dlv_" + NONE}
        self.spare_key = added["api_key"]

    def caller(self, op):
        """Who may do it."""
        if op.open:
            return Rest(self.server)
        if op.by_backend_only or op.body and "user_id" in op.example:
            return self.tenant.backend()
        return self.admin if op.admin else self.ann

    def call(self, op, caller=None, body=None, raw=None, ids=None, query="",
             headers=None):
        ids = ids or self.ids
        if body is None and raw is None:
            body = op.right_body(ids)
        reply = (caller or self.caller(op)).call(
            op.method, op.target(ids) + query, None if raw else body,
            raw=raw, headers=headers)
        assert reply.status != 500, (op, reply)
        return reply

    def state(self):
        """All that there is, as it is shown."""
        backend = self.tenant.backend()
        room = self.ids["room_id"]
        keys = self.admin.get(f"/admin/tenants/{self.tenant.id}/keys").json
        tenants = self.admin.get(f"/admin/tenants/{self.tenant.id}").json
        return [backend.get("/rooms").json,
                backend.get(f"/rooms/{room}/members").json,
                backend.history(room), tenants,
                [k["key_id"] for k in keys["keys"]],
                self.ann.get("/rooms").json,
                self.ann.get("/notifications").json,
                self.ann.get("/subscriptions").json]


@pytest.fixture
def world(server):
    return World(server)


@pytest.fixture
def unchanged(world):
    before = world.state()
    yield world
    assert world.state() == before, "a refused request changed something"


@pytest.fixture(scope="module")
def gone(shared_server):
    """Headers of keys that no longer work, with the status they get."""
    revoked, disabled = World(shared_server), World(shared_server)
    ids = revoked.ids
    revoked.admin.delete(
        f"/admin/tenants/{ids['tenant_id']}/keys/{ids['key_id']}").expect(204)
    disabled.admin.call("PATCH", f"/admin/tenants/{disabled.tenant.id}",
                        {"disabled": True}).expect(200)
    out = [({"X-API-Key": revoked.spare_key}, 401),
           ({"X-API-Key": disabled.tenant.key}, 403)]
    for headers, status in out:
        for slot in range(shared_server.workers):
            rest = Rest(shared_server, headers, slot)
            until(lambda: rest.get("/rooms").status == status,
                  "every worker has heard of it")
    return out


# ---- who asks ----

@each(OPERATIONS)
def test_identity(unchanged, gone, op):
    server, key = unchanged.server, unchanged.tenant.key
    user = {} if op.admin else {"X-User-Id": "ann"}
    wrong = [{}, {"X-User-Id": "ann"}, {"X-API-Key": "sk_" + "a" * 43},
             {"X-API-Key": "nonsense", **user}, {"X-API-Key": "", **user},
             {"X-Master-Key": "x" * len(MASTER_KEY)}, {"X-Master-Key": ""},
             {"Authorization": "Bearer x.y.z"}]
    wrong.append({"X-API-Key": key} if op.admin
                 else {"X-Master-Key": MASTER_KEY})
    for headers in wrong:
        reply = unchanged.call(op, Rest(server, headers))
        if op.open:
            assert reply.status == (
                308 if op.id == "getConsoleRedirect" else 200), reply
        else:
            reply.error(401, "unauthorized")
    if op.open or op.admin:
        return
    for headers, status in gone:
        unchanged.call(op, Rest(server, {**headers, **user})).error(status)
    unchanged.call(op, Rest(server), query=f"?api_key={key}").error(401)


@each([op for op in OPERATIONS if not op.open and not op.admin])
def test_user_ids(unchanged, op):
    for user in (b"", b"x" * 129, b"a\x7fb", b"\xff", b"\xed\xa0\x80"):
        headers = {"X-API-Key": unchanged.tenant.key, "X-User-Id": user}
        unchanged.call(op, Rest(unchanged.server, headers)).error(
            400, field="X-User-Id")
    if op.by_user_only:
        unchanged.call(op, unchanged.tenant.backend()).error(
            400, field="X-User-Id")


# ---- whose things ----

@each([op for op in OPERATIONS if op.in_room])
def test_strangers_and_other_tenants(unchanged, op):
    unchanged.call(op, unchanged.tenant.user("eve")).error(403, "forbidden")
    other = Tenant(unchanged.server)
    nowhere = {**unchanged.ids, "room_id": "room_" + NONE}
    callers = [other.user("ann")]
    if not op.by_user_only:
        callers.append(other.backend())
    for caller in callers:
        same = {"X-Request-Id": "same"}
        theirs = unchanged.call(op, caller, headers=same)
        theirs.error(404, "not_found")
        none = unchanged.call(op, caller, ids=nowhere, headers=same)
        assert none.body == theirs.body
    for id_ in ("room_", "x", "room_" + NONE + "0", "tenant_" + NONE,
                unchanged.ids["message_id"]):
        unchanged.call(op, ids={**unchanged.ids, "room_id": id_}).error(404)


@each([op for op in OPERATIONS if "{" in op.path])
def test_things_that_are_not_there(unchanged, op):
    for name in unchanged.ids:
        if "{" + name + "}" not in op.path:
            continue
        unchanged.call(op, ids={**unchanged.ids, name: "x" * 300}).error(
            400 if name in op.bounded else 404)
        for id_ in ("%f0%9f%98%80", name[:-2] + NONE, "%22%27%2a",
                    "..%2f..", "a%2Fb"):
            unchanged.call(op, ids={**unchanged.ids, name: id_}).error(404)
        for id_ in ("%ff", "%", "%00", "%0a", "%ed%a0%80"):
            unchanged.call(op, ids={**unchanged.ids, name: id_}).error(400)


# ---- what is asked ----

@each([op for op in OPERATIONS if op.query and not op.open])
def test_query(unchanged, op):
    for name, schema in op.query.items():
        if schema["type"] == "integer":
            wrong = ["", "x", "1.5", "-1", "0x1", "1e3", "%001", "+1",
                     str(schema["minimum"] - 1)]
            right = [str(schema["minimum"]), "999999999999999999999"]
        elif name == "cursor":
            wrong, right = ["", "x", "!", "A" * 300, "%ff", "AAAA"], []
        else:
            continue
        for value in wrong:
            unchanged.call(op, query=f"?{name}={value}").error(
                400, field=name)
        for value in right:
            assert unchanged.call(op, query=f"?{name}={value}").status == 200
        unchanged.call(op, query=f"?{name}={right[0] if right else ''}"
                       f"&{name}=!").error(400, field=name)


@each(WITH_BODY)
def test_wrong_values(unchanged, op):
    fields, right = op.fields, op.right_body(unchanged.ids)
    for name in fields.all:
        base = fields.alone(right, name)
        for value in fields.wrong(name):
            unchanged.call(op, body={**base, name: value}).error(
                400, "invalid_request", name)
    for name in fields.required:
        body = {k: v for k, v in right.items() if k != name}
        unchanged.call(op, raw=json.dumps(body).encode()).error(
            400, field=name)


@each(WITH_BODY)
def test_above_each_limit(unchanged, op):
    fields, right = op.fields, op.right_body(unchanged.ids)
    for name in fields.all:
        base = fields.alone(right, name)
        for value in fields.above(name):
            unchanged.call(op, body={**base, name: value}).error(
                400, "invalid_request", name)


@each(WITH_BODY)
def test_up_to_each_limit(world, op):
    fields, right = op.fields, op.right_body(world.ids)
    for name in set(fields.all) - SPECIAL:
        base = fields.alone(right, name)
        # Each case is a message of its own.
        base.pop("client_msg_id", None)
        for value in fields.within(name):
            reply = world.call(op, body={**base, name: value})
            assert reply.status in (200, 201, 202), \
                (name, str(value)[:80], reply)
            got = reply.json.get(name)
            assert got == value or name not in reply.json or (
                value == "" and got is None), (name, str(value)[:80])


@each(WITH_BODY)
def test_size_and_type_of_the_body(world, op):
    most = op.body["x-max-bytes"]
    text = json.dumps(op.right_body(world.ids)).encode()
    before = world.state()
    for n in (most + 1, 2 * most):
        world.call(op, raw=text.ljust(n)).error(413, "payload_too_large")
    for type_ in ("text/plain", "application/xml",
                  "application/json; charset=latin1"):
        world.call(op, raw=text, headers={"Content-Type": type_}).error(415)
    assert world.state() == before
    for n in (most, most - 1):
        assert world.call(op, raw=text.ljust(n)).status in (200, 201, 202)


@each(WITH_BODY)
def test_malformed_bodies(unchanged, op):
    right = json.dumps(op.right_body(unchanged.ids))[:-1]
    bodies = [b"[]", b'"x"', b"5", b"null", b"true", b"{", b"nonsense",
              b"\xff", b"{}{}", b"\xef\xbb\xbf{}", b'{"a":NaN}',
              (right + ',"a":1e999}').encode(),
              (right + ',"a":"\\ud800"}').encode(),
              (right + ',"a":').encode() + b'"\xff"}',
              (right + ',"a":').encode() + b'"\xed\xa0\x80"}',
              (right + ',"a":' + "[" * 20000 + "]" * 20000 + "}").encode(),
              (right + ',"a":' + '{"a":' * 9000 + "1" + "}" * 9001).encode(),
              (right + ',"a":' + "[" * 60000).encode()]
    for raw in bodies:
        unchanged.call(op, raw=raw).error(400, "invalid_request")
    for name in op.fields.all:
        if not op.fields.is_string(op.fields.all[name]):
            continue
        for bad in (b"\xff", b"\xc0\xaf", b"\\ud800", b"\\u12", b"\n"):
            base = json.dumps(op.fields.alone(
                {k: v for k, v in op.right_body(unchanged.ids).items()
                 if k != name}, name)).encode()[:-1]
            raw = base + (b"," if len(base) > 1 else b"") + \
                json.dumps(name).encode() + b':"' + bad + b'"}'
            unchanged.call(op, raw=raw).error(400, "invalid_request")


@each(WITH_BODY)
def test_of_duplicate_members_the_last_counts(world, op):
    fields, right = op.fields, op.right_body(world.ids)
    for name in right:
        for wrong in fields.wrong(name):
            before = world.state()
            world.call(op, raw=twice(right, name, right[name], wrong)).error(
                400, field=name)
            assert world.state() == before
            break
        else:
            continue
        reply = world.call(op, raw=twice(right, name, wrong, right[name]))
        assert reply.status in (200, 201, 202), (name, reply)


def test_there_are_cases():
    """A description without types would make all of this empty."""
    assert len(OPERATIONS) > 20 and len(WITH_BODY) > 7 and len(FRAMES) > 7
    described = [(op.id, op.fields) for op in WITH_BODY] + [
        (type_, fields) for type_, (fields, _) in FRAMES.items()]
    for where, fields in described:
        for name in fields.all:
            assert [*fields.wrong(name), *fields.above(name)], (where, name)


# ---- frames ----

class Line:
    """Connections that send one frame after the other, made anew where a
    frame can be taken only once."""

    def __init__(self, world, user="ann", tenant=None):
        self.tenant = tenant or world.tenant
        self.user = user
        self.ws = None
        self.n = 0

    def refused(self, type_, body, code, field=None, raw=None):
        """Sends a frame, or raw text in place of it, that must be refused;
        the connection must stay."""
        if self.ws is None:
            self.ws = open_raw(self.tenant, self.user, path="/ws?resume=1"
                               if type_ == "resume" else "/ws")
        self.n += 1
        text = raw if raw is not None else json.dumps(
            {**body, "type": type_,
             "request_id": body.get("request_id", self.n)}).encode()
        self.ws.send(frame(TEXT, text))
        error = self.ws.read_json("error")
        assert error["code"] == code, (type_, str(body)[:200], error)
        if field is not None:
            assert error.get("field") == field, (str(body)[:200], error)
        if raw is None and "request_id" not in body:
            assert error["request_id"] == self.n
        self.ws.send(frame(TEXT, b'{"type":"ping","request_id":"p"}'))
        assert self.ws.read_json("pong")["request_id"] == "p"

    def answered(self, type_, body, raw=None):
        """Sends a frame that must be answered as is described."""
        ws = open_raw(self.tenant, self.user, path="/ws?resume=1"
                      if type_ == "resume" else "/ws")
        if type_ == "resume":
            body = {**body, "epoch": ws.welcome["epoch"]}
        body = {**body, "type": type_}
        body.setdefault("request_id", "q")
        if type_ == "notification.ack":
            # Each can be acknowledged once.
            body["notification_id"] = self.tenant.backend().post("/notify", {
                "topic": "t", "payload": 1,
                "targets": {"user_ids": [self.user]}}).expect(202)[
                    "notification_id"]
        ws.send(frame(TEXT, raw(body) if raw else json.dumps(body).encode()))
        want = contract_cases.FRAMES.doc["components"]["messages"][type_][
            "x-answer"]
        while True:
            got = ws.read_json()
            if got.get("request_id") == body["request_id"]:
                break
        assert got["type"] == want, (type_, str(body)[:200], got)
        ws.close()
        return got


def right_frame(type_, world):
    fields, example = FRAMES[type_]
    body = {k: v for k, v in example.items()
            if k not in ("type", "request_id", "epoch")}
    for name in ("room_id", "notification_id"):
        if name in body:
            body[name] = world.ids[name]
    if type_ == "resume":
        body["epoch"] = "x"
    return fields, body


each_frame = pytest.mark.parametrize("type_", sorted(FRAMES))


@each_frame
def test_frames_with_wrong_values(unchanged, type_):
    fields, right = right_frame(type_, unchanged)
    line = Line(unchanged)
    for name in fields.all:
        for value in [*fields.wrong(name), *fields.above(name)]:
            line.refused(type_, {**right, name: value}, "invalid_request",
                         name)
    for name in set(fields.required) - {"type"}:
        body = {k: v for k, v in right.items() if k != name}
        line.refused(type_, body, "invalid_request", name)


@each_frame
def test_frames_up_to_each_limit(world, type_):
    fields, right = right_frame(type_, world)
    line = Line(world)
    # Each case is a message of its own.
    right.pop("client_msg_id", None)
    line.answered(type_, right)
    line.answered(type_, {}, raw=lambda body: json.dumps(
        {"type": type_, "request_id": "q", "data": {
            **right, **{k: body[k] for k in ("epoch", "notification_id")
                        if k in body}}}).encode())
    for name in set(fields.all) - SPECIAL:
        for value in fields.within(name):
            line.answered(type_, {**right, name: value})
    for value in ("x" * 128, "\u00e9" * 64, 0, -5, 2 ** 53):
        got = line.answered(type_, {**right, "request_id": value})
        assert got["request_id"] == value


@pytest.mark.parametrize("type_", sorted(
    t for t, (f, _) in FRAMES.items() if "room_id" in f.all))
def test_frames_of_strangers(unchanged, type_):
    right = right_frame(type_, unchanged)[1]
    Line(unchanged, "eve").refused(type_, right, "forbidden")
    other = Line(unchanged, "ann", Tenant(unchanged.server))
    other.refused(type_, right, "not_found")
    for id_ in ("room_" + NONE, "room_", "x", "tenant_" + NONE):
        other.refused(type_, {**right, "room_id": id_}, "not_found")


@each_frame
def test_malformed_frames(unchanged, type_):
    right = right_frame(type_, unchanged)[1]
    line = Line(unchanged)
    text = json.dumps({"type": type_, **right})[:-1]
    for raw in (b"", b"{", b"[]", b"null", b'"x"', b"5", b"nonsense",
                (text + ',"a":1e999}').encode(),
                (text + ',"a":"\\ud800"}').encode(),
                (text + ',"a":' + "[" * 20000 + "]" * 20000 + "}").encode(),
                (text + ',"a":' + '{"a":' * 9000 + "1" + "}" * 9001).encode(),
                text.encode()):
        line.refused(type_, right, "invalid_request", raw=raw)
    for bad in (b"\xff", b"\xed\xa0\x80", b"\xc0\xaf"):
        ws = open_raw(unchanged.tenant, "ann")
        ws.send(frame(TEXT, text.encode() + b',"a":"' + bad + b'"}'))
        ws.expect_close(1007)


@each_frame
def test_frames_with_duplicate_members(world, type_):
    fields, right = right_frame(type_, world)
    line = Line(world)
    for name in set(right) & set(fields.all) - {"epoch"}:
        wrong = next(fields.wrong(name), None)
        if wrong is None:
            continue
        line.refused(type_, right, "invalid_request", name, twice(
            {"type": type_, **right}, name, right[name], wrong))
        line.answered(type_, right, lambda body: twice(
            body, name, wrong, body[name]))


def test_too_big_a_frame(unchanged):
    for type_ in FRAMES:
        right = right_frame(type_, unchanged)[1]
        most = (1 << 20) if type_ == "resume" else 65536
        ws = open_raw(unchanged.tenant, "ann", path="/ws?resume=1"
                      if type_ == "resume" else "/ws")
        text = json.dumps({"type": type_, **right}).encode()
        ws.send(frame(TEXT, text.ljust(most + 1)))
        ws.expect_close(1009)


@pytest.mark.parametrize("headers, status", [
    ({}, 401), ({"X-API-Key": "sk_" + "a" * 43, "X-User-Id": "ann"}, 401),
    ({"X-Master-Key": MASTER_KEY, "X-User-Id": "ann"}, 401)], ids=str)
def test_handshakes_without_identity(server, headers, status):
    assert Raw(server).handshake(headers)[0] == status


def test_handshakes_of_the_gone(server, gone):
    for headers, status in gone:
        answer = Raw(server).handshake({**headers, "X-User-Id": "ann"})
        assert answer[0] == status
