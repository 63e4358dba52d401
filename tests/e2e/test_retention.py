# SPDX-License-Identifier: MIT
"""retention_days: messages that are older go, within the hour."""
import faults
import pytest
from client import Tenant, operator
from harness import until

DAY = 24 * 3600


def seqs(tenant, room):
    return [m["seq"] for m in tenant.user("ann").history(room)]


@pytest.fixture
def clock(tmp_path):
    return faults.Clock(str(tmp_path / "clock"))


@pytest.fixture
def server(start_server, clock):
    return start_server(workers=1, env=clock.env)


def keep(tenant, days):
    operator(tenant.server).call(
        "PATCH", f"/admin/tenants/{tenant.id}",
        {"retention_days": days}).expect(200)


def test_old_messages_go(server, clock):
    tenant, other = Tenant(server), Tenant(server)
    keep(tenant, 2)
    rooms = {}
    for t in (tenant, other):
        ann = t.user("ann")
        rooms[t] = [ann.make_room(["bob"])["room_id"] for _ in range(3)]
        for room in rooms[t][:2]:
            for i in range(37):
                ann.say(room, f"{i}")
    clock.move(DAY)
    for t in (tenant, other):
        for i in range(5):
            t.user("ann").say(rooms[t][0], f"a day later {i}")
    # Nothing is older than two days yet.
    assert seqs(tenant, rooms[tenant][0]) == list(range(1, 43))
    clock.move(2 * DAY + 3600)
    until(lambda: seqs(tenant, rooms[tenant][1]) == [], "the second room is "
          "empty")
    until(lambda: seqs(tenant, rooms[tenant][0]) == list(range(38, 43)),
          "the first has what is younger")
    # Who keeps for ever does.
    assert seqs(other, rooms[other][0]) == list(range(1, 43))
    assert seqs(other, rooms[other][1]) == list(range(1, 38))
    # The room goes on counting.
    assert tenant.user("ann").say(rooms[tenant][1], "on")["seq"] == 38
    # Rows are removed, too.

    def rows():
        import sqlite3
        db = sqlite3.connect(server.dir + "/chatapi.db")
        try:
            return db.execute("SELECT count(*) FROM message").fetchone()[0]
        finally:
            db.close()
    until(lambda: rows() == 5 + 1 + 42 + 37, "the rows are gone")

    def trims():
        return operator(server).get("/metrics", headers={
            "Accept": "application/json"}).expect(200)["retention_trims"]
    # The courier counts them when it hears of what is done already.
    until(lambda: trims() >= 2, "both were counted")
    assert trims() == 2


def test_looked_at_at_start_and_once_an_hour(server, clock):
    tenant = Tenant(server)
    ann = tenant.user("ann")
    room = ann.make_room(["bob"])["room_id"]
    ann.say(room, "old")
    keep(tenant, 1)
    server.stop()
    clock.move(DAY + 60)
    server.start()
    until(lambda: seqs(tenant, room) == [], "it is gone")
    ann = tenant.user("ann")
    ann.say(room, "new")
    clock.move(2 * DAY + 600)
    until(lambda: seqs(tenant, room) == [], "this one as well")
