# SPDX-License-Identifier: MIT
"""On disk before told: the system calls of the writer, seen by strace."""
import asyncio
import os
import re
import subprocess

import pytest

from chat import Chat, close_all
from client import Tenant
from harness import BIN, clean_env, scaled
from strace import strace       # noqa: F401 (a fixture)

WRITES = "write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,sendmmsg"
SYNCS = "fdatasync,fsync"


def is_wal(rest):
    return re.match(r"\d+<[^>]*-wal>", rest) is not None


def is_socket(rest):
    return re.match(r"\d+<(?:socket|UNIX)", rest) is not None


@pytest.mark.parametrize("way", ["rest", "websocket"])
async def test_synced_before_it_is_told(start_server, strace, way):
    """Between the write of the row and anything said about it: a sync."""
    server = start_server(workers=1)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    ann = await Chat.connect(tenant, "ann")
    bob = await Chat.connect(tenant, "bob")
    await ann.say(room, "to warm up")
    await bob.wait_seq(room, 1)
    mark = "a-mark-to-look-for"
    trace = strace(server.pid_of("writer"), f"{WRITES},{SYNCS}", 100000)
    if way == "rest":
        await asyncio.to_thread(
            lambda: tenant.user("ann").say(room, mark))
    else:
        await ann.say(room, mark)
    await bob.wait_seq(room, 2)
    calls = trace.stop()
    written = [i for i, (call, rest) in enumerate(calls)
               if call.startswith("pwrite") and is_wal(rest)
               and mark in rest]
    assert written, "the row's write to the log was not seen"
    told = [i for i, (call, rest) in enumerate(calls)
            if is_socket(rest) and mark in rest]
    assert told, "the announcement was not seen"
    last_write = max(i for i, (call, rest) in enumerate(calls)
                     if call.startswith("pwrite") and is_wal(rest)
                     and i < told[0])
    synced = [i for i, (call, rest) in enumerate(calls)
              if call in ("fdatasync", "fsync") and is_wal(rest)
              and re.search(r"= 0\s*$", rest) and i > last_write]
    assert synced, "the log was not synced"
    assert written[0] <= last_write < synced[0] < told[0]
    # Nor the answer: between the row's write and the sync no socket is
    # written to but the bus, which carries a heartbeat now and then.
    between = [(call, rest) for call, rest in calls[written[0]:synced[0]]
               if is_socket(rest) and not rest.startswith("3<")]
    assert between == []
    answers = [i for i, (call, rest) in enumerate(calls)
               if is_socket(rest) and not rest.startswith("3<")
               and i > synced[0]]
    assert answers, "the answer was not seen behind the sync"
    await close_all([ann, bob])


async def test_many_messages_share_a_sync(start_server, strace,
                                          record_property):
    server = start_server(workers=2)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    chats = [await Chat.connect(tenant, "ann", slot=i % 2)
             for i in range(8)]
    each = scaled(250, 100)
    trace = strace(server.pid_of("writer"), SYNCS)

    async def talk(c):
        for start in range(0, each, 25):
            for i in range(25):
                await c.send("send_message", room_id=room,
                             content=f"{start + i}")
            await c.until(
                lambda: len(c.of("message.sent")) == start + 25)

    await asyncio.gather(*(talk(c) for c in chats))
    calls = trace.stop()
    syncs = len([1 for _, rest in calls if is_wal(rest)])
    total = each * len(chats)
    record_property("messages", str(total))
    record_property("syncs of the log", str(syncs))
    assert 0 < syncs < total / 4
    got, = tenant.user("ann").get("/rooms").expect(200)["rooms"]
    assert got["last_seq"] == total
    await close_all(chats)


def test_directory_is_synced_too(start_server, strace, tmp_path):
    """A new database's name survives as well as its contents: the start
    of a server ends with a synced directory."""
    trace = str(tmp_path / "start.trace")
    server = start_server(workers=1, launch=False)
    done = subprocess.run(
        ["strace", "-f", "-y", "-o", trace, "-e", f"trace={SYNCS}",
         BIN, "tenant", "create", "first"],
        cwd=server.dir, env=clean_env(
            {"DATABASE_DSN": "file:chatapi.db", **sanitizer_quiet()}),
        capture_output=True, text=True, timeout=60)
    if "ptrace" in done.stderr and done.returncode != 0:
        pytest.skip("strace cannot trace here: " + done.stderr.strip())
    assert done.returncode == 0, done.stderr
    with open(trace, encoding="latin-1") as f:
        synced = re.findall(r"f(?:data)?sync\(\d+<([^>]*)>", f.read())
    names = {os.path.relpath(p, server.dir) for p in synced}
    assert "." in names, names


def sanitizer_quiet():
    """The leak checker itself needs ptrace."""
    options = os.environ.get("ASAN_OPTIONS")
    return {"ASAN_OPTIONS": options + ":detect_leaks=0"} if options else {}
