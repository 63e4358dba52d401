# SPDX-License-Identifier: MIT
"""The web console in a real browser against the real server."""
import os

import pytest

import hook
from browser import Keys, Page
from client import Rest, Tenant, operator
from harness import MASTER_KEY, until
from tokens import Issuer


@pytest.fixture(scope="module")
def browsers():
    """Two, started when first asked for and used by all tests."""
    made = []
    yield made
    for page in made:
        page.close()


def keep_picture(page, name):
    """What the page looked like at the test's end, beside the logs."""
    where = os.environ.get("CHATAPI_E2E_LOGS")
    if where:
        os.makedirs(where, exist_ok=True)
        page.driver.save_screenshot(os.path.join(where, f"{name}.png"))


@pytest.fixture
def pages(browsers, request):
    """pages(server, n): n empty pages of it.  Afterwards: nothing was
    complained of, but refused requests where the test provokes them."""
    used = []

    def take(server, n):
        while len(browsers) < n:
            browsers.append(Page(server))
        for page in browsers[:n]:
            page.server = server
            page.forget()
            used.append(page)
        return used

    yield take
    provoked = request.node.get_closest_marker("refusals")
    for i, page in enumerate(used):
        keep_picture(page, f"{request.node.name}-{i}")
        found = [r for r in page.reports()
                 if not (provoked and r.get("source") == "network")]
        hosts = {u.split("/")[2] for u in page.requests()
                 if not u.startswith("data:")}
        page.driver.get("about:blank")
        assert not found, found
        assert hosts <= {f"127.0.0.1:{page.server.port}"}, hosts


class World:
    """A tenant with the users alice and bob and their room."""

    def __init__(self, server):
        self.server = server
        self.tenant = Tenant(server)
        self.issuer = Issuer(self.tenant).install()
        self.alice = self.tenant.user("alice")
        self.bob = self.tenant.user("bob")
        self.room = self.alice.make_room(["alice", "bob"], "dm")["room_id"]

    def token(self, user):
        return self.issuer.token(user)

    def stored(self):
        return [m["content"] for m in self.tenant.backend().history(
            self.room) if "content" in m]


def both_in(world, pages):
    """Alice and Bob in their room, on different workers."""
    a, b = pages(world.server, 2)
    a.enter(world.token("alice"))
    b.enter(world.token("bob"))
    for _ in range(40):
        if a.slot != b.slot:
            break
        b.enter(world.token("bob"))
    assert a.slot != b.slot
    a.open_room("bob")
    b.open_room("alice")
    return a, b


def test_two_windows_on_two_workers(server, pages):
    world = World(server)
    a, b = both_in(world, pages)
    a.wait_text(".room-sub", "online")
    a.find(".composer-input").send_keys("Hel")

    def told():
        """It ends 5 s after the last key."""
        a.find(".composer-input").send_keys("l", Keys.BACKSPACE)
        return "alice is typing…" in b.text(".typing")

    until(told, "bob saw that alice was typing")
    a.find(".composer-input").send_keys("lo, Bob!", Keys.ENTER)
    for page in (a, b):
        until(lambda: page.contents() == ["Hello, Bob!"],
              "both saw the message once")
    b.wait_text(".typing", "")
    markup = "<img src=x onerror=alert(1)> <b>not bold</b>"
    b.send(markup)
    a.wait_text(".messages", markup)
    # Edited and deleted by its author, seen by the other.
    a.keys(Keys.ARROW_UP)
    a.fill(".editor textarea", "Hello again").send_keys(Keys.ENTER)
    for page in (a, b):
        page.wait_text(".message[data-seq='1']", "Hello again (edited)")
    a.js("document.querySelector(\"[data-seq='1']\").scrollIntoView()")
    a.find(".message[data-seq='1']").click()
    a.js("document.querySelector(\"[data-seq='1'] "
         "[aria-label='Delete message']\").click()")
    a.click("dialog .danger")
    for page in (a, b):
        page.wait_text(".message[data-seq='1']", "Message deleted")
    assert world.stored() == [markup]


