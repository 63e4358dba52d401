# SPDX-License-Identifier: MIT
"""Clients written for other ChatAPI servers work unchanged: the documented
frames and requests, as three client libraries put them on the wire."""
import asyncio
import contextlib
import http.client
import json
import shutil

import aiohttp
import pytest
import websockets

import contract
from client import Tenant
from harness import DEADLINE, Server
from test_client_js import package

# Frames go in and out of node as lines.
BRIDGE = """
import { createInterface } from 'node:readline';
import WebSocket from 'ws';
const [url, headers] = process.argv.slice(2);
const ws = new WebSocket(url, [], { headers: JSON.parse(headers) });
ws.onopen = () => console.log('');
ws.onmessage = (event) => console.log(JSON.stringify(event.data));
ws.onclose = () => process.exit(0);
ws.onerror = (error) => console.error(error.message);
createInterface({ input: process.stdin })
  .on('line', (line) => ws.send(JSON.parse(line)))
  .on('close', () => ws.close());
"""


class NodeWs:
    """The package ws: new WebSocket(url, [], { headers })."""

    async def open(self, url, headers):
        script = package() / "bridge.mjs"
        script.write_text(BRIDGE, encoding="utf-8")
        self.process = await asyncio.create_subprocess_exec(
            "node", str(script), url, json.dumps(headers),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        assert await self.process.stdout.readline() == b"\n", "refused"

    async def send(self, text):
        self.process.stdin.write(json.dumps(text).encode() + b"\n")
        await self.process.stdin.drain()

    async def recv(self):
        line = await self.process.stdout.readline()
        assert line, "the connection ended"
        return json.loads(line)

    async def close(self):
        self.process.stdin.close()
        await self.process.wait()


class Websockets:
    """websockets.connect(url, extra_headers=…)"""

    async def open(self, url, headers):
        self.ws = await websockets.connect(url, extra_headers=headers)

    async def send(self, text):
        await self.ws.send(text)

    async def recv(self):
        return await self.ws.recv()

    async def close(self):
        await self.ws.close()


class Aiohttp:
    """session.ws_connect(url, headers=…)"""

    async def open(self, url, headers):
        self.session = aiohttp.ClientSession()
        self.ws = await self.session.ws_connect(url, headers=headers)

    async def send(self, text):
        await self.ws.send_str(text)

    async def recv(self):
        return await self.ws.receive_str()

    async def close(self):
        await self.ws.close()
        await self.session.close()


def flat(type_, fields):
    return json.dumps({"type": type_, **fields})


def in_data(type_, fields):
    return json.dumps({"type": type_, "data": fields})


def gorilla(type_, fields):
    """What WriteJSON makes of a map: sorted, with a line feed."""
    return json.dumps({"type": type_, **fields}, sort_keys=True,
                      separators=(",", ":")) + "\n"


class Client:
    """Sends in one form; reads everything, looks for what it wants."""

    def __init__(self, link, form):
        self.link = link
        self.form = form
        self.seen = contract.Seen()

    async def send(self, type_, **fields):
        await self.link.send(self.form(type_, fields))

    async def hear(self, type_, **fields):
        async def look():
            while True:
                frame = json.loads(await self.link.recv())
                self.seen.check(frame)
                assert frame["type"] != "error", frame
                if frame["type"] == type_ and all(
                        frame.get(k) == v for k, v in fields.items()):
                    return frame
        return await asyncio.wait_for(look(), DEADLINE)


def by_headers(tenant, user):
    """A server's client; names of headers as Go writes them."""
    return "", {"X-Api-Key": tenant.key, "X-User-Id": user}


def by_token(tenant, user):
    """A browser's: a token got with headers and without a body."""
    answer = tenant.user(user).call("POST", "/ws/token").expect(200)
    return "?token=" + answer["token"], {}


@contextlib.asynccontextmanager
async def connected(library, style, form, tenant, user):
    query, headers = style(tenant, user)
    link = library()
    await link.open(f"ws://127.0.0.1:{tenant.server.port}/ws{query}", headers)
    try:
        yield Client(link, form)
    finally:
        await link.close()


def node_is_there():
    return shutil.which("node") and shutil.which("npm")


LIBRARIES = [pytest.param(NodeWs, marks=pytest.mark.skipif(
    not node_is_there(), reason="node or npm is missing")),
    Websockets, Aiohttp]
ALL = [(style, form) for style in (by_headers, by_token)
       for form in (flat, in_data, gorilla)]


@pytest.fixture(scope="module")
def own():
    """A server on which who goes is soon offline."""
    server = Server(workers=2, env={"PRESENCE_GRACE": "200ms"})
    try:
        server.start()
        yield server
        server.stop()
    finally:
        server.destroy()
        server.remove()


@pytest.mark.parametrize("style, form", ALL)
@pytest.mark.parametrize("library", LIBRARIES)
async def test_documented_frames(own, library, style, form):
    tenant = Tenant(own)
    as_alice = tenant.user("alice")
    room = as_alice.post("/rooms", {
        "type": "dm", "members": ["alice", "bob"]}).expect(201)["room_id"]
    async with connected(library, style, form, tenant, "alice") as alice:
        await alice.hear("sync.complete")
        async with connected(library, style, form, tenant, "bob") as bob:
            await alice.hear("presence.update", user_id="bob",
                             status="online")
            await bob.hear("sync.complete")
            await bob.send("subscribe", room_id=room)

            for meta in ({"type": "text", "mentions": ["bob"]},
                         '{"type":"text","mentions":["bob"]}'):
                await alice.send("send_message", room_id=room,
                                 content="Hello, world!", meta=meta)
                got = await bob.hear("message")
                assert set(got) == {"type", "room_id", "message_id", "seq",
                                    "sender_id", "content", "meta",
                                    "created_at"}
                assert (got["room_id"], got["sender_id"], got["content"],
                        got["meta"]) == (room, "alice", "Hello, world!", meta)
            assert got["seq"] == 2

            await bob.send("ack", room_id=room, seq=2)
            for one in (alice, bob):
                await one.hear("ack.received", room_id=room, seq=2,
                               user_id="bob")
            for action in ("start", "stop"):
                await bob.send(f"typing.{action}", room_id=room)
                await alice.hear("typing", room_id=room, user_id="bob",
                                 action=action)
            tenant.backend().post("/notify", {
                "topic": "order.shipped", "payload": {"order_id": "12345"},
                "targets": {"user_ids": ["bob"]}}).expect(202)
            await bob.hear("notification", topic="order.shipped",
                           payload={"order_id": "12345"})
        await alice.hear("presence.update", user_id="bob", status="offline")
        # What he missed is sent when he is back, without being asked for.
        await alice.send("send_message", room_id=room, content="missed")
        await alice.hear("message", seq=3)
        async with connected(library, style, form, tenant, "bob") as bob:
            assert (await bob.hear("message"))["content"] == "missed"


@pytest.mark.parametrize("library", LIBRARIES)
async def test_clients_that_come_back(start_server, library):
    """At the server's end each is told when, and closed."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    async with connected(library, by_headers, flat, tenant, "alice") as alice:
        await alice.hear("sync.complete")
        server.process.terminate()
        told = await alice.hear("server.shutdown")
        assert told["reconnect_after_ms"] >= 0
        server.wait_exit()
    server.start()
    async with connected(library, by_headers, flat, tenant, "alice") as alice:
        await alice.hear("welcome")


async def test_documented_requests(own):
    """As fetch, requests and net/http send them, here through aiohttp."""
    tenant = Tenant(own)
    base = f"http://127.0.0.1:{own.port}"
    headers = {"x-api-key": tenant.key, "x-user-id": "user1",
               "Content-Type": "application/json; charset=utf-8"}

    async with aiohttp.ClientSession(headers=headers) as session:
        async def call(method, path, status, body=None):
            async with session.request(
                    method, base + path,
                    data=None if body is None else json.dumps(body)) as r:
                assert r.status == status, await r.text()
                return await r.json()

        room = await call("POST", "/rooms", 201, {
            "type": "dm", "members": ["user1", "user2"]})
        assert {"room_id", "type", "unique_key", "name", "last_seq",
                "created_at"} <= set(room)
        assert room["name"] is None and room["last_seq"] == 0
        path = f"/rooms/{room['room_id']}"
        group = await call("POST", "/rooms", 201, {
            "type": "group", "members": ["user1", "user2"],
            "name": "Team Chat"})
        assert group["name"] == "Team Chat"
        members = await call("GET", path + "/members", 200)
        assert [set(m) for m in members["members"]] == \
            [{"user_id", "role", "joined_at"}] * 2

        sent = await call("POST", path + "/messages", 201, {
            "content": "Hello, world!", "meta": {"mentions": ["user2"]}})
        assert {"message_id", "seq", "created_at"} <= set(sent)
        for seq in (2, 3):
            await call("POST", path + "/messages", 201, {"content": str(seq)})
        page = await call("GET", path + "/messages?after_seq=1&limit=1", 200)
        assert [m["seq"] for m in page["messages"]] == [2]
        assert (await call("GET", path, 200))["last_seq"] == 3
        await call("POST", "/acks", 200, {
            "room_id": room["room_id"], "seq": 3})

        for targets in ({"user_ids": ["user1", "user2"]},
                        {"room_id": room["room_id"]},
                        {"topic_subscribers": True}, None):
            body = {"topic": "order.shipped",
                    "payload": '{"order_id":"12345"}'}
            if targets is not None:
                body["targets"] = targets
            told = await call("POST", "/notify", 202, body)
            assert {"notification_id", "created_at"} <= set(told)
        health = await call("GET", "/health", 200)
        assert {"status", "service", "uptime", "db_writable"} <= set(health)


def test_a_key_in_the_url_is_refused_with_advice(own):
    """The one documented way that no longer works says what does."""
    tenant = Tenant(own)
    http_ = http.client.HTTPConnection("127.0.0.1", own.port)
    http_.request("GET", f"/ws?api_key={tenant.key}&user_id=alice", headers={
        "Connection": "Upgrade", "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    answer = http_.getresponse()
    said = json.loads(answer.read())
    assert answer.status == 401
    assert "X-API-Key" in said["message"] or "token" in said["message"], said
    http_.close()
