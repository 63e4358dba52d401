# SPDX-License-Identifier: MIT
"""Connections of one user, counted over all workers."""
import asyncio
import time

import pytest

from chat import Chat, close_all
from client import Tenant
from harness import DEADLINE

MOST = 3


@pytest.fixture
def limited(start_server):
    return Tenant(start_server(
        workers=3, env={"WS_MAX_CONNECTIONS_PER_USER": str(MOST)}))


async def try_connect(tenant, user, slot):
    """A Chat with its welcome, or None when it was one too many."""
    c = await Chat.open(tenant, user, slot)
    await c.until_first()
    if c.log:
        assert c.log[0]["type"] == "welcome"
        return c
    assert await c.wait_closed() == 1008
    return None


async def test_the_new_one_is_closed(limited):
    """Accepted first, then 1008; the others do not notice."""
    held = [await try_connect(limited, "ann", slot=i) for i in range(MOST)]
    assert all(held)
    for slot in range(3):
        assert await try_connect(limited, "ann", slot) is None
    for c in held:
        await c.barrier()
    # Another user, and the same name at another tenant, are not meant.
    others = [await try_connect(limited, "bob", 0),
              await try_connect(Tenant(limited.server), "ann", 0)]
    assert all(others)
    await close_all(held + others)


async def test_a_disconnect_makes_room(limited):
    held = [await try_connect(limited, "ann", slot=0) for _ in range(MOST)]
    for way in ("close", "drop"):
        gone = held.pop()
        if way == "close":
            await gone.close()
        else:
            gone.ws.transport.abort()
            await gone.reader
        end = time.monotonic() + DEADLINE
        while True:
            again = await try_connect(limited, "ann", slot=2)
            if again:
                break
            assert time.monotonic() < end, "the place was never free again"
            await asyncio.sleep(0.02)
        held.append(again)
        assert await try_connect(limited, "ann", 1) is None
    await close_all(held)


async def test_raced_over_all_workers(limited):
    """Never more than the limit, whoever comes first."""
    tries = await asyncio.gather(
        *(try_connect(limited, "ann", i % 3) for i in range(15)))
    held = [c for c in tries if c]
    assert len(held) == MOST
    for c in held:
        await c.barrier()
    await close_all(held)


async def test_default_is_five(start_server):
    server = start_server(workers=2, launch=False)
    del server.env["WS_MAX_CONNECTIONS_PER_USER"]
    server.start()
    tenant = Tenant(server)
    held = [await try_connect(tenant, "ann", i % 2) for i in range(5)]
    assert all(held)
    assert await try_connect(tenant, "ann", 0) is None
    await close_all(held)
