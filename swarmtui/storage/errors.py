"""What can be wrong with a disk, by blame: each one sentence that says what to do."""

from __future__ import annotations

from pathlib import Path

UNUSABLE_STATUS = 3  # the process of a node that cannot use its directory ends with this; its last line says why

REJOIN = (
    "a voter must not vote with a log that it cannot trust: keep the other managers running, and put a new manager in its "
    "place: swarmtui node rm --force {name} && swarmtui swarm join --role manager --name {name}"
)


class StorageError(Exception):
    """Anything that keeps this room from doing its work."""


class DiskFailure(StorageError):
    """A write or a sync failed. Final for this process: nothing may be written or promised any more."""

    def __init__(self, what: str, path: Path, error: OSError) -> None:
        reason = error.strerror or str(error)
        super().__init__(f"{what} of {path} failed: {reason}; this node stops, start it again when the disk is well")
        self.errno = error.errno


class NoRoom(StorageError):
    """A snapshot does not fit on the disk. Nothing that was promised is touched: the log goes on, and grows until it can
    be compacted."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"no room for a snapshot in {path}: the log cannot be compacted; free some space")


class Damaged(StorageError):
    """Bytes on the disk are not those that were written."""

    def __init__(self, file: Path, offset: int, reason: str) -> None:
        advice = REJOIN.format(name=file.parent.parent.name)
        super().__init__(f"{file} is damaged at byte {offset}: {reason}; {advice}")
        self.file = file
        self.offset = offset
        self.reason = reason
        self.advice = advice


class DamagedLog(Damaged):
    """A segment of the log."""


class DamagedSnapshot(Damaged):
    """A snapshot file."""


class NewerFormat(StorageError):
    """Written by a newer version: nothing is guessed, nothing is changed."""

    def __init__(self, file: Path, what: str, found: int, known: int) -> None:
        super().__init__(f"{file} has {what} format {found}, this version reads {known}: use a newer swarmtui")
        self.found = found
        self.known = known


class OutOfSequence(StorageError):
    """A write that does not continue the log: a bug of the caller."""


class DirectoryMissing(StorageError):
    """There is no node here. A manager's directory is never made again: a voter that forgot its vote makes two leaders."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is not there (any more): a worker's is made again by swarmtui up; in place of a manager's a new one "
            "joins: swarmtui node rm --force NAME && swarmtui swarm join --role manager --name NAME"
        )


class DirectoryInUse(StorageError):
    """Another process holds the directory's lock."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is in use: this node runs already")


class ForeignDirectory(StorageError):
    """What lies here was not made for this node."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} belongs to no node that can run here: {reason}")
