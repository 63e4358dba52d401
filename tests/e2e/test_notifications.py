# SPDX-License-Identifier: MIT
"""Notifications: whom they reach, on which connections, and until when."""
import pytest

from chat import Chat, close_all
from client import Tenant, operator
from harness import until
from metrics import scrape
from notices import Expansions, fresh, got, inbox, notify, query, to, waiting
from tokens import Issuer


async def test_comes_as_it_was_sent(tenant):
    payload = {"a": [1, None, {"b": "\u00e9\0"}], "c": 1.5}
    chat = await Chat.connect(tenant, "ann")
    made = notify(tenant.backend(), "orders \u00e9", payload,
                  user_ids=["ann", "ann"])
    want = {"topic": "orders \u00e9", "payload": payload, **made}
    assert await chat.wait("notification") == {"type": "notification", **want}
    assert inbox(tenant.user("ann")) == [want]
    await chat.barrier()
    assert len(got(chat)) == 1
    for payload in (None, False, 0, "", [], {}):
        to(tenant.backend(), "ann", payload)
        frame = await chat.wait("notification", payload=payload)
        assert frame["payload"] is payload or frame["payload"] == payload


async def test_kinds_of_target(tenant):
    backend = tenant.backend()
    room = backend.make_room(["ann", "bob"])["room_id"]
    for user, topic in (("cid", "t"), ("ann", "t"), ("dan", "other")):
        tenant.user(user).post("/subscriptions", {"topic": topic}).expect(201)
    users = ("ann", "bob", "cid", "dan", "eve")
    chats = {u: await Chat.connect(tenant, u, slot=i % 3)
             for i, u in enumerate(users)}
    cases = [({"user_ids": ["eve"]}, "eve"), ({"room_id": room}, "ann bob"),
             ({"topic_subscribers": True}, "ann cid"),
             ({"user_ids": ["eve", "ann"], "room_id": room,
               "topic_subscribers": True}, "ann bob cid eve"),
             ({"user_ids": ["bob"], "topic_subscribers": False}, "bob")]
    for n, (targets, reached) in enumerate(cases):
        notify(backend, payload=n, **targets)
        for u in reached.split():
            await chats[u].wait("notification", payload=n)
    # Everybody: also by an empty object, and as a user with the key.
    for n, (caller, body) in enumerate([
            (backend, {}), (tenant.user("ann"), {"targets": {}})]):
        caller.post("/notify", {"topic": "x", "payload": f"all {n}", **body}
                    ).expect(202)
        for chat in chats.values():
            await chat.wait("notification", payload=f"all {n}")
    for u, chat in chats.items():
        await chat.barrier()
        want = [n for n, (_, reached) in enumerate(cases)
                if u in reached.split()] + ["all 0", "all 1"]
        assert [f["payload"] for f in chat.of("notification")] == want, u
        assert [n["payload"] for n in inbox(tenant.user(u))] == want, u


def test_nobody(tenant):
    tenant.backend().make_room(["ann"])
    for targets in ({"user_ids": []}, {"topic_subscribers": False},
                    {"topic_subscribers": True}):
        notify(tenant.backend(), **targets)
    Expansions(tenant.server).wait_end()
    assert inbox(tenant.user("ann")) == []
    assert query(tenant.server, "SELECT count(*) FROM notification n JOIN "
                 "tenant t ON t.id = n.tenant WHERE t.public_id = ?",
                 tenant.id[7:]) == 0


@pytest.mark.parametrize("count", [100, 101, 1000])
async def test_many_who_are_named(tenant, count):
    """Up to 100 are reached at once, more in pieces: nobody can tell."""
    users = [f"u{i}" for i in range(count)]
    chat = await Chat.connect(tenant, users[-1])
    made = notify(tenant.backend(), user_ids=users)
    await chat.wait("notification", **made)
    Expansions(tenant.server).wait_end()
    for u in users[:3] + users[95:105] + users[-3:]:
        assert waiting(tenant.user(u)) == [made["notification_id"]], u


