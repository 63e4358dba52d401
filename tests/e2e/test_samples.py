# SPDX-License-Identifier: MIT
"""Every sample of the documentation does what its page says."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

import harness
from client import Tenant
from harness import BIN, free_port, until
from samples import blocks, whole
from test_client_js import package

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
PAGES = sorted(glob.glob(os.path.join(TOP, "doc", "*.md")))
LANGUAGES = {"sh", "python", "js", "php", "json", "yaml"}
ADDRESS = "127.0.0.1:8080"

# A page says `chatapi'; root must say whom it is to serve as.
SHIM = """#!/bin/sh
if [ "$(id -u)" = 0 ]; then set -- --user root "$@"; fi
exec '{bin}' "$@"
"""


# What a page in a browser has and Node lacks in some versions.
BROWSER = """import {{ webcrypto }} from "node:crypto";
import WebSocket from "{ws}/wrapper.mjs";
globalThis.crypto ??= webcrypto;
const {{ {names} }} = process.env;
"""


# Commands of README, and what runs each.
README = {
    "./quick run": "tests/e2e/test_demo.py",
    "./quick test": ".ci/run",
    "./bootstrap": "tests/lint/install.sh",
    "../../configure": "tests/lint/install.sh",
    "sudo make install": "tests/lint/install.sh",
    "chatapi tenant create": "tests/e2e/test_tool.py",
    "chatapi": "tests/e2e/test_start.py",
}


def name_of(page):
    return os.path.basename(page)


@pytest.fixture
def place(tmp_path):
    """An empty directory, with the program where PATH finds it, and a port;
    whatever was started there ends with the test."""
    shim = tmp_path / "bin" / "chatapi"
    shim.parent.mkdir()
    shim.write_text(SHIM.format(bin=BIN))
    shim.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    env = harness.clean_env({
        "PATH": f"{shim.parent}:{os.environ['PATH']}", "HOME": str(work)})
    env["ADDRESS"] = f"127.0.0.1:{free_port()}"
    yield work, env


def run(command, place, text=None, **env):
    """Runs it in a session of its own and ends what it leaves behind."""
    work, base = place
    process = subprocess.Popen(
        command, cwd=work, env={**base, **env}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True)
    out = b""
    try:
        out, _ = process.communicate(text, timeout=harness.DEADLINE * 2)
    finally:
        for sig in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, sig)
            except ProcessLookupError:
                break
            if sig == signal.SIGTERM:
                try:
                    until(lambda: gone(process.pid), "its server had ended",
                          deadline=15)
                except AssertionError:
                    continue
                break
    assert process.returncode == 0, out
    return out


def gone(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def here(text, place):
    return text.replace(ADDRESS, place[1]["ADDRESS"])


def step(block, place):
    """What the script of a page does for one of its blocks."""
    text = here(block.text, place)
    if block.kind == "browser":
        ws = package() / "node_modules" / "ws"
        text = BROWSER.format(ws=ws, names=block.value) + text
        (place[0] / f"page-{block.line}.mjs").write_text(text)
        names = " ".join(f'{n}="${n}"' for n in block.value.split(", "))
        text = f"{names} node page-{block.line}.mjs\n"
    elif block.kind or block.language != "sh":
        return ""
    return f"echo '--- {block}'\n{text}"


def of_page(page, *kinds):
    return [b for b in blocks(page) if b.kind in kinds]


def test_every_block_is_accounted_for():
    for page in PAGES:
        for block in blocks(page):
            if not block.language:
                continue
            assert block.language in LANGUAGES, block
            assert block.kind in ("", "file", "tested", "browser", "frame",
                                  "example"), block
            if block.kind == "tested":
                assert os.path.exists(os.path.join(TOP, block.value)), block


def test_every_command_of_readme_is_accounted_for():
    with open(os.path.join(TOP, "README"), encoding="utf-8") as f:
        commands = re.findall(
            r"^    ((?:\.\.?/|sudo |chatapi\b).*)", f.read(), re.M)
    found = {next((c for c in README if line.startswith(c)), line)
             for line in commands}
    assert found == set(README)
    for path in README.values():
        assert os.path.exists(os.path.join(TOP, path)), path


@pytest.mark.parametrize("page", [p for p in PAGES if any(
    b.language == "sh" and not b.kind for b in blocks(p))], ids=name_of)
def test_page_runs_as_printed(place, page):
    for program in ("curl", "openssl", "node", "php"):
        assert shutil.which(program), f"{program} is missing"
    for block in of_page(page, "file"):
        (place[0] / block.value).write_text(here(block.text, place))
    # The output goes to a file, so that what goes on in the background
    # keeps nobody waiting.
    script = "\n".join(step(block, place) for block in blocks(page))
    script = ("exec >out 2>&1\nset -eu -o pipefail\n" + script +
              "\nprintf '\\nALL DONE\\n'\n")
    try:
        run(["bash"], place, script)
    except AssertionError:
        pytest.fail((place[0] / "out").read_text()[-3000:])
    out = (place[0] / "out").read_text()
    assert "\nALL DONE\n" in out
    for block in of_page(page, "browser"):
        assert "message.sent" in out.partition(f"--- {block}\n")[2]


@pytest.mark.parametrize("block", [
    b for p in PAGES for b in of_page(p, "")
    if b.language in ("python", "js", "php")], ids=repr)
def test_program_of_its_own(server, place, block):
    """With a server in CHATAPI and a tenant's key in KEY."""
    command = {"python": [sys.executable, "-"], "php": ["php"],
               "js": ["node", "--input-type=module", "-"]}[block.language]
    run(command, place, block.text, KEY=Tenant(server).key,
        CHATAPI=f"http://127.0.0.1:{server.port}")


@pytest.mark.parametrize("block", [
    b for p in PAGES for b in blocks(p)
    if b.language == "json" and b.kind != "file"], ids=repr)
def test_json_is_json(block):
    json.loads(whole(block.text))
