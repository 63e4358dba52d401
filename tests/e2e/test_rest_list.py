# SPDX-License-Identifier: MIT
"""GET /rooms of a user with 1,000 rooms, against a model of them.

The model does what the contract says to the same random operations: sends,
acks, edits, deletes, members who come and go, rooms that are deleted.
"""
import itertools
import random

import pytest

from harness import scaled

ROOMS = scaled(1000, 250)
OTHERS = ["bob", "carl", "dora"]


class Model:
    """What ann's list of rooms must look like."""

    def __init__(self, tenant, seed):
        self.random = random.Random(seed)
        self.tenant = tenant
        self.callers = {u: tenant.user(u) for u in ["ann"] + OTHERS}
        self.backend = tenant.backend()
        self.clock = itertools.count()
        self.rooms = {}     # id -> what the list shows and more

    def make(self, i):
        kind = ("group", "channel")[i % 2]
        room = self.backend.make_room(["ann"] + OTHERS, kind,
                                      name=f"room {i}", metadata={"i": i})
        self.rooms[room["room_id"]] = {
            "room": room, "messages": [], "last_ack": 0, "moved":
            next(self.clock), "joined": True}

    def one(self):
        return self.random.choice(sorted(self.rooms))

    def send(self):
        room_id = self.one()
        r = self.rooms[room_id]
        user = self.random.choice(OTHERS + ["ann"] * r["joined"])
        sent = self.callers[user].say(room_id, f"{next(self.clock)}")
        assert sent["seq"] == len(r["messages"]) + 1
        r["messages"].append(sent)
        r["moved"] = next(self.clock)

    def ack(self):
        room_id = self.one()
        r = self.rooms[room_id]
        if not r["joined"]:
            return
        seq = self.random.randrange(len(r["messages"]) + 3)
        got = self.callers["ann"].post(
            "/acks", {"room_id": room_id, "seq": seq}).expect(200)
        r["last_ack"] = max(r["last_ack"], min(seq, len(r["messages"])))
        assert got["seq"] == r["last_ack"]

    def other_ack(self):
        """Another's cursor is not ann's."""
        room_id = self.one()
        self.callers["bob"].post(
            "/acks", {"room_id": room_id, "seq": 10 ** 6}).expect(200)

    def changeable(self):
        for _ in range(50):
            room_id = self.one()
            r = self.rooms[room_id]
            alive = [m for m in r["messages"] if "content" in m and
                     (m["sender_id"] != "ann" or r["joined"])]
            if alive:
                # Mostly the newest: it is the one in the list.
                m = alive[-1] if self.random.random() < 0.7 else \
                    self.random.choice(alive)
                return r, m, f"/rooms/{room_id}/messages/{m['message_id']}"
        return None

    def edit(self):
        found = self.changeable()
        if found is None:
            return
        r, m, path = found
        got = self.callers[m["sender_id"]].call(
            "PUT", path, {"content": f"{next(self.clock)}"}).expect(200)
        r["messages"][m["seq"] - 1] = got

    def delete(self):
        found = self.changeable()
        if found is None:
            return
        r, m, path = found
        self.callers[m["sender_id"]].delete(path).expect(204)
        got = self.backend.get(path).expect(200)
        assert "content" not in got and got["deleted_at"]
        r["messages"][m["seq"] - 1] = got

    def leave_or_join(self):
        room_id = self.one()
        r = self.rooms[room_id]
        if r["joined"]:
            self.callers["ann"].delete(
                f"/rooms/{room_id}/members/ann").expect(204)
        else:
            self.backend.post(f"/rooms/{room_id}/members",
                              {"user_id": "ann"}).expect(200)
            r["last_ack"] = len(r["messages"])
        r["joined"] = not r["joined"]

    def rename(self):
        room_id = self.one()
        self.rooms[room_id]["room"] = self.backend.call(
            "PATCH", "/rooms/" + room_id,
            {"name": f"{next(self.clock)}"}).expect(200)

    def drop(self):
        room_id = self.one()
        self.backend.delete("/rooms/" + room_id).expect(204)
        del self.rooms[room_id]

    def step(self):
        what = self.random.choices(
            [self.send, self.ack, self.other_ack, self.edit, self.delete,
             self.leave_or_join, self.rename, self.drop],
            [50, 25, 3, 8, 6, 4, 3, 1])[0]
        what()

    def wanted(self):
        """The list, newest activity first."""
        mine = [r for r in self.rooms.values() if r["joined"]]
        mine.sort(key=lambda r: r["moved"], reverse=True)
        out = []
        for r in mine:
            n = len(r["messages"])
            out.append({**r["room"], "last_seq": n,
                        "last_ack": r["last_ack"],
                        "unread_count": n - r["last_ack"],
                        "last_message": r["messages"][-1] if n else None})
        return out


