# SPDX-License-Identifier: MIT
"""What the server has acknowledged in the rooms that stay, and whether it
is all there."""
import threading


class Truth:
    def __init__(self):
        self.lock = threading.Lock()
        self.rooms = {}         # room -> {seq: set of contents that may be}
        self.gone = set()       # (room, seq) whose deletion was acknowledged
        self.maybe = set()      # … was asked for and not answered

    def sent(self, room, seq, content):
        with self.lock:
            there = self.rooms.setdefault(room, {})
            assert seq not in there or there[seq] == {content}, \
                f"{room} {seq} is acknowledged to two"
            there[seq] = {content}

    def edited(self, room, seq, content, sure):
        with self.lock:
            there = self.rooms[room]
            there[seq] = {content} if sure else there[seq] | {content}

    def deleted(self, room, seq, sure):
        with self.lock:
            (self.gone if sure else self.maybe).add((room, seq))

    def count(self):
        with self.lock:
            return sum(len(r) for r in self.rooms.values())

    def faults(self, room, history):
        """What is wrong with what was read back of a room."""
        out = []
        seqs = [m["seq"] for m in history]
        if seqs != list(range(1, len(seqs) + 1)):
            out.append(f"{room}: seqs are not dense, {len(seqs)} messages, "
                       f"the last is {seqs[-1]}")
        have = {m["seq"]: m for m in history}
        for seq, contents in sorted(self.rooms.get(room, {}).items()):
            m = have.get(seq)
            if m is None:
                out.append(f"{room}: {seq} was acknowledged and is missing")
            elif "deleted_at" in m:
                if not {(room, seq)} & (self.gone | self.maybe):
                    out.append(f"{room}: {seq} is gone, nobody deleted it")
            elif (room, seq) in self.gone:
                out.append(f"{room}: {seq} was deleted and is there")
            elif m["content"] not in contents:
                out.append(f"{room}: {seq} is {m['content'][:60]!r}")
        return out
