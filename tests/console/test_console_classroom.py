"""What a class sees in an hour with the console: each scene is one in which it once showed something stale, or nothing."""

from __future__ import annotations

import asyncio

from swarmtui.console.backend import Answer
from swarmtui.console.modals.text import TextPage
from swarmtui.console.model.picture import FaultRow
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