def test_link_that_signs_in(server, pages):
    world = World(server)
    page, = pages(server, 1)
    token = world.token("alice")
    page.enter(token)
    assert token not in page.driver.current_url
    history = page.driver.execute_cdp_cmd("Page.getNavigationHistory", {})
    assert not [e for e in history["entries"] if token in e["url"]]
    assert page.text("#who") == "alice"
    # In this tab, and in no other storage.
    page.driver.refresh()
    page.wait_live()
    assert page.js("return [localStorage.length, document.cookie]") == [0, ""]
    page.click("[aria-label='Sign out']")
    page.wait_text("h1", "Sign in as a user")
    assert page.js("return sessionStorage.length") == 0


def test_rooms_unread_and_channels(server, pages):
    world = World(server)
    world.bob.say(world.room, "one")
    channel = world.bob.make_room([], "channel", name="lobby")["room_id"]
    world.bob.say(channel, "said before")
    page, = pages(server, 1)
    page.enter(world.token("alice"))
    # It may be live before it has the list.
    until(lambda: page.texts(".room .badge") == ["1"], "one was unread")
    world.bob.say(world.room, "two")
    until(lambda: page.texts(".room .badge") == ["2"], "it was counted")
    page.wait_text(".room-last", "two")
    page.open_room("bob")
    until(lambda: page.texts(".room .badge") == [], "it was read")
    until(lambda: world.alice.get("/rooms").json["rooms"][0]["last_ack"]
          == 2, "and acknowledged")
    # A channel that is found and joined, and one's own group.
    page.click("[aria-label='Browse channels']")
    page.click("dialog .pick .button", "Join")
    page.wait_text(".room-title", "lobby")
    until(lambda: page.contents() == ["said before"], "history was read")
    page.click("[aria-label='New room']")
    page.js("document.querySelector(\"[name=room-type][value=group]\")"
            ".click()")
    page.fill("dialog .field:nth-of-type(1) input", "ops")
    page.fill("dialog [placeholder='bob, carol']", "bob, carol")
    page.click("dialog .primary")
    page.wait_text(".room-title", "ops")
    page.click("[aria-label=Members]")
    until(lambda: len(page.texts(".member")) == 3, "its members were shown")
    assert "alice you" in page.text(".member-list")
    page.wait_text(".messages", "Nobody has said anything yet")


def test_scrolling_back(server, pages):
    world = World(server)
    for i in range(1, 121):
        world.bob.say(world.room, f"number {i}")
    page, = pages(server, 1)
    page.enter(world.token("alice"))
    page.open_room("bob")
    assert page.messages()[-1] == (120, "number 120")
    first = page.messages()[0][0]
    assert first > 60, "only the newest page was read"
    until(lambda: page.js(
        "const l = document.querySelector('.messages');"
        "return l.scrollHeight - l.scrollTop - l.clientHeight < 80"),
        "the newest was in sight")

    def place():
        return page.js(
            "return document.querySelector(\"[data-seq='80']\")"
            ".getBoundingClientRect().top")

    page.js("document.querySelector('.messages').scrollTop = 150")
    before = place()
    until(lambda: page.messages()[0][0] < first, "an older page came")
    assert abs(place() - before) < 2, "what was read did not jump"
    until(lambda: page.messages() == [
        (i, f"number {i}") for i in range(1, 121)] or page.js(
        "document.querySelector('.messages').scrollTop = 0"),
        "everything was there, once and in order")


