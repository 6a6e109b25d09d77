"""Durations, sizes, variables and templates, by example and by property."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.objects.interpolation import InvalidInterpolation, interpolate
from swarmtui.objects.notations import check_signal, merge_env, with_image_label
from swarmtui.objects.quantities import format_duration_ns, parse_duration_ns, parse_nano_cpus, parse_size_bytes
from swarmtui.objects.specs import ContainerSpec, TaskSpec
from swarmtui.objects.templates import TEMPLATE_FIELDS, check_template, fill_template


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1s", 10**9),
        ("500ms", 5 * 10**8),
        ("1m30s", 90 * 10**9),
        ("1h2m3.5s", 3723_500_000_000),
        (".5s", 5 * 10**8),
        ("2us", 2000),
        ("7ns", 7),
        ("0", 0),
        (0, 0),
    ],
)
def test_durations(text, nanoseconds):
    assert parse_duration_ns(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "5", 5, True, "-1s", "1 s", "1d", "s", "1s2", "9999999999h"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="write a duration such as"):
        parse_duration_ns(text)


@given(st.integers(0, 10**18))
def test_a_written_duration_reads_back_as_itself(nanoseconds):
    assert parse_duration_ns(format_duration_ns(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64M", 64 << 20),
        ("64MB", 64 << 20),
        ("64MiB", 64 << 20),
        ("1g", 1 << 30),
        ("512k", 1 << 19),
        (7, 7),
        ("1.5k", 1536),
    ],
)
def test_sizes(text, size):
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "1 M B", True, "1e9", "9" * 30])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="write a size such as"):
        parse_size_bytes(text)


def test_cpus():
    assert parse_nano_cpus("0.5") == 500_000_000
    assert parse_nano_cpus(2) == 2_000_000_000
    for text in ("nan", "inf", "-1", "x", True):
        with pytest.raises(ValueError):  # noqa: PT011 - each has a sentence of its own
            parse_nano_cpus(text)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("$A", "one"),
        ("${A}x", "onex"),
        ("$$A $${A}", "$A ${A}"),
        ("${NO:-d}", "d"),
        ("${NO-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${A:-d}", "one"),
        ("${A:+d}", "d"),
        ("${EMPTY:+d}", ""),
        ("${EMPTY+d}", "d"),
        ("${NO+d}", ""),
        ("${NO:-${A}-${NO2:-x}}", "one-x"),
        ("${A:?needed}", "one"),
        ("${NO:-}", ""),
    ],
)
def test_variables(text, result):
    missing: set[str] = set()
    assert interpolate(text, {"A": "one", "EMPTY": ""}, missing) == result
    assert missing == set()


def test_missing_variables_are_named_unless_they_are_not_used():
    missing: set[str] = set()
    assert interpolate("$NO ${A:-$UNUSED}", {"A": "x"}, missing) == " x"
    assert missing == {"NO"}


@pytest.mark.parametrize("text", ["$", "a $ b", "${", "${A", "${A:x}", "${}", "${NO?}", "${EMPTY:?why}", "${NO:-" * 30])
def test_what_is_no_variable(text):
    with pytest.raises(InvalidInterpolation):
        interpolate(text, {"A": "one", "EMPTY": ""}, set())


@given(st.text(alphabet="$ab{}:-?+ ", max_size=30))
def test_interpolation_ends_in_a_text_or_a_refusal(text):
    try:
        assert isinstance(interpolate(text, {"a": "1"}, set()), str)
    except InvalidInterpolation:
        assert "$" in text


def test_templates_that_are_known_pass_and_are_filled():
    for name in TEMPLATE_FIELDS:
        if name != "Service.Labels":
            check_template(f"a {{{{.{name}}}}} {{{{ .{name} }}}}")
    check_template('{{index .Service.Labels "tier"}}')
    check_template("no template } here {")
    text = fill_template('{{.Task.Slot}}-{{index .Service.Labels "a"}}', lambda name: name, lambda key: f"<{key}>")
    assert text == "Task.Slot-<a>"
    with pytest.raises(ValueError, match="not known"):
        check_template("{{.Service.Labels}}")


def test_merging_keeps_each_variable_once():
    assert merge_env(("A=1", "B=2"), ("A=3", "C=")) == ("A=3", "B=2", "C=")


def test_a_named_image_is_kept_and_a_default_one_renewed():
    before = with_image_label(TaskSpec(ContainerSpec(args=("sleep", "1"))))
    changed = TaskSpec(ContainerSpec(image=before.container_spec.image, args=("sleep", "2")))
    assert with_image_label(changed, before=before).container_spec.image != before.container_spec.image
    named = TaskSpec(ContainerSpec(image="v1", args=("sleep", "2")))
    assert with_image_label(named, before=before) == named


@pytest.mark.parametrize("text", ["SIGINT", "int", "2"])
def test_stop_signals(text: str) -> None:
    assert check_signal(text) == "SIGINT"


@pytest.mark.parametrize("text", ["SIGNOTHING", "", "999"])
def test_unknown_stop_signals(text: str) -> None:
    with pytest.raises(ValueError, match="is no signal"):
        check_signal(text)
