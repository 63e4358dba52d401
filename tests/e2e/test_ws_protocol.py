# SPDX-License-Identifier: MIT
"""WebSocket as RFC 6455 has it, on a client that breaks the rules."""
import json
import socket
import struct

import pytest

from client import TIME
from raw import (BINARY, CLOSE, CONT, PING, PONG, TEXT, Raw, frame,
                 open_raw, text)


@pytest.fixture
def ws(tenant):
    c = open_raw(tenant, "ann")
    yield c
    c.close()


@pytest.fixture
def room(tenant):
    return tenant.user("ann").make_room(["bob"])["room_id"]


def ping(**more):
    return json.dumps({"type": "ping", **more}).encode()


def close(code, reason=b""):
    return frame(CLOSE, struct.pack(">H", code) + reason)


# ---- handshake ----

def test_welcome(tenant, ws):
    w = ws.welcome
    assert w["user_id"] == "ann"
    slot, _, rest = w["session_id"].partition("-")
    assert int(slot) in range(3) and rest
    assert isinstance(w["epoch"], str) and w["epoch"]
    assert TIME.match(w["server_time"])
    assert w["heartbeat_ms"] == 25000
    assert w["limits"] == {"frame": 65536, "content": 16384, "meta": 16384,
                           "rate": 0}


def test_sessions_differ(tenant):
    both = [open_raw(tenant, "ann") for _ in range(2)]
    assert both[0].welcome["session_id"] != both[1].welcome["session_id"]
    assert both[0].welcome["epoch"] == both[1].welcome["epoch"]


@pytest.mark.parametrize("replace", [
    {"Upgrade": None}, {"Upgrade": "h2c"}, {"Connection": None},
    {"Connection": "keep-alive"}, {"Sec-WebSocket-Key": None},
    {"Sec-WebSocket-Key": "short"}, {"Sec-WebSocket-Key": ""},
    {"Sec-WebSocket-Key": "!" * 24}, {"Sec-WebSocket-Version": None},
    {"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Version": "x"},
], ids=str)
def test_handshake_refused(tenant, server, replace):
    c = Raw(server)
    status, headers, body = c.handshake(tenant.headers("ann"),
                                        replace=replace)
    assert status in (400, 426)
    assert json.loads(body)["error"]
    if replace.get("Sec-WebSocket-Version"):
        assert headers["sec-websocket-version"] == "13"
    c.close()


@pytest.mark.parametrize("replace", [
    {"Upgrade": "WebSocket"}, {"Connection": "keep-alive, Upgrade"},
    {"Connection": "upgrade"}, {"Upgrade": "websocket, h2c"},
    {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
    {"Sec-WebSocket-Protocol": "chat, superchat"}], ids=str)
def test_handshake_variants(tenant, server, replace):
    c = Raw(server)
    status, headers, _ = c.handshake(tenant.headers("ann"), replace=replace)
    assert status == 101
    assert headers["upgrade"].lower() == "websocket"
    assert headers["connection"].lower() == "upgrade"
    # Nothing is agreed to that was not asked for or is not there.
    assert "sec-websocket-extensions" not in headers
    assert c.read_json()["type"] == "welcome"
    c.close()


def test_handshake_identity(tenant, server):
    def status(headers, **kw):
        c = Raw(server)
        try:
            got, answer_headers, body = c.handshake(headers, **kw)
            assert got != 101
            out = json.loads(body)
            assert out["request_id"] == answer_headers["x-request-id"]
            return got
        finally:
            c.close()

    assert status({}) == 401
    assert status({"X-User-Id": "ann"}) == 401
    assert status({"X-API-Key": "sk_" + "a" * 43, "X-User-Id": "a"}) == 401
    assert status({}, path=f"/ws?api_key={tenant.key}") == 401
    assert status(tenant.headers()) == 400
    assert status(tenant.headers("x" * 129)) == 400


def test_http_1_0_cannot_upgrade(tenant, server):
    c = Raw(server)
    c.send(("GET /ws HTTP/1.0\r\nHost: x\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            + "".join(f"{k}: {v}\r\n"
                      for k, v in tenant.headers("ann").items())
            + "\r\n").encode())
    assert c.reply()[0] in (400, 426, 505)
    c.close()


def test_origin(tenant, start_server):
    from client import Tenant

    def upgraded(server, tenant, origin):
        c = Raw(server)
        got = c.handshake(tenant.headers("ann"), replace={"Origin": origin})
        c.close()
        assert got[0] in (101, 403)
        return got[0] == 101

    # Unset: only the server's own origin.
    assert upgraded(tenant.server, tenant, "http://localhost")
    assert not upgraded(tenant.server, tenant, "http://evil.example")
    listed = start_server(workers=1, env={
        "ALLOWED_ORIGINS": "https://app.example,https://b.example:8443"})
    t = Tenant(listed)
    assert upgraded(listed, t, "https://app.example")
    assert upgraded(listed, t, "https://b.example:8443")
    assert not upgraded(listed, t, "https://app.example.evil")
    assert not upgraded(listed, t, "http://app.example")
    anyone = start_server(workers=1, env={"ALLOWED_ORIGINS": "*"})
    assert upgraded(anyone, Tenant(anyone), "https://evil.example")


