"""The calls that the host answers: orders of people, one method each, and who may give them is `wire.calls.ALLOWED`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import trio

from swarmtui.host.enrolment import EnrolmentRefused
from swarmtui.host.faults import InvalidFault
from swarmtui.host.supply import PowerRefused
from swarmtui.wire.calls import Answer, Call
from swarmtui.wire.certificates import Identity
from swarmtui.wire.host_calls import (
    CutLinks,
    ForgetNode,
    GetHost,
    Heal,
    HostReport,
    MakeNode,
    MoveNode,
    PowerNode,
    SetLink,
    ShutDown,
    Undo,
)
from swarmtui.wire.node_calls import Done, Observe
from swarmtui.wire.rpc import CallRejected

if TYPE_CHECKING:
    from swarmtui.host.host import Host


class Answers:
    """One host's side of the client protocol."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def answer(self, call: Call, identity: Identity) -> Coroutine[Any, Any, Answer] | AsyncIterator[Answer]:
        power = self._host.power
        match call:
            case GetHost():
                return self._report()
            case Observe():
                return self._host.events.read(call.after_seq, follow=call.follow)
            case PowerNode():
                return self._order(lambda: power.obey(call))
            case CutLinks():
                return self._order(lambda: power.cut(call))
            case SetLink():
                return self._order(lambda: power.set_link(call))
            case Heal():
                return self._order(lambda: power.heal(call))
            case Undo():
                return self._order(power.undo)
            case MakeNode():
                return self._order(lambda: self._host.household.make(call))
            case ForgetNode():
                return self._order(lambda: self._host.household.forget(call))
            case MoveNode():
                return self._order(lambda: self._host.household.move(call))
            case ShutDown():
                return self._shut_down()
            case _:
                raise CallRejected("not-here", f"{type(call).__name__} is asked of a node, this is the host")

    async def _report(self) -> HostReport:
        await trio.lowlevel.checkpoint()
        return self._host.report()

    async def _order(self, obey: Callable[[], Awaitable[str]]) -> Done:
        if self._host.is_shutting_down:
            return Done(refused="the cluster is shutting down")
        try:
            return Done(text=await obey())
        except (EnrolmentRefused, InvalidFault, PowerRefused) as error:
            return Done(refused=str(error))

    async def _shut_down(self) -> Done:
        self._host.shut_down()
        await self._host.wait_down()
        return Done(text=f"{self._host.manifest.name} is down")
