# SPDX-License-Identifier: MIT
"""The tests of the JavaScript client, each of which counts as one here.

They are written for `node --test` and start servers of their own.  They run
in a copy of the package in the build directory, where `npm ci` puts what
only the tests need.
"""
import concurrent.futures
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from harness import BIN, SLOW

TOP = pathlib.Path(os.environ.get("top_srcdir")
                   or pathlib.Path(__file__).parents[2])
SOURCE = TOP / "contrib" / "client-js"
NAME = re.compile(r"^test\(\s*'((?:[^'\\]|\\.)*)'", re.M)
# Of one file.
LIMIT = 600 if SLOW else 200


def cases():
    """(file, name) of each test there is."""
    for path in sorted((SOURCE / "test").glob("*.test.js")):
        for name in NAME.findall(path.read_text(encoding="utf-8")):
            yield path.name, name.replace("\\'", "'")


@functools.cache
def package():
    """The copy that the tests run in."""
    missing = [p for p in ("node", "npm") if shutil.which(p) is None]
    if missing:
        pytest.skip(f"{missing} missing (Debian packages: nodejs npm)")
    built = os.environ.get("top_builddir")
    if built:
        copy = pathlib.Path(built) / "tests" / "e2e" / "client-js"
    else:
        copy = pathlib.Path(tempfile.gettempdir()) / \
            f"chatapi-client-js-{os.getuid()}"
    copy.mkdir(parents=True, exist_ok=True)
    for name in ("src", "test"):
        shutil.rmtree(copy / name, ignore_errors=True)
        shutil.copytree(SOURCE / name, copy / name)
    lock = (SOURCE / "package-lock.json").read_bytes()
    done = copy / "node_modules" / ".lock"
    for path in SOURCE.iterdir():
        if path.is_file():
            shutil.copyfile(path, copy / path.name)
    if not done.exists() or done.read_bytes() != lock:
        ran = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--prefer-offline"],
            cwd=copy, text=True, capture_output=True, timeout=LIMIT)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        done.write_bytes(lock)
    return copy


def run(file, copy):
    """All that one file's tests wrote, and the exit status."""
    ran = subprocess.run(
        ["timeout", "-k5", str(LIMIT), "node", "--test",
         "--test-reporter=./test/reporter.js", f"test/{file}"],
        cwd=copy, env=dict(os.environ, CHATAPI_BIN=BIN), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    return ran.stdout, ran.returncode


@functools.cache
def started():
    """{file: what will have come of it}; they wait more than they work, so
    some run side by side."""
    copy = package()
    pool = concurrent.futures.ThreadPoolExecutor(3)
    return {file: pool.submit(run, file, copy)
            for file in sorted({file for file, _ in cases()})}


@functools.cache
def results(file):
    """({name: result}, all that was written, exit status) of one file."""
    text, status = started()[file].result()
    found = {}
    for line in text.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and "name" in said:
            found[said["name"]] = said
    return found, text, status


@pytest.mark.parametrize("file, name", cases())
def test_client(file, name):
    found, text, _ = results(file)
    assert name in found, text[-8000:]
    result = found[name]
    if result["skipped"]:
        pytest.skip(f"{file}: {result['skipped']}")
    assert result["ok"], f"{result['error']}\n{text[-8000:]}"


def test_nothing_else_failed():
    """Hooks and files are no tests of the list, but may fail too."""
    for file in started():
        found, text, status = results(file)
        bad = [name for name, result in found.items() if not result["ok"]]
        assert status == 0 and not bad, f"{file}: {bad}\n{text[-8000:]}"
