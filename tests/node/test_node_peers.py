"""Connections to peers: when a refused dial is told, which is the only evidence of death there is."""

from __future__ import annotations

from types import SimpleNamespace

import trio
import trio.testing

from swarmtui.node.peers import REDIAL_FIRST_S, PeerEvents, Peers
from swarmtui.wire.dial import DialFailed, HungUp, Refused


class Told:
    def __init__(self) -> None:
        self.refused_at: list[float] = []
        self.events = PeerEvents(lambda _: None, lambda _: None, self._refused)

    def _refused(self, _node_id: str) -> None:
        self.refused_at.append(trio.current_time())


async def dialled(*answers: Exception) -> tuple[list[float], list[float]]:
    """When dials were made and when a refusal was told, in seconds; the last answer is repeated."""
    told, dials = Told(), []
    waiting = list(answers)
    began = trio.current_time()

    async def dial(_node_id: str, _address: str):
        dials.append(trio.current_time() - began)
        await trio.lowlevel.checkpoint()
        raise waiting.pop(0) if len(waiting) > 1 else waiting[0]

    async def serve(_connection) -> None:
        raise AssertionError("nothing was connected")

    peers = Peers("id1", dial, serve, told.events)
    peers.want({"id2": "127.0.0.1:1"})
    with trio.move_on_after(0.2):
        await peers.run()
    return dials, [at - began for at in told.refused_at]


async def test_a_refused_dial_is_told_at_once(autojump_clock):
    _, told = await dialled(Refused("nobody"))
    assert told[0] == 0


async def test_a_process_that_dies_under_the_dial_is_dialled_again_at_once(autojump_clock):
    """Its listener is closed a moment after its connections: the first dial is taken and dropped, the next is refused. It
    was dialled again only after 20 ms, and the election waited for that."""
    _, told = await dialled(HungUp("reset"), Refused("nobody"))
    assert told
    assert told[0] < REDIAL_FIRST_S / 4


async def test_one_that_always_hangs_up_is_not_dialled_in_a_tight_loop(autojump_clock):
    dials, told = await dialled(HungUp("a stranger's manners"))
    assert not told
    assert len(dials) < 12


async def test_silence_is_no_evidence(autojump_clock):
    _, told = await dialled(DialFailed("no answer in 5 s"))
    assert not told


async def test_a_dial_refused_while_another_connection_stands_is_not_told(autojump_clock):
    told = Told()
    peers: Peers

    async def dial(_node_id: str, _address: str):
        connection = SimpleNamespace(identity=SimpleNamespace(node_id="id2"))
        nursery.start_soon(lambda: peers.adopt(connection, dialled_here=False))  # it dialled us meanwhile
        await trio.testing.wait_all_tasks_blocked()
        raise Refused("nobody")

    async def serve(_connection) -> None:
        await trio.sleep_forever()

    peers = Peers("id1", dial, serve, told.events)
    async with trio.open_nursery() as nursery:
        peers.want({"id2": "127.0.0.1:1"})
        nursery.start_soon(peers.run)
        await trio.sleep(0.2)
        nursery.cancel_scope.cancel()
    assert not told.refused_at


async def test_who_is_wanted_no_more_is_dialled_no_more_and_who_moved_is_dialled_there(autojump_clock):
    dials: list[tuple[str, str]] = []

    async def dial(node_id: str, address: str):
        dials.append((node_id, address))
        await trio.lowlevel.checkpoint()
        raise DialFailed("silence")

    async def serve(_connection) -> None:
        raise AssertionError("nothing was connected")

    peers = Peers("id1", dial, serve, Told().events)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peers.run)
        peers.want({"id1": "127.0.0.1:1", "id2": "127.0.0.1:2", "id3": "127.0.0.1:3"})
        await trio.sleep(0.1)
        peers.want({"id2": "127.0.0.1:22"})
        await trio.sleep(1.0)
        dials.clear()
        await trio.sleep(2.0)
        assert set(dials) == {("id2", "127.0.0.1:22")}
        peers.want({"id3": "127.0.0.1:3"})
        await trio.sleep(1.0)
        dials.clear()
        await trio.sleep(2.0)
        assert set(dials) == {("id3", "127.0.0.1:3")}
        nursery.cancel_scope.cancel()
