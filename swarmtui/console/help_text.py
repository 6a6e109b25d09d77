"""The help, made from the table of keys and from the very looks that the panes use."""

from __future__ import annotations

from swarmtui.console.keys import CHANGE_KEYS, HEAL_KEYS, LOOK_KEYS, MOVES, QUIET_KEYS
from swarmtui.console.model.standing import LOOKS, Standing


def help_lines(*, watch: bool) -> list[str]:
    """Everything one needs to know on one page."""
    lines: list[str] = []

    def section(title: str, rows: list[tuple[str, str]]) -> None:
        lines.append(title)
        lines.extend(f"  {shown:<10} {text}" for shown, text in rows if shown)
        lines.append("")

    if not watch:
        section(
            "CHANGE what the cursor is on (a node, or the chosen service or task)",
            [(k.shown, k.help) for k in CHANGE_KEYS],
        )
        section("HEAL", [(k.shown, k.help) for k in HEAL_KEYS])
    section("LOOK", [(k.shown, k.help) for k in (*LOOK_KEYS, *QUIET_KEYS)] + list(MOVES))
    lines.append("A NODE")
    shown = (Standing.LEADER, Standing.FOLLOWER, Standing.CANDIDATE, Standing.PRE_CANDIDATE, Standing.WORKER)
    lines.append("  " + "   ".join(f"{LOOKS[s].glyph} {LOOKS[s].word}" for s in shown))
    shown = (Standing.DOUBTED, Standing.KILLED, Standing.STOPPED, Standing.PAUSED, Standing.SILENT)
    lines.append("  " + "   ".join(f"{LOOKS[s].glyph} {LOOKS[s].word}" for s in shown))
    lines.extend(
        [
            "  LEADER?   says that it leads, but hears no quorum, or a later term leads",
            "  ? silent  does not answer; silence is not death",
            "  bar       ▇ committed   ▒ appended   · missing",
            "  timer     ▮▮▮▯▯ until it calls an election",
            "  tasks     a letter each, filled while it runs; ✗ lost with the node",
            "  lane      ━ leads   ─ follows   ╍ leads without a quorum",
            "            △ ▲ asks for votes   ✗ ends   ‖ pauses",
            "",
            "A TASK",
            "  ? unheard is to stop, on a node that the managers do not hear:",
            "            paused or cut off, it may run on",
            "  path      seen as: N new   A assigned   P preparing   S starting",
            "            R running   C complete   F failed   X shut down",
            "  output    ! a line on standard error",
            "",
            "THE LOG",
            "  a column for each manager, with the term that this very node holds",
            "  filled: committed there   bare: appended there",
            "  ·: not there   ▤: in a snapshot   …: it has not told yet",
        ]
    )
    return lines
