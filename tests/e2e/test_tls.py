# SPDX-License-Identifier: MIT
"""HTTPS and WebSockets over TLS: nothing is different but the wire."""
import asyncio
import json
import os
import select
import signal
import socket
import ssl
import threading
import time

import aiohttp
import pytest

import harness
from chat import Chat, close_all
from client import Rest, Tenant
from harness import DEADLINE, SANITIZERS, proc_rss, run, scaled, until
from raw import PING, TEXT, Closed, Raw, frame, text
from tls import Authority, dial, key_pem, served_serial, tls_open, tls_server

MIB = 1 << 20
GROWTH = (12 if SANITIZERS else 8) * MIB
LEAN = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")
        + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
        ":allocator_release_to_os_interval_ms=100"}


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def shared(ca):
    """A server that no test stops or signals."""
    server = tls_server(lambda **kw: harness.Server(**kw).start(), ca)
    yield server
    server.stop()
    server.remove()


def rest(server, ca, headers=None):
    client = Rest(server, headers)
    client.http.sock = dial(server, ca.context())
    return client


async def test_https_and_wss(shared, ca):
    """REST and WebSocket with the certificate verified, by two clients."""
    tenant = Tenant(shared)
    base = f"localhost:{shared.tls_port}"
    async with aiohttp.ClientSession() as s:
        async with s.get(f"https://{base}/health", ssl=ca.context(),
                         headers={"X-Request-Id": "mine"}) as r:
            assert r.status == 200
            assert r.headers["X-Request-Id"] == "mine"
            assert (await r.json())["status"] == "ok"
        async with s.post(f"https://{base}/rooms", ssl=ca.context(),
                          headers=tenant.headers(),
                          json={"type": "group",
                                "members": ["ann", "bob"]}) as r:
            assert r.status == 201
            room = (await r.json())["room_id"]
        async with s.ws_connect(f"wss://{base}/ws", ssl=ca.context(),
                                headers=tenant.headers("bob")) as ws:
            got = await ws.receive_json(timeout=DEADLINE)
            assert got["type"] == "welcome"
    ann = await Chat.connect(tenant, "ann", tls=ca.context())
    bob = await Chat.connect(tenant, "bob")
    await bob.say(room, "over the plain port")
    await ann.wait_seq(room, 1)
    await ann.say(room, "over TLS")
    await bob.wait_seq(room, 2)
    await close_all([ann, bob])


def test_versions_and_protocols(shared, ca):
    def handshake(protocols=None, **attributes):
        context = ca.context()
        # The client would do it; the server must refuse.
        context.set_ciphers("ALL:@SECLEVEL=0")
        for name, value in attributes.items():
            setattr(context, name, value)
        if protocols is not None:
            context.set_alpn_protocols(protocols)
        with dial(shared, context) as s:
            assert s.compression() is None
            return s.version(), s.selected_alpn_protocol()

    v = ssl.TLSVersion
    assert handshake() == ("TLSv1.3", None)
    assert handshake(maximum_version=v.TLSv1_2)[0] == "TLSv1.2"
    for old in (v.TLSv1, v.TLSv1_1):
        with pytest.raises(ssl.SSLError, match="(?i)version"):
            handshake(minimum_version=old, maximum_version=old)
    assert handshake(["h2", "http/1.1"])[1] == "http/1.1"
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        handshake(["h2"])


