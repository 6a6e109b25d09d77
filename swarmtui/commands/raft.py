"""`raft log | state | transfer | snapshot`: the replicated log of any node, and every node's raft state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from swarmtui.commands.command import Arguments, Command, Completes, Context, Risk, flag, option, positional
from swarmtui.commands.errors import CommandFailed, TryLater, exit_code_of
from swarmtui.commands.listings import natural
from swarmtui.commands.output import Column, Document, Line, Listing, Note, Row
from swarmtui.commands.targets import resolve_node
from swarmtui.commands.views import fetch_view
from swarmtui.wire.node_calls import (
    LOG_RANGE_MAX,
    GetStatus,
    LogLine,
    LogLines,
    LogRange,
    NodeReport,
    PeerReport,
    TakeSnapshot,
    TransferLeadership,
)

if TYPE_CHECKING:
    from swarmtui.commands.effects import View

ENTRIES_DEFAULT = 20
NEXT_LEADER_S = 1.0  # for whoever took over to say so
LOOK_S = 0.05
LAST_INDEX_S = 2.0  # for who gave a stale state to say how far its log goes on

STATE_COLUMNS = (
    Column("NODE", "node"),
    Column("ROLE", "role"),
    Column("TERM", "term"),
    Column("VOTE", "vote"),
    Column("FIRST", "first"),
    Column("LAST", "last"),
    Column("COMMIT", "commit"),
    Column("APPLIED", "applied"),
    Column("SNAPSHOT", "snapshot"),
    Column("HEARS", "heard"),
)
LOG_COLUMNS = (
    Column("INDEX", "index"),
    Column("TERM", "term"),
    Column("KIND", "kind"),
    Column("BYTES", "bytes"),
    Column("COMMITTED", "committed"),
    Column("ENTRY", "text", shrinks=True),
)


def parse_entry_count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is no number of entries; write a whole number of at least 1")
    return int(text)


async def run_state(context: Context, arguments: Arguments) -> None:
    """Every manager is asked side by side; one that does not answer is a row all the same."""
    managers = context.cluster.manifest.managers
    reports: dict[str, NodeReport] = {}

    async def ask(name: str) -> None:
        try:
            reports[name] = await context.cluster.ask(name, GetStatus())
        except Exception as error:
            if exit_code_of(error) is None:
                raise

    async with trio.open_nursery() as nursery:
        for node in managers:
            nursery.start_soon(ask, node.name)
    names = {node.id: node.name for node in context.cluster.manifest.nodes}
    leading = [report for report in reports.values() if report.raft_role == "leader"]
    leader = max(leading, key=lambda report: report.term, default=None)
    seen = {} if leader is None else {peer.name: peer for peer in leader.peers}
    rows = [_state_row(node.name, reports.get(node.name), seen.get(node.name), names) for node in managers]
    context.out.show(Listing(STATE_COLUMNS, rows, quiet="node"))


def _state_row(name: str, report: NodeReport | None, peer: PeerReport | None, names: dict[str, str]) -> Row:
    """`peer` is the leader's view of it: how far behind, and how far on its way to a vote."""
    lag, catch_up = (peer.lag, peer.catch_up) if peer else (None, "")
    if report is None:
        return Row({"node": name, "role": "unknown", "lag": lag, "catch_up": catch_up or None})
    heard = sorted((names.get(id, id) for id in report.heard), key=natural)
    values: dict[str, Any] = {
        "node": name,
        "role": report.raft_role,
        "term": report.term,
        "vote": names.get(report.vote, report.vote) or None,
        "leader": names.get(report.leader_id, report.leader_id) or None,
        "first": report.first,
        "last": report.last,
        "commit": report.commit,
        "applied": report.applied,
        "snapshot": report.snapshot,
        "heard": heard,
        "holds_quorum": report.holds_quorum,
        "voters": [voter for _, voter in report.voters],
        "learners": [learner for _, learner in report.learners],
        "lag": lag,
        "catch_up": catch_up or None,
        "disk": report.disk or None,
    }
    return Row(
        values, {"heard": " ".join(heard), "role": f"{report.raft_role} ({catch_up})" if catch_up else report.raft_role}
    )


async def run_log(context: Context, arguments: Arguments) -> None:
    """The newest entries of one node's own log, committed or not; of the leader's without NODE."""
    view = await fetch_view(context)
    node = _asked_node(arguments.text("node"), view)
    count = int(arguments.get("tail") or ENTRIES_DEFAULT)
    ends: LogLines = await context.cluster.ask(node, LogRange(1, 0))
    first = max(ends.first, ends.last - count + 1) if not arguments.flag("all") else ends.first
    lines: list[LogLine] = []
    while first <= ends.last:
        answer: LogLines = await context.cluster.ask(node, LogRange(first, min(ends.last, first + LOG_RANGE_MAX - 1)))
        if not answer.lines:
            break
        lines += answer.lines
        first = answer.lines[-1].index + 1
    if ends.first > 1 and arguments.flag("all"):
        context.out.show(Note(f"entries before {ends.first} are compacted into a snapshot on {node}"))
    rows = [
        Row(
            {
                "index": line.index,
                "term": line.term,
                "kind": line.kind,
                "text": line.text,
                "bytes": line.bytes,
                "committed": line.committed,
            },
            {"committed": "yes" if line.committed else "no"},
        )
        for line in lines
    ]
    context.out.show(Listing(LOG_COLUMNS, rows, quiet="index"))


