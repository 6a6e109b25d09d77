"""Docker's small words: `3 minutes ago`, `*:8080->80/tcp`, twelve letters of an id."""

from __future__ import annotations

from swarmtui.objects.specs import EndpointSpec, ReplicatedMode, ServiceMode

ID_SHOWN = 12  # characters of an id in tables


def counted(number: int, noun: str) -> str:
    """`1 task`, `2 tasks`, `0 tasks`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def human_duration(seconds: float) -> str:
    """A duration as docker says it (docker/go-units duration.go)."""
    whole = int(max(0.0, seconds))
    minutes, hours = whole // 60, int(seconds / 3600 + 0.5)
    days = hours // 24
    for limit_reached, text in (
        (whole < 1, "Less than a second"),
        (whole == 1, "1 second"),
        (whole < 60, f"{whole} seconds"),
        (minutes == 1, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),
        (hours == 1, "About an hour"),
        (hours < 48, f"{hours} hours"),
        (days < 14, f"{days} days"),
        (days < 60, f"{days // 7} weeks"),
        (days < 730, f"{days // 30} months"),
    ):
        if limit_reached:
            return text
    return f"{int(seconds / 3600) // 24 // 365} years"


def ago(then: float, now: float) -> str:
    """`3 minutes ago`; empty for a time that never was."""
    return f"{human_duration(now - then).lower()} ago" if then else ""


def short_id(id: str, no_trunc: bool = False) -> str:
    return id if no_trunc else id[:ID_SHOWN]


def mode_word(mode: ServiceMode) -> str:
    return "replicated" if isinstance(mode, ReplicatedMode) else "global"


def port_words(endpoint: EndpointSpec) -> str:
    """`*:8080->80/tcp`, `*:8080->auto/tcp` where each task has a port of its own."""
    return ", ".join(
        f"*:{port.published_port}->{port.target_port or 'auto'}/{port.protocol}" for port in endpoint.ports
    )


def one_line(text: str) -> str:
    """Control characters would break a table or a line, and those of a task's last words are not ours to send to a terminal."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)
