"""The replicated log as each node holds it, lanes, the buffer and the books of events and output: all by example."""

from __future__ import annotations

import pytest

from swarmtui.console.feed import BUFFERED_MAX, Buffer
from swarmtui.console.model.event_book import EVENTS_MAX, EventBook, matching
from swarmtui.console.model.fold import Model
from swarmtui.console.model.lanes import Lane, lane_cells
from swarmtui.console.model.log_book import LogBook
from swarmtui.console.model.observations import EventSeen, MarkSeen
from swarmtui.console.model.output_book import OutputBook
from swarmtui.console.model.standing import Standing
from swarmtui.console.rehearsal import Rehearsal
from swarmtui.objects.events import Event
from swarmtui.wire.node_calls import LOG_RANGE_MAX, LogLine, LogLines, OutputLine, OutputLines

NODES = ("n1", "n2", "n3")


def lines(first: int, last: int, term: int, commit: int) -> LogLines:
    return LogLines(
        tuple(LogLine(i, term, "transactions", f"put k{i}", 9, i <= commit) for i in range(first, last + 1)),
        1,
        last,
        commit,
    )


def diverged() -> LogBook:
    """n1 wrote 9 and 10 in term 5 and was cut off; n2 and n3 went on in term 6 and committed."""
    book = LogBook()
    for name, last, commit in (("n1", 10, 8), ("n2", 9, 9), ("n3", 9, 8)):
        book.mark(name, first=1, last=last, commit=commit)
    book.answer("n1", lines(7, 10, 5, 8))
    for name, commit in (("n2", 9), ("n3", 8)):
        book.answer(name, lines(7, 8, 5, commit))
        book.answer(name, lines(9, 9, 6, commit))
    return book


def test_every_cell_tells_that_nodes_own_term_and_own_commit() -> None:
    rows = diverged().rows(NODES, NODES, "n2", 10, 4)
    assert [row.index for row in rows] == [10, 9, 8, 7]
    nine = rows[1]
    assert [cell.term for cell in nine.cells] == [5, 6, 6]
    assert [cell.committed for cell in nine.cells] == [False, True, False]
    assert (nine.term, nine.holders, nine.committed, nine.note) == (6, 2, True, "n1 differs")
    assert [cell.state for cell in rows[0].cells] == ["held", "absent", "absent"]
    assert not rows[0].committed


def test_an_overwritten_tail_is_forgotten() -> None:
    book = diverged()
    book.mark("n1", first=1, last=9, commit=9, truncated_from=9)
    assert 9 not in book.nodes["n1"].lines
    assert book.missing(NODES, 9, 3) == [("n1", 9, 9)]


def test_only_what_is_in_sight_and_unknown_is_asked_for() -> None:
    book = LogBook()
    book.mark("n1", first=50, last=1000, commit=1000)
    book.mark("n2", first=1, last=995, commit=995)
    assert book.missing(NODES, 1000, 10) == [("n1", 991, 1000), ("n2", 991, 995)]
    book.answer("n1", lines(994, 1000, 2, 1000))
    assert book.missing(("n1",), 1000, 10) == [("n1", 991, 993)]
    assert book.missing(("n1",), 55, 10) == [("n1", 50, 55)]
    ((_, first, last),) = book.missing(("n2",), 995, 5000)
    assert last - first + 1 == LOG_RANGE_MAX


def test_a_log_that_grows_fast_is_shown_from_where_it_can_be_read() -> None:
    book = LogBook()
    for name in NODES:
        book.mark(name, first=1, last=100, commit=100)
        book.answer(name, lines(90, 100, 2, 100))
    assert book.readable(NODES) == 100
    book.mark("n3", first=1, last=90, commit=90)  # it lags, and has told all it has
    assert book.readable(NODES) == 100
    book.mark("n1", first=1, last=300, commit=290)
    book.mark("n2", first=1, last=290, commit=290)
    assert book.readable(NODES) == 100
    book.answer("n1", lines(200, 300, 2, 290))
    assert book.readable(NODES) == 100  # n2 is still to tell
    book.answer("n2", lines(190, 280, 2, 290))
    assert book.readable(NODES) == 280
    book.mark("n1", first=1, last=9000, commit=9000)
    assert book.readable(NODES) == 9000  # nobody has told anything for long: show what there is


def test_a_log_that_ends_far_behind_is_asked_for_its_own_end_and_holds_nobody_up() -> None:
    """n3 was cut off while nobody looked at the log: what it never told must not keep the newest from the screen."""
    book = LogBook()
    for name in NODES:
        book.mark(name, first=1, last=100, commit=100)
        book.answer(name, lines(90, 100, 2, 100))
    book.mark("n3", first=1, last=150, commit=150)
    for name in ("n1", "n2"):
        book.mark(name, first=1, last=600, commit=600)
        book.answer(name, lines(590, 600, 2, 600))
    assert ("n3", 131, 150) in book.newest(NODES, 20)
    book.answer("n3", lines(131, 150, 2, 150))
    assert book.readable(NODES) == 600


def test_what_lies_in_a_snapshot_is_a_block() -> None:
    book = LogBook()
    book.mark("n1", first=50, last=60, commit=60)
    book.mark("n2", first=1, last=60, commit=60)
    assert [cell.state for cell in book.rows(("n1", "n2"), ("n1", "n2"), "n1", 49, 1)[0].cells] == ["compacted", "held"]


