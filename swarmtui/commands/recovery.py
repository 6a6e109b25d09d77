"""`swarm init --force-new-cluster`: the majority of the managers is lost for good, and one that is left begins anew.

    look at every manager, running or not  ->  refuse while a quorum is there or can come back  ->  choose the most advanced
    ->  say what is kept, what may be lost and who will be out  ->  ask  ->  stop, write the new epoch, start  ->  it leads

The order works on the machine that holds the nodes' directories, with its host running or not. Up to the writing of the
epoch nothing has changed that `swarmtui heal` would not take back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import trio

from swarmtui.commands.command import Arguments, Command, Completes, Context, Needs, Risk, flag, option
from swarmtui.commands.errors import CommandFailed, TryLater, WrongUsage, exit_code_of
from swarmtui.commands.output import Document, Note
from swarmtui.commands.words import counted
from swarmtui.host.survey import Condition, Survey
from swarmtui.objects.membership import majority, node_of
from swarmtui.wire.node_calls import Consistency, GetStatus, ListRecords, LogLines, LogRange, NodeReport

if TYPE_CHECKING:
    from swarmtui.commands.ports import ClusterPort, StatusView
    from swarmtui.host.recovery import Epoch

LEADS_LIMIT_S = 15.0  # for the survivor to start and to elect itself
LOOK_S = 0.05
HELD_TABLES = ("service", "secret", "config", "node")


@attrs.frozen
class RecoveryPlan:
    """What would be done. `others` are all managers but the survivor; `better` is one that knows more, if it is not the
    survivor."""

    survivor: Survey
    others: tuple[Survey, ...]
    better: Survey | None = None


def plan_recovery(surveys: Sequence[Survey], wish: str, *, give_up: bool) -> RecoveryPlan:
    """Who begins anew. `wish` is the name of a manager, "" for the most advanced; `give_up` also those that could come
    back. Raises CommandFailed."""
    usable = [one for one in surveys if one.condition in (Condition.INTACT, Condition.RUNNING)]
    if not usable:
        what = "; ".join(f"{one.name}: {one.text or one.condition}" for one in surveys)
        raise CommandFailed(
            f"no manager is left to begin anew from ({what}); restore a backup: swarmtui up --restore FILE"
        )
    best = max(usable, key=lambda one: (one.rank, one.condition is Condition.RUNNING))
    chosen = next((one for one in surveys if one.name == wish), None) if wish else best
    if chosen is None:
        raise CommandFailed(f"there is no manager {wish}; the managers are {' '.join(one.name for one in surveys)}")
    if chosen not in usable:
        raise CommandFailed(f"{chosen.name} cannot begin the cluster anew: {chosen.text or chosen.condition}")
    if not give_up:
        _refuse_if_a_quorum_can_come_back(best, usable)
    others = tuple(one for one in surveys if one is not chosen)
    return RecoveryPlan(chosen, others, best if best.rank > chosen.rank else None)


def _refuse_if_a_quorum_can_come_back(best: Survey, usable: Sequence[Survey]) -> None:
    """By the members that the most advanced log knows, both halves of them in the middle of a change."""
    here = {one.id for one in usable}
    halves = [half for half in (best.voters, best.outgoing) if half]
    if halves == [(best.id,)]:
        raise CommandFailed(f"{best.name} is the only voter of its cluster; start it with: swarmtui start {best.name}")
    if all(len(here & set(half)) >= majority(len(half)) for half in halves):
        voters, needed = len(best.voters), majority(len(best.voters))
        names = ", ".join(f"{one.name} {_where(one)}" for one in usable)
        raise CommandFailed(
            f"{len(here)} of {voters} managers are not lost ({names}), {needed} make a quorum: bring them back with: "
            "swarmtui heal; only if they are to be given up: --force"
        )


def _where(one: Survey) -> str:
    return "runs" if one.condition is Condition.RUNNING else "can be started"


def preview(plan: RecoveryPlan, cluster: str, holds: str) -> list[str]:
    """What will be kept, what may be lost, who will be out: one line each."""
    one = plan.survivor
    uncertain = one.last_index - one.commit
    tail = f", of which {uncertain} were not known to be committed and are kept as well" if uncertain else ""
    lines = [
        f"{one.name} begins {cluster} anew as its only manager:",
        f"  kept: its log up to index {one.last_index}, term {one.term}{tail}{f': {holds}' if holds else ''}",
        f"  may be lost: what a majority without {one.name} acknowledged behind index {one.last_index}; nobody here can tell",
    ]
    if plan.better is not None:
        lines.append(
            f"  certainly lost: what {plan.better.name} holds behind that, up to index {plan.better.last_index}"
        )
    lines += [f"  out: {other.name}, {_fate(other)}" for other in plan.others]
    lines.append("  then: a new epoch; indexes and terms are skipped, so that no version comes up twice")
    return lines


def _fate(other: Survey) -> str:
    if other.condition is Condition.RUNNING:
        return "which runs and will be stopped with its tasks"
    if other.condition is Condition.INTACT:
        return "which could be started and will not be any more"
    if other.condition is Condition.OUT:
        return "as before"
    return f"{other.condition}: {other.text}"


# -------------------------------------------------------------------------------------------------------------- the order


async def run_init(context: Context, arguments: Arguments) -> None:
    if not arguments.flag("force_new_cluster"):
        raise WrongUsage(
            "a cluster is created by: swarmtui up; to begin one anew whose managers are lost, say --force-new-cluster"
        )
    machine = context.machine
    directory = machine.find(context.place.selector, context.place.start)
    if not machine.is_running(directory):
        plan = await _agreed(context, arguments, directory)
        epoch = await _begin(context, directory, plan)
        _tell(context, plan, epoch, "start it with: swarmtui up")
        return
    async with machine.connect(directory) as cluster:
        context = attrs.evolve(context, found=cluster)
        _refuse_a_quorum(await cluster.status())
        plan = await _agreed(context, arguments, directory)
        _refuse_a_quorum(await cluster.status())  # somebody may have come back while we asked
        await _stop(cluster, [one.name for one in (*plan.others, plan.survivor) if one.condition is Condition.RUNNING])
        epoch = await _begin(context, directory, plan)
        await cluster.host.power(plan.survivor.name, "start")
        await _until_it_leads(cluster, plan.survivor.name)
        _tell(context, plan, epoch, f"{plan.survivor.name} leads")


def _refuse_a_quorum(status: StatusView) -> None:
    quorum = status.quorum
    if quorum.held or quorum.reachable >= quorum.needed:
        leads = f"{status.leader} leads, " if status.leader else ""
        raise CommandFailed(
            f"there is a quorum: {leads}{quorum.reachable} of {quorum.voters} managers answer, {quorum.needed} are needed; "
            "nothing has to be recovered"
        )


async def _agreed(context: Context, arguments: Arguments, directory: Path) -> RecoveryPlan:
    """The plan, once it was shown and confirmed."""
    surveys = await trio.to_thread.run_sync(context.machine.survey, directory)
    if context.found is not None:
        members = {node_of(one.id): one.id for one in surveys}
        surveys = [
            await _asked(context.found, one, members) if one.condition is Condition.RUNNING else one for one in surveys
        ]
    force = arguments.flag("force")
    plan = plan_recovery(surveys, arguments.text("node"), give_up=force)
    name = context.machine.manifest(directory).name
    for line in preview(plan, name, await _holds(context, plan.survivor)):
        context.out.show(Note(line))
    if not (force or arguments.flag("yes")):
        if context.confirm is None:
            raise CommandFailed("nothing was changed; to go on, say it again with --yes")
        if not context.confirm(f"Begin {name} anew from {plan.survivor.name}?"):
            raise CommandFailed("nothing was changed")
    return plan


async def _asked(cluster: ClusterPort, one: Survey, members: Mapping[str, str]) -> Survey:
    """What a running manager says of its own log; it counts as running also if it does not answer, as when paused. It
    speaks of nodes: `members` says as which member each of them was found here."""
    try:
        report: NodeReport = await cluster.ask(one.name, GetStatus())
        lines: LogLines = await cluster.ask(one.name, LogRange(report.last, report.last))
    except Exception as error:
        if exit_code_of(error) is None:
            raise
        return one
    return attrs.evolve(
        one,
        last_index=report.last,
        last_term=lines.lines[-1].term if lines.lines else report.term,
        commit=report.commit,
        term=report.term,
        voters=tuple(members.get(id, id) for id, _ in report.voters),
    )


async def _holds(context: Context, survivor: Survey) -> str:
    """Its objects, counted, where they can be asked for; "" else."""
    if context.found is None or survivor.condition is not Condition.RUNNING:
        return ""
    try:
        answer = await context.found.ask(survivor.name, ListRecords(HELD_TABLES, Consistency.STALE))
    except Exception as error:
        if exit_code_of(error) is None:
            raise
        return ""
    count = {table: sum(table == record.TABLE for record in answer.records) for table in HELD_TABLES}
    return ", ".join(counted(number, table) for table, number in count.items() if number)


async def _stop(cluster: ClusterPort, names: Sequence[str]) -> None:
    """All at once; they end their tasks in order."""
    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(partial(cluster.host.power, name, "stop"))


async def _begin(context: Context, directory: Path, plan: RecoveryPlan) -> Epoch:
    return await trio.to_thread.run_sync(context.machine.force_new_cluster, directory, plan.survivor.name)


async def _until_it_leads(cluster: ClusterPort, name: str) -> None:
    with trio.move_on_after(LEADS_LIMIT_S):
        while True:
            status = await cluster.status()
            if status.leader == name and status.quorum.held:
                return
            await trio.sleep(LOOK_S)
    raise TryLater(
        f"the new epoch is written, but {name} does not lead after {LEADS_LIMIT_S:g} s; see: swarmtui status"
    )


def _tell(context: Context, plan: RecoveryPlan, epoch: Epoch, then: str) -> None:
    value = {"survivor": epoch.survivor, "index": epoch.index, "term": epoch.term, "out": list(epoch.out)}
    text = f"{epoch.survivor} is the only manager now, from index {epoch.index} and term {epoch.term} on; {then}"
    context.out.show(Document(value, text))
    names = ", ".join(one.name for one in plan.others if one.condition is not Condition.OUT)
    if names:
        again = "swarmtui node demote NAME, swarmtui start NAME, swarmtui node promote NAME"
        context.out.show(Note(f"out: {names}; to use one of them again as a new manager: {again}"))


COMMANDS: tuple[Command, ...] = (
    Command(
        name=("swarm", "init"),
        summary="Begin a cluster anew from one manager when the majority is lost for good",
        detail="With --force-new-cluster the most advanced manager that is left, or the one named, keeps all that it holds "
        "and becomes the only manager. It is refused while a quorum is there or can be brought back. Without it: a "
        "cluster is created by swarmtui up.",
        parameters=(
            flag("--force-new-cluster", "The managers that are missing will never come back"),
            option(
                "--node",
                "The manager to begin from (without it: the most advanced)",
                metavar="NODE",
                completes=Completes.NODE,
            ),
            flag("-y --yes", "Do not ask"),
            flag("--force", "Do not ask, and give up managers that could be brought back"),
        ),
        run=run_init,
        risk=Risk.DESTROYS,
        needs=Needs.NOTHING,
        in_console=False,
        examples=("swarm init --force-new-cluster", "swarm init --force-new-cluster --node n3 --yes"),
    ),
)
