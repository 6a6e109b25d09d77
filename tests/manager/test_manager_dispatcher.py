"""Sessions, orders, reports, silence: what an agent and the leader owe each other."""

from __future__ import annotations

import pytest

from swarmtui.manager.dispatcher import Confirm, Effect, Send
from swarmtui.manager.leadership import SessionKey
from swarmtui.manager.silence import OVERSLEPT_S, SECOND_LOOK_S, SilenceClock
from swarmtui.objects.dispatch import Assignment, Beat, Register, Registered, ReportReceived, SessionEnded, StatusReport
from swarmtui.objects.operations import Remove
from swarmtui.objects.records import Node, NodeDescription, TaskStatus
from swarmtui.objects.states import NodeState, TaskState
from tests.manager.minicluster import WALL, MiniCluster, Program

KEY = SessionKey("n1", "mine", "n2")


class Talker:
    """Speaks to the dispatcher as the agent of n1, whose fake agent is out of the way."""

    def __init__(self) -> None:
        self.cluster = MiniCluster(3)
        self.cluster.agents["n1"].reconnect_at = None
        self.cluster.run(0.5)

    def say(self, message: object, key: SessionKey = KEY) -> None:
        self.cluster.manager.feed(key, message, self.cluster.moment)  # type: ignore[arg-type]

    def step(self) -> list[Effect]:
        """Applies what is proposed and returns the effects; nothing is confirmed."""
        cluster = self.cluster
        effects: list[Effect] = []
        for _ in range(10):
            for batch in cluster.manager.look(cluster.moment):
                cluster.manager.settled(batch, cluster.commit(batch.transaction).verdict, cluster.moment)
            effects += cluster.manager.effects(cluster.moment)
            cluster.now += 0.005
        return effects

    def heard(self, effects: list[Effect], kind: type) -> list[object]:
        sends = [each for each in effects if isinstance(each, Send) and each.key.node_id in ("n1", "nobody")]
        return [each.message for each in sends if isinstance(each.message, kind)]

    def register(self) -> None:
        self.say(Register("n1", "mine", self.cluster.description("n1"), "127.0.0.1:7001"))
        self.step()
        self.cluster.manager.dispatcher.confirmed([KEY])
        self.step()


def test_complete_set_only_after_confirmation() -> None:
    talker = Talker()
    talker.say(Register("n1", "mine", NodeDescription("n1"), "127.0.0.1:7001"))
    effects = talker.step()
    assert talker.heard(effects, Registered) == [Registered("mine", 1, 1.0, 3.0)]
    assert talker.heard(effects, Assignment) == []
    assert [each for each in effects if isinstance(each, Confirm)] == [Confirm((KEY,))]
    assert talker.cluster.store.get(Node, "n1").status.state is NodeState.READY
    talker.cluster.service(replicas=3)
    assert talker.heard(talker.step(), Assignment) == []
    talker.cluster.manager.dispatcher.confirmed([KEY])
    (orders,) = talker.heard(talker.step(), Assignment)
    assert isinstance(orders, Assignment)
    assert (orders.complete, orders.term, len(orders.tasks)) == (True, 1, 1)
    assert orders.index == talker.cluster.store.index


def test_confirmation_of_an_earlier_session_does_not_count_for_a_later_one() -> None:
    talker = Talker()
    talker.register()
    later = SessionKey("n1", "later", "n3")
    talker.say(Register("n1", "later", talker.cluster.description("n1"), "127.0.0.1:7001"), later)
    effects = talker.step()
    assert talker.heard(effects, SessionEnded) == [SessionEnded("mine", "the node opened a newer session")]
    talker.cluster.manager.dispatcher.confirmed([KEY])
    assert talker.heard(talker.step(), Assignment) == []


