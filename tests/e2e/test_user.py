# SPDX-License-Identifier: MIT
"""Whom the server serves as, and whose files it and the commands make."""
import os
import pwd
import re
import shutil
import subprocess

import pytest

import harness
from client import Tenant, operator
from conf import ConfServer
from harness import DEADLINE, Server, clean_env, free_port, proc_title

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can become somebody")

NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory of nobody's, outside of what only root can enter, with
    programs that he can execute."""
    path = harness.tempfile.mkdtemp(prefix="chatapi-e2e-")
    os.chmod(path, 0o711)
    program = os.path.join(path, "chatapi")
    for end in ("", "-courier"):
        shutil.copy(harness.BIN + end, program + end)
        os.chmod(program + end, 0o755)
    monkeypatch.setattr(harness, "BIN", program)
    data = os.path.join(path, "data")
    os.mkdir(data, 0o700)
    os.chown(data, NOBODY.pw_uid, NOBODY.pw_gid)
    yield data
    shutil.rmtree(path)


@pytest.fixture
def server(place):
    """Not started; its user is nobody."""
    s = Server(workers=2, directory=place)
    s.args[s.args.index("--user") + 1] = "nobody"
    yield s
    s.destroy()


def command(place, *args, **kwargs):
    done = subprocess.run(
        [harness.BIN, "-d", "file:chatapi.db", *args], cwd=place,
        env=clean_env(), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=DEADLINE, **kwargs)
    return done


def refused(place, *args, **kwargs):
    done = command(place, "-w", "1", "-l", f"127.0.0.1:{free_port()}", *args,
                   **kwargs)
    assert done.returncode == 1, done
    return done.stderr


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return dict(re.findall(r"^(\w+):\s*(.*)$", f.read(), re.M))


def owners(place):
    """{file: (user, group)} of all but the log that the test opened."""
    return {e.name: (e.stat().st_uid, e.stat().st_gid)
            for e in os.scandir(place) if e.name != "server.log"}


def check_owners(place, *names):
    found = owners(place)
    assert set(names) <= set(found)
    assert set(found.values()) == {(NOBODY.pw_uid, NOBODY.pw_gid)}, found


def test_root_must_name_a_user(place):
    assert "--user" in refused(place)
    assert os.listdir(place) == []


def test_unknown_user(place):
    assert "no user nemo" in refused(place, "--user", "nemo")
    assert os.listdir(place) == []


def test_only_root_changes_its_user(place):
    log = refused(place, "--user", "root", user=NOBODY.pw_uid)
    assert "only root" in log and "root" in log


def test_somebody_may_name_himself(place, server):
    """As a service manager starts it that has changed the user already."""
    preexec = harness.os.setuid
    with open(server.log_path, "ab") as log:
        server.process = subprocess.Popen(
            [harness.BIN, *server.args], cwd=place,
            env=clean_env(server.env), stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, start_new_session=True,
            preexec_fn=lambda: preexec(NOBODY.pw_uid))
    harness.until(server.healthy, "it answered\n" + server.log_tail())
    server.stop()


def test_changes_its_user(server, place):
    """Of every process all ids, all groups and all capabilities, with no way
    back; the port was bound before."""
    server.port = next(p for p in range(1023, 700, -1) if free(p))
    server.args[server.args.index("-l") + 1] = f"127.0.0.1:{server.port}"
    server.start()
    for pid in [server.pid, *server.children().values()]:
        s = status_of(pid)
        assert s["Uid"].split() == [str(NOBODY.pw_uid)] * 4, proc_title(pid)
        assert s["Gid"].split() == [str(NOBODY.pw_gid)] * 4
        assert set(s["Groups"].split()) == {
            str(g) for g in os.getgrouplist("nobody", NOBODY.pw_gid)}
        assert int(s["CapEff"], 16) == int(s["CapPrm"], 16) == 0
        assert s["NoNewPrivs"] == "1"
    tenant = Tenant(server)
    tenant.user("ann").make_room()
    operator(server).call("PATCH", f"/admin/tenants/{tenant.id}",
                          {"jwt_secret": "x" * 32}).expect(200)
    check_owners(place, "chatapi.db", "chatapi.db-wal", "chatapi.db-lock",
                 "chatapi.db-ctl", "chatapi.db-secrets",
                 "chatapi.db-staging")
    old = server.kill("worker", 0)
    server.wait_respawn("worker", 0, old)
    old = server.kill("writer")
    server.wait_respawn("writer", None, old)
    server.stop()


def free(port):
    with harness.socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@pytest.mark.parametrize("name, mode", [
    ("chatapi.db", 0o644), ("chatapi.db-wal", 0o600),
    ("chatapi.db-shm", 0o600), ("chatapi.db-lock", 0o600),
    ("chatapi.db-secrets", 0o600), ("chatapi.db-staging", 0o700)])
def test_file_of_another(place, name, mode):
    path = os.path.join(place, name)
    with open(path, "wb"):
        pass
    os.chmod(path, mode)
    log = refused(place, "--user", "nobody")
    assert path in log and "user nobody" in log, log


def test_directory_of_another(place):
    os.chown(place, 0, 0)
    os.chmod(place, 0o755)
    log = refused(place, "--user", "nobody")
    assert f"directory {place}:" in log and "user nobody" in log, log
    assert os.listdir(place) == []


def test_key_file_of_another(place):
    path = os.path.join(os.path.dirname(place), "key")
    with open(path, "wb") as f:
        f.write(bytes(32))
    os.chmod(path, 0o600)
    with open(os.path.join(place, "conf"), "w", encoding="ascii") as f:
        f.write(f"key_file = {path}\nuser = nobody\n")
    log = refused(place, "-c", "conf")
    assert path in log and "user nobody" in log, log


def check(place, *args, **kwargs):
    return command(place, "-t", *args, **kwargs)


def test_check_says_what_that_user_cannot_reach(place):
    """As the start does, with nothing made."""
    done = check(place, "--user", "nobody")
    assert done.returncode == 0 and "warning" not in done.stderr, done
    done = check(place)
    assert done.returncode == 0 and "root must name" in done.stderr
    done = check(place, "--user", "root", user=NOBODY.pw_uid)
    assert done.returncode == 0 and "only root" in done.stderr
    for name in ("chatapi.db-lock", "chatapi.db"):
        path = os.path.join(place, name)
        with open(path, "wb"):
            pass
        os.chmod(path, 0o600)
        done = check(place, "--user", "nobody")
        assert done.returncode == 2 and path in done.stderr
        os.unlink(path)
    keys = os.path.join(os.path.dirname(place), "keys")
    os.mkdir(keys, 0o755)
    with open(os.path.join(place, "conf"), "w", encoding="ascii") as f:
        f.write(f"key_file = {keys}/key\nuser = nobody\n")
    done = check(place, "-c", "conf")
    assert done.returncode == 0
    assert f"user nobody cannot make the key file in {keys}" in done.stderr
    os.chmod(place, 0o755)
    os.chown(place, 0, 0)
    done = check(place, "--user", "nobody")
    assert done.returncode == 2 and f"directory {place}:" in done.stderr
    assert os.listdir(place) == ["conf"]


def test_program_of_another(place):
    os.chmod(harness.BIN, 0o700)
    log = refused(place, "--user", "nobody")
    assert f"execute {harness.BIN}" in log and "user nobody" in log, log
    done = check(place, "--user", "nobody")
    assert done.returncode == 2 and f"execute {harness.BIN}" in done.stderr


def test_commands_of_root(server, place):
    """They are the owner's while they write, with and without a server."""
    done = command(place, "tenant", "create", "acme", "--json")
    assert done.returncode == 0, done
    check_owners(place, "chatapi.db", "chatapi.db-lock")
    tenant = harness.json.loads(done.stdout)["tenant_id"]
    with open(os.path.join(os.path.dirname(place), "secret"), "w",
              encoding="ascii") as f:
        f.write("y" * 40)
    os.chmod(f.name, 0o600)
    # A value is read as root, the key file is made as the owner.
    done = command(place, "tenant", "update", tenant,
                   f"jwt_secret=@{f.name}")
    assert done.returncode == 0, done
    check_owners(place, "chatapi.db-secrets")
    server.start()
    done = command(place, "tenant", "create", "other")
    assert done.returncode == 0, done
    check_owners(place, "chatapi.db", "chatapi.db-wal", "chatapi.db-ctl")
    server.stop()
    done = command(place, "tenant", "list")
    assert "acme" in done.stdout and "other" in done.stdout, done
    check_owners(place, "chatapi.db")
    server.start()
    server.stop()


