"""Every number the core obeys, with its unit, checked against each other."""

from __future__ import annotations

import attrs


class InvalidOptions(ValueError):
    """Options that contradict each other: the operator's fault."""


@attrs.frozen(kw_only=True)
class RaftOptions:
    heartbeat_s: float = 0.1
    election_timeout_s: float = 0.5  # drawn anew from [1x, 2x) each time
    hurry: bool = True  # a refused dial to the leader hurries an election (profile fast)
    hurry_rank_s: float = 0.002  # a node waits rank x this before its early pre-vote
    hurry_patience_s: float = 0.015  # and lets a candidacy that it knows of have this long
    candidacy_patience_s: float = 0.1  # who voted refuses the pre-votes of others for this long
    hurry_retries_s: tuple[float, ...] = (0.005, 0.010, 0.020, 0.040)
    commit_notice_s: float = 0.003  # an idle follower hears of a commit this much later, unless an Append carries it
    append_bytes_max: int = 1024 * 1024  # entries of one Append
    inflight_messages_max: int = 256  # Appends a peer has not answered
    inflight_bytes_max: int = 2 * 1024 * 1024  # sent in one turn to whoever comes back: others' writes wait for that
    uncommitted_bytes_max: int = (
        64 * 1024 * 1024
    )  # beyond, proposals are refused; nor does a follower let more wait to be applied
    reads_waiting_max: int = 10_000
    read_timeout_s: float = 1.0  # a read that the leader does not answer is refused
    snapshot_chunk_bytes: int = 256 * 1024
    keep_entries: int = 500  # kept behind a snapshot in any case, for those who lag a little (swarmkit's number)
    keep_bytes_max: int = 64 * 1024 * 1024  # of log kept behind a snapshot for followers in contact
    transfer_timeout_s: float = 1.0
    catch_up_rounds_max: int = 10  # of a learner that is to vote (dissertation 4.2.1); then it pauses
    catch_up_pause_s: float = 5.0  # before it tries again; also how long its silence is waited out

    def __attrs_post_init__(self) -> None:
        if not 0 < self.heartbeat_s * 2 <= self.election_timeout_s:
            raise InvalidOptions(
                f"election_timeout {self.election_timeout_s:g} s must be at least twice heartbeat {self.heartbeat_s:g} s"
            )
        if self.inflight_messages_max < 1 or self.append_bytes_max < 1:
            raise InvalidOptions("the append window must hold at least one message of one byte")
