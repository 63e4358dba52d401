# SPDX-License-Identifier: MIT
"""REST clients: a plain one on http.client, and tenants made with it.

Each Rest object is one kept-alive connection.  Nothing is ever sent twice:
a connection closed without an answer is an error that the test sees.
"""
import collections
import http.client
import itertools
import json
import re
import socket

import contract
from harness import DEADLINE, MASTER_KEY

NUMBER = itertools.count(1)
TIME = re.compile(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
ERROR_STATUS = {
    "invalid_request": 400, "unauthorized": 401, "forbidden": 403,
    "not_found": 404, "method_not_allowed": 405, "conflict": 409,
    "payload_too_large": 413, "unsupported_media_type": 415,
    "rate_limit_exceeded": 429, "internal_error": 500, "unavailable": 503}


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.body = response.read()
        self.headers = {}
        for name, value in response.getheaders():
            self.headers[name.lower()] = value

    @property
    def json(self):
        assert self.headers.get("content-type", "").startswith(
            "application/json"), (self.status, self.headers, self.body)
        return json.loads(self.body.decode("utf-8"))

    def __repr__(self):
        return f"<{self.status} {self.body[:500]!r}>"

    def expect(self, status):
        """Checks the status; returns the JSON body, None without one."""
        assert self.status == status, f"wanted {status}, got {self!r}"
        if status == 204:
            assert self.body == b""
            return None
        return self.json

    def error(self, status, code=None, field=None):
        """Checks that this is a refusal of the contract's form."""
        assert self.status == status, f"wanted {status}, got {self!r}"
        out = self.json
        assert set(out) <= {"error", "message", "field", "request_id"}, out
        assert ERROR_STATUS[out["error"]] == status, out
        assert code is None or out["error"] == code, out
        assert isinstance(out["message"], str) and out["message"], out
        assert field is None or out.get("field") == field, out
        assert out["request_id"] == self.headers["x-request-id"], out
        return out


class Rest:
    """One connection that shows the same identity with every request."""

    def __init__(self, server, headers=None, slot=None):
        self.server = server
        self.headers = dict(headers or {})
        self.asked = collections.deque()
        self.http = http.client.HTTPConnection(
            "127.0.0.1", server.port, timeout=DEADLINE)
        if slot is not None:
            self.http.sock = server.connect(slot)
            self.http.sock.setsockopt(socket.IPPROTO_TCP,
                                      socket.TCP_NODELAY, 1)

    def close(self):
        self.http.close()

    def send(self, method, path, body=None, raw=None, headers=None):
        """Sends a request; read() takes its answer."""
        h = dict(self.headers)
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            h["Content-Type"] = "application/json"
        h.update(headers or {})
        h = {k: v for k, v in h.items() if v is not None}
        self.asked.append((method, path))
        self.http.request(method, path, data, h)

    def read(self):
        method, path = self.asked.popleft() if self.asked else (None, None)
        reply = Reply(self.http.getresponse())
        if method is not None:
            contract.check_reply(method, path, reply.status, reply.headers,
                                 reply.body)
        return reply

    def call(self, *args, **kwargs):
        self.send(*args, **kwargs)
        return self.read()

    def get(self, path, **kw):
        return self.call("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.call("POST", path, body, **kw)

    def delete(self, path, **kw):
        return self.call("DELETE", path, **kw)

    # ---- what most tests begin with ----

    def make_room(self, members=(), type_="group", **more):
        body = {"type": type_, "members": list(members), **more}
        return self.post("/rooms", body).expect(201)

    def say(self, room_id, content, **more):
        """Sends a message; returns it."""
        return self.post(f"/rooms/{room_id}/messages",
                         {"content": content, **more}).expect(201)

    def history(self, room_id):
        """All messages of a room, by pages."""
        out, after = [], 0
        while True:
            page = self.get(f"/rooms/{room_id}/messages?after_seq={after}"
                            "&limit=100").expect(200)
            out += page["messages"]
            if not page["has_more"]:
                return out
            assert page["messages"], "has_more after an empty page"
            after = page["messages"][-1]["seq"]


class Tenant:
    """A tenant of a server, made by its operator."""

    def __init__(self, server, name=None):
        self.server = server
        self.name = name or f"tenant {next(NUMBER)}"
        made = operator(server).post(
            "/admin/tenants", {"name": self.name}).expect(201)
        self.id = made["tenant_id"]
        self.key = made["api_key"]

    def headers(self, user=None):
        h = {"X-API-Key": self.key}
        if user is not None:
            h["X-User-Id"] = user
        return h

    def backend(self, slot=None):
        return Rest(self.server, self.headers(), slot)

    def user(self, user, slot=None):
        return Rest(self.server, self.headers(user), slot)


def operator(server):
    return Rest(server, {"X-Master-Key": MASTER_KEY})
