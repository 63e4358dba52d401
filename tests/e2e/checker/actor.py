# SPDX-License-Identifier: MIT
"""A device while there is traffic: it keeps its connection, does what its
script says next, and treats the connection badly."""
import sys

from . import acts, looks
from .acts import MAY_FLY, PAUSE, room_at
from .web import Lost


async def act_subscribe(dev, a):
    room = room_at(dev, a.a)
    if room is None or not dev.online():
        return
    at = dev.cur.get(room.id, 0)
    if a.b < 0.8:
        after = max(0, at - int(60 * a.b ** 3))
    elif a.b < 0.9:
        after = at + int(20 * a.c)
    else:
        after = None
    try:
        await dev.subscribe(room, after, a.c < 0.6)
    except Lost:
        pass


async def act_stall(dev, a):
    """Reads nothing for a while."""
    conn = dev.conn
    if conn is None:
        return
    dev.world.journal(f"{dev.name} stalls")
    conn.flowing.clear()
    await dev.world.sleep(0.5 + 3 * a.a)
    conn.flowing.set()


async def act_drop(dev, a):
    """Gone without a word, and back soon."""
    dev.world.journal(f"{dev.name} drops its connection")
    await dev.hang_up()
    await dev.world.sleep(0.6 * a.a)


async def act_leave_net(dev, a):
    """Away for a time, perhaps for rounds."""
    dev.world.journal(f"{dev.name} goes away")
    await dev.hang_up()
    dev.away_until = dev.world.traffic_time() + 2 + 12 * a.a


async def act_mute(dev, a):
    """Unsubscribes from a room for a while, on this connection."""
    room, conn = room_at(dev, a.a), dev.conn
    feed = conn.feeds.get(room.id) if room is not None else None
    if feed is None or not dev.online() or not conn.synced or \
            feed.state != "in" or feed.resets:
        return
    try:
        answer = await conn.request("unsubscribe", room_id=room.id)
        if answer["type"] == "error":
            conn.expect(answer["code"] in ("forbidden", "not_found"),
                        lambda: f"unsubscribe was answered with {answer}")
            return
        feed.muted = conn.feeds.get(room.id) is feed
        await dev.world.sleep(2 * a.b)
        feed.muted = False
        await dev.subscribe(room, None, a.c < 0.7)
    except Lost:
        pass


async def act_ping(dev, a):
    conn = dev.conn
    if conn is None or not dev.online():
        return
    try:
        await conn.request("ping")
    except Lost:
        pass


ALONE = {"subscribe", "mute", "stall", "drop", "leave_net", "ping"}
TABLE = {name[4:]: f
         for module in (acts, looks, sys.modules[__name__])
         for name, f in vars(module).items() if name.startswith("act_")}


async def run(dev):
    """One device, for as long as there is traffic."""
    world = dev.world
    while world.traffic:
        if dev.away_until > world.traffic_time():
            await world.sleep(0.1)
            continue
        if not await dev.ensure():
            await world.sleep(PAUSE)
            continue
        action = dev.script.next()
        f = TABLE.get(action.kind)
        if f is not None and dev.busy < MAY_FLY:
            if action.kind in ALONE:
                await f(dev, action)
            else:
                world.spawn(dev, f(dev, action))
        await world.sleep(action.pause)
