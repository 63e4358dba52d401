# SPDX-License-Identifier: MIT
"""A tenant's endpoint for webhooks, and how its owner checks them.

verify() is written from the specification of Standard Webhooks and knows
nothing of how the server signs.
"""
import base64
import hashlib
import hmac
import http.server
import json
import socketserver
import threading
import time

import contract
from client import operator

# What a server of these tests needs, quick retries included.
ENV = {"WEBHOOK_ALLOW_PRIVATE": "1", "RETRY_INTERVAL": "50ms",
       "PRESENCE_GRACE": "300ms"}


def described():
    """Of each event, what raises when a body is not as described."""
    hooks = contract.REST.strict["webhooks"]
    return {name: contract.compile_schema(
        contract.REST.strict, hooks[name]["post"]["requestBody"]["content"][
            "application/json"]["schema"]) for name in hooks}


DESCRIBED = described()


def verify(secret, headers, body, now=None):
    """Raises AssertionError unless both signatures are good."""
    now = time.time() if now is None else now
    stamp, name = headers["webhook-timestamp"], headers["webhook-id"]
    assert abs(now - int(stamp)) < 300, (now, stamp)
    if secret.startswith("whsec_"):
        key = base64.b64decode(secret[len("whsec_"):], validate=True)
    else:
        key = secret.encode()
    signed = name.encode() + b"." + stamp.encode() + b"." + body
    want = base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    versions = [s.split(",", 1) for s in
                headers["webhook-signature"].split(" ")]
    assert any(v == "v1" and hmac.compare_digest(s.encode(), want)
               for v, s in versions), headers
    whole = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-chatapi-signature"] == "sha256=" + whole, headers


class Call:
    """One request as it came."""

    def __init__(self, path, headers, body):
        self.at = time.time()
        self.mono = time.monotonic()
        self.path = path
        self.headers = {k.lower(): v for k, v in headers.items()}
        self.raw = body
        self.json = json.loads(body.decode("utf-8"))
        DESCRIBED[self.json["event"]](self.json)
        self.id = self.headers["webhook-id"]
        self.recipient = self.json["recipient_id"]

    @property
    def key(self):
        what = self.json.get("message") or self.json["notification"]
        return what.get("message_id") or what["notification_id"], \
            self.recipient


class Hook:
    """Answers with what answer(call) returns: a status, or (status,
    headers, body), or None to hang until the end."""

    def __init__(self, answer=lambda call: 200):
        self.answer = answer
        self.calls = []
        self.secret = None
        self.ended = threading.Event()
        self.links = 0          # connections that are open
        self.lock = threading.Lock()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):                      # noqa: N802
                length = int(self.headers["Content-Length"])
                call = Call(self.path, self.headers, self.rfile.read(length))
                hook.calls.append(call)
                out = hook.answer(call)
                if out is None:
                    hook.ended.wait()
                    self.close_connection = True
                    return
                if callable(out):
                    out(self)
                    self.close_connection = True
                    return
                # What follows a 204 is read as the next answer (RFC 9112).
                status, headers, body = out if not isinstance(out, int) \
                    else (out, {}, b"" if out == 204 else b"ok")
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k, v)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        class Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def process_request(self, request, client_address):
                with hook.lock:
                    hook.links += 1
                super().process_request(request, client_address)

            def shutdown_request(self, request):
                super().shutdown_request(request)
                with hook.lock:
                    hook.links -= 1

            def handle_error(self, request, client_address):
                pass            # a client that has gone

        self.server = Listener(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook?x=1"
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self):
        self.ended.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def serve(self, tenant, secret=None, url=None):
        """Becomes the tenant's endpoint."""
        body = {"webhook_url": url or self.url}
        if secret is not None:
            body["webhook_secret"] = secret
        shown = operator(tenant.server).call(
            "PATCH", f"/admin/tenants/{tenant.id}", body).expect(200)
        self.secret = secret or shown["webhook_secret"]
        return self

    def of(self, recipient):
        return [c for c in list(self.calls) if c.recipient == recipient]
