"""The short notations that files and the command line share: ports, addresses, constraints, preferences, names, env files.

Every reader raises `ValueError` with a sentence that says what would be valid.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import signal
from collections.abc import Iterable
from pathlib import PurePath

import attrs

from swarmtui.objects.specs import NAME_LENGTH_MAX, PORT_MAX, REPLICAS_MAX, PortConfig, TaskSpec
from swarmtui.objects.tables import as_integer, nearest

DIGEST_LENGTH = 7  # characters of the IMAGE column's digest

_NAME = re.compile(r"[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*")  # swarmkit controlapi/common.go
_CONSTRAINT = re.compile(r"([a-z][a-zA-Z0-9\-_.]*)\s*(==|!=)\s*(\S(?:.*\S)?)")
_ENV_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.\-]*)\s*=\s*(.*)")
_LOOPBACK = ("127.0.0.1", "localhost")
_CONSTRAINT_KEYS = ("node.id", "node.hostname", "node.ip", "node.role", "node.platform.os", "node.platform.arch")
_LABEL_KEYS = ("node.labels.", "engine.labels.")
_PORT_VALID = '"8080:auto" (each task listens on $PORT), "8080:80" or 8080'

OWN_VARIABLES = ("PORT", "PYTHONUNBUFFERED")
OWN_VARIABLE_PREFIX = "SWARMTUI_"


def check_name(text: str, what: str = "a name") -> str:
    """A name that can be a DNS label, of at most 63 characters."""
    if not _NAME.fullmatch(text) or len(text) > NAME_LENGTH_MAX:
        raise ValueError(
            f"{text!r} cannot be {what}: letters, digits, - and _ between them, at most {NAME_LENGTH_MAX} characters"
        )
    return text


def parse_port(text: str | int) -> PortConfig:
    """Docker's short form. `8080` and `8080:auto` publish 8080 and let every task listen on a free port of its own;
    `8080:80` says that tasks listen on 80. A target equal to the published port is refused: the host itself listens there.
    """
    words, _, protocol = str(text).strip().partition("/")
    if (protocol or "tcp") != "tcp":
        raise ValueError(f"{text!r}: only tcp can be published; write {_PORT_VALID}")
    parts = words.split(":")
    if len(parts) == 3 and parts[0] in _LOOPBACK:
        parts = parts[1:]
    elif len(parts) == 3:
        raise ValueError(f"{text!r}: published ports listen on 127.0.0.1 only; write {_PORT_VALID}")
    if isinstance(text, bool) or not 1 <= len(parts) <= 2:
        raise ValueError(f"{text!r} is no port; write {_PORT_VALID}")
    target = parts[1] if len(parts) == 2 else "auto"
    return make_port(_port_number(parts[0], text), 0 if target == "auto" else _port_number(target, text))


def make_port(published: int, target: int) -> PortConfig:
    if published == target:
        raise ValueError(
            f"port {published} cannot be both the published port, where swarmtui listens, and the tasks' own; "
            f'write "{published}:auto" and let the program listen on $PORT'
        )
    return PortConfig(published_port=published, target_port=target)


def _port_number(word: str, text: object) -> int:
    if not word.isdecimal() or not 1 <= int(word) <= PORT_MAX:
        raise ValueError(f"{text!r} is no port; write {_PORT_VALID}, ports from 1 to {PORT_MAX}")
    return int(word)


def parse_port_number(text: str) -> int:
    """A port by its number alone."""
    if not text.isdecimal() or not 1 <= int(text) <= PORT_MAX:
        raise ValueError(f"{text!r} is no port; write one from 1 to {PORT_MAX}")
    return int(text)


def check_address(text: str) -> str:
    """Where a node listens, `127.0.0.1:7101` (of `localhost:7101` as well): nodes are on the loopback interface only."""
    host, _, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host
    try:
        if ipaddress.IPv4Address(host).is_loopback:
            return f"{host}:{parse_port_number(port)}"
    except ValueError:
        pass
    raise ValueError(f'{text!r} is no loopback address; write one such as "127.0.0.1:7101"')


def parse_port_range(text: str) -> tuple[int, int]:
    """`20000-29999`, first and last."""
    first, dash, last = str(text).partition("-")
    if not (dash and first.strip().isdecimal() and last.strip().isdecimal()):
        raise ValueError(f'{text!r} is no range of ports; write one such as "20000-29999"')
    low, high = int(first), int(last)
    if not 1024 <= low <= high <= PORT_MAX:
        raise ValueError(f"{text!r}: a range of ports goes upward from at least 1024 to at most {PORT_MAX}")
    return low, high


def check_constraint(text: str) -> str:
    """`node.labels.zone != c`. Docker accepts unknown keys and then never finds a node; here they are refused."""
    match = _CONSTRAINT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'{text!r} is no constraint; write one such as "node.labels.zone != c", with == or !=')
    key = match[1]
    is_label = any(key.startswith(prefix) and len(key) > len(prefix) for prefix in _LABEL_KEYS)
    if key not in _CONSTRAINT_KEYS and not is_label:
        raise ValueError(f"{text!r}: no node has {key!r}; {nearest(key, [*_CONSTRAINT_KEYS, 'node.labels.NAME'])}")
    if key == "node.role" and match[3].lower() not in ("manager", "worker"):
        raise ValueError(f"{text!r}: node.role is manager or worker")
    return f"{key} {match[2]} {match[3]}"


def check_spread(text: str) -> str:
    """The label descriptor of a placement preference: `node.labels.zone`."""
    if not any(text.startswith(prefix) and len(text) > len(prefix) for prefix in _LABEL_KEYS):
        raise ValueError(f'{text!r} is nothing to spread over; write a label of nodes such as "node.labels.zone"')
    return text


def parse_preference(text: str) -> str:
    """The command line's `spread=node.labels.zone`."""
    strategy, equals, descriptor = text.partition("=")
    if strategy.strip() != "spread" or not equals:
        raise ValueError(f'{text!r} is no placement preference; write one such as "spread=node.labels.zone"')
    return check_spread(descriptor.strip())


