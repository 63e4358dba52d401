# SPDX-License-Identifier: MIT
"""The libraries of tests/fault: a disk that fails, a clock that jumps.

They are loaded into the server by its environment and take their orders
from small files that the test writes while the server runs.
"""
import errno
import mmap
import os
import struct

from harness import BIN

DIRECTORY = os.environ.get("CHATAPI_FAULT_DIR") or os.path.join(
    os.path.dirname(os.path.abspath(BIN)), "tests", "fault")

DB, WAL, ROLLBACK, SHM, DIR, OTHER = 1, 2, 4, 8, 16, 32
# In the place of an errno: the process is killed before the call.
KILL = 4096
FILES = DB | WAL | ROLLBACK | SHM | OTHER
ORDERS = ("write_error", "sync_error", "open_error", "files", "growing",
          "times", "swallow", "after", "hits")


def preload(name):
    """The settings that load a library into a program."""
    path = os.path.join(DIRECTORY, name)
    assert os.access(path, os.R_OK), \
        f"there is no {path}: make -C BUILD tests/fault/{name}"
    env = {"LD_PRELOAD": path}
    options = os.environ.get("ASAN_OPTIONS")
    # The library stands before the sanitizer's, and hides nothing of it.
    env["ASAN_OPTIONS"] = (options + ":" if options else "") + \
        "verify_asan_link_order=0"
    return env


class Disk:
    """What stands between a server's writer and the directory of its
    database: attributes named in ORDERS take effect at once."""

    def __init__(self, directory, database=None, journal=None,
                 everywhere=False):
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, "orders")
        with open(path, "wb") as f:
            f.write(bytes(4 * len(ORDERS)))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)
        self.env = preload("preload_disk.so")
        self.env["FAULT_ORDERS"] = path
        if journal:
            self.env["FAULT_JOURNAL"] = journal
        if everywhere:
            self.env["FAULT_ALL"] = "1"
        if database:
            self.of(database)
        self.files = FILES
        self.times = -1

    def of(self, database):
        self.env["FAULT_DB"] = os.path.realpath(database)

    def __getattr__(self, name):
        if name not in ORDERS:
            raise AttributeError(name)
        return struct.unpack_from("=i", self.map, 4 * ORDERS.index(name))[0]

    def __setattr__(self, name, value):
        if name in ORDERS:
            struct.pack_into("=i", self.map, 4 * ORDERS.index(name), value)
        else:
            super().__setattr__(name, value)

    def fill(self):
        """No room: files take what fits into their last page."""
        self.growing = 1
        self.write_error = errno.ENOSPC

    def make_readonly(self):
        self.open_error = errno.EROFS
        self.write_error = errno.EROFS

    def heal(self):
        self.write_error = self.sync_error = self.open_error = 0
        self.growing = self.after = 0
        self.times = -1


class Clock:
    """The wall clock of a server, moved while it runs."""

    def __init__(self, directory):
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, "clock")
        with open(path, "wb") as f:
            f.write(bytes(8))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)
        self.env = preload("preload_clock.so")
        self.env["FAULT_CLOCK"] = path

    def move(self, seconds):
        """So many seconds from the true time."""
        struct.pack_into("=q", self.map, 0, int(seconds * 10 ** 9))
