"""Whether a manager's directory is as new as it ever was: a small file beside it remembers how far it had come.

    nodes/n2/raft/seen.json      in the directory: goes back with it when a copy of it is restored
    nodes/.n2.seen.json          beside it: does not
    nodes/.n2.noted.json         beside it too: how far it came since that start

The first two count the starts, durably; the third says which term and commit index the directory has reached, is written now
and then without a sync, and may be lost in a power cut: so it is a file of its own, lest the count be lost with it. A voter
whose disk was put back has forgotten votes and entries that others rely on; it must not vote. Terms and commit indexes never
fall, and of two starts the later has the higher number, so whatever is below what lies beside it was put back. What was
copied and put back between two notes is not noticed here, but by the leader that had its acknowledgement
(`raft.replication`). A directory that was moved to where nothing lies beside it is believed, and so is everything if the
outer files went back as well: then the whole machine was put back.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from swarmtui.objects.codec import MalformedObject, decode_json, encode_json
from swarmtui.storage.errors import StorageError
from swarmtui.storage.files import REAL, FileOps, replace_file

SEEN_FILE = "seen.json"
NOTED_FILE = "noted.json"


class OlderDirectory(StorageError):
    """The directory is older than when this manager last ran."""

    def __init__(self, directory: Path, name: str, reason: str) -> None:
        super().__init__(
            f"{directory} is older than when {name} last ran ({reason}): a copy of it was put back, and it has forgotten "
            f"entries and votes that others rely on; keep the other managers running and make a new manager of it: "
            f"swarmtui node demote {name}, swarmtui start {name}, swarmtui node promote {name}"
        )


@attrs.frozen(kw_only=True)
class Seen:
    """How far a manager had come. `member` is who it is in the consensus."""

    member: str
    starts: int = 0
    term: int = 0
    commit: int = 0


def beside(node_directory: Path) -> Path:
    """The file that does not go back with the directory."""
    return node_directory.with_name(f".{node_directory.name}.{SEEN_FILE}")


def noted_beside(node_directory: Path) -> Path:
    """What was noted since the last start."""
    return node_directory.with_name(f".{node_directory.name}.{NOTED_FILE}")


def begin_start(node_directory: Path, raft: Path, now: Seen, last: int, files: FileOps = REAL) -> Seen:
    """Called once at every start, the log being recovered up to `last`: counts the start, durably, the outer count last.
    `now` holds the term and commit index that were recovered. Raises OlderDirectory, OSError."""
    inner, outer = _read(raft / SEEN_FILE, now.member, files), _read(beside(node_directory), now.member, files)
    noted = _read(noted_beside(node_directory), now.member, files)
    outer = attrs.evolve(outer, term=max(outer.term, noted.term), commit=max(outer.commit, noted.commit))
    _refuse_older(node_directory, inner, outer, now, last)
    seen = attrs.evolve(now, starts=max(inner.starts, outer.starts) + 1)
    replace_file(raft / SEEN_FILE, encode_json(seen).encode(), files)
    replace_file(beside(node_directory), encode_json(seen).encode(), files)
    return seen


def _refuse_older(node_directory: Path, inner: Seen, outer: Seen, now: Seen, last: int) -> None:
    reason = ""
    if inner.starts < outer.starts:
        reason = f"it was started {inner.starts} times, and had been {outer.starts} times"
    elif now.term < outer.term:
        reason = f"its term is {now.term}, and had been {outer.term}"
    elif last < outer.commit:
        reason = f"its log ends at index {last}, and {outer.commit} had been committed"
    if reason:
        raise OlderDirectory(node_directory, node_directory.name, reason)


def note_seen(node_directory: Path, seen: Seen, files: FileOps = REAL) -> None:
    """How far it has come meanwhile. Not synced: this is asked for after a copy was put back, not after a power cut."""
    path = noted_beside(node_directory)
    replace_file(path, encode_json(seen).encode(), files, durable=False)


def _read(path: Path, member: str, files: FileOps) -> Seen:
    """Nothing seen where there is no such file, one of another member, or one that cannot be read."""
    nothing = Seen(member=member)
    try:
        size = files.size(path)
        file = files.open(path)
    except FileNotFoundError:
        return nothing
    try:
        seen = decode_json(file.read_at(0, size), Seen)
    except MalformedObject:
        return nothing
    finally:
        file.close()
    return seen if seen.member == member else nothing
