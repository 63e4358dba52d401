# SPDX-License-Identifier: MIT
"""The API's descriptions, and what the server sends held against them.

Every answer and frame that the clients of these tests read goes through
check_reply() or check_frame().  What doc/openapi.json and doc/asyncapi.json
do not describe (a path's status, a media type, a header, a member) is a
fault; a test during which there was one fails.
"""
import collections
import copy
import json
import os
import re
import urllib.parse

import fastjsonschema

DOC = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                   "..", "..", "doc")
METHODS = ("get", "post", "put", "patch", "delete")
# Of each type on a connection so many frames are looked at, then one in ten.
FRAMES_ALL = 100

faults = []


def load(name):
    with open(os.path.join(DOC, name), encoding="utf-8") as f:
        return json.load(f)


def pointed(doc, ref):
    """What a "#/a/b" leads to."""
    assert ref.startswith("#/"), ref
    for part in ref[2:].split("/"):
        doc = doc[part.replace("~1", "/").replace("~0", "~")]
    return doc


def follow(doc, obj):
    while "$ref" in obj:
        obj = pointed(doc, obj["$ref"])
    return obj


def closed(doc, node):
    """A copy in which no object has members that are not described, where
    the description does not say that there may be others."""
    if isinstance(node, list):
        return [closed(doc, v) for v in node]
    if not isinstance(node, dict):
        return node
    out = dict(node)
    for base in out.pop("allOf", []):
        base = follow(doc, base)
        out["properties"] = {**base["properties"],
                             **out.get("properties", {})}
        out["required"] = base.get("required", []) + out.get("required", [])
        if "oneOf" in base:
            out.setdefault("oneOf", base["oneOf"])
    out = {k: v if k in ("example", "examples") else closed(doc, v)
           for k, v in out.items()}
    if out.get("type") == "object" and "properties" in out:
        out.setdefault("additionalProperties", False)
    return out


def compile_schema(doc, schema):
    """A function that raises when its argument is not as described."""
    root = {"components": doc["components"],
            "allOf": [copy.deepcopy(schema)]}
    return fastjsonschema.compile(root, use_default=False)