def test_whom_a_tenant_knows(tenant):
    """Members, even former ones, subscribers, who connected; not who was
    merely named."""
    backend = tenant.backend()
    room = backend.make_room(["member", "former"])["room_id"]
    backend.delete(f"/rooms/{room}/members/former").expect(204)
    backend.post(f"/rooms/{room}/members", {"user_id": "added"}).expect(200)
    tenant.user("wants").post("/subscriptions", {"topic": "x"}).expect(201)
    tenant.user("creator").make_room(["invited"])
    to(backend, "named", "first")
    notify(backend, payload="all")
    Expansions(tenant.server).wait_end()
    for u in ("member", "former", "added", "wants", "creator", "invited"):
        assert [n["payload"] for n in inbox(tenant.user(u))] == ["all"], u
    assert [n["payload"] for n in inbox(tenant.user("named"))] == ["first"]
    assert inbox(tenant.user("stranger")) == []


async def test_who_connects_is_known(tenant):
    async def known():
        notify(tenant.backend())
        Expansions(tenant.server).wait_end()
        return len(inbox(tenant.user("ann")))

    assert await known() == 0
    await (await Chat.connect(tenant, "ann")).close()
    for _ in range(100):
        if await known():
            break
    else:
        raise AssertionError("who connected is never known")


async def test_until_it_is_acknowledged(tenant):
    """At each connect, on any worker, on every device, in their order; by
    frame and by REST."""
    backend = tenant.backend()
    a, b, c = (to(backend, "ann", n) for n in range(3))
    for slot in range(3):
        chat = await fresh(tenant, "ann", slot)
        assert got(chat) == [a, b, c]
        await chat.close()
    one, two = [await fresh(tenant, "ann", slot) for slot in (0, 1)]
    await one.ask("ok", "notification.ack", notification_id=b)
    error = await one.ask("error", "notification.ack", notification_id=b)
    assert error["code"] == "not_found" and not error["temporary"]
    await one.send("notification.ack", data={"notification_id": a})
    await one.barrier()
    ann = tenant.user("ann")
    until(lambda: waiting(ann) == [c], "the frame without request_id counted")
    assert got(await fresh(tenant, "ann", 2)) == [c]
    assert ann.post(f"/notifications/{c}/ack").expect(200) == {
        "notification_id": c}
    ann.post(f"/notifications/{c}/ack").error(404, "not_found")
    assert waiting(ann) == []
    d = to(backend, "ann", 3)
    assert got(await fresh(tenant, "ann", 0)) == [d]
    for chat in (one, two):
        await chat.until(lambda: d in got(chat))
        await chat.barrier()
        assert got(chat) == [a, b, c, d]
    # The last row has taken the notifications along.
    assert query(tenant.server, "SELECT count(*) FROM notification n JOIN "
                 "tenant t ON t.id = n.tenant WHERE t.public_id = ?",
                 tenant.id[7:]) == 1


async def test_resume_is_not_waited_for(tenant):
    a = to(tenant.backend(), "ann")
    chat = await Chat.connect(tenant, "ann", path="/ws?resume=1")
    await chat.wait("notification", notification_id=a)
    await chat.ask("ok", "notification.ack", notification_id=a)
    b = to(tenant.backend(), "ann")
    await chat.wait("notification", notification_id=b)
    assert not chat.of("sync.complete")
    await chat.send("resume", epoch=chat.welcome["epoch"], cursors={})
    await chat.wait("sync.complete")
    await chat.barrier()
    assert got(chat) == [a, b]


