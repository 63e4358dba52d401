# SPDX-License-Identifier: MIT
"""`make doc`: one site, complete, that fetches nothing from elsewhere."""
import html.parser
import json
import os
import shutil
import subprocess
import sys
import urllib.parse

import pytest

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
DOC = os.path.join(TOP, "doc")


class Page(html.parser.HTMLParser):
    """What a page has: links, what it loads, anchors, headings."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], set()
        self.headings = None, []
        with open(path, encoding="utf-8") as f:
            self.feed(f.read())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if attrs.get("id"):
            self.anchors.add(attrs["id"])
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        if tag in ("h2", "h3"):
            self.headings[1].append("")
            self.headings = tag, self.headings[1]
        for name in ("src", "href"):
            if tag in ("script", "link", "img", "iframe") and attrs.get(name):
                self.loads.append(attrs[name])

    def handle_endtag(self, tag):
        if tag == self.headings[0]:
            self.headings = None, self.headings[1]

    def handle_data(self, data):
        if self.headings[0]:
            self.headings[1][-1] += data


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    assert shutil.which("mkdocs"), "mkdocs is missing (its Debian package)"
    out = tmp_path_factory.mktemp("site") / "html"
    ran = subprocess.run(
        ["sh", os.path.join(DOC, "site.sh"), TOP, str(out)], text=True,
        env={**os.environ, "PYTHON": sys.executable}, capture_output=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return {str(p.relative_to(out)): Page(p) for p in out.rglob("*.html")}


def load(name):
    with open(os.path.join(DOC, name), encoding="utf-8") as f:
        return json.load(f)


def test_every_page_is_there(site):
    for page in os.listdir(DOC):
        if page.endswith(".md") and page != "index.md":
            assert f"{page[:-3]}/index.html" in site, page


def test_nothing_is_fetched_from_elsewhere(site):
    for name, page in site.items():
        for url in page.loads:
            assert not urllib.parse.urlsplit(url).netloc, (name, url)


def test_links_lead_somewhere(site):
    checked = 0
    for name, page in site.items():
        base = "/" + ("" if name == "404.html" else name)
        for link in page.links:
            url = urllib.parse.urlsplit(urllib.parse.urljoin(base, link))
            if url.netloc or url.scheme:
                continue
            target = url.path.lstrip("/")
            if target == "" or target.endswith("/"):
                target += "index.html"
            assert target in site, (name, link)
            if url.fragment:
                anchors = site[target].anchors
                assert urllib.parse.unquote(url.fragment) in anchors, \
                    (name, link)
                checked += 1
    assert checked > 100


def test_the_reference_is_complete(site):
    # A heading ends with the sign of its own link.
    headings = {h.rstrip("\uf0c1¶ ") for h in
                site["reference/index.html"].headings[1]}
    for path, item in load("openapi.json")["paths"].items():
        for method in item:
            if method in ("get", "post", "put", "patch", "delete"):
                assert f"{method.upper()} {path}" in headings
    for frame in load("asyncapi.json")["components"]["messages"]:
        assert frame in headings


def test_plots_show_the_figures(tmp_path):
    subprocess.run([sys.executable, os.path.join(DOC, "plot.py"),
                    os.path.join(DOC, "figures.json"), str(tmp_path)],
                   check=True)
    plots = sorted(os.listdir(tmp_path))
    assert plots
    for name in plots:
        with open(os.path.join(DOC, "img", name), encoding="utf-8") as f:
            assert f.read() == (tmp_path / name).read_text(), name
