#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How schema-N.sql and schema-N.json were made:

    make.py PROGRAM N      (needs python3-websockets)

PROGRAM is a chatapi built from the last commit whose newest schema is N:
that is the parent of the one that added sql/000(N+1)_*.sql.  It serves some
traffic, as far as it knows how to, and is stopped.  The .sql file is what it
then had in its database, the .json file what it had answered.  Never run
PROGRAM on anything but what it makes itself.
"""
import asyncio
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

import websockets

HERE = os.path.dirname(os.path.abspath(__file__))
MASTER = "operator-key-of-the-end-to-end-tests"
PRAGMAS = ("page_size", "auto_vacuum", "application_id", "user_version")
NOWHERE = "http://127.0.0.1:9/hook"


class Old:
    """A running server of earlier days."""

    def __init__(self, program, directory, **env):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        args = ["-w", "2", "-l", f"127.0.0.1:{self.port}",
                "-d", "file:chatapi.db"]
        usage = subprocess.run([program, "--help"], capture_output=True,
                               text=True, check=True).stdout
        if "--user" in usage and os.geteuid() == 0:
            args += ["--user", "root"]
        with open(os.path.join(directory, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [program, *args], cwd=directory, stderr=log,
                env={"PATH": os.environ["PATH"], "MASTER_API_KEY": MASTER,
                     "DEFAULT_RATE_LIMIT": "0", "WEBHOOK_ALLOW_PRIVATE": "1",
                     **env})
        until(self.healthy, "it serves")

    def healthy(self):
        try:
            return self.call("GET", "/health", {})[0] == 200
        except OSError:
            return False

    def call(self, method, path, headers, body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        c.request(method, path, None if body is None else json.dumps(body),
                  {"Content-Type": "application/json", **headers})
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, json.loads(data) if data else None

    def ask(self, method, path, headers, body=None):
        """None for what this program cannot do yet."""
        status, out = self.call(method, path, headers, body)
        if status in (404, 405):
            return None
        assert status < 300, (method, path, status, out)
        return out if out is not None else True

    async def heads(self, headers):
        """Where a connection stands when it has been told everything."""
        async with websockets.connect(f"ws://127.0.0.1:{self.port}/ws",
                                      extra_headers=headers) as ws:
            epoch = json.loads(await ws.recv())["epoch"]
            while True:
                frame = json.loads(await asyncio.wait_for(ws.recv(), 10))
                if frame["type"] == "sync.complete":
                    return epoch, frame["heads"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0


class Maker:
    def __init__(self, old, n):
        self.old = old
        self.changes = n > 1    # the first one's PUT never answers
        self.operator = {"X-Master-Key": MASTER}
        self.sent = []

    def tenant(self, name):
        made = self.old.ask("POST", "/admin/tenants", self.operator,
                            {"name": name})
        return {"id": made["tenant_id"], "name": name,
                "key": made["api_key"]}

    @staticmethod
    def user(tenant, name=None):
        h = {"X-API-Key": tenant["key"]}
        return h if name is None else {**h, "X-User-Id": name}

    def say(self, tenant, room, user, content, **more):
        body = {"content": content, **more}
        got = self.old.ask("POST", f"/rooms/{room}/messages",
                           self.user(tenant, user), body)
        if "client_msg_id" in more:
            self.sent.append({"room_id": room, "user": user, "body": body,
                              "message_id": got["message_id"],
                              "seq": got["seq"]})
        return got

    def change(self, tenant, room, user, message, content=None):
        if not self.changes:
            return None
        path = f"/rooms/{room}/messages/" + message["message_id"]
        if content is None:
            return self.old.ask("DELETE", path, self.user(tenant, user))
        return self.old.ask("PUT", path, self.user(tenant, user),
                            {"content": content})


def settings(m, tenant):
    """Keys, and what a tenant may have set."""
    ask, op = m.old.ask, m.operator
    path = "/admin/tenants/" + tenant["id"]
    added = ask("POST", path + "/keys", op, {})
    if added is not None:
        tenant["second_key"] = added["api_key"]
        gone = ask("POST", path + "/keys", op, {})
        ask("DELETE", path + "/keys/" + gone["key_id"], op)
        tenant["revoked_key"] = gone["api_key"]
    if ask("PATCH", path, op, {"rate_limit": 7777}) is not None:
        tenant["jwt_secret"] = "a secret of the earlier days, 32 bytes"
        ask("PATCH", path, op, {"jwt_secret": tenant["jwt_secret"],
                                "retention_days": 36500})
        hook = ask("PATCH", path, op, {"webhook_url": NOWHERE})
        tenant["webhook_secret"] = hook["webhook_secret"]


def talk(m, t):
    """The first half; the rooms' ids and what was said last in each."""
    ask, ann = m.old.ask, m.user(t, "ann")
    rooms = {
        "group": ask("POST", "/rooms", ann, {
            "type": "group", "members": ["bob", "cid"], "name": "Gr\u00fcppe",
            "metadata": {"colour": "red", "n": [1, 2.5, None]}}),
        "channel": ask("POST", "/rooms", ann, {
            "type": "channel", "members": ["bob"], "name": "all"}),
        "dm": ask("POST", "/rooms", ann, {
            "type": "dm", "members": ["ann", "bob"]}),
        "gone": ask("POST", "/rooms", ann, {
            "type": "group", "members": ["bob"]})}
    rooms = {k: v["room_id"] for k, v in rooms.items()}
    said = {}
    for name, room in rooms.items():
        said[name] = [m.say(t, room, ("ann", "bob")[i % 2],
                            f"{name} {i} \u2013 \U0001f600",
                            client_msg_id=f"c-{name}-{i}",
                            **({"meta": {"i": i}} if i % 3 == 0 else {}))
                      for i in range(8)]
        m.change(t, room, "ann", said[name][2], "edited once")
        m.change(t, room, "bob", said[name][3])
    for user, room, seq in (("ann", "group", 3), ("bob", "dm", 8),
                            ("ann", "dm", 5)):
        ask("POST", "/acks", m.user(t, user),
            {"room_id": rooms[room], "seq": seq})
    return rooms, said


