"""host: the power supply of the nodes of one cluster on one machine.

    up --> ensure_host --> host process --> power pipe --> node process --> launcher --> tasks
                              |  orders: kill stop start restart pause resume, links, heal, undo, shut down
                              |  published ports: 127.0.0.1:8080 --> running tasks
                              `- the table of faults

Contract: a node lives as long as its power pipe; the host holds the only other end, so whatever ends the host is a power
cut, and the next `up` resumes from disk. One host a directory (flock on `host.lock`); it ends with its directory. What a
fault is, whom it hits, and how it is undone is in one pure table (`faults`); signals reach a process only if pid, start
time and mark agree (`processes`).

Never: the host never tells consensus, dispatcher or events about a node's health, never brings a node back by itself, and
nobody waits for it. With the host stopped, the cluster goes on unchanged.

Files: `create` makes a cluster, `restore` one with the state of a backup, `recovery` begins one anew from a survivor
(`survey` is what is known of each); `household` and `enrolment` add, move and remove single nodes, `roles` gives them the
role that their records say, `members` knows who was put out. `start` sees that a host runs, `main` and `process` are its
process, `status` how that ends, `host` its nursery, `events` and `log` what it tells. `spawning` and `foundry` make node
processes; `power` is all nodes' power and the faults, `supply` one node's, `processes` signals to whole trees, `leftovers`
what a power cut left; `ports` and `feed` forward published ports; `answers` serves the calls, `lines` makes them. `layout`
names the files, `manifest_file` and `info` read the two that everybody asks for, `files` makes new ones and whole trees
durable; `identity` says which process is meant.
"""
