"""`logs -f`: what several tasks wrote before, in order of time, and then what they write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from swarmtui.commands.command import Arguments, Context, Place
from swarmtui.commands.merging import ORDER_S
from swarmtui.commands.output import Document, Recorder
from swarmtui.commands.task_output import PAST_PATIENCE_S, show_logs
from swarmtui.objects.records import Task
from swarmtui.wire.node_calls import OutputLine, OutputLines, TaskOutput
from tests.commands.fake_answers import NOW
from tests.commands.fakes import FakeCluster

LIVE = "live"


class Talk:
    """Two tasks of `web`, each with a past of three lines between those of the other, and a line that it writes later."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.slots = {task.id: task.slot for task in cluster.store.all(Task)}
        self.delay_s = {1: 0.0, 2: 0.5}  # before the past of a slot comes
        self.read: list[int] = []  # slots whose live line was asked for

    async def stream(self, node: str, call: TaskOutput) -> AsyncIterator[OutputLines]:
        slot = self.slots[call.task_id]
        await trio.sleep(self.delay_s[slot])
        for number in range(3):
            yield _said(call, NOW + 10 * number + slot, f"{number}", caught_up=number == 2)
        self.read.append(slot)
        yield _said(call, NOW - 99, LIVE)  # by a clock that is behind: what is new is shown as it comes
        await trio.sleep_forever()


def _said(call: TaskOutput, time: float, text: str, *, caught_up: bool = False) -> OutputLines:
    return OutputLines(call.task_id, (OutputLine(time, "stdout", text),), caught_up=caught_up)


@pytest.fixture
async def talk(order, cluster, monkeypatch) -> Talk:
    cluster.play = FakeCluster.run_services
    await order("service create -d --name web --replicas 2 -- sleep 1")
    talk = Talk(cluster)
    monkeypatch.setattr(cluster, "stream", talk.stream)
    return talk


@pytest.fixture
def followed(cluster, machine):
    """What is shown when they are followed for so long."""

    async def follow(seconds: float, **how) -> list[str]:
        out = Recorder()
        context = Context(out=out, place=Place(None, Path(), {}), machine=machine, found=cluster, wall=lambda: NOW)
        with trio.move_on_after(seconds):
            await show_logs(context, Arguments({"follow": True, **how}), ("web",))
        return [item.text.replace("    | ", " ") for item in out.items if isinstance(item, Document)]

    return follow


PAST = ["web.1@n1 0", "web.2@n2 0", "web.1@n1 1", "web.2@n2 1", "web.1@n1 2", "web.2@n2 2"]


async def test_the_past_of_several_tasks_is_in_order_before_what_is_new(followed, talk, autojump_clock):
    """It was shown one task after another."""
    shown = await followed(1.0)
    assert shown[:6] == PAST
    assert sorted(shown[6:]) == [f"web.1@n1 {LIVE}", f"web.2@n2 {LIVE}"]


async def test_a_task_is_read_no_further_until_the_past_is_shown(followed, talk, autojump_clock):
    """A slow one must not make the others pile up."""
    assert await followed(0.4) == []
    assert talk.read == []


async def test_a_node_that_says_nothing_holds_the_others_up_for_a_moment_only(followed, talk, autojump_clock):
    talk.delay_s[2] = 60.0
    assert await followed(PAST_PATIENCE_S + 0.1) == [*PAST[::2], f"web.1@n1 {LIVE}"]
    assert await followed(61.0) == [*PAST[::2], f"web.1@n1 {LIVE}", *PAST[1::2], f"web.2@n2 {LIVE}"]


async def test_a_task_that_has_ended_holds_nobody_up(followed, talk, autojump_clock, cluster, monkeypatch):
    async def ended(node: str, call: TaskOutput) -> AsyncIterator[OutputLines]:
        if talk.slots[call.task_id] == 2:
            yield OutputLines(call.task_id, (), "n2 holds no output of it")
            return
        async for said in talk.stream(node, call):
            yield said

    monkeypatch.setattr(cluster, "stream", ended)
    assert await followed(0.1) == [*PAST[::2], f"web.1@n1 {LIVE}"]


async def test_what_is_new_is_in_order_too_as_far_as_it_comes_within_a_moment(
    followed, talk, autojump_clock, monkeypatch
):
    """Two nodes answer one after the other, whoever wrote first."""
    delays_s = {1: (0.9 * ORDER_S, 2.9 * ORDER_S), 2: (0.0, 2 * ORDER_S)}

    async def live(node: str, call: TaskOutput) -> AsyncIterator[OutputLines]:
        slot = talk.slots[call.task_id]
        yield OutputLines(call.task_id, (), caught_up=True)
        began = trio.current_time()
        for number, delay_s in enumerate(delays_s[slot]):
            await trio.sleep_until(began + delay_s)
            yield _said(call, NOW + 10 * number + slot, f"{number}")
        await trio.sleep_forever()

    monkeypatch.setattr(talk.cluster, "stream", live)
    assert await followed(4.1 * ORDER_S) == PAST[:4]
    assert await followed(1.1 * ORDER_S) == PAST[:2]
    assert await followed(0.5 * ORDER_S) == PAST[1:2]  # nothing that has come is lost when it ends


async def test_following_ends_where_asked(followed, talk, autojump_clock):
    """What was gathered until then is shown, though a node has not told its past yet."""
    talk.delay_s[2] = 60.0
    with trio.fail_after(5):
        assert await followed(60.0, until=lambda now: now + 1.0) == ["web.1@n1 0"]
