# SPDX-License-Identifier: MIT
"""Time limits of tens of seconds: run by `make check-long`."""
import socket
import time

import pytest

from chat import Chat
from harness import DEADLINE
from raw import CLOSE, PING, PONG, Closed, Raw, frame, open_raw

pytestmark = pytest.mark.long


def ended(raw, limit):
    """Seconds until the server closed the connection."""
    began = time.monotonic()
    try:
        while True:
            raw.fill(limit - (time.monotonic() - began))
    except Closed:
        return time.monotonic() - began


def test_heartbeat(tenant):
    """A ping comes when nothing else does."""
    ws = open_raw(tenant, "ann")
    ws.read_json("sync.complete")
    began = time.monotonic()
    ws.sock.settimeout(60)
    while True:
        _, opcode, payload = _frame(ws)
        if opcode == PING:
            break
    took = time.monotonic() - began
    assert 15 < took < 25 + DEADLINE / 2
    ws.send(frame(PONG, payload))
    ws.close()


def _frame(ws):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if len(ws.buf) >= 2:
            return ws.read_frame()
        ws.fill(60)
    raise AssertionError("no frame in a minute")


async def test_silent_reader_stays(tenant):
    """One who says nothing for 70 s but takes his pings is not closed."""
    chat = await Chat.connect(tenant, "ann")
    began = time.monotonic()
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    bob = tenant.user("bob")
    import asyncio
    while time.monotonic() - began < 70:
        await asyncio.sleep(5)
        assert chat.open_now
    bob.say(room, "still there?")
    await chat.wait("message", room_id=room)
    await chat.close()


def test_who_takes_nothing_is_closed(tenant):
    """A member that has stopped reading for good is let go after 60 s."""
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    stalled = open_raw(tenant, "bob", rcvbuf=4096)
    ann = tenant.user("ann")
    for _ in range(100):
        ann.say(room, "x" * 16000)
    began = time.monotonic()
    port = stalled.sock.getsockname()[1]
    while tenant.server._server_side(port) is not None:
        assert time.monotonic() - began < 150, "it was never closed"
        time.sleep(0.5)
    assert time.monotonic() - began > 30
    stalled.close()


def test_headers_are_not_waited_for_longer(server):
    """15 s, even if a byte comes now and then."""
    quiet, busy = Raw(server), Raw(server)
    began = time.monotonic()
    quiet.send(b"GET /health HTTP/1.1\r\nHost: x\r\n")
    busy.send(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    while time.monotonic() - began < 40:
        try:
            busy.send(b"a")
            busy.sock.settimeout(1)
            if not busy.sock.recv(4096):
                break
        except socket.timeout:
            continue
        except OSError:
            break
    assert 10 < time.monotonic() - began < 30
    assert ended(quiet, 30) < 30


def test_body_is_not_waited_for_longer(tenant, server):
    raw = Raw(server)
    head = "".join(f"{k}: {v}\r\n" for k, v in tenant.headers("ann").items())
    raw.send(f"POST /rooms HTTP/1.1\r\nHost: x\r\n{head}Content-Type: "
             "application/json\r\nContent-Length: 100\r\n\r\n{".encode())
    assert 30 < ended(raw, 120) < 100


def test_close_is_not_waited_for_forever(tenant):
    """A client that does not answer our close is cut off."""
    ws = open_raw(tenant, "ann")
    ws.send(frame(3))
    ws.read_opcode(CLOSE)
    assert ended(ws, 60) < 60
