"""Published ports that nobody listens to, from what the host reports of them: said by whoever waits for a service."""

from __future__ import annotations

from collections.abc import Collection

from swarmtui.commands.command import Context
from swarmtui.commands.errors import exit_code_of
from swarmtui.commands.output import Note
from swarmtui.wire.host_calls import HostReport

_LISTENS = (" task", " tasks")  # as the host reports a published port: `web: 5 tasks`, `web: not yet`, or why not
_NOT_YET = ": not yet"


def ports_not_yet(report: HostReport) -> list[str]:
    """Those that are about to listen."""
    return [port for port, text in report.published.items() if text.endswith(_NOT_YET)]


def ports_in_trouble(report: HostReport, ports: Collection[str] | None = None) -> list[str]:
    """One sentence for each port that cannot be listened to; of `ports` alone, if they are given."""
    return [
        f"port {port} does not listen: {text}"
        for port, text in report.published.items()
        if (ports is None or port in ports) and not text.endswith((_NOT_YET, *_LISTENS))
    ]


async def say_ports_in_trouble(context: Context, ports: Collection[str]) -> None:
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
