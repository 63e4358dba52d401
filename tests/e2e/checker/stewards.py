# SPDX-License-Identifier: MIT
"""What tenants' backends do with rooms and members, and users with
themselves: one steward a tenant, one change of a user's membership at a
time, so that it is known in which order they happened."""
from .acts import Until, delete, rest
from .plan import RoomPlan
from .truth import Room
from .web import Lost

ROOMS_MOST = 14


class Steward:
    """Looks enough like a device for acts.rest()."""

    def __init__(self, world, tenant, script):
        self.world = world
        self.tenant = tenant
        self.script = script
        self.user = None
        self.name = f"steward of {tenant.plan.name}"
        self.busy = 0
        self.made = 0
        self.renamed = 0

    async def run(self):
        world = self.world
        while world.traffic:
            a = self.script.next()
            f = getattr(self, "act_" + a.kind, None)
            if f is not None and self.busy < 6:
                world.spawn(self, f(a))
            await world.sleep(a.pause)

    def group(self, x, type_=None):
        rooms = [r for r in self.tenant.rooms if r.alive() and
                 r.type != "dm" and type_ in (None, r.type)]
        return rooms[int(x * len(rooms))] if rooms else None

    async def ask(self, what, method, path, body=None, user=None):
        """Until there is an answer; returns it, and whether an earlier
        one was lost."""
        until, lost = Until(self.world, what), False
        who = AsUser(self, user)
        while True:
            try:
                return await rest(who, method, path, body,
                                  backend=user is None), lost
            except Lost as e:
                lost = lost or e.sent
                await until.again(e)

    # ---- members ----

    async def member(self, room, user, adding, by=None):
        """Adds or removes; `by` is the user himself or the backend."""
        pair = room.pair(user)
        if pair.lock.locked():
            return
        async with pair.lock:
            if pair.state == "unsure":
                return
            await self._member(room, user, adding, by)

    async def _member(self, room, user, adding, by):
        world = self.world
        pair = world.truth.begin_member(room, user, adding)
        what = f"{'add' if adding else 'remove'} {user} in {room}"
        path = f"/rooms/{room.id}/members"
        if adding:
            answer, lost = await self.ask(what, "POST", path,
                                          {"user_id": user}, by)
        else:
            answer, lost = await self.ask(
                what, "DELETE", f"{path}/{user}", None, by)
        gone = room.deleting is not None and answer.status == 404
        if answer.status in (200, 204):
            outcome = "done"
            world.count("membership changes")
        elif gone:
            outcome = "refused"
        elif not adding and answer.status in (403, 404) and \
                (lost or pair.state == "out"):
            # The lost one did it, or there was nothing to do.
            outcome = "done" if lost else "refused"
        elif by is not None and answer.status == 403 and \
                pair.state == "out":
            outcome = "refused"
        else:
            world.report.fail(f"{what} was answered with {answer}")
        world.truth.end_member(room, user, adding, outcome)

    def _user(self, room, x, inside):
        pool = [u for u in self.tenant.users
                if (room.pair(u).state == "in") == inside]
        return pool[int(x * len(pool))] if pool else None

    async def act_add(self, a):
        room = self.group(a.a)
        user = self._user(room, a.b, a.c < 0.1) if room else None
        if user:
            await self.member(room, user, True)

    async def act_remove(self, a):
        room = self.group(a.a)
        if room and len(room.members()) > 2:
            await self.member(room, self._user(room, a.b, True), False)

    async def act_leave(self, a):
        room = self.group(a.a)
        if room and len(room.members()) > 2:
            user = self._user(room, a.b, True)
            await self.member(room, user, False, by=user)

    async def act_join(self, a):
        """By himself; into a channel only."""
        room = self.group(a.a, "channel")
        user = self._user(room, a.b, False) if room else None
        if user:
            await self.member(room, user, True, by=user)

    async def act_bounce(self, a):
        """Out and in again at once."""
        room = self.group(a.a)
        user = self._user(room, a.b, True) if room else None
        if user:
            await self.member(room, user, False)
            await self.member(room, user, True)

    async def act_peek(self, a):
        """The list of members is what was done."""
        room = self.group(a.a)
        if room is None:
            return
        since = self.world.report.tick
        answer, _ = await self.ask("members", "GET",
                                   f"/rooms/{room.id}/members")
        if answer.status != 200:
            self.world.report.expect(
                room.deleting is not None,
                lambda: f"members of {room}: {answer}")
            return
        listed = {m["user_id"] for m in answer.json["members"]}
        for user, pair in room.pairs.items():
            self.world.report.expect(
                not pair.sure("out" if user in listed else "in", since),
                lambda: f"members of {room} are {sorted(listed)}; {user} "
                f"is {pair.state} since {pair.tick}")

    # ---- rooms ----

    async def new_room(self, plan, by=None):
        """Makes a room; by a user, who becomes a member, or the backend."""
        world = self.world
        members = set(plan.members) | ({by} if by else set())
        until = Until(world, f"making {plan.key}")
        while True:
            room = Room(self.tenant, plan, members)
            world.truth.making_room(room)
            self.tenant.rooms.append(room)
            body = {"type": plan.type, "members": sorted(members),
                    "name": room.key, "metadata": {"key": room.key}}
            try:
                answer = await rest(AsUser(self, by), "POST", "/rooms", body,
                                    backend=by is None)
                break
            except Lost as e:
                # If it was made all the same, the next calm finds it.
                await until.again(e)
        world.report.expect(
            answer.status == 201,
            lambda: f"making {room} was answered with {answer}")
        world.truth.made_room(room, answer.json)
        return room

    async def act_new_room(self, a):
        if sum(r.alive() for r in self.tenant.rooms) >= ROOMS_MOST:
            return
        self.made += 1
        users = self.tenant.users
        first, n = int(a.a * len(users)), 2 + int(a.b * 5)
        members = [users[(first + i) % len(users)] for i in range(n)]
        await self.new_room(
            RoomPlan(f"extra{self.made}",
                     "group" if a.c < 0.7 else "channel", members),
            by=members[0] if a.c > 0.3 else None)

    async def act_delete_room(self, a):
        rooms = [r for r in self.tenant.rooms
                 if r.alive() and r.plan.key.startswith("extra")]
        if not rooms:
            return
        room = rooms[int(a.a * len(rooms))]
        async with room.lock:
            if room.deleting is not None:
                return
            room.deleting = self.world.report.note(f"deleting {room}")
            answer, lost = await self.ask(f"deleting {room}", "DELETE",
                                          f"/rooms/{room.id}")
            self.world.report.expect(
                answer.status == 204 or (answer.status == 404 and lost),
                lambda: f"deleting {room} was answered with {answer}")
            room.deleted = self.world.report.note(f"deleted {room}")
            self.world.count("rooms deleted")

    async def act_patch(self, a):
        rooms = [r for r in self.tenant.rooms if r.alive()]
        room = rooms[int(a.a * len(rooms))]
        if room.lock.locked():
            return
        async with room.lock:
            if room.deleting is not None:
                return
            # The same name again would change nothing, and be told nobody.
            self.renamed += 1
            name = f"{room.key} {int(a.b * 1e6)} {self.renamed}"
            room.names.add(name)
            room.names_ever.add(name)
            room.naming = self.world.report.note(f"{room} to be {name}")
            answer, _ = await self.ask(f"renaming {room}", "PATCH",
                                       f"/rooms/{room.id}", {"name": name})
            if answer.status == 200:
                self.world.truth.room_of_object(answer.json)
                self.world.report.expect(
                    answer.json["name"] == name,
                    lambda: f"renaming {room} was answered with {answer}")
                room.names = {name}
                self.world.count("rooms renamed")
            else:
                self.world.report.expect(
                    room.deleting is not None,
                    lambda: f"renaming {room} was answered with {answer}")

    async def act_moderate(self, a):
        """The backend deletes anybody's message."""
        room = self.group(a.a)
        sends = [s for s in room.sends if s.told and
                 s.seq >= room.first] if room else []
        if sends:
            send = sends[int(len(sends) * (1 - a.b ** 3)) - 1]
            if not send.lock.locked():
                await delete(self, send, backend=True)


class AsUser:
    """A steward under the name of a user."""

    def __init__(self, steward, user):
        self.world = steward.world
        self.tenant = steward.tenant
        self.user = user

    def online(self):
        return False
