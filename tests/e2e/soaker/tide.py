# SPDX-License-Identifier: MIT
"""Actors that stop, leave no connection behind, and go on together."""
import random
import threading
import time
import traceback


class Tide:
    def __init__(self):
        self.high = False
        self.over = False
        self.changed = threading.Condition()
        self.aground = set()

    def rise(self):
        with self.changed:
            self.high = True
            self.aground.clear()
            self.changed.notify_all()

    def end(self):
        with self.changed:
            self.over = True
            self.changed.notify_all()

    def fall(self, actors, deadline):
        """Returns the names of those that have not stopped in time."""
        end = time.monotonic() + deadline
        with self.changed:
            self.high = False
            self.changed.notify_all()
            while True:
                left = {a.name for a in actors if a.is_alive()} - self.aground
                if not left or time.monotonic() > end:
                    return left
                self.changed.wait(0.2)

    def wait_high(self, actor):
        """What an actor does when it has left."""
        with self.changed:
            self.aground.add(actor.name)
            self.changed.notify_all()
            while not self.high and not self.over:
                self.changed.wait()

    def pace(self, seconds):
        """Between two turns; the ebb ends it."""
        with self.changed:
            self.changed.wait_for(lambda: not self.high or self.over, seconds)


class Actor(threading.Thread):
    """turn() is one action; leave() ends all its connections."""
    pause = 0.05

    def __init__(self, world, name):
        super().__init__(name=name)
        self.world = world
        self.rng = random.Random(f"{world.options.seed} {name}")

    def run(self):
        tide = self.world.tide
        try:
            while not tide.over:
                if not tide.high:
                    self.leave()
                    tide.wait_high(self)
                    continue
                self.try_turn()
                if self.pause:
                    tide.pace(self.pause * self.rng.uniform(0.3, 1.7)
                              / self.world.options.rate)
        except BaseException:
            self.world.fault(f"{self.name}: {traceback.format_exc()}")
            self.leave()

    def try_turn(self):
        try:
            self.turn()
        except AssertionError:
            # An answer that may be a 503 just now.
            if not self.world.excused():
                raise
            self.world.count("excused")
            self.leave()

    def turn(self):
        raise NotImplementedError

    def leave(self):
        pass
