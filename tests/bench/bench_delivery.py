# SPDX-License-Identifier: MIT
"""Modes of tests/bench/run about catching up and coming back.

Each function is one round: it makes the server and the rooms, runs the
generator, and returns its result and what it is to be compared with.
"""

import datetime
import os
import re
import statistics
import subprocess
import threading
import time

from bench_server import Server, run_bench

FILLERS = 8         # sync: connections that fill the room
LIVE_PAIRS = 10     # storm: pairs that chat meanwhile
LIVE_MEMBERS = 50   # slow: members who read
WITNESSES = 32      # recover: WebSockets that are open
BACKUP_SENDERS = 2  # backup: connections that send meanwhile
LOAD_PAIRS = 100    # recover under load: pairs that chat, 50 times a second


def sync(args):
    with Server(args) as server:
        users = [f"u{i}" for i in range(FILLERS + 1)]
        plan = server.plan([(server.make_room(users), users)])
        filled = server.bench("ws-send", plan, size=args.size,
                              connections=FILLERS, inflight=64,
                              count=args.missed, seconds_ms=300000,
                              warmup_ms=0)
        if filled["status"] != 0:
            raise RuntimeError("the room could not be filled")
        result = server.bench("sync", plan, count=args.missed,
                              repeats=args.repeats)
        return result, run_bench(
            args, "raw-sync", repeats=args.repeats,
            frame=max(1, round(result["frame_bytes"])),
            database=os.path.join(server.dir, "chatapi.db"))


def storm_rooms(server, args, members):
    """Rooms such that each user is in args.storm_rooms of them."""
    n = args.storm - args.storm % members
    for layer in range(args.storm_rooms):
        # Without --mix the same users share all their rooms; with it each
        # room brings a user together with others.  97 is prime to n's
        # usual factors.
        step = pow(97, layer, n) if args.mix else 1
        has = args.storm_missed * (layer + 1) // args.storm_rooms - \
            args.storm_missed * layer // args.storm_rooms
        order = [f"user{i * step % n}" for i in range(n)]
        if len(set(order)) != n:
            raise RuntimeError("--mix: 97 divides the number of clients")
        for at in range(0, n, members):
            users = order[at:at + members]
            room = server.make_room(users)
            for i in range(has):
                server.say(room, users[0], "x" * args.size)
    return [f"user{i}" for i in range(n)]


def storm(args, kill, members):
    with Server(args, supervised=True) as server:
        users = storm_rooms(server, args, members)
        plan = [("-", users)]
        for i in range(LIVE_PAIRS):
            pair = [f"live{i}a", f"live{i}b"]
            plan.append((server.make_room(pair), pair))
        server.http.close()
        return server.bench(
            "storm", server.plan(plan), kill=kill, pid_file=server.pid_file,
            count=args.storm_missed, pending=args.pending, pause_us=20000,
            size=args.size), None


def storm_server(args):
    return storm(args, "group", args.storm_members)


def storm_server_big(args):
    return storm(args, "group", args.storm_members_big)


def storm_worker(args):
    return storm(args, "worker", args.storm_members)


def storm_worker_big(args):
    return storm(args, "worker", args.storm_members_big)


def slow(args):
    with Server(args) as server:
        users = [f"slow{i}" for i in range(args.stalled)]
        live = [f"live{i}" for i in range(LIVE_MEMBERS)]
        room = server.make_room(live + users)
        return server.bench(
            "slow", server.plan([("-", users), (room, live)]),
            count=args.slow_messages, size=args.slow_size,
            pause_us=args.slow_pause_us, rcvbuf=32768,
            spread_ms=args.spread_ms), None


def big_room(args, members):
    with Server(args) as server:
        here = [f"here{i}" for i in range(args.big_connected)]
        away = [f"away{i}" for i in range(members - len(here))]
        room = server.make_room(here + away, "channel")
        guests = [f"guest{i}" for i in range(args.guests)]
        return server.bench(
            "big", server.plan([(room, here), ("-", guests)]),
            count=args.big_messages, outstanding=8, size=args.size,
            repeats=args.repeats)


def big(args):
    return big_room(args, args.big_members), \
        big_room(args, args.big_connected)


def copies(server, ending, done):
    """One backup after the other until told to end; bytes and seconds."""
    target = os.path.join(server.dir, "backup.db")
    user = ["--user", "root"] if os.geteuid() == 0 else []
    while not ending.is_set():
        begun = time.monotonic()
        subprocess.run(
            [server.args.server, *user, "-d",
             f"file:{server.dir}/chatapi.db", "backup", "--quiet", "--force",
             target], check=True, timeout=300)
        done.append((os.path.getsize(target), time.monotonic() - begun))


