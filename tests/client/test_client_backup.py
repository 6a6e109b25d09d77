"""Saving the state: from a quorum, or by a refusal that says how else; and, if asked, what the most advanced manager has."""

from functools import partial
from types import SimpleNamespace

import pytest
import trio

from swarmtui.client import NoHost, NoQuorum, NotReached, Refused
from swarmtui.client.errors import NoLeader
from swarmtui.storage.backup import check_backup, read_state
from swarmtui.wire.node_calls import GetStatus, StatePiece, StreamState
from swarmtui.wire.rpc import CallRejected
from tests.client.conftest import FakeNode

VOUCHED = "the state cannot be saved, no quorum vouches for it"


@pytest.fixture
def saving(monkeypatch):
    """Every manager gives a state that names it, and unless that is asked for only where a quorum vouches. A test may put
    another in its place: `saving.state`."""
    plain = FakeNode.answer

    async def state(node: FakeNode, call: StreamState):
        if node.stale and not call.stale:
            raise CallRejected("no-quorum", VOUCHED)
        yield StatePiece(node.applied, node.term, node.entry.name.encode())
        yield StatePiece(node.applied, node.term, last=True)

    def answer(node: FakeNode, call, who):
        return how.state(node, call) if isinstance(call, StreamState) else plain(node, call, who)

    how = SimpleNamespace(state=state)
    monkeypatch.setattr(FakeNode, "answer", answer)
    return how


async def lose_majority(world) -> None:
    for name in ("n1", "n2", "n5"):
        await world.nodes[name].die()
    for name, index in (("n3", 7), ("n4", 9)):
        node = world.nodes[name]
        node.stale, node.index, node.heard = True, index, ("n3", "n4")


async def test_a_backup_without_a_quorum_says_so_whoever_is_asked_last(world, cluster, monkeypatch, tmp_path):
    """It named the last manager that did not answer, which was killed with two others."""
    for name in ("n3", "n4", "n5"):
        await world.nodes[name].die()
    for name in ("n1", "n2"):
        world.nodes[name].heard = ("n1", "n2")

    async def pieces(cluster, name, stale):
        await cluster.report(name) or await cluster.ask(name, GetStatus())
        raise Refused("no-quorum", VOUCHED)
        yield

    monkeypatch.setattr("swarmtui.client.backup._pieces", pieces)
    with pytest.raises(NoQuorum):
        await cluster.save_backup(tmp_path / "b.swarm")


async def test_without_a_quorum_the_refusal_says_how_else(world, cluster, saving, tmp_path):
    await lose_majority(world)
    with pytest.raises(NoQuorum, match=r"2 of 5 managers answer, 3 are needed.* or save .* with --stale$"):
        await cluster.save_backup(tmp_path / "b.swarm")
    assert not list(tmp_path.glob("*b.swarm*"))


async def test_an_election_that_goes_on_is_no_lost_majority(world, cluster, saving, tmp_path):
    """All answer and none leads: it said that one more manager must be started."""
    for name in world.nodes:
        world.nodes[name].stale = True
    with pytest.raises(NoLeader, match=r"try again, or save .* with --stale$"):
        await cluster.save_backup(tmp_path / "b.swarm")


async def test_a_stale_backup_is_of_the_most_advanced_manager_that_answers(world, cluster, saving, tmp_path):
    await lose_majority(world)
    saved = await cluster.save_backup(tmp_path / "b.swarm", stale=True)
    assert (saved.head.saved_by, saved.head.index, saved.head.stale) == ("n4", 9, True)
    assert check_backup(tmp_path / "b.swarm") == saved.head
    assert b"".join(read_state(tmp_path / "b.swarm")) == b"n4"


async def test_a_stale_backup_is_of_the_manager_that_is_named(world, cluster, saving, tmp_path):
    await lose_majority(world)
    saved = await cluster.save_backup(tmp_path / "b.swarm", node="n3", stale=True)
    assert (saved.head.saved_by, saved.head.index) == ("n3", 7)


async def test_nobody_is_left_for_a_stale_backup(world, cluster, saving, tmp_path):
    for name in ("n1", "n2", "n3", "n4", "n5"):
        await world.nodes[name].die()
    with pytest.raises(NoHost, match="swarmtui up"):
        await cluster.save_backup(tmp_path / "b.swarm", stale=True)


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("pieces", [0, 1])
async def test_a_manager_that_is_paused_on_the_way_is_named_and_leaves_no_file(
    world, cluster, saving, monkeypatch, tmp_path, pieces, stale
):
    """Its connection stands: the order waited for ever."""

    async def state(node: FakeNode, call: StreamState):
        for _ in range(pieces):
            yield StatePiece(node.applied, node.term, b"some of it")
        await trio.sleep_forever()

    saving.state = state
    monkeypatch.setattr("swarmtui.client.backup.PIECE_QUIET_S", 0.1)
    monkeypatch.setattr("swarmtui.client.backup.StreamState", partial(StreamState, timeout_s=0.1))
    with (
        trio.fail_after(5),
        pytest.raises(NotReached, match=r"^n3 does not answer: no more of its state came in 0\.[12] s"),
    ):
        await cluster.save_backup(tmp_path / "b.swarm", node="n3", stale=stale)
    assert not list(tmp_path.glob("*b.swarm*"))


async def test_a_state_that_takes_long_as_a_whole_is_waited_for(world, cluster, saving, monkeypatch, tmp_path):
    async def state(node: FakeNode, call: StreamState):
        for _ in range(8):
            await trio.sleep(0.1)
            yield StatePiece(node.applied, node.term, b"x")
        yield StatePiece(node.applied, node.term, last=True)

    saving.state = state
    monkeypatch.setattr("swarmtui.client.backup.PIECE_QUIET_S", 0.5)
    await cluster.save_backup(tmp_path / "b.swarm", stale=True)
    assert b"".join(read_state(tmp_path / "b.swarm")) == b"x" * 8
