"""The role manager: a node's wanted role (its spec), its observed one (its record), and its seat in the consensus agree.

    promote   spec manager  ->  record manager, as a new member (the node gets a manager's certificate by that)
              ->  it speaks as a manager  ->  it takes a seat as a learner  ->  raft gives it a vote when it has caught up
    demote    spec worker   ->  its seat is given up (the leader hands over first; raft refuses what would cost the quorum)
              ->  that is committed  ->  record worker (and by that the node forgets its log)
    removed   no record     ->  its seat is given up
    moved     another address or name in the record  ->  in its seat

The order is what makes it safe, and it is swarmkit's (role_manager.go): a vote is taken away before anybody is told that he
is a worker, so no log is forgotten that still counts; and a certificate is given before a seat, so nobody counts who cannot
speak. A member that left never comes back under its id: a node that is promoted again is a new member.

What raft refuses is told once, with its reason, and tried again later and later. So is a leader's own leaving, where nobody
takes over from it: writes wait while leadership is being handed over. One wish is under way at a time: raft changes one thing
at a time as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import attrs

from swarmtui.manager.membership import LeaveSeat, MoveSeat, Refusal, Seat, SeatsPort, TakeSeat, Wish
from swarmtui.manager.reconciler import Decision, Moment, Narration, Reconciler, cluster_of
from swarmtui.objects.operations import Update
from swarmtui.objects.records import Cluster, Node
from swarmtui.objects.states import NodeRole
from swarmtui.store import Change, Store

RETRY_WISH_FIRST_S = 0.1
RETRY_WISH_MAX_S = 5.0  # as swarmkit's role manager
HANDOVER_PAUSE_FIRST_S = 5.0  # once two heirs, or one twice, did not take over; doubles up to
HANDOVER_PAUSE_MAX_S = 30.0
LOOK_S = 1.0  # a change that was begun, or a node that is not ready, is looked at again at the latest then
SOON = frozenset({"own-term", "in-flight", "transfer", "leader-leaves", "wrong-term", "not-leader"})
"""Refusals that pass by themselves; the others stand until somebody changes something."""


@attrs.define
class _Refused:
    """What was refused last about a node."""

    reason: str
    times: int = 0
    handovers: int = 0  # of this leader, who was to leave; it leads still


class RoleManager(Reconciler):
    """One key a node."""

    name: ClassVar[str] = "roles"
    tables: ClassVar[frozenset[str]] = frozenset({Node.TABLE, Cluster.TABLE})

    def __init__(self, store: Store, new_id: Callable[[], str], members: SeatsPort) -> None:
        super().__init__(store, new_id)
        self._members = members
        self._asked: tuple[str, Wish] | None = None
        self._unsent: list[Wish] = []
        self._refused: dict[str, _Refused] = {}
        self._not_before: dict[str, float] = {}
        self._waiting_for: dict[str, str] = {}  # told once: what a node is waited for
        self.says: list[Narration] = []

    # ---- what is heard

    def notice(self, change: Change, moment: Moment) -> None:
        match change.after or change.before:
            case Node() as node:
                self.mark([node.id])
            case Cluster():
                self.look_at_everything(moment)

    def look_at_everything(self, moment: Moment) -> None:
        self.mark(node.id for node in self.store.all(Node))
        self.mark(seat.node_id for seat in self._members.seats().taken)

    def wishes(self) -> list[Wish]:
        """What is to be asked of the consensus now. Each is answered by `answered`."""
        unsent, self._unsent = self._unsent, []
        return unsent

    def answered(self, refusal: Refusal | None, moment: Moment) -> None:
        """The last wish was begun, or refused."""
        if self._asked is None:
            return
        (key, wish), self._asked = self._asked, None
        seat = wish.seat
        if refusal is None:
            self._refused.pop(key, None)
            self._not_before.pop(key, None)
            self._say(str(wish), seat, address=seat.address, member=seat.id)
        else:
            self._note_refusal(key, wish, refusal, moment)
        self.look_at_everything(moment)  # others may have waited for their turn
        self.look_again_at(key, moment.now + LOOK_S)

    def _note_refusal(self, key: str, wish: Wish, refusal: Refusal, moment: Moment) -> None:
        refused = self._refused.setdefault(key, _Refused(""))
        if refusal.rule == "leader-leaves":
            refused.handovers += 1
            if refused.handovers > 1:
                self._hand_over_later(key, wish, refusal, moment)
                return
        is_told = refusal.reason == refused.reason or (refused.handovers and refusal.rule == "transfer")
        if not is_told and refusal.rule not in ("in-flight", "own-term"):
            waits = "; tried again" if refusal.rule in SOON else "; tried again until it may, or is wished no more"
            self._say(f"not yet: {wish}: {refusal.reason}{waits}", wish.seat, rule=refusal.rule, reason=refusal.reason)
            refused.reason = refusal.reason
        refused.times = 0 if refusal.rule in SOON else refused.times + 1
        self._ask_again(key, min(RETRY_WISH_FIRST_S * 2 ** min(refused.times, 10), RETRY_WISH_MAX_S), moment)

    def _hand_over_later(self, key: str, wish: Wish, refusal: Refusal, moment: Moment) -> None:
        handovers = self._refused[key].handovers
        wait_s = min(HANDOVER_PAUSE_FIRST_S * 2 ** min(handovers - 2, 10), HANDOVER_PAUSE_MAX_S)
        said = f"not yet: {wish}: {refusal.reason}; nobody took over so far, tried again in {wait_s:g} s"
        self._say(said, wish.seat, rule=refusal.rule, reason=refusal.reason)
        self._ask_again(key, wait_s, moment)

    def _ask_again(self, key: str, wait_s: float, moment: Moment) -> None:
        self._not_before[key] = moment.now + wait_s
        self.look_again_at(key, moment.now + wait_s)

    # ---- what is to be done

    def decide(self, key: str, moment: Moment) -> Decision | None:
        if cluster_of(self.store).shutting_down:
            return None
        node = self.store.get(Node, key)
        if node is None:
            self._give_up(key, self._members.seats().of_node(key), moment)
            return None
        if node.spec.role is NodeRole.MANAGER:
            return self._promote(node, moment)
        return self._demote(node, moment)

    def _promote(self, node: Node, moment: Moment) -> Decision | None:
        seats = self._members.seats()
        own = next((seat for seat in seats.of_node(node.id) if seat.id == node.member_id), None)
        if node.role is NodeRole.WORKER:
            promoted = attrs.evolve(node, role=NodeRole.MANAGER, promotions=node.promotions + 1)
            text = f"{node.name} is promoted: it becomes the member {promoted.member_id} when it speaks as a manager"
            return self._record(node, promoted, text)
        if own is not None:
            self._waiting_for.pop(node.id, None)
            self._keep_place(node, own, moment)
            return None
        if node.member_id in seats.removed:
            text = f"{node.name} was put out and is no member: swarmtui node demote {node.name}, then promote it again"
            self._wait(node, text, moment)
            return None
        if not self._members.is_ready(node.id):
            self._wait(node, f"{node.name} does not speak as a manager yet: no seat before that", moment)
        elif not node.status.address:
            self._wait(node, f"{node.name} has not said yet where it listens", moment)
        else:
            seat = Seat(node.member_id, node.name, node.status.address, votes=False)
            self._wish(node.id, TakeSeat(seat), moment)
        return None

    def _keep_place(self, node: Node, seat: Seat, moment: Moment) -> None:
        """It sits; its seat says where, and how it is called."""
        wanted = attrs.evolve(seat, name=node.name, address=node.status.address or seat.address)
        if wanted != seat:
            self._wish(node.id, MoveSeat(wanted), moment)
        else:
            self._refused.pop(node.id, None)  # a wish that was taken back
            self._not_before.pop(node.id, None)

    def _demote(self, node: Node, moment: Moment) -> Decision | None:
        seats = self._members.seats()
        own = seats.of_node(node.id)
        if own:
            self._give_up(node.id, own, moment)
            return None
        if node.role is NodeRole.WORKER:
            self._refused.pop(node.id, None)
            return None
        if not seats.settled:
            self.look_again_at(node.id, moment.now + LOOK_S)
            return None
        text = f"{node.name} is demoted: its member {node.member_id} has left for good, it goes on as a worker"
        return self._record(node, attrs.evolve(node, role=NodeRole.WORKER), text)

    def _record(self, node: Node, wanted: Node, text: str) -> Decision:
        said = Narration("node", text, object=node.id, data={"member": wanted.member_id, "role": str(wanted.role)})
        return Decision((node.id,), (Update(wanted, version=node.version),), says=(said,))

    def _give_up(self, key: str, seats: list[Seat], moment: Moment) -> None:
        if seats:
            self._wish(key, LeaveSeat(seats[0]), moment)

    def _wish(self, key: str, wish: Wish, moment: Moment) -> None:
        not_before = self._not_before.get(key, moment.now)
        if moment.now < not_before:
            self.look_again_at(key, not_before)
        elif self._asked is None:
            self._asked = key, wish
            self._unsent.append(wish)
        # else: looked at again when the answer to the other one is there

    def _wait(self, node: Node, text: str, moment: Moment) -> None:
        if self._waiting_for.get(node.id) != text:
            self._waiting_for[node.id] = text
            self.says.append(Narration("node", text, object=node.id, data={"member": node.member_id}))
        self.look_again_at(node.id, moment.now + LOOK_S)

    def _say(self, text: str, seat: Seat, **data: str) -> None:
        self.says.append(Narration("node", text, object=seat.node_id, data=data))
