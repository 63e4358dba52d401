# SPDX-License-Identifier: MIT
"""Fixtures: a server that most tests share, and servers of one's own."""
import asyncio
import contextlib
import os
import shutil
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import contract                                         # noqa: E402
from chat import Chat                                   # noqa: E402
from client import Tenant                               # noqa: E402
from harness import BIN, SLOW, Server, until            # noqa: E402
from hook import Hook                                   # noqa: E402

# A test that takes longer hangs.
TEST_LIMIT = 900 if SLOW else 300


def pytest_configure(config):
    if not BIN or not os.access(BIN, os.X_OK):
        raise pytest.UsageError(
            "CHATAPI_BIN must name the program to test")


def pytest_collection_modifyitems(items):
    for item in items:
        if asyncio.iscoroutinefunction(getattr(item, "function", None)):
            item.fixturenames.append("end_chats")


@pytest.fixture(autouse=True)
def within_contract():
    """Nothing came during the test that the descriptions do not allow."""
    contract.take_faults()
    yield
    found = contract.take_faults()
    assert not found, f"{len(found)} outside the contract:\n" + \
        "\n".join(found[:5])


@pytest.fixture
async def end_chats():
    """No connection outlives the event loop of its test."""
    yield
    while Chat.alive:
        chat = Chat.alive.pop()
        chat.ws.transport.abort()
        await chat.reader


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        item.failed_somewhere = True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item, nextitem):
    def too_long(signum, frame):
        raise TimeoutError(f"the test took more than {TEST_LIMIT} s")

    old = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(TEST_LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


def keep_log(server, name):
    """Copies the log of a server whose test failed to where it stays."""
    where = os.environ.get("CHATAPI_E2E_LOGS")
    if not where or not os.path.exists(server.log_path):
        return
    os.makedirs(where, exist_ok=True)
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
    shutil.copy(server.log_path, os.path.join(where, name[:100] + ".log"))


def finish(server, failed, name):
    """The orderly end of a server; a failed test's is only cleared away."""
    try:
        if failed:
            print(server.log_tail())
        elif server.running():
            server.stop()
        else:
            server.check_log()
    except BaseException:
        failed = True
        raise
    finally:
        if failed:
            keep_log(server, name)
        server.destroy()
        server.remove()


@contextlib.contextmanager
def served(request, name, **kwargs):
    """A server that the tests of a module share."""
    server = Server(**kwargs)
    try:
        server.start()
        yield server
    finally:
        finish(server, request.session.testsfailed > 0 and
               not server.running(), name)


@pytest.fixture
def hook():
    """An endpoint for webhooks."""
    h = Hook()
    yield h
    h.close()


@pytest.fixture(scope="session")
def shared_server(request):
    server = Server(workers=3)
    try:
        server.start()
        yield server
    finally:
        failed = request.session.testsfailed > 0 and not server.running()
        finish(server, failed, "shared")


@pytest.fixture
def server(request, shared_server):
    """Three workers, no rate limit; shared, so a test makes its own
    tenants.  No process of it may end during a test."""
    s = shared_server
    before = until(s.whole, "all processes of the server are there")
    start = len(s.log())
    yield s
    if getattr(request.node, "failed_somewhere", False):
        print(s.log()[start:][-8000:])
        keep_log(s, request.node.name)
    assert s.running(), "the server ended:\n" + s.log_tail()
    assert s.children() == before, "a process died:\n" + s.log_tail()
    s.check_log()


@pytest.fixture
def tenant(server):
    return Tenant(server)


@pytest.fixture
def start_server(request):
    """Makes a server of the test's own; stopped and checked at the end."""
    servers = []

    def start(*args, launch=True, **kwargs):
        server = Server(*args, **kwargs)
        servers.append(server)
        if launch:
            server.start()
        return server

    yield start
    failed = getattr(request.node, "failed_somewhere", False)
    errors = []
    for i, server in enumerate(reversed(servers)):
        try:
            finish(server, failed, f"{request.node.name}-{i}")
        except AssertionError as e:
            errors.append(e)
    if errors:
        raise errors[0]
