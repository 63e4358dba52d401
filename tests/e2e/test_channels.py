# SPDX-License-Identifier: MIT
"""GET /channels: what users find and join."""
import pytest

from chat import Chat
from client import Tenant


def listed(caller, limit):
    out, cursor = [], ""
    while cursor is not None:
        page = caller.get(f"/channels?limit={limit}{cursor}").expect(200)
        assert set(page) == {"channels", "next_cursor"}
        assert len(page["channels"]) <= limit
        out += page["channels"]
        cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]
    return out


def test_only_channels_of_the_tenant(tenant, server):
    backend, ann = tenant.backend(), tenant.user("ann")
    made = []
    for i in range(7):
        made.append(ann.make_room(type_="channel", name=f"c{i}",
                                  metadata={"n": i}))
        ann.make_room(["bob"], name=f"g{i}")
        backend.make_room(["ann", f"u{i}"], type_="dm")
    other = Tenant(server)
    theirs = other.user("ann").make_room(type_="channel")
    for caller in (ann, backend, tenant.user("nobody-yet")):
        for limit in (1, 3, 7, 100):
            assert listed(caller, limit) == made[::-1]
    assert listed(other.backend(), 100) == [theirs]
    backend.delete(f"/rooms/{made[3]['room_id']}").expect(204)
    backend.call("PATCH", f"/rooms/{made[0]['room_id']}",
                 {"name": "renamed"}).expect(200)
    names = [c["name"] for c in listed(ann, 2)]
    assert names == ["c6", "c5", "c4", "c2", "c1", "renamed"]


def test_none(tenant):
    tenant.user("ann").make_room(["bob"])
    assert tenant.user("eve").get("/channels").expect(200) == \
        {"channels": [], "next_cursor": None}


async def test_found_joined_and_heard(tenant):
    """What is in the list can be joined by its id, and speaks at once."""
    ann, eve = tenant.user("ann"), tenant.user("eve")
    ann.make_room(type_="channel", name="news")
    ann.say(ann.get("/channels").expect(200)["channels"][0]["room_id"], "old")
    chat = await Chat.connect(tenant, "eve")
    await chat.wait("sync.complete")
    found, = listed(eve, 10)
    assert found["last_seq"] == 1
    eve.post(f"/rooms/{found['room_id']}/members",
             {"user_id": "eve"}).expect(200)
    await chat.wait("room.joined", room_id=found["room_id"])
    ann.say(found["room_id"], "new")
    await chat.wait_seq(found["room_id"], 2)
    assert chat.seqs(found["room_id"]) == [2]
    await chat.close()


@pytest.mark.parametrize("query,field", [
    ("limit=0", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"),
    ("cursor=", "cursor")])
def test_refused(tenant, query, field):
    tenant.user("ann").get(f"/channels?{query}").error(400, field=field)


def test_cursor_of_another_list(tenant):
    ann = tenant.user("ann")
    for _ in range(2):
        ann.make_room(type_="channel")
    cursor = ann.get("/rooms?limit=1").expect(200)["next_cursor"]
    ann.get(f"/channels?cursor={cursor}").error(400, field="cursor")


def test_needs_an_identity(server):
    from client import Rest
    Rest(server).get("/channels").error(401)
    reply = Rest(server).post("/channels", {})
    assert reply.status == 405 and reply.headers["allow"] == "GET, HEAD"
