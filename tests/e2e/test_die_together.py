# SPDX-License-Identifier: MIT
"""A worker and the writer die at the same time: news for a worker that is
only just starting does it no harm."""
import os
import re
import signal
import time

from harness import scaled, until

# The new writer says that events were lost about when the new worker has
# been executed: at some of these distances in between, whatever the machine.
APART = [n * scaled(0.0025, 0.02) for n in range(12)]


def ready_again(server, start):
    """Both have said so since then."""
    log = server.log()[start:]
    return all(re.search(rf'role={role}.* msg="{role} ready"', log)
               for role in ("worker", "writer"))


def test_worker_and_writer_die_at_once(start_server):
    server = start_server(workers=1)
    for apart in APART:
        start = len(server.log())
        writer = server.pid_of("writer")
        worker = server.pid_of("worker", 0)
        os.kill(writer, signal.SIGKILL)
        time.sleep(apart)
        os.kill(worker, signal.SIGKILL)
        until(lambda: ready_again(server, start), "both were there again")
        until(server.healthy, "the server answered")
        # So long a child lives that is started again at once.
        time.sleep(0.55)
    died = re.findall(r'msg="child died" .*', server.log())
    assert len(died) == 2 * len(APART), died
    assert all("signal=9" in line for line in died), died
