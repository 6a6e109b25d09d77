"""`lock NAME -- COMMAND…`: run a command while this cluster-wide lock is held."""

from __future__ import annotations

from swarmtui.commands.command import Arguments, Command, Context, Parameter, Risk, flag, option, positional
from swarmtui.commands.errors import FailedWith, WrongUsage
from swarmtui.objects.quantities import parse_duration_s

KILL_AFTER_S = 1.5  # SIGTERM to SIGKILL; less than the grace that the lock gives (`client.locks`)


async def run_lock(context: Context, arguments: Arguments) -> None:
    timeout_s = arguments.get("timeout")
    if arguments.flag("no_wait"):
        if timeout_s is not None:
            raise WrongUsage("--no-wait and --timeout: one of them")
        timeout_s = 0.0
    name = arguments.text("name")
    async with context.cluster.kv.lock(name, timeout_s=timeout_s) as fence:
        environment = {
            **context.place.environment,
            "SWARMTUI_LOCK": name,
            "SWARMTUI_LOCK_VERSION": str(fence.version),
        }
        code = await context.machine.run_program(arguments.texts("command"), environment, KILL_AFTER_S)
    if code:
        raise FailedWith("", code)


COMMANDS: tuple[Command, ...] = (
    Command(
        name=("lock",),
        summary="Run a command while a cluster-wide lock is held",
        detail=(
            "At most one command at a time holds a lock of this name, whoever leads. The exit code is the command's. It "
            "finds SWARMTUI_LOCK and SWARMTUI_LOCK_VERSION in its environment: the version rises with every holder, so "
            "what it writes to can refuse an older one. When the lock is lost (a partition, a long pause) the command is "
            "ended with SIGTERM, then SIGKILL, before anybody else can have it, and the exit code is 3."
        ),
        parameters=(
            flag("--wait", "Wait until the lock is free (the default)"),
            flag("--no-wait", "Fail at once if the lock is held", name="no_wait"),
            option("--timeout", "Wait no longer than this", metavar="DURATION", reader=parse_duration_s),
            positional("name", "The lock's name: letters, digits and . _ : -"),
            Parameter(name="command", rest=True, metavar="COMMAND [ARG...]", help="What to run"),
        ),
        run=run_lock,
        risk=Risk.CHANGE,
        in_console=False,
        examples=("lock deploy -- ./deploy.sh", "lock --no-wait backup -- tar cf /backup/data.tar data"),
    ),
)
