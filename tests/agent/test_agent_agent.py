"""The agent's loop, by example. Goal: swarm's states, obedience only to the latest leader, nothing
forgotten over lost sessions and restarts. Method: a fake executor and a dispatcher that the test plays."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from swarmtui.agent.agent import Agent
from swarmtui.agent.executor import Exit, TaskFailed
from swarmtui.agent.obedience import DamagedState, Obedience
from swarmtui.agent.reports import REPORTS_IN_FLIGHT_MAX, RESEND_S
from swarmtui.objects.dispatch import Assignment, Beat, ReportReceived, SessionEnded, StatusReport
from swarmtui.objects.records import NODE_WAS_RESTARTED
from swarmtui.objects.states import TaskState
from tests.agent.fakes import NODE, FakeConnector, FakeExecutor, FakeSession, Stories, make_task, rejected
from tests.agent.helpers import until


@attrs.define
class World:
    agent: Agent
    executor: FakeExecutor
    connector: FakeConnector
    stories: Stories
    session: FakeSession


@asynccontextmanager
async def world(directory: Path, *, accept: bool = True) -> AsyncIterator[World]:
    executor, connector, stories = FakeExecutor(), FakeConnector(), Stories()
    agent = Agent(
        node=NODE, cluster_id="c1", directory=directory, executor=executor, connect=connector, narrate=stories
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(agent.run)
        with trio.fail_after(5):
            session = await connector.opened.receive()
        if accept:
            await session.accept()
        yield World(agent, executor, connector, stories, session)
        nursery.cancel_scope.cancel()


async def test_a_task_runs_through_to_running_with_pid_and_port(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1"), complete=True)
        status = await w.session.until_state("t1", TaskState.RUNNING)
        assert (status.pid, status.port, status.message) == (4242, 20_000, "started")
        assert w.agent.pids() == {"t1": 4242}
        assert w.executor.addresses == {"web": "127.0.0.1:8080"}
        assert w.stories.of("task") == ["web.1 started on n1 (pid 4242, port 20000)"]


async def test_a_task_of_a_global_service_is_told_of_by_its_nodes_name(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1", slot=0, service_name="agent"), complete=True)
        await w.session.until_state("t1", TaskState.RUNNING)
        assert w.stories.of("task") == ["agent.n1 started on n1 (pid 4242, port 20000)"]


async def test_states_that_follow_at_once_are_one_report(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1"), make_task("t2"), complete=True)
        await w.session.until_state("t1", TaskState.RUNNING)
        await w.session.until_state("t2", TaskState.RUNNING)
        assert len([message for message in w.session.log if isinstance(message, StatusReport)]) <= 3


async def test_ready_is_prepared_but_held_until_running_is_wanted(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1", desired=TaskState.READY))
        await w.session.until_state("t1", TaskState.READY)
        assert w.executor.workloads["t1"].acts == []
        await w.session.order(make_task("t1", TaskState.READY), index=2)
        await w.session.until_state("t1", TaskState.RUNNING)


@pytest.mark.parametrize("desired", [TaskState.SHUTDOWN, TaskState.REMOVE])
async def test_a_running_task_is_stopped_when_no_longer_wanted(tmp_path: Path, desired: TaskState) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1"))
        await w.session.until_state("t1", TaskState.RUNNING)
        await w.session.order(make_task("t1", TaskState.RUNNING, desired), index=2)
        status = await w.session.until_state("t1", TaskState.SHUTDOWN)
        assert (status.exit_code, status.error) == (143, "")
        assert w.executor.workloads["t1"].acts == ["start", "stop"]
        assert w.executor.workloads["t1"].released
        assert w.executor.removed == []  # its output is kept until the leader forgets it
        await w.session.order(index=3, removed=("t1",))
        await until(lambda: w.executor.removed, "its files to be deleted")
        assert w.agent.statuses == {}


async def test_a_lower_desired_state_is_passed_over(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.executor.stubborn = True
        await w.session.order(make_task("t1"))
        await w.session.until_state("t1", TaskState.RUNNING)
        await w.session.order(make_task("t1", desired=TaskState.SHUTDOWN), index=2)
        await w.session.order(make_task("t1", desired=TaskState.RUNNING), index=3)
        await trio.testing.wait_all_tasks_blocked()
        w.executor.workloads["t1"].end(Exit(0))
        await w.session.until_state("t1", TaskState.SHUTDOWN)


async def test_a_task_that_is_held_or_prepared_can_be_shut_down(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1", desired=TaskState.READY))
        await w.session.until_state("t1", TaskState.READY)
        await w.session.order(make_task("t1", desired=TaskState.SHUTDOWN), index=2)
        await w.session.until_state("t1", TaskState.SHUTDOWN)
        w.executor.gate = trio.Event()  # preparing takes for ever
        await w.session.order(make_task("t2"), index=3)
        await w.session.until_state("t2", TaskState.PREPARING)
        await w.session.order(make_task("t2", desired=TaskState.SHUTDOWN), index=4)
        await w.session.until_state("t2", TaskState.SHUTDOWN)
        await w.session.order(make_task("t3", desired=TaskState.SHUTDOWN), index=5)
        await w.session.until_state("t3", TaskState.SHUTDOWN)
        assert list(w.executor.workloads) == ["t1"]


@pytest.mark.parametrize(
    ("ended", "state", "error"),
    [
        (Exit(0), TaskState.COMPLETE, ""),
        (Exit(1, "no such table"), TaskState.FAILED, "task: non-zero exit (1): no such table"),
        (Exit(3), TaskState.FAILED, "task: non-zero exit (3)"),
        (Exit(137), TaskState.FAILED, "task: non-zero exit (137): killed by SIGKILL"),
        (Exit(137, lost=True), TaskState.FAILED, "task: the launcher of its node was killed, and the task with it"),
    ],
)
async def test_how_it_ended_is_reported(tmp_path: Path, ended: Exit, state: TaskState, error: str) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1"))
        await w.session.until_state("t1", TaskState.RUNNING)
        w.executor.workloads["t1"].end(ended)
        status = await w.session.until_state("t1", state)
        assert status.error == error
        assert status.exit_code == (None if ended.lost else ended.code)
        assert w.agent.pids() == {}


async def test_an_error_before_the_start_is_rejected_and_after_it_failed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.executor.prepare_error = rejected("no such program")
        await w.session.order(make_task("t1"))
        assert (await w.session.until_state("t1", TaskState.REJECTED)).error == "no such program"
        w.executor.prepare_error = None
        w.executor.start_error = TaskFailed("out of processes")
        await w.session.order(make_task("t2"), index=2)
        assert (await w.session.until_state("t2", TaskState.FAILED)).error == "out of processes"
        assert w.executor.workloads["t2"].released


async def test_a_defect_of_the_executor_fails_the_task_and_not_the_node(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.executor.prepare_error = ZeroDivisionError("defect")
        await w.session.order(make_task("t1"))
        assert "defect" in (await w.session.until_state("t1", TaskState.FAILED)).error
        w.executor.prepare_error = None
        await w.session.order(make_task("t2"), index=2)
        await w.session.until_state("t2", TaskState.RUNNING)


async def test_a_complete_order_stops_what_it_does_not_name(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1"), make_task("t2"), complete=True)
        await w.session.until_state("t1", TaskState.RUNNING)
        await w.session.until_state("t2", TaskState.RUNNING)
        await w.session.order(make_task("t2", TaskState.RUNNING), index=2)  # incremental: names only what changed
        await trio.testing.wait_all_tasks_blocked()
        assert set(w.agent.pids()) == {"t1", "t2"}
        await w.session.order(make_task("t2", TaskState.RUNNING), index=3, complete=True)
        await until(lambda: w.executor.removed == ["t1"], "its files to be deleted")
        assert set(w.agent.pids()) == {"t2"}
        assert set(w.agent.statuses) == {"t2"}


async def test_orders_of_a_deposed_leader_are_ignored(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1"), term=5, index=100, complete=True)
        await w.session.until_state("t1", TaskState.RUNNING)
        await w.session.order(term=4, index=900, complete=True)
        await w.session.order(make_task("t2"), term=5, index=99)
        await w.session.order(make_task("t3"), term=5, index=100)
        await w.session.until_state("t3", TaskState.RUNNING)
        assert set(w.agent.pids()) == {"t1", "t3"}
        assert w.stories.of("refused") == [
            "order of term 4 index 900 ignored: term 5 index 100 was obeyed",
            "order of term 5 index 99 ignored: term 5 index 100 was obeyed",
        ]


async def test_obedience_survives_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1"), term=5, index=100, complete=True)
        await w.session.until_state("t1", TaskState.RUNNING)
    async with world(tmp_path) as w:
        assert w.agent.obeyed == (5, 100)
        await w.session.order(make_task("t2"), term=4, index=500)
        await w.session.order(make_task("t3"), term=6, index=3)
        await w.session.until_state("t3", TaskState.RUNNING)
        assert set(w.agent.pids()) == {"t3"}


async def test_an_order_of_another_session_is_ignored(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.session.say(Assignment("another session", 9, 9, False, (make_task("t1"),)))
        await w.session.order(make_task("t2"))
        await w.session.until_state("t2", TaskState.RUNNING)
        assert set(w.agent.pids()) == {"t2"}


async def test_tasks_run_on_without_a_leader_and_everything_is_told_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1"), make_task("t2"))
        await w.session.until_state("t1", TaskState.RUNNING)
        await w.session.until_state("t2", TaskState.RUNNING)
        w.connector.refuse = "no manager answers"
        w.session.break_off()
        await until(lambda: w.connector.attempts >= 3, "it to try again")
        w.executor.workloads["t2"].end(Exit(0))
        assert w.agent.pids() == {"t1": 4242, "t2": 4242}
        w.connector.refuse = ""
        with trio.fail_after(5):
            session = await w.connector.opened.receive()
        await session.accept(term=2)
        await session.until_state("t1", TaskState.RUNNING)
        await session.until_state("t2", TaskState.COMPLETE)
        assert w.executor.workloads["t1"].acts == ["start"]
        lost = [text for text in w.stories.of("node") if "no session" in text]
        assert lost == [
            "n1 has no session with a leader: the connection ended; its tasks run on"
        ]  # once, not each time


async def test_the_next_session_is_opened_within_a_quarter_of_a_second(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        waited_s = []
        for reason in ("the leader changed", *["again"] * 4):
            w.session.say(SessionEnded(w.session.name, reason))
            began = trio.current_time()
            with trio.fail_after(10):
                w.session = await w.connector.opened.receive()
            waited_s.append(trio.current_time() - began)
            await w.session.accept()
        assert min(waited_s) <= 0.25, "in one of five on a busy machine"
        assert len(w.session.name) > 20


async def test_a_registration_without_an_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmtui.agent.conversation.REGISTER_LIMIT_S", 0.05)
    async with world(tmp_path, accept=False) as w:
        with trio.fail_after(5):
            session = await w.connector.opened.receive()
        monkeypatch.undo()
        await session.accept()
        await session.order(make_task("t1"))
        await session.until_state("t1", TaskState.RUNNING)
        assert "no answer to the registration" in w.stories.of("node")[0]


async def test_an_unacknowledged_report_is_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmtui.agent.reports.RESEND_S", 0.05)
    async with world(tmp_path) as w:
        w.session.acknowledging = False
        await w.session.order(make_task("t1"))
        await w.session.until_state("t1", TaskState.RUNNING)
        w.session.statuses.clear()
        await w.session.until_state("t1", TaskState.RUNNING)


async def test_what_had_to_wait_for_an_acknowledgement_is_told_when_it_comes(tmp_path: Path) -> None:
    """Once, tasks seemed to start for two seconds: until the reports before were sent again."""
    async with world(tmp_path) as w:
        w.session.acknowledging = False
        for number in range(REPORTS_IN_FLIGHT_MAX):
            await w.session.order(make_task(f"t{number}"), index=number + 1)
            await w.session.until_state(f"t{number}", TaskState.RUNNING)
        serials = [message.serial for message in w.session.log if isinstance(message, StatusReport)]
        await w.session.order(make_task("last"), index=9)
        await until(lambda: "last" in w.agent.pids(), "it to run")
        for serial in serials:
            w.session.say(ReportReceived(w.session.name, serial))
        with trio.fail_after(RESEND_S / 2):
            await w.session.until_state("last", TaskState.RUNNING)


async def test_a_leader_that_answers_beats_and_falls_silent_is_left(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        with trio.fail_after(5):
            while not isinstance(await w.session.receive(), Beat):
                continue
            w.session.say(Beat(w.session.name))
            await w.connector.opened.receive()
        assert any("silent" in text for text in w.stories.of("node"))


async def test_a_silent_way_to_the_leader_is_left_while_there_is_time_to_come_by_another(tmp_path: Path) -> None:
    """A worker whose session went over a manager that was cut off was taken for down, with all its tasks."""
    async with world(tmp_path) as w:
        beats = 0
        with trio.fail_after(10), contextlib.suppress(trio.EndOfChannel):
            while True:
                if isinstance(await w.session.receive(), Beat):
                    beats += 1
                    if beats == 1:
                        w.session.say(Beat(w.session.name))
        assert beats - 1 <= 3, "five beats make the node's timeout"


async def test_a_leader_that_never_answers_beats_is_kept(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        beats = 0
        with trio.fail_after(5):
            while beats < 8:  # more than node_timeout
                beats += isinstance(await w.session.receive(), Beat)
        assert w.connector.attempts == 1


async def test_after_a_gap_the_silence_of_the_leader_counts_from_now(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        with trio.fail_after(5):
            beats = 0
            while beats < 9:
                if isinstance(await w.session.receive(), Beat):
                    beats += 1
                    if beats == 1:
                        w.session.say(Beat(w.session.name))
                    w.agent.gap()
        assert w.connector.attempts == 1


async def test_after_a_restart_of_the_node_its_tasks_have_failed_unless_they_had_ended(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1"), make_task("t2"), make_task("t3"))
        for id in ("t1", "t2", "t3"):
            await w.session.until_state(id, TaskState.RUNNING)
        w.executor.workloads["t2"].end(Exit(0))
        await w.session.until_state("t2", TaskState.COMPLETE)
    async with world(tmp_path) as w:
        status = await w.session.until_state("t1", TaskState.FAILED)
        assert status.error == NODE_WAS_RESTARTED
        assert (await w.session.until_state("t2", TaskState.COMPLETE)).exit_code == 0
        # The leader's first order still believes in them: none is started again.
        running = [make_task(id, TaskState.RUNNING) for id in ("t1", "t2", "t3")]
        await w.session.order(*running, index=2, complete=True)
        w.session.statuses.clear()
        await w.session.until_state("t3", TaskState.FAILED)
        assert w.executor.workloads == {}


async def test_a_task_that_failed_with_its_node_does_not_fail_anew_with_the_next_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1"))
        await w.session.until_state("t1", TaskState.RUNNING)
    async with world(tmp_path) as w:
        first = await w.session.until_state("t1", TaskState.FAILED)
    async with world(tmp_path) as w:
        assert await w.session.until_state("t1", TaskState.FAILED) == first


async def test_a_task_that_ran_here_and_is_not_remembered_has_failed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1", TaskState.RUNNING), make_task("t2", TaskState.COMPLETE), complete=True)
        assert (await w.session.until_state("t1", TaskState.FAILED)).error == NODE_WAS_RESTARTED
        assert set(w.agent.statuses) == {"t1"}
        assert w.executor.workloads == {}


async def test_what_tasks_left_that_the_leader_forgot_meanwhile_is_deleted(tmp_path: Path) -> None:
    for id in ("stray", "named"):
        (tmp_path / "tasks" / id / "private").mkdir(parents=True)
    async with world(tmp_path) as w:
        await w.session.order(make_task("named"), complete=True)
        await w.session.until_state("named", TaskState.RUNNING)
        await until(lambda: w.executor.removed == ["stray"], "the stray to be deleted")


async def test_shutting_down_stops_all_tasks_and_tells_the_leader(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1"), make_task("t2", desired=TaskState.READY))
        await w.session.until_state("t1", TaskState.RUNNING)
        await w.session.until_state("t2", TaskState.READY)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(w.agent.stop)
            await w.session.until_state("t1", TaskState.SHUTDOWN)
            await w.session.until_state("t2", TaskState.SHUTDOWN)
            while not isinstance(message := await w.session.receive(), SessionEnded):
                continue
        assert message.reason == "stopping: n1 was stopped in good order"
        assert w.connector.attempts == 1
    async with world(tmp_path) as w:  # and it is not told otherwise after the next start
        await w.session.until_state("t1", TaskState.SHUTDOWN)


async def test_a_node_that_stops_starts_no_further_task(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.executor.stubborn = True
        await w.session.order(make_task("t1"))
        await w.session.until_state("t1", TaskState.RUNNING)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(w.agent.stop)
            await until(lambda: w.executor.workloads["t1"].acts == ["start", "stop"], "it to be stopped")
            await w.session.order(make_task("t2"), index=2)
            await trio.testing.wait_all_tasks_blocked()
            assert "t2" not in w.executor.workloads
            w.executor.workloads["t1"].end(Exit(0))
            await w.session.until_state("t1", TaskState.SHUTDOWN)


async def test_a_node_stops_without_a_leader_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmtui.agent.agent.FAREWELL_S", 0.05)
    async with world(tmp_path, accept=False) as w:
        with trio.fail_after(5):
            await w.agent.stop()


async def test_people_can_kill_stop_pause_and_resume_a_task(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.session.order(make_task("t1"))
        await w.session.until_state("t1", TaskState.RUNNING)
        assert await w.agent.signal_task("t1", "pause") == ""
        assert await w.agent.signal_task("t1", "resume") == ""
        assert "does not run on n1" in await w.agent.signal_task("t9", "kill")
        assert "unknown action 'explode'" in await w.agent.signal_task("t1", "explode")
        assert await w.agent.signal_task("t1", "kill") == ""
        assert w.executor.workloads["t1"].acts == ["start", "pause", "resume", "kill"]
        status = await w.session.until_state("t1", TaskState.FAILED)
        assert status.error == "task: non-zero exit (137): killed by SIGKILL"


def test_a_damaged_state_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "agent.json").write_text("{")
    with pytest.raises(DamagedState, match=r"agent\.json cannot be read"):
        Obedience(tmp_path / "agent.json")


async def test_a_new_term_is_on_disk_before_its_first_order_is_obeyed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.executor.gate = trio.Event()
        await w.session.order(make_task("t1"), term=3, index=7)
        await w.session.until_state("t1", TaskState.PREPARING)
        assert Obedience(tmp_path / "agent.json").term == 3


async def test_an_order_of_a_new_term_that_cannot_be_written_is_not_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise DamagedState("agent.json cannot be written: No space left on device")

    async with world(tmp_path) as w:
        await w.session.order(make_task("t1"), term=3, index=7)
        await w.session.until_state("t1", TaskState.RUNNING)
        with monkeypatch.context() as patch:
            patch.setattr("swarmtui.agent.obedience._store", full)
            for _ in range(2):  # nor when it is asked again
                await w.session.order(term=4, index=8, complete=True)
                with trio.fail_after(5):
                    w.session = await w.connector.opened.receive()
                await w.session.accept(term=4)
            assert w.agent.pids() == {"t1": 4242}
            assert any("No space left" in text for text in w.stories.of("node"))
        await w.session.order(term=4, index=8, complete=True)
        await until(lambda: not w.agent.pids(), "it to be obeyed")


async def test_the_index_of_the_last_order_is_written_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmtui.agent.agent.WRITE_BEHIND_S", 0.01)
    async with world(tmp_path) as w:
        for index in (7, 8, 9):
            await w.session.order(make_task(f"t{index}"), term=3, index=index)
        await w.session.until_state("t9", TaskState.RUNNING)
        await until(lambda: Obedience(tmp_path / "agent.json").index == 9, "the index to be on disk")
