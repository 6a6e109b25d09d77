"""Leading is one nursery: opened when the leader's own first entry is applied, and over before another one opens."""

from types import SimpleNamespace

import pytest
import trio
import trio.testing

from swarmtui.node.events import Events
from swarmtui.node.leadership import REOPEN_DELAY_S, LeadershipKeeper
from swarmtui.raft.effects import Role, RoleChanged
from swarmtui.raft.reasons import Why


def leads(term: int, first_index: int = 1) -> RoleChanged:
    return RoleChanged(Role.LEADER, term, "here", Why("genesis"), first_index)


FOLLOWS = RoleChanged(Role.FOLLOWER, 9, "there", Why("leader-heard", leader="there"))


class Reigns:
    """What leads, as the node would: records who is open, and how each one ends."""

    def __init__(self) -> None:
        self.open: list[int] = []
        self.begun: list[int] = []
        self.slow_end = trio.Event()
        self.slow_end.set()
        self.fail_first = False

    async def lead(self, leadership) -> None:
        assert self.open == [], "two leaderships at once"
        self.open.append(leadership.term)
        self.begun.append(leadership.term)
        try:
            if self.fail_first and len(self.begun) == 1:
                raise RuntimeError("a loop has a bug")
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await self.slow_end.wait()
            self.open.remove(leadership.term)


@pytest.fixture
async def keeper(nursery, autojump_clock):
    consensus = SimpleNamespace(store=SimpleNamespace(index=0), proposals=None, reads=None)
    events = Events("here")
    reigns = Reigns()
    keeper = LeadershipKeeper(consensus, events, election_timeout_s=0.5)
    nursery.start_soon(keeper.run, reigns.lead)
    return keeper, consensus, reigns, events


async def settled() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def test_it_opens_only_when_the_first_entry_is_applied(keeper):
    keeper, consensus, reigns, _ = keeper
    keeper.role_changed(leads(2, first_index=5))
    await settled()
    assert reigns.open == []
    consensus.store.index = 5
    keeper.applied(5)
    await settled()
    assert reigns.open == [2]


async def test_the_next_one_waits_until_the_last_has_ended(keeper):
    keeper, consensus, reigns, _ = keeper
    consensus.store.index = 9
    keeper.role_changed(leads(2))
    await settled()
    reigns.slow_end = trio.Event()
    keeper.role_changed(FOLLOWS)
    keeper.role_changed(leads(4))
    await settled()
    assert reigns.open == [2]  # cancelled, and not yet over
    reigns.slow_end.set()
    await settled()
    assert reigns.open == [4]


async def test_stepping_down_ends_it(keeper):
    keeper, consensus, reigns, _ = keeper
    consensus.store.index = 9
    keeper.role_changed(leads(2))
    await settled()
    keeper.role_changed(FOLLOWS)
    await settled()
    assert reigns.open == []


async def test_a_loop_that_fails_is_told_and_begun_anew(keeper):
    keeper, consensus, reigns, events = keeper
    consensus.store.index = 9
    reigns.fail_first = True
    keeper.role_changed(leads(2))
    await trio.sleep(REOPEN_DELAY_S * 2)
    assert reigns.begun == [2, 2]
    assert reigns.open == [2]
    assert any("a loop has a bug" in event.text for event in events.after(0))
