"""sim: a whole cluster in virtual time, from a seed.

It runs the very classes that nodes run (`swarmtui.raft.core` and all below it) on a simulated network, on simulated disks
and on clocks that do not agree, injects trouble of every kind, and looks at everything at once:

    parameters   what this run is like: each figure is drawn from the seed, so that quiet, lossy, slow and wild runs occur
    network      delay, loss, duplication, disorder, cuts (also one-way), clogs, broken connections, old messages again
    disk         one queue, syncs that take time, stall or hang; a crash loses what was not synced
    machine      the store as the state machine, or a mere checksum over all that was ever applied
    node         a core, a disk, a clock of its own (clock); carries out effects as a shell would
    cluster      the queue of events, the network between nodes, the healing
    themes       runs that are about something: members, snapshots, coups
    trouble      load and faults, each at its rate: link_trouble of paths, power_trouble of machines and disks,
                 member_trouble of who belongs to the cluster; ambush waits for a moment that is rare by itself
    scheduling   the manager's loops on whoever leads, an operator; agents is what obeys them; roles is who is a manager
    healing      the end of all trouble, and what must come about then
    epoch        the second act of some runs: the majority is lost for good
    clients      clients of kv, through leaders and followers; desk is where a node serves them; attested are reads that a
                 client confirms by itself
    history      what they asked and heard; register, linearizability, explanation judge it
    files        the real storage beneath, on files in memory that lose power
    invariants   the observer: what must hold at every step over all nodes and disks
    soak         fresh seeds for as long as asked, on all cores

Trouble is: crashes between any two steps (of machines, of processes, of all at once), partitions (halves, rings, all alone),
one-way cuts, clogs that flush, broken connections, pauses with and without a noticed gap, disks that stall, hang, fill up,
fail once, lose a bit or everything or are put back to an older copy (of a minority), hints that the leader is gone (true ones
after a crash, false ones at any time), late ticks, bursts of them, clocks at half or double speed, a state machine that lags,
inputs that are drained together.
Members join, are promoted, demoted, replaced, moved and removed meanwhile, several at once too. When all that ends, everything is
healed, lost disks are replaced, and the cluster must become whole, quiet, and of service to every client.

One seed is one run: the same seed gives the same trace, line by line, on every machine. A seed that ever failed goes into
tests/sim/seeds.txt and is run for ever.
"""
