# SPDX-License-Identifier: MIT
"""What devices do.

An operation goes on until it is answered, however often its answer is
lost; then the answer must be one that the truth allows.
"""
import asyncio
import time

from .plan import ROOM_WEIGHT
from .web import Lost, call

PAUSE = 0.05
MAY_FLY = 12        # operations of one device at a time


class Until:
    """Retries of one operation, which must end some time."""

    def __init__(self, world, what):
        self.world = world
        self.what = what
        self.end = time.monotonic() + world.limit

    async def again(self, why):
        self.world.report.expect(
            time.monotonic() < self.end,
            lambda: f"{self.what} was not answered; at last: {why!r}")
        await asyncio.sleep(PAUSE)


async def rest(dev, method, path, body=None, abandon=False, backend=False):
    """One request as the device's user.  There is always an answer, but
    from a worker that was killed; and no reason to refuse for a time."""
    world, tenant = dev.world, dev.tenant
    headers = tenant.api.headers(None if backend else dev.user)
    since, began = world.report.step(), time.monotonic()
    try:
        answer = await call(world.port, method, path, headers, body,
                            abandon)
    except Lost as e:
        world.report.expect(
            abandon or world.faults.excuse(None, since),
            lambda: f"{method} {path} had no answer ({e}) after "
            f"{time.monotonic() - began:.1f} s; no worker had been killed; "
            f"{world.faults.processes()}")
        raise
    world.report.expect(
        answer.status < 500,
        lambda: f"{method} {path} was answered with {answer}")
    return answer


def ws_code(conn, answer, what):
    """The code of an error frame; there is no reason for a temporary
    one."""
    conn.expect(not answer["temporary"],
                lambda: f"{what} was answered with {answer}")
    return answer["code"]


def room_at(dev, x, wanted=lambda room: True):
    """One of the rooms he is in, by a share of 1; None if in none."""
    rooms = [r for r in dev.tenant.rooms
             if r.alive() and dev.user in r.pairs and
             r.pairs[dev.user].state == "in" and wanted(r)]
    x *= sum(ROOM_WEIGHT.get(r.plan.key, 2) for r in rooms)
    for room in rooms:
        x -= ROOM_WEIGHT.get(room.plan.key, 2)
        if x < 0:
            return room
    return None


def own_at(dev, room, x):
    """One of his own messages that have been answered, newer ones more
    often; None without any."""
    own = [s for s in room.sends if s.user == dev.user and s.told and
           s.seq >= room.first]
    return own[int(len(own) * (1 - x * x)) - 1] if own else None


def refusal_of(world, dev, room, code, since, what):
    """A refusal must have a reason."""
    pair = room.pair(dev.user)
    if code == "forbidden":
        world.report.expect(
            not pair.sure("in", since),
            lambda: f"{what} was forbidden; {dev.user} is a member of "
            f"{room} since tick {pair.tick}")
    elif code == "not_found":
        world.report.expect(
            room.deleting is not None,
            lambda: f"{what}: {room} was not found")
    else:
        world.report.fail(f"{what} was refused with {code}")


# ---- sending ----

def new_send(dev, room, b, meta=None, size=None):
    dev.numbers += 1
    cmid = f"{dev.name}.{dev.numbers}"
    if size is None:
        size = int(2000 * b ** 6)
    if meta is None and b < 0.2:
        meta = {"n": dev.numbers, "list": [1.5, None, "\u00e9\u0000"]}
    return dev.world.truth.begin_send(
        cmid, room, dev.user, f"{cmid} " + "x" * size, meta)


def _body(send):
    body = {"content": send.content, "client_msg_id": send.cmid}
    if send.meta is not None:
        body["meta"] = send.meta
    return body


async def _send_ws(dev, send):
    conn = dev.conn
    answer = await conn.request("send_message", room_id=send.room.id,
                                **_body(send))
    if answer["type"] == "error":
        return ws_code(conn, answer, f"send of {send}")
    conn.expect(answer["type"] == "message.sent",
                lambda: f"{send} was answered with {answer}")
    dev.world.truth.told(send, answer, not answer["duplicate"], conn)
    return None


async def _send_rest(dev, send, abandon=False):
    answer = await rest(dev, "POST", f"/rooms/{send.room.id}/messages",
                        _body(send), abandon)
    if answer.code is not None:
        return answer.code
    dev.world.truth.told(send, answer.json, answer.status == 201)
    dev.world.truth.shown(send.room, answer.json)
    return None


