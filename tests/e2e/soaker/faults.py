# SPDX-License-Identifier: MIT
"""What is done to the server itself: backups, reloads, kill -9."""
import json
import os
import signal

from harness import DEADLINE, run, until

# Seconds after a kill in which connections may be lost and 503 be said.
EXCUSE = 6.0


class Faults:
    def __init__(self, world):
        self.world = world
        self.server = world.server
        self.killed = {"worker": 0, "writer": 0, "courier": 0}
        self.reloads = 0
        self.backups = 0

    def plan(self, cycle, cycles):
        """[(share of the cycle, what, …)].  In the first three fifths only
        the last worker dies, so that the others grow old; later everything
        is replaced and everyone dies."""
        out = [(0.25, self.backup), (0.45, self.outage, True),
               (0.55, self.outage, False)]
        last = self.world.options.workers - 1
        if cycle < cycles * 0.6:
            if cycle % 2:
                out.append((0.65, self.kill, "worker", last))
        else:
            out.append((0.15, self.reload))
            victims = [("worker", 0), ("courier", None), ("writer", None),
                       ("worker", last)]
            out.append((0.7, self.kill, *victims[cycle % len(victims)]))
        return sorted(out, key=lambda e: e[0])

    def kill(self, role, slot):
        self.world.note(f"kill -9 {role} {'' if slot is None else slot}")
        self.world.excuse(EXCUSE)
        old = self.server.kill(role, slot, signal.SIGKILL)
        self.killed[role] += 1
        name = role if slot is None else f"{role} {slot}"
        until(lambda: self.back(name, old), f"{name} was back",
              2 * DEADLINE, every=0.05)

    def back(self, name, old):
        """Its successor is ready.  (Which process has a connection is
        nothing to look for among those of a busy machine.)"""
        now = self.server.children().get(name)
        if now in (None, old):
            return False
        if name == "writer":
            return self.server.healthy()
        return f'{name.split()[0]} ready" pid={now}\n' in self.server.log()

    def reload(self):
        """A new certificate, as every few weeks, for which no process is
        replaced; then nothing new, for which all are."""
        self.world.note("reload")
        before = self.server.whole()
        self.world.authority.write("server")
        self.hup()
        if self.server.children() != before:
            self.world.fault("a new certificate replaced processes")
        self.hup()
        until(self.server.whole, "all processes have their names")
        same = set(before.values()) & set(self.server.children().values())
        if same:
            self.world.fault(f"not replaced: {same}")

    def hup(self):
        self.world.excuse(60)
        state, said = self.server.reload(deadline=4 * DEADLINE)
        if state != "idle":
            self.world.fault(f"the reload ended in {state}:\n{said}")
        self.world.excuse(EXCUSE)
        self.reloads += 1

    def outage(self, begins):
        self.world.hook_down = begins

    def backup(self):
        to = os.path.join(self.server.dir, "copy.db")
        for args in (("backup", "--force", "--quiet", to),
                     ("check", "--json", "--full", to)):
            done = run("-d", "file:chatapi.db", *args, cwd=self.server.dir,
                       deadline=120)
            if done.returncode != 0:
                self.world.fault(f"{args[0]}: {done.stdout}{done.stderr}")
        self.backups += 1
        for name in os.listdir(self.server.dir):
            if name.startswith("copy.db"):
                os.unlink(os.path.join(self.server.dir, name))

    def check_restarts(self, metrics):
        """Nothing has died but what was killed."""
        if metrics["restarts"] != self.killed:
            self.world.fault(f"restarts are {metrics['restarts']}, killed "
                             f"were {self.killed}")

    def check_database(self):
        done = run("-d", "file:chatapi.db", "check", "--json", "--full",
                   cwd=self.server.dir, deadline=300)
        out = json.loads(done.stdout)
        if done.returncode != 0 or not out["sound"]:
            self.world.fault(f"check: {done.stdout}{done.stderr}")
        return out
