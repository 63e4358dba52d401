# SPDX-License-Identifier: MIT
"""The courier as a process: the server serves without it."""
import os
import shutil
import time

from client import Tenant
from harness import BIN, until
from hook import ENV, Hook


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


def has_libcurl(server):
    with open(f"/proc/{server.pid_of('courier')}/maps") as maps:
        return "/libcurl." in maps.read()


def test_libcurl_comes_with_the_first_webhook(start_server):
    """It is most of the courier's memory, and most have no webhook."""
    server = start_server(workers=1, env=ENV)
    tenant, hook = Tenant(server), Hook()
    try:
        ann = tenant.user("ann")
        room = ann.make_room(["bob"])["room_id"]
        ann.say(room, "nobody asked for this one")
        until(lambda: "courier" in server.children(), "it was started")
        assert not has_libcurl(server)
        hook.serve(tenant)
        ann.say(room, "to the webhook")
        until(lambda: len(hook.calls) == 1, "the webhook came")
        assert has_libcurl(server)
    finally:
        hook.close()


def test_a_libcurl_that_is_none(start_server, tmp_path):
    """The log says so, the server serves, and the message is delivered when a
    good one is there."""
    libm = next(line.split()[-1] for line in open("/proc/self/maps")
                if "/libm.so.6" in line or "/libc.so.6" in line)
    fake = tmp_path / "libcurl.so.4"
    shutil.copy(libm, fake)
    server = start_server(workers=1, env={
        **ENV, "LD_LIBRARY_PATH": str(tmp_path), "CONFINE": "no",
        "RETRY_MAX_ATTEMPTS": "20"})
    tenant, hook = Tenant(server), Hook()
    try:
        hook.serve(tenant)
        ann = tenant.user("ann")
        room = ann.make_room(["bob"])["room_id"]
        ann.say(room, "to the webhook")
        until(lambda: "webhooks cannot be sent" in server.log(),
              "the log said so")
        assert server.healthy() and not hook.calls
        fake.unlink()
        until(lambda: hook.calls, "the webhook came")
        assert hook.calls[0].json["message"]["content"] == "to the webhook"
    finally:
        hook.close()
