# SPDX-License-Identifier: MIT
"""Messages that retention has trimmed are gone at once, everywhere, also
while their rows are still there."""
import os
import sqlite3

import pytest

from client import Tenant


class Trimmed:
    """Rooms of ten messages, trimmed while the server was down."""

    def __init__(self, server):
        self.tenant = Tenant(server)
        self.ann = self.tenant.user("ann")
        self.sent = {}
        for first in (1, 4, 10, 11):
            room = self.ann.make_room(["bob"], name=f"{first}")["room_id"]
            self.sent[first] = [
                self.ann.say(room, f"{i}", client_msg_id=f"{i}")
                for i in range(1, 11)]
        server.stop()
        db = sqlite3.connect(os.path.join(server.dir, "chatapi.db"))
        for first in self.sent:
            done = db.execute(
                "UPDATE room_head SET first_seq = ? WHERE room ="
                " (SELECT id FROM room WHERE name = ?)",
                (first, f"{first}"))
            assert done.rowcount == 1
        db.commit()
        db.close()
        server.start()
        self.ann, self.bob = self.tenant.user("ann"), self.tenant.user("bob")

    def room(self, first):
        return self.sent[first][0]["room_id"]


@pytest.fixture
def trimmed(start_server):
    return Trimmed(start_server(workers=1))


def seqs(caller, room, query=""):
    got = caller.get(f"/rooms/{room}/messages{query}").expect(200)
    return [m["seq"] for m in got["messages"]], got["has_more"]


def test_trimmed(trimmed):
    """One server for all of it: what is asked, what is there."""
    for caller in (trimmed.ann, trimmed.tenant.backend()):
        for first, query, wanted, more in (
                (1, "", range(1, 11), False),
                (4, "", range(4, 11), False),
                (4, "?after_seq=0&limit=3", range(4, 7), True),
                (4, "?after_seq=2&limit=2", range(4, 6), True),
                (4, "?after_seq=3", range(4, 11), False),
                (4, "?after_seq=5", range(6, 11), False),
                (4, "?before_seq=99&limit=5", range(6, 11), True),
                (4, "?before_seq=99&limit=7", range(4, 11), False),
                (4, "?before_seq=6&limit=5", range(4, 6), False),
                (4, "?before_seq=5", range(4, 5), False),
                (4, "?before_seq=4", [], False),
                (4, "?before_seq=2", [], False),
                (10, "", [10], False), (10, "?before_seq=99", [10], False),
                (11, "", [], False), (11, "?before_seq=99", [], False),
                (11, "?after_seq=5", [], False)):
            assert seqs(caller, trimmed.room(first), query) == \
                (list(wanted), more), (first, query)
    for first, messages in trimmed.sent.items():
        for m in messages:
            path = f"/rooms/{m['room_id']}/messages/{m['message_id']}"
            if m["seq"] >= first:
                assert trimmed.bob.get(path).expect(200) == m
                continue
            trimmed.bob.get(path).error(404, "not_found")
            trimmed.ann.call("PUT", path, {"content": "x"}).error(404)
            trimmed.ann.delete(path).error(404, "not_found")
            trimmed.tenant.backend().delete(path).error(404, "not_found")
    rooms = trimmed.bob.get("/rooms").expect(200)["rooms"]
    for r in rooms + trimmed.tenant.backend().get("/rooms").expect(
            200)["rooms"]:
        first = int(r["name"])
        assert r["last_seq"] == 10
        assert r["last_message"] == (
            None if first == 11 else trimmed.sent[first][-1])
    assert [r["unread_count"] for r in rooms] == [10] * 4
    # A message lives no longer than the log: its client_msg_id is free.
    for first in (4, 11):
        room = trimmed.room(first)
        got = trimmed.ann.post(f"/rooms/{room}/messages", {
            "content": "another", "client_msg_id": "3"}).expect(201)
        assert got["seq"] == 11
        assert seqs(trimmed.bob, room) == (list(range(first, 12)), False)
    again = trimmed.ann.post(f"/rooms/{trimmed.room(4)}/messages", {
        "content": "4", "client_msg_id": "4"}).expect(200)
    assert again == trimmed.sent[4][3]
    # The list counts on from where it was.
    trimmed.bob.post("/acks", {"room_id": trimmed.room(11),
                               "seq": 5}).expect(200)
    got, = [r for r in trimmed.bob.get("/rooms").expect(200)["rooms"]
            if r["name"] == "11"]
    assert got["last_ack"] == 5 and got["unread_count"] == 6
