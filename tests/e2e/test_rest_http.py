# SPDX-License-Identifier: MIT
"""HTTP itself: what is too large, malformed, piecemeal or old."""
import errno
import json
import socket
import threading

import pytest

from client import ERROR_STATUS
from raw import Closed, Raw


@pytest.fixture
def room(tenant):
    return tenant.user("ann").make_room(["bob"])["room_id"]


@pytest.fixture
def head(tenant):
    """Identity headers as they go over the line."""
    return "".join(f"{k}: {v}\r\n"
                   for k, v in tenant.headers("ann").items())


def refusal(answer, status, code=None):
    got, headers, body = answer
    assert got == status, answer
    assert headers["content-type"].startswith("application/json"), answer
    out = json.loads(body)
    assert ERROR_STATUS[out["error"]] == status, out
    assert code is None or out["error"] == code
    assert out["message"] and out["request_id"] == headers["x-request-id"]
    return out


def ask(server, data):
    raw = Raw(server)
    raw.send(data if isinstance(data, bytes) else data.encode("latin-1"))
    try:
        return raw.reply()
    finally:
        raw.close()


# ---- too large ----

def padded(obj, size):
    """JSON text of exactly that many bytes."""
    text = json.dumps({**obj, "pad": ""})
    return json.dumps({**obj, "pad": "p" * (size - len(text))}).encode()


def test_body_of_64_kib(tenant, room):
    ann = tenant.user("ann")
    path = f"/rooms/{room}/messages"
    ann.post(path, raw=padded({"content": "x"}, 65536)).expect(201)
    ann.post(path, raw=padded({"content": "x"}, 65537)).error(
        413, "payload_too_large")
    assert len(tenant.user("ann").history(room)) == 1


def test_body_of_256_kib_for_rooms_and_members(tenant, room):
    for path, body in (("/rooms", {"type": "group", "members": ["a"]}),
                       (f"/rooms/{room}/members", {"user_id": "c"})):
        ann = tenant.user("ann")
        assert ann.post(path, raw=padded(body, 262144)).status in (200, 201)
        ann.post(path, raw=padded(body, 262145)).error(413)


def hang_up(raw):
    """Wakes who is sending on it."""
    try:
        raw.sock.shutdown(socket.SHUT_RDWR)
    except OSError as e:
        # The server has: it reads what comes after its answer for 2 s.
        if e.errno != errno.ENOTCONN:
            raise


