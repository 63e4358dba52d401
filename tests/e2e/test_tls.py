# SPDX-License-Identifier: MIT
"""HTTPS and WebSockets over TLS."""
import asyncio
import json
import ssl

import aiohttp
import websockets

from chat import Chat
from client import Tenant
from harness import DEADLINE, until
from tls import Authority, tls_server


async def test_https_and_wss(start_server, tmp_path):
    """REST and WebSocket with the certificate verified, by two clients."""
    ca = Authority(tmp_path)
    server = tls_server(start_server, ca)
    tenant = Tenant(server)
    base = f"localhost:{server.tls_port}"
    async with aiohttp.ClientSession() as s:
        async with s.get(f"https://{base}/health", ssl=ca.context()) as r:
            assert r.status == 200
            assert (await r.json())["status"] == "ok"
        async with s.post(f"https://{base}/rooms", ssl=ca.context(),
                          headers=tenant.headers(),
                          json={"type": "group",
                                "members": ["ann", "bob"]}) as r:
            assert r.status == 201
            room = (await r.json())["room_id"]
    ann = await Chat.connect(tenant, "ann", tls=ca.context())
    bob = await Chat.connect(tenant, "bob")
    await bob.say(room, "over the plain port")
    await ann.wait_seq(room, 1)
    await ann.say(room, "over TLS")
    await bob.wait_seq(room, 2)
    async with aiohttp.ClientSession() as s:
        async with s.ws_connect(f"wss://{base}/ws", ssl=ca.context(),
                                headers=tenant.headers("bob")) as ws:
            got = await ws.receive_json(timeout=DEADLINE)
            assert got["type"] == "welcome"
    await ann.close()
    await bob.close()
