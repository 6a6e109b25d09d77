"""No task outlives its node. Goal: every way a node, its launcher or a task can end, with every way a process can hide.
Method: real processes that carry a token among their arguments; whoever is left over is found by it."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import trio

from swarmtui.agent.launcher import LAUNCHER_PROGRAM, Ended, LauncherLink, LauncherRefused, start_launcher
from swarmtui.agent.launcher_frames import FRAME_BYTES_MAX, FrameReader, pack
from swarmtui.agent.sweep import find_marked, kill_marked, kill_marked_blocking
from tests.agent.helpers import Herd, is_gone, until, wait_until

pytestmark = pytest.mark.cluster


async def _nothing() -> None:
    return


@asynccontextmanager
async def launcher(on_lost=_nothing) -> AsyncIterator[LauncherLink]:
    link = start_launcher("test")
    async with trio.open_nursery() as nursery:
        await nursery.start(link.run, on_lost)
        yield link
        nursery.cancel_scope.cancel()


async def spawn(link: LauncherLink, directory: Path, program: str, task: str = "task1", cluster: str = "c"):
    env = {"PATH": os.environ["PATH"], "SWARMTUI_TASK": f"{cluster}/n/{task}"}
    return await link.spawn(task, ["/bin/sh", "-c", program], env, str(directory), str(directory))


def hidden(herd: Herd) -> str:
    """A shell program that starts sleepers in every hiding place: child, own session, double fork, no environment."""
    sleeper = herd.sleeper()
    return f"{sleeper} & setsid {sleeper} & (setsid {sleeper} &) ; (env -i setsid {sleeper} &) ; (({sleeper} &) &) ; "


HIDDEN = 5


async def test_an_exit_tells_status_and_the_last_line_of_standard_error(tmp_path: Path) -> None:
    async with launcher() as link:
        end = await spawn(link, tmp_path, "echo out; echo first >&2; echo '  why ' >&2; echo >&2; exit 7")
        assert await end.ended() == Ended(7, "why")
    lines = [json.loads(line) for line in (tmp_path / "output.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines if line["stream"] == "stdout"] == ["out"]
    assert [line["text"] for line in lines if line["stream"] == "stderr"] == ["first", "  why ", ""]


async def test_a_signal_is_told_as_its_negative_number(tmp_path: Path) -> None:
    async with launcher() as link:
        end = await spawn(link, tmp_path, "kill -KILL $$")
        assert (await end.ended()).status == -signal.SIGKILL


async def test_tasks_start_with_default_signals_and_their_own_session(tmp_path: Path) -> None:
    program = "import signal, os; print(signal.getsignal(15) == signal.SIG_DFL, os.getsid(0) == os.getpid())"
    async with launcher() as link:
        await (await spawn(link, tmp_path, f"exec {sys.executable} -S -E -c '{program}'")).ended()
    # The launcher ignores SIGTERM; a task that inherited that could not be stopped.
    assert json.loads((tmp_path / "output.jsonl").read_text())["text"] == "True True"


async def test_what_a_task_leaves_behind_is_killed_before_its_end_is_told(tmp_path: Path, herd: Herd) -> None:
    async with launcher() as link:
        end = await spawn(link, tmp_path, hidden(herd) + f"while [ ! -e {tmp_path}/go ]; do sleep 0.01; done; exit 0")
        await until(lambda: len(herd.pids()) == HIDDEN, "all of them to run")
        (tmp_path / "go").touch()
        assert (await end.ended()).status == 0
        assert herd.pids() == []


async def test_the_end_of_one_task_leaves_the_children_of_another_alone(tmp_path: Path, herd: Herd) -> None:
    other = Herd()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    try:
        async with launcher() as link:
            # The other starts first, so that an orphan without any mark could be its.
            await spawn(link, tmp_path / "b", hidden(other) + "wait; sleep 600", "task2")
            await until(lambda: len(other.pids()) == HIDDEN, "the other's processes to run")
            go = tmp_path / "go"
            end = await spawn(link, tmp_path / "a", hidden(herd) + f"while [ ! -e {go} ]; do sleep 0.01; done", "task1")
            await until(lambda: len(herd.pids()) == HIDDEN, "its processes to run")
            go.touch()
            await end.ended()
            assert len(other.pids()) == HIDDEN
            assert len(herd.pids()) <= 1  # the one that hides even its environment may be anybody's
        wait_until(lambda: not herd.pids() + other.pids(), "the launcher's end to take all of them")
    finally:
        other.kill()


async def test_kill_takes_the_whole_tree(tmp_path: Path, herd: Herd) -> None:
    async with launcher() as link:
        end = await spawn(link, tmp_path, hidden(herd) + "wait")
        await until(lambda: len(herd.pids()) == HIDDEN, "all of them to run")
        await link.kill("task1")
        assert (await end.ended()).status == -signal.SIGKILL
        assert herd.pids() == []


async def test_freeze_and_thaw_reach_the_whole_tree(tmp_path: Path, herd: Herd) -> None:
    def states() -> set[str]:
        return {psutil.Process(pid).status() for pid in herd.pids()}

    async with launcher() as link:
        end = await spawn(link, tmp_path, hidden(herd) + "wait")
        await until(lambda: len(herd.pids()) == HIDDEN, "all of them to run")
        await link.freeze("task1")
        await until(lambda: states() == {psutil.STATUS_STOPPED}, "all of them to stop")
        await link.thaw("task1")
        await until(lambda: states() == {psutil.STATUS_SLEEPING}, "all of them to go on")
        await link.freeze("task1")
        await link.kill("task1")
        await end.ended()
        assert herd.pids() == []


HOP = """
import os, sys, time
for _ in range(int(sys.argv[1])):
    os.fork()
