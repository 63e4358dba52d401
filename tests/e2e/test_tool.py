# SPDX-License-Identifier: MIT
"""The operator's subcommands, with the server running and without."""
import asyncio
import json
import os
import re
import subprocess
import time

import pytest

from chat import Chat
from client import Rest, Tenant
from harness import BIN, DEADLINE, clean_env, run, until

KEY = re.compile(r"\bsk_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")
TENANT = re.compile(r"\btenant_[0-9a-z]{22}\b")
KEY_ID = re.compile(r"\bkey_[0-9a-z]+\b")


def tool(directory, *args, ok=True):
    done = run("-d", "file:chatapi.db", *args, cwd=directory)
    if ok:
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    return done


def as_json(directory, *args):
    return json.loads(tool(directory, *args, "--json").stdout)


@pytest.fixture(params=["running", "stopped"])
def place(request, start_server):
    """A server in its directory; the commands are run while it is there
    or while it is not."""
    server = start_server(workers=2, launch=request.param == "running")
    return server


def serving(server):
    """The server, started if it was not."""
    if not server.running():
        server.start()
    return server


def test_tenant_create(place):
    done = tool(place.dir, "tenant", "create", "Acme & Söhne")
    assert len(KEY.findall(done.stdout)) == 1
    assert len(set(TENANT.findall(done.stdout))) == 1
    key = KEY.search(done.stdout)[0]
    rest = Rest(serving(place), {"X-API-Key": key, "X-User-Id": "ann"})
    room = rest.make_room(["bob"])["room_id"]
    rest.say(room, "hello")


def test_tenant_list_and_show(place):
    made = [as_json(place.dir, "tenant", "create", f"tenant {i}")
            for i in range(3)]
    listed = as_json(place.dir, "tenant", "list")["tenants"]
    assert [t["tenant_id"] for t in listed] == \
        [t["tenant_id"] for t in made]
    assert [t["name"] for t in listed] == [f"tenant {i}" for i in range(3)]
    text = tool(place.dir, "tenant", "list").stdout
    for t in made:
        assert t["tenant_id"] in text and t["name"] in text
        assert t["api_key"] not in text
        shown = tool(place.dir, "tenant", "show", t["tenant_id"]).stdout
        assert t["tenant_id"] in shown and t["name"] in shown
        assert t["api_key"] not in shown
        assert as_json(place.dir, "tenant", "show",
                       t["tenant_id"])["name"] == t["name"]


def test_keys(place):
    tenant = as_json(place.dir, "tenant", "create", "acme")
    added = as_json(place.dir, "key", "add", tenant["tenant_id"])
    assert KEY.fullmatch(added["api_key"]) and KEY_ID.fullmatch(
        added["key_id"])
    listed = as_json(place.dir, "key", "list", tenant["tenant_id"])["keys"]
    assert len(listed) == 2
    assert added["key_id"] in [k["key_id"] for k in listed]
    assert "sk_" not in json.dumps(listed)
    first, = [k["key_id"] for k in listed if k["key_id"] != added["key_id"]]
    tool(place.dir, "key", "revoke", tenant["tenant_id"], first)
    server = serving(place)

    def status(key):
        return Rest(server, {"X-API-Key": key}).get("/rooms").status

    until(lambda: status(tenant["api_key"]) == 401, "the key was refused")
    assert status(added["api_key"]) == 200


@pytest.mark.parametrize("args", [
    ("tenant", "show", "tenant_0123456789abcdefghjkmn"),
    ("tenant", "show", "nonsense"), ("key", "list", "nonsense"),
    ("key", "add", "tenant_0123456789abcdefghjkmn"),
    ("key", "revoke", "tenant_0123456789abcdefghjkmn",
     "key_0123456789abcdefghjkmn"),
    ("tenant",), ("tenant", "create"), ("tenant", "destroy", "x"),
    ("tenant", "create", ""), ("tenant", "create", "a", "b"),
    ("key",), ("key", "add"), ("nonsense",), ("tenant", "list", "--nope"),
], ids=" ".join)
def test_refused(place, args):
    tool(place.dir, "tenant", "create", "so that there is a database")
    done = tool(place.dir, *args, ok=False)
    assert done.returncode in (1, 2)
    assert done.stderr and done.stdout == ""
    assert len(as_json(place.dir, "tenant", "list")["tenants"]) == 1


