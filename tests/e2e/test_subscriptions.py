# SPDX-License-Identifier: MIT
"""Topics that users want."""
from chat import Chat
from client import TIME, Tenant
from notices import Expansions, got, inbox, notify


def topics(user, query=""):
    page = user.get("/subscriptions" + query).expect(200)
    return [s["topic"] for s in page["subscriptions"]]


def test_add_list_remove(tenant):
    ann, bob = tenant.user("ann"), tenant.user("bob")
    assert topics(ann) == []
    made = ann.post("/subscriptions", {"topic": "orders"}).expect(201)
    assert made["topic"] == "orders" and TIME.match(made["created_at"])
    # The same topic again, on another worker too, is the one there.
    for slot in range(3):
        same = tenant.user("ann", slot).post(
            "/subscriptions", {"topic": "orders"}).expect(200)
        assert same == made
    other = bob.post("/subscriptions", {"topic": "orders"}).expect(201)
    assert other["id"] != made["id"]
    assert ann.get("/subscriptions").expect(200) == {
        "subscriptions": [made], "next_cursor": None}
    # Another user's, another tenant's, none.
    bob.delete(f"/subscriptions/{made['id']}").error(404, "not_found")
    Tenant(tenant.server).user("ann").delete(
        f"/subscriptions/{made['id']}").error(404)
    for id_ in ("sub_0123456789abcdefghjkmn", "x", made["id"][4:]):
        ann.delete(f"/subscriptions/{id_}").error(404)
    ann.delete(f"/subscriptions/{made['id']}").expect(204)
    ann.delete(f"/subscriptions/{made['id']}").error(404)
    assert topics(ann) == [] and topics(bob) == ["orders"]
    again = ann.post("/subscriptions", {"topic": "orders"}).expect(201)
    assert again["id"] != made["id"]


def test_a_hundred_and_no_more(tenant):
    ann = tenant.user("ann")
    wanted = [f"t{i:03}" for i in range(100)]
    for t in reversed(wanted):
        ann.post("/subscriptions", {"topic": t}).expect(201)
    ann.post("/subscriptions", {"topic": "one more"}).error(409, "conflict")
    ann.post("/subscriptions", {"topic": wanted[50]}).expect(200)
    tenant.user("bob").post("/subscriptions", {"topic": "his"}).expect(201)
    assert topics(ann) == wanted
    out, cursor = [], ""
    while cursor is not None:
        page = ann.get(f"/subscriptions?limit=7{cursor}").expect(200)
        assert len(page["subscriptions"]) <= 7
        out += [s["topic"] for s in page["subscriptions"]]
        cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]
    assert out == wanted
    first = ann.get("/subscriptions").expect(200)["subscriptions"][0]
    ann.delete(f"/subscriptions/{first['id']}").expect(204)
    ann.post("/subscriptions", {"topic": "one more"}).expect(201)


def test_topics(tenant):
    ann = tenant.user("ann")
    for good in ("x" * 128, "\u00e9" * 64, "\U0001f600" * 32, " ", "a'b\"c\\",
                 "a%", "A", "a"):
        ann.post("/subscriptions", {"topic": good}).expect(201)
        assert good in topics(ann)
    for bad in ("", "x" * 129, "\u00e9" * 65, "a\nb", "\0", "\x7f", "\u0080"):
        ann.post("/subscriptions", {"topic": bad}).error(400, field="topic")
    assert len(topics(ann)) == 8


async def test_subscribers_are_reached(tenant):
    """From the subscription on, until it ends; by the very topic."""
    backend = tenant.backend()
    for u in ("ann", "bob", "cid"):
        tenant.user(u).post("/subscriptions", {"topic": "a"}).expect(201)
    tenant.user("dan").post("/subscriptions", {"topic": "A"}).expect(201)
    tenant.user("eve").post("/subscriptions", {"topic": "ab"}).expect(201)
    Tenant(tenant.server).user("ann").post(
        "/subscriptions", {"topic": "a"}).expect(201)
    ann = await Chat.connect(tenant, "ann")
    first = notify(backend, "a", 1, topic_subscribers=True)
    await ann.wait("notification", **first)
    bob = tenant.user("bob")
    mine, = bob.get("/subscriptions").expect(200)["subscriptions"]
    Expansions(tenant.server).wait_end()
    bob.delete(f"/subscriptions/{mine['id']}").expect(204)
    second = notify(backend, "a", 2, topic_subscribers=True)
    await ann.wait("notification", **second)
    Expansions(tenant.server).wait_end()
    want = {"ann": [1, 2], "bob": [1], "cid": [1, 2], "dan": [], "eve": []}
    for u, payloads in want.items():
        assert [n["payload"] for n in inbox(tenant.user(u))] == payloads, u
    await ann.barrier()
    assert got(ann) == [first["notification_id"], second["notification_id"]]
