"""raft: consensus as pure functions of state and event.

The contract
------------
`core.RaftCore` is one member. It has three verbs:

    feed(input, now)   something happened: time passed, a message came, a write completed, somebody proposes
    drain()            the effects to carry out: send, write, apply, answer
    status(now)        what it says of itself

It has no clock, socket, disk, thread, logger or randomness of its own: `now` and `draw` are handed in. So every rule here
is tested by plain function calls, and `swarmtui.sim` runs whole clusters of these very classes in virtual time.

The embedder owes it:

1. `feed(Tick())` when `deadline` has come; later is allowed, earlier is harmless. After having slept: `Gap` first.
2. Only authenticated messages: `message.source` is who the certificate says.
3. Effects are carried out in the order in which they are drained. Sends may leave at once: none of them promises
   anything that is not durable yet. Writes, WriteChunk, InstallSnapshot and Compact go to the disk in this order, and
   `Written(sequence)` is fed when that Write *and all before it* are durable. Many Writes may share one sync.
4. A Write that fails is never followed by another: the node stops (fsync-gate). So it does on InvariantViolation.
5. After a restart: `Restored` from the disk, nothing from memory.

The order rules
---------------
| what                                   | waits for the disk of                                             |
|----------------------------------------|-------------------------------------------------------------------|
| Append, heartbeat, snapshot piece      | nothing: the leader's own copy counts only once it is durable      |
| pre-vote and its answer                | nothing: it binds nothing                                          |
| VoteRequest                            | the candidate's own term and vote                                  |
| VoteReply, granted                     | the vote                                                           |
| AppendReply, accepted, match = i       | every entry up to i                                                |
| Apply                                  | min(commit, durable here)                                          |

What always holds
-----------------
- terms never fall, one vote in a term; the log's terms never fall; applied <= handed <= commit, handed <= durable <= last
- a leader only appends; it commits by counting only entries of its own term; everybody else commits only what was
  verified against the leader's log
- an entry that is committed is never truncated, here or anywhere
- the configuration in force is that of the last configuration entry in the log, committed or not; at most one is not
- every quorum of a configuration meets every quorum of the next

`invariants.py` checks what one node can know at every drain; the simulator checks the rest over the whole cluster.

Where to find what
------------------
    quorum      majorities, commit index and votes, both halves of a joint configuration; a leaf
    log         entries in memory, what is durable, what is committed
    changes     what may be wished of the members, and the configuration that comes next; a leaf
    members     the configuration in force, taken back by truncation
    belonging   what that configuration means to this node, and to who was removed
    membership  what a leader does about the members: wishes, joint configurations, catching up, promotion
    timers      the election timer
    hurry       early pre-votes after a refused dial to the leader
    receiving   what happens to a message before its role sees it
    ballot      the term, our vote in it, and what of them the disk has; a leaf
    voting      who gets our vote: the rule of the living leader first
    follower    taking entries, answering for what is durable
    candidate   pre-vote, then the real one
    leader      proposals, commit, quorum contact, reads; `transfer` hands over, `replication` and `progress` feed the peers,
                `reads` numbers the read rounds
    attestation what a member says to whoever reads from a quorum by itself, and when that is enough
    incoming    receiving a snapshot; `compaction` what stays of the log behind one
    core        the three verbs, and what outlives a role
    messages, inputs, effects, status, entries, configuration, options    plain data
    text        one stable line for each of them

What it never does
------------------
It never waits, reads a clock, or looks into an entry (but for configurations). It never trusts a term before cluster and
addressee are checked. It never acknowledges what a crash could take back. It never serves a read from a lease: a hint that
the leader is gone may shorten a lease at any time. It never lets a node that was cut off depose a leader that others hear.
"""
