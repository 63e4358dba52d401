# SPDX-License-Identifier: MIT
"""The power fails: what was acknowledged is there when it is back.

A load of sends, acks and new members runs once, with deaths of the writer
and of everything, while preload_disk.so keeps a journal of what reaches the
disk.  Then for many points of that journal the files are made as a disk
would hold them, opened, and compared with what the clients had been told.
"""
import asyncio
import copy
import errno
import os
import random
import re
import shutil
import signal
import sqlite3
import tempfile
import time

import pytest

import faults
import powercut
from chat import Chat, close_all
from client import Tenant
from harness import Server, proc_stat, run, scaled, until

SEED = int(os.environ.get("CHATAPI_SEED", "1"))
MARK = re.compile(rb"<m(\d{6})>")
NEW = re.compile(rb'"type":"message",[^{}]*"content":"<m(\d{6})>')
USERS = ["ann", "bob", "cyd"]


class Truth:
    """What the clients were told, and when they heard it."""

    def __init__(self):
        self.tried = {}     # number of the message: (user, room, content)
        self.sent = {}      # the same: (room, seq, content, ns)
        self.ids = {}       # the same: message_id
        self.changing = {}  # the same: what it may have become
        self.changes = []   # (ns, number, what it has become)
        self.acks = []      # (ns, room, user, seq)
        self.joins = []     # (ns, room, user)
        self.rooms = []     # (ns, room)

    def states(self, n, ns=float("inf")):
        """What message n can be if all that is known is known at ns."""
        least = max((to for t, m, to in self.changes if m == n and t < ns),
                    default=WHOLE)
        return range(least, self.changing.get(n, WHOLE) + 1)

    def next(self, rng, user, room):
        n = len(self.tried) + 1
        size = rng.choice((10, 50, 50, 200, 200, 1000, 6000))
        self.tried[n] = user, room, f"<m{n:06d}>" + "." * size
        return n


# What becomes of a message, in this order only.
WHOLE, EDITED, DELETED = range(3)


def state(content, sent):
    """Which of these a stored content is; None for another message's."""
    if content is None:
        return DELETED
    return {sent: WHOLE, sent + "!": EDITED}.get(content)


async def send(chat, truth, n):
    _, room, content = truth.tried[n]
    got = await chat.say(room, content, client_msg_id=f"c{n}")
    truth.sent[n] = room, got["seq"], content, time.monotonic_ns()
    truth.ids[n] = got["message_id"]


def change(rest, truth, n, to):
    """Edits or deletes a message of one's own."""
    path = f"/rooms/{truth.sent[n][0]}/messages/{truth.ids[n]}"
    truth.changing[n] = to
    if to == EDITED:
        rest.call("PUT", path, {"content": truth.tried[n][2] + "!"}
                  ).expect(200)
    else:
        rest.delete(path).expect(204)
    truth.changes.append((time.monotonic_ns(), n, to))


async def talk(tenant, truth, rng, rooms, user, slot, stopped):
    """One client: sends, now and then acknowledges, brings somebody in, or
    edits or deletes what it has said."""
    chat = await Chat.connect(tenant, user, slot=slot)
    backend, rest = tenant.backend(), tenant.user(user)
    while not stopped():
        room = rng.choice(rooms)
        numbers = [truth.next(rng, user, room)
                   for _ in range(rng.choice((1, 1, 2, 4)))]
        await asyncio.gather(*(send(chat, truth, n) for n in numbers))
        if rng.random() < 0.2:
            got = await chat.ask("ack.received", "ack", room_id=room,
                                 seq=truth.sent[numbers[0]][1])
            truth.acks.append((time.monotonic_ns(), room, user, got["seq"]))
        if rng.random() < 0.05:
            guest = f"guest {numbers[0]}"
            (await asyncio.to_thread(
                backend.post, f"/rooms/{room}/members",
                {"user_id": guest})).expect(200)
            truth.joins.append((time.monotonic_ns(), room, guest))
        if rng.random() < 0.15:
            await asyncio.to_thread(change, rest, truth, numbers[0], EDITED)
        if rng.random() < 0.1:
            await asyncio.to_thread(change, rest, truth, numbers[0], DELETED)
    await chat.close()