def test_changes_follow_the_complete_set() -> None:
    talker = Talker()
    talker.register()
    talker.cluster.service(replicas=1, constraints=("node.hostname == n1",))
    (orders,) = talker.heard(talker.step(), Assignment)
    assert isinstance(orders, Assignment)
    (task,) = orders.tasks
    assert not orders.complete
    assert task.desired_state is TaskState.RUNNING
    running = TaskStatus(TaskState.RUNNING, WALL + 1000, "running", pid=5)
    talker.say(StatusReport("mine", 1, ((task.id, running),)))
    assert talker.heard(talker.cluster.manager.effects(talker.cluster.moment), ReportReceived) == []
    effects = talker.step()
    assert talker.heard(effects, ReportReceived) == [ReportReceived("mine", 1)]
    assert talker.heard(effects, Assignment) == []  # its own news is not told back
    talker.cluster.scale("web", 0)
    (orders,) = talker.heard(talker.step(), Assignment)
    assert isinstance(orders, Assignment)
    assert [each.desired_state for each in orders.tasks] == [TaskState.REMOVE]
    stopped = TaskStatus(TaskState.SHUTDOWN, WALL + 1001, "shutdown")
    talker.say(StatusReport("mine", 2, ((task.id, stopped),)))
    (orders,) = talker.heard(talker.step(), Assignment)
    assert isinstance(orders, Assignment)
    assert orders.removed == (task.id,)


def test_a_node_that_reports_how_it_was_stopped_long_ago_is_not_being_stopped_now() -> None:
    """It was stopped while there was no quorum to write that down, and came back: it stayed Disconnected for ever."""
    talker = Talker()
    talker.register()
    talker.cluster.service(replicas=1, constraints=("node.hostname == n1",))
    (orders,) = talker.heard(talker.step(), Assignment)
    assert isinstance(orders, Assignment)
    (task,) = orders.tasks
    stopped = talker.cluster.moment.wall + 1
    talker.cluster.now += 2
    again = SessionKey("n1", "again", "n2")
    talker.say(Register("n1", "again", talker.cluster.description("n1"), "127.0.0.1:7001"), again)
    talker.say(StatusReport("again", 1, ((task.id, TaskStatus(TaskState.SHUTDOWN, stopped, "shutdown")),)), again)
    talker.step()
    assert talker.cluster.store.get(Node, "n1").status.state is NodeState.READY
    (task,) = [each for each in talker.cluster.store.tasks(node_id="n1") if each.status.state < TaskState.SHUTDOWN]
    stopped = TaskStatus(TaskState.SHUTDOWN, talker.cluster.moment.wall, "shutdown")
    talker.say(StatusReport("again", 2, ((task.id, stopped),)), again)
    talker.step()
    assert talker.cluster.store.get(Node, "n1").status.state is NodeState.DISCONNECTED


@pytest.mark.parametrize("state", [TaskState.PENDING, TaskState.ASSIGNED, TaskState.ORPHANED, TaskState.REMOVE])
def test_agents_report_only_what_is_theirs_to_say(state: TaskState) -> None:
    talker = Talker()
    talker.register()
    talker.cluster.service(replicas=1, constraints=("node.hostname == n1",))
    talker.step()
    (task,) = talker.cluster.tasks()
    talker.say(StatusReport("mine", 1, ((task.id, TaskStatus(state, WALL + 1000)),)))
    effects = talker.step()
    assert talker.heard(effects, ReportReceived) == [ReportReceived("mine", 1)]
    assert talker.cluster.tasks()[0].status.state is TaskState.ASSIGNED


def test_a_report_on_another_nodes_task_is_ignored() -> None:
    talker = Talker()
    talker.register()
    talker.cluster.service(replicas=1, constraints=("node.hostname == n2",))
    talker.cluster.run(0.2)
    (task,) = talker.cluster.running()
    talker.say(
        StatusReport("mine", 1, ((task.id, TaskStatus(TaskState.FAILED, WALL + 1000)), ("nonsense", task.status)))
    )
    assert talker.heard(talker.step(), ReportReceived) == [ReportReceived("mine", 1)]
    assert talker.cluster.running() == [task]


