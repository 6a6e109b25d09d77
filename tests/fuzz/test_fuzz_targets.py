"""Every target with the bytes that hypothesis thinks of: noise, good inputs, and good inputs that were changed a little.

Longer, guided by coverage: `python -m tests.fuzz TARGET`. An input that ever failed stands in `found/TARGET-*` for good.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, Target

FOUND = Path(__file__).parent / "found"
NOISE_BYTES_MAX = 600
DECISIONS_BYTES = 800, 1500
EXAMPLES = 200


@st.composite
def changed(draw: st.DrawFn, good: list[bytes]) -> bytes:
    """A good input in which up to eight places were overwritten, cut out or filled in."""
    data = bytearray(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, len(data)))
        until = at + draw(st.sampled_from((0, 1, 1, 1, 4, 30)))
        data[at:until] = draw(st.one_of(st.binary(min_size=1, max_size=1), st.binary(max_size=12)))
    return bytes(data)


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    if target.decides:
        return st.binary(min_size=DECISIONS_BYTES[0], max_size=DECISIONS_BYTES[1])
    noise = st.binary(max_size=NOISE_BYTES_MAX)
    good = target.seeds()
    return noise if not good else st.one_of(changed(good), changed(good), noise)


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_any_bytes(target):
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(inputs(target))
    def run(data):
        target.run(data)

    run()


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_good_inputs_are_taken(target):
    for data in target.seeds():
        target.run(data)


@pytest.mark.parametrize("path", sorted(FOUND.glob("*")), ids=lambda path: path.name)
def test_what_was_found_once(path):
    TARGETS[path.name.split("-", 1)[0]].run(path.read_bytes())