async def load(tenant, truth, rng, rooms, count, disturb=None):
    """At least `count` more messages by six clients, who go on while
    disturb(), called half-way, lasts; if it says so they end there."""
    end = len(truth.tried) + count
    half = len(truth.tried) + count // 2
    ended, disturbed = False, disturb is None
    clients = [asyncio.ensure_future(talk(
        tenant, truth, random.Random(rng.random()), rooms, user, i % 2,
        lambda: ended or (disturbed and len(truth.tried) >= end)))
        for i, user in enumerate(USERS * 2)]
    if disturb is not None:
        while len(truth.tried) < half:
            await asyncio.sleep(0.005)
            assert not any(c.done() for c in clients)
        ended = await asyncio.to_thread(disturb)
        disturbed = True
    await asyncio.gather(*clients, return_exceptions=ended)
    # Those of a server that was killed must not outlive their loop.
    await close_all(list(Chat.alive))


async def repeat_unanswered(tenant, truth):
    """As a client does whose connection broke."""
    chats = {user: await Chat.connect(tenant, user) for user in USERS}
    for n in sorted(set(truth.tried) - set(truth.sent)):
        await send(chats[truth.tried[n][0]], truth, n)
    for chat in chats.values():
        await chat.close()


def kill_writer(server):
    old = server.kill("writer")
    server.wait_respawn("writer", None, old)
    return False


def fail_checkpoint(server, disk):
    """A checkpoint that a reader has held short, one whose sync of the
    database fails, and a whole one."""
    path = os.path.join(server.dir, "chatapi.db")

    def until_written(what):
        before = os.stat(path).st_mtime_ns
        until(lambda: os.stat(path).st_mtime_ns != before, what)

    reader = hold_on(server)
    until_written("there was a checkpoint")
    reader.close()
    disk.files, disk.times, disk.sync_error = faults.DB, 1, errno.EIO
    until(lambda: disk.hits == 1, "a checkpoint failed")
    until_written("there was another checkpoint")
    return False


def fail_sync(server, disk):
    """The writer dies of a sync that fails, and nothing comes after it."""
    writer = server.pid_of("writer")
    os.kill(server.pid, signal.SIGSTOP)
    disk.files, disk.times, disk.sync_error = faults.WAL, 1, errno.EIO
    until(lambda: proc_stat(writer) is None, "the writer had given up")
    return True


def hold_on(server):
    """A reader of the log's end that keeps it from being checkpointed."""
    path = os.path.join(server.dir, "chatapi.db")
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True,
                         isolation_level=None)
    db.execute("BEGIN")
    assert db.execute("SELECT count(*) FROM message").fetchone()[0] > 0
    return db


def kill_everything(server):
    """All processes at once, as someone in a hurry might."""
    os.killpg(server.pid, 9)
    server.process.wait()
    until(lambda: not server.left_over(), "all processes had gone")
    server.process = None
    return True


def check_history(tenant, truth):
    """What the server shows agrees with what it acknowledged."""
    backend = tenant.backend()
    for _, room in truth.rooms:
        shown = [(m["seq"], m.get("content"))
                 for m in backend.history(room)]
        assert [s for s, _ in shown] == list(range(1, len(shown) + 1))
        for n, (r, seq, content, _) in truth.sent.items():
            if r == room:
                assert state(shown[seq - 1][1], content) in \
                    truth.states(n), f"message {n}: {shown[seq - 1]}"


