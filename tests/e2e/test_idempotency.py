# SPDX-License-Identifier: MIT
"""A repeated client_msg_id stores nothing and says what was stored."""
import asyncio
import contextlib
import http.client
import json
import os
import signal

import pytest

from chat import Chat, close_all
from client import Tenant
from harness import scaled, until
from strace import strace       # noqa: F401 (a fixture)


@pytest.fixture
def room(tenant):
    return tenant.user("ann").make_room(["bob"])["room_id"]


def send(caller, room, content="x", key=None, **more):
    headers = {"Idempotency-Key": key} if key is not None else {}
    return caller.post(f"/rooms/{room}/messages",
                       {"content": content, **more}, headers=headers)


def test_repeat_is_the_first_result(tenant, room):
    ann = tenant.user("ann")
    first = send(ann, room, "x", client_msg_id="1", meta={"a": 1}).expect(201)
    ann.say(room, "between")
    again = send(ann, room, "x", client_msg_id="1", meta={"a": 1}).expect(200)
    assert again == first
    assert len(ann.history(room)) == 2


def test_header_is_the_same_thing(tenant, room):
    ann = tenant.user("ann")
    first = send(ann, room, key="1").expect(201)
    assert send(ann, room, key="1").expect(200) == first
    assert send(ann, room, client_msg_id="1").expect(200) == first
    assert send(ann, room, key="1", client_msg_id="1").expect(200) == first
    assert len(ann.history(room)) == 1


def test_header_and_member_differ(tenant, room):
    ann = tenant.user("ann")
    send(ann, room, key="1", client_msg_id="2").error(400)
    assert ann.history(room) == []


@pytest.mark.parametrize("first, second", [
    ({"content": "x"}, {"content": "y"}),
    ({"content": "x"}, {"content": "x", "meta": 1}),
    ({"content": "x", "meta": 1}, {"content": "x"}),
    ({"content": "x", "meta": 1}, {"content": "x", "meta": 2}),
    ({"content": "x", "meta": [1, 2]}, {"content": "x", "meta": [2, 1]}),
    ({"content": "a", "meta": "b"}, {"content": "ab"}),
], ids=str)
def test_conflict(tenant, room, first, second):
    ann = tenant.user("ann")
    send(ann, room, client_msg_id="1", **first).expect(201)
    send(ann, room, client_msg_id="1", **second).error(409, "conflict")
    message, = ann.history(room)
    assert message["content"] == first["content"]


def test_absent_meta_is_null(tenant, room):
    ann = tenant.user("ann")
    send(ann, room, client_msg_id="1").expect(201)
    send(ann, room, client_msg_id="1", meta=None).expect(200)


def test_spelling_does_not_matter(tenant, room):
    ann = tenant.user("ann")
    path = f"/rooms/{room}/messages"
    ann.post(path, raw=b'{"content":"A\\u00e9","client_msg_id":"1",'
             b'"meta":{"a":[1]}}').expect(201)
    ann.post(path, raw='{ "client_msg_id" : "1", "meta": { "a" : [ 1 ] }, '
             '"content" : "Aé" }'.encode()).expect(200)


def test_scope_is_sender_and_room(tenant, room):
    ann, bob = tenant.user("ann"), tenant.user("bob")
    other = ann.make_room()["room_id"]
    send(ann, room, "a", client_msg_id="1").expect(201)
    send(bob, room, "b", client_msg_id="1").expect(201)
    send(ann, other, "c", client_msg_id="1").expect(201)


def test_ids_are_compared_exactly(tenant, room):
    ann = tenant.user("ann")
    for value in ("a", "A", "a ", " a", "á", "a\u0301", "\u0000", "a\u0000"):
        send(ann, room, client_msg_id=value).expect(201)


def test_racing_repeats_are_one_message(tenant, room):
    """The same request many times at once on all workers."""
    count = scaled(51, 21)
    clients = [tenant.user("ann", i % 3) for i in range(count)]
    for turn in range(scaled(5, 2)):
        for c in clients:
            c.send("POST", f"/rooms/{room}/messages",
                   {"content": f"turn {turn}", "client_msg_id": f"{turn}"})
        replies = [c.read() for c in clients]
        assert sorted(r.status for r in replies) == \
            [200] * (count - 1) + [201]
        assert all(r.json == replies[0].json for r in replies)
    got = tenant.user("bob").history(room)
    assert [m["content"] for m in got] == \
        [f"turn {i}" for i in range(scaled(5, 2))]


