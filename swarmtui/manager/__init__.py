"""manager: what only the leader runs: orchestrators, updates, restarts, the scheduler, the dispatcher, the reaper.

The chain that every task goes through, one link a file, none of which knows the next:

    service's spec -> replicated/global orchestrator: task PENDING (allocated) -> scheduler: ASSIGNED to a node
    -> dispatcher: ships it -> the node's agent: ACCEPTED .. RUNNING -> dispatcher: writes the report -> orchestrator

Contract. Every link but the dispatcher is a `Loop`, most of them a `Reconciler`, a loop that sorts its work by keys: a
plain class without clock, randomness, await or thread. It is told of changes of the store, is asked what to do *now*,
answers with `Decision`s (operations that happen together or not at all) and with the time at which it wants to be asked
again. `Manager` steps them all, merges their decisions into transactions and hears what became of each. The
`dispatcher` is fed messages and drained of effects instead. `loop.run_manager` alone runs in trio; the
simulator drives the same `Manager` in virtual time.

Invariants:
- a reconciler reads the store and remembers nothing that it could not read again: what it does remember (delays under
  way, silences, failures of the last five minutes) is a head start that a new leader may lose;
- about one key (a service, a slot, a node, a task) there is at most one undecided transaction, and it is looked at again
  only when that one's result is applied here. An outcome that is unknown is a reason to read again, never to repeat;
- asked twice without a change, a reconciler proposes nothing the second time;
- reconcilers never call each other: they watch the store and write transactions.

Where to find what:

    reconciler                              the shape of every loop; driver steps one; manager is all of them, loop its trio
    leadership, membership                  what the manager needs of its node and of the consensus
    genesis                                 the first records of a cluster
    replicated, global_                     the orchestrators; updater and restart for what they replace, and when
    slots, tasks                            what is true of a slot and of a task
    allocator, scheduler, release           NEW -> PENDING, PENDING -> ASSIGNED, and READY -> RUNNING for who had to wait
    filters, ledger, spread                 where a task may go, what each node holds, which node is best
    dispatcher                              the sessions of agents; sessions is one of them, reports what they tell of their tasks
    health, silence                         what is believed of a node, and the clock behind it
    nodes, enforcer                         tasks whose node stays away, or is no longer right for them
    reaper, leases                          what is deleted: old tasks, locks that nobody renews
    roles                                   promotes and demotes
    shutdown                                what `down` changes for all of them
    sizes                                   how much fits into a transaction

Whose rules these are: swarm mode's, and each file names the package of github.com/moby/swarmkit that it follows, and says
where it differs on purpose. What has no such name is this project's own.

It never touches a socket, the disk or raft, and it never decides on a node's health from anything but the node's own
session and a dial of its address.
"""
