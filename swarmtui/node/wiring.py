"""Where the driver of the core hands over what is not its own business: messages, writes, news. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from swarmtui.node.disk import DiskEffect, MayWait
from swarmtui.raft.effects import Effect, RoleChanged, Send
from swarmtui.raft.inputs import Written
from swarmtui.raft.messages import AnyMessage


@attrs.define
class Wiring:
    """`disk` takes writes in order, `begin_disk` says when they may begin; nothing here waits for more than a moment."""

    send: Callable[[AnyMessage], None]
    disk: Callable[[DiskEffect], None]
    role_changed: Callable[[RoleChanged], None]
    applied: Callable[[int], None]
    moved: Callable[[], None]  # something a mark shows may have changed
    members_changed: Callable[[], None] = lambda: None
    begin_disk: Callable[[MayWait], Written | None] = lambda may_wait: None  # with what it was given, see `Disk`
    expelled: Callable[[str], None] = lambda reason: None  # this member was removed for ever
    flush: Callable[[], None] = lambda: None  # what was handed over to be sent shall leave now

    def send_all(self, effects: Iterable[Effect]) -> None:
        """The messages among these: to one peer together, and before those to the next are made. It is at work by then."""
        target = ""
        for effect in effects:
            if isinstance(effect, Send):
                if effect.message.target != target:
                    self.flush()
                    target = effect.message.target
                self.send(effect.message)
        self.flush()
