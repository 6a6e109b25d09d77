"""A program in our place: its exit code is ours, and nothing of it is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
import trio

from swarmtui.commands.child import run_program
from swarmtui.commands.errors import FailedWith

ENVIRONMENT = {"PATH": os.environ["PATH"]}
PATIENCE_S = 10.0
LOOK_S = 0.01


async def shell(script: str, grace_s: float = 5.0, **environment: str) -> int:
    return await run_program(["sh", "-c", script], ENVIRONMENT | environment, grace_s)


async def read_when_there(path: Path) -> str:
    with trio.fail_after(PATIENCE_S):
        while not is_said(path):
            await trio.sleep(LOOK_S)
    return await trio.Path(path).read_text()


def is_said(path: Path) -> bool:
    return path.exists() and path.read_text().endswith("\n")


async def wait_gone(pid: int) -> None:
    with trio.fail_after(PATIENCE_S):
        while not is_gone(pid):
            await trio.sleep(LOOK_S)


def is_gone(pid: int) -> bool:
    """True of one that has ended and only waits for its new parent to notice, too."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_the_exit_code_is_passed_on():
    assert await shell("exit 7") == 7
    assert await shell("kill -9 $$") == 128 + 9
    assert await shell('test "$NAME" = value', NAME="value") == 0


@pytest.mark.parametrize(("name", "code"), [("no-such-program", 127), ("/etc/passwd", 127)])
async def test_what_cannot_be_started_is_said(name: str, code: int):
    with pytest.raises(FailedWith, match=name) as caught:
        await run_program([name], ENVIRONMENT, 1.0)
    assert caught.value.exit_code == code


async def test_a_cancelled_program_is_asked_to_end_first(tmp_path: Path):
    said = tmp_path / "said"
    script = f"trap 'echo ended > {said}; exit 0' TERM; echo begun > {said}; while :; do sleep 0.05; done"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shell, script)
        await read_when_there(said)
        nursery.cancel_scope.cancel()
    assert said.read_text() == "ended\n"


async def test_a_program_that_does_not_end_is_killed_with_its_group(tmp_path: Path):
    said = tmp_path / "said"
    script = f"trap '' TERM; sleep 60 & echo $$ $! > {said}; wait"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(shell, script, grace_s=0.1))
        pids = [int(word) for word in (await read_when_there(said)).split()]
        nursery.cancel_scope.cancel()
    for pid in pids:
        await wait_gone(pid)


async def test_nothing_of_it_goes_on_in_the_background(tmp_path: Path):
    said = tmp_path / "said"
    assert await shell(f"sleep 60 & echo $! > {said}") == 0
    await wait_gone(int(said.read_text()))


async def test_a_signal_is_handed_on(tmp_path: Path):
    said = tmp_path / "said"
    codes: list[int] = []

    async def run() -> None:
        codes.append(await shell(f"trap 'exit 9' HUP; echo begun > {said}; while :; do sleep 0.05; done"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await read_when_there(said)
        os.kill(os.getpid(), signal.SIGHUP)
    assert codes == [9]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a program with its parent")
def test_it_ends_when_we_are_killed(tmp_path: Path):
    said = tmp_path / "said"
    program = (
        "import sys, trio; from swarmtui.commands.child import run_program; "
        f"trio.run(run_program, ['sh', '-c', 'echo $$ > {said}; exec sleep 60'], {ENVIRONMENT!r}, 1.0)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    parent = subprocess.Popen([sys.executable, "-c", program], env=environment, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE_S
    while not is_said(said) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    pid = int(said.read_text())
    parent.kill()
    parent.wait()
    while not is_gone(pid) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    assert is_gone(pid)
