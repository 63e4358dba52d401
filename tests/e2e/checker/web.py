# SPDX-License-Identifier: MIT
"""REST requests of which any may lose its answer.

Nothing is sent twice here: who gets Lost decides.  Each request has a
connection of its own, so that it comes to any of the workers.
"""
import asyncio
import json

from harness import DEADLINE


class Lost(Exception):
    """No whole answer came.  sent: the request may have arrived."""

    def __init__(self, sent, why):
        super().__init__(why)
        self.sent = sent


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body) if self.body else None

    @property
    def code(self):
        """The error code; None for a success."""
        return self.json["error"] if self.status >= 400 else None

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def _request(method, path, headers, body):
    head = [f"{method} {path} HTTP/1.1", "Host: localhost",
            "Connection: close"]
    head += [f"{k}: {v}" for k, v in headers.items()]
    data = b""
    if body is not None:
        data = json.dumps(body).encode()
        head += ["Content-Type: application/json",
                 f"Content-Length: {len(data)}"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + data


async def _read(reader):
    line = await reader.readuntil(b"\r\n")
    status = int(line.split()[1])
    headers = {}
    while True:
        line = await reader.readuntil(b"\r\n")
        if line == b"\r\n":
            break
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    body = b""
    if status != 204:
        body = await reader.readexactly(int(headers["content-length"]))
    return Answer(status, headers, body)


async def call(port, method, path, headers, body=None, abandon=False):
    """One request, one Answer.  abandon: leaves without waiting for it."""
    sent = False
    writer = None
    try:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection("127.0.0.1", port, limit=1 << 20),
            DEADLINE)
        writer.write(_request(method, path, headers, body))
        sent = True
        if abandon:
            await writer.drain()
            raise Lost(True, "abandoned")
        return await asyncio.wait_for(_read(reader), DEADLINE)
    except (OSError, asyncio.IncompleteReadError,
            asyncio.TimeoutError) as e:
        raise Lost(sent, repr(e)) from None
    finally:
        if writer is not None:
            writer.close()