def test_racing_conflicts_have_one_winner(tenant, room):
    clients = [tenant.user("ann", i % 3) for i in range(12)]
    for i, c in enumerate(clients):
        c.send("POST", f"/rooms/{room}/messages",
               {"content": f"text {i}", "client_msg_id": "1"})
    replies = [c.read() for c in clients]
    assert sorted(r.status for r in replies) == [201] + [409] * 11
    message, = tenant.user("bob").history(room)
    winner, = [r.json for r in replies if r.status == 201]
    assert message == winner


async def test_by_websocket(tenant, room):
    chats = [await Chat.connect(tenant, "ann", slot=i) for i in range(3)]
    first = await chats[0].say(room, "x", client_msg_id="1", meta=[1])
    assert first["duplicate"] is False and first["client_msg_id"] == "1"
    for c in chats:
        again = await c.say(room, "x", client_msg_id="1", meta=[1])
        assert again["duplicate"] is True
        for name in ("message_id", "seq", "created_at", "room_id"):
            assert again[name] == first[name]
    error = await chats[1].ask("error", "send_message", room_id=room,
                               content="y", client_msg_id="1")
    assert error["code"] == "conflict" and error["temporary"] is False
    # Nobody hears of a repeat.
    await chats[2].say(room, "last")
    await chats[2].wait_seq(room, 2)
    await chats[2].barrier()
    assert chats[2].seqs(room) == [1, 2]
    await close_all(chats)


async def test_rest_and_websocket_are_one(tenant, room):
    c = await Chat.connect(tenant, "ann")
    sent = await c.say(room, "x", client_msg_id="1")
    got = send(tenant.user("ann"), room, client_msg_id="1").expect(200)
    assert got["message_id"] == sent["message_id"]
    await c.close()


# ---- fifty at once ----

def same(answer, message):
    """A message.sent and a message by REST say the same."""
    return all(answer[n] == message[n]
               for n in ("message_id", "room_id", "seq", "created_at"))


async def nothing(rests, chats):
    pass


