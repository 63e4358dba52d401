# SPDX-License-Identifier: MIT
"""A tenant's API keys: adding, listing, rotating, revoking them, and when
each was last used."""
import asyncio
import json
import re
import sqlite3
import subprocess
import time

import pytest

from chat import Chat
from client import TIME, Rest, Tenant, operator
from harness import BIN, DEADLINE, clean_env, run, until

KEY = re.compile(r"\Ask_[A-Za-z0-9_-]{43}\Z")
KEY_ID = re.compile(r"\Akey_[0-9a-z]{22}\Z")


def keys_path(tenant, key_id=None):
    path = f"/admin/tenants/{tenant.id}/keys"
    return path if key_id is None else f"{path}/{key_id}"


def add(tenant):
    got = operator(tenant.server).post(keys_path(tenant)).expect(201)
    assert set(got) == {"key_id", "api_key"}
    assert KEY.match(got["api_key"]) and KEY_ID.match(got["key_id"])
    return got


def listed(tenant):
    got = operator(tenant.server).get(keys_path(tenant)).expect(200)
    assert set(got) == {"keys", "next_cursor"} and got["next_cursor"] is None
    for k in got["keys"]:
        assert set(k) == {"key_id", "created_at", "last_used_at"}
        assert KEY_ID.match(k["key_id"]) and TIME.match(k["created_at"])
        assert k["last_used_at"] is None or TIME.match(k["last_used_at"])
    return got["keys"]


def ids(tenant):
    return [k["key_id"] for k in listed(tenant)]


def revoke(tenant, key_id, slot=None):
    operator(tenant.server).delete(keys_path(tenant, key_id)).expect(204)


def with_key(tenant, key, user="ann", slot=None):
    return Rest(tenant.server, {"X-API-Key": key, "X-User-Id": user}, slot)


def test_add_and_list(tenant):
    first, = ids(tenant)
    more = [add(tenant) for _ in range(3)]
    assert ids(tenant) == [first] + [k["key_id"] for k in more]
    assert len({k["api_key"] for k in more} | {tenant.key}) == 4
    for slot in range(3):
        for k in more:
            with_key(tenant, k["api_key"], slot=slot).get(
                "/rooms").expect(200)
    text = json.dumps(listed(tenant))
    assert "sk_" not in text


def test_list_by_cursor(tenant):
    all_ids = ids(tenant) + [add(tenant)["key_id"] for _ in range(5)]
    rest = operator(tenant.server)
    for limit in (1, 2, 6, 1000):
        seen, cursor = [], ""
        while cursor is not None:
            page = rest.get(
                f"{keys_path(tenant)}?limit={limit}{cursor}").expect(200)
            assert len(page["keys"]) <= limit
            seen += [k["key_id"] for k in page["keys"]]
            cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]
        assert seen == all_ids
    # The one that a cursor stands on may be revoked meanwhile.
    page = rest.get(f"{keys_path(tenant)}?limit=3").expect(200)
    revoke(tenant, all_ids[2])
    page = rest.get(
        f"{keys_path(tenant)}?cursor={page['next_cursor']}").expect(200)
    assert [k["key_id"] for k in page["keys"]] == all_ids[3:]
    tenants = rest.get("/admin/tenants?limit=1").expect(200)["next_cursor"]
    for bad in ("x", "", tenants or "x"):
        rest.get(f"{keys_path(tenant)}?cursor={bad}").error(
            400, "invalid_request", "cursor")


def test_revoke_refused(tenant):
    other = Tenant(tenant.server)
    mine, theirs = ids(tenant)[0], ids(other)[0]
    rest = operator(tenant.server)
    gone = add(tenant)["key_id"]
    revoke(tenant, gone)
    for key_id in (gone, theirs, "key_0123456789abcdefghjkmn", "x",
                   mine[4:], "tenant" + mine[3:], mine + "0", "k" * 1500):
        rest.delete(keys_path(tenant, key_id)).error(404, "not_found")
    assert ids(tenant) == [mine] and ids(other) == [theirs]
    for t in (tenant, other):
        t.user("ann").get("/rooms").expect(200)


def test_rotation(tenant):
    """A new key, all move to it, the old one goes: nobody is refused."""
    old_id, = ids(tenant)
    old, new = tenant.user("ann"), add(tenant)
    room = old.make_room()["room_id"]
    fresh = with_key(tenant, new["api_key"])
    for i in range(3):
        old.say(room, f"old {i}")
        fresh.say(room, f"new {i}")
    revoke(tenant, old_id)
    until(lambda: old.get("/rooms").status == 401, "the old key was refused")
    fresh.say(room, "last")
    assert len(fresh.history(room)) == 7
    assert ids(tenant) == [new["key_id"]]


async def test_revoked_within_a_second(server):
    """On three workers, REST and open sockets; those of other keys and
    other tenants live on."""
    tenant, other = Tenant(server), Tenant(server)
    old_id, = ids(tenant)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    gone = [await Chat.connect(tenant, user, slot=i)
            for i in range(3) for user in ("ann", "bob")]
    rests = [tenant.user("ann", slot=i) for i in range(3)]
    for r in rests:
        r.get("/rooms").expect(200)
    old_key, tenant.key = tenant.key, add(tenant)["api_key"]
    kept = [await Chat.connect(tenant, "ann", slot=i) for i in range(3)] + \
        [await Chat.connect(other, "ann", slot=i) for i in range(3)]
    revoke(tenant, old_id)
    began = time.monotonic()
    assert [await c.wait_closed() for c in gone] == [4500] * len(gone)
    for r in rests:
        while r.get("/rooms").status != 401:
            assert time.monotonic() - began < DEADLINE
            await asyncio.sleep(0.01)
        r.get("/rooms").error(401, "unauthorized")
        r.post(f"/rooms/{room}/messages", {"content": "x"}).error(401)
        # Like a key that has never been.
        like = Rest(server, {"X-API-Key": "sk_" + "a" * 43}).get(
            "/rooms", headers={"X-Request-Id": "same"})
        got = r.get("/rooms", headers={"X-Request-Id": "same"})
        assert got.body == like.body
    for c in kept:
        await c.barrier()
        await c.close()
    assert with_key(tenant, old_key).get("/ws").status == 401


