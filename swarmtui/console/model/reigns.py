"""Who led when, by term: so that an incident that is heard of late still knows who led before it and after.

The times are those that the nodes themselves gave. A term has one leader; its first commit is when writes went on, since a
leader commits nothing before an entry of its own term (Raft, 5.4.2).
"""

from __future__ import annotations

import attrs

REIGNS_MAX = 50


@attrs.define
class Reign:
    """`base`: the highest commit that was known when it began. `wrote_at`: when it first committed more than that."""

    name: str
    term: int
    led_at: float
    base: int
    wrote_at: float | None = None


class Reigns:
    """The last REIGNS_MAX terms that had a leader."""

    def __init__(self) -> None:
        self._reigns: dict[int, Reign] = {}
        self._commit = 0

    def committed(self, commit: int) -> None:
        """Some node says that it has committed this far."""
        self._commit = max(self._commit, commit)

    def led(self, name: str, term: int, moment: float) -> Reign:
        """This node leads this term since `moment`; the earliest telling counts."""
        reign = self._reigns.get(term)
        if reign is None:
            reign = self._reigns[term] = Reign(name, term, moment, self._commit)
            while len(self._reigns) > REIGNS_MAX:
                del self._reigns[min(self._reigns)]
        elif reign.name == name:
            reign.led_at = min(reign.led_at, moment)
        return reign

    def wrote(self, term: int, moment: float, commit: int | None = None) -> None:
        """The leader of this term has committed (this far, or, None: its first entry)."""
        reign = self._reigns.get(term)
        if reign is None or (commit is not None and commit <= reign.base):
            return
        if reign.wrote_at is None or moment < reign.wrote_at:
            reign.wrote_at = moment

    def before(self, moment: float) -> Reign | None:
        """Who led last before this moment."""
        earlier = [reign for reign in self._reigns.values() if reign.led_at < moment]
        return max(earlier, key=lambda reign: reign.term, default=None)

    def since(self, moment: float) -> list[Reign]:
        """Who led since, the oldest term first."""
        return [self._reigns[term] for term in sorted(self._reigns) if self._reigns[term].led_at >= moment]
