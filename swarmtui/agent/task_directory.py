"""Where a task's things are: `tasks/ID/` in the directory of its node.

    status.json     the last state that must be remembered across a restart of the node: started, or how it ended
    output.jsonl    what it wrote, with .1 and .2 (see launcher_output)
    private/        its own directory, 0700: SWARMTUI_TASK_DIR

Blocking file operations on small files; callers run them in a thread.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import attrs

from swarmtui.objects.records import TaskStatus
from swarmtui.objects.states import TaskState
from swarmtui.storage.files import replace_file

STATUS_NAME = "status.json"
PRIVATE_NAME = "private"
STATUS_BYTES_MAX = 64 * 1024
TASK_ID_LENGTH_MAX = 64


@attrs.frozen
class TaskDirectory:
    """The directory of one task. Raises ValueError for an id that is no plain word: it is part of a path."""

    tasks: Path
    task_id: str

    def __attrs_post_init__(self) -> None:
        if not (self.task_id.isascii() and self.task_id.isalnum() and len(self.task_id) <= TASK_ID_LENGTH_MAX):
            raise ValueError(f"{self.task_id!r} is no id of a task")

    @property
    def path(self) -> Path:
        return self.tasks / self.task_id

    @property
    def private(self) -> Path:
        return self.path / PRIVATE_NAME

    def make(self) -> None:
        for directory in (self.tasks, self.path, self.private):
            directory.mkdir(mode=0o700, exist_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def save_status(self, status: TaskStatus) -> None:
        """Replaces the file at once. Not synced: after a crash of the machine an older or no status is as good, because
        the task is dead in any case and is reported so."""
        self.make()
        text = json.dumps({**attrs.asdict(status), "state": status.state.name})
        replace_file(self.path / STATUS_NAME, text.encode(), durable=False)

    def load_status(self) -> TaskStatus | None:
        """What was saved; None if nothing was, or nothing that can be read."""
        try:
            with open(self.path / STATUS_NAME, encoding="utf-8") as file:
                fields = json.loads(file.read(STATUS_BYTES_MAX))
            return TaskStatus(
                state=TaskState[fields["state"]],
                timestamp=float(fields["timestamp"]),
                message=str(fields["message"]),
                error=str(fields["error"]),
                pid=int(fields["pid"]),
                exit_code=None if fields["exit_code"] is None else int(fields["exit_code"]),
                port=int(fields["port"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None


def load_statuses(tasks: Path) -> dict[str, TaskStatus | None]:
    """Every task that left a directory here, and what it was last known to do: None if it had not been started."""
    found: dict[str, TaskStatus | None] = {}
    for path in sorted(tasks.iterdir()) if tasks.is_dir() else []:
        try:
            found[path.name] = TaskDirectory(tasks, path.name).load_status()
        except ValueError:  # not ours
            continue
    return found
