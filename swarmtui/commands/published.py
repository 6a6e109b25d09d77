"""Published ports that nobody listens to, from what the host reports of them: said by whoever waits for a service."""

from __future__ import annotations

from collections.abc import Collection

from swarmtui.commands.command import Context
from swarmtui.commands.errors import exit_code_of
from swarmtui.commands.output import Note
from swarmtui.wire.host_calls import HostReport


def ports_not_yet(report: HostReport) -> list[int]:
    """Those that are about to listen."""
    return [one.port for one in report.published if not one.listening and not one.trouble]


def ports_in_trouble(report: HostReport, ports: Collection[int] | None = None) -> list[str]:
    """One sentence for each port that nobody listens to; of `ports` alone, if they are given."""
    return [
        f"port {one.port} of {one.service} does not listen: {one.trouble}"
        for one in report.published
        if one.trouble and (ports is None or one.port in ports)
    ]


async def say_ports_in_trouble(context: Context, ports: Collection[int]) -> None:
    """A note for each of these ports that cannot be listened to. Without a host nothing is known of them, and nothing said."""
    if not ports:
        return
    try:
        report = await context.cluster.host.report()
    except Exception as error:
        if exit_code_of(error) is None:
            raise
        return
    for text in ports_in_trouble(report, ports):
        context.out.show(Note(text))
