"""Opening fast: garbage is looked for again once the first frame is there, whatever became of the console."""

import asyncio
import gc
import subprocess
import sys

import pytest

from swarmtui.console import start
from swarmtui.console.app import ConsoleApp
from swarmtui.console.backend import Answer
from swarmtui.console.late import NOT_YET, LateBackend
from swarmtui.console.rehearsal import Rehearsal
from tests.console.begun import begun


@pytest.fixture(autouse=True)
def as_it_was():
    yield
    gc.unfreeze()
    gc.enable()


def test_what_stands_at_the_first_frame_is_put_aside_and_the_rest_is_collected():
    gc.disable()
    start.first_frame_shown()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_an_application_that_was_opened_otherwise_is_left_alone():
    start.first_frame_shown()
    assert gc.get_freeze_count() == 0


def test_a_console_that_cannot_open_leaves_collecting_on(tmp_path, capsys):
    assert start.open_console(tmp_path / ".swarmtui") == 4
    assert gc.isenabled()


def test_the_far_side_is_made_and_asked_behind_the_first_frame():
    play, seen = Rehearsal(), []

    def make():
        seen.append(app.cluster.nodes.view is not None)
        return play

    app = ConsoleApp(play.manifest, LateBackend(make), paint_interval_s=None)

    async def perform():
        async with app.run_test(size=(80, 24)):
            await begun(play)

    asyncio.run(perform())
    assert seen == [True]


def test_before_the_far_side_is_there_orders_say_so():
    late = LateBackend(Rehearsal)
    late.ask_log("n1", 1, 2)
    late.listen([("n1", "t1")])
    assert late.suggestions() == ()
    assert asyncio.run(late.run(["heal"])) == Answer(4, error=NOT_YET)
    asyncio.run(late.stop())


def test_what_the_first_frame_needs_leaves_the_client_alone():
    code = (
        "import sys; import swarmtui.client.discovery, swarmtui.console.app, swarmtui.console.late;"
        "sys.exit(bool({'trio', 'cryptography', 'swarmtui.wire.rpc'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_before_any_node_has_answered_nothing_is_said_to_be_missing():
    app = ConsoleApp(Rehearsal().manifest, LateBackend(Rehearsal), paint_interval_s=None)

    async def perform():
        async with app.run_test(size=(160, 48)) as pilot:
            await pilot.pause()
            cluster = app.cluster
            for pane in (cluster.log_grid, cluster.service_list, cluster.task_list):
                words = "".join(text for line in pane.draw(app.view(), 60, 10) for text, _ in line)
                assert "not known yet" in words
                assert "no " not in words

    asyncio.run(perform())
