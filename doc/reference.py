#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the reference of the API in Markdown, made of its descriptions.

usage: reference.py openapi.json asyncapi.json

Each operation with its parameters, body and answers, each frame with its
fields, and the schemas they name.  Says nothing that these files don't.
"""
import json
import sys

METHODS = ("get", "post", "put", "patch", "delete")


def escape(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


class Document:
    """One description; follows references within it."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            self.root = json.load(f)

    def follow(self, node):
        """The node that a $ref means, and the name it goes by."""
        name = None
        while isinstance(node, dict) and "$ref" in node:
            node_path = node["$ref"].removeprefix("#/").split("/")
            name = node_path[-1]
            node = self.root
            for part in node_path:
                node = node[part.replace("~1", "/").replace("~0", "~")]
        return node, name


def kind(doc, schema):
    """A schema in a few words."""
    node, name = doc.follow(schema)
    if not isinstance(node, dict):
        return "any"
    if name and node.get("type") == "object":
        return f"[{name}](#{name.lower()}-object)"
    if "const" in node:
        return f"`{json.dumps(node['const'])}`"
    if "enum" in node:
        return " or ".join(f"`{json.dumps(v)}`" for v in node["enum"])
    for key in ("oneOf", "anyOf"):
        if key in node:
            return " or ".join(kind(doc, s) for s in node[key])
    what = node.get("type", "any")
    if isinstance(what, list):
        what = " or ".join(what)
    if what == "array":
        return "array of " + kind(doc, node.get("items", {}))
    return what + limits(node)


def limits(node):
    said = []
    for key, text in (("x-max-bytes", "at most {} bytes"),
                      ("maxLength", "at most {} characters"),
                      ("minimum", "from {}"), ("maximum", "to {}"),
                      ("maxItems", "at most {}")):
        if key in node:
            said.append(text.format(f"{node[key]:,}"))
    return f" ({', '.join(said)})" if said else ""


def table(doc, schema):
    """Lines of a table of an object's members."""
    required, rows = set(), {}

    def gather(part):
        node, _ = doc.follow(part)
        for sub in node.get("allOf", ()):
            gather(sub)
        required.update(node.get("required", ()))
        rows.update(node.get("properties", {}))

    gather(schema)
    if not rows:
        return []
    out = ["| member | | what |", "|---|---|---|"]
    for name, member in rows.items():
        node, _ = doc.follow(member)
        said = member.get("description") or (
            node.get("description", "") if isinstance(node, dict) else "")
        must = "required" if name in required else ""
        what = ". ".join(t for t in (kind(doc, member), said) if t)
        out.append(f"| `{name}` | {must} | {escape(what)} |")
    return out + [""]


def content(doc, node):
    """The first schema of a body or answer, and its media type."""
    for media, what in node.get("content", {}).items():
        return media, what.get("schema", {})
    return None, None


def operation(doc, method, path, op, shared):
    yield f"### {method.upper()} {path}"
    yield ""
    yield op.get("summary", "") + "."
    if op.get("description"):
        yield ""
        yield op["description"]
    yield ""
    params = [doc.follow(p)[0] for p in
              list(shared) + list(op.get("parameters", ()))]
    if params:
        yield "| parameter | in | what |"
        yield "|---|---|---|"
        for p in params:
            what = ". ".join(t for t in (kind(doc, p.get("schema", {})),
                                         p.get("description", "")) if t)
            yield f"| `{p['name']}` | {p['in']} | {escape(what)} |"
        yield ""
    if "requestBody" in op:
        media, schema = content(doc, doc.follow(op["requestBody"])[0])
        yield f"Body, `{media}`:"
        yield ""
        yield from table(doc, schema)
    yield "| answer | what |"
    yield "|---|---|"
    for status, ref in op["responses"].items():
        answer, _ = doc.follow(ref)
        media, schema = content(doc, answer)
        said = answer.get("description", "")
        if schema:
            said += f" ({kind(doc, schema)})"
        yield f"| {status} | {escape(said)} |"
    yield ""


def operations(doc):
    for tag in doc.root.get("tags", ()):
        yield f"## {tag['name']}"
        yield ""
        yield tag.get("description", "")
        yield ""
        for path, item in doc.root["paths"].items():
            for method in METHODS:
                op = item.get(method)
                if op and op.get("tags", [None])[0] == tag["name"]:
                    yield from operation(doc, method, path, op,
                                         item.get("parameters", ()))


def frames(doc):
    for action, title in (("receive", "Frames that clients send"),
                          ("send", "Frames that the server sends")):
        yield f"## {title}"
        yield ""
        for op in doc.root["operations"].values():
            if op["action"] != action:
                continue
            for ref in op.get("messages", ()):
                message, name = doc.follow(ref)
                yield f"### {name}"
                yield ""
                yield message.get("summary", "")
                yield ""
                if message.get("description"):
                    yield message["description"]
                    yield ""
                yield from table(doc, message.get("payload", {}))


def schemas(doc):
    yield "## Schemas"
    yield ""
    for name, node in doc.root["components"]["schemas"].items():
        rows = table(doc, {"$ref": f"#/components/schemas/{name}"})
        if not rows:
            continue
        yield f"### {name} object"
        yield ""
        if node.get("description"):
            yield node["description"]
            yield ""
        yield from rows


def main(openapi, asyncapi):
    rest, live = Document(openapi), Document(asyncapi)
    lines = ["# Reference", "",
             "Made from `openapi.json` and `asyncapi.json`, which the server "
             "answers at `/openapi.json` and `/asyncapi.json`, and which its "
             "tests hold every answer and frame against.", "",
             rest.root["info"].get("description", ""), ""]
    for part in (operations(rest), frames(live), schemas(rest)):
        lines.extend(part)
    print("\n".join(lines))


if len(sys.argv) != 3:
    sys.exit(__doc__)
main(*sys.argv[1:])
