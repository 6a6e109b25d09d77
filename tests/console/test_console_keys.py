"""Every key, through the real application on a rehearsed cluster: what it runs, what it asks, what it shows."""

from __future__ import annotations

import pytest
from textual import events

from swarmtui.console.backend import Answer
from swarmtui.console.keys import KEYS
from swarmtui.console.modals.confirm import Confirm
from swarmtui.console.modals.partition import Partition
from swarmtui.console.modals.text import TextPage
from swarmtui.console.panes.command_line import complete

TURNS_MAX = 50


async def until(app, pilot, holds) -> None:
    """Let the application run until this holds; fails with what is on the screen."""
    for _ in range(TURNS_MAX):
        await pilot.pause()
        if holds():
            return
        app.paint()
    raise AssertionError(f"never came true; the screen shows\n{shown(app)}")


async def settle(app, pilot) -> None:
    """Let orders end and the screen come to rest."""
    await until(app, pilot, lambda: all(worker.is_finished for worker in app.workers))
    app.paint()
    await pilot.pause()


async def asked(app, pilot, kind) -> None:
    """Let the application run until a question of this kind is open."""
    await until(app, pilot, lambda: isinstance(app.screen, kind))


def test_no_key_has_two_meanings() -> None:
    keys = [key.key for key in KEYS]
    assert len(keys) == len(set(keys))
    assert all(key.changes == (key.key.isupper() or key.key == "u") for key in KEYS if len(key.key) == 1)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("K", ("kill", "n4")),
        ("S", ("stop", "n4")),
        ("P", ("pause", "n4")),
        ("R", ("restart", "n4")),
        ("D", ("drain", "n4")),
    ],
)
def test_change_keys_run_the_words_of_the_command_line(ui, key, words) -> None:
    async def scene(app, play, pilot):
        await pilot.press("down", "down", "down", key)
        await settle(app, pilot)
        assert play.ran == [words]
        assert f"swarmtui {' '.join(words)}" in shown(app)

    ui(scene)