def test_a_copy_stands_still() -> None:
    book = diverged()
    copy = book.copy()
    book.mark("n1", first=1, last=9, commit=9, truncated_from=9)
    assert copy.nodes["n1"].last == 10
    assert copy.nodes["n1"].lines[9][0] == 5


def test_a_lane_has_no_hole_where_the_console_came() -> None:
    lane = Lane()
    lane.note(1030.0, Standing.ASKING, 0)
    lane.recall(1001.0, Standing.FOLLOWER, 7)
    lane.note(1033.0, Standing.FOLLOWER, 7)
    cells = lane_cells(lane.changes, 1060.0, 60)
    assert {cell.standing for cell in cells[2:]} == {Standing.FOLLOWER}


def test_a_candidacy_of_80_ms_is_seen_in_a_lane_of_whole_seconds() -> None:
    lane = Lane()
    lane.note(1000.0, Standing.FOLLOWER, 7)
    lane.note(1030.20, Standing.CANDIDATE, 8)
    lane.note(1030.28, Standing.LEADER, 8)
    cells = lane_cells(lane.changes, 1059.5, 60)
    assert cells[29].standing is Standing.FOLLOWER
    assert cells[30].standing is Standing.CANDIDATE
    assert [cell.standing for cell in cells[31:]] == [Standing.LEADER] * 29
    assert cells[30].term == 8


def test_a_lane_moves_by_whole_cells() -> None:
    lane = Lane()
    for second in range(0, 60, 7):
        lane.note(1000.0 + second, Standing.LEADER if second % 2 else Standing.FOLLOWER, second)
    before = lane_cells(lane.changes, 1060.0, 30)
    assert lane_cells(lane.changes, 1061.9, 30) == before
    assert lane_cells(lane.changes, 1062.1, 30)[:-1] == before[1:]


def test_what_was_before_we_came_is_recalled_and_what_we_saw_is_not_touched() -> None:
    lane = Lane()
    lane.recall(900.0, Standing.LEADER, 1)  # before anything is known of the node: no lane to put it on
    lane.note(1000.0, Standing.FOLLOWER, 3)
    lane.recall(950.0, Standing.LEADER, 2)
    lane.recall(990.0, Standing.FOLLOWER, 3)
    lane.recall(1001.0, Standing.LEADER, 9)
    assert [(moment, term) for moment, _, term in lane.changes] == [(950.0, 2), (990.0, 3), (1000.0, 3)]


def test_a_lane_forgets_what_is_long_gone() -> None:
    lane = Lane()
    for second in range(5000):
        lane.note(float(second), Standing.LEADER if second % 2 else Standing.FOLLOWER, second)
    assert len(lane.changes) < 80
    assert lane_cells(lane.changes, 4999.0, 60)[0].standing is not None


def event(seq: int, time: float, text: str = "x", kind: str = "task") -> Event:
    return Event(time, "n1", seq, kind, text)


def test_events_of_several_nodes_stand_in_the_order_of_time() -> None:
    book = EventBook()
    for seq, time in enumerate((1.0, 3.0, 2.0, 4.0)):
        book.add(event(seq, time), 5.0)
    assert [e.time for e in book.events] == [1.0, 2.0, 3.0, 4.0]


def test_events_are_bounded_and_counted() -> None:
    book = EventBook()
    for seq in range(EVENTS_MAX + 100):
        book.add(event(seq, 100.0 + seq / 1000), 100.0 + seq / 1000)
    assert len(book.events) == EVENTS_MAX
    assert book.count == EVENTS_MAX + 100
    assert book.rate(105.0) == pytest.approx(1000.0, rel=0.01)


def test_a_filter_wants_all_words() -> None:
    events = [event(1, 1.0, "n3 leads term 8", "election"), event(2, 2.0, "n2 leads term 9", "election"), event(3, 3.0)]
    assert [e.seq for e in matching(events, "election term 8", 10)] == [1]
    assert [e.seq for e in matching(events, "LEADS", 1)] == [2]


def test_output_of_several_tasks_is_merged_by_time() -> None:
    book = OutputBook()
    book.begin("web")
    book.label("a", "web.1@n1", "w", 0)
    book.add(OutputLines("a", (OutputLine(1.0, "stdout", "one"), OutputLine(3.0, "stderr", "three"))))
    book.add(OutputLines("b", (OutputLine(2.0, "stdout", "two"),), missing=""))
    assert [(row.text, row.error) for row in book.rows] == [("one", False), ("two", False), ("three", True)]
    assert [row.label for row in book.rows] == ["web.1@n1", "b", "web.1@n1"]


def test_a_flood_sheds_overtaken_marks_first_and_says_how_many() -> None:
    play = Rehearsal()
    model, buffer = Model(play.manifest), Buffer()
    play.start(lambda observation: buffer.put(observation, play.now))
    for seq in range(100):
        play.say(EventSeen(event(seq, float(seq))))
    mark = play.mark(play.actors["n1"])
    for _ in range(BUFFERED_MAX):
        play.say(MarkSeen("n1", mark))
    assert len(buffer) <= BUFFERED_MAX
    assert buffer.shed > 0
    while buffer.drain(model):
        pass
    assert model.events.count == 100