def test_frames_behind_the_handshake(tenant, server, room):
    """Bytes in the handshake's own segment are frames already."""
    for slot in range(3):
        c = Raw(server, slot)
        early = text({"type": "send_message", "room_id": room,
                      "content": "early", "request_id": "r"}) + \
            frame(PING, b"p") + frame(TEXT, ping())[:3]
        assert c.handshake(tenant.headers("ann"), early=early)[0] == 101
        assert c.read_json()["type"] == "welcome"
        assert c.read_json("message.sent")["request_id"] == "r"
        c.close()


# ---- fragments and control frames ----

def test_fragments(ws):
    data = ping(request_id="ü€\U0001f600")
    # Cut everywhere, in the middle of characters too.
    out = frame(TEXT, data[:1], fin=False)
    for i in range(1, len(data) - 1):
        out += frame(CONT, data[i:i + 1], fin=False)
    ws.send(out + frame(CONT, data[-1:]))
    assert ws.read_json("pong")["request_id"] == "ü€\U0001f600"


def test_empty_fragments(ws):
    data = ping(request_id="1")
    ws.send(frame(TEXT, b"", fin=False) + frame(CONT, data, fin=False)
            + frame(CONT, b"", fin=False) + frame(CONT, b""))
    assert ws.read_json("pong")["request_id"] == "1"


def test_ping_between_fragments(ws):
    data = ping(request_id="1")
    ws.send(frame(TEXT, data[:5], fin=False) + frame(PING, b"mid"))
    assert ws.read_opcode(PONG) == b"mid"
    ws.send(frame(PONG, b"unasked") + frame(CONT, data[5:]))
    assert ws.read_json("pong")["request_id"] == "1"


@pytest.mark.parametrize("payload", [b"", b"x", b"\x00\xff" * 62, b"y" * 125])
def test_ping_is_answered(ws, payload):
    ws.send(frame(PING, payload))
    assert ws.read_opcode(PONG) == payload


def test_byte_by_byte(ws):
    for b in frame(TEXT, ping(request_id="1")) + frame(PING, b"x"):
        ws.send(bytes([b]))
    assert ws.read_json("pong")["request_id"] == "1"
    assert ws.read_opcode(PONG) == b"x"


def test_many_frames_in_one_segment(ws):
    ws.send(b"".join(frame(TEXT, ping(request_id=str(i)))
                     for i in range(500)))
    assert [ws.read_json("pong")["request_id"] for _ in range(500)] == \
        [str(i) for i in range(500)]


@pytest.mark.parametrize("size", [100, 125, 126, 127, 65535, 65536])
def test_sizes(ws, size):
    data = ping(request_id="1", pad="")
    data = ping(request_id="1", pad="p" * (size - len(data)))
    assert len(data) == size
    ws.send(frame(TEXT, data))
    assert ws.read_json("pong")["request_id"] == "1"


# ---- closing ----

@pytest.mark.parametrize("code", [1000, 1001, 1003, 1011, 3000, 4321, 4999])
def test_close_is_answered(ws, code):
    ws.send(close(code, "ü".encode()))
    ws.expect_close(code)
    ws.wait_eof()


def test_close_without_a_code(ws):
    ws.send(frame(CLOSE))
    payload = ws.read_opcode(CLOSE)
    assert payload in (b"", struct.pack(">H", 1000))
    ws.wait_eof()


def test_nothing_counts_after_close(ws, tenant, room):
    ws.send(close(1000) + text({"type": "send_message", "room_id": room,
                                "content": "too late"}))
    ws.expect_close(1000)
    ws.wait_eof()
    assert tenant.user("ann").history(room) == []


BAD_CLOSE = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535]


