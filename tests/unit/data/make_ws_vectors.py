#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes ws_vectors.txt: what python3-websockets makes of frames.

Run by hand when the vectors should change; test_ws_frame.c reads the file.

  client OPCODE FIN LENGTH MASK SHA256    a masked frame; payload = pattern
  server OPCODE LENGTH SHA256             an unmasked frame
  stream MAX HEX RESULT [FIN:OPCODE:HEX]...  bytes from a client, the frames
        in them and how it ended: more, close, or the code it failed with

Streams hold no binary frames and no padded lengths, where the server is
stricter than the peer asked here, and no close between fragments, where the
peer is stricter than RFC 6455 section 5.4.
"""
import hashlib
import random
import struct
import sys

from websockets import frames, server
from websockets.connection import OPEN

LENGTHS = [0, 1, 2, 7, 8, 9, 124, 125, 126, 127, 128, 65534, 65535, 65536,
           65537, 100000]
MAX = 300


def pattern(length):
    return bytes(ord("a") + i % 26 for i in range(length))


def masked(fin, opcode, payload, mask, rsv=0, unmasked=False, length=None):
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = 0 if unmasked else 0x80
    length = len(payload) if length is None else length
    if length < 126:
        head += bytes([bit | length])
    elif length < 65536:
        head += struct.pack("!BH", bit | 126, length)
    else:
        head += struct.pack("!BQ", bit | 127, length)
    if unmasked:
        return head + payload
    return head + mask + bytes(
        b ^ mask[i % 4] for i, b in enumerate(payload))


def client_and_server():
    rng = random.Random(6455)
    for length in LENGTHS:
        for opcode in (frames.OP_TEXT, frames.OP_PING):
            if opcode == frames.OP_PING and length > 125:
                continue
            for fin in (True, False):
                if opcode == frames.OP_PING and not fin:
                    continue
                frame = frames.Frame(opcode, pattern(length), fin)
                # The mask is random, so the file changes with each run: take it back out of what was made.
                wire = frame.serialize(mask=True)
                mask = wire[len(wire) - length - 4:len(wire) - length]
                yield ("client %d %d %d %s %s" % (
                    opcode, fin, length, mask.hex(),
                    hashlib.sha256(wire).hexdigest()))
            wire = frames.Frame(opcode, pattern(length)).serialize(mask=False)
            yield "server %d %d %s" % (
                opcode, length, hashlib.sha256(wire).hexdigest())
    for _ in range(240):
        yield stream(rng)


def one_frame(rng, in_message):
    mask = rng.randbytes(4)
    payload = pattern(rng.choice([0, 1, 3, 4, 5, 8, 9, 20, 125, 126]))
    kind = rng.randrange(12)
    if kind < 5:
        fin = rng.random() < 0.5
        opcode = 0 if in_message else 1
        return masked(fin, opcode, payload, mask), not fin
    if kind < 8:
        return masked(1, rng.choice([9, 10]), payload[:125], mask), in_message
    faults = [
        lambda: masked(1, 1, payload, mask, rsv=rng.choice([1, 2, 4])),
        lambda: masked(1, rng.choice([3, 7, 11, 15]), payload, mask),
        lambda: masked(1, 1, payload, mask, unmasked=True),
        lambda: masked(0, rng.choice([8, 9, 10]), payload[:125], mask),
        lambda: masked(1, rng.choice([8, 9, 10]), pattern(126), mask),
        lambda: masked(1, 1 if in_message else 0, payload, mask),
        lambda: masked(1, 0 if in_message else 1, pattern(MAX + 1), mask),
    ]
    if not in_message:
        faults.append(lambda: masked(1, 8, struct.pack("!H", 1000), mask))
    if kind < 10:
        return rng.choice(faults)(), in_message
    return masked(1, 0 if in_message else 1, payload, mask), False


def ask(data):
    """What the peer finds in the bytes, and how it ends."""
    peer = server.ServerConnection(state=OPEN, max_size=MAX)
    peer.receive_data(data)
    found = [f for f in peer.events_received() if isinstance(f, frames.Frame)]
    if peer.close_rcvd is not None:
        return found, "close"
    if peer.close_sent is not None:
        return found, str(peer.close_sent.code)
    return found, "more"


def stream(rng):
    data, in_message = b"", False
    for _ in range(rng.randrange(1, 9)):
        frame, in_message = one_frame(rng, in_message)
        data += frame
    found, result = ask(data)
    # The peer looks at a header when it is whole, the server at each byte:
    # only a good stream is cut short.
    if result == "more" and rng.random() < 0.3:
        data = data[:-1 - rng.randrange(4)]
        found, result = ask(data)
    texts = ["%d:%d:%s" % (f.fin, f.opcode, bytes(f.data).hex() or "-")
             for f in found]
    return " ".join(["stream", str(MAX), data.hex() or "-", result] + texts)


if __name__ == "__main__":
    sys.stdout.write("# Made by make_ws_vectors.py; not to be edited.\n")
    for text in client_and_server():
        sys.stdout.write(text + "\n")
