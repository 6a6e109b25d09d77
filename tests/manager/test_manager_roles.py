"""The role manager against a table of seats: the order of promotion and demotion, refusals, and who was put out."""

from __future__ import annotations

import itertools

import attrs
import pytest

from swarmtui.manager.membership import LeaveSeat, MoveSeat, Refusal, Seat, Seats, TakeSeat, Wish
from swarmtui.manager.reconciler import Moment
from swarmtui.manager.roles import (
    HANDOVER_PAUSE_FIRST_S,
    HANDOVER_PAUSE_MAX_S,
    LOOK_S,
    RETRY_WISH_FIRST_S,
    RETRY_WISH_MAX_S,
    SOON,
    RoleManager,
)
from swarmtui.objects import codec
from swarmtui.objects.operations import Create, Operation, Remove, Transaction, Update, Verdict
from swarmtui.objects.records import Cluster, Node, NodeStatus
from swarmtui.objects.specs import NodeSpec
from swarmtui.objects.states import NodeRole, NodeState
from swarmtui.objects.transactions import encode_transactions
from swarmtui.raft.reasons import REASONS
from swarmtui.store import Store

QUORUM = Refusal("quorum", "after this change 2 voters decide, 2 of them are needed, and n1 hears 1 (n1; not n3)")


class Table:
    """Seats that change when a wish is granted, as the tests do themselves."""

    def __init__(self, *names: str) -> None:
        self.taken = {name: Seat(name, name, f"h:{name}") for name in names}
        self.removed: set[str] = set()
        self.settled = True
        self.ready: set[str] = set()

    def seats(self) -> Seats:
        return Seats(tuple(self.taken.values()), frozenset(self.removed), self.settled)

    def is_ready(self, node_id: str) -> bool:
        return node_id in self.ready

    def grant(self, wish: Wish) -> None:
        match wish:
            case LeaveSeat(seat):
                del self.taken[seat.id]
                self.removed.add(seat.id)
            case TakeSeat(seat) | MoveSeat(seat):
                self.taken[seat.id] = seat


class World:
    """The real store, the role manager, three managers and a worker w."""

    def __init__(self) -> None:
        self.store = Store()
        self.table = Table("n1", "n2", "n3")
        self.now = 100.0
        self.write(Create(Cluster(id="c", name="c")))
        for name in ("n1", "n2", "n3", "w"):
            role = NodeRole.WORKER if name == "w" else NodeRole.MANAGER
            status = NodeStatus(NodeState.READY, address=f"h:{name}")
            self.write(Create(Node(id=name, spec=NodeSpec(name=name, role=role), role=role, status=status)))
        self.roles = RoleManager(self.store, lambda: "", self.table)
        self.watch = self.store.watch()
        self.roles.look_at_everything(self.moment)

    @property
    def moment(self) -> Moment:
        return Moment(self.now, self.now)

    def write(self, *operations: Operation) -> Verdict:
        data = encode_transactions([codec.encode(Transaction(operations))], self.now if hasattr(self, "now") else 0)
        return self.store.apply(self.store.index + 1, 1, data)[0].verdict

    def node(self, name: str) -> Node:
        found = self.store.get(Node, name)
        assert found is not None
        return found

    def want(self, name: str, role: NodeRole) -> None:
        node = self.node(name)
        spec = attrs.evolve(node.spec, role=role)
        assert self.write(Update(attrs.evolve(node, spec=spec), spec_version=node.spec_version)) is Verdict.DONE

    def step(self) -> list[Wish]:
        """Looks once, writes what is decided, and returns what is wished of the consensus."""
        for change in self.watch.take():
            if change.table in self.roles.tables:
                self.roles.notice(change, self.moment)
        for decision in self.roles.step(self.moment):
            self.roles.settled(decision, self.write(*decision.operations), self.moment)
        return self.roles.wishes()

    def settle(self) -> list[Wish]:
        """Until nothing more happens; every wish is granted. Returns them."""
        granted: list[Wish] = []
        for _ in range(20):
            version = self.store.index
            wishes = self.step()
            for wish in wishes:
                self.table.grant(wish)
                granted.append(wish)
                self.roles.answered(None, self.moment)
            if not wishes and self.store.index == version:
                return granted
        raise AssertionError("it never settles")

    def says(self) -> list[str]:
        said = [narration.text for narration in self.roles.says]
        self.roles.says.clear()
        return said


