# SPDX-License-Identifier: MIT
"""Backends and users by REST: what there is most of."""
import itertools

from client import Rest

from .tide import Actor

PASSING_MOST = 24       # rooms of a tenant that come and go


class Caller:
    """A kept connection of no one in particular, made anew when it ends."""

    def __init__(self, world, name):
        self.world = world
        self.name = name
        self.rest = None

    def call(self, headers, method, path, body=None, ok=(200,), **kw):
        """The reply; None when the connection was lost or the server said
        that it cannot, while something had been done to it."""
        if self.rest is None:
            self.rest = Rest(self.world.server)
        try:
            got = self.rest.call(method, path, body,
                                 headers={**headers, **kw.pop("more", {})},
                                 **kw)
        except self.world.LOST as e:
            self.leave()
            self.world.lost(f"{self.name}: {method} {path}: {e!r}")
            return None
        self.world.count(f"{method} {got.status}")
        if got.headers.get("connection", "").lower() == "close":
            self.leave()
        if got.status == 503 and self.world.excused():
            return None
        if got.status not in ok:
            self.world.fault(f"{self.name}: {method} {path} {body!r:.200}: "
                             f"{got!r}")
            return None
        return got

    def leave(self):
        if self.rest is not None:
            self.rest.close()
            self.rest = None


