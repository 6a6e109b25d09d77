"""`lock NAME -- COMMAND…`: run a command while this cluster-wide lock is held."""

from __future__ import annotations

from swarmtui.commands.command import Arguments, Command, Context, Parameter, Risk, flag, option, positional
from swarmtui.commands.errors import FailedWith, WrongUsage
from swarmtui.objects.quantities import parse_duration_s

TTL_MIN_S = 5.0  # asked for: the grace of the lock, and time to renew it in
KILL_AFTER_S = 1.5  # SIGTERM to SIGKILL; less than the grace that the lock gives (`client.locks`)


def parse_lock_name(text: str) -> str:
    from swarmtui.client.locks import LOCK_NAME  # here: the help must not wait for the client

    if not LOCK_NAME.fullmatch(text):
        raise ValueError(f"{text!r} cannot be a lock's name: 1 to 128 letters, digits and . _ : -")
    return text


async def run_lock(context: Context, arguments: Arguments) -> None:
    timeout_s = arguments.get("timeout")
    if arguments.flag("no_wait"):
        if timeout_s is not None:
            raise WrongUsage("--no-wait and --timeout: one of them")
        timeout_s = 0.0
    name = arguments.text("name")
    if not arguments.texts("command"):
        raise WrongUsage(f"the command to run is missing; write it after --, as in: lock {name} -- ./deploy.sh")
    ttl_s = arguments.get("ttl")
    if ttl_s is not None and ttl_s < TTL_MIN_S:
        raise WrongUsage(f"--ttl: at least {TTL_MIN_S:g}s, for the command is ended 2s before the lock is lost")
    async with context.cluster.kv.lock(name, timeout_s=timeout_s, ttl_s=ttl_s) as fence:
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
            "ended with SIGTERM, then SIGKILL, before anybody else can have it, and the exit code is 3. Whoever ends in order, "
            "or by any signal but SIGKILL, releases the lock at once. A holder that was killed, or that nobody hears, keeps it "
            "for --ttl after its last sign: 6s by default, and what two elections take in the slower profiles (classroom: 18s, "
            "docker: 53s)."
        ),
        parameters=(
            flag("--wait", "Wait until the lock is free (the default)"),
            flag("--no-wait", "Fail at once if the lock is held", name="no_wait"),
            option("--timeout", "Wait no longer than this", metavar="DURATION", reader=parse_duration_s),
            option(
                "--ttl",
                "How long the lock outlives a holder that was killed; at least 5s",
                metavar="DURATION",
                reader=parse_duration_s,
            ),
            positional("name", "The lock's name: letters, digits and . _ : -", reader=parse_lock_name),
            Parameter(name="command", rest=True, metavar="COMMAND [ARG...]", help="What to run"),
        ),
        run=run_lock,
        risk=Risk.CHANGE,
        in_console=False,
        examples=("lock deploy -- ./deploy.sh", "lock --no-wait backup -- tar cf /backup/data.tar data"),
    ),
)
