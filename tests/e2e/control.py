# SPDX-License-Identifier: MIT
"""What an operator's command says on the control socket, for operations
that have no command yet.  The layout is that of src/common/wire.h and
records.h."""
import os
import socket
import struct

from harness import DEADLINE

WIRE_VERSION = 2
REC_OP_ROOM_TRIM = 144
REC_REPLY = 192
OK, REPEATED, ROOM_NOT_FOUND = 0, 1, 2
NEVER = (1 << 63) - 1


def string(s):
    data = s.encode()
    return struct.pack("<I", len(data)) + data


def record(type_, fields):
    body = struct.pack("<BB", type_, WIRE_VERSION) + fields
    return struct.pack("<I", len(body)) + body


def read_record(s):
    def exactly(n):
        out = b""
        while len(out) < n:
            more = s.recv(n - len(out))
            assert more, "the master closed the control socket"
            out += more
        return out

    length, = struct.unpack("<I", exactly(4))
    body = exactly(length)
    assert body[1] == WIRE_VERSION
    return body[0], body[2:]


def operate(server, type_, fields, tenant=0):
    """Sends one operation; returns (outcome, seq) of its reply."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(DEADLINE)
        here = os.open(server.dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # A path of a socket is short; a directory's may be long.
            s.connect(f"/proc/self/fd/{here}/chatapi.db-ctl")
        finally:
            os.close(here)
        head = struct.pack("<QQQQ", 1, 1, NEVER, tenant)
        s.sendall(record(type_, head + fields))
        type_, answer = read_record(s)
    assert type_ == REC_REPLY
    op, outcome, _, seq, _ = struct.unpack_from("<QBQQQ", answer)
    assert op == 1
    return outcome, seq


def trim(server, room_id, first_seq):
    """Retention: messages of the room below first_seq are gone."""
    assert room_id.startswith("room_")
    return operate(server, REC_OP_ROOM_TRIM,
                   struct.pack("<Q", first_seq) + string(room_id[5:]))
