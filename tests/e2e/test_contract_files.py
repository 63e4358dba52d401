# SPDX-License-Identifier: MIT
"""doc/openapi.json and doc/asyncapi.json in themselves, that the server
serves them, and that what deviates from them is found."""
import json
import os
import re

import fastjsonschema
import pytest

import contract
from client import Rest
from contract import FRAMES, METHODS, REST, compile_schema, follow

# Understood alike by JSON Schema of 2020-12 and by the tests' validator.
KEYWORDS = {
    "type", "enum", "const", "pattern", "minLength", "minimum", "maximum",
    "items", "minItems", "maxItems", "properties", "required",
    "additionalProperties", "propertyNames", "oneOf", "allOf", "$ref",
    "description", "default", "x-max-bytes", "x-max-depth"}
SRC = os.path.join(contract.DOC, "..", "src")


def operations():
    for path, item in REST.doc["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def walk(node, at="#"):
    yield at, node
    items = node.items() if isinstance(node, dict) else \
        enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from walk(value, f"{at}/{key}")


def schemas(doc):
    """Every schema with its place."""
    def inner(schema, at):
        yield at, schema
        for key in ("items", "additionalProperties", "propertyNames"):
            if isinstance(schema.get(key), dict):
                yield from inner(schema[key], f"{at}/{key}")
        for name, value in schema.get("properties", {}).items():
            yield from inner(value, f"{at}/{name}")
        for key in ("oneOf", "allOf"):
            for i, value in enumerate(schema.get(key, ())):
                yield from inner(value, f"{at}/{key}/{i}")

    for name, schema in doc["components"]["schemas"].items():
        yield from inner(schema, name)
    for at, node in walk(doc):
        if isinstance(node, dict) and not at.startswith(
                "#/components/schemas"):
            for key in ("schema", "payload"):
                if isinstance(node.get(key), dict) and "example" not in at:
                    yield from inner(node[key], f"{at}/{key}")


@pytest.mark.parametrize("doc", [REST.doc, FRAMES.doc],
                         ids=["openapi", "asyncapi"])
def test_references_lead_somewhere(doc):
    used = set()
    for at, node in walk(doc):
        if isinstance(node, dict) and "$ref" in node:
            contract.pointed(doc, node["$ref"])
            used.add(node["$ref"])
    spare = {f"#/components/{kind}/{name}"
             for kind, all_ in doc["components"].items()
             for name in all_ if kind != "securitySchemes"} - used
    assert spare <= {"#/components/responses/MethodNotAllowed"}


@pytest.mark.parametrize("doc", [REST.doc, FRAMES.doc],
                         ids=["openapi", "asyncapi"])
def test_schemas(doc):
    n = 0
    for at, schema in schemas(doc):
        n += 1
        assert set(schema) <= KEYWORDS, at
        assert "$ref" not in schema or set(schema) == {"$ref"}, at
        if "properties" in schema and "allOf" not in schema:
            assert schema["type"] == "object", at
            assert set(schema.get("required", ())) <= set(
                schema["properties"]), at
    assert n > 100


def test_openapi_is_one():
    doc = REST.doc
    assert doc["openapi"].startswith("3.1.")
    ids = [op["operationId"] for _, _, op in operations()]
    assert len(ids) == len(set(ids)) > 20
    tags = {t["name"] for t in doc["tags"]}
    schemes = set(doc["components"]["securitySchemes"])
    for path, method, op in operations():
        where = f"{method} {path}"
        assert op["summary"] and set(op["tags"]) <= tags, where
        for one in op.get("security", doc["security"]):
            assert set(one) <= schemes, where
        parameters = [follow(doc, p) for p in
                      doc["paths"][path].get("parameters", [])
                      + op.get("parameters", [])]
        assert {p["name"] for p in parameters if p["in"] == "path"} == \
            set(re.findall(r"\{(\w+)\}", path)), where
        keys = [(p["in"], p["name"]) for p in parameters]
        assert len(keys) == len(set(keys)), where
        for p in parameters:
            assert p.get("required") is True or p["in"] != "path", where


def test_every_operation_tells_how_it_may_fail():
    doc = REST.doc
    for path, method, op in operations():
        where = f"{method} {path}"
        assert "400" in op["responses"], where
        good = [s for s in op["responses"] if s < "400"]
        assert good, where
        if op.get("security", doc["security"]):
            assert {"401", "403", "500", "503"} <= set(op["responses"]), where
        if "requestBody" in op:
            assert {"413", "415"} <= set(op["responses"]), where
        for status, r in op["responses"].items():
            r = follow(doc, r)
            assert r["description"], where
            if status == "101":
                continue
            assert "X-Request-Id" in r["headers"], where
            assert ("Retry-After" in r["headers"]) == (
                status in ("429", "503")), (where, status)
            assert ("content" in r) == (
                status not in ("204", "304", "308")), (where, status)


def test_examples_of_openapi():
    n = 0
    for at, node in walk(REST.doc["components"]):
        if isinstance(node, dict) and "example" in node and "schema" in node:
            compile_schema(REST.strict, contract.closed(
                REST.doc, node["schema"]))(node["example"])
            n += 1
    assert n > 20


def test_examples_of_frames():
    strict = contract.closed(FRAMES.doc, FRAMES.doc)
    for name, m in FRAMES.doc["components"]["messages"].items():
        validate = compile_schema(
            strict, strict["components"]["messages"][name]["payload"])
        assert m["summary"] and m["examples"], name
        for example in m["examples"]:
            assert example["payload"]["type"] == name
            validate(example["payload"])


def test_frames_are_those_of_the_channel():
    doc = FRAMES.doc
    assert doc["asyncapi"].startswith("3.0.")
    both = FRAMES.client + FRAMES.server
    assert len(both) == len(set(both))
    assert set(both) == set(doc["channels"]["ws"]["messages"]) == set(
        doc["components"]["messages"])
    for name in FRAMES.client:
        assert doc["components"]["messages"][name]["x-answer"] in \
            FRAMES.server, name


def test_server_frames_are_in_the_source():
    """Each described one is written somewhere; each written one is
    described."""
    text = ""
    for folder in ("common", "worker", "writer"):
        for name in sorted(os.listdir(os.path.join(SRC, folder))):
            if name.endswith(".c") and not name.endswith(".gen.c"):
                with open(os.path.join(SRC, folder, name),
                          encoding="utf-8") as f:
                    text += f.read()
    for name in FRAMES.server:
        last = name.rpartition(".")[2]
        assert f'"{name}"' in text or f'\\"{name}\\"' in text or \
            f'"{last}"' in text, name
    written = set(re.findall(r'\{\\"type\\":\\"([a-z._]+[a-z])\\"', text))
    assert written and written <= set(FRAMES.server)


def same(a, b):
    """Schemas that both documents have, but for their words."""
    def plain(node):
        if isinstance(node, dict):
            return {k: plain(v) for k, v in node.items()
                    if k != "description"}
        return [plain(v) for v in node] if isinstance(node, list) else node
    return plain(a) == plain(b)


def test_both_documents_agree():
    a = REST.doc["components"]["schemas"]
    b = FRAMES.doc["components"]["schemas"]
    shared = set(a) & set(b)
    assert {"Room", "Time", "Any", "Content"} <= shared
    for name in shared:
        assert same(a[name], b[name]), name
    of = b["Room"]["properties"]
    assert set(of) == set(a["Room"]["properties"])


def test_served(server):
    c = Rest(server)
    assert c.get("/openapi.json").expect(200) == REST.doc
    assert c.get("/asyncapi.json").expect(200) == FRAMES.doc


# ---- what deviates is found ----

GOOD = {"x-request-id": "r", "content-type": "application/json"}
HEALTH = {"status": "ok", "service": "chatapi", "version": "1",
          "uptime": "1s", "db_writable": True}


@pytest.mark.parametrize("change", [
    {"status": 418}, {"status": 404}, {"headers": {"x-request-id": None}},
    {"headers": {"content-type": "text/html"}},
    {"body": {**HEALTH, "more": 1}}, {"body": {**HEALTH, "uptime": 5}},
    {"body": {}}, {"body": []}, {"raw": b"{"}, {"raw": b""},
    {"method": "POST"}, {"target": "/nowhere"},
    {"status": 503, "body": {**HEALTH, "status": "error"}},
    {"status": 400, "body": {"error": "conflict", "message": "x",
                             "request_id": "r"}},
    {"status": 400, "body": {"error": "invalid_request", "message": "x",
                             "request_id": "other"}},
    {"status": 400, "body": {"error": "invalid_request", "message": "",
                             "request_id": "r"}},
], ids=str)
def test_a_wrong_answer_is_found(change):
    def check(method="GET", target="/health", status=200, headers=None,
              body=HEALTH, raw=None):
        h = {k: v for k, v in {**GOOD, **(headers or {})}.items() if v}
        return REST.check(method, target, status, h,
                          json.dumps(body).encode() if raw is None else raw)

    assert check() is None
    assert check(**change) is not None


@pytest.mark.parametrize("frame", [
    {"type": "pong", "more": 1}, {"type": "nonsense"}, {}, [], "pong",
    {"type": "ok"}, {"type": "ping"},
    {"type": "room.left", "room_id": "room_x"},
    {"type": "error", "code": "what", "message": "x", "temporary": True},
], ids=str)
def test_a_wrong_frame_is_found(frame):
    assert FRAMES.check({"type": "pong"}) is None
    assert FRAMES.check(frame) is not None


def test_clients_hold_every_answer_against_it(tenant, monkeypatch):
    """The hook itself: a document that says otherwise makes faults."""
    ann = tenant.user("ann")
    monkeypatch.setattr(REST, "check", lambda *a: "deviates")
    ann.get("/rooms")
    assert len(contract.take_faults()) == 1


def test_patterns_match_at_the_end():
    """`$` in a pattern is the end, not a newline before it."""
    with pytest.raises(fastjsonschema.JsonSchemaException):
        REST.validator({"$ref": "#/components/schemas/RoomId"})(
            "room_" + "0" * 22 + "\n")


@pytest.mark.parametrize("text", ["0s", "59s", "1m", "1m30s", "1h", "1h5s",
                                  "1h2m", "25h1m1s"])
def test_uptime_on_the_minute(text):
    """Durations are written short, so those of whole minutes and hours have
    no seconds."""
    check = REST.validator({"$ref": "#/components/schemas/Health"})
    answer = {"status": "ok", "service": "chatapi", "version": "1",
              "db_writable": True}
    check({**answer, "uptime": text})
    for wrong in ("", "1", "m", text + "1", "-" + text):
        with pytest.raises(fastjsonschema.JsonSchemaException):
            check({**answer, "uptime": wrong})
