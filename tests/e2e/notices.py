# SPDX-License-Identifier: MIT
"""What the tests of notifications have in common."""
import os
import sqlite3

from chat import Chat
from harness import until
from metrics import Scraper


def notify(caller, topic="t", payload=1, **targets):
    """With targets, if any are given; else to everybody."""
    body = {"topic": topic, "payload": payload}
    if targets:
        body["targets"] = targets
    return caller.post("/notify", body).expect(202)


def to(caller, user, payload=1, topic="t"):
    """To one user; its id."""
    return notify(caller, topic, payload, user_ids=[user])["notification_id"]


def inbox(user, limit=100):
    """All that waits for a user, by pages."""
    out, cursor = [], ""
    while True:
        page = user.get(f"/notifications?limit={limit}{cursor}").expect(200)
        out += page["notifications"]
        if page["next_cursor"] is None:
            return out
        assert page["notifications"], "a cursor behind an empty page"
        cursor = "&cursor=" + page["next_cursor"]


def waiting(user):
    return [n["notification_id"] for n in inbox(user)]


def got(chat):
    """The ids of the notifications that a connection was sent."""
    return [f["notification_id"] for f in chat.of("notification")]


async def fresh(tenant, user, slot=None, path="/ws"):
    """A new connection that has been sent all there was."""
    chat = await Chat.connect(tenant, user, slot=slot, path=path)
    if "resume" not in path:
        await chat.wait("sync.complete")
    n = len(inbox(tenant.user(user)))
    await chat.until(lambda: len(chat.of("notification")) >= n)
    await chat.barrier()
    return chat


def query(server, sql, *args):
    """One value out of the database, read as any other process may."""
    db = sqlite3.connect(f"file:{server.dir}/chatapi.db?mode=ro", uri=True)
    try:
        return db.execute(sql, args).fetchone()[0]
    finally:
        db.close()


def seed(server, tenant, users):
    """Makes the tenant know these users, while the server is stopped."""
    server.stop()
    db = sqlite3.connect(os.path.join(server.dir, "chatapi.db"))
    own, = db.execute("SELECT id FROM tenant WHERE public_id = ?",
                      (tenant.id[7:],)).fetchone()
    db.executemany("INSERT INTO user (tenant, user) VALUES (?, ?)",
                   ((own, u) for u in users))
    db.commit()
    db.close()
    server.start()


class Expansions:
    """Notifications that have not reached everybody yet."""

    def __init__(self, server):
        self.scraper = Scraper(server)

    def left(self):
        """How many lists are not gone through; one at least while there
        is no writer to know it."""
        now = self.scraper.json()
        return now["notification_expansions"] if now["writer_up"] else \
            max(1, now["notification_expansions"])

    def wait_end(self, deadline=None):
        until(lambda: self.left() == 0, "everybody was reached", deadline)
