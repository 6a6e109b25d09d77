"""All reconcilers of one leadership under one roof. Pure: `loop` drives it with trio, the simulator in virtual time.

look(moment)                 takes what changed in the store, tells everybody, steps them: the transactions to propose
settled(batch, verdict, ...) what became of one of them
feed, effects                messages of agents in; messages, dials and confirmations out
wishes, answered             changes of the consensus' members out; what became of each
deadline                     when to look again though nothing happens
"""

from __future__ import annotations

from collections.abc import Callable

from swarmtui.manager.allocator import Allocator
from swarmtui.manager.dispatcher import Dispatcher, Effect
from swarmtui.manager.driver import Batch, Driver
from swarmtui.manager.enforcer import Enforcer
from swarmtui.manager.global_ import GlobalOrchestrator
from swarmtui.manager.health import Health
from swarmtui.manager.leadership import SessionBroken, SessionKey
from swarmtui.manager.leases import LeaseKeeper
from swarmtui.manager.membership import Refusal, SeatsPort, Wish
from swarmtui.manager.nodes import Orphaner
from swarmtui.manager.reaper import Reaper
from swarmtui.manager.reconciler import Loop, Moment, Narration
from swarmtui.manager.release import Releaser
from swarmtui.manager.replicated import ReplicatedOrchestrator
from swarmtui.manager.reports import Reports
from swarmtui.manager.roles import RoleManager
from swarmtui.manager.scheduler import Scheduler
from swarmtui.objects.dispatch import DispatchMessage
from swarmtui.objects.operations import Verdict
from swarmtui.store import Resync, Store


class Manager:
    """`wake` is called when the store has something new; the owner then calls `look`, in its own time.

    `trust_refusals_from` (monotonic): until then a refused dial to a node that this leadership never heard of is no evidence
    of death, as when a whole cluster has just been started and some nodes do not listen yet. `members`: the consensus; without
    it roles are not managed.
    """

    def __init__(
        self,
        store: Store,
        *,
        term: int,
        new_id: Callable[[], str],
        moment: Moment,
        wake: Callable[[], None],
        trust_refusals_from: float = 0.0,
        members: SeatsPort | None = None,
    ) -> None:
        self.health = Health(store, moment, trust_refusals_from=trust_refusals_from)
        self._reports = Reports(store)
        self._leases = LeaseKeeper(store, new_id)
        self.dispatcher = Dispatcher(store, term, self.health, self._reports)
        self.roles = RoleManager(store, new_id, members) if members is not None else None
        self.reconcilers: tuple[Loop, ...] = (
            self._reports,
            self.health,
            ReplicatedOrchestrator(store, new_id),
            GlobalOrchestrator(store, new_id),
            Releaser(store, new_id),
            Allocator(store, new_id),
            Scheduler(store, new_id),
            Enforcer(store, new_id),
            Reaper(store, new_id),
            Orphaner(store, new_id),
            self._leases,
            *((self.roles,) if self.roles is not None else ()),
        )
        self._drivers = tuple(Driver(reconciler) for reconciler in self.reconcilers)
        self._says: list[Narration] = []
        tables = frozenset().union(*(reconciler.tables for reconciler in self.reconcilers))
        self._watch = store.watch(tables=tables)
        self._watch.wake = wake
        self._look_at_everything(moment)

    def close(self) -> None:
        """The leadership has ended: nothing more is watched."""
        self._watch.close()

    def look(self, moment: Moment) -> list[Batch]:
        """Takes in what changed and returns what is to be proposed. Asked again without a change: nothing."""
        self.take_in(moment)
        return [batch for driver in self._drivers for batch in driver.step(moment)]

    def take_in(self, moment: Moment) -> None:
        """Tells every reconciler what changed in the store."""
        changes = self._watch.take()
        if isinstance(changes, Resync):
            self._look_at_everything(moment)
            return
        for change in changes:
            for reconciler in self.reconcilers:
                if change.table in reconciler.tables:
                    reconciler.notice(change, moment)
            if change.table in self.dispatcher.tables:
                self.dispatcher.notice(change)

    def settled(self, batch: Batch, verdict: Verdict | None, moment: Moment) -> None:
        """A transaction's result is applied to the store here. None: it was refused, or its outcome was unknown for a while
        and everything proposed before now is decided."""
        self.take_in(moment)
        self._says += batch.driver.settled(batch, verdict, moment)

    def feed(self, key: SessionKey, message: DispatchMessage | SessionBroken, moment: Moment) -> bool:
        """A message of an agent's session. Returns whether to `look`; `effects` is to be called anyway."""
        return self.dispatcher.feed(key, message, moment)

    def effects(self, moment: Moment) -> list[Effect]:
        """What is to be sent, dialled and confirmed now."""
        return self.dispatcher.drain(moment)

    def says(self) -> list[Narration]:
        """Events to tell, each once."""
        says = self._says + self.dispatcher.says
        self._says = []
        self.dispatcher.says.clear()
        if self.roles is not None:
            says += self.roles.says
            self.roles.says.clear()
        return says

    def wishes(self) -> list[Wish]:
        """What is to be asked of the consensus now; each is answered by `answered`."""
        return self.roles.wishes() if self.roles is not None else []

    def answered(self, refusal: Refusal | None, moment: Moment) -> None:
        """The last wish was begun, or refused."""
        if self.roles is not None:
            self.roles.answered(refusal, moment)

    def members_changed(self, moment: Moment) -> None:
        """Seats, or who is ready to take one, may be different."""
        if self.roles is not None:
            self.roles.look_at_everything(moment)

    def gap(self, now: float) -> None:
        """This node slept: whoever was silent meanwhile gets a full new period."""
        self.health.gap(now)
        self._leases.gap(now)

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds."""
        return min((when for driver in self._drivers if (when := driver.deadline) is not None), default=None)

    def _look_at_everything(self, moment: Moment) -> None:
        for reconciler in self.reconcilers:
            reconciler.look_at_everything(moment)
        self.dispatcher.look_at_everything()
