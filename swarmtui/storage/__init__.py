"""storage: what survives a crash: the log, the snapshots, and who this directory is.

The log (`log`) is a row of segment files. A segment (`segments`) is zero-filled when it is made, never used again, and
holds frames one behind the other; a frame (`frames`) is everything that one call of `write_many` made durable: hard
state, truncation and entries, whole or not at all under one checksum. Its zeros are written once more, some way ahead of the
frames: a block that was only allocated costs a durable write a third of its time.

What is promised:

- When `write` returns, what it was given survives the loss of power. When it raises, the disk can no longer be trusted:
  `DiskFailure` is final, for the kernel may have dropped the pages that a failed fsync was about (fsync-gate).
- Only one frame is ever unsynced, the last. Recovery truncates it, with a note, if it is *torn*: one of its 512-byte
  sectors is still zero. A written frame has no such sector (`frames` sees to that), so anything else that does not agree
  with its checksum is damage, and a voter with a damaged log must not vote: `DamagedLog` says where, and how to go on.
- Checksums are chained, seeded with the node's id and the number of the segment: frames of another node, another
  segment or another place do not fit.
- What recovery reads it first makes durable: a process that was killed may have left frames in the page cache only.
- Formats that are newer than this version are refused, naming both numbers.

Beside the log: snapshots (`snapshots`), whose directory this is and that it is used once (`directory`), whether it is as new as it
ever was (`seen`), a new epoch when the majority is lost (`recovery`), the state in one file (`backup`); `records` is what a frame
says, `discarded` frees what nobody needs, `errors` is what can be wrong with a disk, each with what to do.

Everything here is synchronous and belongs to one thread at a time (`worker`); snapshots may be written and read by
another. What a vote or an acknowledgement may rely on (log, snapshots, `seen`) is touched through `files` alone, so that tests
and the simulator can lose, tear, zero, flip and fail (`simulated`).
"""
