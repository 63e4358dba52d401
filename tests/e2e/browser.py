# SPDX-License-Identifier: MIT
"""Chromium, driven by chromedriver, for the tests of the web console.

A Page is one browser with a profile of its own.  What it reports about
itself (errors in the console, refusals of the content security policy) is
collected; the test that made it fails when there is any that it did not
expect.
"""
import json
import shutil
import tempfile

from harness import DEADLINE, until

try:
    from selenium import webdriver
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError as e:
    raise ImportError("the Python module selenium is missing "
                      "(Debian package python3-selenium)") from e

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--window-size=1280,800")
DRIVER = shutil.which("chromedriver") or "/usr/bin/chromedriver"
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


class Page:
    def __init__(self, server):
        self.server = server
        self.profile = tempfile.mkdtemp(prefix="chatapi-chromium-")
        options = Options()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={self.profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service(DRIVER),
                                       options=options)
        self.driver.set_script_timeout(DEADLINE)
        self.driver.execute_cdp_cmd("Network.enable", {})

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.port}/console/"

    def forget(self):
        """An empty page and an empty storage, as in a new profile."""
        self.offline(False)
        self.driver.get(self.url + "icon.svg")
        self.js("sessionStorage.clear(); localStorage.clear()")
        self.driver.get("about:blank")
        self.reports()

    def reports(self):
        """What the browser has complained of since the last call."""
        return [line for line in self.driver.get_log("browser")
                if line["level"] in ("SEVERE", "WARNING")]

    def enter(self, token=None, view=""):
        self.driver.get("about:blank")
        self.driver.get(self.url + ("#token=" + token if token else view))
        if token:
            self.wait_live()

    def offline(self, yes):
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {
            "offline": yes, "latency": 0, "downloadThroughput": -1,
            "uploadThroughput": -1})

    # ---- looking ----

    def js(self, script, *args):
        return self.driver.execute_script(script, *args)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        """The visible text of each, in one look."""
        return self.js("return [...document.querySelectorAll(arguments[0])]"
                       ".filter(e => e.getClientRects().length)"
                       ".map(e => e.innerText.trim())", selector)

    def text(self, selector):
        return "\n".join(self.texts(selector))

    def wait_text(self, selector, want):
        until(lambda: want in self.text(selector),
              f"{want!r} stood in {selector}")

    def find(self, selector, text=None):
        """The visible element, once it is there."""
        def look():
            for e in self.all(selector):
                try:
                    if e.is_displayed() and (
                            text is None or text in e.text
                            or text == e.get_attribute("aria-label")):
                        return e
                except StaleElementReferenceException:
                    pass
            return None

        return until(look, f"{selector} with {text!r} was there")

    # ---- doing ----

    def click(self, selector, text=None):
        for _ in range(5):
            try:
                self.find(selector, text).click()
                return
            except StaleElementReferenceException:
                pass
        raise AssertionError(f"{selector} does not stand still")

    def fill(self, selector, text):
        e = self.find(selector)
        e.clear()
        e.send_keys(text)
        return e

    def keys(self, *keys):
        """To whatever has the focus."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, what, most=40):
        """Presses Tab until the focus is on the element called so."""
        for _ in range(most):
            name = self.js(
                "const e = document.activeElement;"
                "return e.getAttribute('aria-label') ||"
                " (e.labels && e.labels[0] && e.labels[0].innerText) ||"
                " e.innerText || ''").strip()
            if name == what:
                return
            self.keys(Keys.TAB)
        raise AssertionError(f"Tab does not lead to {what!r}")

    # ---- the console's own ----

    def wait_live(self):
        self.wait_text("#link", "Live")

    def session(self):
        return self.js("return document.querySelector('.link-text').title")

    @property
    def slot(self):
        return self.session().removeprefix("session ").split("-")[0]

    def open_room(self, name):
        self.click(".room", name)
        self.wait_text(".room-title", name)
        until(lambda: not self.all(".ghost-row"), "the room was read")

    def send(self, text):
        self.fill(".composer-input", text).send_keys(Keys.ENTER)

    def messages(self):
        """(number, text) of each that is stored, as shown."""
        return [(int(n), t) for n, t in self.js(
            "return [...document.querySelectorAll('.message[data-seq]')]"
            ".map(e => [e.dataset.seq,"
            " e.querySelector('.content').innerText])")]

    def contents(self):
        return [text for _, text in self.messages()]

    def requests(self):
        """What the performance log of the page says it has loaded."""
        return json.loads(self.js(
            "return JSON.stringify(performance.getEntriesByType('resource')"
            ".map(e => e.name))"))