def test_keys_turn_around_on_a_node_that_was_broken(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("down", "down", "down", "P")
        await settle(app, pilot)
        assert "PAUSED" in shown(app)
        await pilot.press("P")
        await settle(app, pilot)
        await pilot.press("K")
        await settle(app, pilot)
        assert "R bring back" in " ".join(shown(app).split())
        await pilot.press("K", "R")
        await settle(app, pilot)
        await pilot.press("D")
        await settle(app, pilot)
        await pilot.press("D")
        await settle(app, pilot)
        assert play.ran == [
            ("pause", "n4"),
            ("resume", "n4"),
            ("kill", "n4"),
            ("start", "n4"),
            ("drain", "n4"),
            ("activate", "n4"),
        ]

    ui(scene)


def test_undo_and_heal_only_where_something_is_broken(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("u", "H")
        await settle(app, pilot)
        assert play.ran == []
        await pilot.press("down", "K")
        await settle(app, pilot)
        await pilot.press("u")
        await settle(app, pilot)
        await pilot.press("K")
        await settle(app, pilot)
        await pilot.press("H")
        await settle(app, pilot)
        assert play.ran[1:] == [("undo",), ("kill", "n2"), ("heal",)]

    ui(scene)


def test_losing_the_quorum_is_asked_with_the_arithmetic_and_the_focus_on_no(ui) -> None:
    async def scene(app, play, pilot):
        for name in ("n4", "n5"):
            play.play("kill", name)
        play.step(1.0)
        app.paint()
        await pilot.press("K")
        await asked(app, pilot, Confirm)
        assert app.screen.question.lines[:2] == (
            "n1 leads term 7.",
            "Managers up: 3 of 5 becomes 2 of 5; 3 are needed.",
        )
        assert app.focused.id == "no"
        await pilot.press("enter")
        await settle(app, pilot)
        assert play.ran == []
        await pilot.press("K")
        await pilot.pause()
        await pilot.press("y")
        await settle(app, pilot)
        assert play.ran == [("kill", "n1")]
        assert "NO QUORUM" in shown(app)

    ui(scene)


def test_a_last_replica_is_asked_for(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("end", "K")  # n7 has ticker's only task
        await asked(app, pilot, Confirm)
        assert app.screen.question.lines[0] == "ticker: 1 of 1 running becomes 0."
        await pilot.press("escape")
        await settle(app, pilot)
        assert play.ran == []

    ui(scene)


def test_a_harmless_step_is_never_asked(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("K")
        await settle(app, pilot)
        assert play.ran == [("kill", "n1")]
        assert "n3 leads term 8 after 83 ms" in shown(app)

    ui(scene)


def test_partition_shows_both_sides_and_asks_before_it_loses_the_quorum(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("X")
        await asked(app, pilot, Partition)
        await pilot.press("right", "space", "enter")
        await settle(app, pilot)
        assert play.ran == [("partition", "n1", "n2")]
        text = shown(app)
        assert "LEADER?" in text
        assert "n1 claims" in text
        assert text.count("╳ cut") == 2

    ui(scene)


def test_a_task_is_the_target_while_its_pane_has_the_focus(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("3", "end", "K")
        await settle(app, pilot)
        assert play.ran == [("kill", "web.5")]
        await pilot.press("0", "down", "K")
        await settle(app, pilot)
        assert play.ran[-1] == ("kill", "n2")

    ui(scene)


def test_output_of_a_node_is_merged_and_marked(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("down", "l")
        await settle(app, pilot)
        assert [node for node, _ in play.listened] == ["n2", "n2"]
        assert "web.2@n2" in shown(app)
        assert "agent.n2" in shown(app)

    ui(scene)


def test_a_services_new_task_is_listened_to_as_well(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("2", "end", "l")
        await settle(app, pilot)
        assert len(play.listened) == 5
        play.play("kill", "n4")
        for _ in range(6):
            play.step(0.5)
            app.paint()
        assert len(play.listened) == 5
        assert "n4" not in {node for node, _ in play.listened}

    ui(scene)


def test_enter_tells_all_that_is_known(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("enter")
        await asked(app, pilot, TextPage)
        assert "hears         5 of 5 managers" in app.screen.text
        assert "● web.1" in app.screen.text
        await pilot.press("escape", "3", "end", "enter")
        await until(app, pilot, lambda: getattr(app.screen, "page_title", "") == "task web.5")
        assert "path          R" in app.screen.text
        await pilot.press("escape", "2", "enter")
        await until(app, pilot, lambda: getattr(app.screen, "page_title", "") == "service agent")
        assert "7 of 7 wanted, global" in app.screen.text

    ui(scene)


def test_hold_stands_still_while_the_cluster_runs_on(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("space")
        play.play("kill", "n4")
        play.step(2.0, writes=3)
        app.paint()
        await pilot.pause()
        held = shown(app)
        assert "HELD" in held
        assert "1 behind" in held
        assert "KILLED" not in held
        await pilot.press("space")
        await pilot.pause()
        assert "KILLED" in shown(app)
        assert "LIVE" in shown(app)

    ui(scene)


def test_orders_are_judged_by_the_living_cluster_not_by_the_held_view(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("space")
        for name in ("n4", "n5"):
            play.play("kill", name)
        await pilot.press("K")
        await asked(app, pilot, Confirm)

    ui(scene)


def test_filter_shows_matching_rows_and_esc_shows_all(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("3", "slash")
        await pilot.press(*"web.3")
        await pilot.pause()
        app.paint()
        await pilot.press("enter")
        await settle(app, pilot)
        assert [task.name for task in app.cluster.task_list.tasks] == ["web.3"]
        assert "/web.3" in shown(app)
        await pilot.press("escape")
        await settle(app, pilot)
        assert len(app.cluster.task_list.tasks) == 14

    ui(scene)


def test_the_log_is_filtered_and_scrolled_and_follows_again(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("1", "pagedown")
        await settle(app, pilot)
        top = app.cluster.log_grid._top_index
        play.step(0.5, writes=5)
        await settle(app, pilot)
        assert app.cluster.log_grid._top_index == top  # what one reads does not run away
        await pilot.press("home")
        play.step(0.5, writes=1)
        await until(app, pilot, lambda: app.cluster.log_grid._top_index == 154)
        await pilot.press("slash", *"cart", "enter")
        await settle(app, pilot)
        await settle(app, pilot)
        assert all("cart" in row.text for row in app.cluster.log_grid._found)

    ui(scene)


def test_the_command_line_runs_commands_and_shows_what_they_print(ui) -> None:
    async def scene(app, play, pilot):
        play.answers["status"] = Answer(0, ("demo: 5 of 5", "n1 leads"))
        await pilot.press("colon", *"status", "enter")
        await pilot.pause()
        await pilot.pause()
        assert play.ran == [("status",)]
        assert isinstance(app.screen, TextPage)
        await pilot.press("escape")
        await pilot.press("colon", "up", "enter")  # history
        await pilot.pause()
        assert play.ran == [("status",), ("status",)]

    ui(scene)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("", None),
        ("ki", "kill"),
        ("kill", None),
        ("kill n", "kill n1"),
        ("kill web.", "kill web.1"),
        ("service sc", "service scale"),
        ("kill n1", None),
        ("kill x", None),
    ],
)
def test_words_are_completed(value, meant) -> None:
    assert complete(value, ("kill", "service ls", "service scale"), ("n1", "n2", "web", "web.1")) == meant


def test_tab_takes_what_is_proposed(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("colon", *"ser")
        await pilot.pause()
        await pilot.press("tab", "space", "x")
        typed = app.cluster.command_line.query_one("#typed")
        assert typed.value == "service ls x"
        assert app.focused is typed

    ui(scene)


def test_a_typed_step_that_loses_the_quorum_is_asked_too(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("colon", *"kill n1 n2 n3", "enter")
        await asked(app, pilot, Confirm)

    ui(scene)


def test_a_command_that_fails_says_why(ui) -> None:
    async def scene(app, play, pilot):
        play.answers["kill n1"] = Answer(4, (), "no quorum: 2 of 5 managers answer, 3 are needed")
        await pilot.press("K")
        await settle(app, pilot)
        assert any("2 of 5 managers answer" in str(note.message) for note in app._notifications)

    ui(scene)


def test_while_a_question_is_open_no_other_key_acts(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("question_mark")
        await asked(app, pilot, TextPage)
        await pilot.press("K", "D", "t")
        await pilot.pause()
        assert play.ran == []
        await pilot.press("q")
        await pilot.pause()
        assert not app.screen.is_modal
        assert app.is_running

    ui(scene)


def test_watching_only_hides_what_changes(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("K", "u", "X", "colon")
        await pilot.pause()
        assert play.ran == []
        assert not app.screen.is_modal
        assert "WATCH" in shown(app)
        assert "kill" not in shown(app)

    ui(scene, watch=True)


def test_leaving_ends_the_application(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("q")
        await pilot.pause()
        assert app.return_value == 0

    ui(scene)


def test_a_small_window_says_how_large_it_must_be(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.resize_terminal(50, 12)
        await settle(app, pilot)
        text = shown(app)
        assert "HEALTHY" in text
        assert "make the window 60x16 or larger (now 50x12)" in text
        await pilot.resize_terminal(160, 48)
        await settle(app, pilot)
        text = shown(app)
        assert all(title in text for title in ("1 Raft", "2 Services", "3 Tasks", "5 Events"))
        await pilot.resize_terminal(80, 24)
        await settle(app, pilot)
        assert app.cluster.tabs.size.height == 1

    ui(scene)


def test_ascii_only_where_the_terminal_can_do_no_more(ui) -> None:
    async def scene(app, play, pilot):
        play.play("kill", "n1")
        play.step(1.0, writes=1)
        await settle(app, pilot)
        assert shown(app).isascii()
        assert "X n1 KILLED" in shown(app)

    ui(scene, ascii_only=True)


def test_what_is_typed_fast_after_a_colon_is_text_and_no_order(ui) -> None:
    async def scene(app, play, pilot):
        for key in (":", "K", "D", "t", "q"):
            app.post_message(events.Key(key if key != ":" else "colon", key))
        await pilot.pause()
        await settle(app, pilot)
        assert app.query_one("#typed").value == "KDtq"
        assert play.ran == []

    ui(scene)


def test_a_pane_and_a_key_pressed_fast_act_on_what_is_chosen_there(ui) -> None:
    async def scene(app, play, pilot):
        for key in ("3", "K"):
            app.post_message(events.Key(key, key))
        await settle(app, pilot)
        assert play.ran == [("kill", "agent.n1")]

    ui(scene)


def test_an_order_pressed_fast_behind_an_arrow_acts_on_the_row_it_leads_to(ui) -> None:
    async def scene(app, play, pilot):
        for key in ("down", "down", "K"):
            app.post_message(events.Key(key, None))
        await settle(app, pilot)
        assert play.ran == [("kill", "n3")]
        for key in ("3", "end", "home", "j", "K"):
            app.post_message(events.Key(key, None))
        await settle(app, pilot)
        assert play.ran[1:] == [("kill", "agent.n2")]

    ui(scene)


def test_a_click_chooses_a_task_also_after_another_was_chosen(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("3", "down", "down", "down")
        await settle(app, pilot)
        pane = app.cluster.task_list
        await pilot.click(pane, offset=(5, pane._head + 1))
        await settle(app, pilot)
        assert pane.chosen().name == "agent.n2"

    ui(scene)


def test_tab_and_an_order_pressed_fast_act_where_tab_leads(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("3", "0")
        for key in ("tab", "K"):
            app.post_message(events.Key(key, None))
        await settle(app, pilot)
        assert play.ran == [("kill", "agent.n1")]

    ui(scene)


def test_a_key_pressed_twice_asks_once(ui) -> None:
    async def scene(app, play, pilot):
        for name in ("n4", "n5"):
            play.play("kill", name)
        play.step(1.0)
        app.paint()
        for _ in range(3):
            app.post_message(events.Key("K", "K"))
        await asked(app, pilot, Confirm)
        await pilot.press("n")
        await settle(app, pilot)
        assert not app.screen.is_modal
        assert play.ran == []

    ui(scene)


def shown(app) -> str:
    """What stands on the screen, as text."""
    return "\n".join(
        "".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips(app.screen.size)
    )
