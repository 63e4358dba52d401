# SPDX-License-Identifier: MIT
"""What a disk would hold after a power cut, from a writer's journal.

preload_disk.so has noted every change of the database's files, every sync
and everything said on a socket, in their order.  A Disk takes these entries
one by one and can tell at any point what is certain to be there, and make
up what else might be.
"""
import mmap
import os
import struct
from collections import namedtuple

# The same numbers and layout stand in tests/fault/disk.h.
(START, NAME, SNAP, SNAPPED, CREATE, WRITE, TRUNCATE, UNLINK, RENAME, SYNC,
 SYNCED, TOLD) = range(1, 13)
HEAD = struct.Struct("=IIQQqQQ")
MAGIC = 0x316a6443

Entry = namedtuple("Entry", "type ns ino off extra data")


def read_journal(path):
    """All entries.  One that a process was killed over is left out; what
    comes next is then the beginning of another process."""
    out = []
    if os.path.getsize(path) == 0:
        return out
    with open(path, "rb") as f:
        whole = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
    data = memoryview(whole)
    last = at = 0
    while at + HEAD.size <= len(data):
        magic, type_, ns, ino, off, extra, size = HEAD.unpack_from(data, at)
        if magic == MAGIC and at + HEAD.size + size <= len(data):
            last = at
            at += HEAD.size + size
            out.append(Entry(type_, ns, ino, off, extra, data[at - size:at]))
            continue
        if magic != MAGIC:
            out.pop()
            at = last
        at = whole.find(struct.pack("=II", MAGIC, START), at + 1)
        if at == -1:
            break
    return out