async def race(tenant, room, count, name, content, meta=None,
               before=nothing, after=nothing):
    """The same message count times at once, half by REST and half by
    WebSocket, over three workers.  Returns the replies by REST and the
    answers by WebSocket.  before and after stand around the sending."""
    rests = [tenant.user("ann", i % 3) for i in range(count // 2)]
    chats = [await Chat.connect(tenant, "ann", slot=i % 3)
             for i in range(6)]
    fields = {"content": content, "client_msg_id": name, "meta": meta}
    await before(rests, chats)
    for i, r in enumerate(rests):
        r.send("POST", f"/rooms/{room}/messages", fields)
        await chats[i % 6].send("send_message", room_id=room,
                                request_id=f"race {i}", **fields)
    await after(rests, chats)
    replies = await asyncio.gather(*(asyncio.to_thread(r.read)
                                     for r in rests))
    answers = [await chats[i % 6].wait(
        "message.sent", request_id=f"race {i}") for i in range(len(rests))]
    for r in rests:
        r.close()
    await close_all(chats)
    return replies, answers


def assert_one(replies, answers, seq):
    """All agree on one message, which one of them has made."""
    first = replies[0].json
    assert all(r.json == first for r in replies)
    assert all(same(a, first) for a in answers)
    assert first["seq"] == seq
    assert {r.status for r in replies} <= {200, 201}
    assert [r.status for r in replies].count(201) + \
        [a["duplicate"] for a in answers].count(False) == 1


async def test_fifty_over_all_workers(tenant, room):
    """REST and WebSocket, every worker: stored once, all answers agree,
    everybody gets one frame."""
    bob = await Chat.connect(tenant, "bob")
    turns = scaled(4, 2)
    for turn in range(turns):
        replies, answers = await race(tenant, room, scaled(50, 20),
                                      f"{turn}", f"text {turn}", [turn])
        assert_one(replies, answers, turn + 1)
    await bob.wait_seq(room, turns)
    await bob.barrier()
    assert bob.seqs(room) == list(range(1, turns + 1))
    assert [m["content"] for m in tenant.backend().history(room)] == \
        [f"text {i}" for i in range(turns)]
    await bob.close()


async def test_fifty_while_the_writer_dies(start_server):
    """It dies with all of them before it: the next one stores one."""
    server = start_server(workers=3)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    old = []

    async def stop(rests, chats):
        old.append(server.kill("writer", sig=signal.SIGSTOP))

    async def kill(rests, chats):
        for r in rests:
            await asyncio.to_thread(server.wait_taken, r.http.sock)
        for c in chats:
            await c.barrier()
        os.kill(old[-1], signal.SIGKILL)

    for turn in range(scaled(3, 2)):
        replies, answers = await race(
            tenant, room, scaled(50, 20), f"{turn}", "x",
            before=stop, after=kill)
        assert_one(replies, answers, turn + 1)
        await asyncio.to_thread(server.wait_respawn, "writer", None, old[-1])
    assert len(tenant.backend().history(room)) == scaled(3, 2)


# ---- answers that were lost ----

@pytest.mark.parametrize("call", [
    "fdatasync,fsync:when=1", "sendto,sendmsg,sendmmsg,write,writev:when=1",
    "sendto,sendmsg,sendmmsg,write,writev:when=2"])
async def test_writer_dies_before_the_answer(start_server, strace,
                                             call):     # noqa: F811
    """Before the sync, before the announcement, before the reply: the
    answer comes from the next writer, and a repeat finds the message."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    pid = server.pid_of("writer")
    await asyncio.to_thread(strace, pid, call.partition(":")[0],
                            inject=call + ":signal=SIGKILL")
    ann = tenant.user("ann", 0)
    first = (await asyncio.to_thread(
        send, ann, room, "x", client_msg_id="1")).expect(201)
    # It may be dying of it only now.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(server.wait_respawn, "writer", None, pid)
    for slot in range(2):
        again = send(tenant.user("ann", slot), room, "x", client_msg_id="1")
        assert again.expect(200) == first
    assert ann.history(room) == [first]


def test_worker_dies_before_the_answer(start_server):
    """The writer has the message, the client no answer: its repeat on
    another worker is the same message."""
    server = start_server(workers=2)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    for turn in range(3):
        lost, ann = tenant.user("ann", 0), tenant.user("ann", 1)
        beside = tenant.user("ann", 0)
        writer = server.kill("writer", sig=signal.SIGSTOP)
        lost.send("POST", f"/rooms/{room}/messages",
                  {"content": "x", "client_msg_id": f"{turn}"})
        server.wait_taken(lost.http.sock)
        # Two turns of its loop later it has handed the message over.
        beside.get("/rooms").expect(200)
        beside.get("/rooms").expect(200)
        old = server.kill("worker", 0)
        os.kill(writer, signal.SIGCONT)
        with pytest.raises((OSError, http.client.HTTPException)):
            lost.read()
        stored = until(lambda: ann.history(room)[turn:],
                       "the message was stored")
        again = send(ann, room, "x", client_msg_id=f"{turn}").expect(200)
        assert stored == [again] and again["seq"] == turn + 1
        send(ann, room, "y", client_msg_id=f"{turn}").error(409, "conflict")
        server.wait_respawn("worker", 0, old)


def test_everything_dies_before_the_answers(start_server):
    """kill -9 of all processes with sends in flight, a start, and all of
    them once more: each is stored once, whether it was or was not."""
    server = start_server(workers=3)
    tenant = Tenant(server)
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    count = scaled(60, 24)
    answered = {}
    for turn in range(scaled(3, 2)):
        names = [f"{turn}-{i}" for i in range(count)]
        clients = [tenant.user("ann", i % 3) for i in range(count)]
        for c, name in zip(clients, names):
            c.send("POST", f"/rooms/{room}/messages",
                   {"content": name, "client_msg_id": name})
        # Some of them have their answers.
        for c, name in list(zip(clients, names))[:10 * turn]:
            answered[name] = c.read().expect(201)
        children = server.children()
        server.process.kill()
        for pid in children.values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        server.process.wait()
        until(lambda: not server.left_over(), "all were gone")
        server.start()
        ann = tenant.user("ann")
        for c in clients:
            c.close()
        for name in names:
            got = send(ann, room, name, client_msg_id=name)
            if name in answered:
                assert got.expect(200) == answered[name]
            assert got.status in (200, 201)
            answered[name] = got.json
            send(ann, room, "other", client_msg_id=name).error(
                409, "conflict")
    stored = ann.history(room)
    assert [m["seq"] for m in stored] == list(range(1, len(answered) + 1))
    assert {m["content"]: m for m in stored} == answered


# ---- after a change ----

async def test_after_an_edit(tenant, room):
    """The repeat of the original is the message as it now stands; what it
    became is another content."""
    ann = tenant.user("ann")
    first = send(ann, room, "x", client_msg_id="1", meta={"a": 1}).expect(201)
    path = f"/rooms/{room}/messages/{first['message_id']}"
    now = ann.call("PUT", path, {"content": "y"}).expect(200)
    again = send(ann, room, "x", client_msg_id="1", meta={"a": 1})
    assert again.expect(200) == now
    assert now["content"] == "y" and now["edited_at"]
    for other in ({"content": "y", "meta": {"a": 1}}, {"content": "x"},
                  {"content": "x", "meta": {"a": 2}}):
        send(ann, room, client_msg_id="1", **other).error(409, "conflict")
    c = await Chat.connect(tenant, "ann")
    sent = await c.say(room, "x", client_msg_id="1", meta={"a": 1})
    assert sent["duplicate"] is True and same(sent, first)
    error = await c.ask("error", "send_message", room_id=room, content="y",
                        client_msg_id="1", meta={"a": 1})
    assert error["code"] == "conflict"
    assert ann.history(room) == [now]
    await c.close()


async def test_after_a_delete(tenant, room):
    """A tombstone still answers its client_msg_id."""
    ann = tenant.user("ann")
    first = send(ann, room, "x", client_msg_id="1", meta=5).expect(201)
    path = f"/rooms/{room}/messages/{first['message_id']}"
    ann.call("PUT", path, {"content": "y"}).expect(200)
    ann.delete(path).expect(204)
    now = ann.get(path).expect(200)
    again = send(ann, room, "x", client_msg_id="1", meta=5).expect(200)
    assert again == now
    assert "content" not in again and again["deleted_at"]
    for other in ({"content": "y", "meta": 5}, {"content": "x"}):
        send(ann, room, client_msg_id="1", **other).error(409, "conflict")
    c = await Chat.connect(tenant, "ann")
    sent = await c.say(room, "x", client_msg_id="1", meta=5)
    assert sent["duplicate"] is True and same(sent, first)
    error = await c.ask("error", "send_message", room_id=room, content="z",
                        client_msg_id="1")
    assert error["code"] == "conflict"
    await c.close()
    assert ann.history(room) == [now]
    assert ann.say(room, "next")["seq"] == 2


def test_after_leaving(tenant, room):
    """Who is no member hears that, not what he once sent."""
    bob = tenant.user("bob")
    first = send(bob, room, "x", client_msg_id="1").expect(201)
    bob.delete(f"/rooms/{room}/members/bob").expect(204)
    send(bob, room, "x", client_msg_id="1").error(403, "forbidden")
    tenant.user("ann").post(f"/rooms/{room}/members",
                            {"user_id": "bob"}).expect(200)
    assert send(bob, room, "x", client_msg_id="1").expect(200) == first


def test_after_a_restart(start_server):
    server = start_server(workers=2)
    tenant = Tenant(server)
    ann = tenant.user("ann")
    room = ann.make_room()["room_id"]
    first = send(ann, room, client_msg_id="1").expect(201)
    server.stop()
    server.start()
    ann = tenant.user("ann")
    assert send(ann, room, client_msg_id="1").expect(200) == first
    send(ann, room, "y", client_msg_id="1").error(409)
    assert send(ann, room, "z").expect(201)["seq"] == 2
    assert json.dumps(ann.history(room)[0]) == json.dumps(first)