def test_many_statuses_are_few_transactions_and_acknowledged_when_all_are_written() -> None:
    talker = Talker()
    talker.register()
    talker.cluster.service(replicas=450, constraints=("node.hostname == n1",))
    for _ in range(5):
        talker.step()
    tasks = talker.cluster.tasks()
    before = len(talker.cluster.transactions)
    statuses = tuple((task.id, TaskStatus(TaskState.RUNNING, WALL + 1000, "running")) for task in tasks)
    talker.say(StatusReport("mine", 7, statuses))
    acknowledged = [talker.heard(talker.step(), ReportReceived) for _ in range(3)]
    assert [each for each in acknowledged if each] == [[ReportReceived("mine", 7)]]
    assert len(talker.cluster.transactions) - before == 3
    assert len(talker.cluster.running()) == 450


def test_overlong_texts_are_cut() -> None:
    talker = Talker()
    talker.register()
    talker.cluster.service(replicas=1, constraints=("node.hostname == n1",))
    talker.step()
    (task,) = talker.cluster.tasks()
    talker.say(StatusReport("mine", 1, ((task.id, TaskStatus(TaskState.RUNNING, WALL + 1000, error="x" * 100_000)),)))
    talker.step()
    assert len(talker.cluster.tasks()[0].status.error) == 1000


@pytest.mark.parametrize(
    ("register", "reason"),
    [
        (Register("n2", "mine", NodeDescription(), "a"), "a node can register under its own id only"),
        (Register("n1", "other", NodeDescription(), "a"), "a node can register under its own id only"),
    ],
)
def test_refused_registrations(register: Register, reason: str) -> None:
    talker = Talker()
    talker.say(register)
    assert talker.heard(talker.step(), SessionEnded) == [SessionEnded(register.session, reason)]
    assert any(reason in said.text for said in talker.cluster.manager.says())


def test_stranger_is_refused_and_too_many_registrations_are() -> None:
    talker = Talker()
    key = SessionKey("nobody", "s", "n2")
    talker.say(Register("nobody", "s", NodeDescription(), "a"), key)
    assert talker.heard(talker.step(), SessionEnded) == [SessionEnded("s", "this cluster has no such node")]
    answers: list[object] = []
    for number in range(20):
        key = SessionKey("n1", f"s{number}", "n2")
        talker.say(Register("n1", f"s{number}", NodeDescription(), "a"), key)
        answers += talker.heard(talker.step(), Registered)
    assert len(answers) == 16
    talker.cluster.now += 8
    talker.say(Register("n1", "again", NodeDescription(), "a"), SessionKey("n1", "again", "n2"))
    assert len(talker.heard(talker.step(), Registered)) == 1


def test_unknown_sessions_are_told_to_begin_again() -> None:
    talker = Talker()
    talker.say(Beat("mine"))
    effects = talker.cluster.manager.effects(talker.cluster.moment)
    assert talker.heard(effects, SessionEnded) == [SessionEnded("mine", "this leader does not know the session")]


def test_beats_are_answered_and_wake_nobody() -> None:
    talker = Talker()
    talker.register()
    assert talker.cluster.manager.feed(KEY, Beat("mine"), talker.cluster.moment) is False
    effects = talker.cluster.manager.effects(talker.cluster.moment)
    assert talker.heard(effects, Beat) == [Beat("mine")]


def test_a_broken_session_whose_dial_succeeds_is_no_death(cluster: MiniCluster) -> None:
    cluster.service(replicas=3)
    cluster.run(1.0)
    before = {task.id for task in cluster.running()}
    for _ in range(5):
        cluster.break_session("n2")
        cluster.run(0.5)
    assert {task.id for task in cluster.running()} == before
    assert not any("down" in text for text in cluster.said)


def test_a_broken_session_of_a_node_that_hangs_is_unknown_then_down_by_silence(cluster: MiniCluster) -> None:
    cluster.run(1.0)
    cluster.break_session("n2")
    cluster.pause("n2")
    cluster.run(1.6)
    assert cluster.store.get(Node, "n2").status.state is NodeState.UNKNOWN
    cluster.run(1.6)
    assert cluster.store.get(Node, "n2").status.state is NodeState.DOWN