class File:
    """One file, whatever its name: what a sync has made certain, and the
    changes since."""

    def __init__(self, content=b""):
        self.certain = bytearray(content)
        self.pending = []       # (offset, data) or (size, None)
        self.settled = 0        # changes that are not pending any more
        self.lost = set()       # numbers of changes that no sync will bring

    def change(self, off, data):
        self.pending.append((off, data))

    def mark(self):
        return self.settled + len(self.pending)

    @staticmethod
    def apply(to, off, data):
        if data is None:
            if off < len(to):
                del to[off:]
            else:
                to.extend(bytes(off - len(to)))
            return
        if off > len(to):
            to.extend(bytes(off - len(to)))
        to[off:off + len(data)] = data

    def sync(self, mark):
        """Everything before the mark has reached the disk."""
        n = mark - self.settled
        for i, (off, data) in enumerate(self.pending[:n], self.settled):
            if i not in self.lost:
                self.apply(self.certain, off, data)
        if n > 0:
            del self.pending[:n]
            self.settled = mark

    def sync_failed(self, mark):
        """The kernel takes the pages for clean although they are not on
        the disk: no later sync of theirs means anything."""
        self.lost.update(range(self.settled, mark))

    def cached(self):
        """What a process reads while the power is there."""
        out = bytearray(self.certain)
        for off, data in self.pending:
            self.apply(out, off, data)
        return out

    def cut(self, rng, unit, chance):
        """The certain part, and of the rest any number of changes of each
        unit of the disk."""
        out = bytearray(self.certain)
        touched = {}
        for off, data in self.pending:
            if data is not None:
                for u in range(off // unit, -(-(off + len(data)) // unit)):
                    touched[u] = touched.get(u, 0) + 1
        for u, n in touched.items():
            touched[u] = sum(rng.random() < chance for _ in range(n))
        truncations = rng.randint(
            0, sum(1 for _, data in self.pending if data is None))
        for off, data in self.pending:
            if data is None:
                if truncations > 0:
                    self.apply(out, off, None)
                truncations -= 1
                continue
            for u in range(off // unit, -(-(off + len(data)) // unit)):
                if touched[u] > 0:
                    touched[u] -= 1
                    begin, end = max(off, u * unit), (u + 1) * unit
                    self.apply(out, begin, data[begin - off:end - off])
        return out


class Disk:
    """The directory of a database, entry by entry.  Syncs of the kinds of
    files in `deaf` ("db", "wal") are taken for not done."""

    def __init__(self, deaf=()):
        self.deaf = deaf
        self.by_ino = {}
        self.names = {}         # as processes see them
        self.certain = {}       # as the disk has them
        self.pending = []       # (name, File or None)
        self.marks = {}         # of syncs under way
        self.directory = None
        self.started = 0
        self.missed = []        # bytes found at a START and not journalled
        self.snap = {}
        self.kinds = {}
        self.synced = 0
        self.wal_restarts = 0
        self.db_writes = 0
        self.sync_errors = 0

    # ---- taking entries ----

    def add(self, e):
        name = {START: "start", NAME: "name", SNAP: "snapped", SNAPPED:
                "snapped_whole", CREATE: "create", WRITE: "write", TRUNCATE:
                "truncate", UNLINK: "unlink", RENAME: "rename", SYNC: "sync",
                SYNCED: "ended", TOLD: "told"}[e.type]
        getattr(self, "_" + name)(e)

    def _start(self, e):
        self.directory = e.ino
        self.started += 1
        self.marks.clear()

    def _name(self, e):
        self.snap[e.ino] = (bytes(e.data).decode(), bytearray())

    def _snapped(self, e):
        self.snap[e.ino][1].extend(e.data)

    def _snapped_whole(self, e):
        """A process that was killed may have changed something and not
        come to note it."""
        name, content = self.snap.pop(e.ino)
        f = self.names.get(name)
        if f is None:
            f = File()
            self._link(name, f)
        if self.started == 1:
            # It was there before all that the journal is about.
            f.certain = content
            self.certain[name] = f
        self.by_ino[e.ino] = f
        self._kind(name, f)
        before = f.cached()
        if before == content:
            return
        self.missed.append((name, len(before), len(content)))
        f.change(0, content)
        f.change(len(content), None)

    def _kind(self, name, f):
        self.kinds[id(f)] = name.rpartition("-")[2] if "-" in name else "db"

    def _link(self, name, f):
        if f is None:
            self.names.pop(name, None)
        else:
            self.names[name] = f
        self.pending.append((name, f))

    def _create(self, e):
        name = bytes(e.data).decode()
        self.by_ino[e.ino] = f = File()
        self._kind(name, f)
        self._link(name, f)

    def _write(self, e):
        f = self.by_ino[e.ino]
        kind = self.kinds[id(f)]
        self.db_writes += kind == "db"
        self.wal_restarts += kind == "wal" and e.off == 0 and \
            len(f.certain) + len(f.pending) > 0
        f.change(e.off, e.data)

    def _truncate(self, e):
        self.by_ino[e.ino].change(e.off, None)

    def _unlink(self, e):
        self._link(bytes(e.data).decode(), None)

    def _rename(self, e):
        old, new = (p.decode() for p in bytes(e.data).split(b"\0"))
        f = self.names.get(old)
        if old:
            self._link(old, None)
        if new:
            self._link(new, f)

    def _sync(self, e):
        if e.ino == self.directory:
            self.marks[e.extra] = (None, len(self.pending))
        else:
            f = self.by_ino[e.ino]
            self.marks[e.extra] = (f, f.mark())

    def _ended(self, e):
        f, mark = self.marks.pop(e.extra)
        if f is None:
            if e.off == 0:
                for name, file in self.pending[:mark]:
                    if file is None:
                        self.certain.pop(name, None)
                    else:
                        self.certain[name] = file
                del self.pending[:mark]
                for k, (other, n) in self.marks.items():
                    if other is None:
                        self.marks[k] = (None, max(0, n - mark))
        elif e.off != 0:
            self.sync_errors += 1
            f.sync_failed(mark)
        elif self.kinds[id(f)] not in self.deaf:
            f.sync(mark)
            self.synced += 1

    def _told(self, e):
        pass

    # ---- what is there ----

    def cached(self):
        return {name: f.cached() for name, f in self.names.items()}

    def after_cut(self, rng=None):
        """{name: content} after a power cut now: without a generator only
        what is certain, with one a random part of the rest besides."""
        if rng is None:
            return {name: f.certain for name, f in self.certain.items()}
        names = dict(self.certain)
        for name, f in self.pending:
            if rng.random() < 0.5:
                if f is None:
                    names.pop(name, None)
                else:
                    names[name] = f
        unit = rng.choice((512, 512, 4096))
        chance = rng.choice((0.05, 0.5, 0.95))
        return {name: f.cut(rng, unit, chance)
                for name, f in names.items()}


def write_image(image, directory):
    os.makedirs(directory)
    for name, content in image.items():
        with open(os.path.join(directory, name), "wb") as f:
            f.write(content)
