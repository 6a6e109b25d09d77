"""What the nemesis does to a real cluster: one fault after another, drawn from its seed, each healed after a while."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from itertools import combinations

import trio

import swarmtui
from swarmtui.client.errors import ClientError, Refused
from swarmtui.objects.states import NodeRole

FAULT_S = (1.0, 4.0)  # how long a fault lasts
CALM_S = (0.5, 2.5)  # and how long nothing is broken afterwards
SECOND_FAULT_SHARE = 0.25  # of faults meet another one before they are healed
ROLE_S = 6.0  # for a change of role; it goes on by itself when that is over
JOINED_MAX = 2  # managers beyond the first ones, at any time
SLOW_MS = (20.0, 150.0)
LOSS = (0.05, 0.3)

Say = Callable[[str], None]


class Nemesis:
    """`done` counts faults by name. It talks to the host alone, as a person with the command line would."""

    def __init__(self, cluster: swarmtui.Cluster, rng: random.Random, say: Say) -> None:
        self.cluster = cluster
        self.host = cluster.host
        self.rng = rng
        self.say = say
        self.names = sorted(node.name for node in cluster.manifest.managers)
        self.done: Counter[str] = Counter()
        self.demoted: set[str] = set()  # managers that are to be managers again
        self.joined: list[str] = []  # managers that came later, and may be removed for ever
        self.leaving: set[str] = set()  # those of them that are being removed
        self.newcomers = 0  # ever
        self.kinds: tuple[tuple[int, str, Callable[[], Awaitable[None]]], ...] = (
            (4, "kill the leader", self._kill_leader),
            (2, "kill a minority", self._kill_minority),
            (1, "kill a majority", self._kill_majority),
            (1, "kill all", self._kill_all),
            (1, "restart one", self._restart_one),
            (3, "pause the leader", self._pause_leader),
            (2, "pause some", self._pause_some),
            (3, "halves", self._halves),
            (2, "ring", self._ring),
            (3, "one way", self._one_way),
            (3, "leader alone", self._leader_alone),
            (2, "slow links", self._slow),
            (2, "lossy links", self._lossy),
            (3, "demote one", self._demote),
            (4, "join one", self._join),
            (3, "remove one", self._remove),
        )

    async def run(self, until: trio.Event) -> None:
        """Until told otherwise; what is broken then is healed."""
        try:
            while not until.is_set():
                await self._round()
                await trio.sleep(self.rng.uniform(*CALM_S))
        finally:
            with trio.CancelScope(shield=True):
                await self._order("heal", self.host.heal())

    async def _round(self) -> None:
        await self._strike()
        await trio.sleep(self.rng.uniform(*FAULT_S))
        if self.rng.random() < SECOND_FAULT_SHARE:
            await self._strike()
            await trio.sleep(self.rng.uniform(*FAULT_S))
        await self._order("heal", self.host.heal())
        for name in sorted(self.demoted):
            await self.promote(name)

    async def _strike(self) -> None:
        weights = [weight for weight, _, _ in self.kinds]
        _, name, strike = self.rng.choices(self.kinds, weights)[0]
        self.done[name] += 1
        self.say(name)
        await strike()

    async def _order(self, what: str, order: Awaitable[object]) -> None:
        """A host on a busy machine may be slow; that it refuses is a finding for whoever reads."""
        try:
            await order
        except ClientError as error:
            self.say(f"{what}: {error}")

    async def leader(self) -> str:
        """Who leads, or somebody if nobody does."""
        with trio.move_on_after(2.0):
            try:
                status = await self.cluster.status()
            except ClientError:
                status = None
            if status is not None and status.leader:
                return status.leader
        return self.rng.choice(self.names)

    def _some(self, least: int, most: int) -> list[str]:
        return self.rng.sample(self.names, self.rng.randint(least, most))

    # ---- power ----

    async def _power(self, action: str, names: Sequence[str]) -> None:
        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(self._order, f"{action} {name}", self.host.power(name, action))

    async def _kill_leader(self) -> None:
        await self._power("kill", [await self.leader()])

    async def _kill_minority(self) -> None:
        await self._power("kill", self._some(1, (len(self.names) - 1) // 2))

    async def _kill_majority(self) -> None:
        await self._power("kill", self._some(len(self.names) // 2 + 1, len(self.names) - 1))

    async def _kill_all(self) -> None:
        await self._power("kill", self.names)

    async def _restart_one(self) -> None:
        await self._power("restart", self._some(1, 1))

    async def _pause_leader(self) -> None:
        await self._power("pause", [await self.leader()])

    async def _pause_some(self) -> None:
        await self._power("pause", self._some(1, 3))

    # ---- members ----

    async def _demote(self) -> None:
        """It leaves the consensus and forgets its log; promoted again it is a new member of it. What meets the demotion is
        up to the next fault, and that it is refused for want of a quorum is right."""
        name = await self.leader() if self.rng.random() < 0.5 else self.rng.choice(self.names)
        self.demoted.add(name)
        await self._order(f"demote {name}", self.cluster.nodes.demote(name, timeout_s=ROLE_S))

    async def promote(self, name: str) -> bool:
        """True once it votes again."""
        try:
            await self.cluster.nodes.promote(name, timeout_s=ROLE_S)
        except ClientError as error:
            self.say(f"promote {name}: {error}")
            return False
        self.demoted.discard(name)
        return True

    async def _join(self) -> None:
        """A new manager. It goes on catching up by itself when we do not wait any longer."""
        if len(self.joined) >= JOINED_MAX:
            await self._remove()
            return
        self.newcomers += 1
        name = f"late{self.newcomers}"
        self.joined.append(name)
        await self._order(f"join {name}", self.cluster.nodes.join(name=name, role=NodeRole.MANAGER, timeout_s=ROLE_S))
        if self.cluster.manifest.node(name) is not None:
            self.names.append(name)

    async def _remove(self) -> None:
        """One that joined leaves for ever: while it runs, demoted first, or when its process was killed, by force."""
        if not self.joined:
            await self._join()
            return
        name = self.rng.choice(self.joined)
        self.leaving.add(name)
        by_force = self.rng.random() < 0.5
        if by_force:
            await self._power("kill", [name])
        await self.remove(name, by_force=by_force)

    async def remove(self, name: str, *, by_force: bool = False) -> None:
        """As an operator would: demote, stop, remove; begun again where an earlier attempt was broken off."""
        nodes = self.cluster.nodes
        try:
            if not by_force and name in {node.name for node in await nodes.list()}:
                await nodes.demote(name, timeout_s=ROLE_S)
                await self.host.power(name, "stop")
            await nodes.remove(name, force=True, timeout_s=ROLE_S)
        except ClientError as error:
            if not (isinstance(error, Refused) and error.rule == "absent"):
                self.say(f"rm {name}: {error}")
                return
        self.leaving.discard(name)
        for names in (self.joined, self.names):
            if name in names:
                names.remove(name)

    async def restore(self) -> object:
        """Everybody a manager again, and who was to leave is gone; what is missing."""
        for name in sorted(self.demoted):
            await self.promote(name)
        for name in sorted(self.leaving):
            await self.remove(name)
        missing = sorted(self.demoted | self.leaving)
        return missing if missing else True

    # ---- links ----

    async def _halves(self) -> None:
        some = self._some(1, len(self.names) - 1)
        rest = [name for name in self.names if name not in some]
        await self._order("partition", self.host.partition([some, rest]))

    async def _leader_alone(self) -> None:
        leader = await self.leader()
        rest = [name for name in self.names if name != leader]
        await self._order("partition", self.host.partition([[leader], rest]))

    async def _ring(self) -> None:
        """Everybody reaches a majority, and no two the same one."""
        ring = self._some(len(self.names), len(self.names))
        reach = len(ring) // 2 // 2  # neighbours on each side
        for (at, one), (other_at, other) in combinations(enumerate(ring), 2):
            apart = min(other_at - at, len(ring) - (other_at - at))
            if apart > reach:
                await self._order("cut", self.host.link(one, other, cut=True))

    async def _one_way(self) -> None:
        """Often the worst case: a leader that still speaks and hears nothing."""
        one = await self.leader() if self.rng.random() < 0.6 else self.rng.choice(self.names)
        outward = self.rng.random() < 0.4
        for other in self.names:
            if other != one:
                source, target = (one, other) if outward else (other, one)
                await self._order("cut", self.host.link(source, target, one_way=True, cut=True))

    async def _slow(self) -> None:
        delay_ms = self.rng.uniform(*SLOW_MS)
        for one, other in self._pairs():
            await self._order("link", self.host.link(one, other, delay_ms=delay_ms, jitter_ms=delay_ms / 2))

    async def _lossy(self) -> None:
        loss = self.rng.uniform(*LOSS)
        for one, other in self._pairs():
            await self._order("link", self.host.link(one, other, loss=loss))

    def _pairs(self) -> list[tuple[str, str]]:
        """The links of one node, or all."""
        one = self.rng.choice(self.names)
        everybody = self.rng.random() < 0.5
        return [pair for pair in combinations(self.names, 2) if everybody or one in pair]
