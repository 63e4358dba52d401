# SPDX-License-Identifier: MIT
"""What devices read by REST: pages of history and lists of rooms."""
from .acts import refusal_of, rest, room_at
from .web import Lost


async def act_page(dev, a):
    """A page of history: dense, rising, and of what was sent."""
    world = dev.world
    room = room_at(dev, a.a)
    if room is None:
        return
    first = room.first
    limit = 1 + int(a.c * 100)
    at = first - 1 + int(a.b * (room.head - first + 3))
    back = int(a.c * 1000) % 2
    head, since = room.head, world.report.tick
    try:
        answer = await rest(
            dev, "GET", f"/rooms/{room.id}/messages?limit={limit}&"
            + ("before_seq=" if back else "after_seq=") + str(at))
    except Lost:
        return
    if answer.code is not None:
        refusal_of(world, dev, room, answer.code, since, "GET of a page")
        return
    messages = answer.json["messages"]
    for message in messages:
        world.truth.shown(room, message)
    seqs = [m["seq"] for m in messages]
    if back:
        top = at - 1 if at <= head else max([head, *seqs])
        want = list(range(max(first, top - limit + 1), top + 1))
        more = top - limit >= first
    else:
        top = min(max(head, max(seqs, default=0)), at + limit)
        want = list(range(at + 1, top + 1))
        more = answer.json["has_more"]
    world.report.expect(
        seqs == want and answer.json["has_more"] == more,
        lambda: f"GET of {room}, {limit} "
        f"{'before' if back else 'after'} {at}, showed {seqs}, has_more "
        f"{answer.json['has_more']}; its head was {head}")


async def act_rooms(dev, a):
    """GET /rooms by pages: each of his rooms, with right counts."""
    world = dev.world
    before, path = dev.before(), f"/rooms?limit={2 + int(a.a * 20)}"
    shown, cursor = {}, ""
    while cursor is not None:
        try:
            answer = await rest(
                dev, "GET", path + (cursor and f"&cursor={cursor}"))
        except Lost:
            return
        world.report.expect(answer.status == 200,
                            lambda: f"GET /rooms: {answer}")
        for obj in answer.json["rooms"]:
            shown[obj["room_id"]] = obj
        cursor = answer.json["next_cursor"]
    for room in dev.tenant_rooms():
        pair = room.pairs.get(dev.user)
        if room.id in shown:
            room_row(dev, room, shown[room.id], before)
        elif pair is not None and room.deleting is None:
            world.report.expect(
                not pair.sure("in", before.tick) or
                room.id not in before.heads,
                lambda: f"{room} is missing in GET /rooms of {dev.user}")


def room_row(dev, room, obj, before):
    """One room of GET /rooms."""
    pair, last = room.pair(dev.user), obj["last_message"]
    room_object = {k: v for k, v in obj.items() if k not in (
        "last_ack", "unread_count", "last_message")}
    truth = dev.world.truth
    truth.room_of_object(room_object)
    if last is not None:
        truth.shown(room, last)
    dev.world.report.expect(
        obj["unread_count"] == obj["last_seq"] - obj["last_ack"] and
        before.floors.get(room.id, 0) <= obj["last_ack"] <= pair.hi and
        obj["last_seq"] >= before.heads.get(room.id, 0) and
        (last is None or obj["last_seq"] == last["seq"]) and
        (last is not None or obj["last_seq"] < room.first) and
        not pair.sure("out", before.tick),
        lambda: f"GET /rooms of {dev.user} has {obj}; last_ack "
        f"{pair.lo} to {pair.hi}, head {room.head}, {pair.state}")