def test_backups_of_root(server, place, tmp_path):
    """Root's backups are root's; what root restores is the server's."""
    server.start()
    tenant = Tenant(server)
    room = tenant.user("ann").make_room()["room_id"]
    tenant.user("ann").say(room, "hello")
    for state in ("served", "stopped"):
        path = tmp_path / state
        done = command(place, "backup", path)
        assert done.returncode == 0, done.stderr
        assert (os.stat(path).st_uid, os.stat(path).st_mode & 0o777) == \
            (0, 0o600)
        if server.running():
            server.stop()
    assert command(place, "restore", tmp_path / "served").returncode == 0
    check_owners(place, "chatapi.db")
    server.start()
    assert len(tenant.user("ann").history(room)) == 1
    server.stop()


def test_import_of_root(server, place, tmp_path):
    """The export and the passphrase are root's alone, the tenant the
    server's; what fails leaves no database behind."""
    server.start()
    tenant = Tenant(server)
    operator(server).call("PATCH", f"/admin/tenants/{tenant.id}",
                          {"jwt_secret": "x" * 32}).expect(200)
    room = tenant.user("ann").make_room()["room_id"]
    server.stop()
    tmp_path.chmod(0o700)
    phrase, other = tmp_path / "phrase", tmp_path / "other"
    phrase.write_text("a passphrase of root's\n", encoding="ascii")
    other.write_text("a passphrase of another\n", encoding="ascii")
    for path in (phrase, other):
        path.chmod(0o600)
    done = command(place, "export", "--tenant", tenant.id,
                   "--passphrase-file", phrase, tmp_path / "t.exp")
    assert done.returncode == 0, done.stderr
    for name in os.listdir(place):
        if name.startswith("chatapi.db") and name != "chatapi.db-staging":
            os.unlink(os.path.join(place, name))
    done = command(place, "import", "--create", "--passphrase-file", other,
                   tmp_path / "t.exp")
    assert done.returncode == 1 and "passphrase" in done.stderr
    assert not os.path.exists(os.path.join(place, "chatapi.db"))
    done = command(place, "import", "--create", "--passphrase-file", phrase,
                   tmp_path / "t.exp")
    assert done.returncode == 0, done.stderr
    check_owners(place, "chatapi.db", "chatapi.db-secrets")
    server.start()
    assert tenant.user("ann").get(f"/rooms/{room}").status == 200
    server.stop()


def test_more_workers_after_root(place):
    """Its sockets were bound by root, those of the new workers by him whom
    it serves as."""
    server = ConfServer(workers=1, settings={"user": "nobody"})
    shutil.rmtree(server.dir)
    server.dir = place
    server.log_path = os.path.join(place, "server.log")
    server.args = [a for a in server.args if a not in harness.AS_ROOT]
    server.write()
    os.chmod(os.path.join(place, "chatapi.conf"), 0o644)
    try:
        server.start().wait_ready()
        state, log = server.reload(workers=4)
        assert state == "idle", log
        assert "no more workers" not in log
        harness.until(lambda: server.children().keys() >= {"worker 3"},
                      "there were four")
        for n in (2, 4):
            state, log = server.reload(workers=n)
            assert state == "idle" and "no more workers" not in log
        assert Tenant(server).user("ann").make_room()
        server.stop()
    finally:
        server.destroy()
