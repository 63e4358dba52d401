# SPDX-License-Identifier: MIT
"""GET /metrics: what an operator is shown is what has happened."""
import concurrent.futures
import errno
import http.client
import json
import re
import signal
import threading

from pathlib import Path

import faults
from chat import Chat, close_all
from client import Rest, Tenant
from harness import scaled, until
from metrics import Scraper, Scrape, promtool, scrape
from raw import open_raw

TOP = Path(__file__).resolve().parents[2]


# ---- the form ----

def test_promtool_has_nothing_to_say(server, tenant):
    tenant.user("ann").say(tenant.backend().make_room(["ann"])["room_id"],
                           "hello")
    status, said = promtool("check", "metrics", text=scrape(server).text)
    assert (status, said) == (0, "")


def test_samples_of_configuration_are_valid():
    for args in (("config", "--syntax-only", "prometheus.yml"),
                 ("rules", "alerts.yml")):
        status, said = promtool("check", *args[:-1],
                                str(TOP / "contrib/prometheus" / args[-1]))
        assert status == 0, said


def test_samples_name_what_there_is(server):
    known = {name for name, _ in scrape(server).values}
    rules = (TOP / "contrib/prometheus/alerts.yml").read_text()
    named = set(re.findall(r"\bchatapi_\w+", rules))
    assert len(named) > 8
    assert named <= known, named - known


def test_table_of_the_documentation(server):
    """doc/metrics.md describes each of them, with its type, and no other."""
    table = re.findall(r"^\| `(chatapi_\w+)[^|]*\| (\w+) \| (.+) \|$",
                       (TOP / "doc/metrics.md").read_text(), re.M)
    assert {name: kind for name, kind, _ in table} == scrape(server).type
    assert len(table) == len({name for name, _, _ in table})
    # The names in JSON too.
    shown = Scraper(server).json()
    documented = set(re.findall(r"`([a-z_]+)`",
                                " ".join(text for _, _, text in table)))
    workers = shown.pop("workers")
    missing = (set(shown) | set(workers[0])) - documented - {
        "service", "version", "started_at", "slot"}
    assert not missing, missing


# ---- the route ----

def test_needs_no_identity_and_minds_none(server):
    for headers in ({}, {"X-API-Key": "sk_wrong"}, {"X-Master-Key": "wrong"},
                    {"Authorization": "Bearer nonsense"}):
        assert Rest(server, headers).get("/metrics").status == 200
    assert Rest(server).get("/metrics?x=1").status == 200


def test_head(server):
    r = Rest(server)
    for accept in ("text/plain", "application/json"):
        head = r.call("HEAD", "/metrics", headers={"Accept": accept})
        assert head.status == 200 and head.body == b""
        assert head.headers["content-type"].startswith(accept)
        assert int(head.headers["content-length"]) > 1000
        # The connection goes on.
        assert r.get("/metrics").status == 200


def test_other_methods(server):
    r = Rest(server)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = r.call(method, "/metrics", body={})
        answer.error(405, "method_not_allowed")
        assert answer.headers["allow"] == "GET, HEAD"
    r.get("/metrics/").error(404, "not_found")
    r.get("/metrics/x").error(404, "not_found")


def test_accept(server):
    r = Rest(server)
    for accept, kind in (
            (None, "text/plain"), ("*/*", "text/plain"),
            ("application/json", "application/json"),
            ("application/json;q=0.9, */*;q=0.1", "application/json"),
            ("text/plain, application/json;q=0.5", "text/plain"),
            ("text/html,application/xhtml+xml,*/*;q=0.8", "text/plain"),
            ("application/openmetrics-text;version=1.0.0;q=0.75,"
             "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/plain")):
        answer = r.get("/metrics", headers={"Accept": accept})
        assert answer.status == 200
        assert answer.headers["content-type"].startswith(kind), accept
        assert answer.headers["vary"] == "Accept"
        assert answer.headers["cache-control"] == "no-store"
        assert "x-ratelimit-limit" not in answer.headers


async def test_names_nobody(server, tenant):
    """It is open: no tenant, user, room or key may be found in it."""
    room = tenant.backend().make_room(["secretive-ann"])["room_id"]
    chat = await Chat.connect(tenant, "secretive-ann")
    await chat.say(room, "secret")
    s = Scraper(server)
    for text in (s.scrape().text, json.dumps(s.json())):
        for word in ("secretive", room, tenant.id, tenant.name,
                     tenant.key):
            assert word not in text
    await chat.close()


# ---- what is counted ----

class Diff:
    def __init__(self, before, after):
        self.before, self.after = before, after

    def __call__(self, name, **labels):
        return self.after.get(name, **labels) - \
            self.before.get(name, **labels)


