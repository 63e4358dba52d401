# SPDX-License-Identifier: MIT
"""Backups of a running server, and putting them back."""
import errno
import glob
import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import time

import pytest

import faults
from chat import Chat
from client import Tenant
from harness import (BIN, DEADLINE, SANITIZERS, clean_env, proc_rss,
                     proc_stat, run, scaled, until)
from load import Load

NOISE = "The key file of tenants' secrets is in no backup"


def tool(directory, *args, ok=True, env=None):
    done = run("-d", "file:chatapi.db", *args, cwd=directory, env=env,
               deadline=DEADLINE * 3)
    if ok:
        assert done.returncode == 0, done.stderr
    return done


def start_tool(directory, *args, **more):
    return subprocess.Popen(
        [BIN, "-d", "file:chatapi.db", *map(str, args)], cwd=directory,
        env=clean_env(), stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def litter(directory):
    """Files of backups and restores that were not finished."""
    staging = os.path.join("chatapi.db-staging", "")
    return [n for n in os.listdir(directory)
            if n.endswith(".part") or n.startswith("chatapi.db-restor")] + \
        [os.path.relpath(n, directory)
         for n in glob.glob(os.path.join(directory, staging + "*"))]


def query(path, sql, *args):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return db.execute(sql, args).fetchall()


def epoch(path):
    return query(path, "SELECT epoch FROM state")[0][0]


def fill(server, room, megabytes):
    """Writes a long history into the stopped server's database."""
    path = os.path.join(server.dir, "chatapi.db")
    db = sqlite3.connect(path)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA wal_autocheckpoint = 0")
    rid, last, ms = db.execute(
        "SELECT id, last_seq, created_ms FROM room JOIN room_head"
        " ON room = id WHERE token = ?", (room[5:],)).fetchone()
    rows = megabytes * 1000
    content = "y" * 1000
    with db:
        db.executemany(
            "INSERT INTO message (room, seq, sender, content, created_ms)"
            " VALUES (?, ?, 'ann', ?, ?)",
            ((rid, last + i, content, ms) for i in range(1, rows + 1)))
        db.execute("UPDATE room_head SET last_seq = ? WHERE room = ?",
                   (last + rows, rid))
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return last + rows


@pytest.fixture
def large(start_server):
    """A running server whose first room has a long history."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room()["room_id"]
    server.stop()
    fill(server, room, scaled(60, 20))
    server.start()
    return server, tenant, room


async def test_drill(start_server, tmp_path):
    """Under load a backup is taken, the server is killed, the backup is
    restored elsewhere and served."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    ann = tenant.user("ann")
    rooms = [ann.make_room(["bob"])["room_id"] for _ in range(4)]
    bob = await Chat.connect(tenant, "bob")
    load = Load(tenant, rooms)
    until(lambda: load.count() > 200, "some messages were stored")
    began = time.monotonic()
    tool(server.dir, "backup", tmp_path / "b.db", "--quiet")
    ended = time.monotonic()
    until(lambda: load.waits(since=ended), "the load had gone on")
    old = bob.welcome["epoch"]
    server.destroy()
    load.stop()

    there = start_server(workers=2, launch=False)
    tool(there.dir, "restore", tmp_path / "b.db")
    there.start()
    tenant.server = there
    ann = tenant.user("ann")
    stored = {r: ann.history(r) for r in rooms}
    for r in rooms:
        assert [m["seq"] for m in stored[r]] == \
            list(range(1, len(stored[r]) + 1))
    got = {(r, m["seq"], m["content"]) for r in rooms for m in stored[r]}
    for room, seq, content, _, answered in load.told:
        assert answered > began or (room, seq, content) in got
    assert all(load.asked[content] < ended for *_, content in got)

    # Who resumes where he was in the other life goes on from his ack.
    bob = await Chat.connect(tenant, "bob", path="/ws?resume=1")
    assert bob.welcome["epoch"] != old
    await bob.send("resume", epoch=old, cursors={
        r: {"seq": len(stored[r]) + 1000, "rev": 0} for r in rooms})
    assert (await bob.wait("error"))["code"] == "resync_required"
    await bob.wait("sync.complete")
    for r in rooms:
        assert bob.seqs(r) == list(range(1, len(stored[r]) + 1))
        sent = ann.say(r, "after the restore")
        assert sent["seq"] == len(stored[r]) + 1
        await bob.wait_seq(r, sent["seq"])


def test_file(start_server, tmp_path):
    """One file, for its owner alone, never over another unless asked."""
    server = start_server(workers=1)
    tenant = Tenant(server)
    ann = tenant.user("ann")
    room = ann.make_room()["room_id"]
    ann.say(room, "hello")
    done = tool(server.dir, "backup", tmp_path / "b.db")
    assert NOISE in done.stderr and "chatapi.db-secrets" in done.stdout
    assert stat.S_IMODE(os.stat(tmp_path / "b.db").st_mode) == 0o600
    assert os.listdir(tmp_path) == ["b.db"]
    assert litter(server.dir) == []
    first = epoch(tmp_path / "b.db")
    assert first != epoch(os.path.join(server.dir, "chatapi.db"))
    again = tool(server.dir, "backup", tmp_path / "b.db", ok=False)
    assert again.returncode == 1 and "--force" in again.stderr
    assert epoch(tmp_path / "b.db") == first
    out = json.loads(tool(server.dir, "backup", tmp_path / "b.db", "--force",
                          "--quiet", "--json").stdout)
    assert out["file"] == str(tmp_path / "b.db")
    assert out["bytes"] == os.stat(tmp_path / "b.db").st_size
    assert epoch(tmp_path / "b.db") != first
    for own in ("chatapi.db", "chatapi.db-wal", "chatapi.db-lock"):
        done = tool(server.dir, "backup", own, "--force", ok=False)
        assert done.returncode == 1, own
    ann.say(room, "still here")
    # Without a server, too.
    server.stop()
    tool(server.dir, "backup", tmp_path / "c.db", "--quiet")
    assert query(tmp_path / "c.db", "SELECT count(*) FROM message") == [(2,)]
    assert epoch(tmp_path / "c.db") != epoch(tmp_path / "b.db")
    assert litter(server.dir) == []


def test_nowhere_to_put_it(start_server, tmp_path):
    server = start_server(workers=1)
    done = tool(server.dir, "backup", tmp_path / "no" / "b.db", ok=False)
    assert done.returncode == 1 and str(tmp_path / "no") in done.stderr
    assert litter(server.dir) == []
    until(server.healthy, "it serves on")


@pytest.mark.parametrize("what", ["fifo", "directory", "device"])
def test_replaces_only_files(start_server, tmp_path, what):
    """Whatever --force says."""
    server = start_server(workers=1)
    path = tmp_path / "b"
    if what == "fifo":
        os.mkfifo(path)
    elif what == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/null")
    done = tool(server.dir, "backup", path, "--force", ok=False)
    assert done.returncode == 1 and "no regular file" in done.stderr
    assert not path.is_file() and litter(server.dir) == []
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_restored_twice_at_once(start_server, tmp_path):
    """Each old one has a name of its own."""
    server = start_server(workers=1)
    room = Tenant(server).user("ann").make_room()["room_id"]
    tool(server.dir, "backup", tmp_path / "b.db", "--quiet")
    server.stop()
    kept = {json.loads(tool(server.dir, "restore", tmp_path / "b.db",
                            "--json").stdout)["kept"] for _ in range(3)}
    assert len(kept) == 3 and all(os.path.exists(k) for k in kept)
    assert litter(server.dir) == []
    server.start()
    assert room


def test_old_one_that_cannot_be_kept(start_server, tmp_path):
    """Its new name would be too long: nothing has happened."""
    server = start_server(workers=1)
    tool(server.dir, "backup", tmp_path / "b.db", "--quiet")
    server.stop()
    dsn = "file:" + "n" * 235
    os.rename(os.path.join(server.dir, "chatapi.db"),
              os.path.join(server.dir, "n" * 235))
    done = run("-d", dsn, "restore", tmp_path / "b.db", cwd=server.dir)
    assert done.returncode == 1 and "cannot keep" in done.stderr
    done = run("-d", dsn, "check", cwd=server.dir)
    assert done.returncode == 0, done
    assert not [n for n in os.listdir(server.dir) if "restor" in n]


def test_restore_keeps_the_old_one(start_server, tmp_path):
    server = start_server(workers=1)
    tenant = Tenant(server)
    ann = tenant.user("ann")
    room = ann.make_room()["room_id"]
    ann.say(room, "one")
    tool(server.dir, "backup", tmp_path / "b.db", "--quiet")
    refused = tool(server.dir, "restore", tmp_path / "b.db", ok=False)
    assert refused.returncode == 1 and "stop the server" in refused.stderr
    ann.say(room, "two")
    # Killed: the second message is in the log only.
    server.destroy()
    out = json.loads(tool(server.dir, "restore", tmp_path / "b.db",
                          "--json").stdout)
    assert not os.path.exists(os.path.join(server.dir, "chatapi.db-wal"))
    assert litter(server.dir) == []
    server.start()
    ann = tenant.user("ann")
    assert [m["content"] for m in ann.history(room)] == ["one"]
    server.stop()
    first = epoch(os.path.join(server.dir, "chatapi.db"))
    # And back again, log and all; this time nothing is kept.
    kept = out["kept"]
    assert os.path.exists(kept + "-wal")
    tool(server.dir, "restore", kept, "--discard")
    server.start()
    ann = tenant.user("ann")
    assert [m["content"] for m in ann.history(room)] == ["one", "two"]
    assert epoch(os.path.join(server.dir, "chatapi.db")) != first
    assert len([n for n in os.listdir(server.dir)
                if "before-restore" in n and not n.endswith("-wal")]) == 1


def damage(path):
    """Overwrites pages in the middle."""
    with open(path, "r+b") as f:
        f.seek(os.stat(path).st_size // 2 // 4096 * 4096)
        f.write(os.urandom(8192))


def newer(path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 999")


def foreign(path):
    os.unlink(path)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t (a)")


def no_database(path):
    with open(path, "w", encoding="ascii") as f:
        f.write("x" * 5000)


def cut(path):
    os.truncate(path, os.stat(path).st_size // 2)


@pytest.mark.parametrize("spoil, says", [
    (damage, "damaged"), (newer, "newer chatapi"), (foreign, "no database"),
    (no_database, "no database"), (cut, "")],
    ids=["damaged", "newer", "foreign", "text", "cut"])
def test_restore_refuses(start_server, tmp_path, spoil, says):
    """A file that is not sound changes nothing."""
    server = start_server(workers=1)
    tenant = Tenant(server)
    ann = tenant.user("ann")
    room = ann.make_room()["room_id"]
    for i in range(40):
        ann.say(room, "z" * 4000)
    server.stop()
    tool(server.dir, "backup", tmp_path / "b.db", "--quiet")
    spoil(tmp_path / "b.db")
    before = sorted(os.listdir(server.dir))
    done = tool(server.dir, "restore", tmp_path / "b.db", ok=False)
    assert done.returncode == 1 and says in done.stderr
    assert sorted(os.listdir(server.dir)) == before
    server.start()
    assert len(tenant.user("ann").history(room)) == 40


def test_interrupted_restore_is_not_served(start_server, tmp_path):
    """What a kill between the two files leaves is not taken for a database;
    the same command again finishes it."""
    server = start_server(workers=1)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room()["room_id"]
    tenant.user("ann").say(room, "one")
    tool(server.dir, "backup", tmp_path / "b.db", "--quiet")
    server.stop()
    open(os.path.join(server.dir, "chatapi.db-restoring"), "wb").close()
    os.unlink(os.path.join(server.dir, "chatapi.db"))
    server.launch()
    assert server.process.wait(DEADLINE) != 0
    assert "a restore" in server.log() and "interrupted" in server.log()
    assert not os.path.exists(os.path.join(server.dir, "chatapi.db"))
    tool(server.dir, "restore", tmp_path / "b.db")
    server.start()
    assert len(tenant.user("ann").history(room)) == 1


def test_other_file_system(start_server, tmp_path):
    """The copy is made beside the database, then carried over."""
    if not os.path.isdir("/dev/shm") or \
            os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("there is no other file system")
    server = start_server(workers=1)
    Tenant(server)
    path = f"/dev/shm/chatapi-test-{os.getpid()}.db"
    try:
        tool(server.dir, "backup", path, "--quiet")
        assert query(path, "PRAGMA integrity_check") == [("ok",)]
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert litter(server.dir) == [] and \
            not os.path.exists(path + ".part")
    finally:
        os.unlink(path)


def test_full_disk(start_server, tmp_path):
    """The command says so, the server goes on, and nothing is left."""
    server = start_server(workers=1, launch=False)
    disk = faults.Disk(str(tmp_path / "disk"),
                       os.path.join(server.dir, "chatapi.db"))
    server.env.update(disk.env)
    server.start()
    ann = Tenant(server).user("ann")
    room = ann.make_room()["room_id"]
    disk.files = faults.OTHER
    disk.write_error = errno.ENOSPC
    done = tool(server.dir, "backup", tmp_path / "b.db", ok=False)
    assert done.returncode == 1 and "full" in done.stderr, done.stderr
    assert litter(server.dir) == []
    assert not (tmp_path / "b.db").exists()
    ann.say(room, "the server goes on")
    disk.heal()
    tool(server.dir, "backup", tmp_path / "b.db", "--quiet")


def copied(server):
    """Bytes of a copy that is being made; 0 without one."""
    for n in litter(server.dir):
        try:
            return os.stat(os.path.join(server.dir, n)).st_size
        except FileNotFoundError:
            pass
    return 0


def half_made(server, path):
    """A backup in the middle of its copy: the command stands still, and the
    writer does not go on without it."""
    half = os.path.getsize(os.path.join(server.dir, "chatapi.db")) // 2

    def begun():
        p = start_tool(server.dir, "backup", path)
        until(lambda: copied(server) > 1 << 20 or p.poll() is not None,
              "the copy had begun", every=0.001)
        p.send_signal(signal.SIGSTOP)
        until(lambda: (proc_stat(p.pid) or "T")[-1] == "T", "it stood still")
        if p.poll() is None and 1 << 20 < copied(server) < half:
            return p
        # It was quicker than we: once more.
        p.send_signal(signal.SIGCONT)
        _, err = p.communicate(timeout=DEADLINE * 3)
        assert p.returncode == 0, err
        os.unlink(path)
        return None
    return until(begun, "a backup was caught in the middle")


def test_killed_command(large, tmp_path):
    """Neither Ctrl-C nor a kill leaves a file at the place; the server goes
    on and the next backup works at once."""
    server, tenant, room = large
    p = half_made(server, tmp_path / "b.db")
    p.send_signal(signal.SIGINT)
    p.send_signal(signal.SIGCONT)
    _, err = p.communicate(timeout=DEADLINE)
    assert p.returncode == 1 and "interrupted" in err
    assert os.listdir(tmp_path) == []
    assert litter(server.dir) == []
    p = half_made(server, tmp_path / "b.db")
    p.kill()
    p.communicate()
    assert os.listdir(tmp_path) == []
    tenant.user("ann").say(room, "the server goes on")

    def again():
        done = tool(server.dir, "backup", tmp_path / "b.db", "--quiet",
                    ok=False)
        return done.returncode == 0 or "another backup" not in done.stderr

    until(again, "the orphan was given up")
    assert query(tmp_path / "b.db", "PRAGMA quick_check") == [("ok",)]
    assert litter(server.dir) == []


def test_does_not_hold_up(large, tmp_path):
    """While a backup is made, sends go on, in bounded time and memory."""
    server, tenant, _ = large
    ann = tenant.user("ann")
    load = Load(tenant, [ann.make_room()["room_id"] for _ in range(4)])
    until(lambda: load.count() > 400, "the load was under way")
    before = load.waits()
    peak = tool_peak = 0
    # One may be over before the senders here have got their turn.
    for i in range(3):
        begun = time.monotonic()
        p = start_tool(server.dir, "backup", tmp_path / "b.db", "--force")
        while p.poll() is None:
            peak = max(peak, proc_rss(server.pid_of("writer")))
            try:
                tool_peak = max(tool_peak, proc_rss(p.pid))
            except (ValueError, OSError):
                pass
            time.sleep(0.005)
        ended = time.monotonic()
        assert p.wait() == 0, p.stderr.read()
        p.communicate()
        during = load.waits(begun, ended)
        if during:
            break
    load.stop()
    assert during, "nothing was sent meanwhile"
    step = int(re.search(r"longest_step_us=(\d+)", server.log())[1])
    print(f"p99 {before[len(before) * 99 // 100]:.4f} s, "
          f"worst {before[-1]:.4f}; during the backup "
          f"{during[len(during) * 99 // 100]:.4f}, {during[-1]:.4f}; "
          f"longest step {step} us; memory {peak >> 20} MiB, "
          f"the command's {tool_peak >> 20} MiB")
    # A pause of the machine holds up one of each sender's.
    assert during[len(during) // 2] < max(2.0, 20 * before[-1])
    assert during[-1] < max(10.0, 20 * before[-1])
    if not SANITIZERS:
        assert peak < 64 << 20 and tool_peak < 64 << 20
    assert query(tmp_path / "b.db", "PRAGMA quick_check") == [("ok",)]


def test_killed_writer(large, tmp_path):
    """The command begins anew with the next writer."""
    server, tenant, room = large
    p = half_made(server, tmp_path / "b.db")
    server.kill("writer")
    p.send_signal(signal.SIGCONT)
    _, err = p.communicate(timeout=DEADLINE * 3)
    assert p.returncode == 0, err
    assert query(tmp_path / "b.db", "PRAGMA quick_check") == [("ok",)]
    until(lambda: litter(server.dir) == [], "nothing was left")
    tenant.user("ann").say(room, "the server goes on")


def test_killed_server(large, tmp_path):
    """All of it dies: the command fails, the next start clears up."""
    server, tenant, room = large
    p = half_made(server, tmp_path / "b.db")
    # So that there is no next writer that clears up.
    os.kill(server.pid, signal.SIGSTOP)
    server.kill("writer")
    server.destroy()
    os.kill(p.pid, signal.SIGKILL)
    p.communicate()
    assert litter(server.dir) != []
    server.start()
    assert litter(server.dir) == [] and os.listdir(tmp_path) == []
    tenant.user("ann").say(room, "the server goes on")
