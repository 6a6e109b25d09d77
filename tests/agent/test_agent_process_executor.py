"""Tasks as real processes, from the spec to the exit. Method: a real launcher, small shell programs."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from swarmtui.agent.agent import Agent
from swarmtui.agent.environment import Surroundings
from swarmtui.agent.executor import Exit, TaskAction, TaskFailed, TaskRejected
from swarmtui.agent.launcher import LauncherLink, start_launcher
from swarmtui.agent.process_executor import ProcessExecutor
from swarmtui.objects.manifest import Manifest
from swarmtui.objects.records import Task
from swarmtui.objects.specs import ContainerSpec, PortConfig, TaskSpec
from swarmtui.objects.states import TaskState
from tests.agent.fakes import NODE, FakeConnector, FakeSession, Stories, make_task
from tests.agent.helpers import Herd, until

pytestmark = pytest.mark.cluster


def surroundings(root: Path) -> Surroundings:
    directory = root / ".swarmtui" / "nodes" / NODE.name
    directory.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(id=f"c{root.name}", name="dev", profile="fast", created_at=0.0, nodes=(NODE,))
    return Surroundings(manifest, NODE, directory, os.environ)


def shell(program: str, id: str = "t1", grace_s: float = 10.0, desired: TaskState = TaskState.RUNNING) -> Task:
    container = ContainerSpec(args=("sh", "-c", program), stop_grace_period_ns=int(grace_s * 1e9))
    return make_task(id, spec=TaskSpec(container_spec=container), ports=(PortConfig(8080),), desired=desired)


@asynccontextmanager
async def executor(root: Path) -> AsyncIterator[ProcessExecutor]:
    async def nothing() -> None:
        return

    link = start_launcher("test")
    async with trio.open_nursery() as nursery:
        await nursery.start(link.run, nothing)
        yield ProcessExecutor(surroundings(root), link)
        nursery.cancel_scope.cancel()


async def test_a_task_runs_in_its_place_with_a_private_directory(tmp_path: Path) -> None:
    program = 'pwd > "$SWARMTUI_TASK_DIR/pwd"; echo "$PORT" > "$SWARMTUI_TASK_DIR/port"'
    async with executor(tmp_path) as runner:
        workload = await runner.prepare(shell(program), {})
        assert await workload.start() > 0
        assert await workload.wait() == Exit(0)
        private = tmp_path / ".swarmtui/nodes/n1/tasks/t1/private"
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert stat.S_IMODE(private.parent.stat().st_mode) == 0o700
        assert (private / "pwd").read_text().strip() == str(tmp_path)
        assert int((private / "port").read_text()) == workload.port
        await runner.remove("t1")
        assert not private.parent.exists()


async def test_a_stop_signal_that_this_machine_does_not_know_rejects_the_task(tmp_path: Path) -> None:
    task = shell("true")
    container = attrs.evolve(task.spec.container_spec, stop_signal="SIGNOTHING")
    async with executor(tmp_path) as runner:
        with pytest.raises(TaskRejected, match="'SIGNOTHING' is no signal"):
            await runner.prepare(attrs.evolve(task, spec=attrs.evolve(task.spec, container_spec=container)), {})


async def test_stop_is_the_stop_signal_and_then_after_the_grace_a_kill(tmp_path: Path, herd: Herd) -> None:
    async with executor(tmp_path) as runner:
        polite = await runner.prepare(shell("trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done"), {})
        await polite.start()
        await until(lambda: "up" in _output(tmp_path), "it to listen for the signal")
        await polite.stop()
        assert (await polite.wait()).code == 0
        stubborn = await runner.prepare(
            shell(f"trap '' TERM; setsid {herd.sleeper()} & {herd.sleeper()}", "t2", grace_s=0.1), {}
        )
        await stubborn.start()
        await until(lambda: len(herd.pids()) == 2, "both to run")
        with trio.fail_after(10):
            await stubborn.stop()
        assert (await stubborn.wait()).code == 128 + signal.SIGKILL
        assert herd.pids() == []


def _output(root: Path, task: str = "t1") -> str:
    path = root / f".swarmtui/nodes/n1/tasks/{task}/output.jsonl"
    return path.read_text() if path.exists() else ""


async def test_a_paused_task_can_be_stopped(tmp_path: Path) -> None:
    async with executor(tmp_path) as runner:
        workload = await runner.prepare(shell("echo up; exec sleep 600"), {})
        await workload.start()
        await until(lambda: "up" in _output(tmp_path), "it to run")
        await workload.act(TaskAction.PAUSE)
        with trio.fail_after(5):
            await workload.stop()
        assert (await workload.wait()).code == 128 + signal.SIGTERM
        with pytest.raises(TaskFailed, match="does not run"):
            await workload.act(TaskAction.PAUSE)


async def test_what_cannot_be_prepared_is_rejected_and_holds_no_port(tmp_path: Path) -> None:
    async with executor(tmp_path) as runner:
        bad = make_task("t1", spec=TaskSpec(container_spec=ContainerSpec(args=("nope",))), ports=(PortConfig(8080),))
        with pytest.raises(TaskRejected, match="executable file not found"):
            await runner.prepare(bad, {})
        assert not runner._ports._taken
        with pytest.raises(TaskRejected, match="is no id of a task"):
            await runner.prepare(shell("true", "../../etc"), {})


async def test_a_fixed_target_port_is_the_tasks_port(tmp_path: Path) -> None:
    async with executor(tmp_path) as runner:
        container = ContainerSpec(args=("true",))
        task = make_task("t1", spec=TaskSpec(container_spec=container), ports=(PortConfig(8080, 3000),))
        assert (await runner.prepare(task, {})).port == 3000


@asynccontextmanager
async def node(root: Path) -> AsyncIterator[tuple[Agent, LauncherLink, FakeSession]]:
    """A whole agent over a real launcher; the test is the leader."""
    around, connector = surroundings(root), FakeConnector()
    link = start_launcher("test")
    agent = Agent(
        node=NODE,
        cluster_id=around.manifest.id,
        directory=around.directory,
        executor=ProcessExecutor(around, link),
        connect=connector,
        narrate=Stories(),
        launcher=link,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(agent.run)
        session = await connector.opened.receive()
        await session.accept()
        yield agent, link, session
        nursery.cancel_scope.cancel()


async def test_a_whole_agent_runs_follows_and_stops_a_task(tmp_path: Path) -> None:
    async with node(tmp_path) as (agent, _, session):
        await session.order(shell("for i in 1 2 3; do echo line $i; done; exec sleep 600"), complete=True)
        status = await session.until_state("t1", TaskState.RUNNING)
        assert agent.pids() == {"t1": status.pid}
        assert 20_000 <= status.port <= 29_999
        lines: list[str] = []
        with trio.fail_after(10):
            async for chunk in agent.output("t1", follow=True):
                lines += [line.text for line in chunk.lines]
                if len(lines) == 3 and session.statuses["t1"].state is TaskState.RUNNING:
                    await session.order(shell("", desired=TaskState.SHUTDOWN), index=2)
                    await session.until_state("t1", TaskState.SHUTDOWN)
        assert lines == ["line 1", "line 2", "line 3"]
        with pytest.raises(ProcessLookupError):
            os.kill(status.pid, 0)


async def test_a_failed_task_says_its_last_words(tmp_path: Path) -> None:
    async with node(tmp_path) as (_, _, session):
        await session.order(shell("echo 'cannot reach the database' >&2; exit 3"))
        status = await session.until_state("t1", TaskState.FAILED)
        assert status.error == "task: non-zero exit (3): cannot reach the database"
        assert status.exit_code == 3


async def test_a_killed_launcher_fails_the_tasks_and_the_next_ones_start(tmp_path: Path, herd: Herd) -> None:
    async with node(tmp_path) as (_, link, session):
        await session.order(shell(f"setsid {herd.sleeper()} & exec sleep 600"))
        await session.until_state("t1", TaskState.RUNNING)
        await until(herd.pids, "its child to run")
        os.kill(link.pid, signal.SIGKILL)
        status = await session.until_state("t1", TaskState.FAILED)
        assert "launcher of its node was killed" in status.error
        assert herd.pids() == []
        await session.order(shell("exec sleep 600", "t2"), index=2)
        await session.until_state("t2", TaskState.RUNNING)