async def settle(dev, send, by_ws, abandon=False):
    """Sends it until it is answered."""
    world = dev.world
    until = Until(world, f"send of {send}")
    while True:
        since = world.report.tick
        try:
            if by_ws and dev.online():
                code = await _send_ws(dev, send)
            else:
                code = await _send_rest(dev, send, abandon)
            break
        except Lost as e:
            send.lost = send.lost or e.sent
            abandon = False
            by_ws = not by_ws
            await until.again(e)
    world.report.step()
    if code is not None:
        refusal_of(world, dev, send.room, code, since, f"send of {send}")
        if not send.told:
            send.refused = code
    else:
        world.count("messages sent")


async def act_send(dev, a):
    room = room_at(dev, a.a)
    if room is not None:
        await settle(dev, new_send(dev, room, a.b), a.c < 0.7)


async def act_burst(dev, a):
    """Many large ones at once, so that somebody becomes a slow reader."""
    room = room_at(dev, a.a)
    if room is None:
        return
    n = 6 + int(18 * a.b) if not dev.world.slow else 6
    await asyncio.gather(*(
        settle(dev, new_send(dev, room, 0.5, size=int(8000 * a.c)), True)
        for _ in range(n)))


async def act_race(dev, a):
    """The same one on several connections, so on several workers."""
    room = room_at(dev, a.a)
    if room is not None:
        send = new_send(dev, room, a.b)
        await asyncio.gather(*(settle(dev, send, i == 0)
                               for i in range(2 + int(4 * a.c))))


async def act_abandon(dev, a):
    """The first answer is not waited for."""
    room = room_at(dev, a.a)
    if room is not None:
        await settle(dev, new_send(dev, room, a.b), False, abandon=True)


async def act_again(dev, a):
    """An old one is repeated: nothing is stored, and it is shown as it
    now stands."""
    room = room_at(dev, a.a)
    send = own_at(dev, room, a.b) if room else None
    if send is not None:
        await settle(dev, send, a.c < 0.5)


async def act_conflict(dev, a):
    """An old client_msg_id with something else in it."""
    world, room = dev.world, room_at(dev, a.a)
    send = own_at(dev, room, a.b) if room else None
    if send is None:
        return
    body = _body(send)
    if a.c < 0.5:
        body["content"] += " and more"
    else:
        body["meta"] = {"other": send.meta}
    until = Until(world, f"conflict with {send}")
    while True:
        since = world.report.tick
        try:
            if int(a.c * 10) % 2 and dev.online():
                answer = await dev.conn.request(
                    "send_message", room_id=room.id, **body)
                code = answer.get("code", "none")
            else:
                answer = await rest(
                    dev, "POST", f"/rooms/{room.id}/messages", body)
                code = answer.code
            break
        except Lost as e:
            await until.again(e)
    if code != "conflict":
        refusal_of(world, dev, room, code, since, f"conflict with {send}")


# ---- changing ----

async def change(dev, send, method, body=None, backend=False):
    """PUT or DELETE of a message until it is answered."""
    world = dev.world
    what = f"{method} of {send}"
    path = f"/rooms/{send.room.id}/messages/{send.id}"
    until, lost = Until(world, what), False
    world.journal(f"{what} by {'backend' if backend else dev.name}")
    while True:
        since = world.report.tick
        try:
            answer = await rest(dev, method, path, body, backend=backend)
            break
        except Lost as e:
            lost = lost or e.sent
            await until.again(e)
    world.report.step()
    if answer.status == 409:
        world.report.expect(
            method == "PUT" and send.deleting is not None,
            lambda: f"{what} was answered with {answer}")
    elif answer.code is not None:
        if backend:
            world.report.expect(
                send.room.deleting is not None,
                lambda: f"{what} was answered with {answer}")
        else:
            refusal_of(world, dev, send.room, answer.code, since, what)
    return answer, lost


async def edit(dev, send, size):
    world = dev.world
    async with send.lock:
        send.edits += 1
        content = f"{send.cmid} e{send.edits} " + "y" * size
        send.versions[content] = world.report.step()
        before = set(send.possible)
        send.possible.add(content)
        answer, lost = await change(dev, send, "PUT", {"content": content})
        if answer.status == 200:
            send.possible = {content}
            world.truth.shown(send.room, answer.json)
            world.report.expect(
                answer.json["content"] == content and
                "edited_at" in answer.json,
                lambda: f"an edit of {send} was answered with {answer}")
            world.count("edits")
        elif not lost:
            send.possible = before


