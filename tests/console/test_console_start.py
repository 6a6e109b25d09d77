"""Opening fast: garbage is looked for again once the first frame is there, whatever became of the console."""

import gc

import pytest

from swarmtui.console import start


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