@pytest.mark.refusals
def test_offline_and_back(server, pages):
    world = World(server)
    a, b = both_in(world, pages)
    a.send("before")
    until(lambda: b.contents() == ["before"], "bob saw it")
    b.offline(True)
    b.wait_text("#link", "Offline")
    b.wait_text(".banner", "Connection lost")
    for text in ("missed 1", "missed 2", "missed 3"):
        a.send(text)
    until(lambda: len(world.stored()) == 4, "they were stored")
    # What is sent meanwhile waits, and is stored once.
    b.send("from the tunnel")
    b.wait_text(".message.pending", "from the tunnel")
    assert b.contents() == ["before"]
    b.offline(False)
    b.wait_live()
    want = ["before", "missed 1", "missed 2", "missed 3", "from the tunnel"]
    for page in (a, b):
        until(lambda: page.contents() == want, "all of it, once, in order")
    assert b.texts(".divider.missed") == ["3 missed messages"]
    assert b.js("return document.querySelector('.divider.missed')"
                ".nextSibling.dataset.seq") == "2"
    assert not b.all(".message.pending") and not a.all(".divider.missed")
    assert not b.texts(".banner")


@pytest.mark.refusals
def test_restart_under_both(start_server, pages):
    server = start_server(workers=2)
    world = World(server)
    a, b = both_in(world, pages)
    a.send("before")
    until(lambda: b.contents() == ["before"], "bob saw it")
    server.stop()
    for page in (a, b):
        page.wait_text(".banner", "Connection lost")
    a.send("while it was away")
    server.start()
    for page in (a, b):
        page.wait_live()
        until(lambda: page.contents() == ["before", "while it was away"],
              "it was kept and stored once")
    b.send("and on")
    for page in (a, b):
        until(lambda: page.contents()[2:] == ["and on"], "both go on")


def test_wire_and_playground(server, pages):
    world = World(server)
    page, = pages(server, 1)
    page.enter(world.token("alice"))
    page.open_room("bob")
    # So that no history has the text, too.
    page.wait_text(".timeline", "The beginning of this room")
    page.send("look at this frame")
    until(lambda: page.contents() == ["look at this frame"], "it was sent")
    page.click("#tab-wire")
    page.fill("[aria-label=Filter]", "look at this frame")
    until(lambda: page.texts(".wire-type") == [
        "send_message", "message"], "the filter left what has the text")
    page.click(".wire-row", "send_message")
    page.wait_text(".wire-detail", '"content": "look at this frame"')
    page.fill("[aria-label=Filter]", "x").send_keys(Keys.BACKSPACE)
    # The playground: a request made from the description.
    until(lambda: page.all("option[value=sendMessage]"), "it was read")
    page.js("const s = document.querySelector('[aria-label=Request]');"
            "s.value = 'sendMessage'; s.dispatchEvent(new Event('change'))")
    page.click(".try-form .primary", "Send")
    page.wait_text(".try-form", "Needed for the path.")
    page.fill("[placeholder=room_id]", world.room)
    body = page.find(".try-form textarea")
    assert '"content"' in body.get_property("value")
    body.clear()
    body.send_keys('{"content":"from the playground"}')
    page.click(".try-form .primary", "Send")
    page.wait_text(".answer-head", "201")
    page.wait_text(".answer", '"content": "from the playground"')
    page.wait_text(".answer", "x-request-id")
    assert world.stored()[-1] == "from the playground"
    page.wait_text(".wire-list", f"/rooms/{world.room}/messages")
    # What is heard just before the filter changes obeys the new one.
    page.js("""return (async () => {
        document.querySelector('.try-form .primary').click();
        await new Promise((done) => setTimeout(done, 5));
        const f = document.querySelector('[aria-label=Filter]');
        f.value = 'nothing has this';
        f.dispatchEvent(new Event('input'));
    })();""")
    until(lambda: world.stored().count("from the playground") == 2,
          "it was sent again")
    world.bob.say(world.room, "nothing has this but one")
    until(lambda: page.texts(".wire-type") == ["message"],
          "only what the filter wants was shown")
    # The token is not shown whole.
    page.fill("[aria-label=Filter]", "from the playground")
    page.click(".wire-row", "POST")
    page.wait_text(".wire-detail", "authorization: Bearer eyJhbG…")
    assert "eyJhbGci" not in page.text(".wire-detail")
    page.fill("[aria-label=Filter]", "x").send_keys(Keys.BACKSPACE)
    # Paused, what comes is counted and shown later.
    page.click(".wire-head .button", "Pause")
    shown = len(page.all(".wire-row"))
    world.bob.say(world.room, "meanwhile")
    page.wait_text(".wire-head", "Resume (")
    assert len(page.all(".wire-row")) == shown
    page.click(".wire-head .button", "Resume")
    page.wait_text(".wire-list", "meanwhile")