IDLE = ("connections_behind", "feeds_behind", "operations_pending",
        "writer_queue_operations", "writer_queue_bytes")


async def test_known_workload_over_three_workers(start_server):
    server = start_server(workers=3)
    tenant = Tenant(server)
    scraper = Scraper(server, slot=0)
    before = scraper.scrape()
    room = tenant.backend().make_room(["ann", "bob", "cyd"])["room_id"]
    # One, two and three connections.
    chats = [await Chat.connect(tenant, user, slot=slot)
             for slot, user in enumerate(["ann", "bob", "cyd"])
             for _ in range(slot + 1)]
    poster = tenant.user("ann", slot=2)
    for i in range(20):
        poster.say(room, f"by REST {i}")
    for i in range(10):
        await chats[i % 6].say(room, f"by WebSocket {i}")
    for _ in range(3):
        poster.get("/rooms/room_none").error(404)
    for _ in range(2):
        Rest(server, {"X-API-Key": "sk_wrong"}).get("/rooms").error(401)
    # A repetition stores nothing; a refused frame is one.
    first = await chats[0].say(room, "once", client_msg_id="c1")
    again = await chats[0].say(room, "once", client_msg_id="c1")
    assert again["seq"] == first["seq"] == 31
    await chats[0].ask("error", "no_such_type")
    for c in chats:
        await c.wait_seq(room, 31)
    looks = [before]

    def calm():
        """The writer and the master count the end of their work behind
        it."""
        looks.append(scraper.scrape())
        return all(looks[-1].get(name) == 0 for name in IDLE) and \
            Diff(before, looks[-1])("bus_records_total") >= 93

    until(calm, "the server had nothing more to do")
    diff = Diff(before, looks[-1])
    after = diff.after
    after.check_sums()
    assert diff("messages_sent_total") == 31
    assert diff("deliveries_total") == 31 * len(chats)
    assert diff("delivery_failures_total") == 0
    assert after.by_slot("worker_deliveries_total") == \
        {0: 31, 1: 62, 2: 93}
    assert after.get("connections") == 6
    assert after.by_slot("worker_connections") == {0: 1, 1: 2, 2: 3}
    assert after.by_slot("worker_up") == {0: 1, 1: 1, 2: 1}
    assert after.get("users_online") == 3
    assert diff("connections_opened_total") == 6
    assert diff("frames_received_total") == 13
    assert diff("frames_refused_total") == 1
    # The room, 20 messages, and the earlier looks; the WebSockets are none.
    assert diff("http_requests_total", **{"class": "2xx"}) == \
        21 + len(looks[:-1])
    assert diff("http_requests_total", **{"class": "4xx"}) == 5
    assert diff("http_requests_total", **{"class": "5xx"}) == 0
    assert after.sum("worker_http_requests_total") == \
        after.sum("http_requests_total")
    assert diff("restarts_total", role="worker") == 0
    assert diff("rate_limited_total") == 0
    # Each answered, some together; all that wrote went through a commit.
    assert diff("operations_total") >= 33
    assert 32 <= diff("batch_operations_sum") <= diff("operations_total")
    assert 1 <= diff("batch_operations_count") <= \
        diff("batch_operations_sum")
    assert diff("commit_duration_seconds_count") == \
        diff("batch_operations_count")
    assert diff("commit_duration_seconds_sum") > 0
    # 31 messages to three workers, at least.
    assert diff("bus_records_total") >= 93
    assert after.get("wal_bytes") > 0
    for name in IDLE:
        assert after.get(name) == 0, name
    assert after.get("db_writable") == after.get("writer_up") == 1
    assert after.get("workers") == 3
    await close_all(chats)
    until(lambda: scraper.scrape().get("connections") == 0,
          "no connection was counted any more")
    assert scraper.scrape().get("connections_opened_total") == \
        after.get("connections_opened_total")