def test_body_of_megabytes(server, room, head):
    """The client reads its 413 whether or not all could be sent."""
    size = 8 << 20
    raw = Raw(server)
    raw.send((f"POST /rooms/{room}/messages HTTP/1.1\r\nHost: x\r\n{head}"
              f"Content-Type: application/json\r\n"
              f"Content-Length: {size}\r\n\r\n").encode())

    def push():
        try:
            for _ in range(size // 65536):
                raw.sock.sendall(b" " * 65536)
        except OSError:
            pass

    sender = threading.Thread(target=push)
    sender.start()
    try:
        refusal(raw.reply(), 413, "payload_too_large")
    finally:
        hang_up(raw)
        sender.join()
        raw.close()


@pytest.mark.parametrize("length", [
    "1048577", "10000000000", "  \t99999999999999999", "18446744073709551616"])
@pytest.mark.parametrize("method", ["POST", "GET", "HEAD", "PUT"])
def test_a_body_that_is_only_announced(server, room, head, method, length):
    """Refused by its headers: nobody waits for what never comes."""
    answer = ask(server, (
        f"{method} /rooms/{room}/messages HTTP/1.1\r\nHost: x\r\n"
        f"{head}Content-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"))
    if len(length.strip()) < 20:
        refusal(answer, 413, "payload_too_large")
    else:
        # More than a length can say: too long or malformed, both are true.
        assert answer[0] in (400, 413)
    assert ask(server, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n")[0] == 200


def test_chunked_body_without_end(server, room, head):
    raw = Raw(server)
    raw.send((f"POST /rooms/{room}/messages HTTP/1.1\r\nHost: x\r\n{head}"
              "Content-Type: application/json\r\n"
              "Transfer-Encoding: chunked\r\n\r\n").encode())

    def push():
        try:
            for _ in range(128):
                raw.sock.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        except OSError:
            pass

    sender = threading.Thread(target=push)
    sender.start()
    try:
        refusal(raw.reply(), 413, "payload_too_large")
    finally:
        hang_up(raw)
        sender.join()
        raw.close()


def test_chunked_body(server, room, head):
    status, _, body = ask(server, (
        f"POST /rooms/{room}/messages HTTP/1.1\r\nHost: x\r\n{head}"
        "Content-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
        "5\r\n{\"con\r\nb\r\ntent\":\"hi\"}\r\n0\r\n\r\n"))
    assert status == 201 and json.loads(body)["content"] == "hi"


def test_expect_continue(server, room, head):
    raw = Raw(server)
    raw.send((f"POST /rooms/{room}/messages HTTP/1.1\r\nHost: x\r\n{head}"
              "Content-Type: application/json\r\nContent-Length: 15\r\n"
              "Expect: 100-continue\r\n\r\n").encode())
    assert raw.reply()[0] == 100
    raw.send(b'{"content":"x"}')
    assert raw.reply()[0] == 201


def test_request_line_of_more_than_2_kib(server, head):
    # "GET " + path + " HTTP/1.1" is the line.
    for size, ok in ((2000, True), (2100, False)):
        line = f"GET /rooms?x={'y' * (size - 22)} HTTP/1.1"
        assert len(line) == size
        answer = ask(server, f"{line}\r\nHost: x\r\n{head}\r\n")
        if ok:
            assert answer[0] == 200
        else:
            refusal(answer, 400, "invalid_request")


def test_headers_without_end(server, head):
    raw = Raw(server)
    raw.send(f"GET /rooms HTTP/1.1\r\nHost: x\r\n{head}".encode())

    def push():
        try:
            for i in range(2000):
                raw.sock.sendall(f"X-{i}: {'v' * 1000}\r\n".encode())
        except OSError:
            pass

    sender = threading.Thread(target=push)
    sender.start()
    try:
        refusal(raw.reply(), 400, "invalid_request")
    except Closed:
        pass    # cut off in the middle of sending: refused as well
    finally:
        raw.close()
        sender.join()


# ---- malformed ----

@pytest.mark.parametrize("request_text", [
    "nonsense\r\n\r\n",
    "GET\r\n\r\n",
    "GET /rooms\r\nHost: x\r\n\r\n",
    "GET /rooms HTTP/1.1\r\n\r\n",
    "GET /rooms HTTP/9.9\r\nHost: x\r\n\r\n",
    "GET /rooms FTP/1.1\r\nHost: x\r\n\r\n",
    "GET /rooms HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n",
    "GET /rooms HTTP/1.1\r\nHost: x\r\n: empty name\r\n\r\n",
    "POST /acks HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    "Content-Length: 3\r\n\r\n{}",
    "POST /acks HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "POST /acks HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    "POST /acks HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /acks HTTP/1.1\r\nHost: x\r\n"
    "Transfer-Encoding: gzip\r\n\r\n",
    "POST /acks HTTP/1.1\r\nHost: x\r\n"
    "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET rooms HTTP/1.1\r\nHost: x\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
], ids=lambda t: repr(t)[:50])
def test_malformed(server, request_text):
    refusal(ask(server, request_text), 400, "invalid_request")


def test_method_nobody_knows(server):
    status, headers, body = ask(
        server, "BREW /rooms HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status in (400, 405)
    refusal((status, headers, body), status)


def test_silence_after_half_a_request_costs_nobody(tenant, server, head):
    """Others are answered while many requests are unfinished."""
    held = []
    for i in range(100):
        raw = Raw(server)
        raw.send(f"POST /acks HTTP/1.1\r\nHost: x\r\n{head}"[:20 + i]
                 .encode())
        held.append(raw)
    tenant.user("ann").get("/rooms").expect(200)
    for raw in held:
        raw.close()


# ---- pieces ----

def test_byte_by_byte(server, room, head):
    raw = Raw(server)
    data = (f"POST /rooms/{room}/messages HTTP/1.1\r\nHost: x\r\n{head}"
            "Content-Type: application/json\r\nContent-Length: 15\r\n\r\n"
            '{"content":"x"}').encode()
    for i in range(len(data)):
        raw.send(data[i:i + 1])
    assert raw.reply()[0] == 201


def test_pipelined_requests(server, room, head):
    """Answered in their order."""
    raw = Raw(server)
    data = b""
    for i in range(20):
        body = json.dumps({"content": str(i)})
        data += (f"POST /rooms/{room}/messages HTTP/1.1\r\nHost: x\r\n{head}"
                 "Content-Type: application/json\r\n"
                 f"Content-Length: {len(body)}\r\n\r\n{body}").encode()
    raw.send(data)
    got = [raw.reply() for _ in range(20)]
    assert [a[0] for a in got] == [201] * 20
    assert [json.loads(a[2])["seq"] for a in got] == list(range(1, 21))


def test_http_1_0(server, head):
    raw = Raw(server)
    raw.send(f"GET /rooms HTTP/1.0\r\n{head}\r\n".encode())
    assert raw.reply()[0] == 200
    raw.wait_eof()


def test_connection_close(server, head):
    raw = Raw(server)
    raw.send(f"GET /rooms HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
             f"{head}\r\n".encode())
    assert raw.reply()[0] == 200
    raw.wait_eof()


def test_client_gone_before_its_answer(tenant, server, room, head):
    """Its message is stored once or not at all, and nothing breaks."""
    body = '{"content":"gone"}'
    for _ in range(50):
        raw = Raw(server)
        raw.send((f"POST /rooms/{room}/messages HTTP/1.1\r\nHost: x\r\n"
                  f"{head}Content-Type: application/json\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
        raw.close()
    tenant.user("ann").say(room, "here")
    got = tenant.user("ann").history(room)
    assert [m["seq"] for m in got] == list(range(1, len(got) + 1))