def test_node_that_is_stopped_in_good_order_gets_nothing_new(cluster: MiniCluster) -> None:
    """Its tasks end by order of nobody; their replacements go elsewhere though it is now the emptiest node."""
    cluster.service(replicas=6)
    cluster.run(1.0)
    agent = cluster.agents["n2"]
    for process in agent.tasks.values():
        agent.set(process, TaskState.SHUTDOWN)
    cluster.run(0.2)
    assert cluster.store.get(Node, "n2").status.state is NodeState.DISCONNECTED
    assert cluster.spread() == {"n1": 3, "n2": 0, "n3": 3}
    cluster.kill("n2")
    cluster.run(0.2)
    assert cluster.store.get(Node, "n2").status.state is NodeState.DOWN


def test_tasks_that_died_with_a_node_that_came_back_at_once_have_not_failed(cluster: MiniCluster) -> None:
    cluster.service(replicas=3)
    cluster.run(1.0)
    cluster.edit_cluster(death_is_down=False)
    cluster.kill("n2")
    cluster.start("n2")
    cluster.run(0.3)
    assert len(cluster.running()) == 3
    assert any("n2 was restarted" in text for text in cluster.said)


def test_removed_node_loses_its_session(cluster: MiniCluster) -> None:
    cluster.run(1.0)
    cluster.apply(Remove(Node.TABLE, "n2"))
    cluster.run(1.0)
    assert cluster.store.get(Node, "n2") is None
    assert cluster.agents["n2"].session == "" or cluster.agents["n2"].beat_at is None


def test_watch_that_lost_changes_leads_to_complete_sets_again(cluster: MiniCluster) -> None:
    cluster.programs["web"] = Program(ends=2.0, code=1)
    cluster.service(replicas=5)
    cluster.run(1.0)
    cluster.manager._watch.miss(cluster.store.index, "as if")
    cluster.scale("web", 7)
    cluster.run(0.5)
    assert len(cluster.running()) == 7
    cluster.run(20.0)
    assert len({task.slot for task in cluster.tasks() if task.desired_state <= TaskState.RUNNING}) == 7


# ----------------------------------------------------------------------------------------------------------- silence


def test_silence_is_judged_at_the_second_look() -> None:
    clock = SilenceClock()
    clock.listen("a", 0.0, 3.0)
    clock.heard("a", 1.0)
    assert clock.deadline == 3.0
    assert clock.expired(3.0) == []
    assert clock.deadline == 4.0
    assert clock.expired(4.0) == []
    assert clock.expired(4.0 + SECOND_LOOK_S) == [("a", pytest.approx(3.0 + SECOND_LOOK_S))]
    assert clock.deadline is None


def test_heard_between_the_looks_is_not_silent() -> None:
    clock = SilenceClock()
    clock.listen("a", 0.0, 3.0)
    clock.expired(3.0)
    clock.heard("a", 3.05)
    assert clock.expired(3.0 + SECOND_LOOK_S) == []
    assert clock.deadline == pytest.approx(6.05)


@pytest.mark.parametrize("late_s", [OVERSLEPT_S + 0.01, 60.0])
def test_who_overslept_judges_nobody(late_s: float) -> None:
    clock = SilenceClock()
    clock.listen("a", 0.0, 3.0)
    assert clock.expired(3.0 + late_s) == []
    assert clock.deadline == pytest.approx(6.0 + late_s)


def test_gap_gives_a_full_new_period(cluster: MiniCluster) -> None:
    """Everything stops for a minute, the leader too, and goes on in any order."""
    cluster.service(replicas=3)
    cluster.run(1.0)
    before = {task.id for task in cluster.running()}
    for name in cluster.agents:
        cluster.pause(name)
    cluster.now += 60.0
    cluster.manager.gap(cluster.now)
    cluster.run(2.5)
    for name in cluster.agents:
        cluster.resume(name)
    cluster.run(10.0)
    assert {task.id for task in cluster.running()} == before
    assert not any("down" in text for text in cluster.said)


def test_sleep_that_nobody_announced_is_noticed(cluster: MiniCluster) -> None:
    cluster.run(1.0)
    for name in cluster.agents:
        cluster.pause(name)
    cluster.now += 60.0
    cluster.settle()
    cluster.run(2.0)
    for name in cluster.agents:
        cluster.resume(name)
    cluster.run(5.0)
    assert not any("down" in text for text in cluster.said)
