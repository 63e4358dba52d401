# SPDX-License-Identifier: MIT
"""The randomised checker with seeds that stay the same, so that a change
which breaks something is seen by all who make it.  For others, and for
longer: tests/e2e/check."""
import pytest

from checker import main
from harness import SLOW

# Between them they have every kind of fault.
SEEDS = ["8"] if SLOW else ["8", "2"]
SECONDS = 25 if SLOW else 50


def run(seed, seconds, record_property, *more):
    o = main.options(["--seed", seed, "--seconds", str(seconds), *more])
    failure, done = main.check(o)
    record_property("done", done)
    print(done)
    if failure is not None:
        pytest.fail(failure, pytrace=False)


@pytest.mark.parametrize("seed", SEEDS)
def test_clients_end_up_with_the_log(seed, record_property):
    run(seed, SECONDS, record_property)


@pytest.mark.long
@pytest.mark.parametrize("seed", ["3", "4"])
def test_clients_end_up_with_the_log_in_minutes(seed, record_property):
    run(seed, 120, record_property)
