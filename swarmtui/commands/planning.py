"""Which cluster `up` means, read and checked before anything is made.

--cluster NAME|DIR     one that exists
-f FILE                the cluster of this file
--managers, --workers  the nearest cluster.toml with other counts, else a bare cluster in this directory
nothing                the nearest cluster.toml or cluster upward, else the packaged default
--restore FILE         a new cluster with the state of a backup; without a cluster file, in this directory, as it was
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from swarmtui.client.discovery import DEFAULT_NAME, is_own_cluster
from swarmtui.commands.command import Arguments, Context
from swarmtui.commands.errors import CommandFailed, WrongUsage
from swarmtui.commands.machine import CLUSTER_DIRECTORY, CLUSTER_FILE
from swarmtui.objects.cluster_file import ClusterFile, InvalidClusterFile, bare_cluster_file, parse_cluster_file
from swarmtui.objects.notations import parse_env_file
from swarmtui.objects.specs import NAME_LENGTH_MAX

if TYPE_CHECKING:
    from swarmtui.host.restore import Backup


@attrs.frozen
class UpPlan:
    """Which cluster is meant. `file` is None for a cluster that is resumed without one."""

    base: Path  # the directory that holds `.swarmtui/`
    file: ClusterFile | None
    path: Path | None  # where the file was read from; None: the packaged default, a bare cluster, or no file
    introduction: str = ""
    backup: Backup | None = None  # what a new cluster begins with

    @property
    def file_to_apply(self) -> ClusterFile | None:
        """Whose services the running cluster is to have; those of a backup are in its state."""
        return None if self.backup is not None and self.path is None else self.file

    @property
    def directory(self) -> Path:
        return self.base / CLUSTER_DIRECTORY


def plan_up(context: Context, arguments: Arguments) -> UpPlan:
    """Which cluster these arguments mean, read and checked. Nothing is written."""
    if arguments.get("restore") is not None:
        return _restored(context, arguments)
    return _plan(context, arguments)


def _restored(context: Context, arguments: Arguments) -> UpPlan:
    """A new cluster in a directory that has none."""
    start = context.place.start
    if context.place.selector is not None:
        raise WrongUsage("--cluster names a cluster that exists and --restore makes a new one; choose one")
    names_nodes = any(arguments.get(name) is not None for name in ("file", "managers", "workers"))
    path = None if names_nodes else _nearest_file(start)
    backup = context.machine.read_backup((start / arguments.text("restore")).expanduser())
    if names_nodes or path is not None:
        plan = _plan(context, arguments)
    else:
        file = context.machine.file_of_backup(backup)
        plan = UpPlan(
            start, file, None, f"no {CLUSTER_FILE} from here upward: nodes and settings are those of the backup"
        )
    if plan.directory.exists():
        raise CommandFailed(
            f"there is a cluster in {plan.base} already, and a backup becomes a new one: go to another directory, or delete "
            "this one's data with: swarmtui down --volumes"
        )
    return attrs.evolve(plan, backup=backup)


def _plan(context: Context, arguments: Arguments) -> UpPlan:
    managers, workers = arguments.get("managers"), arguments.get("workers")
    if context.place.selector is not None:
        if arguments.get("file") is not None:
            raise WrongUsage("--cluster names a cluster that exists and -f a file to make one from; choose one")
        directory = context.machine.find(context.place.selector, context.place.start)
        return _resumed(context, directory.parent, managers, workers)
    path = _named_file(arguments.text("file"), context.place.start)
    if path is None and managers is None and workers is None:
        return _nearest(context)
    path = path or _nearest_file(context.place.start)
    if path is not None:
        return UpPlan(path.parent, _read(context, path, managers, workers), path)
    base = context.place.start
    return UpPlan(base, _parsed(lambda: bare_cluster_file(_name_of(base), managers, workers), ""), None)


def _nearest(context: Context) -> UpPlan:
    """The nearest cluster.toml or cluster upward; with neither, the packaged default."""
    start = context.place.start.resolve()
    for base in (start, *start.parents):
        path = base / CLUSTER_FILE
        if path.is_file():
            return UpPlan(base, _read(context, path, None, None), path)
        if is_own_cluster(base / CLUSTER_DIRECTORY):
            return _resumed(context, base, None, None)
    base = context.machine.default_base()
    file = _parsed(
        lambda: parse_cluster_file(
            context.machine.default_text(), environment=context.place.environment, name=DEFAULT_NAME
        ),
        "packaged ",
    )
    introduction = (
        f"no {CLUSTER_FILE} from here upward: this is the packaged default cluster {file.name!r}, its data in {base}"
    )
    return UpPlan(base, file, None, introduction)


def _resumed(context: Context, base: Path, managers: int | None, workers: int | None) -> UpPlan:
    """A cluster that exists: with the file it was made from, if that still lies there."""
    manifest = context.machine.manifest(base / CLUSTER_DIRECTORY)
    path = base / manifest.cluster_file if manifest.cluster_file else None
    if path is not None and path.is_file():
        return UpPlan(base, _read(context, path, managers, workers), path)
    return UpPlan(base, None, None)


def _named_file(name: str, start: Path) -> Path | None:
    if not name:
        return None
    path = (start / name).resolve()
    if path.is_dir():
        if not (path / CLUSTER_FILE).is_file():
            raise CommandFailed(f"there is no {CLUSTER_FILE} in {name}")
        return path / CLUSTER_FILE
    if not path.is_file():
        raise CommandFailed(f"there is no file {name}")
    return path


def _nearest_file(start: Path) -> Path | None:
    start = start.resolve()
    found = (directory / CLUSTER_FILE for directory in (start, *start.parents))
    return next((path for path in found if path.is_file()), None)


def _read(context: Context, path: Path, managers: int | None, workers: int | None) -> ClusterFile:
    """The file, with the variables of the shell and of `.env` beside it (the shell's win, as in Compose)."""
    environment = {**_env_beside(path), **context.place.environment}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None

    def read_file(name: str) -> str:
        return (path.parent / name).read_text(encoding="utf-8", errors="replace")

    def parse() -> ClusterFile:
        return parse_cluster_file(
            text,
            environment=environment,
            name=_name_of(path.parent),
            managers=managers,
            workers=workers,
            read_file=read_file,
        )

    return _parsed(parse, f"{path.name}: ")


def _env_beside(path: Path) -> dict[str, str]:
    env = path.parent / ".env"
    try:
        return parse_env_file(env.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CommandFailed(f"{env} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CommandFailed(f"{env}: {error}") from None


def _parsed(parse: Callable[[], ClusterFile], source: str) -> ClusterFile:
    try:
        return parse()
    except InvalidClusterFile as error:
        if error.key.startswith("--"):
            raise WrongUsage(str(error)) from None
        raise CommandFailed(f"{source}{error}") from None


def _name_of(base: Path) -> str:
    """A directory's name as a cluster's: what DNS does not allow becomes -."""
    words = "".join(
        character if character.isascii() and character.isalnum() else "-" for character in base.resolve().name
    )
    return words.strip("-")[:NAME_LENGTH_MAX].strip("-") or "swarm"