class Run:
    """The load, and what became of it."""

    def __init__(self, start_server, tmp_path, count, seed=SEED,
                 swallow=False, sync_error=False):
        self.seed = seed
        self.writers = 2 if sync_error else 3
        rng = random.Random(seed)
        journal = str(tmp_path / "journal")
        disk = faults.Disk(str(tmp_path / "disk"), journal=journal)
        server = start_server(workers=2, launch=False)
        disk.of(os.path.join(server.dir, "chatapi.db"))
        disk.swallow = int(swallow)
        server.env.update(disk.env)
        server.start()
        self.truth = truth = Truth()
        self.tenant = tenant = Tenant(server)
        rooms = []
        for _ in range(4):
            rooms.append(tenant.user("ann").make_room(USERS)["room_id"])
            truth.rooms.append((time.monotonic_ns(), rooms[-1]))

        asyncio.run(load(
            tenant, truth, rng, rooms, count,
            lambda: fail_checkpoint(server, disk) if sync_error else
            kill_writer(server)))
        asyncio.run(load(
            tenant, truth, rng, rooms, count,
            lambda: (fail_sync(server, disk) if sync_error else True) and
            kill_everything(server)))
        if sync_error:
            reader = hold_on(server)
        server.start()
        check_history(tenant, truth)
        asyncio.run(repeat_unanswered(tenant, truth))
        asyncio.run(load(tenant, truth, rng, rooms, count))
        check_history(tenant, truth)
        if sync_error:
            reader.close()
        server.stop()
        self.files = {}
        for name in os.listdir(server.dir):
            if name in ("chatapi.db", "chatapi.db-wal"):
                with open(os.path.join(server.dir, name), "rb") as f:
                    self.files[name] = f.read()
        self.entries = powercut.read_journal(journal)
        self.hits = disk.hits

    def replay(self):
        """The whole journal: all of it must be understood."""
        disk = powercut.Disk()
        for e in self.entries:
            disk.add(e)
        return disk


class Cut:
    """One point of the journal at which the power fails."""

    def __init__(self, run_, at, disk, told, ns, directory):
        self.run = run_
        self.at = at
        # Of the writer that runs then: its beginning and its end.
        starts = [i for i, e in enumerate(run_.entries)
                  if e.type == powercut.START] + [len(run_.entries)]
        self.life = (max(i for i in starts if i < at or i == 0),
                     min(i for i in starts if i >= at))
        self.disk = disk
        self.told = told
        self.ns = ns            # what happened before this had happened
        self.directory = directory
        self.problems = []

    def expect(self, condition, what):
        if not condition:
            self.problems.append(what)
        return condition

    def known(self):
        """Numbers of the messages that somebody had been told of."""
        return self.told | {n for n, (*_, ns) in self.run.truth.sent.items()
                            if ns < self.ns}

    def check(self, image):
        """[what is wrong with it]"""
        powercut.write_image(image, self.directory)
        if "chatapi.db" not in image:
            # Not even the first start had come to its end.
            self.expect(not any(ns < self.ns for ns, _ in
                                self.run.truth.rooms), "lost: everything")
            return self.problems
        done = run("tenant", "list", env={"DATABASE_DSN": "file:chatapi.db"},
                   cwd=self.directory)
        if self.expect(done.returncode == 0,
                       f"it does not open: {done.stderr}"):
            path = os.path.join(self.directory, "chatapi.db")
            db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            try:
                self.check_database(db)
            except sqlite3.DatabaseError as e:
                self.expect(False, f"damaged: {e}")
            finally:
                db.close()
        return self.problems

    def check_database(self, db):
        for problem, in db.execute("PRAGMA integrity_check"):
            self.expect(problem == "ok", f"damaged: {problem}")
        stored = {}
        for room, seq, content in db.execute(
                "SELECT 'room_' || token, seq, content FROM message "
                "JOIN room ON room.id = message.room ORDER BY room, seq"):
            stored[room, seq] = content
        self.check_messages(stored)
        self.check_heads(db, stored)
        self.check_members(db)

    def check_messages(self, stored):
        truth = self.run.truth
        known = self.known()
        lost = [n for n in known if truth.sent[n][:2] not in stored]
        self.expect(not lost, f"lost: {len(lost)} acknowledged messages")
        least = {}
        for ns, n, to in truth.changes:
            if ns < self.ns:
                least[n] = to
        for n, (room, seq, content, _) in truth.sent.items():
            if (room, seq) in stored:
                got = state(stored[room, seq], content)
                # One that nobody had been told of may have been done anew.
                self.expect(
                    n not in known if got is None else
                    least.get(n, WHOLE) <= got <= truth.changing.get(n, 0),
                    f"lost: change of {n}, which is {got}")
        self.check_order(stored)

    def check_order(self, stored):
        """Commits are there or not in the order in which they were made.

        One that was under way when its writer died may be there, too, until
        the next writer's first commit takes its place, perhaps with others
        before it."""
        first_told, truth = self.run.first_told, self.run.truth
        begin, end = self.life
        if not any(begin < at < self.at for at in first_told.values()):
            return
        told = {n: at for n, at in first_told.items() if at < end}
        last = max((at for n, at in told.items()
                    if truth.sent[n][:2] in stored), default=-1)
        holes = [n for n, at in told.items()
                 if at < last and truth.sent[n][:2] not in stored]
        self.expect(not holes, f"holes: {len(holes)} messages before others")

    def check_heads(self, db, stored):
        """No half of a batch: heads, messages and members are of one."""
        seqs = {}
        for room, seq in stored:
            seqs.setdefault(room, []).append(seq)
        for room, last, members, listed, rev, highest in db.execute(
                "SELECT 'room_' || token, last_seq, members, (SELECT "
                "count(*) FROM member WHERE member.room = room.id), rev, "
                "(SELECT coalesce(max(message.rev), 0) FROM message "
                "WHERE message.room = room.id) "
                "FROM room JOIN room_head ON room_head.room = room.id"):
            self.expect(rev == highest, f"half: {room} at rev {rev}, its "
                        f"messages at {highest}")
            self.expect(seqs.pop(room, []) == list(range(1, last + 1)),
                        f"half: messages of {room} to its head {last}")
            self.expect(members == listed, f"half: {members} in {room}, "
                        f"but {listed} are listed")
        self.expect(not seqs, f"half: messages without a head, {seqs}")
        (ahead,), = db.execute(
            "SELECT count(*) FROM room_head WHERE activity / 1024 > "
            "(SELECT max(n) FROM batch)")
        self.expect(ahead == 0, "half: a head is ahead of the batches")

    def check_members(self, db):
        cursors = {(room, user): ack for room, user, ack in db.execute(
            "SELECT 'room_' || token, user, last_ack FROM member "
            "JOIN room ON room.id = member.room")}
        truth = self.run.truth
        for ns, room in truth.rooms:
            self.expect(ns >= self.ns or (room, "ann") in cursors,
                        f"lost: {room}")
        for ns, room, user in truth.joins:
            self.expect(ns >= self.ns or (room, user) in cursors,
                        f"lost: member {user}")
        for ns, room, user, seq in truth.acks:
            self.expect(ns >= self.ns or
                        cursors.get((room, user), -1) >= seq,
                        f"lost: ack {seq} of {user}")


