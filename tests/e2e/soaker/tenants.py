# SPDX-License-Identifier: MIT
"""Tenants: those that stay for the whole run, and those that come and go
with their keys, tokens and connections."""
import collections
import threading

import raw
from client import Rest, Tenant, operator
from tokens import Issuer, bearer

from .tide import Actor

USERS, ROOMS, SIZE, GUESTS = 60, 10, 12, 8


class Home(Tenant):
    """One that stays.  Its rooms' members stay, too, but for guests."""

    def __init__(self, server, name):
        super().__init__(server, name)
        self.users = [f"u{i}" for i in range(USERS)]
        self.guests = [f"g{i}" for i in range(GUESTS)]
        self.issuer = Issuer(self).install()
        self.lock = threading.Lock()
        backend = self.backend()
        self.members = {}
        for i in range(ROOMS):
            users = [self.users[(i * 6 + k) % USERS] for k in range(SIZE)]
            room = backend.make_room(users, name=f"room {i}")
            self.members[room["room_id"]] = users
        backend.close()
        self.users += self.guests
        self.passing = collections.deque()      # (room, members)
        self.tokens = collections.deque(maxlen=50)

    def rooms_of(self, user):
        return [r for r, users in self.members.items() if user in users]

    def take_ws_token(self, user):
        with self.lock:
            for i, (who, token) in enumerate(self.tokens):
                if who == user:
                    del self.tokens[i]
                    return token
        return None


class Founder(Actor):
    """Makes a tenant, uses it, takes its keys away and deletes it."""
    pause = 0.8

    def turn(self):
        try:
            tenant = Tenant(self.world.server, f"passing {self.rng.random()}")
            self.world.left_tenants.append(tenant.id)
            self.use(tenant)
        except self.world.LOST as e:
            self.world.lost(f"founder: {e!r}")
        self.clear()

    def use(self, tenant):
        rng = self.rng
        op = operator(tenant.server)
        path = f"/admin/tenants/{tenant.id}"
        issuer = Issuer(tenant, rng.choice(("HS256", "EdDSA"))).install()
        added = op.post(path + "/keys").expect(201)
        room = tenant.user("ann").make_room(["bob", "cy"])["room_id"]
        ann = tenant.user("ann")
        for i in range(rng.randrange(1, 12)):
            ann.say(room, f"{i} " + "x" * rng.randrange(300))
        other = Rest(tenant.server, {"X-API-Key": added["api_key"]})
        other.get("/rooms").expect(200)
        issuer.user("bob").get("/rooms").expect(200)
        sockets = [raw.open_raw(tenant, "bob"), self.by_token(issuer)]
        try:
            op.delete(f"{path}/keys/{added['key_id']}").expect(204)
            self.refuse(other)
            if rng.random() < 0.5:
                issuer.install()        # the same key again changes nothing
                op.call("PATCH", path, {"jwt_secret": "y" * 40}).expect(200)
                sockets[1].expect_close(4500)
            if rng.random() < 0.5:
                op.call("PATCH", path, {"disabled": True}).expect(200)
                sockets[0].expect_close(4505)
            self.world.count("tenants that came and went")
        finally:
            for ws in sockets:
                ws.close()
            for rest in (op, ann, other):
                rest.close()

    @staticmethod
    def by_token(issuer):
        ws = raw.Raw(issuer.server)
        status, _, body = ws.handshake(bearer(issuer.token("cy")))
        if status != 101:
            ws.close()
            raise raw.Closed(f"{status} {body}")
        return ws

    def refuse(self, rest):
        """Within a second on every worker."""
        for _ in range(100):
            if rest.get("/rooms").status == 401:
                return
            self.world.stop.wait(0.05)
        self.world.fault("a revoked key still works after 5 s")

    def clear(self):
        """Deletes what is left, also of earlier turns."""
        for id_ in list(self.world.left_tenants):
            try:
                op = operator(self.world.server)
                got = op.delete(f"/admin/tenants/{id_}")
                op.close()
                if got.status in (204, 404):
                    self.world.left_tenants.remove(id_)
            except self.world.LOST as e:
                self.world.lost(f"founder: {e!r}")
                return

    def leave(self):
        self.clear()
