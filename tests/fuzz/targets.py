"""What is fuzzed: one function of bytes each, that returns for whatever it is given or has found a bug.

`seeds` are good inputs to begin with; a mutation of a good input reaches deeper than noise.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tests.fuzz import bytes_targets, decision_targets, file_targets


def _nothing() -> list[bytes]:
    return []


@attrs.frozen
class Target:
    """`decides`: its bytes are a list of decisions, and it takes hundreds of them to get anywhere."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]] = _nothing
    decides: bool = False

    @property
    def name(self) -> str:
        return self.run.__name__


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target(bytes_targets.wire_frames, bytes_targets.wire_frames_seeds),
        Target(bytes_targets.wire_message, bytes_targets.wire_message_seeds),
        Target(bytes_targets.entries, bytes_targets.entries_seeds),
        Target(bytes_targets.configuration, bytes_targets.configuration_seeds),
        Target(bytes_targets.entry_data, bytes_targets.entry_data_seeds),
        Target(bytes_targets.store_snapshot, bytes_targets.store_snapshot_seeds),
        Target(bytes_targets.log_segment, lambda: [bytes_targets.segment()]),
        Target(bytes_targets.damaged_segment, bytes_targets.damaged_segment_seeds),
        Target(bytes_targets.launcher_frame),
        Target(bytes_targets.cluster_file, bytes_targets.cluster_file_seeds),
        Target(file_targets.backup_file, file_targets.backup_file_seeds),
        Target(file_targets.snapshot_file, file_targets.snapshot_file_seeds),
        Target(file_targets.node_file, file_targets.node_file_seeds),
        Target(file_targets.seen_file, file_targets.seen_file_seeds),
        Target(decision_targets.transactions, decides=True),
        Target(decision_targets.peer_messages, decides=True),
        Target(decision_targets.any_order, decides=True),
    )
}
