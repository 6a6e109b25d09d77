"""The one connection to a node: who waits for it, and how long it may take to come about."""

from __future__ import annotations

import pytest
import trio

from swarmtui.client import NotReached, connect, links, status
from swarmtui.wire.dial import DialFailed, dial
from swarmtui.wire.node_calls import GetStatus, NodeReport
from tests.client.conftest import node_id


class SlowDials:
    """Dials of n1 that go on when the test says so."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_go_on = trio.Event()
        self.fails = False

    async def __call__(self, address, credentials, expected, **options):
        if expected != node_id("n1"):
            return await dial(address, credentials, expected, **options)
        self.begun += 1
        await self.may_go_on.wait()
        if self.fails:
            raise DialFailed("no answer")
        return await dial(address, credentials, expected, **options)


@pytest.fixture
def dials(monkeypatch: pytest.MonkeyPatch) -> SlowDials:
    slow = SlowDials()
    monkeypatch.setattr(links, "dial", slow)
    return slow


async def test_a_dial_outlives_the_patience_of_who_asked_for_it(world, dials):
    """On a busy machine a handshake takes longer than one question for the status may wait: begun anew by each of them,
    none would ever end, and a cluster that is well had no manager that answers."""
    await world.start()
    async with connect(world.directory) as cluster:
        for _ in range(3):
            with pytest.raises(NotReached, match=r"no connection in 0(\.01)? s"):
                await cluster.ask("n1", GetStatus(), 0.01)
        dials.may_go_on.set()
        with trio.fail_after(5):
            assert isinstance(await cluster.ask("n1", GetStatus(), 5.0), NodeReport)
        assert dials.begun == 1


async def test_who_joins_a_dial_that_fails_tries_once_for_himself(world, dials):
    await world.start()
    async with connect(world.directory) as cluster:
        with pytest.raises(NotReached):
            await cluster.ask("n1", GetStatus(), 0.01)
        dials.fails = True
        found = []

        async def ask() -> None:
            found.append(await cluster.ask("n1", GetStatus(), 5.0))

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                await trio.testing.wait_all_tasks_blocked()
                failing, dials.may_go_on = dials.may_go_on, trio.Event()
                failing.set()
                while dials.begun < 2:
                    await trio.lowlevel.checkpoint()
                dials.fails = False
                dials.may_go_on.set()
        assert isinstance(found[0], NodeReport)
        assert dials.begun == 2


async def test_a_busy_machine_is_no_silent_cluster(world, monkeypatch: pytest.MonkeyPatch):
    """All handshakes together take longer than the status waits: nobody has answered, and it looks once more."""

    async def slow(*args, **options):
        await trio.sleep(0.2)
        return await dial(*args, **options)

    monkeypatch.setattr(links, "dial", slow)
    monkeypatch.setattr(status, "STATUS_TIMEOUT_S", 0.05)
    monkeypatch.setattr(status, "SECOND_LOOK_S", 5.0)
    await world.start()
    async with connect(world.directory) as cluster:
        found = await cluster.status()
    assert found.leader == "n1"
    assert found.quorum.held
