# SPDX-License-Identifier: MIT
"""The soak's judge: flat is flat, and whatever leaks is seen.

The half hour itself is tests/e2e/soak.
"""
import random

import pytest

from soaker import judge
from soaker.judge import MIB, Bounds, Life, Sample
from soaker.truth import Truth

BOUNDS = Bounds()
IDLE = {"worker": [15], "courier": [12, 14]}
HOUR_HALF = 1800


def life(private, fds=lambda at, low: 15 if low else 120, until=HOUR_HALF,
         began=0, name="worker 0", threads=lambda at: 1):
    """A process with private(at) MiB, looked at each 5 s; each 150 s, as in
    the real run, everybody leaves."""
    rng = random.Random(7)
    samples = []
    for at in range(began, until, 5):
        low = at % 150 == 145
        noise = 0 if low else rng.uniform(-0.2, 0.2)
        own = int((private(at) + noise) * MIB)
        samples.append(Sample(at, own, own, own, fds(at, low), threads(at),
                              low))
    return Life(name, 100, samples, began)


def bad(*lives):
    return [v.what for v in judge.all_lives(lives, IDLE, BOUNDS)
            if not v.good]


def test_flat():
    one = life(lambda at: 4)
    assert len(judge.memory(one, BOUNDS)) == 2
    assert bad(one) == []


def test_warming_up_is_no_leak():
    """It fills its caches, by however much, and then stands."""
    assert bad(life(lambda at: 2 + 5 * min(1, at / 170))) == []


def test_peaks_are_no_leak():
    """A storm in the last minutes, gone again."""
    assert bad(life(lambda at: 4 + (9 if 1600 < at < 1660 else 0))) == []


@pytest.mark.parametrize("per_minute", [0.12, 0.5, 4])
def test_memory_that_grows(per_minute):
    assert bad(life(lambda at: 4 + per_minute * at / 60)) == \
        ["memory", "memory"]


def test_what_may_grow_depends_on_size():
    """5 percent of 100 MiB are more than the 1 MiB of a small one."""
    assert bad(life(lambda at: 100 + 4 * at / HOUR_HALF)) == []
    assert bad(life(lambda at: 4 + 4 * at / HOUR_HALF)) == \
        ["memory", "memory"]


def test_memory_that_is_never_given_back_at_low_tide():
    """Under load it is lost in the load; when all are gone it is seen."""
    def private(at):
        if at % 150 == 145:
            return 4 + at / 600
        return 20
    assert bad(life(private)) == ["memory"]


def test_a_process_that_was_replaced_begins_anew():
    old = life(lambda at: 9, until=900)
    new = life(lambda at: 4, began=900)
    assert bad(old, new) == []
    assert bad(old, life(lambda at: 4 + at / 300, began=900)) == \
        ["memory", "memory"]


def test_a_short_life_is_judged_by_its_descriptors():
    assert judge.memory(life(lambda at: 4 + at, until=240), BOUNDS) == []
    assert bad(life(lambda at: 4, lambda at, low: 16 if low else 99,
                    until=240)) == ["descriptors"]


def test_one_descriptor_that_stays_open():
    def fds(at, low):
        return (15 if low else 120) + (1 if at > 1500 else 0)
    assert bad(life(lambda at: 4, fds)) == ["descriptors"]


def test_one_descriptor_too_few():
    """The reserve for when there are none is spent and not made again."""
    assert bad(life(lambda at: 4, lambda at, low: 14 if low else 99)) == \
        ["descriptors"]


@pytest.mark.parametrize("leaked", [-1, 0, 1])
def test_what_is_opened_with_the_first_use(leaked):
    """12 before, 14 after; nothing else."""
    def fds(at, low):
        return 12 if at < 300 else 14 + leaked
    assert bad(life(lambda at: 4, fds, name="courier")) == \
        (["descriptors"] if leaked else [])


def test_links_to_a_webhook_may_stay():
    one = life(lambda at: 4)
    for s in one.samples:
        if s.low:
            s.fds, s.kept = s.fds + 3, 3
    assert bad(one) == []


def test_descriptors_that_rise_under_load():
    def fds(at, low):
        return 15 if low else 120 + at // 10
    assert bad(life(lambda at: 4, fds)) == ["descriptors under load"]


def test_a_thread_more():
    assert bad(life(lambda at: 4, threads=lambda at: 1 + (at > 600))) == \
        ["threads"]


def test_wal():
    assert [v.good for v in judge.log_file([1, 20 * MIB], BOUNDS)] == [True]
    assert [v.good for v in judge.log_file([1, 99 * MIB], BOUNDS)] == [False]


def test_slope():
    assert judge.slope([(x, 3 * x + 1) for x in range(9)]) == \
        pytest.approx(3)
    assert judge.slope([(1, 5)]) == judge.slope([(1, 5), (1, 6)]) == 0


# ---- what was acknowledged ----

def message(seq, content="x", **more):
    return {"seq": seq, "content": content, **more}


@pytest.fixture
def truth():
    t = Truth()
    for seq in (1, 2, 3):
        t.sent("room", seq, "x")
    return t


def test_all_is_there(truth):
    assert truth.faults("room", [message(n) for n in (1, 2, 3, 4)]) == []


@pytest.mark.parametrize("history", [
    [message(1), message(2)],
    [message(1), message(3)],
    [message(1), message(2), message(2), message(3)],
    [message(1), message(2), message(3, "y")],
    [message(1), message(2), {"seq": 3, "deleted_at": "now"}]])
def test_what_is_not_as_it_was_acknowledged(truth, history):
    assert truth.faults("room", history)


def test_edits_and_deletions(truth):
    truth.edited("room", 1, "y", sure=False)    # it may be or not be
    truth.edited("room", 2, "y", sure=True)
    truth.deleted("room", 3, sure=True)
    gone = {"seq": 3, "deleted_at": "now"}
    for first in ("x", "y"):
        assert truth.faults(
            "room", [message(1, first), message(2, "y"), gone]) == []
    assert truth.faults("room", [message(1), message(2, "x"), gone])
    assert truth.faults("room", [message(1), message(2, "y"), message(3)])
    truth.deleted("room", 1, sure=False)
    for first in (message(1), {"seq": 1, "deleted_at": "now"}):
        assert truth.faults("room", [first, message(2, "y"), gone]) == []


def test_two_messages_of_one_number(truth):
    with pytest.raises(AssertionError):
        truth.sent("room", 3, "another")