async def test_only_its_own_users(tenant):
    """Users of one name in two tenants; another's notification."""
    other = Tenant(tenant.server)
    chats = [await Chat.connect(t, u) for t in (tenant, other)
             for u in ("ann", "bob")]
    mine = to(tenant.backend(), "ann")
    both = notify(tenant.backend(), user_ids=["ann", "bob"])[
        "notification_id"]
    for chat in chats[:2]:
        await chat.wait("notification", notification_id=both)
    for t, u in ((tenant, "bob"), (other, "ann"), (other, "bob")):
        t.user(u).post(f"/notifications/{mine}/ack").error(404)
    for chat in chats:
        await chat.barrier()
    assert [got(c) for c in chats] == [[mine, both], [both], [], []]
    error = await chats[2].ask("error", "notification.ack",
                               notification_id=mine)
    assert error["code"] == "not_found"
    assert waiting(tenant.user("ann")) == [mine, both]
    # One user's acknowledgement is his own.
    tenant.user("bob").post(f"/notifications/{both}/ack").expect(200)
    assert waiting(tenant.user("ann")) == [mine, both]
    room = other.backend().make_room(["ann"])["room_id"]
    for r in (room, "room_0123456789abcdefghjkmn", "x", "room_"):
        tenant.backend().post("/notify", {
            "topic": "t", "payload": 1, "targets": {
                "room_id": r, "user_ids": ["ann"]}}).error(404, "not_found")
    assert waiting(tenant.user("ann")) == [mine, both]


def test_pages(tenant):
    ids = [to(tenant.backend(), "ann", n) for n in range(250)]
    ann = tenant.user("ann")
    page = ann.get("/notifications").expect(200)
    assert len(page["notifications"]) == 100 and page["next_cursor"]
    assert len(ann.get("/notifications?limit=500").expect(200)[
        "notifications"]) == 100
    for limit in (1, 50, 99, 100):
        assert [n["notification_id"] for n in inbox(ann, limit)] == ids
    times = [i[:14] for i in ids]
    assert times == sorted(times)
    # What is acknowledged behind a cursor or before it shifts nothing.
    cursor = page["next_cursor"]
    for i in (ids[0], ids[99], ids[100]):
        ann.post(f"/notifications/{i}/ack").expect(200)
    rest = ann.get(f"/notifications?cursor={cursor}").expect(200)
    assert rest["notifications"][0]["notification_id"] == ids[101]
    bob = tenant.user("bob").get(f"/notifications?cursor={cursor}").expect(200)
    assert bob == {"notifications": [], "next_cursor": None}


def test_limits(tenant):
    backend, ann = tenant.backend(), tenant.user("ann")

    def post(**body):
        return backend.post("/notify", {"topic": "t", "payload": 1, **body})

    long = "x" * 128
    post(topic=long, payload="y" * 16382,
         targets={"user_ids": ["ann"]}).expect(202)
    n, = inbox(ann)
    assert n["topic"] == long and n["payload"] == "y" * 16382
    users = [f"{i:0128}" for i in range(1000)]
    post(payload="y" * 16382, targets={"user_ids": users}).expect(202)
    Expansions(tenant.server).wait_end()
    assert len(inbox(tenant.user(users[-1]))) == 1
    for bad in ("", "x" * 129, "\u00e9" * 65, "a\nb", "a\0b", "a\x7fb",
                "a\u0085b"):
        post(topic=bad).error(400, field="topic")
    post(payload="y" * 16383).error(400, field="payload")
    post(targets={"user_ids": users + ["x"]}).error(400, field="user_ids")
    assert len(inbox(ann)) == 1


REFUSED = [
    ({"user_ids": "ann"}, "user_ids"), ({"user_ids": None}, "user_ids"),
    ({"user_ids": [1]}, "user_ids"), ({"user_ids": [""]}, "user_ids"),
    ({"user_ids": ["x" * 129]}, "user_ids"),
    ({"user_ids": ["a\x1fb"]}, "user_ids"), ({"room_id": 5}, "room_id"),
    ({"room_id": None}, "room_id"), ({"room_id": ""}, "room_id"),
    ({"topic_subscribers": "yes"}, "topic_subscribers"),
    ({"topic_subscribers": None}, "topic_subscribers"),
    ({"topic_subscribers": 1}, "topic_subscribers"),
    ({"userids": ["ann"]}, "targets"), ([], "targets"), (None, "targets"),
    ("all", "targets")]


