"""One stable line of text for every message, input, effect and state.

Golden scripts, the simulator's traces and people's eyes read these lines; a diff of them is the review of a change of
behaviour. Nodes are called by id here; whoever wants names puts them in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swarmtui.raft import effects, inputs, messages
from swarmtui.raft.effects import Effect
from swarmtui.raft.entries import Entry
from swarmtui.raft.inputs import Input
from swarmtui.raft.messages import AnyMessage
from swarmtui.raft.status import CatchUpStatus, PeerStatus, Status


def message_line(message: AnyMessage) -> str:
    """`n1>n2 t3 append s1 after 4/t2 +5..7 commit 4 round 2`."""
    return f"{message.source}>{message.target} t{message.term} {_MESSAGES[type(message)](message)}"


def input_line(event: Input) -> str:
    return _INPUTS[type(event)](event)


def effect_line(effect: Effect) -> str:
    return _EFFECTS[type(effect)](effect)


def status_line(status: Status) -> str:
    """`n1 leader t3 vote n1 leader n1 log 1..7 durable 7 commit 7 applied 7`, then a leader's view of its peers."""
    line = (
        f"{status.node} {status.role.value} t{status.term} vote {status.vote or '-'} leader {status.leader or '-'} "
        f"log {status.first}..{status.last} durable {status.durable} commit {status.commit} applied {status.applied}"
    )
    if status.snapshot:
        line += f" snapshot {status.snapshot}"
    if status.expelled:
        line += " expelled"
    return line + "".join(f" | {peer} {peer_line(peer_status)}" for peer, peer_status in status.peers.items())


def peer_line(status: PeerStatus) -> str:
    """`replicate match 7 next 8`, or for a learner that is to vote `probe match 2 next 3 learner round 1 to 9`."""
    line = f"{status.state} match {status.match} next {status.next}"
    if status.in_flight:
        line += f" in flight {status.in_flight}"
    if not status.votes:
        line += " learner"
    if status.catch_up is not None:
        line += " " + catch_up_line(status.catch_up)
    return line


def catch_up_line(status: CatchUpStatus) -> str:
    """`round 2 to 9, last 730 ms`; `ready`; `pauses 3.2 s`."""
    if status.ready:
        return "ready"
    if status.pauses_s is not None:
        return f"pauses {status.pauses_s:.1f} s"
    last = "" if status.last_s is None else f", last {status.last_s * 1000:.0f} ms"
    return f"round {status.round} to {status.target}{last}"


def entries_line(entries: tuple[Entry, ...]) -> str:
    """`5..7/t3`, or with several terms `5..7/t2-t3`; `5/t3` for one; `none`."""
    if not entries:
        return "none"
    first, last = entries[0], entries[-1]
    span = f"{first.index}" if first is last else f"{first.index}..{last.index}"
    return f"{span}/t{first.term}" + (f"-t{last.term}" if last.term != first.term else "")


def _mark(mark: messages.SnapshotMark) -> str:
    return f"{mark.index}/t{mark.term} {mark.size_bytes}B"


def _vote_request(message: messages.VoteRequest) -> str:
    kind = "pre-vote?" if message.pre else "vote?"
    return f"{kind} log ends {message.last_index}/t{message.last_term}" + (" transfer" if message.transfer else "")


def _vote_reply(message: messages.VoteReply) -> str:
    kind = "pre-vote" if message.pre else "vote"
    return f"{kind} granted" if message.granted else f"{kind} refused ({message.why})"


def _append(message: messages.Append) -> str:
    line = f"append s{message.session} after {message.previous_index}/t{message.previous_term}"
    if message.entries:
        line += f" +{entries_line(message.entries)}"
    return line + f" commit {message.commit}" + (f" round {message.round}" if message.round else "")


def _append_reply(message: messages.AppendReply) -> str:
    if message.accepted:
        line = f"appended s{message.session} match {message.match} agreed {message.previous_index}"
    else:
        line = (
            f"conflict s{message.session} after {message.previous_index}"
            f" go on at {message.conflict_index}/t{message.conflict_term}"
        )
    return line + (f" round {message.round}" if message.round else "")


def _snapshot_reply(message: messages.SnapshotReply) -> str:
    state = "installed" if message.installed else f"has {message.next_offset}B"
    return f"snapshot s{message.session} {message.index} {state}"


def _read_reply(message: messages.ReadReply) -> str:
    return f"read {message.ticket} at {message.index}" if message.index else f"read {message.ticket} refused"


