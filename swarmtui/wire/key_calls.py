"""Calls for many keys at once, and for a word that lets whoever reads confirm them by itself (`swarmtui.raft.attestation`).

They stand apart from `node_calls` for what they know of raft: who runs tasks shall not, and imports those.
"""

from __future__ import annotations

import attrs

from swarmtui.objects.records import KeyValue
from swarmtui.raft.attestation import Attestation as Attestation  # the answer to Attest
from swarmtui.raft.attestation import may_serve

KEYS_TOGETHER_MAX = 512  # that one GetKeys asks for
ASKED_TOGETHER_MAX = 100  # managers, by one who reads from a quorum
KEYS_BYTES_MAX = 4 * 1024 * 1024  # of values in one answer to it, but for a single one that is larger


@attrs.define
class GetKeys:
    """Many keys at once, linearizable: what `GetKey` says of each, with the cost of one call. At most KEYS_TOGETHER_MAX.
    `asked`: unconfirmed and at once, for who asks these nodes (ids) to `Attest` as well (`KeyRows.may_be_served`)."""

    keys: tuple[str, ...]
    timeout_s: float = 5.0
    asked: tuple[str, ...] = ()


@attrs.frozen
class Attest:
    """A manager's word for a read of all the nodes `asked` (ids), itself among them. Answered by Attestation, from memory."""

    asked: tuple[str, ...]


@attrs.define
class KeyRows:
    """A row for each key that was asked for, None where there is none, as of `index`; of the first keys only, if all have more
    than KEYS_BYTES_MAX. `refused` is a sentence if they could not be read. `attestation`: they are unconfirmed, and it was
    given in the same step."""

    index: int
    term: int
    rows: tuple[KeyValue | None, ...]
    refused: str = ""
    attestation: Attestation | None = None

    def may_be_served(self, words: list[Attestation]) -> bool:
        """Whether these, with its own, confirm the rows: see `raft.attestation`."""
        return self.attestation is not None and may_serve(self.index, [self.attestation, *words])
