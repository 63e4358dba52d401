# SPDX-License-Identifier: MIT
"""The checker's journal, and how a failure is told.

The first failure counts: those after it are often its consequences.  Time
here is a count of what happened ("tick"), which all clients share, since
they live in one event loop.
"""
import time


LAST = 30       # frames of the connection shown with a failure


class Violation(AssertionError):
    """Something that the contract says cannot be."""


class Report:
    def __init__(self, path):
        self.path = path
        self.journal = open(path, "w", encoding="utf-8")
        self.began = time.monotonic()
        self.tick = 0
        self.failure = None
        self.on_failure = None

    def note(self, text):
        """Adds a line to the journal; returns its tick."""
        self.tick += 1
        seconds = time.monotonic() - self.began
        self.journal.write(f"{self.tick} {seconds:.3f} {text}\n")
        return self.tick

    def step(self):
        """A tick without a line."""
        self.tick += 1
        return self.tick

    def fail(self, what, conn=None):
        """Keeps the first failure, with the connection's last frames."""
        if self.failure is None:
            seconds = time.monotonic() - self.began
            text = f"after {seconds:.1f} s, tick {self.tick}: {what}"
            if conn is not None:
                text += f"\n  on {conn}; its last frames:"
                for line in list(conn.recent)[-LAST:]:
                    text += "\n    " + line
            self.failure = text
            self.note("FAILURE " + text)
            self.journal.flush()
            if self.on_failure is not None:
                self.on_failure()
        raise Violation(self.failure)

    def expect(self, holds, what, conn=None):
        """Fails unless it holds; `what` may be a function."""
        if not holds:
            self.fail(what() if callable(what) else what, conn)

    def close(self):
        self.journal.close()