def choose(rng, entries, count):
    """Points to cut at, of all kinds: {position}."""
    starts = [i for i, e in enumerate(entries) if e.type == powercut.START]
    kinds = [
        range(1, len(entries) + 1),
        # Said, and about to be.
        [i + 1 for i, e in enumerate(entries) if e.type == powercut.TOLD],
        # Checkpoints: writes to the database and the syncs around them.
        [i + k for i, e in enumerate(entries) for k in (0, 1)
         if e.type in (powercut.WRITE, powercut.SYNC, powercut.SYNCED)
         and e.ino == entries_db(entries)],
        # The log begins again at its start.
        [i + k for i, e in enumerate(entries) for k in (0, 1, 2, 3)
         if e.type == powercut.WRITE and e.off == 0
         and e.ino != entries_db(entries)],
        # The start of a writer, and its recovery.
        [i + k for i in starts for k in range(1, 60)],
    ]
    out = {len(entries)}
    for k in kinds:
        k = [i for i in k if 0 < i <= len(entries)]
        out.update(rng.sample(k, min(len(k), count // len(kinds))))
    return out


def entries_db(entries):
    return next(e.ino for e in entries if e.type == powercut.CREATE
                and bytes(e.data) == b"chatapi.db")


def cuts(run_, images, count, deaf=()):
    """Replays the journal and stops at many points: yields (a Cut, a
    generator for it)."""
    rng = random.Random(run_.seed)
    entries = run_.entries
    points = choose(rng, entries, count)
    disk = powercut.Disk(deaf)
    told = set()
    run_.first_told = {}
    for i, e in enumerate(entries):
        if e.type == powercut.TOLD:
            for n in NEW.findall(e.data):
                run_.first_told.setdefault(int(n), i)
    for i, e in enumerate(entries + [None]):
        if i in points:
            directory = os.path.join(images, f"cut{i}")
            ns = time.monotonic_ns() if e is None else e.ns
            yield Cut(run_, i, disk, set(told), ns, directory), \
                random.Random(run_.seed * 1000003 + i)
        if e is None:
            return
        disk.add(e)
        if e.type == powercut.TOLD:
            told.update(int(n) for n in MARK.findall(e.data))


def cut_everywhere(run_, count, deaf=()):
    """Cuts at many points; returns {what is wrong: how often}."""
    # Where a sync costs nothing, if there is such a place.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="chatapi-e2e-",
                                     dir=memory) as images:
        return cut_each(run_, images, count, deaf)


def cut_each(run_, images, count, deaf):
    found = {}
    for cut, rng in cuts(run_, images, count, deaf):
        for way, image in (("certain", cut.disk.after_cut()),
                           ("some more", cut.disk.after_cut(rng))):
            cut.problems = []
            for p in cut.check(image):
                if sum(found.values()) < 30:
                    print(f"{cut.directory} {way} seed {run_.seed}: {p}")
                what = p.partition(":")[0]
                found[what] = found.get(what, 0) + 1
            shutil.rmtree(cut.directory)
    return found


def serve(run_, cut, image):
    """A whole server starts with what is left and goes on."""
    powercut.write_image(image, cut.directory)
    server = Server(workers=2, directory=cut.directory)
    try:
        server.start()
        tenant = copy.copy(run_.tenant)
        tenant.server = server
        ann = tenant.user("ann")
        known = cut.known()
        for _, room in run_.truth.rooms:
            shown = [m.get("content") for m in ann.history(room)]
            for n in known:
                r, seq, content, _ = run_.truth.sent[n]
                assert r != room or state(shown[seq - 1], content) in \
                    run_.truth.states(n, cut.ns), \
                    f"message {n} is lost after {cut.directory}"
            assert ann.say(room, "again")["seq"] == len(shown) + 1
        server.stop()
    finally:
        server.destroy()
    shutil.rmtree(cut.directory)


def check_run(run_):
    """The load went where it should and nothing of it was overlooked."""
    disk = run_.replay()
    assert disk.cached() == run_.files
    # A process that is killed may leave one change unnoted, no more.
    assert len(disk.missed) <= 2, disk.missed
    assert disk.started == run_.writers and disk.wal_restarts >= 1
    assert disk.db_writes > 100
    told = set()
    for e in run_.entries:
        if e.type == powercut.TOLD:
            told.update(int(n) for n in NEW.findall(e.data))
    assert len(told) > 0.9 * len(run_.truth.sent)
    return disk


def cut_and_check(start_server, tmp_path, messages, points, servers,
                  **options):
    run_ = Run(start_server, tmp_path, messages, **options)
    disk = check_run(run_)
    assert disk.sync_errors == 2 * options.get("sync_error", False)
    assert cut_everywhere(run_, points) == {}
    chosen = list(range(servers))
    for cut, rng in cuts(run_, str(tmp_path), servers * 2):
        if len(cut.known()) > 100 and chosen:
            serve(run_, cut, cut.disk.after_cut(
                rng if chosen.pop() % 2 else None))
    return run_


def test_is_noticed(start_server, tmp_path):
    """With a disk that forgets what it was told to sync, this harness
    reports losses: it would find a server that does not sync."""
    run_ = Run(start_server, tmp_path, scaled(200, 100), swallow=True)
    assert run_.hits > 100
    assert run_.replay().synced == 0
    assert "lost" in cut_everywhere(run_, 20)


def test_failed_sync(start_server, tmp_path):
    """After a sync that failed the kernel takes for written what is not:
    the next writer does not build on it."""
    cut_and_check(start_server, tmp_path, scaled(300, 150),
                  scaled(50, 25), 1, sync_error=True)


def test_power_cut(start_server, tmp_path, record_property):
    run_ = cut_and_check(start_server, tmp_path, scaled(600, 300),
                         scaled(80, 40), 3)
    record_property("messages", str(len(run_.truth.sent)))
    # The harness would notice if a kind of file were not synced.
    for deaf in ("wal", "db"):
        assert "lost" in cut_everywhere(run_, 20, (deaf,))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_many_power_cuts(start_server, tmp_path, seed):
    cut_and_check(start_server, tmp_path, scaled(1500, 500),
                  scaled(500, 200), 10, seed=seed,
                  sync_error=seed % 2 == 0)