class Acts(Actor):
    """One thread with one connection; each turn one action."""
    pause = 0.06
    number = itertools.count()

    def __init__(self, world, name):
        super().__init__(world, name)
        self.caller = Caller(world, name)
        self.own = []           # (tenant, room, message_id, seq, sender)

    TABLE = {
        "send": 30, "edit": 6, "erase": 3, "history": 10, "rooms": 4,
        "members": 3, "ack": 8, "make_room": 4, "delete_room": 4,
        "room_send": 6, "guest": 4, "notify": 2, "inbox": 3,
        "subscribe": 2, "ws_token": 8, "channel": 3, "dm": 2, "patch": 2,
        "dead": 1, "read_one": 3}

    def turn(self):
        tenant = self.rng.choice(self.world.tenants)
        kind = self.rng.choices(list(self.TABLE), list(
            self.TABLE.values()))[0]
        # Each second one over a connection of its own.
        if self.rng.random() < 0.3:
            self.caller.leave()
        getattr(self, kind)(tenant)

    def leave(self):
        self.caller.leave()

    def api(self, tenant, user, method, path, body=None, ok=(200,), **kw):
        headers = tenant.headers(user)
        if user is not None and self.rng.random() < 0.2:
            token = tenant.issuer.token(user, seconds=1200)
            headers = {"Authorization": "Bearer " + token}
        return self.caller.call(headers, method, path, body, ok, **kw)

    def somewhere(self, tenant):
        room = self.rng.choice(list(tenant.members))
        return room, self.rng.choice(tenant.members[room])

    # ---- messages of rooms that stay ----

    def send(self, tenant):
        room, user = self.somewhere(tenant)
        name = f"r{next(self.number)}"
        content = self.world.content(self.rng)
        body = {"content": content, "client_msg_id": name,
                "meta": {"n": name}}
        for _ in range(20):
            got = self.api(tenant, user, "POST", f"/rooms/{room}/messages",
                           body, (200, 201))
            if got is not None:
                break
            if self.world.stop.wait(0.2):
                return
        else:
            self.world.fault(f"{name} was never answered")
            return
        m = got.json
        self.world.truth.sent(room, m["seq"], content)
        self.own.append((tenant, room, m["message_id"], m["seq"], user))
        if len(self.own) > 200:
            del self.own[self.rng.randrange(100)]

    def edit(self, tenant):
        if not self.own:
            return
        tenant, room, id_, seq, user = self.rng.choice(self.own)
        content = self.world.content(self.rng)
        truth = self.world.truth
        truth.edited(room, seq, content, sure=False)
        got = self.api(tenant, user, "PUT", f"/rooms/{room}/messages/{id_}",
                       {"content": content})
        if got is not None:
            truth.edited(room, seq, content, sure=True)

    def erase(self, tenant):
        if not self.own:
            return
        at = self.rng.randrange(len(self.own))
        tenant, room, id_, seq, user = self.own.pop(at)
        self.world.truth.deleted(room, seq, sure=False)
        if self.api(tenant, user, "DELETE", f"/rooms/{room}/messages/{id_}",
                    ok=(204,)) is not None:
            self.world.truth.deleted(room, seq, sure=True)

    def read_one(self, tenant):
        if self.own:
            tenant, room, id_, _, user = self.rng.choice(self.own)
            self.api(tenant, user, "GET", f"/rooms/{room}/messages/{id_}")

    def history(self, tenant):
        room, user = self.somewhere(tenant)
        where = self.rng.choice(("after_seq=0", "before_seq=9000000",
                                 f"after_seq={self.rng.randrange(2000)}"))
        self.api(tenant, user, "GET", f"/rooms/{room}/messages?{where}"
                 f"&limit={self.rng.randrange(1, 101)}")

    # ---- lists and cursors ----

    def rooms(self, tenant):
        user = self.rng.choice((None, *tenant.users))
        got = self.api(tenant, user, "GET", "/rooms?limit=20")
        if got is not None and got.json["next_cursor"]:
            self.api(tenant, user, "GET", "/rooms?limit=20&cursor="
                     + got.json["next_cursor"])

    def members(self, tenant):
        self.api(tenant, None, "GET", "/rooms/%s/members?limit=5"
                 % self.somewhere(tenant)[0])

    def ack(self, tenant):
        """Guests, too, or what waits for them would grow for ever."""
        room, user = self.somewhere(tenant)
        if self.rng.random() < 0.5:
            user = self.rng.choice(tenant.guests)
        self.api(tenant, user, "POST", "/acks", {
            "room_id": room, "seq": 1 << 40}, (200, 403))

    # ---- rooms that pass ----

    def make_room(self, tenant):
        if len(tenant.passing) >= PASSING_MOST:
            return
        rng = self.rng
        users = rng.sample(tenant.users, rng.randrange(2, 12))
        got = self.api(tenant, None, "POST", "/rooms", {
            "type": rng.choice(("group", "channel")), "members": users,
            "name": "passing", "metadata": {"x": ["y"] * rng.randrange(50)}},
            (201,))
        if got is not None:
            tenant.passing.append((got.json["room_id"], users))

    def room_send(self, tenant):
        """Large ones; the room may be going."""
        try:
            room, users = self.rng.choice(tenant.passing)
        except IndexError:
            return
        self.api(tenant, self.rng.choice(users), "POST",
                 f"/rooms/{room}/messages",
                 {"content": "z" * self.rng.randrange(1, 16000)},
                 (201, 403, 404))

    def delete_room(self, tenant):
        try:
            room, _ = tenant.passing.popleft()
        except IndexError:
            return
        for _ in range(20):
            if self.api(tenant, None, "DELETE", f"/rooms/{room}",
                        ok=(204, 404)) is not None:
                return
            if self.world.stop.wait(0.2):
                return

    def channel(self, tenant):
        user = self.rng.choice(tenant.users)
        got = self.api(tenant, user, "GET", "/channels?limit=10")
        if got is None or not got.json["channels"]:
            return
        room = self.rng.choice(got.json["channels"])["room_id"]
        self.api(tenant, user, "POST", f"/rooms/{room}/members",
                 {"user_id": user}, (200, 404))
        self.api(tenant, user, "DELETE", f"/rooms/{room}/members/{user}",
                 ok=(204, 403, 404))

    def dm(self, tenant):
        two = self.rng.sample(tenant.users[:12], 2)
        got = self.api(tenant, two[0], "POST", "/rooms",
                       {"type": "dm", "members": two}, (200, 201))
        if got is not None:
            self.api(tenant, two[0], "POST",
                     f"/rooms/{got.json['room_id']}/messages",
                     {"content": "psst"}, (201, 404))

    def guest(self, tenant):
        room = self.rng.choice(list(tenant.members))
        user = self.rng.choice(tenant.guests)
        if self.rng.random() < 0.5:
            self.api(tenant, None, "POST", f"/rooms/{room}/members",
                     {"user_id": user})
        else:
            self.api(tenant, None, "DELETE",
                     f"/rooms/{room}/members/{user}", ok=(204, 404))

    def patch(self, tenant):
        self.api(tenant, None, "PATCH", f"/rooms/{self.somewhere(tenant)[0]}",
                 {"name": f"room {self.rng.random()}"})

    # ---- notifications, tokens, dead letters ----

    def notify(self, tenant):
        x, rng = self.rng.random(), self.rng
        body = {"topic": f"t{rng.randrange(5)}", "payload": {"k": "v" * 200}}
        if x < 0.4:
            body["targets"] = {"user_ids": rng.sample(tenant.users, 5)}
        elif x < 0.6:
            body["targets"] = {"room_id": self.somewhere(tenant)[0]}
        elif x < 0.8:
            body["targets"] = {"topic_subscribers": body["topic"]}
        self.api(tenant, None, "POST", "/notify", body, (202, 400))

    def inbox(self, tenant):
        user = self.rng.choice(tenant.users)
        got = self.api(tenant, user, "GET", "/notifications")
        for n in got.json["notifications"] if got is not None else ():
            self.api(tenant, user, "POST",
                     f"/notifications/{n['notification_id']}/ack",
                     ok=(200, 404))

    def subscribe(self, tenant):
        user = self.rng.choice(tenant.users)
        got = self.api(tenant, user, "POST", "/subscriptions",
                       {"topic": f"t{self.rng.randrange(5)}"}, (200, 201))
        if got is not None and self.rng.random() < 0.7:
            self.api(tenant, user, "DELETE",
                     f"/subscriptions/{got.json['id']}", ok=(204, 404))

    def ws_token(self, tenant):
        """Some of them nobody will use."""
        user = self.rng.choice(tenant.users)
        got = self.api(tenant, None, "POST", "/ws/token", {"user_id": user})
        if got is not None:
            with tenant.lock:
                tenant.tokens.append((user, got.json["token"]))

    def dead(self, tenant):
        """What was given up is dropped, some of it tried again."""
        for _ in range(10):
            got = self.api(tenant, None, "GET", "/admin/dead-letters")
            if got is None:
                return
            letters = got.json["failed_messages"] + \
                got.json["failed_notifications"]
            for one in letters:
                path = f"/admin/dead-letters/{one['id']}"
                if self.rng.random() < 0.1:
                    self.api(tenant, None, "POST", path + "/retry",
                             ok=(202, 404))
                else:
                    self.api(tenant, None, "DELETE", path, ok=(204, 404))
            if len(letters) < 50 or not self.world.tide.high:
                return
