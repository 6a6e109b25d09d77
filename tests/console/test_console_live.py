"""The console on a real cluster: real nodes, real keys, a real terminal."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmtui.client.discovery import read_manifest
from swarmtui.console.app import ConsoleApp
from swarmtui.console.cluster_link import ClusterLink
from swarmtui.console.model.picture import Sight
from swarmtui.console.model.quorum import Health
from swarmtui.console.model.standing import Standing
from swarmtui.console.start import open_console
from tests.cluster.conftest import RealCluster, ended

pytestmark = pytest.mark.cluster

PATIENCE_S = 40.0
FILE = """
[cluster]
name = "live"
managers = 3
workers = 1

[services.web]
command = ["python", "-c", "import time; print('up', flush=True); time.sleep(3600)"]
[services.web.deploy]
replicas = 4
restart_policy = { condition = "any", delay = "0s" }
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """Three managers, a worker and a service of four; each test heals what it broke."""
    real = RealCluster(tmp_path_factory.mktemp("live"))
    real.up(FILE)
    yield real
    ended(real)


class Console:
    """A console without a terminal of its own on a real cluster."""

    def __init__(self, app: ConsoleApp, pilot: Any) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def picture(self) -> Any:
        return self.app.live_picture()

    async def until(self, what: str, holds: Callable[[Any], Any]) -> Any:
        """Wait for the picture to be so; a slow machine gets its time."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            picture = self.picture
            if found := holds(picture):
                return found
            await asyncio.sleep(0.02)
        raise AssertionError(f"{what} did not come about; quorum {picture.quorum}, banner {picture.banner}")

    async def whole(self) -> None:
        def is_whole(picture: Any) -> bool:
            return picture.quorum.health is Health.HEALTHY and bool(picture.services) and not picture.services_short

        await self.until("a healthy cluster with all its services", is_whole)


def on(live: RealCluster, scene: Callable[[Console], Awaitable[None]], *, watch: bool = False) -> None:
    """Run a scene in a console on the live cluster."""
    manifest = read_manifest(live.data)
    app = ConsoleApp(manifest, ClusterLink(live.data, role="observer" if watch else "admin"), watch=watch)

    async def perform() -> None:
        async with app.run_test(size=(120, 36)) as pilot:
            console = Console(app, pilot)
            await console.whole()
            await scene(console)

    asyncio.run(perform())


def test_a_leader_is_killed_and_brought_back_by_two_keys(live: RealCluster) -> None:
    async def scene(console: Console) -> None:
        leader, term = console.picture.leadership.name, console.picture.leadership.term
        await console.until("the cursor on the leader", lambda _: console.app.cluster.nodes.chosen == leader)
        await console.pilot.press("K")
        told = await console.until("the whole story", lambda p: p.banner is not None and p.banner.settled and p.banner)
        story = " · ".join(told.parts)
        assert re.match(rf"{leader} killed → n\d leads term \d+ after \d", story), story
        assert "writes stopped for" in story
        assert re.search(r"\d tasks? moved in", story), story
        assert "none may fail now" in story
        picture = console.picture
        assert picture.node(leader).standing is Standing.KILLED
        assert picture.leadership.term > term
        assert picture.faults[0].heals == "R"
        await console.pilot.press("R")
        await console.whole()
        await console.until(
            "the healing told", lambda p: p.banner and p.banner.parts[0].startswith(f"{leader} healed → back")
        )

    on(live, scene)


def test_every_nodes_own_log_is_asked_for_and_shown(live: RealCluster) -> None:
    async def scene(console: Console) -> None:
        def all_told(picture: Any) -> bool:
            book = console.app.model.log
            rows = book.rows(["n1", "n2", "n3"], ["n1", "n2", "n3"], picture.leadership.name, book.last, 5)
            return all(cell.term for row in rows for cell in row.cells) and all(row.holders == 3 for row in rows)

        await console.until("five rows of three columns", all_told)

    on(live, scene)


def test_what_tasks_print_is_followed(live: RealCluster) -> None:
    async def scene(console: Console) -> None:
        await console.pilot.press("2", "l")
        await console.until(
            "a line of each task",
            lambda _: len({row.label for row in console.app.model.output.rows if row.text == "up"}) == 4,
        )

    on(live, scene)


def test_a_command_is_run_with_the_words_of_the_command_line(live: RealCluster) -> None:
    async def scene(console: Console) -> None:
        for replicas in (3, 4):
            await console.pilot.press("colon", *f"service scale web={replicas}", "enter")
            await console.until(f"{replicas} replicas", lambda p, n=replicas: p.service("web").wanted == n)
            await console.whole()
        answer = await console.app.backend.run(("service", "ls"))
        assert answer.exit_code == 0
        assert any("web" in line for line in answer.lines)
        answer = await console.app.backend.run(("kill", "nobody"))
        assert answer.exit_code == 1
        assert "nobody" in answer.error
        answer = await console.app.backend.run(("servce", "ls"))
        assert answer.exit_code == 2

    on(live, scene)


def test_who_only_watches_sees_everything_and_changes_nothing(live: RealCluster) -> None:
    async def scene(console: Console) -> None:
        await console.until("the host", lambda p: p.host_answers)
        answer = await console.app.backend.run(("kill", "n1"))
        assert answer.exit_code == 1
        assert console.picture.quorum.up == 3

    on(live, scene, watch=True)


def test_with_the_host_stopped_everything_is_still_seen(live: RealCluster) -> None:
    async def scene(console: Console) -> None:
        os.kill(live.host_pid(), signal.SIGSTOP)
        try:
            await console.until("the host's silence said", lambda p: not p.host_answers)
            assert console.picture.sight is Sight.LIVE
            assert console.picture.quorum.health is Health.HEALTHY
        finally:
            os.kill(live.host_pid(), signal.SIGCONT)
        await console.until("the host again", lambda p: p.host_answers)

    on(live, scene)


class Terminal:
    """A real console in a pty."""

    def __init__(self, live: RealCluster, *words: str) -> None:
        main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {**live.environment, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "swarmtui", "console", *words],
            stdin=side,
            stdout=side,
            stderr=side,
            cwd=live.directory,
            env=environment,
            start_new_session=True,
        )
        os.close(side)
        self.main = main
        self.output = b""

    def until(self, text: bytes) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.output:
            assert time.monotonic() < deadline, f"{text!r} never came; the end was {self.output[-500:]!r}"
            if select.select([self.main], [], [], 0.1)[0]:
                try:
                    self.output += os.read(self.main, 65536)
                except OSError:  # it has ended
                    assert text in self.output, self.output[-500:]

    def ends(self) -> int:
        code = self.process.wait(PATIENCE_S)
        os.close(self.main)
        return code


LEFT = b"\x1b[?1049l"  # the alternate screen is left


def test_leaving_says_that_the_cluster_keeps_running(live: RealCluster) -> None:
    terminal = Terminal(live)
    terminal.until(b"HEALTHY")
    os.write(terminal.main, b"q")
    terminal.until(b"live keeps running")
    assert LEFT in terminal.output
    assert terminal.ends() == 0
    assert live.status()["leader"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_clean(live: RealCluster, number: signal.Signals) -> None:
    terminal = Terminal(live)
    terminal.until(b"HEALTHY")
    terminal.process.send_signal(number)
    terminal.until(LEFT)
    assert terminal.ends() == 128 + number
    assert b"Traceback" not in terminal.output


def test_a_terminal_that_is_closed_leaves_no_console_behind(live: RealCluster) -> None:
    """No signal tells it: it is in a session of its own, as behind `nohup`. It finds out by what it writes."""
    terminal = Terminal(live)
    terminal.until(b"HEALTHY")
    os.close(terminal.main)
    try:
        terminal.process.wait(PATIENCE_S)
    finally:
        terminal.process.kill()  # else it would stay for ever: that is what this is about


def test_no_cluster_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert open_console(tmp_path / ".swarmtui") == 4
    assert "create one with swarmtui up" in capsys.readouterr().err
