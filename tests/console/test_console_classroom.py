"""What a class sees in an hour with the console: each scene is one in which it once showed something stale, or nothing."""

from __future__ import annotations

import asyncio

import attrs
import pytest
from rich.cells import cell_len

from swarmtui.console.backend import Answer
from swarmtui.console.modals.confirm import Confirm
from swarmtui.console.modals.text import TextPage
from swarmtui.console.model.picture import FaultRow
from swarmtui.console.model.quorum import Loss, Quorum
from swarmtui.console.orders import Order, question_for
from swarmtui.console.panes.ink import fit_name, one_line
from swarmtui.console.panes.log_grid import ENTRY_WIDTH_FAIR, LogGrid
from swarmtui.console.panes.status_line import together
from tests.console.test_console_keys import asked, settle, shown, until


def test_the_log_goes_on_after_a_cut_that_happened_while_nobody_looked_at_it(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("2")  # another pane stands before the log
        for _ in range(20):
            play.step(0.5, writes=5)
        play.play("partition", "n1", "n2")
        for _ in range(20):
            play.step(0.5, writes=10)
        await pilot.press("1")
        newest = play.leader.last
        await until(app, pilot, lambda: f" {newest} t8 " in shown(app))

    ui(scene)


def test_a_page_of_details_goes_on_while_it_is_open(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("enter")
        await asked(app, pilot, TextPage)
        before = app.screen.text
        play.step(1.0, writes=7)
        app.paint()
        app.screen._look_again()
        assert app.screen.text != before
        assert f"log           1 to {play.leader.last}, committed {play.leader.last}" in app.screen.text
        await pilot.press("escape", "down", "enter")
        await asked(app, pilot, TextPage)
        assert "hears" not in app.screen.text  # a follower can vouch for nobody

    ui(scene)


def test_the_help_fits_the_width_of_a_classroom_and_says_that_there_is_more(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("question_mark")
        await asked(app, pilot, TextPage)
        page = app.screen.query_one("#page")
        await until(app, pilot, lambda: page.border_subtitle)
        assert page.max_scroll_x == 0
        assert page.border_subtitle == "↑ ↓ more   esc"

    ui(scene, size=(80, 24))


def test_three_broken_nodes_are_all_named_on_a_narrow_screen(ui) -> None:
    async def scene(app, play, pilot):
        for name in ("n4", "n5", "n6"):
            play.play("kill", name)
            play.step(1.0, writes=1)
        app.paint()
        await settle(app, pilot)
        line = app.cluster.status._lines[2]
        assert "".join(text for text, _ in line).startswith(" broken  ✗ n6 n5 n4 killed 1s  R on each")

    ui(scene, size=(80, 24))


def test_faults_of_links_are_never_taken_together() -> None:
    def row(number: int, kind: str, text: str, *nodes: str) -> FaultRow:
        heals = {"kill": "R", "pause": "P"}.get(kind, "u")
        return FaultRow(number, kind, "✗", text, 100.0 + number, None, nodes, heals)

    rows = [
        row(4, "kill", "n3 killed", "n3"),
        row(3, "cut", "cut n1 n2", "n1", "n2"),
        row(2, "cut", "cut n4 n5", "n4", "n5"),
        row(1, "kill", "n1 killed", "n1"),
    ]
    assert [fault.text for fault in together(rows)] == ["n3 n1 killed", "cut n1 n2", "cut n4 n5"]


def test_a_long_filter_is_cut_and_never_silent(ui) -> None:
    async def scene(app, play, pilot):
        for size in ((80, 24), (60, 20)):
            await pilot.resize_terminal(*size)
            await pilot.press("slash", *"no row of this pane holds that", "enter")
            await settle(app, pilot)
            row = "".join(text for text, _ in app.cluster.tabs._lines[0])
            assert "/no row of" in row, size
            assert len(row) <= size[0]
            await pilot.press("escape")

    ui(scene)


def test_a_filter_is_told_also_beside_the_last_order(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("5", "slash", *"web", "enter", "0", "down", "K")
        await settle(app, pilot)
        row = "".join(text for text, _ in app.cluster.tabs._lines[0])
        assert "/web · " in row
        assert "$ swarmtui kill n2" in row

    ui(scene, size=(100, 30))


def test_a_tab_is_where_it_is_seen_when_its_neighbours_have_lost_their_names(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("slash", *"a filter", "enter")
        await settle(app, pilot)
        row = "".join(text for text, _ in app.cluster.tabs._lines[0])
        await pilot.click("TabRow", offset=(row.index("3") + 1, 0))
        await settle(app, pilot)
        assert app.cluster.active == 3

    ui(scene, size=(60, 20))


def test_the_chosen_row_is_marked_by_a_sign_and_not_by_its_ground_alone(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("3", "down", "down")
        await settle(app, pilot)
        rows = ["".join(text for text, _ in line) for line in app.cluster.task_list._lines]
        assert [row for row in rows if row.startswith("▸")] == [rows[3]]
        assert app.cluster.target.name in rows[3]
        assert "▹◆ n1" in shown(app)
        assert "▸◆ n1" not in shown(app)
        await pilot.press("0")
        await settle(app, pilot)
        rows = ["".join(text for text, _ in line) for line in app.cluster.task_list._lines]
        assert not [row for row in rows if row.startswith("▸")]  # now keys act upon the node
        assert "▸◆ n1" in shown(app)

    ui(scene)


def test_the_key_for_details_stands_beside_the_keys_that_change(ui) -> None:
    async def scene(app, play, pilot):
        assert "enter detail" in shown(app)

    ui(scene, size=(80, 24))


def test_every_change_key_is_whole_on_the_narrowest_screen(ui) -> None:
    async def scene(app, play, pilot):
        bar = "".join(text for text, _ in app.cluster.key_bar._lines[0])
        assert bar.strip() == "n1 ▸ K kill S stop P pause R restart X partition D drain"
        tabs = "".join(text for text, _ in app.cluster.tabs._lines[0])
        assert "2 Services" in tabs  # that the newest is first is worth no name of a pane

    ui(scene, size=(60, 20))


def test_an_order_that_nobody_carries_out_yet_stays_on_the_screen(ui) -> None:
    async def scene(app, play, pilot):
        waiting = asyncio.Event()

        async def run(words):
            await waiting.wait()
            return Answer(0)

        play.run = run  # the host is stopped
        await pilot.press("down", "down", "down", "K")
        await until(app, pilot, lambda: "$ swarmtui kill n4" in shown(app))
        play.step(30.0)
        app.paint()
        assert "$ swarmtui kill n4 …" in shown(app)
        waiting.set()
        await settle(app, pilot)
        play.step(30.0)
        app.paint()
        assert "$ swarmtui kill n4" not in shown(app)

    ui(scene)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (160, 48)])
def test_a_long_name_of_a_cluster_leaves_room_for_health_and_for_whether_this_is_live(ui, size) -> None:
    async def scene(app, play, pilot):
        app.model.manifest = attrs.evolve(app.model.manifest, name="a-name-of-forty-letters-that-goes-on-and")
        for key, said in (("", "LIVE"), ("space", "HELD")):
            if key:
                await pilot.press(key)
                for _ in range(1500):
                    play.event("n1", "task", "web.1 running", term=7)
            await settle(app, pilot)
            line = "".join(text for text, _ in app.cluster.status._lines[0])
            assert said in line, line
            assert "HEALTHY" in line
            assert len(line) <= size[0]

    ui(scene, size=size)


@pytest.mark.parametrize(
    ("written", "shown_as"),
    [
        ("\x1b[31mred\x1b[0m and \x1b[1;38;5;9mbold\x1b[m", "red and bold"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b(B\x1b=text\x1b", "text "),
        ("a\tb\rc\x00\u202ed", "a    b c  d"),
        ("[/] [bold]x[/bold]", "[/] [bold]x[/bold]"),
        ("日本語 ünï", "日本語 ünï"),
    ],
)
def test_what_a_task_wrote_for_a_terminal_is_read_as_text(written: str, shown_as: str) -> None:
    assert one_line(written) == shown_as


@pytest.mark.parametrize(
    ("name", "width", "fitted"),
    [
        ("web.1", 8, "web.1   "),
        ("a-service-with-a-long-name.12", 16, "a-service-wi….12"),
        ("a-service-with-a-long-name.1@n3", 20, "a-service-with….1@n3"),
        ("日本語のサービス.3", 10, "日本語 ….3"),
        ("agent.a-node-of-a-very-long-name", 12, "agent.a-nod…"),
    ],
)
def test_a_long_name_of_a_task_keeps_its_slot(name: str, width: int, fitted: str) -> None:
    assert fit_name(name, width).strip() == fitted.strip()
    assert cell_len(fit_name(name, width)) <= width


def test_the_rest_of_a_long_row_is_a_key_away(ui) -> None:
    async def scene(app, play, pilot):
        play.event("n1", "refused", "n1 refused n4: " + "why " * 30 + "that is the end")
        await pilot.press("5")
        await settle(app, pilot)
        assert "that is the end" not in shown(app)
        await pilot.press(*["right"] * 6)
        await settle(app, pilot)
        assert "that is the end" in shown(app)
        assert "←96" in "".join(text for text, _ in app.cluster.tabs._lines[0])
        await pilot.press(*["left"] * 9)
        await settle(app, pilot)
        assert "n4: why why" in shown(app)

    ui(scene)


def test_nine_managers_leave_room_to_read_an_entry() -> None:
    grid = LogGrid()
    grid._managers = tuple(f"n{number}" for number in range(1, 10))
    assert grid._fields_for(80).entry >= ENTRY_WIDTH_FAIR
    grid._fields = None
    assert grid._fields_for(200).gap == 1


def test_after_a_typed_command_keys_go_on_where_one_was_or_where_it_led(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("3", "down", "colon", *"status", "enter")
        await settle(app, pilot)
        assert app.cluster.focused is app.cluster.task_list
        await pilot.press("0", "colon", *"logs web", "enter")
        await settle(app, pilot)
        assert app.cluster.focused is app.cluster.output_view
        await pilot.press("0", "colon", "escape")
        await settle(app, pilot)
        assert app.cluster.focused is app.cluster.nodes

    ui(scene)


@pytest.mark.parametrize("size", [(60, 16), (80, 24)])
def test_a_question_about_many_services_keeps_its_answers_in_sight(ui, size) -> None:
    async def scene(app, play, pilot):
        picture = app.live_picture()
        lost = tuple(f"service-{number}: 1 of 1 running becomes 0" for number in range(12))
        loss = Loss(Quorum(5, 3, True), Quorum(5, 2, False), lost)
        question = question_for(Order(("kill", "n1")), loss, picture)
        assert "8 more services lose their last replica too." in question.lines
        app.push_screen(Confirm(question))
        await asked(app, pilot, Confirm)
        await until(app, pilot, lambda: app.screen.query_one("#no").region.height)
        text = shown(app)
        assert "Yes, kill (y)" in text
        assert "Managers up: 3 of 5 becomes 2 of 5" in text

    ui(scene, size=size)


def test_what_went_wrong_is_told_as_text_and_at_a_length_that_can_be_read(ui) -> None:
    async def scene(app, play, pilot):
        play.answers["kill [/] [bold"] = Answer(1, error="no such node, task or service: [/] [bold, " + "n1, " * 500)
        await pilot.press("colon", *"kill [/] [bold", "enter")
        await settle(app, pilot)
        (note,) = app._notifications
        assert note.message.startswith("no such node, task or service: [/] [bold, n1")
        assert note.message.endswith("…")
        assert len(note.message) <= 400
        await pilot.press("colon", *["x"] * 200, "enter")
        await settle(app, pilot)
        assert max(len(note.title) for note in app._notifications) <= 70

    ui(scene, toasts=True)


def test_words_in_brackets_are_words_in_every_title(ui) -> None:
    """They were read as markup, and what was none ended the console with a traceback."""

    async def scene(app, play, pilot):
        play.answers["ps '[/]'"] = play.answers["ps [/]"] = Answer(0, ("one", "two"))
        await pilot.press("colon", *"ps [/]", "enter")
        await asked(app, pilot, TextPage)
        assert "swarmtui ps '[/]'" in shown(app)
        await pilot.press("escape", "colon", *"kill n6 [/] [b]x", "enter")  # n6 runs the last of flaky
        await asked(app, pilot, Confirm)
        await until(app, pilot, lambda: "Kill n6 [/] [b]x?" in shown(app))
        await pilot.press("escape")
        await settle(app, pilot)

    ui(scene, toasts=True)


def test_no_escape_sequence_of_an_answer_reaches_the_terminal(ui) -> None:
    async def scene(app, play, pilot):
        play.answers["kv get a"] = Answer(0, ("\x1b[2J\x1b[Hone", "\x1b]0;title\x07two\x00"))
        await pilot.press("colon", *"kv get a", "enter")
        await asked(app, pilot, TextPage)
        assert app.screen.text == "one\ntwo "
        play.answers["kv get b"] = Answer(1, error="\x1b[31mno such key\nnot one")
        await pilot.press("colon", *"kv get b", "enter")
        await settle(app, pilot)
        assert [note.message for note in app._notifications] == ["no such key\nnot one"]

    ui(scene, toasts=True)


def test_the_next_command_is_typed_over_the_page_of_the_one_before(ui) -> None:
    async def scene(app, play, pilot):
        play.answers["ps"] = Answer(0, ("one", "two", "three"))
        await pilot.press("colon", *"ps", "enter")
        await asked(app, pilot, TextPage)
        await pilot.press("colon", *"service rm X", "enter")
        await settle(app, pilot)
        assert play.ran[-1] == ("service", "rm", "X")  # and X cut no network

    ui(scene)
