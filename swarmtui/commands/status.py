"""`status`: may it write, how many more may fail, who leads, and one row a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from swarmtui.commands.command import Arguments, Command, Context
from swarmtui.commands.effects import spare_words
from swarmtui.commands.output import Document

if TYPE_CHECKING:
    from swarmtui.commands.ports import NodeView, StatusView

HEADINGS = ("NODE", "ROLE", "STATE", "TERM", "COMMIT", "LAST", "AVAILABILITY", "STATUS", "PID")


async def run_status(context: Context, arguments: Arguments) -> None:
    status = await context.cluster.status()
    context.out.show(Document(status_values(status), text_of_status(status)))


def status_values(status: StatusView) -> dict[str, Any]:
    """The JSON object that scripts read: its fields are a contract."""
    return attrs.asdict(status)  # type: ignore[arg-type]


def health_words(status: StatusView) -> str:
    """HEALTHY, n MAY FAIL, NO SPARE or NO QUORUM: the console's words."""
    words = spare_words(status).upper()
    healthy = status.quorum.reachable == status.quorum.voters and words.endswith("MAY FAIL")
    return "HEALTHY" if healthy else words


def text_of_status(status: StatusView) -> str:
    quorum = status.quorum
    leader = f"leader {status.leader}" if status.leader else "no leader"
    lines = [
        f"{status.name}: {health_words(status)}, {leader}, term {status.term}",
        f"{quorum.reachable} of {quorum.voters} managers answer, {quorum.needed} needed: {_consequence(status)}",
    ]
    if status.stale:
        lines.append("stale: the objects below are the last state known and may be old")
    lines += [f"NOTE: {node.disk}" for node in status.nodes if node.disk]
    rows = [HEADINGS, *(_row(node) for node in status.nodes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines.append("")
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.append("")
    tasks = ", ".join(f"{count} {state}" for state, count in status.tasks.items()) or "none"
    if status.services:
        words = ", ".join(f"{service.name} {service.running}/{service.wanted}" for service in status.services)
        lines.append(f"services: {words}")
    lines.append(f"tasks: {tasks}")
    lines += [f"fault: {fault}" for fault in status.faults]
    if status.faults:
        lines.append("heal them with: swarmtui heal")
    return "\n".join(lines)


def _consequence(status: StatusView) -> str:
    words = spare_words(status)
    if words == "no quorum":
        return "no writes until more come back"
    return "no more may fail" if words == "no spare" else words


def _row(node: NodeView) -> tuple[str, ...]:
    return (
        node.name,
        node.role,
        node.state,
        *(("-" if value is None else str(value)) for value in (node.term, node.commit, node.last)),
        node.availability,
        node.status,
        str(node.pid or "-"),
    )


COMMANDS: tuple[Command, ...] = (
    Command(
        name=("status",),
        summary="May it write, how many more may fail, who leads; one row per node",
        run=run_status,
    ),
)