@pytest.mark.parametrize("targets, field", REFUSED, ids=str)
def test_bad_targets_reach_nobody(tenant, targets, field):
    tenant.backend().make_room(["ann"])
    tenant.backend().post("/notify", {
        "topic": "t", "payload": 1, "targets": targets}).error(
            400, "invalid_request", field)
    Expansions(tenant.server).wait_end()
    assert inbox(tenant.user("ann")) == []


def test_of_two_refusals_the_first(tenant):
    """Body 400, room 404, role 403: also for a token, whose holder never
    may."""
    room = tenant.backend().make_room(["ann"])["room_id"]
    other = Tenant(tenant.server).backend().make_room(["ann"])["room_id"]
    ann = Issuer(tenant).install().user("ann")
    good = {"topic": "t", "payload": 1}
    ann.post("/notify", {"topic": "", "payload": 1}).error(400, field="topic")
    for r in (other, "nonsense"):
        ann.post("/notify", {**good, "targets": {"room_id": r}}).error(404)
    for targets in ({"room_id": room}, {"user_ids": ["ann"]}, {},
                    {"topic_subscribers": True}):
        ann.post("/notify", {**good, "targets": targets}).error(
            403, "forbidden")
    ann.post("/notify", good).error(403, "forbidden")
    Expansions(tenant.server).wait_end()
    assert ann.get("/notifications").expect(200)["notifications"] == []
    # A user's own things are his by token, too.
    id_ = to(tenant.backend(), "ann")
    ann.post(f"/notifications/{id_}/ack").expect(200)


def test_disabled_and_deleted(tenant):
    server = tenant.server
    tenant.backend().make_room([f"u{i}" for i in range(100)])
    tenant.user("u1").post("/subscriptions", {"topic": "t"}).expect(201)
    for n in range(20):
        notify(tenant.backend(), payload=n)
    tables = {"user": 0, "subscription": 0, "notification": 0, "inbox": 0,
              "fanout": 0}

    def rows():
        return {t: query(server, f"SELECT count(*) FROM {t} WHERE tenant = ?",
                         own) for t in tables}

    own = query(server, "SELECT id FROM tenant WHERE public_id = ?",
                tenant.id[7:])
    assert rows()["user"] == 100 and rows()["subscription"] == 1
    operator(server).delete(f"/admin/tenants/{tenant.id}").expect(204)
    tenant.backend().post("/notify", {"topic": "t", "payload": 1}).error(401)
    until(lambda: rows() == tables, f"all was removed: {rows()}")
    until(lambda: query(server, "SELECT count(*) FROM tenant WHERE id = ?",
                        own) == 0, "the tenant was removed")


async def test_room_deleted_meanwhile(tenant):
    """Whoever is not reached by then is not: and nothing hangs."""
    backend = tenant.backend()
    users = [f"u{i}" for i in range(900)]
    room = backend.make_room(users, type_="channel")["room_id"]
    backend.send("POST", "/notify", {"topic": "t", "payload": 1,
                                     "targets": {"room_id": room}})
    again = tenant.backend()
    again.delete(f"/rooms/{room}").expect(204)
    assert backend.read().status in (202, 404)
    Expansions(tenant.server).wait_end()
    backend.post("/notify", {"topic": "t", "payload": 1,
                             "targets": {"room_id": room}}).error(404)


def test_metrics(tenant):
    before = scrape(tenant.server)
    for n in range(3):
        notify(tenant.backend(), payload=n, user_ids=["ann", "bob"])
    tenant.backend().post("/notify", {"topic": ""}).error(400)
    after = scrape(tenant.server).check_after(before)
    assert after.get("notifications_total") - \
        before.get("notifications_total") == 3


async def test_a_slow_reader_is_no_worse_off(tenant):
    """More than one page, more than one output's worth."""
    ids = [to(tenant.backend(), "ann", "x" * 3000) for _ in range(100)]
    chats = [await fresh(tenant, "ann", slot) for slot in range(3)]
    for chat in chats:
        assert got(chat) == ids
    await close_all(chats)