def check_signal(text: str | int) -> str:
    """`SIGTERM` of `TERM`, `sigterm`, `15`."""
    word = str(text).strip().upper()
    if word.isdecimal():
        try:
            return signal.Signals(int(word)).name
        except ValueError:
            raise ValueError(f"{text!r} is no signal; write a name such as SIGTERM") from None
    name = word if word.startswith("SIG") else f"SIG{word}"
    if name not in signal.Signals.__members__:
        raise ValueError(f"{text!r} is no signal; {nearest(name, sorted(signal.Signals.__members__))}")
    return name


def parse_env_file(text: str) -> dict[str, str]:
    """The variables of a `.env` file: `KEY=value` a line, `#` comments, quotes around a value, `export` ignored."""
    variables: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _ENV_LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number}: {line!r} is no KEY=value")
        variables[match[1]] = _env_value(match[2])
    return variables


def _env_value(text: str) -> str:
    quote = text[:1]
    if quote in ("'", '"') and (end := text.rfind(quote)) > 0:
        value = text[1:end]
        return value if quote == "'" else value.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
    return re.split(r"\s+#", text, maxsplit=1)[0].strip()


def without_own_variables(variables: dict[str, str]) -> dict[str, str]:
    """An env file ranks below swarmtui's own variables (`agent.environment`), but a spec's `env` above them: so drop those."""
    return {
        key: value
        for key, value in variables.items()
        if key not in OWN_VARIABLES and not key.startswith(OWN_VARIABLE_PREFIX)
    }


def merge_env(*layers: Iterable[str]) -> tuple[str, ...]:
    """`KEY=value` texts with every key once, a later one in the place of an earlier one."""
    merged: dict[str, str] = {}
    for layer in layers:
        for entry in layer:
            merged[entry.partition("=")[0]] = entry
    return tuple(merged.values())


def image_label(spec: TaskSpec) -> str:
    """The default IMAGE of a service: its program and a digest of its task's spec, so that a change shows."""
    container = attrs.evolve(spec.container_spec, image="")
    plain = attrs.asdict(attrs.evolve(spec, container_spec=container, force_update=0))
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    program = PurePath(container.args[0]).name if container.args else "none"
    return f"{program}:{digest[:DIGEST_LENGTH]}"


def with_image_label(spec: TaskSpec, before: TaskSpec | None = None) -> TaskSpec:
    """`spec` with the default label if it has none, or still has the default label of what it was `before`."""
    image = spec.container_spec.image
    if image and not (before is not None and image == image_label(before)):
        return spec
    return attrs.evolve(spec, container_spec=attrs.evolve(spec.container_spec, image=image_label(spec)))


def parse_count(text: str) -> int:
    """A whole number as words write it: `3`. Which ones will do, whoever reads them says."""
    if not text.removeprefix("-").isdecimal():
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def parse_replicas(value: str | int) -> int:
    """The count of tasks of a service."""
    return as_integer(value, 0, REPLICAS_MAX)
