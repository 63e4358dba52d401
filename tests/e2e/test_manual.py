# SPDX-License-Identifier: MIT
"""The manual pages against the program: chatapi.8 has what --help has, and
chatapi-protocol.7 has the wire as the server's tables and the descriptions
that it is tested against have it, no more and no less."""
import os
import re

import pytest

from client import ERROR_STATUS
from contract import DOC, FRAMES, METHODS, REST
from harness import run

TOP = os.path.join(DOC, "..")


def source(*names):
    with open(os.path.join(TOP, *names), encoding="utf-8") as f:
        return f.read()


def sections(page):
    """{name: text} of a manual page, its escapes undone."""
    text = source("man", page).replace("\\&", "").replace("\\(dq", '"')
    parts = re.split(r"^\.Sh (.*)\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def items(text, lead):
    """[(the line behind `.It LEAD`, what follows it)]; items of one text
    each have it."""
    parts = re.split(rf"^\.It {lead}(.*)\n", text, flags=re.M)
    out, bodies = [], [re.split(r"^\.El", b, flags=re.M)[0]
                       for b in parts[2::2]]
    for i, line in enumerate(parts[1::2]):
        body = next((b for b in bodies[i:] if b.strip()), "")
        out.append((line, body))
    return out


PROTOCOL = sections("chatapi-protocol.7")


# ---- chatapi-protocol.7 ----

@pytest.mark.parametrize("section, names", [
    ("CLIENT FRAMES", FRAMES.client), ("SERVER FRAMES", FRAMES.server)],
    ids=["client", "server"])
def test_every_frame_with_its_fields(section, names):
    seen = []
    for line, body in items(PROTOCOL[section], "Ic "):
        name, _, fields = line.partition(" ")
        seen.append(name)
        fields = fields.removeprefix("Li ").split(" , ") if fields else []
        payload = FRAMES.doc["components"]["messages"][name]["payload"]
        known = set(payload["properties"]) - {"type"}
        needed = set(payload["required"]) - {"type"}
        if section == "CLIENT FRAMES":
            # Said once, of all of them.
            known.discard("request_id")
        always = {f for f in fields if not f.endswith("?")}
        maybe = {f[:-1] for f in fields if f.endswith("?")}
        assert needed <= always and not needed & maybe, name
        assert always | maybe <= known, name
        told = always | maybe | set(re.findall(r"[a-z_]+", body))
        assert known <= told, (name, known - told)
        answer = FRAMES.doc["components"]["messages"][name].get("x-answer")
        if answer is not None:
            assert re.search(rf"^\.Li {re.escape(answer)}\b", body,
                             re.M), name
    assert sorted(seen) == sorted(names)


def test_which_frames_are_rated():
    text = PROTOCOL["ERROR CODES"].split(".Ss Rate limit")[1]
    named = set(re.findall(r"[a-z_]+(?:\.[a-z]+)?", " ".join(
        re.findall(r"^\.Li (.*)", text, re.M))))
    assert named == {n for n in FRAMES.client if
                     FRAMES.doc["components"]["messages"][n].get("x-rated")}


def test_every_close_code():
    enum = re.search(r"enum ws_close_code \{(.*?)\}",
                     source("src", "worker", "ws_frame.h"), re.S)[1]
    codes = set(re.findall(r"= (\d+)(?!.*never on the wire)", enum))
    assert len(codes) > 10 and "1005" not in codes
    told = items(PROTOCOL["CLOSE CODES"], r"(?=\d{4}$)")
    assert [code for code, _ in told] == sorted(codes)
    for code, body in told:
        # What decides whether a client comes back.
        assert ("Stop." in body) == (code >= "4500"), code
        assert ("Mend the client" in body) == (
            code in ("1002", "1003", "1007", "1009")), code
    others = source("doc", "api.md").split("### Closing")[1]
    others = others.split("\n## ")[0]
    guide = source("doc", "websocket.md").split("## When it closes")[1]
    for code in codes:
        assert code in others and code in FRAMES.doc["channels"]["ws"][
            "description"] and code in guide, code


def test_every_error_code():
    table = source("src", "common", "outcome.c")
    written = set(re.findall(r'^#define [A-Z_]+ "([a-z_]+)"$', table, re.M))
    written |= set(re.findall(r'\d{3}, "([a-z_]+)"', table))
    frames = set(FRAMES.doc["components"]["messages"]["error"]["payload"][
        "properties"]["code"]["enum"])
    rest = set(REST.doc["components"]["schemas"]["Error"]["properties"][
        "error"]["enum"])
    assert written == rest | frames and rest == set(ERROR_STATUS)
    told = {}
    for line, body in items(PROTOCOL["ERROR CODES"], "Er "):
        name, _, statuses = line.partition(" Pq ")
        told[name] = (statuses.split(" , ") if statuses else [], body)
    assert set(told) == written
    for name, (statuses, body) in told.items():
        assert (name in rest) == bool(statuses), name
        assert name not in rest or str(ERROR_STATUS[name]) in statuses
        assert ("In no frame." in body) == (name not in frames), name


def test_every_request():
    told = re.findall(r"^\.It ([A-Z]+) Ta Pa (\S+) Ta ",
                      PROTOCOL["REQUESTS"], re.M)
    assert len(told) == len(set(told))
    assert set(told) == {(method.upper(), path)
                         for path, item in REST.doc["paths"].items()
                         for method in METHODS if method in item}


def test_limits_are_those_of_the_source():
    def defined(header, name):
        text = re.search(rf"^#define {name} (.*)$",
                         source("src", "worker", header), re.M)[1]
        return eval(text.split("/*")[0], {"__builtins__": {}})

    text = PROTOCOL["LIMITS"]
    for what, header, name in [
            ("frame, body", "ws_conn.h", "WS_FRAME_MAX"),
            ("Li content", "ws_commands.h", "WS_CONTENT_MAX"),
            ("Li meta , metadata , payload", "ws_commands.h", "WS_META_MAX")]:
        found = re.search(rf"^\.It {what} Ta (\d+) KiB", text, re.M)
        assert int(found[1]) * 1024 == defined(header, name), what
    ping = defined("ws_conn.h", "WS_PING_MS") // 1000
    dead = defined("ws_conn.h", "WS_DEAD_MS") // 1000
    assert f"({ping} s)" in PROTOCOL["HEARTBEATS"]
    assert re.search(rf"\b{dead} s not a byte", PROTOCOL["HEARTBEATS"])


# ---- chatapi.8 ----

CHATAPI = sections("chatapi.8")


def test_every_flag():
    said = re.findall(r"^  (-\S+?)(?:, (--[a-z-]+))?(?: [A-Z]+)? ",
                      run("--help").stdout, re.M)
    said = {flag for pair in said for flag in pair if flag}
    assert {"-c", "-t", "--check-config", "--user", "--help"} <= said
    listed = CHATAPI["DESCRIPTION"].split("The options are:")[1]
    told = {"-" + flag for line, _ in items(listed, "(?=Fl )")
            for flag in re.findall(r"Fl (\S+)", line)}
    assert told == said
    brief = {"-" + flag for flag in re.findall(
        r"Fl (\S+)", CHATAPI["SYNOPSIS"])}
    for line, _ in items(listed, "(?=Fl )"):
        assert brief & {"-" + f for f in re.findall(r"Fl (\S+)", line)}, line


def commands():
    """{command: its options, {…} those that must be given in brackets}, as
    the program's own usage has them."""
    out = {}
    for line in run("tenant", "--help").stdout.splitlines() + run(
            "nonsense", "--help").stdout.splitlines():
        found = re.match(r"  chatapi \[-c FILE\] \[-d DSN\] ([a-z ]+) "
                         r"\[--json\](.*)", line)
        if found:
            out[found[1]] = {
                o: bracket == "" for bracket, o in
                re.findall(r"(\[?)(--[a-z-]+)", found[2])}
    assert "tenant create" in out and "--full" in out["check"]
    return out


def test_usage_is_readable():
    said = run("nonsense", "--help").stdout
    assert "][" not in said
    assert "export [--json] --tenant TENANT [--passphrase-file" in said


def test_every_command_in_help():
    text = run("--help").stdout.split("\ncommands:\n")[1]
    text = re.sub(r"\n {4,}", " ", text.split("\neach also")[0])
    found = {}
    for line in text.splitlines():
        options = {o: bracket == "" for bracket, o in
                   re.findall(r"(\[?)(?:[A-Z-]+ \| )?(--[a-z-]+)",
                              line.replace("| --", "| [--"))}
        for words in re.sub(r"\[[^]]*\]|--\S+", "", line).split("|"):
            name = " ".join(re.findall(r"\b[a-z]+\b", words))
            found[name] = options
    assert found == commands()


def test_every_command_in_the_manual():
    known = commands()
    described = set()
    for line, _ in items(CHATAPI["COMMANDS"], "(?=Cm )"):
        described |= {re.sub(r" (Ar|Oo|Op|Fl|Ns|,).*", "", part).strip()
                      for part in line.split("Cm ")[1:]}
    assert described == set(known)
    brief = {}
    for form in CHATAPI["SYNOPSIS"].split("\n.Nm")[1:]:
        words = " ".join(re.findall(r"^\.Cm (.*)", form, re.M))
        options = {}
        for line in form.splitlines():
            for flag in re.findall(r"Fl (-[a-z-]+)", line):
                options["-" + flag] = not line.startswith(".Op")
        if "Ar option" not in form:
            continue
        noun, *rest = words.split(" ")
        names = [noun + " " + verb for verb in known_verbs(noun, rest)] \
            or [noun]
        for name in names:
            assert name not in brief, name
            brief[name] = options
    assert brief == known


def known_verbs(noun, words):
    """The verbs of that noun among the words."""
    verbs = {name.split(" ")[1] for name in commands() if " " in name and
             name.startswith(noun + " ")}
    return [w for w in words if w in verbs]
