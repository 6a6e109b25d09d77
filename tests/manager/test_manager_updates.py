"""Rolling updates alone, by random steps: one service, and nothing but what an update can meet.

Whatever it meets, an update is not called over while an old task is meant to run, and a quiet time later every task is of the
spec of now. Where nothing fails, it keeps its word at every transaction: no more slots at once than `parallelism`, none sooner
than `delay` after another, and start-first takes no running task before its successor runs."""

from __future__ import annotations

import os

import attrs
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from swarmtui.manager.updater import is_under_way
from swarmtui.objects.matching import is_clean
from swarmtui.objects.operations import Create, Result, Transaction, Update
from swarmtui.objects.quantities import SECOND_NS
from swarmtui.objects.records import Node, Service, Task
from swarmtui.objects.specs import ReplicatedMode, UpdateConfig
from swarmtui.objects.states import TaskState, UpdateOrder, UpdateState
from tests.manager.minicluster import MiniCluster, Program

NODES = ("n1", "n2", "n3", "n4")
NAME = "web"
Place = tuple[int, str]  # a slot: its number, or its node

wait = st.tuples(st.just("wait"), st.sampled_from((0.0, 0.05, 0.3, 1.1, 4.0)))
harmless = (
    wait,
    st.tuples(st.just("renew")),
    st.tuples(st.just("renew_and_wait"), st.sampled_from((0.0, 0.05, 1.1))),
    st.tuples(st.just("scale"), st.integers(0, 6)),
    st.tuples(st.just("lag"), st.sampled_from((0.0, 0.5, 0.9))),
    st.tuples(st.just("slow_to_stop"), st.sampled_from((0.0, 0.7))),
)
faults = (
    st.tuples(st.just("lead")),
    st.tuples(st.just("kill"), st.sampled_from(NODES)),
    st.tuples(st.just("start"), st.sampled_from(NODES)),
    st.tuples(st.just("break"), st.sampled_from(NODES)),
    st.tuples(st.just("program"), st.sampled_from((Program(ends=1.7, code=1), Program(rejected=True), Program()))),
    st.tuples(st.just("order"), st.sampled_from(list(UpdateOrder))),
)
config = st.builds(
    UpdateConfig,
    parallelism=st.integers(0, 3),
    delay_ns=st.sampled_from((0, SECOND_NS // 2, 2 * SECOND_NS)),
    order=st.sampled_from(list(UpdateOrder)),
)
replicas = st.one_of(st.none(), st.integers(1, 6))
bounded = settings(
    max_examples=int(os.environ.get("SWARMTUI_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Updates(MiniCluster):
    """A service called NAME, looked at after every transaction. `peaceful`: nothing fails, so every promise is kept."""

    service_now: Service | None = None

    def __init__(self, seed: int, replicas: int | None, config: UpdateConfig, *, peaceful: bool) -> None:
        super().__init__(len(NODES), seed=seed, zones="ab")
        self.peaceful = peaceful
        self.renewals = 0
        self.overlap_allowed = config.order is UpdateOrder.START_FIRST
        self.was_running: set[Place] = set()
        self.outdated: set[Place] = set()  # old tasks are meant to run there
        self.came_up_at: dict[str, float] = {}  # by id: tasks of this update that replaced another
        self.run(0.5)
        self.service(NAME, replicas, update=config)
        self.run(2.0)
        self.look()

    # ---- steps

    def do(self, step: tuple) -> None:  # type: ignore[type-arg]
        getattr(self, f"do_{step[0]}")(*step[1:])
        self.round()

    def edit(self, service: Service) -> None:
        self.apply(Update(service, spec_version=service.spec_version))

    def current(self) -> Service:
        found = self.store.get(Service, f"id-{NAME}")
        assert found is not None
        return found

    def do_wait(self, seconds: float) -> None:
        self.run(seconds)

    def do_renew(self) -> None:
        self.renewals += 1
        service = self.current()
        template = attrs.evolve(service.spec.task_template, force_update=self.renewals)
        self.edit(attrs.evolve(service, spec=attrs.evolve(service.spec, task_template=template)))

    def do_renew_and_wait(self, seconds: float) -> None:
        self.do_renew()
        self.run(seconds)

    def do_scale(self, count: int) -> None:
        if isinstance(self.current().mode, ReplicatedMode):
            self.scale(NAME, count)

    def do_lag(self, lag: float) -> None:
        self.lag = lag

    def do_slow_to_stop(self, seconds: float) -> None:
        self.programs[NAME] = attrs.evolve(self.programs.get(NAME, Program()), stop_s=seconds)

    def do_lead(self) -> None:
        self.lead()

    def do_kill(self, name: str) -> None:
        if self.agents[name].alive:
            self.kill(name)

    def do_start(self, name: str) -> None:
        if not self.agents[name].alive:
            self.start(name)

    def do_break(self, name: str) -> None:
        self.break_session(name)

    def do_program(self, program: Program) -> None:
        self.programs[NAME] = program

    def do_order(self, order: UpdateOrder) -> None:
        self.overlap_allowed = True
        service = self.current()
        self.edit(
            attrs.evolve(
                service,
                spec=attrs.evolve(service.spec, update_config=attrs.evolve(service.spec.update_config, order=order)),
            )
        )

    def quiet(self) -> None:
        self.lag = 0.0
        self.programs.clear()
        for name in NODES:
            self.do_start(name)
        for agent in self.agents.values():
            for process in agent.tasks.values():
                if process.task.desired_state <= TaskState.RUNNING:
                    process.ends_at = None
        self.run(60.0)

    # ---- promises

    def check_slots(self, transaction: Transaction) -> None:
        if not self.overlap_allowed:
            super().check_slots(transaction)

    def commit(self, transaction: Transaction) -> Result:
        before = self.service_now
        result = super().commit(transaction)
        self.service_now = self.store.get(Service, f"id-{NAME}")
        if self.service_now is None or before is None:
            return result
        if ended(self.service_now) and not ended(before):
            self.check_over(self.service_now)
            self.came_up_at.clear()
        if self.peaceful:
            self.check_delay(transaction, self.service_now)
            self.look()
        return result

    def slots(self) -> dict[Place, list[Task]]:
        """The tasks of each slot, without those that were removed by scaling."""
        found: dict[Place, list[Task]] = {}
        for task in self.tasks(NAME):
            if task.desired_state < TaskState.REMOVE:
                found.setdefault(place_of(task), []).append(task)
        return found

    def clean(self, task: Task, service: Service) -> bool:
        return is_clean(task, service, self.store.get(Node, task.node_id) if task.node_id else None)

    def check_over(self, service: Service) -> None:
        """At the very transaction that calls it over."""
        old = [task.id for task in self.tasks(NAME) if is_meant(task) and not self.clean(task, service)]
        assert not old, f"over, and {old} run on"

    def check_delay(self, transaction: Transaction, service: Service) -> None:
        """With one worker: since the last slot was finished, its delay has passed."""
        config = service.spec.update_config
        if config.parallelism != 1 or not config.delay_ns:
            return
        for operation in transaction.operations:
            task = operation.record if isinstance(operation, Create) else None
            if isinstance(task, Task) and place_of(task) in self.outdated:
                for other, when in self.came_up_at.items():
                    assert self.now >= when + config.delay_ns / SECOND_NS, f"{task.id} comes too soon after {other}"

    def replaces(self, task: Task, service: Service) -> bool:
        """An outdated one of its slot, as the update does."""
        others = self.slots().get(place_of(task), [])
        return any(not self.clean(other, service) for other in others if other.id != task.id)

    def look(self) -> None:
        """What holds between any two transactions, and what is remembered for the next."""
        service = self.current()
        config = service.spec.update_config
        slots = self.slots()
        running = {place for place, tasks in slots.items() if any(is_up(task) for task in tasks)}
        occupied = {place for place, tasks in slots.items() if any(is_meant(task) for task in tasks)}
        if config.order is UpdateOrder.START_FIRST:
            assert self.was_running & occupied <= running, "start-first took a running task"
        under_way = [
            place
            for place, tasks in slots.items()
            if any(is_meant(task) and not is_up(task) and self.clean(task, service) for task in tasks)
            and any(not self.clean(task, service) for task in tasks)
        ]
        assert not config.parallelism or len(under_way) <= config.parallelism, f"{under_way} at once"
        for tasks in slots.values():
            for task in tasks:
                if is_under_way(service) and is_up(task) and self.clean(task, service) and self.replaces(task, service):
                    self.came_up_at.setdefault(task.id, self.now)
        self.was_running = running
        self.outdated = {
            place
            for place, tasks in slots.items()
            if any(is_meant(task) and not self.clean(task, service) for task in tasks)
        }

    def check_end(self) -> None:
        service = self.current()
        meant = [task for task in self.tasks(NAME) if is_meant(task)]
        wanted = service.mode.replicas if isinstance(service.mode, ReplicatedMode) else len(NODES)
        assert len({place_of(task) for task in meant}) == len(meant) == wanted
        assert all(is_up(task) and self.clean(task, service) for task in meant)
        assert service.update_status is None or service.update_status.state is UpdateState.COMPLETED


def place_of(task: Task) -> Place:
    return (task.slot, "" if task.slot else task.node_id)


def is_meant(task: Task) -> bool:
    return task.desired_state <= TaskState.RUNNING


def is_up(task: Task) -> bool:
    return task.status.state is TaskState.RUNNING and task.desired_state is TaskState.RUNNING


def ended(service: Service) -> bool:
    return service.update_status is not None and service.update_status.state is UpdateState.COMPLETED


@bounded
@given(
    seed=st.integers(0, 2**16),
    replicas=replicas,
    config=config,
    steps=st.lists(st.one_of(*harmless), min_size=3, max_size=25),
)
@example(  # the end of the update was planned and did not come to be, and the delay of the slot that had just come up was forgotten
    seed=6,
    replicas=2,
    config=UpdateConfig(delay_ns=SECOND_NS // 2),
    steps=[("renew_and_wait", 0.05), ("lag", 0.5), ("scale", 0), ("scale", 2)],
)
def test_where_nothing_fails_an_update_keeps_its_word_at_every_transaction(
    seed: int,
    replicas: int | None,
    config: UpdateConfig,
    steps: list,  # type: ignore[type-arg]
) -> None:
    cluster = Updates(seed, replicas, config, peaceful=True)
    for step in steps:
        cluster.do(step)
    cluster.quiet()
    cluster.check_end()


@bounded
@given(
    seed=st.integers(0, 2**16),
    replicas=replicas,
    config=config,
    steps=st.lists(st.one_of(*harmless, *faults), min_size=3, max_size=30),
)
@example(  # called over while the new task of a slot was held back, to be tried again: the old one ran beside it for ever
    seed=0,
    replicas=None,
    config=UpdateConfig(parallelism=0, order=UpdateOrder.START_FIRST),
    steps=[("program", Program(rejected=True)), ("renew_and_wait", 0.0)],
)
def test_whatever_fails_an_update_is_over_once_nothing_old_is_left(
    seed: int,
    replicas: int | None,
    config: UpdateConfig,
    steps: list,  # type: ignore[type-arg]
) -> None:
    cluster = Updates(seed, replicas, config, peaceful=False)
    for step in steps:
        cluster.do(step)
    cluster.quiet()
    cluster.check_end()