def _asked_node(word: str, view: View) -> str:
    if word:
        return resolve_node(word, view).name
    if view.status.leader is None:
        raise TryLater("no node leads now; name the node that is meant")
    return view.status.leader


async def run_transfer(context: Context, arguments: Arguments) -> None:
    view = await fetch_view(context)
    target = resolve_node(arguments.text("node"), view) if arguments.text("node") else None
    if view.status.leader is None:
        raise TryLater("no node leads now; there is no leadership to hand over")
    if target is not None and target.name == view.status.leader:
        context.out.show(Line(target.name))
        return
    call = TransferLeadership(target.id if target is not None else "")
    answer = await context.cluster.ask(view.status.leader, call)
    if answer.refused:
        raise CommandFailed(answer.refused)
    heir = target.name if target is not None else await _who_leads_after(context, view.status.leader)
    context.out.show(Line(answer.text or heir or "transferred", "Text"))


async def _who_leads_after(context: Context, before: str) -> str:
    """The name of the next leader, once it says so; "" if it takes long."""
    with trio.move_on_after(NEXT_LEADER_S):
        while True:
            leader = (await context.cluster.status()).leader
            if leader not in (None, before):
                return str(leader)
            await trio.sleep(LOOK_S)
    return ""


async def run_snapshot(context: Context, arguments: Arguments) -> None:
    view = await fetch_view(context)
    node = _asked_node(arguments.text("node"), view)
    answer = await context.cluster.ask(node, TakeSnapshot())
    if answer.refused:
        raise CommandFailed(answer.refused)
    context.out.show(Line(answer.text or node, "Text"))


async def run_snapshot_save(context: Context, arguments: Arguments) -> None:
    """Needs no view first: any manager gives the same, or says that there is no quorum. Without one, and only if asked, what
    the most advanced has."""
    node = resolve_node(arguments.text("node"), await fetch_view(context)).name if arguments.text("node") else ""
    path = (context.place.start / arguments.text("file")).expanduser()
    stale = arguments.flag("stale")
    saved = await context.cluster.save_backup(path, node=node, replace=arguments.flag("force"), stale=stale)
    value = {
        "file": str(path),
        "cluster": saved.head.cluster,
        "index": saved.head.index,
        "term": saved.head.term,
        "bytes": saved.size_bytes,
        **({"stale": True} if stale else {}),
    }
    text = f"saved {context.cluster.manifest.name} at index {saved.head.index} to {path}, {saved.size_bytes} bytes"
    context.out.show(Document(value, text))
    if stale:
        report = await context.cluster.report(saved.head.saved_by, LAST_INDEX_S)
        last = report.last if report is not None else 0
        context.out.show(Note(_stale_line(saved.head.saved_by, saved.head.index, last)))


def _stale_line(manager: str, index: int, last: int) -> str:
    """`last`: the end of its log. Above what it applied there is what no leader told it to be committed any more, and
    what a lost leader had acknowledged all the same."""
    line = (
        f"stale: no quorum was asked; this is what {manager} had applied, up to index {index}, and what the others "
        "acknowledged later is missing"
    )
    if last <= index:
        return line
    return (
        f"{line}; the log of {manager} goes on to index {last}, and what a lost leader acknowledged may be among that: "
        f"this file has none of it, swarm init --force-new-cluster --node {manager} keeps it"
    )


NODE = positional("node", required=False, completes=Completes.NODE)

COMMANDS: tuple[Command, ...] = (
    Command(
        name=("raft", "log"),
        summary="Show the newest entries of a node's log (without NODE: the leader's)",
        parameters=(
            option("-n --tail", "How many entries", metavar="N", default=ENTRIES_DEFAULT, reader=parse_entry_count),
            flag("-a --all", "Every entry that the node still holds"),
            NODE,
        ),
        run=run_log,
    ),
    Command(
        name=("raft", "state"),
        summary="Show every manager's raft state, as each sees it",
        run=run_state,
    ),
    Command(
        name=("raft", "transfer"),
        summary="Hand leadership to NODE, or to the most advanced follower",
        parameters=(NODE,),
        run=run_transfer,
        risk=Risk.CHANGE,
        undo="raft transfer to the node before",
    ),
    Command(
        name=("raft", "snapshot"),
        summary="Take a snapshot of a node's state now (without NODE: the leader's)",
        parameters=(NODE,),
        run=run_snapshot,
        risk=Risk.CHANGE,
    ),
    Command(
        name=("raft", "snapshot", "save"),
        summary="Save the whole state of the cluster in FILE, for up --restore",
        detail="Everything at one index, with every write that was acknowledged before: services, keys, secrets. The file "
        "is written whole or not at all and only its owner can read it. It needs a quorum; where the majority is lost, --stale "
        "saves what is left before swarm init --force-new-cluster.",
        parameters=(
            option(
                "--node",
                "The manager to take it from (without it: the leader)",
                metavar="NODE",
                completes=Completes.NODE,
            ),
            flag(
                "--stale",
                "Save what the most advanced manager that answers has (or NODE), without asking a quorum: writes that were "
                "acknowledged since may be missing",
            ),
            flag("-f --force", "Replace FILE if it exists"),
            positional("file", completes=Completes.FILE),
        ),
        run=run_snapshot_save,
        risk=Risk.CHANGE,
        examples=("raft snapshot save backup.swarm", "raft snapshot save --stale backup.swarm"),
    ),
)
