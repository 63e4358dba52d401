# SPDX-License-Identifier: MIT
"""Listening on a Unix-domain socket, for a proxy on the same machine."""
import os
import signal
import socket
import stat

import pytest

from client import Rest, Tenant
from harness import DEADLINE, run, until
from raw import Raw, text


def dial(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(DEADLINE)
    s.connect(path)
    return s


def rest(server, path, headers=None):
    client = Rest(server, headers)
    client.http.sock = dial(path)
    return client


def unix_server(start_server, path, mode="", workers=2, **kwargs):
    return start_server(workers=workers,
                        args=["-l", f"unix:{path}{mode}"], **kwargs)


def test_rest_and_websocket(start_server, tmp_path):
    path = f"{tmp_path}/s"
    server = unix_server(start_server, path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    tenant = Tenant(server)
    ann = rest(server, path, tenant.headers("ann"))
    room = ann.make_room(["bob"])["room_id"]
    ws = Raw(server, sock=dial(path))
    assert ws.handshake(tenant.headers("bob"))[0] == 101
    assert ws.read_json()["type"] == "welcome"
    ann.say(room, "x" * 15000)
    assert ws.read_json("message")["content"] == "x" * 15000
    ws.send(text({"type": "send_message", "room_id": room, "content": "y",
                  "request_id": "1"}))
    assert ws.read_json("message.sent")["seq"] == 2
    # The plain port beside it.
    assert tenant.user("ann").get("/rooms").expect(200)["rooms"]
    server.stop()
    assert not os.path.exists(path), "the file is still there"


def test_mode(start_server, tmp_path):
    path = f"{tmp_path}/s"
    unix_server(start_server, path, "?mode=0600")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_every_worker_accepts_there(start_server, tmp_path):
    """And goes on when any of the others is killed."""
    path = f"{tmp_path}/s"
    server = unix_server(start_server, path)
    tenant = Tenant(server)
    seen = set()

    def one():
        ws = Raw(server, sock=dial(path))
        assert ws.handshake(tenant.headers("ann"))[0] == 101
        session = ws.read_json()["session_id"]
        seen.add(int(session.partition("-")[0]))
        return ws

    many = []

    def all_seen():
        many.extend(one() for _ in range(20))
        return seen == {0, 1}

    until(all_seen, "both workers had accepted")
    for slot in range(2):
        server.kill("worker", slot)
        assert rest(server, path).get("/health").status == 200
    for ws in many:
        ws.close()


def test_file_left_by_a_killed_server(start_server, tmp_path):
    path = f"{tmp_path}/s"
    server = unix_server(start_server, path)
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait()
    server.process = None
    until(lambda: not server.left_over(), "the children had gone")
    assert os.path.exists(path)
    server.start()
    assert rest(server, path).get("/health").status == 200


def test_refuses_what_is_not_its_own(start_server, tmp_path):
    """Another's socket that is served, and a file that is none."""
    path = f"{tmp_path}/s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen(1)
        got = run("-d", f"file:{tmp_path}/x.db", "-l", f"unix:{path}",
                  "--user", "root")
        assert got.returncode == 1
        assert path in got.stderr and "another program serves" in got.stderr
        assert os.path.exists(path)
    with open(f"{tmp_path}/file", "w", encoding="ascii") as f:
        f.write("precious")
    got = run("-d", f"file:{tmp_path}/x.db", "-l", f"unix:{tmp_path}/file",
              "--user", "root")
    assert got.returncode == 1 and f"{tmp_path}/file" in got.stderr
    with open(f"{tmp_path}/file", encoding="ascii") as f:
        assert f.read() == "precious"


@pytest.mark.parametrize("bad", [
    "unix:", "unix:relative", "unix:/", "unix:/a?mode=999", "unix:/a?mode=6",
    "unix:/a?x=1", "unix:/" + "a" * 108])
def test_bad_addresses(bad):
    got = run("-t", "-l", bad)
    assert got.returncode == 2 and "LISTEN_ADDR" in got.stderr