_MESSAGES: dict[type, Callable[[Any], str]] = {
    messages.VoteRequest: _vote_request,
    messages.VoteReply: _vote_reply,
    messages.Append: _append,
    messages.AppendReply: _append_reply,
    messages.SnapshotChunk: lambda m: f"piece s{m.session} of {_mark(m.mark)} at {m.offset} +{len(m.data)}B",
    messages.SnapshotReply: _snapshot_reply,
    messages.TimeoutNow: lambda m: "campaign now",
    messages.ReadRequest: lambda m: f"read? {m.ticket}",
    messages.ReadReply: _read_reply,
    messages.RemovedNotice: lambda m: f"you were removed at {m.index}",
}

_INPUTS: dict[type, Callable[[Any], str]] = {
    inputs.Tick: lambda i: "tick",
    inputs.Gap: lambda i: "gap",
    inputs.Received: lambda i: f"received {message_line(i.message)}",
    inputs.Proposed: lambda i: f"proposed {i.ticket} t{i.term} {len(i.payloads)} {i.kind.name.lower()}",
    inputs.Written: lambda i: f"written w{i.sequence}",
    inputs.Applied: lambda i: f"applied {i.index}",
    inputs.LeaderLost: lambda i: f"leader lost {i.leader} t{i.term}",
    inputs.Unreachable: lambda i: f"unreachable {i.peer}",
    inputs.Reachable: lambda i: f"reachable {i.peer}",
    inputs.ReadAsked: lambda i: f"read asked {i.ticket}",
    inputs.TransferAsked: lambda i: f"transfer asked {i.ticket} to {i.target or 'any'}",
    inputs.MembersAsked: lambda i: f"members asked {i.ticket} t{i.term} {', '.join(map(str, i.changes))}",
    inputs.CampaignAsked: lambda i: "campaign asked",
    inputs.SnapshotTaken: lambda i: f"snapshot taken {_mark(i.mark)}",
    inputs.ChunkRead: lambda i: (
        f"piece read for {i.peer} at {i.offset} " + ("missing" if i.missing else f"{len(i.data)}B")
    ),
    inputs.ChunkWritten: lambda i: f"piece {i.outcome.value} next {i.next_offset}",
    inputs.SnapshotInstalled: lambda i: f"snapshot installed {_mark(i.mark)}",
}


def _write(effect: effects.Write) -> str:
    line = f"write w{effect.sequence}"
    if effect.hard_state is not None:
        state = effect.hard_state
        line += f" t{state.term} vote {state.vote or '-'} commit {state.commit}"
    if effect.truncate_after is not None:
        line += f" truncate after {effect.truncate_after}"
    return line + (f" +{entries_line(effect.entries)}" if effect.entries else "")


def _role_changed(effect: effects.RoleChanged) -> str:
    line = f"{effect.role.value} t{effect.term} leader {effect.leader or '-'}"
    if effect.first_index:
        line += f" first {effect.first_index}"
    return line + f": {effect.cause}"


_EFFECTS: dict[type, Callable[[Any], str]] = {
    effects.Send: lambda e: f"send {message_line(e.message)}",
    effects.Write: _write,
    effects.Apply: lambda e: f"apply {entries_line(e.entries)}",
    effects.Accepted: lambda e: f"accepted {e.ticket} t{e.term} at {e.first_index}",
    effects.Refused: lambda e: f"refused {e.ticket} {e.rule}: {e.reason}",
    effects.ReadReady: lambda e: f"read ready {e.ticket} at {e.index}",
    effects.ReadRefused: lambda e: f"read refused {e.ticket}: {e.reason}",
    effects.RoleChanged: _role_changed,
    effects.MembersChanged: lambda e: (
        f"members {'committed' if e.committed else 'in force'} {e.index}: {e.configuration}"
    ),
    effects.Expelled: lambda e: f"expelled: {e.reason}",
    effects.ReadChunk: lambda e: f"read piece for {e.peer} of {_mark(e.mark)} at {e.offset}",
    effects.WriteChunk: lambda e: f"write piece of {_mark(e.mark)} at {e.offset} +{len(e.data)}B",
    effects.InstallSnapshot: lambda e: f"install snapshot {_mark(e.mark)} kept {entries_line(e.kept)}",
    effects.Compact: lambda e: f"compact {e.index}",
    effects.Narrate: lambda e: f"note {e}",
}
