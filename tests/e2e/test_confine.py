# SPDX-License-Identifier: MIT
"""The processes confine themselves, and serve all the same.  What each may
still do is tried in tests/unit/test_confine.c; that nothing they need is
refused is what all other tests show."""
import re

import pytest

from client import Tenant
from harness import SANITIZERS, until
from tokens import Issuer

pytestmark = pytest.mark.skipif(
    SANITIZERS, reason="sanitizers need more than a server does")


def seccomp(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"^Seccomp:\s*(\d)$", f.read(), re.M)[1])


def said(server):
    """{role: (Landlock, seccomp)} of the log."""
    return {role: (int(landlock), int(calls)) for role, landlock, calls in
            re.findall(r'role=(\w+) .*msg="confined" landlock=(\d+) '
                       r'seccomp=(\d)', server.log())}


def test_confined(start_server):
    server = start_server(workers=2)
    until(lambda: len(said(server)) == 3, "each role had said so")
    found = said(server)
    for name, pid in server.children().items():
        _, calls = found[name.split()[0]]
        assert seccomp(pid) == (2 if calls else seccomp(server.pid)), name
    # The next ones, too; the database is there by then.
    old = server.kill("writer")
    pid, _ = server.wait_respawn("writer", None, old)
    assert (seccomp(pid) == 2) == bool(found["writer"][1])
    Tenant(server).user("ann").make_room()
    server.stop()


def test_switched_off(start_server):
    server = start_server(workers=1, env={"CONFINE": "no"})
    until(lambda: server.log().count("not confined: CONFINE is no") == 3,
          "each process had said so")
    assert said(server) == {}
    own = seccomp(server.pid)
    assert {seccomp(p) for p in server.children().values()} == {own}
    server.stop()


def test_key_file_elsewhere(start_server, tmp_path):
    """The writer may make it where it was asked to, the workers read it."""
    (tmp_path / "keys").mkdir()
    path = tmp_path / "keys" / "key"
    server = start_server(workers=1, env={"KEY_FILE": str(path)})
    issuer = Issuer(Tenant(server)).install()
    assert path.stat().st_size == 32
    issuer.user("ann").get("/rooms").expect(200)
    server.stop()
