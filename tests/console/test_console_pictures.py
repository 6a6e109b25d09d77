"""Pictures of the screen, compared as SVG. Look at what changed before accepting it: pytest --snapshot-update."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from swarmtui.console.app import ConsoleApp
from swarmtui.console.rehearsal import Rehearsal
from swarmtui.objects.states import TaskState
from tests.console.begun import begun

SMALL, NORMAL, LARGE = (80, 24), (120, 36), (160, 48)
Scene = Callable[[ConsoleApp, Rehearsal, Any], Awaitable[None]]


@pytest.fixture
def picture(snap_compare: Any) -> Callable[..., None]:
    """Compare the screen after a minute of calm and then the scene."""

    def compare(scene: Scene, size: tuple[int, int] = SMALL, *, theme: str = "dark", **options: Any) -> None:
        play = Rehearsal()
        options = {"ascii_only": False, **options}
        app = ConsoleApp(play.manifest, play, now=lambda: play.now, paint_interval_s=None, utc=True, **options)

        async def before(pilot: Any) -> None:
            app.theme = theme
            await begun(play)
            await scene(app, play, pilot)
            for _ in range(2):  # the first paint may ask for log entries, the second shows them
                app.paint()
                await pilot.pause()

        assert snap_compare(app, terminal_size=size, run_before=before)

    return compare


async def calm(app: ConsoleApp, play: Rehearsal, pilot: Any) -> None:
    """A minute in which nothing happens but writes."""
    play.open()
    for second in range(60):
        play.step(1.0, writes=1)
        if second % 10 == 0:
            app.paint()
    for _ in range(2):
        app.paint()
        await pilot.pause()


async def go_on(app: ConsoleApp, play: Rehearsal, seconds: int) -> None:
    for _ in range(seconds):
        play.step(1.0, writes=1)
        app.paint()


async def leader_killed(app: ConsoleApp, play: Rehearsal, pilot: Any) -> None:
    await calm(app, play, pilot)
    play.play("kill", "n1")
    await go_on(app, play, 5)


async def leader_cut_off(app: ConsoleApp, play: Rehearsal, pilot: Any) -> None:
    await calm(app, play, pilot)
    play.play("partition", "n1", "n2")
    await go_on(app, play, 5)


async def quorum_lost(app: ConsoleApp, play: Rehearsal, pilot: Any) -> None:
    await calm(app, play, pilot)
    for name in ("n1", "n2", "n3"):
        play.play("kill", name)
        await go_on(app, play, 2)


async def everything_lost(app: ConsoleApp, play: Rehearsal, pilot: Any) -> None:
    await calm(app, play, pilot)
    play.silent.update(play.actors)
    play.host_answers = False
    play.say_host()
    await go_on(app, play, 12)


async def troubled(app: ConsoleApp, play: Rehearsal, pilot: Any) -> None:
    """A task that fails, one that fits nowhere, a drained node and a paused one."""
    await calm(app, play, pilot)
    flaky = next(task for task in play.tasks.values() if task.service_name == "flaky")
    play.change(flaky, TaskState.FAILED, "task: non-zero exit (1): flaky: the dice said 1 of 6")
    play.place("flaky", 1, "n3", play.now, TaskState.READY)
    stuck = play.place("web", 6, "", play.now, TaskState.PENDING)
    why = "no suitable node (scheduling constraints not satisfied on 7 nodes)"
    play.tasks[stuck.id] = attrs.evolve(stuck, status=attrs.evolve(stuck.status, error=why))
    play.scale("web", 6)
    play.play("drain", "n2")
    play.play("pause", "n5")
    await go_on(app, play, 4)


def pressing(scene: Scene, *keys: str) -> Scene:
    async def then(app: ConsoleApp, play: Rehearsal, pilot: Any) -> None:
        await scene(app, play, pilot)
        app.paint()
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
            app.paint()
        await pilot.pause()

    return then


async def not_yet_connected(app: ConsoleApp, play: Rehearsal, pilot: Any) -> None:
    await pilot.pause()


def test_calm_80x24(picture) -> None:
    picture(calm)


def test_calm_160x48(picture) -> None:
    picture(calm, LARGE)


def test_leader_killed_80x24(picture) -> None:
    picture(leader_killed)


def test_both_sides_of_a_partition_80x24(picture) -> None:
    picture(leader_cut_off)


def test_both_sides_of_a_partition_160x48(picture) -> None:
    picture(leader_cut_off, LARGE)


def test_no_quorum_80x24(picture) -> None:
    picture(quorum_lost)


def test_disconnected_80x24(picture) -> None:
    picture(everything_lost)


def test_connecting_80x24(picture) -> None:
    picture(not_yet_connected)


def test_services_in_trouble_80x24(picture) -> None:
    picture(pressing(troubled, "2"))


def test_tasks_in_trouble_120x36(picture) -> None:
    picture(pressing(troubled, "3"), NORMAL)


def test_output_of_a_node_80x24_on_paper(picture) -> None:
    picture(pressing(calm, "l"), theme="paper")


def test_a_question_before_the_quorum_is_lost_80x24(picture) -> None:
    async def two_dead(app: ConsoleApp, play: Rehearsal, pilot: Any) -> None:
        await calm(app, play, pilot)
        for name in ("n4", "n5"):
            play.play("kill", name)
            await go_on(app, play, 1)

    picture(pressing(two_dead, "K"))


def test_held_and_monochrome_80x24(picture) -> None:
    async def held(app: ConsoleApp, play: Rehearsal, pilot: Any) -> None:
        await pressing(leader_killed, "5", "space")(app, play, pilot)
        play.play("start", "n1")
        await go_on(app, play, 3)

    picture(held, theme="mono")


def test_ascii_80x24(picture) -> None:
    picture(leader_killed, ascii_only=True)


def test_too_small_50x12(picture) -> None:
    picture(calm, (50, 12))