@pytest.mark.parametrize("data", [
    frame(3), frame(4), frame(7, b"x"), frame(11), frame(15),
    frame(TEXT, ping(), mask=False), frame(PING, b"", mask=False),
    frame(TEXT, ping(), rsv=4), frame(TEXT, ping(), rsv=2),
    frame(TEXT, ping(), rsv=1), frame(PING, b"", rsv=4),
    frame(PING, b"x", fin=False), frame(PONG, b"x", fin=False),
    frame(CLOSE, b"", fin=False),
    frame(PING, b"x" * 126), frame(CLOSE, b"\x03\xe8" + b"x" * 200),
    frame(CONT, b"x"), frame(CONT, b"x", fin=False),
    frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"),
    frame(TEXT, ping(), form=16), frame(TEXT, ping(), form=64),
    frame(TEXT, b" " * 60000, form=64), frame(TEXT, b"", form=16),
    frame(PING, b"x", form=16),
    frame(CLOSE, b"\x03"), *(close(c) for c in BAD_CLOSE),
], ids=lambda d: d[:14].hex())
def test_protocol_errors_are_1002(ws, data):
    ws.send(data)
    ws.expect_close(1002)
    ws.wait_eof()


@pytest.mark.parametrize("data", [
    frame(BINARY, ping()), frame(BINARY, b""),
    frame(BINARY, b"\x00\xff", fin=False)], ids=lambda d: d[:8].hex())
def test_binary_is_1003(ws, data):
    ws.send(data)
    ws.expect_close(1003)
    ws.wait_eof()


@pytest.mark.parametrize("payload", [
    b"\xff", b'{"type":"ping","a":"\xc3"}', b"\xed\xa0\x80", b"\xc0\xaf",
    b"\xf4\x90\x80\x80", b"\xe2\x82"], ids=lambda p: p.hex()[-12:])
def test_bad_utf8_is_1007(ws, payload):
    ws.send(frame(TEXT, payload))
    ws.expect_close(1007)
    ws.send(close(1007))
    ws.wait_eof()


def test_bad_utf8_over_fragments_is_1007(ws):
    ws.send(frame(TEXT, b'{"type":"ping","a":"\xe2\x82', fin=False)
            + frame(CONT, b'"}'))
    ws.expect_close(1007)


def test_bad_utf8_in_a_close_reason(ws):
    ws.send(close(1000, b"\xff\xfe"))
    payload = ws.read_opcode(CLOSE)
    assert struct.unpack(">H", payload[:2])[0] in (1002, 1007)
    ws.wait_eof()


@pytest.mark.parametrize("data", [
    frame(TEXT, b" " * 65537),
    frame(TEXT, b" " * 40000, fin=False) + frame(CONT, b" " * 30000),
    # Only announced: nobody waits for what will be refused.
    b"\x81\xff" + struct.pack(">Q", 1 << 40) + b"abcd",
    b"\x81\xff" + struct.pack(">Q", (1 << 63) - 1) + b"abcd",
], ids=lambda d: d[:10].hex())
def test_too_big_is_1009(ws, data):
    ws.send(data)
    ws.expect_close(1009)
    ws.wait_eof()


def test_length_with_its_highest_bit(ws):
    ws.send(b"\x81\xff" + struct.pack(">Q", 1 << 63) + b"abcd")
    payload = ws.read_opcode(CLOSE)
    assert struct.unpack(">H", payload[:2])[0] in (1002, 1009)
    ws.wait_eof()


def test_gone_without_a_word(tenant, server, room):
    """A reset in the middle of a frame disturbs nobody."""
    for i in range(30):
        c = open_raw(tenant, "ann")
        c.send(text({"type": "send_message", "room_id": room,
                     "content": str(i)}) + frame(TEXT, ping())[:i % 9])
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))
        c.close()
    c = open_raw(tenant, "bob")
    c.send(frame(TEXT, ping(request_id="1")))
    assert c.read_json("pong")["request_id"] == "1"
    c.close()


# ---- frames of the contract ----

def errors(ws, data, code="invalid_request"):
    """Refused with an error frame; the connection is as good as before."""
    ws.send(frame(TEXT, data))
    got = ws.read_json("error")
    assert got["code"] == code and got["message"]
    assert isinstance(got["temporary"], bool)
    ws.send(frame(TEXT, ping(request_id="after")))
    assert ws.read_json()["type"] == "pong"
    return got


@pytest.mark.parametrize("data", [
    b"", b" ", b"nonsense", b"[]", b'"ping"', b"5", b"null", b"true",
    b"{}", b'{"type":5}', b'{"type":null}', b'{"type":""}',
    b'{"type":"nobody"}', b'{"type":"PING"}', b'{"type":"ping"', b"{{",
    b'{"type":"welcome"}', b'{"type":"message"}', b'{"type":"ping"} x',
    b'{"type":"\\ud800"}', b"[" * 30000, b'{"a":' * 8000,
    b'{"type":"send_message"}', b'{"type":"ack","data":5}',
    b'{"type":"ack","data":[]}', b'{"type":"typing.start"}',
    b'{"type":"subscribe","room_id":5}', b'{"type":"unsubscribe"}',
], ids=lambda d: repr(d)[:30])
def test_refused_frame_leaves_the_connection_open(ws, data):
    synced(ws)
    errors(ws, data)