def test_last_key(tenant):
    """It may be revoked; the operator can always add another."""
    room = tenant.user("ann").make_room()["room_id"]
    key_id, = ids(tenant)
    revoke(tenant, key_id)
    assert ids(tenant) == []
    until(lambda: tenant.user("ann").get("/rooms").status == 401,
          "the key was refused")
    tenant.key = add(tenant)["api_key"]
    tenant.user("ann").get(f"/rooms/{room}").expect(200)


def test_keys_of_a_disabled_tenant(tenant):
    """They can be managed, and are refused as the tenant is."""
    rest = operator(tenant.server)
    rest.call("PATCH", f"/admin/tenants/{tenant.id}",
              {"disabled": True}).expect(200)
    added = add(tenant)
    until(lambda: with_key(tenant, added["api_key"]).get("/rooms").status
          == 403, "the tenant was disabled")
    revoke(tenant, ids(tenant)[0])
    until(lambda: tenant.user("ann").get("/rooms").status == 401,
          "the key was revoked")


# ---- last use ----

def last_used(tenant):
    return {k["key_id"]: k["last_used_at"] for k in listed(tenant)}


def test_last_used(tenant):
    first, = ids(tenant)
    added = add(tenant)
    assert last_used(tenant) == {first: None, added["key_id"]: None}
    # Not by what is refused.
    with_key(tenant, added["api_key"][:-1] + "!").get("/rooms")
    with_key(tenant, added["api_key"]).get("/rooms").expect(200)
    until(lambda: last_used(tenant)[added["key_id"]], "its use was noted")
    assert last_used(tenant)[first] is None
    got = next(k for k in listed(tenant) if k["key_id"] == added["key_id"])
    assert got["last_used_at"] >= got["created_at"]


def test_last_used_is_noted_once_a_minute(start_server):
    """Over all workers, and whatever else happens to the tenant; and when
    the minute is over, again."""
    server = start_server(workers=3)
    tenant = Tenant(server)
    key_id, = ids(tenant)
    rests = [tenant.user("ann", slot=i) for i in range(3)]
    rests[0].get("/rooms").expect(200)
    until(lambda: last_used(tenant)[key_id], "its use was noted")
    first = last_used(tenant)[key_id]
    room = rests[0].make_room()["room_id"]
    for i in range(5):
        # Every worker forgets what it knows of the tenant.
        revoke(tenant, add(tenant)["key_id"])
        for r in rests:
            r.get("/rooms").expect(200)
            # It comes behind any note of use that this one made.
            r.say(room, f"{i}")
    assert last_used(tenant)[key_id] == first
    server.stop()
    db = sqlite3.connect(f"{server.dir}/chatapi.db")
    db.execute("UPDATE api_key SET last_used_ms = last_used_ms - 60000")
    db.commit()
    db.close()
    server.start()
    tenant.user("ann").get("/rooms").expect(200)
    until(lambda: last_used(tenant)[key_id] > first, "it was noted again")


# ---- the command ----

@pytest.fixture(params=["running", "stopped"])
def place(request, start_server):
    server = start_server(workers=2)
    server.tenant = Tenant(server)
    if request.param == "stopped":
        server.stop()
    return server


def tool(server, *args):
    done = run("-d", "file:chatapi.db", "key", *args, "--json",
               cwd=server.dir)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_tool(place):
    """The same answers as by REST."""
    tenant = place.tenant
    added = tool(place, "add", tenant.id)
    assert set(added) == {"key_id", "api_key"}
    assert KEY.match(added["api_key"])
    by_tool = tool(place, "list", tenant.id)["keys"]
    first, second = [k["key_id"] for k in by_tool]
    assert second == added["key_id"]
    if not place.running():
        place.start()
    assert listed(tenant) == by_tool
    with_key(tenant, added["api_key"]).get("/rooms").expect(200)
    assert tool(place, "revoke", tenant.id, first) == {
        "key_id": first, "revoked": True}
    assert ids(tenant) == [second]


def test_many_at_once(server):
    """Keys added at the same moment are all there."""
    tenant = Tenant(server)
    rests = [operator(server) for _ in range(8)]
    for r in rests:
        r.send("POST", keys_path(tenant))
    running = [subprocess.Popen(
        [BIN, "-d", "file:chatapi.db", "key", "add", tenant.id, "--json"],
        cwd=server.dir, env=clean_env(), stdout=subprocess.PIPE, text=True)
        for _ in range(4)]
    made = [r.read().expect(201) for r in rests]
    made += [json.loads(p.communicate(timeout=DEADLINE)[0]) for p in running]
    assert set(ids(tenant)) >= {k["key_id"] for k in made}
    assert len(ids(tenant)) == 13
    for k in made:
        with_key(tenant, k["api_key"]).get("/rooms").expect(200)
