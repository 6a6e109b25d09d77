"""The pure fold: what the console says of a cluster, observation by observation."""

from __future__ import annotations

import ast
from pathlib import Path

import attrs
import pytest

import swarmtui.console.model
from swarmtui.console.model.durations import elapsed, measured
from swarmtui.console.model.observations import HostSeen, NodeLost
from swarmtui.console.model.picture import Sight
from swarmtui.console.model.quorum import Health, Quorum, largest_side
from swarmtui.console.model.services import brief
from swarmtui.console.model.standing import Standing
from swarmtui.objects.states import TaskState


def test_the_model_knows_neither_textual_nor_trio_nor_a_clock() -> None:
    forbidden = {"textual", "trio", "asyncio", "rich", "random", "socket", "threading"}
    for file in Path(swarmtui.console.model.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {name.partition(".")[0] for name in names} & forbidden, file.name


@pytest.mark.parametrize(
    ("voters", "up", "held", "word", "sentence"),
    [
        (5, 5, True, "HEALTHY", "5 of 5 up, 3 needed: 2 may fail"),
        (5, 4, True, "1 MAY FAIL", "4 of 5 up, 3 needed: 1 may fail"),
        (5, 3, True, "NO SPARE", "3 of 5 up, 3 needed: none may fail"),
        (5, 4, False, "ELECTING", "4 of 5 up, 3 needed: electing"),
        (5, 2, False, "NO QUORUM", "2 of 5 up, 3 needed: no writes"),
        (3, 3, True, "HEALTHY", "3 of 3 up, 2 needed: 1 may fail"),
        (3, 2, True, "NO SPARE", "2 of 3 up, 2 needed: none may fail"),
        (7, 5, True, "1 MAY FAIL", "5 of 7 up, 4 needed: 1 may fail"),
        (1, 1, True, "NO SPARE", "1 of 1 up, 1 needed: none may fail"),
    ],
)
def test_the_words_of_health_and_their_arithmetic(voters: int, up: int, held: bool, word: str, sentence: str) -> None:
    quorum = Quorum(voters, up, held)
    assert (quorum.word, quorum.sentence) == (word, sentence)


def test_a_cut_counts_only_the_largest_side() -> None:
    pairs = {frozenset((one, other)) for one in ("n1", "n2") for other in ("n3", "n4", "n5")}
    assert largest_side(["n1", "n2", "n3", "n4", "n5"], pairs) == 3
    assert largest_side(["n1", "n2", "n3"], pairs) == 2
    assert largest_side([], pairs) == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0831, "83 ms"), (0.0001, "1 ms"), (0.61, "0.6 s"), (9.96, "10 s"), (31, "31 s"), (185, "3m05s")],
)
def test_measured_figures_carry_no_more_digits_than_one_reads(seconds: float, text: str) -> None:
    assert measured(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(4, "4s"), (134, "2m14s"), (11_520, "3h12m"), (442_800, "5d03h")])