@pytest.fixture
def world() -> World:
    return World()


def test_when_all_agrees_nothing_is_wished(world: World):
    index = world.store.index
    assert world.settle() == []
    assert world.store.index == index


def test_a_promoted_worker_becomes_a_new_member_when_it_speaks_as_a_manager(world: World):
    world.want("w", NodeRole.MANAGER)
    assert world.settle() == []
    assert (world.node("w").role, world.node("w").member_id) == (NodeRole.MANAGER, "w.1")
    assert any("does not speak as a manager yet" in text for text in world.says())
    world.table.ready.add("w")
    world.roles.look_at_everything(world.moment)
    assert world.settle() == [TakeSeat(Seat("w.1", "w", "h:w", votes=False))]


def test_a_demoted_manager_keeps_its_role_until_its_seat_is_gone_for_good(world: World):
    """Told earlier that it is a worker, it would forget a log and a vote that still count."""
    world.want("n3", NodeRole.WORKER)
    (wish,) = world.step()
    assert wish == LeaveSeat(Seat("n3", "n3", "h:n3"))
    assert world.node("n3").role is NodeRole.MANAGER
    world.table.grant(wish)
    world.table.settled = False  # in force, not committed
    world.roles.answered(None, world.moment)
    world.step()
    assert world.node("n3").role is NodeRole.MANAGER
    world.table.settled = True
    world.now += LOOK_S
    world.step()
    assert world.node("n3").role is NodeRole.WORKER


def test_promoted_again_it_is_another_member(world: World):
    for number in (1, 2):
        world.want("n3", NodeRole.WORKER)
        world.settle()
        assert world.node("n3").role is NodeRole.WORKER
        world.want("n3", NodeRole.MANAGER)
        world.table.ready.add("n3")
        world.settle()
        assert [seat.id for seat in world.table.seats().of_node("n3")] == [f"n3.{number}"]


def test_what_raft_refuses_is_told_once_and_tried_again_later_and_later(world: World):
    world.want("n3", NodeRole.WORKER)
    asked = []
    for _ in range(200):
        for _wish in world.step():
            asked.append(world.now)
            world.roles.answered(QUORUM, world.moment)
        world.now += RETRY_WISH_FIRST_S
    said = [text for text in world.says() if "not yet" in text]
    assert len(said) == 1
    assert "after this change 2 voters decide, 2 of them are needed" in said[0]
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert pauses == sorted(pauses)
    assert max(pauses) > 10 * RETRY_WISH_FIRST_S
    assert max(pauses) <= RETRY_WISH_MAX_S + 2 * RETRY_WISH_FIRST_S
    assert world.node("n3").role is NodeRole.MANAGER


LEAVES = Refusal("leader-leaves", "n1 leads and would leave: leadership is being handed to n2, ask again there")
HANDED = Refusal("transfer", "leadership is being handed to n2")


class HandsOverInVain:
    """A consensus whose leader n1 is to leave, and whose heir never takes over: nothing is appended while it is waited for."""

    def __init__(self, transfer_s: float = 1.0) -> None:
        self.transfer_s = transfer_s
        self.begun: list[float] = []

    def answer(self, now: float) -> Refusal:
        if self.begun and now < self.begun[-1] + self.transfer_s:
            return HANDED
        self.begun.append(now)
        return LEAVES


