"""node: one node of the cluster is one process and one nursery; this room wires the others together.

    bytes ──wire──▶ peers ──▶ consensus (owns the raft core) ──▶ disk thread ──▶ storage
                      │            │ apply
                      │            ▼
                      │          store ──watch──▶ leadership (manager, only while leading)
                      │            ▲ transactions        │ assignments
    clients ─────▶ answers ──▶ proposals                 ▼
                      └────────────────────────────── sessions ◀──▶ agent ──▶ launcher ──▶ tasks

The process and the node that every machine of the cluster has:

- `__main__` and `run` go from a directory to a running node; `power` ends it when the host does; `gaps` notices that the machine
  slept, `heap` gives freed memory back, `large_pages` moves the rest to where it is found faster.
- `node` is that nursery. `peers` keeps one connection to each manager, whose addresses `acquaintances` gathers; `sessions` carries
  agents' sessions to the leader, over a relay if need be, and `agent_session` is our own agent's end of one.
- `answers` answers clients, with `logview` and `state_stream` for what is long; `events` holds the bounded ring that `observing`
  reads to observers, `refusals` and `chronicle` fill it.
- `duty` opens and closes the manager's side as this node becomes a manager or a worker.
- `bell` is how one of these waits for another.

The manager's side (`manager_side`), which the managers have besides:

- `consensus` feeds the core and carries out its effects; it alone feeds the core. `disk` takes the effects that are the disk's to
  the one thread that may touch the log, `compaction` the snapshots to another.
- `proposals` and `reads` turn requests into core inputs and core effects into answers; they own every waiting request. `writes` is
  what a client's write waits in before: it forwards to whoever leads.
- `leadership` opens the manager's nursery when the log is applied up to this leader's first entry, and closes it, and waits
  until all of it has ended, before it can be opened again. `members` turns nodes into members of the consensus and back.

Nothing here decides anything about consensus, scheduling or tasks: a decision found in this room is in the wrong room.
A failed disk or a violated invariant ends the process: only a new process may open the directory again.
"""
