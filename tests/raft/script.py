"""Golden scripts: commands on a small cluster in slow motion, and beside each the lines that it causes.

A script is a text file. A line that begins with `> ` is a command; the lines after it, up to an empty one, are what the
cores then say; everything else is comment. Nothing moves by itself: messages wait in queues until delivered, writes until
synced, time stands still until told. SWARMTUI_REWRITE=1 writes the lines anew; their diff is the review.

    cluster 3 [option=value ...]      n1..n3 with a genesis log
    node n1 term=3 vote=n2 commit=1 log=1,1,2     that disk instead, terms of the entries from index 1 on; then started
    campaign n1                       the first manager of a new cluster
    lead n1                           campaign and settle, silently: where a script begins
    expire n1                         time passes up to its deadline, which is then fed
    pass 0.2 [n1 ...]                 time passes; then everybody (or only these) looks whether something is due
    propose n1 a b / read n1 7 / transfer n1 9 [n2] / hint n2 n1 / unreachable n1 n2 / reachable n1 n2 / gap n1
    deliver [n1>n2] [count]           the oldest messages of one path; of all paths, those that wait now
    drop n1>n2 [count] / twice n1>n2  lose messages; duplicate the oldest one
    cut n1>n2 ... / uncut n1>n2 ...   nothing new passes there / again
    live 0.7                          time passes in small steps, everything moves
    hold n1>n2 / late                 set the oldest aside / put all that were set aside at the end of their paths
    sync [n1 ...]                     what these disks work on becomes durable
    settle                            sync and deliver until nothing moves
    quietly COMMAND                   without its lines
    crash n1 / start n1               what was not synced is gone / from its disk
    snapshot n1                       takes one of its applied state
    ask n2>n3 5 4/2 [pre]             a question for a vote in term 5 by one whose log ends at index 4 of term 2
    join n4                           starts a node that knows the members, and nothing of the log
    members n1 9 +n4 ?n5 ~n3 -n2 n1@b1     wishes: a voter, a learner; demote, remove, move. Told: MembersChanged of everybody
    draw n1 0.5 0.1                   its next election timers: 1.5 and 1.1 election timeouts
    stall n1 / unstall n1             its state machine applies nothing / again, beginning with what waited
    state [n1 ...] / log [n1 ...] / waiting     lines of state; terms of the log; messages on their way
    who [n1 ...]                      the members as each knows them
    data [n1 ...]                     what was proposed and is committed there
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from swarmtui.raft.changes import AddLearner, AddVoter, Change, Demote, Move, Remove
from swarmtui.raft.configuration import Configuration, Member, encode_configuration
from swarmtui.raft.core import RaftCore
from swarmtui.raft.effects import (
    Apply,
    Compact,
    Effect,
    HardState,
    InstallSnapshot,
    Narrate,
    ReadChunk,
    Send,
    Write,
    WriteChunk,
)
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import (
    Applied,
    CampaignAsked,
    Gap,
    Input,
    LeaderLost,
    MembersAsked,
    Proposed,
    Reachable,
    ReadAsked,
    SnapshotInstalled,
    Tick,
    TransferAsked,
    Unreachable,
)
from swarmtui.raft.messages import AnyMessage, SnapshotMark
from swarmtui.raft.options import RaftOptions
from swarmtui.raft.text import effect_line, status_line
from swarmtui.sim.disk import DropLog, Ruin, SaveSnapshot, SimulatedDisk, checksum
from swarmtui.sim.machine import StateMachine
from tests.raft.script_messages import Messages

SETTLE_ROUNDS_MAX = 200
LIVE_STEP_S = 0.01
NARRATED = ("truncated", "dropped", "transfer given up", "promoted", "promotion waits", "catching up given up")


class Script(Messages):
    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[str] = []
        self.quiet = False

    # ---- running ----

    def run(self, command: str) -> list[str]:
        self.lines = []
        self._do(command)
        return self.lines

    def _do(self, command: str) -> None:
        name, *arguments = command.split()
        if name == "quietly":
            self.quiet = True
            self._do(" ".join(arguments))
            self.quiet = False
            return
        getattr(self, f"do_{name}")(*arguments)

    def say(self, line: str) -> None:
        if not self.quiet:
            self.lines.append(line)

    # ---- the cluster ----

    def do_cluster(self, count: str, *settings: str) -> None:
        values = {key: float(value) if "." in value else int(value) for key, value in (s.split("=") for s in settings)}
        self.options = RaftOptions(**values)  # type: ignore[arg-type]
        self.members = Configuration(tuple(Member(f"n{i}", f"n{i}", f"a{i}") for i in range(1, int(count) + 1)))
        genesis = Entry(1, 1, EntryKind.CONFIGURATION, encode_configuration(self.members))
        self.disks = {id: SimulatedDisk(self.members, genesis, random.Random(1)) for id in self.members.voter_ids}
        self.cores: dict[str, RaftCore | None] = dict.fromkeys(self.disks)
        self.machines = {id: StateMachine() for id in self.disks}
        self.paths: dict[str, deque[AnyMessage]] = {
            f"{a}>{b}": deque() for a in self.disks for b in self.disks if a != b
        }
        self.aside: deque[AnyMessage] = deque()
        self.cuts: set[str] = set()
        self.draws: dict[str, deque[float]] = {id: deque() for id in self.disks}
        self.stalled: dict[str, list[Entry]] = {}
        for id in self.disks:
            self._start(id)
        self.quiet, quiet = True, self.quiet
        self.settle_disks()
        self.quiet = quiet

    def do_join(self, id: str) -> None:
        known = self.core(self.up[0]).members.current
        disk = self.disks[id] = SimulatedDisk(known, Entry(1, 1, EntryKind.NOOP), random.Random(1))
        disk.entries, disk.hard_state = [], HardState()
        self.draws[id] = deque()
        for other in self.cores:
            self.paths.setdefault(f"{id}>{other}", deque())
            self.paths.setdefault(f"{other}>{id}", deque())
        self._start(id)

    def do_node(self, id: str, *settings: str) -> None:
        values = dict(setting.split("=") for setting in settings)
        disk = self.disks[id]
        disk.hard_state = HardState(int(values.get("term", 1)), values.get("vote", ""), int(values.get("commit", 1)))
        terms = [int(term) for term in values.get("log", "1").split(",")]
        disk.entries[1:] = [Entry(i, t, EntryKind.NOOP) for i, t in enumerate(terms[1:], start=2)]
        self._start(id)

    def _start(self, id: str) -> None:
        disk = self.disks[id]
        self.machines[id] = StateMachine()
        self.stalled.pop(id, None)
        if disk.newest is not None:
            self.machines[id].load(disk.snapshots[disk.newest])
        self.cores[id] = RaftCore(
            node_id=id,
            cluster="c",
            options=self.options,
            restored=disk.restore(),
            draw=lambda: self.draws[id].popleft() if self.draws[id] else int(id[1:]) / 10,  # n1's timer is the shortest
            now=self.now,
        )
        self.drain(id)

    def do_start(self, id: str) -> None:
        self._start(id)

    def do_crash(self, id: str) -> None:
        self.cores[id] = None
        self.disks[id].crash(Ruin.POWER)

    def core(self, id: str) -> RaftCore:
        core = self.cores[id]
        assert core is not None, f"{id} is down"
        return core

    @property
    def up(self) -> list[str]:
        return [id for id, core in self.cores.items() if core is not None]

    # ---- inputs and effects ----

    def feed(self, id: str, event: Input) -> None:
        self.core(id).feed(event, self.now)
        self.drain(id)

    def drain(self, id: str) -> None:
        core = self.core(id)
        while effects := core.drain():
            for effect in effects:
                if not isinstance(effect, Narrate) or effect.what in NARRATED:
                    self.say(f"{id} {effect_line(effect)}")
                self.carry_out(id, core, effect)

    def carry_out(self, id: str, core: RaftCore, effect: Effect) -> None:
        if isinstance(effect, Send):
            path = f"{id}>{effect.message.target}"
            if path not in self.cuts:
                self.paths.setdefault(path, deque()).append(effect.message)
        elif isinstance(effect, Write | ReadChunk | WriteChunk | InstallSnapshot):
            self.disks[id].waiting.append(effect)
        elif isinstance(effect, Compact):
            self.disks[id].waiting.append(DropLog(effect.index))
        elif isinstance(effect, Apply) and id in self.stalled:
            self.stalled[id].extend(effect.entries)
        elif isinstance(effect, Apply):
            self.apply(id, core, effect.entries)

    def apply(self, id: str, core: RaftCore, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.machines[id].apply(entry)
            core.feed(Applied(entry.index), self.now)

    # ---- time ----

    def do_expire(self, id: str) -> None:
        deadline = self.core(id).deadline
        assert deadline is not None
        self.now = max(self.now, deadline)
        self.feed(id, Tick())

    def do_pass(self, seconds: str, *ids: str) -> None:
        self.now += float(seconds)
        for id in ids or self.up:
            self.feed(id, Tick())

    def do_live(self, seconds: str) -> None:
        """Time passes in small steps; everything moves."""
        for _ in range(round(float(seconds) / LIVE_STEP_S)):
            self.now += LIVE_STEP_S
            for id in self.up:
                self.feed(id, Tick())
            self.do_settle()

    def do_gap(self, id: str) -> None:
        self.feed(id, Gap())

    def do_draw(self, id: str, *draws: str) -> None:
        self.draws[id].extend(float(draw) for draw in draws)

    def do_stall(self, id: str) -> None:
        self.stalled[id] = []

    def do_unstall(self, id: str) -> None:
        self.apply(id, self.core(id), self.stalled.pop(id))
        self.drain(id)

    # ---- requests ----

    def do_campaign(self, id: str) -> None:
        self.feed(id, CampaignAsked())

    def do_lead(self, id: str) -> None:
        self.quiet = True
        self.feed(id, CampaignAsked())
        self.do_settle()
        self.do_pass("0.01")
        self.do_settle()
        self.quiet = False
        assert self.core(id).role.kind == "leader"

    def do_propose(self, id: str, *payloads: str) -> None:
        core = self.core(id)
        self.feed(id, Proposed(core.log.last + 1, core.term, tuple(payload.encode() for payload in payloads)))

    def do_read(self, id: str, ticket: str) -> None:
        self.feed(id, ReadAsked(int(ticket)))

    def do_transfer(self, id: str, ticket: str, target: str = "") -> None:
        self.feed(id, TransferAsked(int(ticket), target))

    def do_members(self, id: str, ticket: str, *wishes: str) -> None:
        self.feed(id, MembersAsked(int(ticket), self.core(id).term, tuple(map(_change, wishes))))

    def do_hint(self, id: str, leader: str) -> None:
        self.feed(id, LeaderLost(leader, self.core(id).term))

    def do_unreachable(self, id: str, peer: str) -> None:
        self.feed(id, Unreachable(peer))

    def do_reachable(self, id: str, peer: str) -> None:
        self.feed(id, Reachable(peer))

    # ---- disks ----

    def do_sync(self, *ids: str) -> None:
        for id in ids or self.up:
            self._sync(id)

    def _sync(self, id: str) -> bool:
        disk = self.disks[id]
        if self.cores[id] is None or not disk.take_batch():
            return False
        for report in disk.finish_batch():
            if isinstance(report, SnapshotInstalled):
                self.machines[id] = StateMachine()
                self.machines[id].load(disk.snapshots[report.mark])
            self.feed(id, report)
        return True

    def settle_disks(self) -> bool:
        moved = [self._sync(id) for id in self.up]
        return any(moved)

    def do_settle(self) -> None:
        for _ in range(SETTLE_ROUNDS_MAX):
            moved = self.settle_disks()
            if any(self.paths.values()):
                moved = True
                self.do_deliver()
            if not moved:
                return
        raise AssertionError("the cluster does not settle")

    def do_snapshot(self, id: str) -> None:
        core, machine = self.core(id), self.machines[id]
        data = machine.snapshot()[:300]
        term = core.term_at(machine.index)
        assert term is not None
        mark = SnapshotMark(machine.index, term, core.configuration_at(machine.index), len(data), checksum(data))
        self.disks[id].waiting.append(SaveSnapshot(mark, data))

    # ---- looking ----

    def do_state(self, *ids: str) -> None:
        for id in ids or self.up:
            self.say(status_line(self.core(id).status(self.now)))

    def do_who(self, *ids: str) -> None:
        for id in ids or self.up:
            self.say(f"{id} {self.core(id).members.index}: {self.core(id).members.current}")

    def do_log(self, *ids: str) -> None:
        for id in ids or self.up:
            log = self.core(id).log
            terms = " ".join(str(entry.term) for entry in log.between(log.first, log.last))
            self.say(f"{id} from {log.first}: {terms}")

    def do_data(self, *ids: str) -> None:
        for id in ids or self.up:
            log = self.core(id).log
            entries = log.between(log.first, log.commit)
            data = [entry.data.decode() for entry in entries if entry.kind is EntryKind.TRANSACTIONS]
            self.say(f"{id} holds {' '.join(data)}")


def _change(wish: str) -> Change:
    """`+n4` `?n4` `~n4` `-n4` `n4@address`."""
    id, _, address = wish.strip("+?~-").partition("@")
    member = Member(id, id, address or f"a{id[1:]}")
    if address:
        return Move(member)
    make: dict[str, Change] = {"+": AddVoter(member), "?": AddLearner(member), "~": Demote(id), "-": Remove(id)}
    return make[wish[0]]


def run_script(text: str) -> str:
    """The script with the lines that its commands cause now."""
    script, output, expected = Script(), [], False
    for line in text.splitlines():
        if line.startswith("> "):
            expected = True
            output.append(line)
            output.extend(script.run(line[2:]))
        elif not line.strip():
            expected = False
            output.append("")
        elif not expected:
            output.append(line)
    return "\n".join(output) + "\n"


def scripts() -> list[Path]:
    return sorted((Path(__file__).parent / "scripts").glob("*.txt"))
