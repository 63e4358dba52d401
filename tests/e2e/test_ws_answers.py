# SPDX-License-Identifier: MIT
"""Each frame gets the answer its sender waits for, and typing is one state
of a user, whichever of his connections says it."""
import json
import time

from chat import Chat, close_all


async def on_slots(tenant, *places):
    chats = [await Chat.connect(tenant, user, slot=slot)
             for user, slot in places]
    for c in chats:
        await c.wait("sync.complete")
    return chats


async def test_typing_of_one_user_on_two_workers(tenant):
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    ann0, ann1, bob = await on_slots(
        tenant, ("ann", 0), ("ann", 1), ("bob", 2))

    async def told(chat, action, count):
        await chat.ask("ok", "typing." + action, room_id=room)
        await bob.until(lambda: len(bob.of("typing")) >= count)

    for _ in range(5):
        at = len(bob.of("typing"))
        began = time.monotonic()
        await told(ann0, "start", at + 1)
        # A repeat, though on another worker; swallowed for 3 s.
        await told(ann1, "start", at + 1)
        # Stops what the other one started.
        await ann1.ask("ok", "typing.stop", room_id=room)
        await bob.until(lambda: bob.of("typing")[-1]["action"] == "stop")
        took = time.monotonic() - began
        if took < 3:
            break
    assert took < 3, "no round was quick enough"
    assert [f["action"] for f in bob.of("typing")[at:]] == ["start", "stop"]
    await told(ann0, "stop", at + 2)
    await told(ann0, "start", at + 3)   # a start after a stop is told
    await told(ann1, "stop", at + 4)
    assert [f["action"] for f in bob.of("typing")[at:]] == [
        "start", "stop", "start", "stop"]
    await close_all([ann0, ann1, bob])


async def test_more_typing_than_a_person_makes_is_not_told(tenant):
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    ann, bob = await on_slots(tenant, ("ann", 0), ("bob", 1))
    for i in range(400):
        await ann.send("typing." + ("start", "stop")[i % 2], room_id=room)
    await ann.ask("ok", "typing.stop", room_id=room)
    await ann.say(room, "x")
    await bob.wait_seq(room, 1)
    # Hints come by another way than messages.
    await bob.until(lambda: len(bob.of("typing")) >= 2)
    assert 2 <= len(bob.of("typing")) < 300
    await close_all([ann, bob])


async def test_a_refused_value_is_answered_under_its_request_id(tenant):
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    [ann] = await on_slots(tenant, ("ann", 0))
    values = ['"content":"\\ud83d"', '"content":"x","meta":1e400',
              '"content":"x","meta":{"\\u0000":1}',
              '"content":"x","meta":18446744073709551616']
    for i, value in enumerate(values):
        for shape in ('{"type":"send_message","request_id":"%s",'
                      '"room_id":"%s",%s}',
                      '{"type":"send_message","data":{"request_id":"%s",'
                      '"room_id":"%s",%s}}'):
            await ann.ws.send(shape % (f"r{i}", room, value))
            got = await ann.wait("error")
            assert got["code"] == "invalid_request"
            assert got["request_id"] == f"r{i}", value
    await ann.barrier()
    assert ann.of("message") == []
    await close_all([ann])


async def test_a_subscribe_of_who_is_removed_is_answered(tenant):
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    for i in range(200):
        tenant.user("ann").say(room, "x" * 8000)
    tenant.user("bob").post("/acks", {"room_id": room,
                                      "seq": 200}).expect(200)
    [bob] = await on_slots(tenant, ("bob", 0))
    await bob.ws.send(json.dumps({"type": "subscribe", "room_id": room,
                                  "after_seq": 0, "request_id": "s"}))
    tenant.user("ann").delete(f"/rooms/{room}/members/bob").expect(204)
    await bob.wait("room.left", room_id=room)

    def answers():
        return [f for f in bob.log if f.get("request_id") == "s"]

    await bob.until(answers)
    [answer] = answers()
    assert (answer["type"] == "sync.complete" or
            answer["code"] == "forbidden"), answer
    await close_all([bob])


async def test_a_seq_past_the_head_counts_as_the_head(tenant):
    room = tenant.user("ann").make_room(["bob"])["room_id"]
    tenant.user("ann").say(room, "x")
    [bob] = await on_slots(tenant, ("bob", 0))
    for seq in (2**53 + 1, 2**63 - 1, 2**64 - 1):
        got = await bob.ask("ack.received", "ack", room_id=room, seq=seq)
        assert got["seq"] == 1
        got = await bob.ask("sync.complete", "subscribe", room_id=room,
                            after_seq=seq)
        assert got["heads"][room]["seq"] == 1
    await close_all([bob])


async def test_fields_are_checked_before_the_room(tenant):
    [ann] = await on_slots(tenant, ("ann", 0))
    got = await ann.ask("error", "send_message", room_id="nope", content="")
    assert (got["code"], got["field"]) == ("invalid_request", "content")
    got = await ann.ask("error", "ack", room_id="nope", seq=-1)
    assert (got["code"], got["field"]) == ("invalid_request", "seq")
    got = await ann.ask("error", "send_message", room_id="nope", content="x")
    assert got["code"] == "not_found"
    await close_all([ann])


async def test_the_handshake_answer_has_a_request_id(tenant):
    own = await Chat.connect(tenant, "ann")
    assert own.ws.response_headers["X-Request-Id"]
    await close_all([own])
