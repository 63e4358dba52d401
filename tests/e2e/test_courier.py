# SPDX-License-Identifier: MIT
"""The courier as a process: the server serves without it."""
import os
import shutil
import time

from harness import BIN, until


def restarts(server):
    return server.log().count('msg="child respawned" child=courier')


def test_killed_courier_comes_back(start_server):
    server = start_server(workers=1)
    for _ in range(3):
        old = server.kill("courier")
        server.wait_respawn("courier", None, old)
        assert server.healthy()
        time.sleep(0.6)         # sooner it would be started with a delay
    assert restarts(server) == 3


def test_serves_without_its_program(start_server, tmp_path):
    """It is looked for beside the server's own program, then where it is
    installed; when it appears it is started."""
    program = tmp_path / "chatapi"
    shutil.copy(BIN, program)
    server = start_server(workers=1, launch=False)
    server.program = str(program)
    server.launch()
    until(server.healthy, "it served without a courier")
    until(lambda: "cannot start child" in server.log(), "the log said so")
    assert server.running()
    shutil.copy(os.path.join(os.path.dirname(BIN), "chatapi-courier"),
                tmp_path / "chatapi-courier")
    until(lambda: "courier" in server.children(), "it was started")
    server.stop()


def test_a_courier_that_crashes_stops_nothing(start_server, tmp_path):
    program = tmp_path / "chatapi"
    shutil.copy(BIN, program)
    (tmp_path / "chatapi-courier").symlink_to("/bin/false")
    server = start_server(workers=1, launch=False)
    server.program = str(program)
    server.launch()
    until(server.healthy, "it served")
    until(lambda: restarts(server) >= 2, "it was tried again")
    assert server.healthy()
    # With growing delays, not in a busy loop.
    assert "delay_ms=200" in server.log()
    server.stop()
