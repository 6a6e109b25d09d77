"""Whatever happens and whatever is pressed: no exception, no screen that lies about its own arithmetic."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmtui.console.model.fold import Model
from swarmtui.console.model.lanes import Lane, lane_cells
from swarmtui.console.model.log_book import LogBook
from swarmtui.console.model.quorum import Health, Quorum, largest_side
from swarmtui.console.model.standing import Standing
from swarmtui.console.panes.ink import Pen, fit
from swarmtui.console.rehearsal import Rehearsal
from swarmtui.objects.membership import majority
from swarmtui.wire.node_calls import LogLine, LogLines

NAMES = [f"n{number}" for number in range(1, 8)]
acts = st.one_of(
    st.tuples(
        st.sampled_from(["kill", "stop", "pause", "start", "resume", "drain", "activate"]), st.sampled_from(NAMES)
    ),
    st.tuples(st.just("heal")),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True).map(lambda names: ("partition", *names)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(acts, st.floats(0.01, 5.0), st.booleans()), max_size=12))
def test_any_play_gives_pictures_whose_arithmetic_holds(script) -> None:
    play = Rehearsal()
    model = Model(play.manifest)
    play.start(lambda observation: model.fold(observation, play.now))
    play.open()
    for act, seconds, host_answers in script:
        play.host_answers = host_answers
        play.play(*act)
        play.step(seconds, writes=2)
        play.say_host()
        picture = model.picture(play.now)
        quorum = picture.quorum
        assert 0 <= quorum.up <= quorum.voters == 5
        assert (quorum.health is Health.NO_QUORUM) == (quorum.known and quorum.up < majority(5))
        assert not quorum.held or picture.leadership.name
        assert all(service.running <= len(picture.tasks) for service in picture.services)
        for name in NAMES:
            loss = model.loss(play.now, gone=[name])
            assert loss.after.up <= loss.before.up
            assert loss.loses_quorum == (loss.before.up >= 3 > loss.after.up)


@given(st.integers(1, 9), st.data())
def test_the_largest_side_is_what_a_naive_count_finds(size: int, data) -> None:
    names = [f"n{number}" for number in range(size)]
    pairs = data.draw(st.sets(st.tuples(st.sampled_from(names), st.sampled_from(names)).filter(lambda p: p[0] != p[1])))
    cut = {frozenset(pair) for pair in pairs}
    naive = 0
    for one in names:
        count = 0
        for other in names:
            if {one, other} not in cut:
                count += 1
        naive = max(naive, count)
    assert largest_side(names, cut) == naive


@given(st.integers(1, 9), st.integers(0, 9), st.booleans())
def test_the_word_and_the_sentence_never_contradict_one_another(voters: int, up: int, held: bool) -> None:
    quorum = Quorum(voters, min(up, voters), held)
    text = f"{quorum.word} {quorum.sentence}"
    assert ("no writes" in text) == (quorum.up < quorum.needed)
    if quorum.health is Health.MAY_FAIL:
        assert text.startswith(f"{quorum.may_fail} MAY FAIL ")
        assert text.endswith(f" {quorum.may_fail} may fail")


@given(
    st.lists(st.tuples(st.floats(0, 200), st.sampled_from(list(Standing)), st.integers(0, 9)), max_size=40),
    st.integers(0, 120),
    st.floats(150, 300),
)
def test_a_lane_has_as_many_cells_as_are_asked_for(changes, width: int, now: float) -> None:
    lane = Lane()
    for moment, standing, term in sorted(changes, key=lambda change: change[0]):
        lane.note(moment, standing, term)
    assert len(lane_cells(lane.changes, now, width)) == width


@given(st.text(), st.integers(0, 40))
def test_a_field_is_exactly_as_wide_as_it_is(text: str, width: int) -> None:
    from rich.cells import cell_len

    clean = "".join(letter for letter in text if letter.isprintable())
    assert cell_len(fit(clean, width)) == width
    assert Pen(width).write(clean).column <= width


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60)), max_size=20))
def test_no_row_shows_an_entry_that_its_node_does_not_have(steps) -> None:
    book = LogBook()
    for first, last, commit, truncated in steps:
        book.answer(
            "n1", LogLines((LogLine(last, 1, "put", "x", 1, False),) if last else (), first, last, min(commit, last))
        )
        book.mark("n1", first=first, last=last, commit=min(commit, last), truncated_from=truncated)
        for row in book.rows(("n1",), ("n1",), "n1", 60, 60):
            (cell,) = row.cells
            assert (cell.state == "absent") == (row.index > last)
            assert not cell.committed or row.index <= min(commit, last)


KEYS = [
    "K",
    "S",
    "P",
    "R",
    "X",
    "D",
    "l",
    "u",
    "H",
    "space",
    "slash",
    "colon",
    "t",
    "question_mark",
    "1",
    "2",
    "3",
    "4",
    "5",
    "0",
]
KEYS += [
    "up",
    "down",
    "j",
    "k",
    "home",
    "end",
    "pageup",
    "pagedown",
    "enter",
    "escape",
    "y",
    "n",
    "tab",
    "a",
    "w",
    "left",
]


@pytest.mark.parametrize("seed", range(3))
def test_a_monkey_at_the_keys_breaks_nothing(ui, seed: int) -> None:
    dice = random.Random(seed)

    async def scene(app, play, pilot):
        for number in range(120):
            key = dice.choice(KEYS)
            await pilot.press(key)
            if number % 5 == 0:
                play.step(dice.random(), writes=1)
                app.paint()
            if number % 40 == 39:
                await pilot.resize_terminal(*dice.choice([(80, 24), (160, 48), (50, 12), (120, 30)]))
            assert app.is_running
        await pilot.press("escape", "escape")
        app.paint()

    ui(scene)