async def test_json_says_the_same(server, tenant):
    room = tenant.backend().make_room(["ann"])["room_id"]
    chat = await Chat.connect(tenant, "ann", slot=1)
    await chat.say(room, "hello")
    await chat.wait_seq(room, 1)
    s = Scraper(server)

    def quiet():
        """Two looks, when nothing but themselves was counted meanwhile: the
        server is shared, and graces and sweeps end when they end."""
        first, shown, text = s.scrape(), s.json(), s.scrape()
        same = all(text.values.get(key) == value
                   for key, value in first.values.items()
                   if "http_requests" not in key[0]
                   and key[0] != "chatapi_uptime_seconds")
        asked = [t.sum("http_requests_total") for t in (first, text)]
        return same and asked[0] + 2 == asked[1] and (shown, text)

    shown, text = until(quiet, "nothing happened between two looks")
    for name in ("active_connections", "messages_sent", "delivery_attempts",
                 "delivery_failures", "broadcast_drops"):
        assert isinstance(shown[name], int), name
    assert shown["active_connections"] == text.get("connections")
    assert shown["messages_sent"] == text.get("messages_sent_total") > 0
    assert shown["delivery_attempts"] == text.get("deliveries_total") > 0
    assert shown["delivery_failures"] == \
        text.get("delivery_failures_total")
    assert shown["broadcast_drops"] == text.get("bus_drops_total")
    assert shown["users_online"] == text.get("users_online")
    assert shown["db_writable"] is True
    assert 0 < shown["uptime_seconds"] <= text.get("uptime_seconds")
    assert shown["http_requests"]["2xx"] + 1 == \
        text.get("http_requests_total", **{"class": "2xx"})
    assert [w["slot"] for w in shown["workers"]] == [0, 1, 2]
    assert {w["slot"]: w["connections"] for w in shown["workers"]} == \
        text.by_slot("worker_connections")
    commits = shown["commit_duration_seconds"]
    assert commits["count"] == commits["buckets"]["+Inf"] == \
        text.get("commit_duration_seconds_count")
    assert commits["sum"] == text.get("commit_duration_seconds_sum")
    assert [[float(le), n] for le, n in commits["buckets"].items()] == \
        [list(b) for b in text.buckets("chatapi_commit_duration_seconds")]
    await chat.close()


async def test_limits_are_counted(start_server):
    server = start_server(workers=2, env={
        "DEFAULT_RATE_LIMIT": "5", "WS_MAX_CONNECTIONS_PER_USER": "1"})
    tenant = Tenant(server)
    backend, scraper = tenant.backend(), Scraper(server)
    before = scraper.scrape()
    refused = sum(backend.get("/rooms").status == 429 for _ in range(40))
    assert refused > 0
    first = await Chat.connect(tenant, "ann")
    second = await Chat.open(tenant, "ann")
    assert await second.wait_closed() == 1008
    diff = Diff(before, scraper.scrape())
    assert diff("rate_limited_total") == refused
    assert diff("http_requests_total", **{"class": "4xx"}) == refused
    assert diff("connections_opened_total") == 1
    assert diff("connections_denied_total") == 1
    await first.close()


async def test_who_does_not_read_is_behind(start_server):
    server = start_server(workers=3)
    tenant = Tenant(server)
    room = tenant.backend().make_room(["ann", "slow"])["room_id"]
    scraper = Scraper(server)
    slow = open_raw(tenant, "slow", slot=2, rcvbuf=16384)
    assert slow.read_json("sync.complete")
    ann = await Chat.connect(tenant, "ann", slot=0)
    # Until then her own is behind, too.
    await ann.wait("sync.complete")
    assert scraper.scrape().get("feeds_fell_behind_total") == 0
    sent = 0
    content = "x" * 8192
    # As much as two sockets and our own 32 KiB take.
    while scraper.scrape().get("connections_behind") == 0:
        for _ in range(10):
            await ann.say(room, content)
        sent += 10
        assert sent < 2000
    now = scraper.scrape()
    assert now.get("feeds_behind") == 1
    assert now.by_slot("worker_feeds_behind") == {0: 0, 1: 0, 2: 1}
    assert now.get("feeds_fell_behind_total") >= 1
    assert now.get("connections") == 2
    slow.close()
    now = until(lambda: (s := scraper.scrape()).get("connections") == 1 and s,
                "the slow one had gone")
    assert now.get("connections_behind") == now.get("feeds_behind") == 0
    # What lay in our queue was never sent.
    lost = now.get("delivery_failures_total")
    assert 0 < lost < now.get("deliveries_total")
    assert now.get("deliveries_total") < 2 * sent
    await ann.close()


def test_a_disk_that_takes_nothing(start_server, tmp_path):
    (tmp_path / "db").mkdir()
    database = str(tmp_path / "db" / "chatapi.db")
    disk = faults.Disk(str(tmp_path / "disk"), database, everywhere=True)
    server = start_server(workers=2, env=disk.env,
                          args=["-d", "file:" + database])
    tenant = Tenant(server)
    room = tenant.backend().make_room(["ann"])["room_id"]
    ann, scraper = tenant.user("ann"), Scraper(server)
    before = scraper.scrape()
    assert before.get("db_writable") == 1
    # Not disk.fill(): what the log has room for would soon be taken again.
    disk.write_error = errno.ENOSPC
    refused = 0
    while scraper.scrape().get("db_writable") == 1:
        refused += ann.post(f"/rooms/{room}/messages",
                            {"content": "x" * 8192}).status == 503
        assert refused < 500
    diff = Diff(before, scraper.scrape())
    assert diff("batches_refused_total") >= 1
    assert diff("http_requests_total", **{"class": "5xx"}) == refused >= 1
    assert Scraper(server).json()["db_writable"] is False
    disk.heal()
    until(lambda: scraper.scrape().get("db_writable") == 1,
          "the database took writes again")
    ann.say(room, "well again")


