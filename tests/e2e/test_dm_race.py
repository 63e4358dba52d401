# SPDX-License-Identifier: MIT
"""Two users' dm is one room, whoever asks, however often, on any worker."""
import pytest

from harness import scaled


@pytest.mark.parametrize("as_user", [True, False],
                         ids=["by the users", "by the backend"])
def test_raced_over_all_workers(tenant, as_user):
    """Requests in both orders, in flight at once on every worker."""
    count = scaled(18, 9)
    orders = [["ann", "bob"], ["bob", "ann"]]
    clients = []
    for i in range(count):
        slot = i % tenant.server.workers
        clients.append(tenant.user(orders[i // 3 % 2][0], slot) if as_user
                       else tenant.backend(slot))
    for turn in range(scaled(20, 8)):
        a, b = f"ann{turn}", f"bob{turn}"
        for i, client in enumerate(clients):
            members = [a, b] if i // 3 % 2 else [b, a]
            if as_user:
                client.headers["X-User-Id"] = members[i % 2]
            client.send("POST", "/rooms", {"type": "dm",
                                           "members": members})
        replies = [c.read() for c in clients]
        assert sorted(r.status for r in replies) == \
            [200] * (count - 1) + [201]
        rooms = [r.json for r in replies]
        assert all(r == rooms[0] for r in rooms)
        mine = tenant.user(a).get("/rooms").expect(200)["rooms"]
        assert [r["room_id"] for r in mine] == [rooms[0]["room_id"]]


def test_the_room_is_good_at_once_on_every_worker(tenant):
    """Who got the id may use it anywhere, in the next instant."""
    clients = [tenant.user("ann", slot) for slot in range(3)]
    for i in range(10):
        room = clients[i % 3].make_room([f"bob{i}"], "dm")["room_id"]
        for slot in (0, 1, 2):
            clients[slot].say(room, "hello")
