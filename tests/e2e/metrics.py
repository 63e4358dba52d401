# SPDX-License-Identifier: MIT
"""Reads GET /metrics, with a parser that is not ours."""
import os
import shutil
import subprocess

from client import Rest

try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    text_string_to_metric_families = None

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
INF = float("inf")


def promtool(*args, text=None):
    """Runs Prometheus' own checker; what it says, empty when all is well."""
    program = shutil.which(os.environ.get("PROMTOOL") or "promtool")
    assert program, \
        "promtool is missing: ./quick test gets it, or install the Debian " \
        "package prometheus, or name it in PROMTOOL"
    done = subprocess.run([program, *args], input=text, text=True,
                          capture_output=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


class Scrape:
    """One answer, taken apart."""

    def __init__(self, text):
        assert text_string_to_metric_families is not None, \
            "the Python module prometheus_client is missing " \
            "(Debian package python3-prometheus-client)"
        self.text = text
        self.type = {}
        self.help = {}
        self.values = {}
        for family in text_string_to_metric_families(text):
            # The parser takes _total off the name of a counter.
            name = family.name
            name += "_total" if family.type == "counter" else ""
            assert name not in self.type, f"{name} twice"
            self.type[name] = family.type
            self.help[name] = family.documentation
            for s in family.samples:
                key = (s.name, tuple(sorted(s.labels.items())))
                assert key not in self.values, f"{key} twice"
                self.values[key] = s.value

    def get(self, name, **labels):
        return self.values["chatapi_" + name, tuple(sorted(labels.items()))]

    def sum(self, name):
        """As sum(name) in Prometheus."""
        return sum(v for (n, _), v in self.values.items()
                   if n == "chatapi_" + name)

    def by_slot(self, name):
        return {int(dict(labels)["slot"]): v
                for (n, labels), v in self.values.items()
                if n == "chatapi_" + name}

    def buckets(self, name):
        """[(le, count), …] in the order in which they came."""
        return [(float(dict(labels)["le"]), v)
                for (n, labels), v in self.values.items()
                if n == name + "_bucket"]

    def check(self):
        """What must hold of any scrape."""
        for name, kind in self.type.items():
            assert name.startswith("chatapi_"), name
            assert self.help[name], name
            assert kind in ("counter", "gauge", "histogram"), name
            if kind == "histogram":
                self.check_histogram(name)
        for key, value in self.values.items():
            assert value >= 0, (key, value)
        return self

    def check_histogram(self, name):
        buckets = self.buckets(name)
        bounds = [le for le, _ in buckets]
        counts = [n for _, n in buckets]
        assert bounds == sorted(set(bounds)) and bounds[-1] == INF, bounds
        assert counts == sorted(counts), (name, counts)
        assert counts[-1] == self.values[name + "_count", ()], name

    def check_sums(self):
        """While nothing happens: the sum of each histogram lies between
        what its buckets leave possible."""
        for name, kind in self.type.items():
            if kind != "histogram":
                continue
            low = high = below = last = 0
            for le, n in self.buckets(name):
                low += (n - below) * last
                high += (n - below) * le if n > below else 0
                below, last = n, le
            total = self.values[name + "_sum", ()]
            assert low <= total <= high, (name, low, total, high)

    def rising(self):
        """{sample: value} of all that may never go back while the server
        runs."""
        out = {}
        for (name, labels), value in self.values.items():
            family = name
            for end in ("_bucket", "_sum", "_count"):
                if self.type.get(name.removesuffix(end)) == "histogram":
                    family = name.removesuffix(end)
            # A worker's own begins again with its process.
            if self.type.get(family) in ("counter", "histogram") and \
                    "slot" not in dict(labels):
                out[name, labels] = value
        return out

    def check_after(self, earlier):
        """Nothing has gone back since."""
        now = self.rising()
        for key, value in earlier.rising().items():
            assert now[key] >= value, (key, value, now[key])
        return self


class Scraper:
    """A kept-alive connection that asks for nothing else."""

    def __init__(self, server, slot=None):
        self.rest = Rest(server, slot=slot)

    def reply(self, **kw):
        return self.rest.get("/metrics", **kw)

    def scrape(self):
        r = self.reply()
        assert r.status == 200, r
        assert r.headers["content-type"] == TEXT_TYPE, r.headers
        return Scrape(r.body.decode()).check()

    def json(self):
        r = self.reply(headers={"Accept": "application/json"})
        assert r.headers["content-type"] == "application/json"
        return r.expect(200)

    def close(self):
        self.rest.close()


def scrape(server):
    s = Scraper(server)
    try:
        return s.scrape()
    finally:
        s.close()
