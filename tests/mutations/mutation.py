"""What a planted bug is: one replacement of source text, and the tests of which at least one must turn red."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Mutation:
    """`old` occurs exactly once in `file`. `rule` says, in words, which safety rule the bug breaks."""

    name: str
    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
