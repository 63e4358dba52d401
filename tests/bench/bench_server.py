# SPDX-License-Identifier: MIT
"""The server that tests/bench/run measures, and the generator's runs.

One server on a directory of its own, on loopback; started again by itself
when it is killed, if a mode asks for that.
"""

import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time


def say(text):
    print(text, file=sys.stderr, flush=True)


class Server:
    """One server on a directory of its own."""

    def __init__(self, args, supervised=False, log_level="warn"):
        self.args = args
        self.dir = tempfile.mkdtemp(prefix="chatapi-bench-", dir=args.dir)
        self.process = None
        self.key = None
        self.log_level = log_level
        self.pid_file = os.path.join(self.dir, "pid")
        self.ending = False
        self.keeper = None
        self.supervised = supervised
        self.restarts = 0
        self.master_key = secrets.token_hex(16)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.http = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=30)

    def __enter__(self):
        try:
            self.start()
            self.make_tenant()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.http.close()
        self.ending = True
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                say("the server did not stop within 20 s")
                self.process.kill()
                self.process.wait()
        if self.keeper is not None:
            self.keeper.join()
        if self.args.keep:
            say(f"kept {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def launch(self):
        env = dict(
            os.environ,
            LISTEN_ADDR=f"127.0.0.1:{self.port}",
            DATABASE_DSN=f"file:{self.dir}/chatapi.db",
            MASTER_API_KEY=self.master_key,
            DEFAULT_RATE_LIMIT="0",
            WS_MAX_CONNECTIONS_PER_USER="64",
            LOG_LEVEL=self.log_level,
        )
        as_root = ["--user", "root"] if os.geteuid() == 0 else []
        # A group of its own: a mode may kill all of it.
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [self.args.server, *as_root,
                 "--workers", str(self.args.workers)],
                env=env, cwd=self.dir, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)
        with open(self.pid_file + ".new", "w") as f:
            f.write(f"{self.process.pid}\n")
        os.rename(self.pid_file + ".new", self.pid_file)

    def keep_alive(self):
        """What an init does: starts it again as soon as it is gone."""
        while not self.ending:
            process = self.process
            process.wait()
            if not self.ending and process.returncode == -signal.SIGKILL:
                self.restarts += 1
                self.launch()
            elif not self.ending:
                say(f"the server ended with {process.returncode}")
                return

    def start(self):
        self.launch()
        if self.supervised:
            self.keeper = threading.Thread(target=self.keep_alive)
            self.keeper.start()
        deadline = time.monotonic() + 20
        while True:
            if self.process.poll() is not None:
                raise RuntimeError("the server ended: " + self.log_tail())
            try:
                if self.call("GET", "/health")[0] == 200:
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise RuntimeError("the server is not ready: "
                                   + self.log_tail())
            time.sleep(0.02)

    def log(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()

    def log_tail(self):
        return self.log()[-2000:]

    def call(self, method, path, body=None, **headers):
        data = None
        if body is not None:
            data = json.dumps(body)
            headers["Content-Type"] = "application/json"
        try:
            self.http.request(method, path, data, headers)
            answer = self.http.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as e:
            self.http.close()
            raise OSError(str(e)) from e
        return answer.status, json.loads(text) if text else None

    def make_tenant(self):
        status, tenant = self.call(
            "POST", "/admin/tenants", {"name": "bench"},
            **{"X-Master-Key": self.master_key})
        if status != 201:
            raise RuntimeError(f"no tenant: {status} {tenant}")
        self.key = tenant["api_key"]

    def make_room(self, users, type_="group"):
        """A room; its id."""
        headers = {"X-API-Key": self.key}
        status, room = self.call(
            "POST", "/rooms",
            {"type": type_, "members": users[:1000]}, **headers)
        if status != 201:
            raise RuntimeError(f"no room: {status} {room}")
        for i in range(1000, len(users), 1000):
            status, answer = self.call(
                "POST", f"/rooms/{room['room_id']}/members",
                {"user_ids": users[i:i + 1000]}, **headers)
            if status != 200:
                raise RuntimeError(f"no members: {status} {answer}")
        return room["room_id"]

    def say(self, room, user, content):
        status, answer = self.call(
            "POST", f"/rooms/{room}/messages", {"content": content},
            **{"X-API-Key": self.key, "X-User-Id": user})
        if status != 201:
            raise RuntimeError(f"no message: {status} {answer}")

    def plan(self, rooms):
        """Writes the plan file: pairs of room id and users."""
        path = os.path.join(self.dir, "plan")
        with open(path, "w") as f:
            for room, users in rooms:
                f.write(" ".join([room, *users]) + "\n")
        return path

    def bench(self, mode, plan, **options):
        return run_bench(
            self.args, mode, port=self.port, server_pid=self.process.pid,
            key=self.key, plan=plan, **options)


def run_bench(args, mode, **options):
    """One run of the generator; its result."""
    options = {"seconds_ms": int(args.seconds * 1000),
               "warmup_ms": int(args.warmup * 1000), **options}
    command = [args.bench, mode]
    for name, value in options.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=900)
    if not done.stdout:
        raise RuntimeError(f"{mode}: no result, status {done.returncode}")
    result = json.loads(done.stdout)
    # Its CPU would be a sum over other processes than at the start.
    result["status"] = done.returncode or int(result.get("server_died", 0))
    if args.json:
        with open(args.json, "a") as f:
            f.write(json.dumps(result) + "\n")
    if result["status"] != 0:
        say(f"{mode}: FAILED: {done.stdout.decode().strip()}")
    return result