def listed(caller, limit):
    out, cursor = [], None
    while True:
        path = f"/rooms?limit={limit}"
        if cursor is not None:
            path += "&cursor=" + cursor
        page = caller.get(path).expect(200)
        assert len(page["rooms"]) <= limit
        out += page["rooms"]
        cursor = page["next_cursor"]
        if cursor is None:
            return out
        assert len(page["rooms"]) == limit, "a short page, and more to come"


def test_thousand_rooms(tenant, server):
    model = Model(tenant, 20261122)
    for i in range(ROOMS):
        model.make(i)
    assert listed(model.callers["ann"], 100) == model.wanted()
    for turn in range(4):
        for _ in range(scaled(600, 150)):
            model.step()
        want = model.wanted()
        assert len(want) > ROOMS // 2
        # On any worker, in pages of any size.
        ann = tenant.user("ann", turn % server.workers)
        got = listed(ann, (100, 7, 33, 100)[turn])
        assert [r["room_id"] for r in got] == [r["room_id"] for r in want]
        for g, w in zip(got, want):
            assert g == w
    # The backend sees every room once, the newest first, and no cursors.
    got = listed(model.backend, 100)
    assert {r["room_id"] for r in got} == set(model.rooms)
    assert len(got) == len(model.rooms)
    times = [r["created_at"] for r in got]
    assert times == sorted(times, reverse=True)
    for r in got:
        assert "last_ack" not in r and "unread_count" not in r
        mine = model.rooms[r["room_id"]]["messages"]
        assert r["last_message"] == (mine[-1] if mine else None)


def test_nothing_is_missed_while_rooms_move(tenant):
    """A room that moves while paging may show twice, but shows; each of the
    others shows once."""
    ann = tenant.user("ann")
    rooms = [ann.make_room(name=f"{i}")["room_id"]
             for i in range(scaled(300, 120))]
    chosen = random.Random(1)
    moved = set()
    seen, cursor = [], ""
    while cursor is not None:
        page = ann.get("/rooms?limit=20" + cursor).expect(200)
        seen += [r["room_id"] for r in page["rooms"]]
        for _ in range(5):
            room_id = chosen.choice(rooms)
            ann.say(room_id, "x")
            moved.add(room_id)
        cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]
    still = [r for r in reversed(rooms) if r not in moved]
    assert [r for r in seen if r not in moved] == still
    assert set(seen) == set(rooms)
    again = listed(ann, 100)
    assert {r["room_id"] for r in again} == set(rooms)


@pytest.mark.parametrize("limit", [1, 99, 100, 101])
def test_page_ends_with_the_list(tenant, limit):
    """next_cursor is null exactly when nothing follows."""
    ann = tenant.user("ann")
    ids = [ann.make_room()["room_id"] for _ in range(100)]
    page = ann.get(f"/rooms?limit={limit}").expect(200)
    assert [r["room_id"] for r in page["rooms"]] == \
        ids[::-1][:min(limit, 100)]
    assert (page["next_cursor"] is None) == (limit >= 100)


def test_large_rooms_in_one_page(tenant):
    """A page of rooms with the most metadata and content there may be."""
    ann = tenant.user("ann")
    for i in range(100):
        room = ann.make_room(metadata="m" * 16382)
        ann.say(room["room_id"], "x" * 16384, meta="y" * 16382)
    page = ann.get("/rooms").expect(200)
    assert len(page["rooms"]) == 100 and page["next_cursor"] is None
    for r in page["rooms"]:
        assert len(r["metadata"]) == 16382
        assert len(r["last_message"]["content"]) == 16384
        assert len(r["last_message"]["meta"]) == 16382