def synced(ws):
    assert ws.read_json("sync.complete")["heads"] == {}


def test_refused_frame_echoes_its_request_id(ws):
    synced(ws)
    got = errors(ws, b'{"type":"nobody","request_id":"abc"}')
    assert got["request_id"] == "abc"
    got = errors(ws, b'{"type":"send_message","request_id":"abd"}')
    assert got["request_id"] == "abd"
    assert "request_id" not in errors(ws, b'{"type":"nobody"}')


def send_frames(room):
    flat = {"room_id": room, "content": "hi", "meta": {"a": 1},
            "client_msg_id": "c"}
    return [{"type": "send_message", "request_id": "r", **flat},
            {"type": "send_message", "request_id": "r", "data": flat}]


@pytest.mark.parametrize("form", [0, 1], ids=["flat", "in data"])
def test_send_flat_and_in_data(tenant, room, form):
    ws = open_raw(tenant, "ann")
    ws.send(text(send_frames(room)[form]))
    got = ws.read_json("message.sent")
    assert got["request_id"] == "r" and got["client_msg_id"] == "c"
    assert got["room_id"] == room and got["seq"] == 1
    assert got["duplicate"] is False
    assert TIME.match(got["created_at"])
    stored, = tenant.user("bob").history(room)
    assert stored["message_id"] == got["message_id"]
    assert stored["created_at"] == got["created_at"]
    assert stored["content"] == "hi" and stored["meta"] == {"a": 1}
    ws.close()


@pytest.mark.parametrize("form", [0, 1], ids=["flat", "in data"])
def test_other_frames_flat_and_in_data(tenant, room, form):
    tenant.user("ann").say(room, "x")
    ws = open_raw(tenant, "ann")

    def ask(type_, answer, **fields):
        body = {"data": fields} if form else fields
        ws.send(text({"type": type_, "request_id": "r", **body}))
        while True:
            got = ws.read_json(answer)
            if got.get("request_id") == "r":
                return got

    got = ask("ack", "ack.received", room_id=room, seq=1)
    assert (got["room_id"], got["seq"], got["user_id"]) == (room, 1, "ann")
    ask("typing.start", "ok", room_id=room)
    ask("typing.stop", "ok", room_id=room)
    ask("unsubscribe", "ok", room_id=room)
    got = ask("subscribe", "sync.complete", room_id=room, after_seq=0)
    assert got["heads"][room]["seq"] == 1
    ask("ping", "pong")
    ws.close()


def test_no_answer_that_was_not_asked_for(tenant, room):
    """Without request_id no `ok` is sent."""
    ws = open_raw(tenant, "ann")
    ws.send(text({"type": "typing.start", "room_id": room})
            + text({"type": "unsubscribe", "room_id": room})
            + text({"type": "ping"}))
    while True:
        got = ws.read_json()
        assert got["type"] not in ("ok", "error")
        if got["type"] == "pong":
            break
    assert "request_id" not in got
    ws.close()


@pytest.mark.parametrize("fields, code", [
    ({"content": "x"}, "forbidden"),
    ({"content": ""}, "invalid_request"),
    ({"content": 5}, "invalid_request"),
    ({"content": "x" * 16385}, "invalid_request"),
    ({"content": "x", "meta": "m" * 16383}, "invalid_request"),
    ({"content": "x", "client_msg_id": "i" * 129}, "invalid_request"),
], ids=lambda f: str(f)[:30])
def test_send_refused(tenant, room, fields, code):
    ws = open_raw(tenant, "eve" if code == "forbidden" else "ann")
    ws.send(text({"type": "send_message", "room_id": room,
                  "request_id": "r", **fields}))
    got = ws.read_json("error")
    assert got["code"] == code and got["request_id"] == "r"
    assert got["temporary"] is False
    assert tenant.user("ann").history(room) == []
    ws.close()


@pytest.mark.parametrize("type_, fields", [
    ("send_message", {"content": "x"}), ("ack", {"seq": 1}),
    ("typing.start", {}), ("subscribe", {"after_seq": 0})])
def test_rooms_of_others(tenant, server, room, type_, fields):
    """A room of another tenant is like one that does not exist."""
    from client import Tenant
    ws = open_raw(Tenant(server), "ann")
    answers = []
    for target in (room, "room_0123456789abcdefghjkmn"):
        ws.send(text({"type": type_, "room_id": target, "request_id": "r",
                      **fields}))
        got = ws.read_json("error")
        assert got["code"] == "not_found"
        answers.append(got)
    assert answers[0] == answers[1]
    ws.close()
    ws = open_raw(tenant, "eve")
    ws.send(text({"type": type_, "room_id": room, "request_id": "r",
                  **fields}))
    assert ws.read_json("error")["code"] == "forbidden"
    ws.close()