@pytest.mark.refusals
def test_operator(server, pages):
    page, = pages(server, 1)
    admin = operator(server)
    page.enter(view="#operator")
    for title in ("Messages", "Commit latency", "Connections"):
        page.wait_text(".graphs", title)
    page.wait_text(".graphs-note", "database writable")
    page.fill(".lock input", "not the key").send_keys(Keys.ENTER)
    page.wait_text(".lock .hint", "X-Master-Key")
    page.fill(".lock input", MASTER_KEY).send_keys(Keys.ENTER)
    page.click("[aria-label='New tenant']")
    page.fill("dialog input", "made in the console").send_keys(Keys.ENTER)
    key = page.find("dialog [aria-label='API key']").get_property("value")
    rest = Rest(server, {"X-API-Key": key})
    assert rest.get("/rooms").json["rooms"] == []
    page.click("dialog .button", "Close")
    tenant = page.text(".tenant-detail .room-sub code")

    def shown(name):
        return admin.get(f"/admin/tenants/{tenant}").json[name]

    page.fill(".grid-2 .field:nth-child(2) input", "many")
    page.click(".section .primary", "Save")
    page.wait_text(".grid-2", "A whole number")
    page.fill(".grid-2 .field:nth-child(2) input", "42")
    page.click(".section .primary", "Save")
    until(lambda: shown("rate_limit") == 42, "the limit was changed")
    page.click(".button", "Add a key")
    other = page.find("dialog [aria-label='API key']").get_property("value")
    assert other != key
    page.click("dialog .button", "Close")
    until(lambda: len(page.texts(".key")) == 2, "both keys were listed")
    page.click(".button", "Disable")
    page.click("dialog .danger")
    page.wait_text(".tenant-detail", "disabled")
    until(lambda: rest.get("/rooms").status == 403, "it was cut off")
    page.click(".button", "Delete tenant")
    assert not page.find("dialog .danger").is_enabled()
    page.fill("dialog input", "made in the console")
    page.click("dialog .danger")
    until(lambda: rest.get("/rooms").status == 401, "it is gone")
    assert page.js("return [localStorage.length, sessionStorage.length]") \
        == [0, 0]


def test_dead_letters(start_server, pages):
    server = start_server(workers=1, env={
        **hook.ENV, "RETRY_MAX_ATTEMPTS": "1", "RETRY_INTERVAL": "20ms"})
    world = World(server)
    page, = pages(server, 1)
    page.enter(view="#operator")
    page.fill(".lock input", MASTER_KEY).send_keys(Keys.ENTER)
    page.click(".tenant")
    letters = ".tenant-body .section:nth-child(3) "
    endpoint = hook.Hook(lambda call: 500)
    try:
        endpoint.serve(world.tenant)
        for text in ("one", "two"):
            world.alice.say(world.room, text)
        until(lambda: len(world.tenant.backend().get(
            "/admin/dead-letters").json["failed_messages"]) == 2,
            "both were given up")
        page.fill(letters + "input", world.tenant.key).send_keys(Keys.ENTER)
        until(lambda: len(page.texts(".letter")) == 2, "both were listed")
        assert "HTTP status 500" in page.text(".letter:nth-child(1)")
        assert "For bob · 1 try" in page.text(".letter:nth-child(1)")
        endpoint.answer = lambda call: 200
        before = len(endpoint.calls)
        page.click(".letter:nth-child(1) .button", "Retry")
        until(lambda: len(endpoint.calls) == before + 1, "it came again")
        until(lambda: len(page.texts(".letter")) == 1, "it left the list")
        page.click(".letter .button", "Drop")
        page.wait_text(letters, "None: everything was delivered")
        until(lambda: world.tenant.backend().get(
            "/admin/dead-letters").json["failed_messages"] == [],
            "none was left")
    finally:
        endpoint.close()


