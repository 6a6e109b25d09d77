"""`--since` and `--until`: moments as docker's command line takes them, and what lies between two of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

import attrs

from swarmtui.commands.command import Arguments, option
from swarmtui.commands.errors import WrongUsage
from swarmtui.objects.quantities import parse_duration_s

Moment = Callable[[float], float]
"""From the time now to the time that is meant; seconds since the epoch."""


def parse_moment(text: str) -> Moment:
    """`42m` (ago), `2013-01-02T13:23:37Z`, or seconds since the epoch."""
    try:
        age_s = parse_duration_s(text)
    except ValueError:
        pass
    else:
        return lambda now: now - age_s
    try:
        moment = float(text) if text.replace(".", "", 1).isdecimal() else _timestamp(text)
    except ValueError:
        raise ValueError(f'{text!r} is no time; write "42m" for 42 minutes ago, or "2026-01-31T13:23:37Z"') from None
    return lambda _: moment


def _timestamp(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.astimezone()).timestamp()


SINCE = option("--since", 'Begin at a time ("42m" ago, "2026-01-31T13:23:37Z")', metavar="TIME", reader=parse_moment)
UNTIL = option("--until", "End at a time, written as for --since", metavar="TIME", reader=parse_moment)


@attrs.frozen
class Span:
    """What is wanted was written, or happened, in it. None: no such end was asked for."""

    since: float | None = None
    until: float | None = None

    def __contains__(self, moment: float) -> bool:
        oldest = -math.inf if self.since is None else self.since
        newest = math.inf if self.until is None else self.until
        return oldest <= moment <= newest


def asked_span(arguments: Arguments, now: float) -> Span:
    """Of the options SINCE and UNTIL. Raises WrongUsage where it ends before it begins."""
    since: Moment | None = arguments.get("since")
    until: Moment | None = arguments.get("until")
    span = Span(None if since is None else since(now), None if until is None else until(now))
    if span.since is not None and span.until is not None and span.until < span.since:
        raise WrongUsage(f"--until is {span.since - span.until:.3g} s before --since; write a later one")
    return span
