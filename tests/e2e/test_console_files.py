# SPDX-License-Identifier: MIT
"""The files of the web console: what is served, how, and what is not."""
import os
import re
import shutil

import pytest

from client import Rest
from harness import CONSOLE, until

TYPES = {".html": "text/html; charset=utf-8",
         ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8",
         ".svg": "image/svg+xml"}
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; "
          "img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
          "form-action 'none'; frame-ancestors 'none'")


def files():
    for folder, _, names in os.walk(CONSOLE):
        for name in names:
            if not name.startswith("."):
                path = os.path.join(folder, name)
                yield os.path.relpath(path, CONSOLE), path


def test_every_file(server):
    rest = Rest(server)
    names = dict(files())
    assert "index.html" in names and len(names) > 10
    for name, path in names.items():
        with open(path, "rb") as f:
            want = f.read()
        r = rest.get("/console/" + name)
        assert r.status == 200 and r.body == want, name
        h = r.headers
        assert h["content-type"] == TYPES[os.path.splitext(name)[1]]
        assert h["content-security-policy"] == POLICY
        assert h["x-content-type-options"] == "nosniff"
        assert h["referrer-policy"] == "no-referrer"
        assert h["cache-control"] == "no-cache"
        head = rest.call("HEAD", "/console/" + name)
        assert head.status == 200 and head.body == b""
        assert head.headers["content-length"] == str(len(want))
    assert rest.get("/console/").body == \
        rest.get("/console/index.html?x=1").body


def test_nothing_comes_from_elsewhere(server):
    """No file names an address of another server, or code of its own that
    the policy would refuse."""
    rest = Rest(server)
    for name in dict(files()):
        text = rest.get("/console/" + name).body.decode()
        # The namespaces of SVG are names, not addresses.
        text = text.replace("http://www.w3.org/2000/svg", "")
        if not name.startswith("client/"):
            assert not re.search(r"""["'(](https?:)?//""", text), name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|"
                             r"document\.write|\beval\(", text), name
        if name.endswith(".html"):
            assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|<style"
                                 r"|\sstyle=", text), name


def test_asked_again(server):
    etags = set()
    for slot in range(server.workers):
        rest = Rest(server, slot=slot)
        first = rest.get("/console/app.js")
        etag = first.headers["etag"]
        etags.add(etag)
        for value in (etag, f'"x", {etag}', f'W/{etag}', "*"):
            r = rest.get("/console/app.js",
                         headers={"If-None-Match": value})
            assert r.status == 304 and r.body == b"", value
            assert r.headers["etag"] == etag
            assert r.headers["cache-control"] == "no-cache"
        for value in ('"x"', etag.strip('"'), ""):
            r = rest.get("/console/app.js",
                         headers={"If-None-Match": value})
            assert r.status == 200 and r.body == first.body, value
        assert rest.get("/console/base.css").headers["etag"] != etag
    assert len(etags) == 1, "a file is the same on every worker"


def test_where_the_slash_is_missing(server):
    r = Rest(server).get("/console")
    assert (r.status, r.body) == (308, b"")
    assert r.headers["location"] == "/console/"


def test_what_is_not_served(server):
    rest = Rest(server)
    for path in ("/console/none.js", "/console/.stamp",
                 "/console/..%2fserver.log", "/console/../server.log",
                 "/console/%2e%2e/%2e%2e/etc/passwd", "/console/client",
                 "/console/client/", "/console/client/none.js",
                 "/console/client%2findex.js", "/console/client/../app.js",
                 "/console//app.js", "/console/app.js/",
                 "/console/client/x/index.js"):
        rest.get(path).error(404, "not_found")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        r = rest.call(method, "/console/app.js")
        r.error(405, "method_not_allowed")
        assert r.headers["allow"] == "GET, HEAD"


def test_switched_off(start_server):
    server = start_server(workers=1, env={"CONSOLE": "no"})
    for path in ("/console", "/console/", "/console/app.js"):
        Rest(server).get(path).error(404, "not_found")
    assert "console" not in server.log()


def test_not_installed(start_server, tmp_path):
    server = start_server(workers=2,
                          env={"CONSOLE_DIR": str(tmp_path / "none")})
    Rest(server).get("/console/").error(404, "not_found")
    # While one of them answers, the other may still be starting.
    until(lambda: server.log().count('msg="worker ready"') == 2,
          "both workers were ready")
    lines = [line for line in server.log().splitlines()
             if "no web console" in line]
    assert len(lines) == 1 and str(tmp_path / "none") in lines[0]


@pytest.mark.parametrize("big", [False, True])
def test_what_is_left_out(start_server, tmp_path, big):
    """Only plain files of known names and types, and no more than fits."""
    own = tmp_path / "console"
    shutil.copytree(CONSOLE, own)
    (own / "notes.txt").write_text("not of the console")
    (own / "a b.js").write_text("1")
    (own / "dir.js").mkdir()
    os.mkfifo(own / "fifo.js")
    if big:
        (own / "huge.js").write_bytes(b"1" * (512 * 1024 + 1))
    server = start_server(workers=1, env={"CONSOLE_DIR": str(own)})
    rest = Rest(server)
    for name in ("notes.txt", "a%20b.js", "dir.js", "fifo.js", "huge.js"):
        rest.get("/console/" + name).error(404)
    assert rest.get("/console/app.js").status == 200
    until(lambda: ("huge.js" in server.log()) == big, "the log told")
    # What is served is what was there at the start.
    (own / "app.js").write_text("changed")
    assert b"changed" not in rest.get("/console/app.js").body