class Rest:
    """doc/openapi.json."""

    def __init__(self):
        self.doc = load("openapi.json")
        self.strict = closed(self.doc, self.doc)
        self.paths = []
        for template, item in self.doc["paths"].items():
            parts = [None if p.startswith("{") else p
                     for p in template[1:].split("/")]
            self.paths.append((parts, template, item))
        self.compiled = {}

    def find(self, target):
        """The template and description of a request target's path."""
        path = target.partition("?")[0]
        path = re.sub(r"\Ahttps?://[^/]*", "", path, flags=re.I)
        if not path.startswith("/"):
            return None, None
        parts = [urllib.parse.unquote(p) for p in path[1:].split("/")]
        for want, template, item in self.paths:
            if len(want) == len(parts) and all(
                    p != "" if w is None else w == p
                    for w, p in zip(want, parts)):
                return template, item
        return None, None

    def allowed(self, item):
        out = {m.upper() for m in METHODS if m in item}
        return out | {"HEAD"} if "GET" in out else out

    def responses(self, method, target):
        """What may be answered: {"200": response, …}, by the document's
        own words about what no operation can say."""
        shared = self.strict["components"]["responses"]
        template, item = self.find(target)
        out = {"400": shared["BadRequest"], "413": shared["PayloadTooLarge"]}
        name = "get" if method == "HEAD" else method.lower()
        if item is None:
            out["404"] = shared["NotFound"]
        elif name in METHODS and name in item:
            for status, r in self.strict["paths"][template][name][
                    "responses"].items():
                out[status] = follow(self.strict, r)
        elif method == "OPTIONS":
            out["405"] = shared["MethodNotAllowed"]
            out["204"] = {}
            out["403"] = shared["Forbidden"]
        else:
            out["405"] = shared["MethodNotAllowed"]
        return out

    def validator(self, schema):
        key = json.dumps(schema, sort_keys=True)
        if key not in self.compiled:
            self.compiled[key] = compile_schema(self.strict, schema)
        return self.compiled[key]

    def check(self, method, target, status, headers, body):
        """None, or what is not as described."""
        r = self.responses(method, target).get(str(status))
        if r is None:
            return "this status is not described"
        if status == 101:
            return None
        return self.check_headers(r, headers, method, target, status) or \
            self.check_body(r, method, status, headers, body)

    def check_headers(self, r, headers, method, target, status):
        if not headers.get("x-request-id"):
            return "there is no X-Request-Id"
        for name, h in r.get("headers", {}).items():
            h = follow(self.strict, h)
            value = headers.get(name.lower())
            if value is None:
                if h.get("required"):
                    return f"the header {name} is missing"
                continue
            try:
                self.validator(h["schema"])(value)
            except fastjsonschema.JsonSchemaException as e:
                return f"header {name}: {e}"
        if status == 405:
            allow = set(headers["allow"].split(", "))
            item = self.find(target)[1]
            if not self.allowed(item) <= allow <= self.allowed(item) | {
                    "OPTIONS"} or method in allow:
                return f"Allow: {headers['allow']}"
        return None

    def check_body(self, r, method, status, headers, body):
        kind = headers.get("content-type")
        if "content" not in r:
            return None if body == b"" and kind is None else \
                "a body where there should be none"
        if kind not in r["content"]:
            return f"the media type {kind} is not described"
        if method == "HEAD":
            return None if body == b"" else "HEAD was answered with a body"
        if not kind.startswith("application/json"):
            return None
        content = r["content"][kind]
        try:
            value = json.loads(body.decode("utf-8"))
            self.validator(content["schema"])(value)
        except (ValueError, fastjsonschema.JsonSchemaException) as e:
            return str(e)
        if status >= 400 and "error" in content.get("example", {}):
            if value["error"] != content["example"]["error"]:
                return f"{status} with the error {value['error']}"
            if value["request_id"] != headers["x-request-id"]:
                return "request_id is not that of X-Request-Id"
        return None


class Frames:
    """doc/asyncapi.json."""

    def __init__(self):
        self.doc = load("asyncapi.json")
        strict = closed(self.doc, self.doc)
        self.server = self.listed("serverSends")
        self.client = self.listed("clientSends")
        self.validators = {
            t: compile_schema(strict,
                              strict["components"]["messages"][t]["payload"])
            for t in self.server}

    def listed(self, operation):
        return [ref["$ref"].rpartition("/")[2] for ref in
                self.doc["operations"][operation]["messages"]]

    def check(self, frame):
        """None, or what is not as described."""
        validate = self.validators.get(frame.get("type")) \
            if isinstance(frame, dict) else None
        if validate is None:
            return "no such frame is described"
        try:
            validate(frame)
        except fastjsonschema.JsonSchemaException as e:
            return str(e)
        return None


REST = Rest()
FRAMES = Frames()


def check_reply(method, target, status, headers, body):
    """Takes an answer's headers with names in lower case."""
    fault = REST.check(method, target, status, headers, body)
    if fault is not None:
        faults.append(f"{method} {target[:200]}: {status}: {fault}: "
                      f"{headers} {body[:500]!r}")


class Seen:
    """How often one connection has had frames of each type."""

    def __init__(self):
        self.counts = collections.Counter()

    def check(self, frame):
        type_ = frame.get("type") if isinstance(frame, dict) else None
        self.counts[type_] += 1
        n = self.counts[type_]
        if n > FRAMES_ALL and n % 10 != 0:
            return
        fault = FRAMES.check(frame)
        if fault is not None:
            faults.append(f"frame: {fault}: {json.dumps(frame)[:500]}")


def take_faults():
    out = list(faults)
    faults.clear()
    return out
