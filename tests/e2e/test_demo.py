# SPDX-License-Identifier: MIT
"""What README's first command leads to: the printed lines work as printed."""
import json
import os
import signal
import stat
import subprocess

import pytest

from harness import BIN, clean_env, free_port, until

TOP = os.environ.get("top_srcdir") or os.path.join(
    os.path.dirname(__file__), "..", "..")
LAST = "/health\n"


class Demo:
    def __init__(self, directory, port):
        self.output = os.path.join(directory, "output")
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                [os.path.join(TOP, "contrib", "demo"), BIN, directory],
                env=clean_env({"LISTEN_ADDR": f"127.0.0.1:{port}"}),
                stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True)
        until(self.told, "the demo told what to try")

    def text(self):
        with open(self.output, encoding="utf-8") as f:
            return f.read()

    def told(self):
        assert self.process.poll() is None, self.text()
        return any(line.startswith("curl ") and line.endswith(LAST)
                   for line in self.text().splitlines(keepends=True))

    def lines(self, start):
        return [line for line in self.text().splitlines()
                if line.startswith(start)]

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == 0, self.text()


@pytest.fixture
def demo(tmp_path):
    started = []

    def start():
        started.append(Demo(str(tmp_path), port))
        return started[-1]

    port = free_port()
    yield start
    for d in started:
        if d.process.poll() is None:
            d.process.kill()
            d.process.wait()


def shell(line):
    result = subprocess.run(line, shell=True, env=clean_env(), text=True,
                            stdin=subprocess.DEVNULL, capture_output=True,
                            timeout=30)
    assert result.returncode == 0, (line, result.stderr)
    return json.loads(result.stdout)


def test_printed_curl_lines(demo):
    d = demo()
    sent, rooms, history, acked, health = map(shell, d.lines("curl "))
    assert (sent["sender_id"], sent["seq"]) == ("alice", 1)
    assert [(r["room_id"], r["unread_count"]) for r in rooms["rooms"]] == [
        (sent["room_id"], 1)]
    assert [m["content"] for m in history["messages"]] == ["Hello, Bob!"]
    assert acked["seq"] == 1
    assert health["status"] == "ok"
    d.stop()


def test_printed_websocket_line(demo):
    d = demo()
    line, = d.lines("CHATAPI_KEY=")
    sent = shell(d.lines("curl ")[0])
    client = subprocess.Popen(
        "exec env " + line, shell=True, env=clean_env(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        client.stdin.write("Hello, Alice!\n")
        client.stdin.flush()
        got = {}
        while ("message", 2) not in got:
            frame = json.loads(client.stdout.readline())
            got[frame["type"], frame.get("seq")] = frame
        assert got["message", 1]["message_id"] == sent["message_id"]
        assert got["message", 2]["content"] == "Hello, Alice!"
        assert got["message", 2]["sender_id"] == "bob"
    finally:
        client.kill()
        client.communicate()
    d.stop()


def test_printed_console_links(demo):
    d = demo()
    for user in ("alice", "bob"):
        line, = d.lines(user + ":  ")
        page, token = line.split()[1].split("#token=")
        assert "<title>chatapi console</title>" in subprocess.check_output(
            ["curl", "-sS", page], text=True)
        out = shell(f"curl -sS -H 'Authorization: Bearer {token}' "
                    + page.replace("console/", "rooms"))
        room, = out["rooms"]
        assert (room["type"], room["last_ack"]) == ("dm", 0)
    key = d.lines("Its Operator view")[0].split()[-1]
    assert shell(f"curl -sS -H 'X-Master-Key: {key}' " + page.replace(
        "console/", "admin/tenants"))["tenants"][0]["name"] == "demo"
    d.stop()


def test_second_start_goes_on(demo, tmp_path):
    d = demo()
    mode = os.stat(tmp_path / "api-key").st_mode
    assert stat.S_IMODE(mode) == 0o600
    before = d.lines("curl ")
    shell(before[0])
    d.stop()
    d = demo()
    assert d.lines("curl ") == before
    assert len(shell(before[2])["messages"]) == 1
    d.stop()
