"""The checker of histories: known good ones are accepted, known bad ones are not, and it agrees with trying everything."""

from __future__ import annotations

import random
import time

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmtui.sim.explanation import explain, shrink
from swarmtui.sim.history import NEVER, Kind
from swarmtui.sim.linearizability import Verdict, check_versions, judge, judge_key
from tests.sim.histories import (
    can_be_ordered,
    cas,
    conflict,
    delete,
    get,
    mutated,
    nothing_to_delete,
    overlapping_run,
    put,
)

GOOD = {
    "one after the other": [put(0, 1, "a", 1), get(2, 3, "a", 1)],
    "Herlihy and Wing, figure 1: overlapping writes seen in one order": [
        put(0, 4, "a", 1),
        put(1, 5, "b", 2),
        get(2, 3, "a", 1),
        get(6, 7, "b", 2),
    ],
    "a read beside a write may see either": [
        put(0, 1, "a", 1),
        put(2, 6, "b", 2),
        get(3, 4, "a", 1),
        get(4, 5, "b", 2),
    ],
    "an unknown write that never happened": [
        put(0, 1, "a", 1),
        put(2, NEVER, "b"),
        get(3, 4, "a", 1),
        get(9, 10, "a", 1),
    ],
    "an unknown write that happens long after": [
        put(0, 1, "a", 1),
        put(2, NEVER, "b"),
        get(3, 4, "a", 1),
        get(9, 10, "b", 7),
    ],
    "an unknown write that only a conflict shows": [
        put(0, 1, "a", 1),
        put(2, NEVER, "b"),
        conflict(5, 6, 1, 4),
        put(7, 8, "c", 9),
    ],
    "of two unknown writes the second is the one whose version a conflict tells": [
        put(0, 1, "a", 6),
        put(2, NEVER, "b"),
        cas(3, NEVER, 7, "c"),
        conflict(4, 5, 0, 9),
        get(6, 7, "c", 9),
    ],
    "the winner of two swaps": [put(0, 1, "a", 1), cas(2, 5, 1, "b", 3), conflict(2, 6, 1, 3), get(7, 8, "b", 3)],
    "created once": [cas(0, 3, 0, "a", 1), conflict(0, 3, 0, 1), get(4, 5, "a", 1)],
    "a swap that expected what an unknown write left": [put(0, NEVER, "a"), cas(4, 5, 2, "b", 3), get(6, 7, "b", 3)],
    "deleted, deleted again, created anew": [
        put(0, 1, "a", 1),
        delete(2, 3, 2),
        nothing_to_delete(4, 5),
        get(5, 6, None, 0),
        cas(6, 7, 0, "b", 3),
    ],
    "an unknown delete seen as absence": [put(0, 1, "a", 1), delete(2, NEVER), get(3, 4, "a", 1), get(5, 6, None, 0)],
    "equal values by different writers": [
        put(0, 9, "a", 1),
        put(0, 9, "a", 2),
        get(1, 2, "a", 1),
        get(3, 4, "a", 2),
    ],
    "an unknown write with the value of another": [
        put(0, 1, "a", 1),
        put(2, NEVER, "a"),
        get(3, 4, "a", 1),
        get(5, 6, "a", 5),
    ],
}
BAD = {
    "a value that nobody wrote": [put(0, 1, "a", 1), get(2, 3, "b", 2)],
    "stale read after a write (etcd#20418)": [put(0, 1, "a", 1), put(2, 3, "b", 2), get(4, 5, "a", 1)],
    "new, then old: two reads beside one write (new-old inversion)": [
        put(0, 1, "a", 1),
        put(2, 9, "b", 2),
        get(3, 4, "b", 2),
        get(5, 6, "a", 1),
    ],
    "a lost write": [put(0, 1, "a", 1), get(2, 3, None, 0)],
    "two swaps of one version both succeed": [put(0, 1, "a", 1), cas(2, 5, 1, "b", 2), cas(2, 5, 1, "c", 3)],
    "a refused swap that found what it expected": [put(0, 1, "a", 1), conflict(2, 3, 1, 1)],
    "a conflict with a version that nobody wrote": [put(0, 1, "a", 1), conflict(2, 3, 7, 4), get(5, 6, "a", 1)],
    "an unknown write applied twice": [
        put(0, 1, "a", 1),
        put(2, NEVER, "b"),
        get(3, 4, "b", 2),
        put(5, 6, "c", 3),
        get(7, 8, "b", 4),
    ],
    "an unknown write that disappears again": [
        put(0, 1, "a", 1),
        put(2, NEVER, "b"),
        get(3, 4, "b", 2),
        get(5, 6, "a", 1),
    ],
    "a version that falls": [put(0, 1, "a", 5), put(2, 3, "b", 4)],
    "resurrected after a delete": [put(0, 1, "a", 1), delete(2, 3, 2), get(4, 5, "a", 1)],
    "deleted twice": [put(0, 1, "a", 1), delete(2, 5, 2), delete(2, 5, 3)],
    "the version of one write with the value of another": [put(0, 1, "a", 1), put(2, 3, "b", 2), get(4, 5, "a", 2)],
    "a write seen before it was asked for": [get(0, 1, "a", 1), put(2, 3, "a", 1)],
}


