# SPDX-License-Identifier: MIT
"""The form of every server frame, as the contract has it.

A frame of an unknown type, one that lacks a field, and one with a field too
many are faults: clients are written against this table.
"""
import re

TIME = re.compile(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")


def _string(v):
    return isinstance(v, str) and v != ""


def _number(v):
    return isinstance(v, int) and not isinstance(v, bool) and v >= 0


def _positive(v):
    return _number(v) and v > 0


def _time(v):
    return isinstance(v, str) and TIME.match(v) is not None


def _bool(v):
    return isinstance(v, bool)


def _heads(v):
    return isinstance(v, dict) and all(
        k.startswith("room_") and set(h) == {"seq", "rev"} and
        _number(h["seq"]) and _number(h["rev"]) for k, h in v.items())


def _room(v):
    want = {"room_id", "type", "name", "metadata", "last_seq", "created_at"}
    return isinstance(v, dict) and set(v) - {"unique_key"} == want and \
        v["type"] in ("dm", "group", "channel") and \
        _number(v["last_seq"]) and _time(v["created_at"]) and \
        (v["type"] == "dm") == ("unique_key" in v)


def _limits(v):
    return isinstance(v, dict) and \
        set(v) == {"frame", "content", "meta", "rate"} and \
        all(_number(n) for n in v.values())


def _room_id(v):
    return _string(v) and v.startswith("room_")


def _note_id(v):
    return _string(v) and v.startswith("ntf_")


def _message_id(v):
    return _string(v) and v.startswith("msg_")


def _any(v):
    return True


def _one_of(*values):
    return lambda v: v in values


MESSAGE = {"room_id": _room_id, "message_id": _message_id, "seq": _positive}
CODES = _one_of("invalid_request", "unauthorized", "forbidden", "not_found",
                "conflict", "payload_too_large", "rate_limit_exceeded",
                "internal_error", "unavailable", "resync_required")

# type: (fields it must have, fields it may have)
FORMS = {
    "welcome": ({"session_id": _string, "user_id": _string,
                 "epoch": _string, "server_time": _time,
                 "heartbeat_ms": _positive, "limits": _limits}, {}),
    "message": ({**MESSAGE, "sender_id": _string, "created_at": _time},
                {"content": _string, "meta": _any, "client_msg_id": _string,
                 "rev": _positive, "edited_at": _time,
                 "deleted_at": _time}),
    "message.sent": ({**MESSAGE, "created_at": _time, "duplicate": _bool},
                     {"client_msg_id": _string, "request_id": _string}),
    "message.edited": ({**MESSAGE, "rev": _positive, "sender_id": _string,
                        "content": _string, "edited_at": _time}, {}),
    "message.deleted": ({**MESSAGE, "rev": _positive}, {}),
    "sync.complete": ({"heads": _heads}, {"request_id": _string}),
    "sync.gap": ({"room_id": _room_id, "from": _positive, "to": _positive,
                  "reason": _string}, {}),
    "ok": ({"request_id": _string}, {}),
    "ack.received": ({"room_id": _room_id, "seq": _number,
                      "user_id": _string}, {"request_id": _string}),
    "typing": ({"room_id": _room_id, "user_id": _string,
                "action": _one_of("start", "stop")}, {}),
    "presence.update": ({"user_id": _string,
                         "status": _one_of("online", "offline")}, {}),
    "room.joined": ({"room_id": _room_id, "room": _room}, {}),
    "room.updated": ({"room_id": _room_id, "room": _room}, {}),
    "room.left": ({"room_id": _room_id}, {}),
    "room.deleted": ({"room_id": _room_id}, {}),
    "notification": ({"notification_id": _note_id, "topic": _string,
                      "payload": _any, "created_at": _time}, {}),
    "pong": ({}, {"heads": _heads, "request_id": _string}),
    "error": ({"code": CODES, "message": _string, "temporary": _bool},
              {"retry_after_ms": _number, "request_id": _string,
               "field": _string}),
    "server.shutdown": ({"reconnect_after_ms": _number}, {})}


def fault_of(frame):
    """What is wrong with a frame's form; None if nothing is."""
    if not isinstance(frame, dict) or frame.get("type") not in FORMS:
        return "no frame of a known type"
    must, may = FORMS[frame["type"]]
    for name, good in must.items():
        if name not in frame:
            return f"no {name}"
        if not good(frame[name]):
            return f"a bad {name}"
    for name, value in frame.items():
        if name == "type" or name in must:
            continue
        if name not in may:
            return f"{name}, which does not belong there"
        if not may[name](value):
            return f"a bad {name}"
    if frame["type"] == "message":
        return _message_fault(frame)
    if frame["type"] in ("room.joined", "room.updated") and \
            frame["room"]["room_id"] != frame["room_id"]:
        return "another room inside"
    return None


def _message_fault(frame):
    if "deleted_at" in frame:
        if "content" in frame or "meta" in frame or "edited_at" in frame:
            return "a tombstone with something left in it"
        return None if "rev" in frame else "deleted, but no rev"
    if "content" not in frame:
        return "no content"
    if ("edited_at" in frame) != ("rev" in frame):
        return "edited_at and rev do not go together"
    return None