def test_refusal_says_what_there_is(tmp_path):
    for args, words in [
            (("tenant",), ["create", "list", "update", "delete"]),
            (("key", "destroy"), ['"key destroy"', "add", "list", "revoke"]),
            (("nonsense",), ['"nonsense"', "tenant", "backup", "status"]),
            (("tenant", "list", "--nope"), ['"--nope"', "tenant --help"])]:
        done = tool(tmp_path, *args, ok=False)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        for word in words + ["--help"]:
            assert word in done.stderr, done.stderr
    assert "erase" not in tool(tmp_path, "tenant", "--help").stdout


def test_other_tenants_key_is_not_revoked(place):
    a, b = (as_json(place.dir, "tenant", "create", n) for n in "ab")
    key_id = as_json(place.dir, "key", "list",
                     a["tenant_id"])["keys"][0]["key_id"]
    done = tool(place.dir, "key", "revoke", b["tenant_id"], key_id, ok=False)
    assert done.returncode == 1
    server = serving(place)
    assert Rest(server, {"X-API-Key": a["api_key"]}).get(
        "/rooms").status == 200


def test_without_a_database(tmp_path):
    """Only `tenant create` makes one."""
    for args in (("tenant", "list"), ("key", "list", "x")):
        done = tool(tmp_path, *args, ok=False)
        assert done.returncode == 1 and "chatapi.db" in done.stderr
    assert os.listdir(tmp_path) == []
    tool(tmp_path, "tenant", "create", "first")
    assert len(as_json(tmp_path, "tenant", "list")["tenants"]) == 1


def test_many_at_once(place):
    """Commands do not get into each other's way."""
    running = [subprocess.Popen(
        [BIN, "-d", "file:chatapi.db", "tenant", "create", f"t{i}"],
        cwd=place.dir, env=clean_env(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True) for i in range(8)]
    keys = set()
    for p in running:
        out, err = p.communicate(timeout=DEADLINE * 2)
        assert p.returncode == 0, err
        keys.add(KEY.search(out)[0])
    assert len(keys) == 8
    assert len(as_json(place.dir, "tenant", "list")["tenants"]) == 8


def test_tenant_is_good_on_every_worker_at_once(start_server):
    server = start_server(workers=3)
    for i in range(5):
        key = as_json(server.dir, "tenant", "create", f"t{i}")["api_key"]
        for slot in range(3):
            Rest(server, {"X-API-Key": key}, slot).get("/rooms").expect(200)


async def test_revoked_key_ends_everywhere_within_a_second(start_server):
    """REST and open WebSockets, on every worker; other keys live on."""
    server = start_server(workers=3)
    tenant = Tenant(server)
    added = as_json(server.dir, "key", "add", tenant.id)
    listed = as_json(server.dir, "key", "list", tenant.id)["keys"]
    first, = [k["key_id"] for k in listed if k["key_id"] != added["key_id"]]
    gone = [await Chat.connect(tenant, "ann", slot=i) for i in range(3)]
    rests = [tenant.user("ann", slot=i) for i in range(3)]
    for r in rests:
        r.get("/rooms").expect(200)
    tenant.key = added["api_key"]
    kept = [await Chat.connect(tenant, "ann", slot=i) for i in range(3)]
    tool(server.dir, "key", "revoke", tenant.id, first)
    began = time.monotonic()
    for c in gone:
        assert await c.wait_closed() == 4500
    for r in rests:
        while r.get("/rooms").status != 401:
            assert time.monotonic() - began < DEADLINE
            await asyncio.sleep(0.01)
    for c in kept:
        await c.barrier()
        await c.close()


def test_commands_do_not_hold_up_the_server(start_server):
    """While commands run, writes go on."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    ann = tenant.user("ann")
    room = ann.make_room()["room_id"]
    p = subprocess.Popen(
        [BIN, "-d", "file:chatapi.db", "tenant", "create", "x"],
        cwd=server.dir, env=clean_env(), stdout=subprocess.DEVNULL)
    sent = 0
    while p.poll() is None:
        ann.say(room, "x")
        sent += 1
    assert p.returncode == 0
    assert [m["seq"] for m in ann.history(room)] == list(range(1, sent + 1))


def test_no_key_in_the_log(start_server):
    server = start_server(workers=1, env={"LOG_LEVEL": "debug"})
    tenant = Tenant(server)
    ann = tenant.user("ann")
    room = ann.make_room()["room_id"]
    ann.say(room, "the secret contents", client_msg_id="x")
    ann.get(f"/rooms?api_key={tenant.key}")
    Rest(server, {"X-API-Key": tenant.key[:-1] + "!"}).get("/rooms")
    added = as_json(server.dir, "key", "add", tenant.id)
    server.stop()
    log = server.log()
    for secret in (tenant.key, tenant.key[:-1], added["api_key"],
                   server.env["MASTER_API_KEY"], "secret contents"):
        assert secret not in log