def talk_more(m, t, rooms, said):
    """What a device of ann's misses that has gone away before it."""
    ask = m.old.ask
    for name in ("group", "channel", "dm"):
        m.change(t, rooms[name], "ann", said[name][4], "edited while away")
        m.change(t, rooms[name], "bob", said[name][5])
        for i in range(8, 12):
            said[name].append(m.say(t, rooms[name], ("ann", "bob")[i % 2],
                                    f"{name} {i}",
                                    client_msg_id=f"c-{name}-{i}"))
        m.change(t, rooms[name], "ann", said[name][8], "edited, also new")
    if not m.changes:
        return
    ask("PATCH", "/rooms/" + rooms["group"], m.user(t), {"name": "new name"})
    ask("DELETE", "/rooms/" + rooms["gone"], m.user(t))


def notices(m, t, rooms):
    ask, backend = m.old.ask, m.user(t)
    if ask("POST", "/subscriptions", m.user(t, "ann"),
           {"topic": "news"}) is None:
        return
    ask("POST", "/subscriptions", m.user(t, "dan"), {"topic": "news"})
    for targets in ({"user_ids": ["ann", "eve"]}, {"topic_subscribers": True},
                    {"room_id": rooms["group"]}):
        ask("POST", "/notify", backend, {
            "topic": "news", "payload": {"for": targets},
            "targets": targets})
    first = ask("GET", "/notifications", m.user(t, "ann"))["notifications"][0]
    ask("POST", f"/notifications/{first['notification_id']}/ack",
        m.user(t, "ann"))