def test_how_long_something_has_been_so(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text


def test_a_healthy_cluster_says_who_leads_and_that_services_run(stage) -> None:
    picture = stage.picture()
    assert picture.quorum.health is Health.HEALTHY
    assert (picture.leadership.name, picture.leadership.term) == ("n1", 7)
    assert [service.name for service in picture.services] == ["agent", "flaky", "ticker", "web"]
    assert not picture.services_short
    assert picture.sight is Sight.LIVE


def test_killing_the_leader_is_summed_up_in_measured_figures(stage) -> None:
    stage.play.play("kill", "n1")
    stage.play.step(1.0, writes=1)
    picture = stage.picture()
    assert picture.node("n1").standing is Standing.KILLED
    assert (picture.leadership.name, picture.leadership.term) == ("n3", 8)
    assert picture.banner.parts == (
        "n1 killed → n3 leads term 8 after 83 ms",
        "writes stopped for 96 ms",
        "1 task moved in 0.6 s",
        "1 more may fail",
    )
    assert picture.banner.settled
    assert [(fault.text, fault.heals) for fault in picture.faults] == [("n1 killed", "R")]


def test_a_global_service_loses_no_last_replica_with_its_nodes(stage) -> None:
    """It wants one task a living node, so where no node is left none is missing: the same rule as `commands.effects`."""
    stage.picture()
    loss = stage.model.loss(stage.play.now, gone=[f"n{number}" for number in range(1, 8)])
    assert [text.split(":")[0] for text in loss.last_replicas] == ["flaky", "ticker", "web"]


def test_a_follower_that_dies_stops_no_writes(stage) -> None:
    stage.play.play("kill", "n4")
    stage.play.step(1.0, writes=1)
    assert stage.picture().banner.parts == (
        "n4 killed → n1 still leads term 7",
        "writes went on",
        "1 task moved in 0.6 s",
        "1 more may fail",
    )


def test_losing_the_quorum_says_what_is_needed_and_that_tasks_go_on(stage) -> None:
    for name in ("n1", "n2", "n3"):
        stage.play.play("kill", name)
        stage.play.step(2.0)
    picture = stage.picture()
    assert picture.quorum.health is Health.NO_QUORUM
    assert picture.quorum.sentence == "2 of 5 up, 3 needed: no writes"
    assert "running tasks go on" in picture.banner.parts
    assert picture.banner.ink == "bad"


def test_healing_is_summed_up_too(stage) -> None:
    stage.play.play("kill", "n4")
    stage.play.step(2.0)
    stage.picture()
    stage.play.play("start", "n4")
    stage.play.step(0.3)
    assert stage.picture().banner.parts == (
        "n4 healed → back after 0.3 s",
        "n1 leads term 7",
        "5 of 5 up",
        "2 may fail",
    )
    stage.play.play("partition", "n5")
    stage.play.step(1.0)
    stage.play.play("heal")
    stage.play.step(0.2)
    stage.picture()
    assert stage.picture().banner.parts[0] == "network healed → whole after 0.2 s"


def test_in_a_partition_both_sides_are_seen(stage) -> None:
    stage.play.play("partition", "n1", "n2")
    stage.play.step(0.5, writes=2)
    picture = stage.picture()
    assert (picture.leadership.name, picture.leadership.term) == ("n3", 8)
    assert picture.leadership.claims == (("n1", 7),)
    assert picture.node("n1").standing is Standing.DOUBTED
    assert [node.name for node in picture.nodes if node.cut_off] == ["n1", "n2"]
    assert picture.quorum.word == "NO SPARE"


def test_silence_is_no_death(stage) -> None:
    stage.play.silent.add("n4")
    for _ in range(6):
        stage.play.step(0.6)
    assert stage.picture().node("n4").standing is Standing.SILENT
    stage.model.fold(NodeLost("n4", "timed out"), stage.now)
    assert stage.picture().node("n4").standing is Standing.SILENT


def test_a_refused_dial_is_evidence_of_death_without_a_host(stage) -> None:
    stage.model.fold(HostSeen(None, "gone"), stage.now)
    stage.model.fold(NodeLost("n4", "connection refused", refused=True), stage.now)
    assert stage.picture().node("n4").standing is Standing.DOWN


def test_a_node_that_was_just_started_is_no_longer_down(stage) -> None:
    stage.play.play("kill", "n4")
    actor = stage.play.actors["n4"]
    stage.play.now += 1.0
    actor.power, actor.power_since = type(actor.power).RUNNING, stage.play.now
    stage.play.say_host()  # the host has started it; it has not said anything yet
    assert stage.picture().node("n4").standing is Standing.ASKING


def test_a_node_that_is_heard_again_is_no_longer_called_killed(stage) -> None:
    stage.play.play("kill", "n4")
    actor = stage.play.actors["n4"]
    stage.play.now += 1.0
    actor.power = type(actor.power).RUNNING  # it speaks before the host has told us
    stage.play.say_marks()
    assert stage.picture().node("n4").standing is Standing.FOLLOWER


def test_all_silent_is_stale_since_the_last_was_heard(stage) -> None:
    last_heard = stage.now
    stage.play.silent.update(stage.play.actors)
    for _ in range(10):
        stage.play.step(1.0)
    picture = stage.picture()
    assert picture.sight is Sight.STALE
    assert picture.sight_since == pytest.approx(last_heard)
    assert picture.quorum.health is Health.UNKNOWN
    assert picture.services  # the last known state is still shown


def test_what_was_lost_with_its_node_is_lost_for_as_long_as_the_node_is_dead(stage) -> None:
    died = stage.now
    stage.play.play("kill", "n4")
    stage.play.step(3.0)
    lost = [task for task in stage.picture().tasks if task.node == "n4" and task.lost]
    assert {task.service for task in lost} == {"agent", "web"}
    assert {task.since for task in lost} == {died}


def test_tasks_on_a_paused_node_are_not_heard_of_rather_than_stopping(stage) -> None:
    """The managers gave them up and run others; they cannot know that these have stopped, and they have not."""
    stage.play.play("pause", "n4")
    stage.play.step(4.0)
    stage.play.count_down("n4")
    picture = stage.picture()
    left = [task for task in picture.tasks if task.node == "n4"]
    assert [(task.name, task.unheard, task.since) for task in left] == [("agent.n4", True, 0.0), ("web.4", True, 0.0)]
    assert picture.service("web").text == "1 unheard"
    assert [task.name for task in picture.node("n4").tasks] == ["agent.n4", "web.4"]  # shown where they still are
    stage.play.play("heal")
    assert stage.picture().service("web").text == "1 stopping"


def test_a_task_that_was_given_up_before_it_had_a_node_keeps_no_service_from_being_steady(stage) -> None:
    task = stage.play.place("web", 6, "", stage.now, TaskState.PENDING)
    stage.play.tasks[task.id] = attrs.evolve(task, desired_state=TaskState.SHUTDOWN)
    stage.play.say_records()
    assert stage.picture().service("web").text == "steady"


@pytest.mark.parametrize(
    ("error", "short"),
    [
        ("task: non-zero exit (1): flaky: the dice said 1", "exit 1: flaky: the dice said 1"),
        ("task: non-zero exit (-9)", "exit -9"),
        ("no suitable node (1 node not ready)", "no node fits: 1 node not ready"),
    ],
)
def test_the_reason_of_an_exit_comes_before_the_words_around_it(error: str, short: str) -> None:
    assert brief(error) == short


def test_when_all_nodes_go_the_last_to_go_is_not_the_story(stage) -> None:
    stage.model.fold(HostSeen(None, "gone"), stage.now)
    for name in stage.play.actors:
        stage.play.now += 0.5  # later than what counts as one step
        stage.model.fold(NodeLost(name, "connection refused", refused=True), stage.now)
        stage.picture()
    assert stage.picture().banner.parts[0].startswith("all nodes ended → ")
