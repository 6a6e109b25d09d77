"""The top of the screen: may it write, who leads, is each service at its count, what is broken, and is this live."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from swarmtui.console.model.durations import clock_text, elapsed
from swarmtui.console.model.picture import FaultRow, Picture, Sight
from swarmtui.console.model.quorum import Health
from swarmtui.console.panes.ink import Line, Pen, Span, fit, one_line, term_ink
from swarmtui.console.panes.line_widget import LineWidget
from swarmtui.console.view import View

HEALTH_INKS = {
    Health.UNKNOWN: "quiet-fill",
    Health.HEALTHY: "good-fill",
    Health.MAY_FAIL: "warn-fill",
    Health.NO_SPARE: "warn-fill",
    Health.ELECTING: "warn-fill",
    Health.NO_QUORUM: "bad-fill",
}
SIGHT_INKS = {
    Sight.CONNECTING: "quiet-fill",
    Sight.LIVE: "quiet-fill",
    Sight.STALE: "bad-fill",
    Sight.MISMATCH: "bad-fill",
}


NAME_SHARE = 6  # of the line goes to the cluster's name at most: health and whether this is live must be read
FAULT_EXTRA = 18  # cells that one takes beside its text: glyph, age, and its key


class StatusLine(LineWidget):
    """Two lines; a third while anything is broken on purpose."""

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        lines = [health_line(view, width), leader_line(view, width)]
        if view.picture.faults:
            lines.append(faults_line(view, width))
        return lines

    def show(self, view: View) -> None:
        height = 3 if view.picture.faults else 2
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height
        super().show(view)


def sight_span(view: View) -> Span:
    """Live, held or stale, in one chip."""
    picture = view.picture
    if view.held_at is not None:
        behind = f" · {view.behind:,} behind" if view.behind else ""
        return f" ‖ HELD {clock_text(view.held_at, utc=view.utc)}{behind} ", "held-fill"
    if picture.sight is Sight.STALE and picture.sight_since is not None:
        return f" ? STALE since {clock_text(picture.sight_since, utc=view.utc)} ", "bad-fill"
    if picture.sight is Sight.LIVE:
        return (" ● LIVE · WATCH " if view.watch else " ● LIVE "), "quiet-fill"
    return f" ? {picture.sight.value} ", SIGHT_INKS[picture.sight]


def health_line(view: View, width: int) -> Line:
    """Name, health with its arithmetic, and how the screen relates to the cluster."""
    picture = view.picture
    quorum = picture.quorum
    name = picture.name if len(picture.name) <= width // NAME_SHARE else fit(picture.name, width // NAME_SHARE)
    pen = Pen(width).write(f" {name} ", "name").skip()
    pen.write(f" {quorum.glyph} {quorum.word} ", HEALTH_INKS[quorum.health]).skip()
    chip = sight_span(view)
    sentence = "asking every node" if picture.sight is Sight.CONNECTING else quorum.sentence
    if len(sentence) + len(chip[0]) + 1 > pen.room:  # the arithmetic yields to the chip only as far as it must
        sentence = sentence.partition(":")[0]
    pen.write(
        sentence if len(sentence) < pen.room - len(chip[0]) else fit(sentence, pen.room - len(chip[0]) - 1), "strong"
    )
    return pen.right([chip]).line()


def leader_line(view: View, width: int) -> Line:
    """Who leads, which term, since when; the services; how much happens."""
    picture = view.picture
    pen = Pen(width).skip()
    lead = picture.leadership
    if picture.sight is not Sight.LIVE:
        pen.write("? leader unknown", "quiet")
    elif lead.name:
        pen.write("◆ ", "leader").write(lead.name, "leader").write(" leads ", "strong").write(
            f" term {lead.term} ", term_ink(lead.term, fill=True)
        )
        if lead.since is not None:
            pen.write(f" for {elapsed(picture.now - lead.since)}")
    else:
        pen.write("? nobody leads", "warn").write(f"  last term {lead.term}" if lead.term else "", "quiet")
    for name, term in lead.claims:
        pen.write(f"  ◆ {name} claims ", "candidate").write(f" t{term} ", term_ink(term, fill=True))
    spans = service_spans(picture)
    if sum(len(text) for text, _ in spans) + 3 > pen.room and not picture.services_short:
        spans = [("● ", "good"), (f"{len(picture.services)} services ok", "")]
    pen.skip(3).spans(spans)
    if not picture.host_answers and picture.host_reason:
        return pen.right([("? host silent ", "warn")]).line()
    if view.shed:
        return pen.right([(f"{view.shed:,} left out: too fast ", "warn")]).line()
    return pen.right([(f"{picture.event_rate:,.0f} events/s ", "quiet")]).line()


def service_spans(picture: Picture) -> list[Span]:
    """Is each service at its wanted count: one phrase when all are, else those that are not, by name."""
    if not picture.services:
        return [("no services", "quiet")] if picture.sight is Sight.LIVE else []
    if picture.sight is not Sight.LIVE:
        return [(f"? {len(picture.services)} services when last seen", "quiet")]
    short = picture.services_short
    if not short:
        count = len(picture.services)
        return [("● ", "good"), (f"{count} of {count} services at their count", "")]
    spans: list[Span] = [
        (f"◐ {service.name} {service.running}/{service.wanted}  ", "warn" if service.running else "bad")
        for service in short[:4]
    ]
    if len(short) > 4:
        spans.append((f"and {len(short) - 4} more", "warn"))
    return spans


def faults_line(view: View, width: int) -> Line:
    """What is broken, for how long, and which key heals it."""
    picture = view.picture
    pen = Pen(width).write(" broken ", "bad-fill")
    tail: list[Span] = [(" u", "key"), (" undo ", "quiet"), (" H", "key"), (" heal all ", "quiet")]
    if view.watch:  # no key of ours heals anything
        tail = []
    reserve = sum(len(text) for text, _ in tail) + 1
    shown = 0
    faults = picture.faults
    if sum(len(fault.text) + FAULT_EXTRA for fault in faults) > pen.room - reserve:
        faults = together(faults)
    for fault in faults:
        age = elapsed(picture.now - fault.since)
        left = f" of {elapsed(fault.until - fault.since)}" if fault.until else ""
        text = f" {fault.glyph} {one_line(fault.text)} "
        heals = ""  # u and H stand at the end anyway
        if fault.heals in ("R", "P") and not view.watch:
            heals = f"on {fault.nodes[0]}" if len(fault.nodes) == 1 else "on each"
        length = len(text) + len(age) + len(left) + len(heals) + 5
        more = 9 if shown + 1 < len(faults) else 0
        if shown and length + reserve + more > pen.room:
            break
        pen.write(text, "bad").write(f"{age}{left} ", "quiet")
        if heals:
            pen.write(f" {fault.heals} ", "key").write(heals, "quiet").skip(2)
        shown += 1
    if shown < len(faults):
        pen.write(f" +{len(faults) - shown} more", "bad")
    return pen.right(tail).line()


def together(faults: Sequence[FaultRow]) -> tuple[FaultRow, ...]:
    """The faults with all kills as one, and so all pauses and stops: `n3 n2 n1 killed`. The newest one gives the time."""
    merged: dict[object, FaultRow] = {}
    for fault in faults:
        key = fault.kind if fault.heals in ("R", "P") else fault.id
        first = merged.get(key)
        if first is None:
            merged[key] = fault
        else:
            nodes = (*first.nodes, *fault.nodes)
            word = first.text.rpartition(" ")[2]
            merged[key] = attrs.evolve(first, nodes=nodes, text=f"{' '.join(nodes)} {word}")
    return tuple(merged.values())
