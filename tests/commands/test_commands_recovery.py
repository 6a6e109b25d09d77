"""`swarm init --force-new-cluster`: refused while a quorum is there or can come back; else shown first, then asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import pytest

from swarmtui.commands.errors import CommandFailed, WrongUsage
from swarmtui.commands.output import Document, Note, Recorder
from swarmtui.commands.recovery import RecoveryPlan, plan_recovery, preview
from swarmtui.host.recovery import Epoch
from swarmtui.host.survey import Condition, Survey
from tests.commands.fake_answers import Quorum, Status
from tests.commands.fake_machine import FakeMachine
from tests.commands.fakes import FakeCluster

Order = Callable[..., Awaitable[Recorder]]
FIVE = tuple(f"id{number}" for number in range(1, 6))


def one(number: int, condition: Condition = Condition.INTACT, last: int = 10, term: int = 3, **more: object) -> Survey:
    fields: dict[str, object] = {"voters": FIVE, "commit": last, "term": term, **more}
    if condition not in (Condition.INTACT, Condition.RUNNING):
        fields = {"text": "its directory is gone"}
        last = term = 0
    return Survey(name=f"n{number}", id=f"id{number}", condition=condition, last_index=last, last_term=term, **fields)  # type: ignore[arg-type]


def lost(*numbers: int) -> list[Survey]:
    return [one(number, Condition.LOST) for number in numbers]


def test_the_most_advanced_that_is_left_begins_anew() -> None:
    surveys = [one(1, last=12, term=3), one(2, last=11, term=4), *lost(3, 4, 5)]
    plan = plan_recovery(surveys, "", give_up=False)
    assert plan.survivor.name == "n2"  # a later term counts more than a longer log
    assert plan.better is None
    assert [other.name for other in plan.others] == ["n1", "n3", "n4", "n5"]


def test_of_two_that_are_equal_the_one_that_runs_begins_anew() -> None:
    assert plan_recovery([one(1), one(2, Condition.RUNNING), *lost(3, 4, 5)], "", give_up=False).survivor.name == "n2"


def test_another_can_be_named_and_what_that_costs_is_said() -> None:
    plan = plan_recovery([one(1, last=9, commit=7), one(2, last=11), *lost(3, 4, 5)], "n1", give_up=False)
    assert plan == RecoveryPlan(plan.survivor, plan.others, plan.better)
    lines = preview(plan, "dev", "3 services")
    assert lines[0] == "n1 begins dev anew as its only manager:"
    assert "index 9, term 3, of which 2 were not known to be committed and are kept as well: 3 services" in lines[1]
    assert any("certainly lost: what n2 holds behind that, up to index 11" in line for line in lines)
    assert "  out: n2, which could be started and will not be any more" in lines
    assert "  out: n3, lost: its directory is gone" in lines


def test_it_is_refused_while_a_quorum_can_come_back() -> None:
    surveys = [one(1, Condition.RUNNING), one(2), one(3), *lost(4, 5)]
    with pytest.raises(CommandFailed) as refused:
        plan_recovery(surveys, "", give_up=False)
    assert str(refused.value) == (
        "3 of 5 managers are not lost (n1 runs, n2 can be started, n3 can be started), 3 make a quorum: bring them back "
        "with: swarmtui heal; only if they are to be given up: --force"
    )
    assert plan_recovery(surveys, "", give_up=True).survivor.name == "n1"


def test_in_the_middle_of_a_change_both_halves_count() -> None:
    halves = {"voters": FIVE[:3], "outgoing": FIVE}
    with pytest.raises(CommandFailed, match="quorum"):
        plan_recovery([one(1, **halves), one(2, **halves), one(3, **halves), *lost(4, 5)], "", give_up=False)
    plan = plan_recovery([one(1, **halves), one(2, **halves), *lost(3, 4, 5)], "", give_up=False)
    assert plan.survivor.name == "n1"


@pytest.mark.parametrize(
    ("surveys", "wish", "reason"),
    [
        (lost(1, 2, 3), "", r"no manager is left .* swarmtui up --restore FILE"),
        ([one(1), *lost(2, 3, 4, 5)], "n7", "there is no manager n7; the managers are n1 n2 n3 n4 n5"),
        ([one(1), *lost(2, 3, 4, 5)], "n2", "n2 cannot begin the cluster anew: its directory is gone"),
        ([one(1, voters=("id1",)), *lost(2)], "", "n1 is the only voter of its cluster; start it with"),
    ],
)
def test_who_cannot_begin_is_named(surveys: list[Survey], wish: str, reason: str) -> None:
    with pytest.raises(CommandFailed, match=reason):
        plan_recovery(surveys, wish, give_up=False)


class Lone(FakeCluster):
    """Three voters until it is begun anew, then one."""

    voters = 3

    async def status(self) -> Status:
        status = await super().status()
        up = min(self.voters, status.quorum.reachable)
        needed = self.voters // 2 + 1
        return attrs.evolve(status, quorum=Quorum(self.voters, needed, up, up >= needed and self.leader is not None))


class Recovering(FakeMachine):
    """Two of three managers are lost; n1 runs."""

    surveys: tuple[Survey, ...] = ()
    begun: tuple[str, ...] = ()

    def survey(self, directory: object) -> list[Survey]:
        return list(self.surveys)

    def force_new_cluster(self, directory: object, node: str) -> Epoch:
        self.begun += (node,)
        assert isinstance(self.cluster, Lone)
        self.cluster.leader = node
        self.cluster.voters = 1
        return Epoch(node, 1000, 70, ("id2", "id3"))


@pytest.fixture
def machine(tmp_path) -> Recovering:
    machine = Recovering(tmp_path)
    machine.cluster = cluster = Lone(tmp_path / ".swarmtui")
    cluster.leader = None
    cluster.states = {"n2": "down", "n3": "down"}
    ids = [node.id for node in cluster.manifest.managers]
    running = Survey(name="n1", id=ids[0], condition=Condition.RUNNING)
    gone = [Survey(name=f"n{n}", id=ids[n - 1], condition=Condition.LOST, text="its log is gone") for n in (2, 3)]
    machine.surveys = (running, *gone)
    return machine


async def test_without_a_word_nothing_is_changed(order: Order, machine: Recovering) -> None:
    with pytest.raises(CommandFailed, match="nothing was changed; to go on, say it again with --yes"):
        await order("swarm init --force-new-cluster")
    assert machine.begun == ()
    shown = [item.text for item in order.out.items if isinstance(item, Note)]  # type: ignore[attr-defined]
    assert shown[0] == "n1 begins dev anew as its only manager:"
    assert "up to index 412, term 7" in shown[1]


async def test_confirmed_it_stops_writes_starts_and_waits(order: Order, machine: Recovering) -> None:
    out = await order("swarm init --force-new-cluster --yes")
    assert machine.begun == ("n1",)
    assert machine.cluster is not None
    assert machine.cluster.host.orders == ["stop n1", "start n1"]
    (document,) = [item for item in out.items if isinstance(item, Document)]
    assert document.value == {"survivor": "n1", "index": 1000, "term": 70, "out": ["id2", "id3"]}
    assert document.text == "n1 is the only manager now, from index 1000 and term 70 on; n1 leads"


async def test_a_quorum_is_never_overruled(order: Order, machine: Recovering) -> None:
    assert machine.cluster is not None
    machine.cluster.leader = "n1"
    machine.cluster.states = {"n3": "down"}
    with pytest.raises(CommandFailed, match="there is a quorum: n1 leads, 2 of 3 managers answer, 2 are needed"):
        await order("swarm init --force-new-cluster --force")
    assert machine.begun == ()


async def test_managers_that_were_promoted_again_can_come_back_too(order: Order, machine: Recovering) -> None:
    """Each is another member then; the one that runs speaks of nodes."""
    n1, *lost = machine.surveys
    back = [attrs.evolve(one, id=f"{one.id}.1", condition=Condition.INTACT, text="") for one in lost]
    machine.surveys = (n1, *back)
    with pytest.raises(CommandFailed, match=r"3 of 3 managers are not lost \(n1 runs, n2 can be started, n3 can be"):
        await order("swarm init --force-new-cluster --yes")
    assert machine.begun == ()


async def test_a_cluster_that_does_not_run_is_begun_anew_on_its_disks(order: Order, machine: Recovering) -> None:
    assert machine.cluster is not None
    machine.cluster.running = False
    ids = tuple(node.id for node in machine.cluster.manifest.managers)
    n1 = Survey(name="n1", id=ids[0], condition=Condition.INTACT, last_index=9, last_term=2, voters=ids)
    machine.surveys = (n1, *machine.surveys[1:])
    out = await order("swarm init --force-new-cluster --yes")
    assert out.items[-2].text.endswith("start it with: swarmtui up")  # type: ignore[union-attr]
    assert machine.cluster.host.orders == []


async def test_alone_it_says_what_creates_a_cluster(order: Order, machine: Recovering) -> None:
    with pytest.raises(WrongUsage, match="a cluster is created by: swarmtui up"):
        await order("swarm init")