def test_an_heir_that_never_takes_over_is_asked_later_and_later(world: World):
    """Writes wait while leadership is being handed over: asked again at once, they would wait for ever."""
    world.want("n1", NodeRole.WORKER)
    consensus = HandsOverInVain()
    for _ in range(2000):
        for _wish in world.step():
            world.roles.answered(consensus.answer(world.now), world.moment)
        world.now += RETRY_WISH_FIRST_S
    first, *pauses = [later - earlier for earlier, later in itertools.pairwise(consensus.begun)]
    assert first < 2 * consensus.transfer_s  # it may have been bad luck
    step_s = 2 * RETRY_WISH_FIRST_S
    assert pauses[:3] == pytest.approx([HANDOVER_PAUSE_FIRST_S * factor for factor in (1, 2, 4)], abs=step_s)
    assert pauses[3:] == pytest.approx([HANDOVER_PAUSE_MAX_S] * len(pauses[3:]), abs=step_s)
    said = world.says()
    assert said[0].endswith("ask again there; tried again")
    assert said[1].endswith("ask again there; nobody took over so far, tried again in 5 s")
    assert said[2].endswith("ask again there; nobody took over so far, tried again in 10 s")
    assert len(said) == len(consensus.begun)


def test_a_leader_that_may_stay_after_all_and_is_to_leave_again_is_not_held_up_by_what_failed_before(world: World):
    world.want("n1", NodeRole.WORKER)
    consensus = HandsOverInVain()
    for _ in range(100):
        for _wish in world.step():
            world.roles.answered(consensus.answer(world.now), world.moment)
        world.now += RETRY_WISH_FIRST_S
    world.want("n1", NodeRole.MANAGER)
    assert world.settle() == []
    world.want("n1", NodeRole.WORKER)
    assert len(world.step()) == 1


def test_a_wish_that_is_taken_back_is_forgotten(world: World):
    world.want("n3", NodeRole.WORKER)
    assert world.step()
    world.roles.answered(QUORUM, world.moment)
    world.want("n3", NodeRole.MANAGER)
    world.now += RETRY_WISH_MAX_S
    assert world.settle() == []
    assert "n3" in world.table.taken


def test_one_wish_is_under_way_at_a_time(world: World):
    world.want("n3", NodeRole.WORKER)
    world.want("n2", NodeRole.WORKER)
    first = world.step()
    assert len(first) == 1
    assert world.step() == []
    world.table.grant(first[0])
    world.roles.answered(None, world.moment)
    assert len(world.settle()) == 1
    assert set(world.table.taken) == {"n1"}


def test_a_seat_without_a_node_is_given_up(world: World):
    world.write(Remove(Node.TABLE, "n3"))
    assert world.settle() == [LeaveSeat(Seat("n3", "n3", "h:n3"))]


def test_a_node_that_moved_or_was_renamed_moves_its_seat(world: World):
    node = world.node("n2")
    moved = attrs.evolve(node, status=attrs.evolve(node.status, address="h:elsewhere"))
    world.write(Update(moved, version=node.version))
    assert world.settle() == [MoveSeat(Seat("n2", "n2", "h:elsewhere"))]
    assert world.settle() == []


def test_who_was_put_out_is_not_taken_back_by_itself_but_by_demoting_and_promoting(world: World):
    """After a new epoch: its log holds what the others gave up, and only a person may throw that away."""
    world.table.grant(LeaveSeat(world.table.taken["n3"]))
    world.table.ready.add("n3")
    world.roles.look_at_everything(world.moment)
    assert world.settle() == []
    assert any("was put out" in text and "swarmtui node demote n3" in text for text in world.says())
    world.want("n3", NodeRole.WORKER)
    world.settle()
    assert world.node("n3").role is NodeRole.WORKER
    world.want("n3", NodeRole.MANAGER)
    assert world.settle() == [TakeSeat(Seat("n3.1", "n3", "h:n3", votes=False))]


def test_while_the_cluster_is_shutting_down_nobody_changes(world: World):
    cluster = world.store.all(Cluster)[0]
    world.write(Update(attrs.evolve(cluster, shutting_down=True), version=cluster.version))
    world.want("n3", NodeRole.WORKER)
    assert world.settle() == []
    cluster = world.store.all(Cluster)[0]
    world.write(Update(attrs.evolve(cluster, shutting_down=False), version=cluster.version))
    assert len(world.settle()) == 1


def test_the_refusals_that_pass_by_themselves_are_ones_that_raft_gives() -> None:
    assert {name.partition("/")[0] for name in REASONS} >= SOON
