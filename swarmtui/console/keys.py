"""Every key in one table: the application's bindings, the key bar and the help are all made from it.

Lower case looks, upper case changes (but for `u`). No key has two meanings.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Key:
    """`id` names it for remapping, `action` is the application's. `bar`: its word in the key bar, "" for none.
    `changes`: hidden where the console may only watch."""

    id: str
    key: str
    shown: str
    action: str
    bar: str
    help: str
    changes: bool = False


CHANGE_KEYS: tuple[Key, ...] = (
    Key(
        "target.kill",
        "K",
        "K",
        "order('kill')",
        "kill",
        "kill it: SIGKILL, as a machine that loses power",
        changes=True,
    ),
    Key(
        "target.stop",
        "S",
        "S",
        "order('stop')",
        "stop",
        "stop it in order: a leader hands over, tasks end first",
        changes=True,
    ),
    Key("target.pause", "P", "P", "order('pause')", "pause", "pause it and its tasks, or let it go on", changes=True),
    Key("target.restart", "R", "R", "order('restart')", "restart", "bring it back, or restart it", changes=True),
    Key("node.partition", "X", "X", "partition", "partition", "cut the network between two sides", changes=True),
    Key(
        "node.drain",
        "D",
        "D",
        "order('drain')",
        "drain",
        "move all tasks away from the node, or let them come again",
        changes=True,
    ),
)
HEAL_KEYS: tuple[Key, ...] = (
    Key("fault.undo", "u", "u", "order('undo')", "undo", "undo the last fault", changes=True),
    Key("fault.heal", "H", "H", "order('heal')", "heal all", "heal everything that is broken", changes=True),
)
LOOK_KEYS: tuple[Key, ...] = (
    Key("view.output", "l", "l", "output", "output", "what the task, service or node prints"),
    Key("view.hold", "space", "space", "hold", "hold", "hold the view still; the cluster runs on"),
    Key("view.filter", "slash", "/", "filter", "filter", "only the rows of this pane that hold some words"),
    Key("app.command", "colon", ":", "command", "command", "any command of the command line; tab completes it"),
    Key("view.theme", "t", "t", "theme", "theme", "the next theme"),
    Key("app.help", "question_mark", "?", "help", "help", "this help"),
    Key("app.leave", "q", "q", "leave", "leave", "leave; the cluster keeps running"),
)
QUIET_KEYS: tuple[Key, ...] = (
    Key("view.detail", "enter", "enter", "detail", "detail", "all that is known of the node, service or task"),
    Key("pane.raft", "1", "0  1–5", "pane(1)", "", "the nodes; the panes Raft, Services, Tasks, Output, Events"),
    Key("pane.services", "2", "", "pane(2)", "", ""),
    Key("pane.tasks", "3", "", "pane(3)", "", ""),
    Key("pane.output", "4", "", "pane(4)", "", ""),
    Key("pane.events", "5", "", "pane(5)", "", ""),
    Key("pane.next", "tab", "tab", "next_pane", "", "between the nodes and the panes"),
    Key("tasks.past", "a", "a", "past", "", "tasks: with or without attempts that ended"),
    Key("view.back", "escape", "esc", "step_back", "", "put away the banner, the filter, a question"),
)
MOVE_KEYS = (  # as Textual writes them, with the action
    ("up,k", "move(-1)"),
    ("down,j", "move(1)"),
    ("left", "across(-1)"),
    ("right", "across(1)"),
    ("pageup", "page(-1)"),
    ("pagedown", "page(1)"),
    ("home,g", "home"),
    ("end,G", "end"),
    ("tab", "next_pane"),
    ("shift+tab", "previous_pane"),
)
MOVES = (
    ("↑ ↓  j k", "move"),
    ("← →", "the rest of rows that are too long, and back"),
    ("pgup pgdn", "by pages"),
    ("home end", "to the ends; the newest is followed again"),
)
KEYS: tuple[Key, ...] = CHANGE_KEYS + HEAL_KEYS + LOOK_KEYS + QUIET_KEYS
