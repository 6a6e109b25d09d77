"""node: one node of the cluster is one process and one nursery; this room wires the others together.

    bytes ──wire──▶ peers ──▶ consensus (owns the raft core) ──▶ disk thread ──▶ storage
                      │            │ apply
                      │            ▼
                      │          store ──watch──▶ leadership (manager, only while leading)
                      │            ▲ transactions        │ assignments
    clients ─────▶ answers ──▶ proposals                 ▼
                      └────────────────────────────── sessions ◀──▶ agent ──▶ launcher ──▶ tasks

- `consensus` feeds the core and carries out its effects; it is the only place that knows both the core and the disk.
- `proposals` and `reads` turn requests into core inputs and core effects into answers; they own every waiting request.
- `peers` keeps one connection to each manager; `sessions` carries agents' sessions to the leader, over a relay if need be.
- `leadership` opens the manager's nursery when the log is applied up to this leader's first entry, and closes it, and waits
  until all of it has ended, before it can be opened again.
- `answers` answers clients; `events` holds the bounded ring that observers read.

Nothing here decides anything about consensus, scheduling or tasks: a decision found in this room is in the wrong room.
A failed disk or a violated invariant ends the process: only a new process may open the directory again.
"""