def state(m, t):
    """All that can be asked for."""
    ask = m.old.ask
    out = {"rooms": {}, "users": {}}
    names = ("ann", "bob", "cid", "dan", "eve")
    for user in names:
        h = m.user(t, user)
        out["users"][user] = {
            "rooms": ask("GET", "/rooms", h)["rooms"],
            "subscriptions": ask("GET", "/subscriptions", h),
            "notifications": ask("GET", "/notifications", h)}
        for room in out["users"][user]["rooms"]:
            rid = room["room_id"]
            out["rooms"].setdefault(rid, {
                "room": ask("GET", "/rooms/" + rid, h),
                "members": ask("GET", f"/rooms/{rid}/members", h),
                "messages": ask("GET", f"/rooms/{rid}/messages?limit=100",
                                h)})
    out["tenant"] = ask("GET", "/admin/tenants/" + t["id"], m.operator)
    out["dead_letters"] = ask("GET", "/admin/dead-letters", m.user(t))
    return out


def until(condition, what):
    end = time.monotonic() + 20
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("waited in vain: " + what)
        time.sleep(0.05)


def deliveries(directory):
    with sqlite3.connect(f"file:{directory}/chatapi.db?mode=ro",
                         uri=True) as db:
        return db.execute("SELECT count(*), sum(state), sum(attempts > 0)"
                          " FROM delivery").fetchone()


def webhooks(program, n, directory, m, t, rooms):
    """Deliveries that are dead, some that wait for their next try, and rows
    of which nobody has yet looked who is absent."""
    if n < 6:
        return
    m.old.stop()
    for env, waits in (
            ({"RETRY_MAX_ATTEMPTS": "1", "PRESENCE_GRACE": "0s"},
             lambda n, dead, tried: n > 0 and dead == n),
            ({"RETRY_INTERVAL": "1h", "PRESENCE_GRACE": "0s"},
             lambda n, dead, tried: n > dead and tried == n),
            ({"PRESENCE_GRACE": "1m"}, None)):
        m.old = Old(program, directory, **env)
        m.say(t, rooms["group"], "bob", "for who is absent")
        m.old.ask("POST", "/notify", m.user(t), {
            "topic": "news", "payload": 1, "targets": {"user_ids": ["eve"]}})
        if waits is not None:
            until(lambda: waits(*deliveries(directory)), str(env))
            m.old.stop()


def dump(directory):
    db = sqlite3.connect(os.path.join(directory, "chatapi.db"))
    lines = [f"PRAGMA {p} = {db.execute('PRAGMA ' + p).fetchone()[0]};"
             for p in PRAGMAS]
    lines += db.iterdump()
    db.close()
    return "\n".join(lines) + "\n"


def main(program, n):
    program = os.path.abspath(program)
    directory = tempfile.mkdtemp()
    m = Maker(Old(program, directory), n)
    tenants = [m.tenant("acme"), m.tenant("other")]
    t = tenants[0]
    rooms, said = talk(m, t)
    theirs = m.old.ask("POST", "/rooms", m.user(tenants[1], "ann"),
                       {"type": "group", "members": ["bob"]})["room_id"]
    m.old.ask("POST", f"/rooms/{theirs}/messages",
              m.user(tenants[1], "ann"), {"content": "of another tenant"})
    epoch, cursors = asyncio.run(m.old.heads(m.user(t, "ann")))
    talk_more(m, t, rooms, said)
    notices(m, t, rooms)
    settings(m, t)
    webhooks(program, n, directory, m, t, rooms)
    out = {"schema": n, "epoch": epoch, "cursors": cursors,
           "room_ids": {k: rooms[k] for k in ("group", "channel", "dm")},
           "gone": rooms["gone"], "sent": m.sent}
    out["heads"] = asyncio.run(m.old.heads(m.user(t, "ann")))[1]
    out["tenants"] = [{**x, **state(m, x)} for x in tenants]
    m.old.stop()
    key = os.path.join(directory, "chatapi.db-secrets")
    if os.path.exists(key):
        with open(key, "rb") as f:
            out["key_file"] = f.read().hex()
    with open(os.path.join(HERE, f"schema-{n}.sql"), "w") as f:
        f.write(dump(directory))
    with open(os.path.join(HERE, f"schema-{n}.json"), "w") as f:
        json.dump(out, f, indent=0)
        f.write("\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