end = time.monotonic() + 60  # whatever becomes of the test
while time.monotonic() < end:  # each keeps replacing itself by a child, so that no pid is ever old
    if os.fork():
        os._exit(0)
    if sys.argv[2] == "setsid":
        os.setsid()
    with open(sys.argv[3], "a") as trace:
        trace.write(".")
    time.sleep(0.003)
"""


class Hoppers:
    """Processes too short-lived to be seen by looking; each leaves a dot in a file."""

    def __init__(self, directory: Path) -> None:
        self.trace = directory / "trace"
        self.program = directory / "hop.py"
        self.program.write_text(HOP)

    def argv(self, doublings: int, setsid: bool) -> list[str]:
        how = "setsid" if setsid else "stay"
        return [sys.executable, "-S", "-E", str(self.program), str(doublings), how, str(self.trace)]

    def count(self) -> int:
        return self.trace.stat().st_size if self.trace.exists() else 0

    def are_gone(self) -> bool:
        """Silence has to be listened to for a while."""
        before = self.count()
        time.sleep(0.2)
        return self.count() == before


async def test_a_small_fork_bomb_is_killed_to_the_last_process(tmp_path: Path) -> None:
    hoppers = Hoppers(tmp_path)
    async with launcher() as link:
        env = {"SWARMTUI_TASK": "c/n/bomb"}
        child = await link.spawn("bomb", hoppers.argv(4, setsid=False), env, "/", str(tmp_path))
        with trio.fail_after(20):
            await child.ended()
        assert hoppers.are_gone()


async def test_what_cannot_be_started_is_refused_with_the_step(tmp_path: Path) -> None:
    async with launcher() as link:
        for argv, cwd, step in [
            (["/no/such/program"], "/", "exec"),
            (["/bin/true"], "/no/such/directory", "chdir"),
            (["/bin/echo", "a\0b"], "/", "exec"),
        ]:
            with pytest.raises(LauncherRefused) as refused:
                await link.spawn("task1", argv, {}, cwd, str(tmp_path))
            assert refused.value.step == step
        with pytest.raises(LauncherRefused, match="does not run"):
            await link.signal("task1", 15)


def test_bad_requests_are_answered_and_do_no_harm() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            command = [sys.executable, "-S", "-E", str(LAUNCHER_PROGRAM), "test"]
            process = subprocess.Popen(command, stdin=theirs.fileno())
        reader = FrameReader()

        def ask(data: bytes) -> dict:
            ours.sendall(data)
            while True:
                for frame in reader.feed(ours.recv(65536)):
                    assert frame is not None
                    return frame

        def raw(data: bytes) -> bytes:
            return len(data).to_bytes(4, "big") + data

        assert "error" in ask(raw(b"no json"))
        assert "error" in ask(raw(b"[1]"))
        assert "error" in ask(raw(b"[" * 100_000))
        whole = {"n": 1, "do": "spawn", "task": "t", "argv": ["/bin/true"], "env": {}, "cwd": "/", "output": "/"}
        for request in [
            {"n": 1},
            {"n": 1, "do": ["spawn"]},
            {"n": 1, "do": "spawn"},
            {**whole, "argv": [1]},
            {**whole, "argv": []},
            {**whole, "env": {"a=b": "\0"}},
            {"n": 1, "do": "signal", "task": "t", "signal": "15"},
            {"n": 1, "do": "kill", "task": 5},
        ]:
            answer = ask(pack(request))
            assert answer["n"] == 1, answer
            assert answer["error"], answer
        ours.sendall((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))
        assert ours.recv(100) == b""  # a frame beyond the limit ends the conversation, and the launcher
        assert process.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_polite_signals_do_not_end_a_launcher(tmp_path: Path, number: signal.Signals) -> None:
    async with launcher() as link:
        await (await spawn(link, tmp_path, "exit 4")).ended()
        os.kill(link.pid, number)
        assert (await (await spawn(link, tmp_path, "exit 4")).ended()).status == 4


def test_a_killed_node_takes_every_process_with_it(herd: Herd, victim) -> None:
    node = victim("c", hidden(herd) + "wait", hidden(herd) + "wait")
    wait_until(lambda: len(herd.pids()) == 2 * HIDDEN, "all of them to run")
    os.kill(node.pid, signal.SIGKILL)
    wait_until(lambda: not herd.pids(), "all of them to be gone")


def test_a_killed_node_takes_processes_that_are_stopped_or_ignore_signals(herd: Herd, victim) -> None:
    node = victim("c", f"trap '' TERM HUP INT; {hidden(herd)} wait")
    wait_until(lambda: len(herd.pids()) == HIDDEN, "all of them to run")
    for pid in herd.pids():
        os.kill(pid, signal.SIGSTOP)
    os.kill(node.pid, signal.SIGKILL)
    wait_until(lambda: not herd.pids(), "all of them to be gone")


def test_a_killed_node_takes_processes_that_hop_from_session_to_session(tmp_path: Path, victim) -> None:
    hoppers = Hoppers(tmp_path)
    node = victim("c", f"env -i {shlex.join(hoppers.argv(0, setsid=True))} & sleep 600")
    wait_until(lambda: hoppers.count() > 10, "it to hop")
    os.kill(node.pid, signal.SIGKILL)
    wait_until(lambda: is_gone(node.launcher), "the launcher to find nothing any more")
    assert hoppers.are_gone()


def test_a_node_that_is_killed_while_it_and_its_launcher_are_stopped_takes_every_process_with_it(
    herd: Herd, victim
) -> None:
    node = victim("c", hidden(herd) + "wait")
    wait_until(lambda: len(herd.pids()) == HIDDEN, "all of them to run")
    for pid in (node.pid, node.launcher, *herd.pids()):
        os.kill(pid, signal.SIGSTOP)
    os.kill(node.pid, signal.SIGKILL)
    wait_until(lambda: not herd.pids(), "all of them to be gone")


def test_when_launcher_and_node_are_killed_at_once_the_sweep_finds_the_rest(herd: Herd, victim) -> None:
    cluster = "cluster" + secrets.token_hex(4)
    sleeper = herd.sleeper()
    node = victim(cluster, f"setsid {sleeper} & (setsid {sleeper} &) ; exec {sleeper}")
    wait_until(lambda: len(herd.pids()) == 3, "all of them to run")
    os.kill(node.pid, signal.SIGSTOP)  # so that the node cannot sweep by itself in between
    os.kill(node.launcher, signal.SIGKILL)
    os.kill(node.pid, signal.SIGKILL)
    wait_until(lambda: len(herd.pids()) == 2, "the kernel to kill the first process")
    assert find_marked(cluster, "another node") == []
    assert find_marked("another cluster") == []
    assert sorted(process.pid for process in find_marked(cluster, "node")) == sorted(herd.pids())
    assert len(kill_marked_blocking(cluster)) == 2
    assert herd.pids() == []


async def test_a_killed_launcher_loses_its_tasks_is_swept_and_replaced(tmp_path: Path, herd: Herd) -> None:
    cluster = "cluster" + secrets.token_hex(4)
    lost: list[list[int]] = []

    async def on_lost() -> None:
        assert herd.pids() == []  # they had become our own children
        lost.append(await kill_marked(cluster))

    async with launcher(on_lost) as link:
        first = link.pid
        end = await spawn(link, tmp_path, hidden(herd) + "wait", cluster=cluster)
        await until(lambda: len(herd.pids()) == HIDDEN, "all of them to run")
        os.kill(first, signal.SIGKILL)
        ended = await end.ended()
        assert ended.lost
        assert herd.pids() == []
        assert lost == [[]]
        assert (await (await spawn(link, tmp_path, "exit 5", cluster=cluster)).ended()).status == 5
        assert link.pid != first


async def test_a_launcher_is_small(tmp_path: Path) -> None:
    async with launcher() as link:
        await (await spawn(link, tmp_path, "true")).ended()
        assert psutil.Process(link.pid).memory_info().rss < 20 * 1024 * 1024
        assert psutil.Process(link.pid).num_threads() == 1


NO_SCAN = """
import os, sys, time
from swarmtui.agent import launcher_trees
from swarmtui.agent.launcher_spawn import become_subreaper
become_subreaper()
for number in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)  # the sleeper is an orphan in a group of another's
        os.execv("/bin/sleep", ["sleep", "600"])
launcher_trees.scan = launcher_trees._pids = None  # a look at the whole table would fail
launcher_trees.kill_all(os.getpid(), "")
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("no child is left")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel lists children on Linux only")
def test_the_end_of_a_launcher_costs_no_look_at_the_whole_process_table() -> None:
    """It comes while the other managers elect: on few cores its milliseconds are theirs."""
    said = subprocess.run([sys.executable, "-c", NO_SCAN], capture_output=True, text=True, timeout=20)
    assert said.stdout == "no child is left\n", said.stderr