def backup(args):
    with Server(args) as server:
        plan = server.plan([(server.make_room(users), users) for users in (
            [f"u{i}a", f"u{i}b"] for i in range(args.rooms))])
        filled = server.bench("ws-send", plan, size=args.size,
                              connections=args.connections, inflight=8,
                              count=args.backup_messages, seconds_ms=300000,
                              warmup_ms=0)
        if filled["status"] != 0:
            raise RuntimeError("the rooms could not be filled")
        load = {"size": args.size, "connections": BACKUP_SENDERS}
        without = server.bench("rest-send", plan, **load)
        ending, done = threading.Event(), []
        copier = threading.Thread(target=copies, args=(server, ending, done))
        copier.start()
        try:
            result = server.bench("rest-send", plan, **load)
        finally:
            ending.set()
            copier.join()
        if not done:
            raise RuntimeError("no backup was made")
        result["copies"] = len(done)
        result["copy_mb"] = done[-1][0] / 1e6
        result["copy_mb_per_s"] = sum(size for size, _ in done) / 1e6 / \
            sum(seconds for _, seconds in done)
        return result, without


TIME = re.compile(r"^ts=(\S+) level=\S+ role=(\w+)(?: slot=(\d+))? "
                  r"msg=\"([^\"]*)\"(.*)$")


def log_lines(text):
    for line in text.splitlines():
        m = TIME.match(line)
        if m:
            at = datetime.datetime.strptime(
                m[1], "%Y-%m-%dT%H:%M:%S.%fZ").timestamp() * 1000
            yield at, m[2], m[3], m[4], m[5]


def log_recoveries(text, kill):
    """Milliseconds from a death to its successor's ready, by the log."""
    out, died = [], None
    for at, role, _, msg, tail in log_lines(text):
        if kill in ("worker", "writer"):
            if msg == "child died" and f"child={kill}" in tail:
                died = at
            elif msg == f"{kill} ready" and died is not None:
                out.append(at - died)
                died = None
        elif role == "master" and msg == "start":
            died = at
        elif role == "master" and msg == "ready" and died is not None:
            out.append(at - died)
            died = None
    # The first start of all is no recovery.
    return out if kill in ("worker", "writer") else out[1:]


def recover(args, kill, loaded):
    with Server(args, supervised=kill in ("master", "group"),
                log_level="info") as server:
        users = [f"u{i}" for i in range(WITNESSES)]
        plan = [(server.make_room(users), users)]
        for i in range(LOAD_PAIRS if loaded else 0):
            pair = [f"load{i}a", f"load{i}b"]
            plan.append((server.make_room(pair), pair))
        server.http.close()
        result = server.bench(
            "recover", server.plan(plan), kill=kill, kills=args.kills,
            pid_file=server.pid_file, workers=args.workers, pause_us=20000)
        logged = log_recoveries(server.log(), kill)
        if len(logged) < args.kills:
            raise RuntimeError(f"{len(logged)} of {args.kills} recoveries "
                               "in the log")
        result["log_p50_ms"] = statistics.median(logged)
        result["log_max_ms"] = max(logged)
        return result, None


def recover_mode(kill, loaded):
    return lambda args: recover(args, kill, loaded)


def share(name):
    """A figure of the big room over that of the small one."""
    return lambda m, r: m[name] / r[name]


def value(name, scale=1):
    return lambda m, r: m[name] / scale


def figure(what, name, scale=1):
    """Reported, nothing to be reached."""
    return what, value(name, scale), None, True


STORM = [
    figure("clients that reconnected", "reconnected"),
    figure("seconds until all are synced", "seconds"),
    figure("of them until the first is", "first_s"),
    figure("server µs a connection", "storm_server_us_per_connection"),
    figure("server µs a missed message", "server_us_per_message"),
    figure("presence frames", "presence_frames"),
    figure("live p99 before, ms", "live_before_p99_us", 1000),
    figure("live p50 meanwhile, ms", "live_meanwhile_p50_us", 1000),
    figure("live p99 meanwhile, ms", "live_meanwhile_p99_us", 1000),
    figure("live worst, ms", "live_meanwhile_max_us", 1000),
    figure("live, also disconnected: p99, ms", "live_broken_p99_us", 1000),
]
RECOVER = [
    figure("sends answered: median, ms", "sends_p50_us", 1000),
    figure("sends answered: worst, ms", "sends_max_us", 1000),
    figure("sockets synced: median, ms", "sockets_p50_us", 1000),
    figure("sockets synced: worst, ms", "sockets_max_us", 1000),
    figure("ready by the log: median, ms", "log_p50_ms"),
    figure("ready by the log: worst, ms", "log_max_ms"),
]


def storm_mode(run):
    return (run, "reconnects_per_s", "storm_server_us_per_connection",
            "reconnect", STORM)


