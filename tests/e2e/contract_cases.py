# SPDX-License-Identifier: MIT
"""Requests and frames made from the descriptions: right ones, and each way
in which a value can be wrong, too long or too deep."""
import json

from contract import FRAMES, METHODS, REST, follow

# One of each kind of JSON value.
KINDS = {
    "null": [None], "boolean": [True, False], "integer": [7],
    "number": [1.5], "string": ["x"], "array": [[], ["x"]],
    "object": [{}, {"a": 1}]}
# Strings whose rules are more than a length.
SPECIAL = {"webhook_url", "jwt_public_key", "jwt_secret", "room_id", "type",
           "notification_id", "request_id", "epoch", "role"}


class Operation:
    def __init__(self, path, method, op):
        doc = REST.doc
        self.path, self.method, self.id = path, method.upper(), \
            op["operationId"]
        self.security = [frozenset(s) for s in
                         op.get("security", doc["security"])]
        parameters = [follow(doc, p) for p in
                      doc["paths"][path].get("parameters", [])
                      + op.get("parameters", [])]
        self.query = {p["name"]: p["schema"] for p in parameters
                      if p["in"] == "query"}
        # Of the path, those whose length is looked at by itself.
        self.bounded = {p["name"] for p in parameters if p["in"] == "path"
                        and "x-max-bytes" in follow(doc, p["schema"])}
        self.body = follow(doc, op["requestBody"]) \
            if "requestBody" in op else None
        if self.body:
            content = self.body["content"]["application/json"]
            self.fields = Fields(doc, content["schema"])
            self.example = content["example"]

    def __repr__(self):
        return self.id

    @property
    def admin(self):
        return frozenset(["masterKey"]) in self.security

    @property
    def open(self):
        return not self.security

    @property
    def by_user_only(self):
        return not self.admin and not self.open and \
            frozenset(["apiKey"]) not in self.security

    @property
    def by_backend_only(self):
        return self.security == [frozenset(["apiKey"])]

    @property
    def in_room(self):
        return "{room_id}" in self.path or (
            self.body and "room_id" in self.example)

    def target(self, ids):
        out = self.path
        for name, value in ids.items():
            out = out.replace("{" + name + "}", value)
        return out

    def right_body(self, ids):
        if self.body is None:
            return None
        return {k: ids["room_id"] if k == "room_id" else v
                for k, v in self.example.items()}


def operations():
    return [Operation(path, method, item[method])
            for path, item in REST.doc["paths"].items()
            for method in METHODS if method in item]


class Fields:
    """The members of an object, as they are described."""

    def __init__(self, doc, schema):
        self.doc = doc
        self.schema = follow(doc, schema)
        self.all = {k: follow(doc, v) for k, v in
                    self.schema.get("properties", {}).items()}
        self.required = self.schema.get("required", [])
        # Of members that exclude each other, those that must go.
        self.rivals = [r for one in self.schema.get("oneOf", ())
                       for r in one["required"]]

    def alone(self, value, name):
        """value without the rivals of that member."""
        return {k: v for k, v in value.items()
                if k == name or name not in self.rivals
                or k not in self.rivals}

    def wrong(self, name):
        """Values that the member must not have."""
        s = self.all[name]
        types = s.get("type")
        if types is None:
            return
        types = {types} if isinstance(types, str) else set(types)
        for kind, values in KINDS.items():
            if kind not in types and not (kind == "array"
                                          and "array" in types):
                yield from values
        if "enum" in s:
            yield from ("nonsense", "", str(s["enum"][0]).upper())
        if s.get("minLength") and "string" in types:
            yield ""
        if "minimum" in s:
            yield s["minimum"] - 1
        if "maximum" in s:
            yield s["maximum"] + 1
        if "items" in s:
            inner = Fields(self.doc, {"properties": {"x": s["items"]}})
            for value in inner.wrong("x"):
                yield [value]
            for value in inner.above("x"):
                yield [value]

    def above(self, name):
        """Values just above a limit."""
        s = self.all[name]
        n = s.get("x-max-bytes")
        if n and self.is_string(s):
            yield "x" * (n + 1)
            yield "\u00e9" * (n // 2) + "x" * (n % 2 + 1)
        elif n and "type" not in s:
            yield "x" * (n - 1)
            yield nested(s["x-max-depth"] + 1)
        if "maxItems" in s:
            yield [f"u{i}" for i in range(s["maxItems"] + 1)]

    def within(self, name):
        """Values at and just below a limit."""
        s = self.all[name]
        n = s.get("x-max-bytes")
        if n and self.is_string(s):
            yield from ("x" * n, "x" * (n - 1), "\u00e9" * (n // 2),
                        "\U0001f600" * (n // 4))
        elif n and "type" not in s:
            yield from ("x" * (n - 2), "x" * (n - 3),
                        nested(s["x-max-depth"]), None, 0, [], {}, False)
        if "maxItems" in s:
            yield [f"u{i}" for i in range(s["maxItems"])]
        for limit in ("minimum", "maximum"):
            if limit in s:
                yield s[limit]
        if "null" in s.get("type", ()):
            yield None

    @staticmethod
    def is_string(s):
        return "string" in (s.get("type") or ())


def nested(depth):
    value = 0
    for _ in range(depth):
        value = [value]
    return value


def frames():
    """{type: (Fields without type, example)} of what clients send."""
    out = {}
    for name in FRAMES.client:
        m = FRAMES.doc["components"]["messages"][name]
        fields = Fields(FRAMES.doc, m["payload"])
        del fields.all["type"]
        out[name] = (fields, m["examples"][0]["payload"])
    return out


def twice(value, name, first, second):
    """The JSON text of an object that has a member two times."""
    rest = {k: v for k, v in value.items() if k != name}
    text = json.dumps(rest)[1:-1]
    return ("{" + json.dumps(name) + ":" + json.dumps(first) + ","
            + (text + "," if text else "")
            + json.dumps(name) + ":" + json.dumps(second) + "}").encode()