# ---- processes that die ----

class Watch(threading.Thread):
    """Scrapes without a pause, over whichever worker answers, and checks
    each answer against the one before."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.ended = threading.Event()
        self.last = scrape(server)
        self.scrapes = 0
        self.error = None

    def run(self):
        try:
            while not self.ended.is_set():
                try:
                    now = scrape(self.server)
                except (OSError, http.client.HTTPException):
                    # It was at the worker that has just died.
                    continue
                now.check_after(self.last)
                self.last = now
                self.scrapes += 1
                self.ended.wait(0.005)
        except BaseException as e:  # noqa: BLE001 - for end()
            self.error = e

    def end(self):
        self.ended.set()
        self.join()
        if self.error is not None:
            raise self.error
        assert self.scrapes > 0


async def test_nothing_goes_back_when_processes_die(start_server):
    server = start_server(workers=3)
    tenant = Tenant(server)
    room = tenant.backend().make_room(["ann", "bob"])["room_id"]
    ann = await Chat.connect(tenant, "ann", slot=0)
    bob = await Chat.connect(tenant, "bob", slot=1)
    for i in range(25):
        await ann.say(room, f"{i}")
    # The answer to a send says nothing of the sender's own copy.
    for chat in (ann, bob):
        await chat.wait_seq(room, 25)
    before = scrape(server)
    assert before.get("messages_sent_total") == 25
    assert before.get("deliveries_total") == 50
    watch = Watch(server)
    watch.start()
    kills = scaled(6, 2)
    for i in range(kills):
        old = server.kill("worker", 1)
        server.wait_respawn("worker", 1, old)
        old = server.kill("writer")
        server.wait_respawn("writer", None, old)
    until(lambda: watch.last.get("restarts_total", role="writer") == kills,
          "the watch saw the last writer")
    watch.end()
    now = scrape(server).check_after(watch.last)
    assert now.get("restarts_total", role="worker") == kills
    assert now.get("restarts_total", role="writer") == kills
    # What the dead had counted is there, exactly; what they had open not.
    assert now.get("messages_sent_total") == 25
    assert now.get("deliveries_total") == 50
    assert now.by_slot("worker_deliveries_total") == {0: 25, 1: 0, 2: 0}
    assert now.by_slot("worker_connections") == {0: 1, 1: 0, 2: 0}
    assert now.get("connections") == 1
    assert now.get("operations_total") >= before.get("operations_total")
    assert now.by_slot("worker_up") == {0: 1, 1: 1, 2: 1}
    assert now.get("writer_up") == 1
    # And it goes on.
    await ann.say(room, "on")
    assert scrape(server).get("messages_sent_total") == 26
    await ann.close()


def test_a_writer_that_is_stopped(start_server):
    """What waits for it is shown."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    room = tenant.backend().make_room(["ann"])["room_id"]
    scraper = Scraper(server)
    server.kill("writer", sig=signal.SIGSTOP)
    senders = [tenant.user("ann", slot=i % 2) for i in range(5)]
    for i, s in enumerate(senders):
        s.send("POST", f"/rooms/{room}/messages", {"content": f"{i}"})
    # Not only theirs: it is also reported when a key was used.
    now = until(lambda: (s := scraper.scrape())
                .get("operations_pending") >= 5 and
                s.by_slot("worker_operations_pending")[0] >= 3 and s,
                "all five waited, three of them at the first worker")
    assert now.sum("worker_operations_pending") == \
        now.get("operations_pending")
    server.kill("writer", sig=signal.SIGCONT)
    for s in senders:
        s.read().expect(201)
    until(lambda: scraper.scrape().get("operations_pending") == 0,
          "nothing waited any more")


# ---- many at once ----

async def test_many_scrapes_at_once(server, tenant):
    room = tenant.backend().make_room(["ann"])["room_id"]
    ann = await Chat.connect(tenant, "ann")
    count = scaled(40, 10)

    def look(i):
        s = Scraper(server)
        last = s.scrape()
        for k in range(count):
            if k % 4 == 3:
                assert s.json()["messages_sent"] >= \
                    last.get("messages_sent_total")
            last = s.scrape().check_after(last)
        s.close()
        return last

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        looks = [pool.submit(look, i) for i in range(8)]
        sent = 0
        while not all(f.done() for f in looks):
            await ann.say(room, "x")
            sent += 1
        assert all(isinstance(f.result(), Scrape) for f in looks)
    assert sent > 0
    await ann.close()