@pytest.mark.parametrize("name", GOOD)
def test_good_history_is_accepted(name):
    assert judge_key(GOOD[name]).verdict is Verdict.LINEARIZABLE
    assert can_be_ordered(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_bad_history_is_refused_and_explained(name):
    assert judge_key(BAD[name]).verdict is Verdict.VIOLATED
    assert not can_be_ordered(BAD[name])
    assert "one of these had to come next" in explain(BAD[name])


@given(st.integers(0, 2**40), st.integers(1, 60), st.sampled_from([0.0, 0.1, 0.4]))
@settings(max_examples=200, deadline=None)
def test_sequential_run_with_overlap_is_linearizable(seed, count, unknown):
    history = overlapping_run(random.Random(seed), count, unknown)
    judgement = judge_key(history)
    assert judgement.verdict is Verdict.LINEARIZABLE
    placed = {one.client for one in judgement.order}
    assert placed >= {one.client for one in history if not one.is_open}


@given(st.integers(0, 2**40), st.integers(1, 7))
@settings(max_examples=400, deadline=None)
def test_agrees_with_trying_everything(seed, count):
    rng = random.Random(seed)
    history = overlapping_run(rng, count, 0.3)
    for _ in range(3):
        history = mutated(rng, history)
        expected = Verdict.LINEARIZABLE if can_be_ordered(history) else Verdict.VIOLATED
        assert judge_key(history).verdict is expected, [str(one) for one in history]


@given(st.integers(0, 2**40))
@settings(max_examples=60, deadline=None)
def test_the_smallest_explanation_is_itself_impossible(seed):
    rng = random.Random(seed)
    history = mutated(rng, overlapping_run(rng, 40, 0.2))
    if judge_key(history).verdict is Verdict.VIOLATED:
        smallest = shrink(history)
        assert judge_key(smallest).verdict is Verdict.VIOLATED
        assert len(smallest) <= len(history)


def test_explanation_names_the_stale_read_and_leaves_out_the_rest():
    others = [get(10 + n, 11 + n, "b", 2) for n in range(50)]
    history = [put(0, 1, "a", 1), put(2, 3, "b", 2), get(5, 6, "a", 1), *others, put(70, 71, "c", 3)]
    text = explain(history)
    assert "of 54 operations these 3 suffice" in text
    assert "get k -> version 1 a: the key is at version 2 = b'b'" in text


def test_keys_are_judged_apart():
    bad = [attrs.evolve(one, key="other") for one in BAD["a lost write"]]
    verdicts = {one.key: one.verdict for one in judge([*GOOD["one after the other"], *bad])}
    assert verdicts == {"k": Verdict.LINEARIZABLE, "other": Verdict.VIOLATED}


def test_versions_of_different_keys_follow_real_time():
    first = attrs.evolve(put(0, 1, "a", 5), key="one")
    assert check_versions([first, put(2, 3, "b", 6)]) is None
    assert check_versions([first, put(0.5, 3, "b", 4)]) is None
    second = put(2, 3, "b", 4)
    assert check_versions([first, second]) == (first, second)
    assert judge_key([second]).verdict is Verdict.LINEARIZABLE  # by itself nothing is wrong with it


def test_gives_up_within_its_limit_and_says_so():
    rng = random.Random(1)
    history = [put(rng.uniform(0, 1), 10, f"{n}") for n in range(40)] + [get(11, 12, "nobody", 3)]
    judgement = judge_key(history, steps_max=2000)
    assert judgement.verdict is Verdict.UNDECIDED
    assert judgement.steps < 20_000


def test_long_history_with_many_unknown_writes_is_quick():
    history = overlapping_run(random.Random(5), 3000, 0.1, repeated=0.0)
    assert sum(1 for one in history if one.is_open and one.kind is not Kind.GET) > 100
    began = time.process_time()
    assert judge_key(history).verdict is Verdict.LINEARIZABLE
    assert time.process_time() - began < 5.0
