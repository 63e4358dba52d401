# SPDX-License-Identifier: MIT
"""A disk that is full, read-only or broken.

An error answer means that nothing was stored; a success answer means that it
is on disk; what can be read is read; and when the disk is well again, so is
the server, without anything being restarted.  The faults come from
preload_disk.so; where a file system may be mounted, from a real one too.
"""
import asyncio
import errno
import os
import re
import sqlite3
import subprocess

import pytest

import faults
from chat import Chat, close_all
from client import Rest, Tenant
from harness import AS_ROOT, DEADLINE, free_port, run, scaled, until


class Preload:
    """Not a real disk, but available everywhere."""

    def __init__(self, tmp_path):
        self.database = str(tmp_path / "db" / "chatapi.db")
        os.makedirs(os.path.dirname(self.database))
        self.disk = faults.Disk(str(tmp_path / "disk"), self.database,
                                everywhere=True)
        self.env = self.disk.env

    def fill(self, partly=False):
        """No write succeeds; partly: unless it is into what is there."""
        if partly:
            self.disk.fill()
        else:
            self.disk.write_error = errno.ENOSPC

    def make_readonly(self):
        self.disk.make_readonly()

    def heal(self):
        self.disk.heal()

    def end(self):
        pass


class Tmpfs:
    """A small file system of its own."""
    env = {}

    def __init__(self, tmp_path):
        self.mounted = str(tmp_path / "mnt")
        os.mkdir(self.mounted)
        self.root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        done = self.run("mount", "-t", "tmpfs", "-o",
                        f"size=64m,mode=0777,uid={os.geteuid()}", "tmpfs",
                        self.mounted)
        if done is None or done.returncode != 0:
            pytest.skip("no file system may be mounted here: "
                        + (done.stderr.strip() if done else "no sudo")
                        + " (the preloaded one is tested)")
        self.database = os.path.join(self.mounted, "chatapi.db")
        self.filler = os.path.join(self.mounted, "filler")

    def run(self, *command):
        try:
            return subprocess.run([*self.root, *command], text=True,
                                  capture_output=True, timeout=30,
                                  stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            return None

    def fill(self, partly=True):
        with open(self.filler, "ab", buffering=0) as f:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        f.write(bytes(size))
                except OSError as e:
                    assert e.errno == errno.ENOSPC

    def make_readonly(self):
        # The kernel lets go of what confined a process a moment after its
        # end; a deleted file in it keeps the disk busy until then.
        until(lambda: self.run("mount", "-o", "remount,ro",
                               self.mounted).returncode == 0,
              "the disk could be made read-only")

    def heal(self):
        done = self.run("mount", "-o", "remount,rw", self.mounted)
        assert done.returncode == 0, done
        if os.path.exists(self.filler):
            os.unlink(self.filler)

    def end(self):
        self.run("umount", "-l", self.mounted)


@pytest.fixture(params=[Preload, Tmpfs], ids=["preload", "tmpfs"])
def disk(request, tmp_path):
    """A disk that can be filled; a server's database goes to `database`."""
    made = request.param(tmp_path)
    yield made
    made.end()


@pytest.fixture
def preload(tmp_path):
    return Preload(tmp_path)


@pytest.fixture
def tmpfs(tmp_path):
    made = Tmpfs(tmp_path)
    yield made
    made.end()


def start_on(start_server, disk, **options):
    server = start_server(args=["-d", "file:" + disk.database], launch=False,
                          **options)
    server.env.update(disk.env)
    return server


def health(server):
    return Rest(server).get("/health")


def check_sick(server):
    got = health(server)
    assert got.status == 503
    assert got.json["status"] == "error"
    assert got.json["db_writable"] is False


def wait_well(server):
    until(lambda: health(server).status == 200, "it was well again")
    assert health(server).json["db_writable"] is True


class Talk:
    """Two users in a room, on two workers, and what they were told."""

    def __init__(self, server):
        self.server = server
        self.tenant = Tenant(server)
        self.ann = self.tenant.user("ann", slot=0)
        self.room = self.ann.make_room(["bob"])["room_id"]
        self.path = f"/rooms/{self.room}"
        self.kept = [self.ann.say(self.room, "before")]
        self.acked = 0
        self.pids = server.whole()

    async def connect(self):
        self.chats = [await Chat.connect(self.tenant, u, slot=i)
                      for i, u in enumerate(("ann", "bob"))]
        for c in self.chats:
            await c.wait("sync.complete")

    async def until_refused(self):
        """Sends until it does not fit any more."""
        for i in range(4000):
            got = await asyncio.to_thread(
                self.ann.post, self.path + "/messages",
                {"content": f"{i} " + "x" * 4000})
            if got.status != 201:
                break
            self.kept.append(got.json)
        got.error(503, "unavailable")
        assert int(got.headers["retry-after"]) >= 1
        # Now the smallest that there is, which writes fewer pages.
        for m in self.kept[self.acked:]:
            got = await asyncio.to_thread(
                self.ann.post, "/acks", {"room_id": self.room,
                                         "seq": m["seq"]})
            if got.status != 200:
                break
            self.acked = m["seq"]
        got.error(503, "unavailable")

    async def check_refused(self):
        """Nothing that would change anything is done."""
        ann, path = self.ann, self.path
        first = f"{path}/messages/{self.kept[0]['message_id']}"
        for method, where, body in (
                ("POST", path + "/messages", {"content": "no " * 2000}),
                ("PUT", first, {"content": "no"}), ("DELETE", first, None),
                ("POST", "/rooms", {"type": "group", "members": []}),
                ("PATCH", path, {"name": "no"}), ("DELETE", path, None),
                ("POST", path + "/members", {"user_id": "no"}),
                ("DELETE", path + "/members/bob", None),
                ("POST", "/acks", {"room_id": self.room,
                                   "seq": self.acked + 1})):
            got = await asyncio.to_thread(ann.call, method, where, body)
            assert got.status == 503, (method, where, got)
            got.error(503, "unavailable")
            assert int(got.headers["retry-after"]) >= 1
        for c in self.chats:
            for type_, fields in (
                    ("send_message", {"content": "nor " * 2000}),
                    ("ack", {"seq": self.acked + 1})):
                got = await c.ask("error", type_, room_id=self.room,
                                  **fields)
                assert got["code"] == "unavailable", got
                assert got["temporary"] is True
        await asyncio.to_thread(check_sick, self.server)

    async def check_alive(self):
        """What needs no writing goes on."""
        for c in self.chats:
            # Who is slow is not told of typing.
            await c.wait_seq(self.room, len(self.kept))
        await self.chats[0].send("typing.start", room_id=self.room)
        await self.chats[1].wait("typing", action="start")
        await self.chats[0].send("typing.stop", room_id=self.room)
        await self.chats[1].wait("typing", action="stop")
        another = await Chat.connect(self.tenant, "bob", slot=0)
        await another.wait("sync.complete")
        assert len(another.seqs(self.room)) == len(self.kept)
        await another.close()
        await asyncio.to_thread(self.check_history)

    def check_history(self):
        """Exactly what was acknowledged is there."""
        shown = self.tenant.user("bob").history(self.room)
        assert [m["seq"] for m in shown] == list(range(1, len(shown) + 1))
        assert [(m["seq"], m["message_id"], m["content"]) for m in shown] == \
            [(m["seq"], m["message_id"], m["content"]) for m in self.kept]

    async def check_well(self):
        """It has come back by itself, in the same processes."""
        await asyncio.to_thread(wait_well, self.server)
        assert self.server.whole() == self.pids
        for i in range(3):
            self.kept.append(await asyncio.to_thread(
                self.ann.say, self.room, f"after {i}"))
        for c in self.chats:
            got = await c.say(self.room, f"by {c.slot}")
            self.kept.append({**got, "content": f"by {c.slot}"})
        for c in self.chats:
            await c.wait_seq(self.room, len(self.kept))
            assert c.seqs(self.room)[-5:] == \
                list(range(len(self.kept) - 4, len(self.kept) + 1))
        await asyncio.to_thread(self.check_history)


def hold_on(disk):
    """A reader that keeps the log from starting over: on a full disk, that
    would be room again for a while."""
    reader = sqlite3.connect(f"file:{disk.database}?mode=ro", uri=True,
                             isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM message").fetchone()[0] > 0
    return reader


async def test_full_disk(start_server, disk):
    talk = Talk(start_on(start_server, disk, workers=2).start())
    await talk.connect()
    for _ in range(2):
        reader = hold_on(disk)
        disk.fill()
        await talk.until_refused()
        await talk.check_refused()
        await talk.check_alive()
        await talk.check_refused()
        reader.close()
        disk.heal()
        await talk.check_well()
    await close_all(talk.chats)


@pytest.mark.parametrize("error", ["EROFS", "EIO", "EDQUOT"])
async def test_writes_fail(start_server, preload, error):
    """A file system that has become read-only, a broken disk, a quota."""
    talk = Talk(start_on(start_server, preload, workers=2).start())
    await talk.connect()
    preload.disk.write_error = getattr(errno, error)
    await talk.until_refused()
    await talk.check_refused()
    await talk.check_alive()
    preload.disk.heal()
    await talk.check_well()
    await close_all(talk.chats)


async def test_full_under_load(start_server, disk):
    """Many messages in flight when the disk fills: each is answered, and
    what is stored is what was acknowledged."""
    talk = Talk(start_on(start_server, disk, workers=2).start())
    await talk.connect()
    refused = 0

    async def say(chat, i):
        nonlocal refused
        content = f"{chat.slot} {i} " + "y" * 3000
        request = f"{chat.slot} {i}"
        await chat.send("send_message", room_id=talk.room, content=content,
                        request_id=request)
        got = await chat.wait(None, request_id=request, matches=lambda f:
                              f["type"] in ("message.sent", "error"))
        if got["type"] == "error":
            assert got["code"] == "unavailable"
            refused += 1
        else:
            talk.kept.append({**got, "content": content})

    for turn in range(6):
        if turn in (1, 4):
            disk.fill(partly=True)
        elif turn in (3, 5):
            disk.heal()
            await asyncio.to_thread(wait_well, talk.server)
        await asyncio.gather(*(
            say(c, turn * 1000 + i) for c in talk.chats
            for i in range(scaled(60, 30))))
    assert refused > 0
    talk.kept.sort(key=lambda m: m["seq"])
    await talk.check_well()
    for c in talk.chats:
        assert c.seqs(talk.room) == [m["seq"] for m in talk.kept]
    await close_all(talk.chats)


async def test_full_in_checkpoints(start_server, preload):
    """There is room for the log, but none for the database to grow: that
    is not yet a reason to refuse anything."""
    server = start_on(start_server, preload, workers=2).start()
    talk = Talk(server)
    await talk.connect()
    preload.disk.files = faults.DB
    preload.fill(partly=True)
    wal = preload.database + "-wal"
    while preload.disk.hits < 3 or \
            os.path.getsize(wal) < scaled(17, 9) * 1024 * 1024:
        got = await asyncio.gather(*(
            talk.chats[0].say(talk.room, f"{i} " + "z" * 16000)
            for i in range(20)))
        talk.kept += [{**m, "content": f"{i} " + "z" * 16000}
                      for i, m in enumerate(got)]
        assert len(talk.kept) < 4000
    assert health(server).status == 200
    # It does not say so for each attempt.
    assert len(re.findall("checkpoint failed", server.log())) == 1
    preload.disk.files = faults.FILES
    await talk.until_refused()
    await talk.check_refused()
    preload.disk.heal()
    await talk.check_well()
    await close_all(talk.chats)
    server.destroy()
    server.start()
    talk.check_history()


async def test_no_room_for_the_index_of_the_log(start_server, preload):
    """It would be noticed after a commit's sync, when it is too late to
    refuse: so it is made sure of before."""
    talk = Talk(start_on(start_server, preload, workers=2).start())
    await talk.connect()
    reader = hold_on(preload)
    preload.disk.files = faults.SHM
    preload.fill(partly=True)
    await talk.until_refused()
    await talk.check_refused()
    await talk.check_alive()
    preload.disk.heal()
    await talk.check_well()
    reader.close()
    await close_all(talk.chats)


async def test_failed_sync(start_server, preload):
    """Nobody can say what is on disk then: the next writer looks, and each
    message is stored and answered once."""
    talk = Talk(start_on(start_server, preload, workers=2).start())
    await talk.connect()
    old = talk.server.pid_of("writer")
    preload.disk.files, preload.disk.times = faults.WAL, 1
    preload.disk.sync_error = errno.EIO
    for got in await asyncio.gather(*(
            c.say(talk.room, f"by {c.slot}") for c in talk.chats)):
        assert got["seq"] in (2, 3) and not got["duplicate"]
    assert preload.disk.hits == 1
    assert talk.server.pid_of("writer") != old
    await talk.chats[0].say(talk.room, "after")
    for c in talk.chats:
        await c.wait_seq(talk.room, 4)
        assert c.seqs(talk.room) == [1, 2, 3, 4]
    shown = [m["content"] for m in talk.ann.history(talk.room)]
    assert shown[0] == "before" and shown[3] == "after"
    assert set(shown[1:3]) == {"by 0", "by 1"}
    await close_all(talk.chats)


async def test_syncs_go_on_failing(start_server, preload):
    """No writer can start: that is an outage and said to be one, and it
    ends by itself."""
    talk = Talk(start_on(start_server, preload, workers=2).start())
    await talk.connect()
    preload.disk.sync_error = errno.EIO
    await talk.chats[0].send("send_message", room_id=talk.room,
                             content="maybe", client_msg_id="maybe")
    await asyncio.to_thread(
        until, lambda: health(talk.server).status == 503, "/health said so")
    got = await asyncio.to_thread(
        talk.ann.post, talk.path + "/messages", {"content": "no"})
    got.error(503, "unavailable")
    got = await talk.chats[1].ask("error", "send_message",
                                  room_id=talk.room, content="no")
    assert got["code"] == "unavailable" and got["temporary"] is True
    await asyncio.to_thread(check_sick, talk.server)
    await talk.check_alive()
    preload.disk.heal()
    await asyncio.to_thread(wait_well, talk.server)
    # What had been taken before is there or not, and that stays so.
    got = await asyncio.to_thread(
        talk.ann.post, talk.path + "/messages",
        {"content": "maybe", "client_msg_id": "maybe"})
    assert got.status in (200, 201) and got.json["seq"] == 2
    for c in talk.chats:
        if c.open_now:
            await c.wait_seq(talk.room, 2)
            assert c.seqs(talk.room) == [1, 2]
    assert [m["content"] for m in talk.ann.history(talk.room)] == \
        ["before", "maybe"]


# ---- starts ----

def files_of(disk):
    name = os.path.basename(disk.database)
    return {f for f in os.listdir(os.path.dirname(disk.database))
            if f.startswith(name)} - {name + "-lock"}


def refused(disk, *args):
    """A start that must fail; returns what it says."""
    env = {**disk.env, "DATABASE_DSN": "file:" + disk.database}
    done = run(*(args or (*AS_ROOT, "-w", "1",
                          "-l", f"127.0.0.1:{free_port()}")),
               env=env, deadline=DEADLINE + 15)
    assert done.returncode == 1, done
    assert disk.database in done.stderr
    return done.stderr


@pytest.mark.parametrize("args", [(), ("tenant", "create", "first")],
                         ids=["server", "tool"])
def test_new_database_on_a_full_disk(start_server, disk, args):
    """It does not start, says why, and leaves nothing half-made."""
    disk.fill()
    assert "full" in refused(disk, *args)
    assert files_of(disk) == set()
    disk.heal()
    talk = Talk(start_on(start_server, disk, workers=2).start())
    talk.check_history()


def test_new_database_on_a_disk_that_fills(preload):
    """Wherever the making of a database ends: nothing of it is left."""
    env = {**preload.env, "DATABASE_DSN": "file:" + preload.database}
    for count in range(1000):
        preload.disk.write_error = errno.ENOSPC
        preload.disk.after = count
        preload.disk.hits = 0
        done = run("tenant", "create", "first", env=env)
        full = preload.disk.hits > 0
        preload.disk.heal()
        if preload.database in done.stderr:
            assert done.returncode == 1, done
            assert files_of(preload) == set(), f"after {count} writes"
            continue
        # It was made; had the tenant room, too?
        there = run("tenant", "list", env=env).stdout
        if done.returncode == 0:
            assert "first" in there
        else:
            assert "the database cannot be written" in done.stderr
            assert "first" not in there
        if not full:
            break
        for name in files_of(preload):
            os.unlink(os.path.join(os.path.dirname(preload.database), name))
    assert count > 20


def test_start_on_a_disk_that_takes_nothing(start_server, preload):
    """An old database is not opened either, but is not harmed."""
    server = start_on(start_server, preload, workers=2).start()
    talk = Talk(server)
    server.stop()
    preload.fill()
    refused(preload)
    preload.heal()
    server.start()
    talk.ann = talk.tenant.user("ann")
    talk.kept.append(talk.ann.say(talk.room, "after"))
    talk.check_history()


def test_start_on_a_full_disk(start_server, tmpfs):
    """The log's file has stayed: reads are served, as they were before."""
    server = start_on(start_server, tmpfs, workers=2).start()
    talk = Talk(server)
    server.stop()
    tmpfs.fill()
    before = len(server.log())
    server.launch()
    until(lambda: 'msg="ready"' in server.log()[before:], "it was ready")
    check_sick(server)
    talk.ann = talk.tenant.user("ann")
    talk.check_history()
    asyncio.run(talk.until_refused())
    tmpfs.heal()
    wait_well(server)
    talk.ann = talk.tenant.user("ann")
    talk.kept.append(talk.ann.say(talk.room, "after"))
    talk.check_history()


def test_killed_on_a_full_disk(start_server, tmpfs):
    """A server that had not closed its database finds its room again: it
    serves reads and says that it cannot write."""
    server = start_on(start_server, tmpfs, workers=2).start()
    talk = Talk(server)
    tmpfs.fill()
    asyncio.run(talk.until_refused())
    server.destroy()
    before = len(server.log())
    server.launch()
    until(lambda: 'msg="ready"' in server.log()[before:], "it was ready")
    check_sick(server)
    talk.ann = talk.tenant.user("ann")
    talk.check_history()
    asyncio.run(talk.until_refused())
    check_sick(server)
    talk.check_history()
    tmpfs.heal()
    wait_well(server)
    talk.kept.append(talk.ann.say(talk.room, "after"))
    talk.check_history()


def test_start_on_a_read_only_disk(start_server, disk):
    """New or old, a database that cannot be written is not served."""
    disk.make_readonly()
    refused(disk)
    assert files_of(disk) == set()
    disk.heal()
    server = start_on(start_server, disk, workers=2).start()
    talk = Talk(server)
    server.stop()
    disk.make_readonly()
    refused(disk)
    disk.heal()
    server.start()
    talk.ann = talk.tenant.user("ann")
    talk.kept.append(talk.ann.say(talk.room, "after"))
    talk.check_history()