def test_no_tickets(shared, ca):
    """A session is not resumed: no worker could know another's."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ca.context()
        context.maximum_version = version
        with dial(shared, context) as s:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(100).startswith(b"HTTP/1.1 200")
            assert s.session is None or not s.session.has_ticket


@pytest.mark.parametrize("sent", [
    b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16" * 3000,
    b"\x16\x03\x01\xff\xff" + b"x" * 70000, bytes(100)])
def test_what_is_no_tls_ends_without_an_answer(shared, sent):
    with socket.create_connection(("127.0.0.1", shared.tls_port),
                                  DEADLINE) as s:
        try:
            s.sendall(sent)
            got = s.recv(65536)
            while s.recv(65536):
                pass
        except ConnectionError:
            got = b""
    assert b"HTTP" not in got


def test_requests_on_one_connection(shared, ca):
    """Kept alive, pipelined, refused, large in both directions."""
    tenant = Tenant(shared)
    ann = rest(shared, ca, tenant.headers("ann"))
    sock = ann.http.sock
    room = ann.make_room(["bob"], metadata="m" * 15000)["room_id"]
    for i in range(40):
        ann.say(room, f"{i} " + "x" * 12000)
    # Half a MiB: more than a record, and than the socket takes at once.
    page = ann.get(f"/rooms/{room}/messages?limit=40").expect(200)
    assert len(page["messages"]) == 40
    ann.get("/nowhere").error(404)
    assert ann.get("/rooms", headers={"X-API-Key": "x"}).status == 401
    ann.post(f"/rooms/{room}/messages",
             raw=json.dumps({"content": "z" * 256 * 1024}).encode()) \
        .error(413)
    assert ann.http.sock is sock, "the connection was not kept"
    raw = Raw(shared, sock=dial(shared, ca.context()))
    raw.send(b"".join(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: "
                      + b"%d\r\n\r\n" % i for i in range(50)))
    for i in range(50):
        status, headers, _ = raw.reply()
        assert status == 200 and headers["x-request-id"] == str(i)
    # What the guard refuses is answered and then closed, without a reset.
    raw.send(b"POST /rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
             b"Content-Length: 4\r\n\r\n" + b"x" * 100000)
    assert raw.reply()[0] == 400
    raw.wait_eof()
    for bad, status in ((b"NONSENSE\r\n\r\n", 400),
                        (b"POST /rooms HTTP/1.1\r\nHost: x\r\n"
                         b"Content-Length: 99999999\r\n\r\n", 413)):
        raw = Raw(shared, sock=dial(shared, ca.context()))
        raw.send(bad)
        assert raw.reply()[0] == status
        raw.wait_eof()


def test_a_byte_in_each_record(shared, ca):
    raw = Raw(shared, sock=dial(shared, ca.context()))
    for b in b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n":
        raw.send(bytes([b]))
    assert raw.reply()[0] == 200


def test_frames_behind_the_handshake(shared, ca):
    """In the same record as the request, and more than one read's worth;
    then frames cut anywhere."""
    tenant = Tenant(shared)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    many = b"".join(text({"type": "send_message", "room_id": room,
                          "content": "y" * 2000, "request_id": str(i)})
                    for i in range(100))
    raw = Raw(shared, sock=dial(shared, ca.context()))
    assert raw.handshake(tenant.headers("ann"), early=many)[0] == 101
    got = [raw.read_json("message.sent")["request_id"] for _ in range(100)]
    assert got == [str(i) for i in range(100)]
    data = frame(PING, b"p" * 100) + text(
        {"type": "send_message", "room_id": room, "content": "z" * 16000,
         "request_id": "last"})
    for i in range(0, len(data), 777):
        raw.send(data[i:i + 777])
    assert raw.read_json("message.sent")["request_id"] == "last"
    # Larger than the largest allowed.
    raw.send(frame(TEXT, b"x" * 65537))
    raw.expect_close(1009)
    raw.wait_eof()


def test_closing(shared, ca):
    """The close codes of the plain path."""
    tenant = Tenant(shared)
    for sent, code in ((frame(8, b"\x03\xe8bye"), 1000),
                       (frame(TEXT, b"\xff"), 1007),
                       (frame(2, b"x"), 1003),
                       (frame(TEXT, b"x", mask=False), 1002)):
        ws = tls_open(tenant, ca, "ann")
        ws.send(sent)
        ws.expect_close(code)
        ws.close()
    # Gone without a word, with and without TLS's own.
    for _ in range(2):
        ws = tls_open(tenant, ca, "ann")
        ws.sock.close()
    ws = tls_open(tenant, ca, "ann")
    ws.sock.shutdown(socket.SHUT_WR)
    ws.wait_eof()


def test_slow_handshakes_are_ended(shared, ca):
    """Within the time that a request's headers have, whatever was sent."""
    began = time.monotonic()
    hello = client_hello(ca)
    silent = socket.create_connection(("127.0.0.1", shared.tls_port))
    half = socket.create_connection(("127.0.0.1", shared.tls_port))
    half.sendall(hello[:len(hello) // 2])
    flight = socket.create_connection(("127.0.0.1", shared.tls_port))
    flight.sendall(hello)
    headers = dial(shared, ca.context())
    headers.sendall(b"GET /health HTTP/1.1\r\nHost:")
    trickle = socket.create_connection(("127.0.0.1", shared.tls_port))

    def ended(s):
        s.settimeout(DEADLINE + 15)
        try:
            while s.recv(65536):
                pass
        except ConnectionError:
            pass

    for b in hello[:20]:
        trickle.sendall(bytes([b]))
    for s in (silent, half, flight, headers, trickle):
        ended(s)
        s.close()
    assert time.monotonic() - began > 10


def client_hello(ca):
    """What a client sends first."""
    out = ssl.MemoryBIO()
    client = ca.context().wrap_bio(ssl.MemoryBIO(), out,
                                   server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


async def test_reload(start_server, ca, tmp_path):
    """New connections see the new certificate, an old one lives on; a bad
    pair changes nothing; so also after a worker's death."""
    ca = Authority(tmp_path)
    server = tls_server(start_server, ca, workers=2)
    tenant = Tenant(server)
    room = tenant.backend().make_room(["ann", "bob"])["room_id"]
    old = await Chat.connect(tenant, "ann", tls=ca.context())
    first = ca.serial
    assert served_serial(server, ca) == first
    ca.write("server")
    second = ca.serial
    server.process.send_signal(signal.SIGHUP)
    # So many that each worker is among them.
    until(lambda: {served_serial(server, ca) for _ in range(24)} == {second},
          "all workers had the new certificate\n" + server.log_tail())
    bob = await Chat.connect(tenant, "bob", tls=ca.context())
    await bob.say(room, "hello")
    await old.wait_seq(room, 1)

    def refused(words):
        count = server.log().count("the old one stays")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: server.log().count("the old one stays") > count,
              "the log says that the pair was refused\n" + server.log_tail())
        line = [x for x in server.log().splitlines()
                if "the old one stays" in x][-1]
        assert words in line, line
        assert served_serial(server, ca) == second
        assert old.open_now and bob.open_now

    with open(ca.files[1], "wb") as f:
        f.write(ca.make()[1])
    refused("TLS_KEY is not the key of TLS_CERT")
    os.unlink(ca.files[0])
    refused(ca.files[0])
    pid = server.kill("worker", 0)
    until(lambda: server.children().get("worker 0") not in (None, pid),
          "the worker was there again")
    assert {served_serial(server, ca) for _ in range(8)} == {second}
    await bob.close()


def bad_start(tmp_path, env):
    user = ["--user", "root"] if os.geteuid() == 0 else []
    got = run("-w", "1", "-l", f"127.0.0.1:{harness.free_port()}", "-d",
              f"file:{tmp_path}/x.db", *user, env=env)
    check = run("-t", env=env)
    assert check.returncode == 2
    assert got.returncode in (1, 2)
    return got.stderr, check.stderr


def test_bad_pairs_keep_it_from_starting(ca, tmp_path):
    """The message names the file and what is wrong with it."""
    def write(name, data):
        path = f"{tmp_path}/{name}"
        with open(path, "wb") as f:
            f.write(data)
        return path

    good_cert, good_key, _ = ca.make()
    cert = write("good.crt", good_cert)
    key = write("good.key", good_key)
    other = write("other.key", ca.make()[1])
    locked = write("locked.key", key_pem(ca.key, b"secret"))
    text_file = write("text", b"hello\n")
    cut = write("cut", good_cert[:-100])
    weak = ca.weak()
    cases = [
        ((f"{tmp_path}/none", key), ["TLS_CERT", f"{tmp_path}/none",
                                     "No such file"]),
        ((cert, f"{tmp_path}/none"), ["TLS_KEY", f"{tmp_path}/none"]),
        ((cert, other), ["TLS_KEY is not the key of TLS_CERT", other]),
        ((cert, locked), ["passphrase", locked]),
        ((text_file, key), ["TLS_CERT has no certificate", text_file]),
        ((cert, text_file), ["TLS_KEY has no private key", text_file]),
        ((cut, key), ["chain in TLS_CERT", cut]),
        ((str(tmp_path), key), ["TLS_CERT", "not a regular file"]),
        ((write("weak.crt", weak[0]), write("weak.key", weak[1])),
         ["TLS_CERT", "key too small"]),
        ((cert, ""), ["TLS_CERT is set and TLS_KEY is not"]),
        (("", key), ["TLS_KEY is set and TLS_CERT is not"]),
    ]
    for (c, k), words in cases:
        for said in bad_start(tmp_path, {"TLS_CERT": c, "TLS_KEY": k}):
            for word in words:
                assert word in said, (word, said)
    got = run("-t", env={"TLS_LISTEN_ADDR": ":1"})
    assert got.returncode == 2 and "TLS_LISTEN_ADDR" in got.stderr
    assert run("-t", env={"TLS_CERT": cert, "TLS_KEY": key}).returncode == 0


def test_nothing_without_tls(start_server, ca):
    """An empty LISTEN_ADDR: the TLS port alone."""
    server = tls_server(start_server, ca, workers=1, listen=False,
                        launch=False, env={"LISTEN_ADDR": ""})
    server.launch()
    until(lambda: 'msg="ready"' in server.log(), "it was ready",
          deadline=DEADLINE)
    assert f"listen=127.0.0.1:{server.tls_port} " in server.log()
    assert rest(server, ca).get("/health").status == 200


def test_empty_address_without_tls(ca, tmp_path):
    """In file or environment it is as if it were not there."""
    config = f"{tmp_path}/c"
    with open(config, "w", encoding="ascii") as f:
        f.write("listen_addr =\n")
    assert run("-t", "-c", config).returncode == 0
    assert run("-t", env={"LISTEN_ADDR": ""}).returncode == 0
    got = run("-t", "-l", "")
    assert got.returncode == 2 and "LISTEN_ADDR" in got.stderr
    assert run("-t", "-l", "", env={"TLS_CERT": ca.files[0],
                                    "TLS_KEY": ca.files[1]}).returncode == 0


async def test_own_origin_is_https(shared, ca):
    """A page that came without TLS is of another origin."""
    tenant = Tenant(shared)
    host = f"localhost:{shared.tls_port}"
    for origin, status in ((f"https://{host}", 101), (f"http://{host}", 403),
                           ("https://other.example", 403)):
        ws = Raw(shared, sock=dial(shared, ca.context()))
        got = ws.handshake({**tenant.headers("ann"), "Host": host,
                            "Origin": origin})
        assert got[0] == status, (origin, got)
        ws.close()


async def test_stop_and_kill(start_server, ca):
    """Of a worker, then of all: 1012, and a new connection elsewhere."""
    server = tls_server(start_server, ca, workers=2)
    tenant = Tenant(server)
    room = tenant.backend().make_room(["ann", "bob"])["room_id"]
    ann = await Chat.connect(tenant, "ann", tls=ca.context())
    bob = await Chat.connect(tenant, "bob")
    killed = ann.slot
    server.kill("worker", killed)
    assert await ann.wait_closed() in (1006, 1012)
    ann = await Chat.connect(tenant, "ann", tls=ca.context())
    if bob.slot == killed:
        await bob.wait_closed()
        bob = await Chat.connect(tenant, "bob")
    await bob.say(room, "again")
    await ann.wait_seq(room, 1)
    until(server.whole, "the worker was there again")
    server.process.send_signal(signal.SIGTERM)
    assert await ann.wait_closed() == 1012
    assert ann.of("server.shutdown")
    await asyncio.to_thread(server.wait_exit)


async def test_stops_reading_while_thousands_arrive(start_server, ca,
                                                    record_property):
    """A slow reader over TLS costs its cursor and no queue, and gets all of
    it in order."""
    count = scaled(3000, 1500)
    server = tls_server(start_server, ca, workers=1, env=LEAN)
    tenant = Tenant(server)
    room = tenant.backend().make_room(["ann", "slow", "bob"])["room_id"]
    ann = await Chat.connect(tenant, "ann")
    bob = await Chat.connect(tenant, "bob", tls=ca.context())
    slow = tls_open(tenant, ca, "slow", rcvbuf=16384)
    slow.read_json("sync.complete")
    content = "x" * 4096
    for _ in range(50):
        await ann.say(room, content)
    await bob.wait_seq(room, 50)
    pid = server.pid_of("worker", 0)
    before = most = proc_rss(pid)
    flying = 0
    for _ in range(50, count):
        while flying >= 32:
            await ann.wait("message.sent")
            flying -= 1
        flying += 1
        await ann.send("send_message", room_id=room, content=content)
        most = max(most, proc_rss(pid))
    # The other one has all of it, the slow one has not read a byte.
    await bob.wait_seq(room, count)
    assert bob.seqs(room) == list(range(1, count + 1))
    most = max(most, proc_rss(pid))
    record_property("rss growth of the worker, MiB",
                    f"{(most - before) / MIB:.1f}")
    assert most - before <= GROWTH

    def read_all():
        want = 1
        while want <= count:
            _, opcode, payload = slow.read_frame()
            if opcode == TEXT:
                got = json.loads(payload)
                if got["type"] == "message":
                    assert got["seq"] == want and got["content"] == content
                    want += 1

    await asyncio.to_thread(read_all)
    assert proc_rss(pid) - before <= GROWTH
    sent = await ann.say(room, "live")
    got = await asyncio.to_thread(slow.read_json, "message")
    assert got["seq"] == sent["seq"] == count + 1
    slow.close()
    await close_all([ann, bob])


async def test_sends_without_reading_its_answers(start_server, ca):
    """What waits decrypted inside is neither lost nor forgotten when the
    server stops reading such a client and goes on later."""
    count = scaled(2000, 600)
    server = tls_server(start_server, ca, workers=1, env=LEAN)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    raw = tls_open(tenant, ca, "ann", rcvbuf=8192)
    pid = server.pid_of("worker", 0)
    before = proc_rss(pid)

    may_read = threading.Event()

    def push(data):
        """What is left of it."""
        raw.sock.settimeout(0)
        try:
            return data[raw.sock.send(data):]
        except ssl.SSLWantWriteError:
            return data

    def pull():
        """Request ids of what has been answered."""
        out = []
        while not out or raw.buf or raw.sock.pending():
            got = raw.read_json()
            assert got["type"] != "error", got
            out.append(got.get("request_id"))
        return [i for i in out if i is not None]

    def talk():
        """Sends all, and reads nothing until it may.  By one thread: two
        must not use a TLS connection at the same time."""
        left = [b"".join(text({
            "type": "send_message", "room_id": room,
            "content": "z" * 1900, "request_id": str(j)})
            for j in range(i, i + 8)) for i in range(0, count, 8)]
        answers = []
        while len(answers) < count:
            reading = may_read.is_set()
            can_read, can_write, _ = select.select(
                [raw.sock] * reading, [raw.sock] * bool(left), [],
                DEADLINE if reading else 0.05)
            assert can_read or can_write or not reading, "nothing moves"
            if can_write:
                left[0] = push(left[0])
                left = left if left[0] else left[1:]
            if can_read:
                answers += pull()
        return answers

    talking = asyncio.get_running_loop().run_in_executor(None, talk)
    try:
        bob = await Chat.connect(tenant, "bob", tls=ca.context())
        for _ in range(20):
            await bob.barrier()
        assert proc_rss(pid) - before <= GROWTH
    finally:
        may_read.set()
    answers = await talking
    assert answers == [str(i) for i in range(count)]
    await bob.wait_seq(room, count)
    assert bob.seqs(room) == list(range(1, count + 1))
    raw.close()
    await bob.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody")
def test_key_of_root_alone(start_server, tmp_path_factory, monkeypatch):
    """A key that the server's own user may not read: read at the start, and
    by a worker's successor; at a reload it is refused and the old stays."""
    import shutil
    import tempfile
    place = tempfile.mkdtemp(prefix="chatapi-e2e-")
    try:
        os.chmod(place, 0o711)
        program = os.path.join(place, "chatapi")
        for end in ("", "-courier"):
            shutil.copy(harness.BIN + end, program + end)
            os.chmod(program + end, 0o755)
        monkeypatch.setattr(harness, "BIN", program)
        data = os.path.join(place, "data")
        os.mkdir(data, 0o700)
        shutil.chown(data, "nobody")
        ca = Authority(tmp_path_factory.mktemp("keys"))
        os.chmod(ca.files[1], 0o600)
        server = tls_server(start_server, ca, workers=1, directory=data,
                            launch=False)
        server.args[server.args.index("--user") + 1] = "nobody"
        server.start()
        assert served_serial(server, ca) == ca.serial
        pid = server.kill("worker", 0)
        until(lambda: server.children().get("worker 0") not in (None, pid),
              "the worker was there again")
        assert served_serial(server, ca) == ca.serial
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "the old one stays" in server.log(), "it was refused")
        assert "Permission denied" in server.log()
        assert served_serial(server, ca) == ca.serial
        server.stop()
    finally:
        shutil.rmtree(place)


def test_key_is_nowhere_to_be_seen(shared, ca):
    """Neither in an environment nor on a command line."""
    with open(ca.files[1], "rb") as f:
        secret = f.read().split(b"\n")[1]
    for pid in [shared.pid, *shared.children().values()]:
        for name in ("environ", "cmdline"):
            with open(f"/proc/{pid}/{name}", "rb") as f:
                assert secret not in f.read()


def test_gone_in_the_middle(shared, ca):
    """Connections that end at any point leave a server that serves."""
    hello = client_hello(ca)
    for n in range(0, len(hello), 61):
        with socket.create_connection(("127.0.0.1", shared.tls_port)) as s:
            s.sendall(hello[:n])
    for n in range(0, 40, 3):
        s = dial(shared, ca.context())
        s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"[:n] or b"G")
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes(8))
        s.close()
    with pytest.raises(Closed):
        raw = Raw(shared, sock=dial(shared, ca.context()))
        raw.sock.shutdown(socket.SHUT_WR)
        while True:
            raw.fill()
    assert rest(shared, ca).get("/health").status == 200