@pytest.mark.refusals
def test_by_keyboard_alone(server, pages):
    world = World(server)
    page, = pages(server, 1)
    page.enter()
    page.wait_text("h1", "Sign in as a user")
    page.keys(Keys.TAB)
    assert page.js("return document.activeElement.innerText") == \
        "Skip to content"
    page.tab_to("API key")
    page.keys("sk_wrong", Keys.TAB, "alice", Keys.ENTER)
    page.wait_text(".form-error", "not valid")
    page.tab_to("API key")
    # Tab selects what is there already.
    page.keys(world.tenant.key, Keys.TAB, Keys.ENTER)
    page.wait_live()
    # Listed first, called by who is in it when that is known.
    page.wait_text(".room", "bob")
    page.tab_to("bob, dm")
    page.keys(Keys.ENTER)
    until(lambda: page.js("return document.activeElement.className")
          == "composer-input", "the focus is where one writes")
    page.keys("no mouse needed", Keys.ENTER)
    until(lambda: page.contents() == ["no mouse needed"], "it was sent")
    # The focus can be seen, and is not caught in the page.
    assert page.js("return getComputedStyle(document.activeElement)"
                   ".outlineStyle") != "none"
    page.tab_to("Chat")
    page.keys(Keys.ARROW_RIGHT)
    page.wait_text("#view-wire", "What passes")


# What can be used and has no name for a screen reader; what sticks out at
# the right of the window; identifiers that are there twice.
LOOK = """
const shown = [...document.querySelectorAll('*')].filter(
    e => e.getClientRects().length && !e.closest('.sr'));
const name = e => e.getAttribute('aria-label') ||
    (e.labels && [...e.labels].map(l => l.textContent).join('')) ||
    e.textContent.trim();
const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
return [
    shown.filter(e => e.matches('button, input, select, textarea, a') &&
        !name(e)).map(e => e.outerHTML),
    shown.filter(e => e.getBoundingClientRect().right > innerWidth + 0.5 &&
        !e.closest('pre, select, .wire-line')).map(e => e.outerHTML),
    ids.filter((id, i) => ids.indexOf(id) !== i),
];"""


def test_on_a_phone(server, pages):
    world = World(server)
    channel = world.bob.make_room(["alice"], "channel",
                                  name="a name that is rather long for it")
    world.bob.say(channel["room_id"], "x" * 300)
    page, = pages(server, 1)
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": 375, "height": 700, "deviceScaleFactor": 1,
        "mobile": False})

    def fits():
        nameless, outside, twice = page.js(LOOK)
        assert not nameless, nameless
        assert not outside, outside
        assert not twice, twice

    try:
        page.enter()
        page.wait_text("h1", "Sign in as a user")
        fits()
        page.enter(world.token("alice"))
        until(lambda: len(page.texts(".room")) == 2, "rooms were listed")
        fits()
        page.open_room("a name")
        assert not page.texts(".room"), "one thing at a time"
        fits()
        page.click("[aria-label=Members]")
        until(lambda: len(page.texts(".member")) == 2, "members were shown")
        fits()
        page.click("[aria-label='Close members']")
        page.click("[aria-label='Back to the rooms']")
        page.click("[aria-label='New room']")
        fits()
        page.click("dialog .button", "Cancel")
        page.click("#tab-wire")
        until(lambda: page.texts(".wire-line"), "the wire was shown")
        fits()
        page.js("document.querySelectorAll('[name=wire-pane]')[1].click()")
        page.find(".try-form")
        fits()
        page.click("#tab-operator")
        page.wait_text(".graphs-note", "database writable")
        page.fill(".lock input", MASTER_KEY).send_keys(Keys.ENTER)
        page.click(".tenant")
        until(lambda: page.texts(".key"), "keys were listed")
        fits()
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride",
                                    {})