# As in tests/bench/run: function, rate, CPU figure, latency, figures.
MODES = {
    "sync": (sync, "messages_per_s", "server_us_per_message", "round", [
        figure("worker's growth while it feeds, KB", "worker_growth_kb")]),
    "storm-server": storm_mode(storm_server),
    "storm-server-big": storm_mode(storm_server_big),
    "storm-worker": storm_mode(storm_worker),
    "storm-worker-big": storm_mode(storm_worker_big),
    "slow": (
        slow, "catch_up_deliveries_per_s", "catch_up_server_us_per_delivery",
        "catch_up", [
            figure("bytes a live connection", "bytes_per_live"),
            figure("bytes a stalled connection", "bytes_per_stalled"),
            figure("the same at its highest", "bytes_per_stalled_peak"),
            figure("live p99 before, ms", "live_before_p99_us", 1000),
            figure("live p99, others stalled, ms", "live_stalled_p99_us",
                   1000),
            figure("live p99, others catch up, ms", "live_resumed_p99_us",
                   1000),
            figure("seconds until all caught up", "catch_up_s"),
            figure("bytes read() a delivery",
                   "catch_up_read_bytes_per_delivery")]),
    "backup": (
        backup, "requests_per_s", "server_us_per_request", "latency", [
            ("worst send meanwhile, ms", value("latency_max_us", 1000), 50,
             True),
            figure("p99 meanwhile, ms", "latency_p99_us", 1000),
            ("worst send without, ms",
             lambda m, r: r["latency_max_us"] / 1000, None, True),
            ("p99 without, ms",
             lambda m, r: r["latency_p99_us"] / 1000, None, True),
            figure("MB copied at a time", "copy_mb"),
            figure("MB copied a second", "copy_mb_per_s"),
            figure("copies", "copies")]),
    "big": (big, "deliveries_per_s", "server_us_per_delivery", "delivery", [
        ("connect: µs over the small room's",
         share("connect_server_us_per_connect"), None, True),
        ("send: writer's µs over the small room's",
         share("send_writer_us_per_message"), None, True),
        ("delivery: µs over the small room's",
         share("server_us_per_delivery"), None, True),
        ("ack: µs over the small room's", share("ack_server_us_per_ack"),
         None, True),
        ("join: µs over the small room's", share("join_server_us_per_join"),
         None, True),
        ("leave: µs over the small room's",
         share("leave_server_us_per_leave"), None, True),
        figure("connect: server µs", "connect_server_us_per_connect"),
        figure("send: writer µs a message", "send_writer_us_per_message"),
        figure("ack: server µs", "ack_server_us_per_ack"),
        figure("join: server µs", "join_server_us_per_join"),
        figure("leave: server µs", "leave_server_us_per_leave")]),
}
for name in ("worker", "writer", "master", "group"):
    for suffix in ("", "-load"):
        MODES[f"recover-{name}{suffix}"] = (
            recover_mode(name, suffix != ""), None, None, "recover",
            # The writer's death closes nobody's socket.
            [f for f in RECOVER
             if name != "writer" or not f[0].startswith("sockets")])


def add_options(p):
    p.add_argument("--missed", type=int, default=100000,
                   help="sync: messages in the room")
    p.add_argument("--repeats", type=int, default=5,
                   help="sync: connects; big: acks of each connection")
    p.add_argument("--storm", type=int, default=5000, help="clients")
    p.add_argument("--storm-rooms", type=int, default=20,
                   help="rooms of each")
    p.add_argument("--storm-missed", type=int, default=50,
                   help="messages that each missed, over its rooms")
    p.add_argument("--storm-members", type=int, default=50,
                   help="members a room; up to 100 there is presence")
    p.add_argument("--storm-members-big", type=int, default=200,
                   help="the same in the -big modes")
    p.add_argument("--mix", action="store_true",
                   help="storm: each room has other members together")
    p.add_argument("--pending", type=int, default=1024,
                   help="storm: handshakes at once")
    p.add_argument("--stalled", type=int, default=1000,
                   help="slow: connections that stop reading")
    p.add_argument("--slow-messages", type=int, default=1000)
    p.add_argument("--slow-size", type=int, default=1000)
    p.add_argument("--slow-pause-us", type=int, default=5000)
    p.add_argument("--spread-ms", type=int, default=2000,
                   help="slow: over which they read again")
    p.add_argument("--big-members", type=int, default=50000)
    p.add_argument("--big-connected", type=int, default=5000)
    p.add_argument("--big-messages", type=int, default=100)
    p.add_argument("--guests", type=int, default=2000,
                   help="big: users who join and leave")
    p.add_argument("--backup-messages", type=int, default=500000,
                   help="backup: messages in the database")
    p.add_argument("--kills", type=int, default=20, help="recover")


QUICK = {"missed": 10000, "storm": 500, "stalled": 100,
         "slow_messages": 300, "slow_pause_us": 2000, "spread_ms": 500,
         "big_members": 5000, "big_connected": 500, "guests": 200,
         "kills": 3, "repeats": 3, "backup_messages": 50000}
