# SPDX-License-Identifier: MIT
"""Senders that go on while something else happens, and what they were told.

Each is a thread with a connection of its own.  A sender whose connection
ends stops: what it had asked last may or may not be stored.
"""
import http.client
import threading
import time

from client import Rest                                 # noqa: F401


class Load:
    """One sender a room, started at once; stop() ends them."""

    def __init__(self, tenant, rooms, user="ann"):
        self.tenant = tenant
        self.user = user
        self.told = []      # (room, seq, content, began, answered)
        self.asked = {}     # content: when it was asked
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._send, args=(r,))
                        for r in rooms]
        for t in self.threads:
            t.start()

    def _send(self, room):
        rest = self.tenant.user(self.user)
        number = 0
        while not self.ending.is_set():
            number += 1
            content = f"{room} {number} " + "x" * 200
            began = time.monotonic()
            with self.lock:
                self.asked[content] = began
            try:
                got = rest.say(room, content)
            except (OSError, http.client.HTTPException):
                break
            with self.lock:
                self.told.append((room, got["seq"], content, began,
                                  time.monotonic()))
        rest.close()

    def count(self):
        with self.lock:
            return len(self.told)

    def stop(self):
        self.ending.set()
        for t in self.threads:
            t.join()

    def waits(self, since=0.0, until=float("inf")):
        """Seconds that each answer between two moments took, sorted."""
        with self.lock:
            return sorted(end - began for *_, began, end in self.told
                          if since <= began and end <= until)