async def act_edit(dev, a):
    room = room_at(dev, a.a)
    send = own_at(dev, room, a.b) if room else None
    if send is not None and not send.lock.locked():
        await edit(dev, send, int(500 * a.c ** 3))


async def act_spree(dev, a):
    """Changes many at once, more than a page of changes holds; who is
    away meanwhile has them all to catch up with."""
    room = room_at(dev, a.a)
    own = [s for s in room.sends if s.user == dev.user and s.told and
           s.seq >= room.first and not s.lock.locked()] if room else []
    count = 8 if dev.world.slow else 20 + int(20 * a.b)
    for i in range(0, min(count, len(own)), 5):
        await asyncio.gather(*(edit(dev, s, int(2500 * a.c))
                               for s in own[-count:][i:i + 5]))


async def delete(dev, send, backend=False):
    world = dev.world
    async with send.lock:
        send.deleting = send.deleting or world.report.step()
        answer, lost = await change(dev, send, "DELETE", backend=backend)
        if answer.status == 204:
            send.deleted = "yes"
            world.count("deletes")
        elif lost and send.deleted == "no":
            send.deleted = "maybe"


async def act_delete(dev, a):
    room = room_at(dev, a.a)
    send = own_at(dev, room, a.b) if room else None
    if send is not None and not send.lock.locked():
        await delete(dev, send)


async def act_foreign(dev, a):
    """Nobody changes another's message."""
    world, room = dev.world, room_at(dev, a.a)
    others = [s for s in room.sends if s.user != dev.user and s.told and
              s.seq >= room.first] if room else []
    if not others:
        return
    send = others[int(a.b * len(others))]
    method = "PUT" if a.c < 0.5 else "DELETE"
    body = {"content": "not his"} if method == "PUT" else None
    path = f"/rooms/{room.id}/messages/{send.id}"
    until = Until(world, f"foreign {method} of {send}")
    while True:
        try:
            answer = await rest(dev, method, path, body)
            break
        except Lost as e:
            await until.again(e)
    world.report.expect(
        answer.status == 403 or room.deleting is not None or
        (answer.status == 404 and not room.alive()),
        lambda: f"{dev.user}'s {method} of {send} was answered with "
        f"{answer}")


# ---- cursors and hints ----

async def act_ack(dev, a):
    world, room = dev.world, room_at(dev, a.a)
    if room is None:
        return
    at = dev.cur.get(room.id, 0)
    if a.b < 0.2:
        seq = int(at * a.b * 5)         # backwards: no effect
    elif a.b < 0.23:
        seq = room.head + 1000          # counts as the head
    else:
        seq = at
    until = Until(world, f"ack {seq} in {room} by {dev.name}")
    while True:
        since = world.report.tick
        at_least = world.truth.begin_ack(room, dev.user, seq)
        try:
            if a.c < 0.7 and dev.online():
                code, cursor = await _ack_ws(dev, room, seq)
            else:
                answer = await rest(dev, "POST", "/acks",
                                    {"room_id": room.id, "seq": seq})
                code = answer.code
                cursor = None if code else answer.json["seq"]
            break
        except Lost as e:
            await until.again(e)
    if code is not None:
        refusal_of(world, dev, room, code, since, until.what)
    else:
        world.truth.acked(room, dev.user, at_least, cursor, dev.conn)
        world.count("acks")


async def _ack_ws(dev, room, seq):
    conn = dev.conn
    answer = await conn.request("ack", room_id=room.id, seq=seq)
    if answer["type"] == "error":
        return ws_code(conn, answer, "an ack"), None
    conn.expect(
        answer["type"] == "ack.received" and
        (answer["room_id"], answer["user_id"]) == (room.id, dev.user),
        lambda: f"an ack was answered with {answer}")
    return None, answer["seq"]


async def act_typing(dev, a):
    room = room_at(dev, a.a)
    if room is None or not dev.online():
        return
    since = dev.world.report.tick
    dev.world.truth.typed.add((room, dev.user))
    try:
        answer = await dev.conn.request(
            "typing.start" if a.b < 0.7 else "typing.stop",
            room_id=room.id)
    except Lost:
        return
    if answer["type"] == "error":
        refusal_of(dev.world, dev, room, answer["code"], since, "typing")
