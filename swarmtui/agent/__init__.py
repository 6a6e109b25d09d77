"""agent: what every node runs, manager or worker: its session with the leader, its tasks, and the executor of them.

Three processes and one rule. The *node* (trio) holds the session and decides; its *launcher*, a tiny single-threaded
child made before any thread, is the parent of all tasks; a *task* is a real program in a session of its own. The rule:
**no task outlives its node**, whatever kills it.

How the rule holds, from the ordinary to the worst:

- the task ends or is stopped: the launcher kills whatever it left behind, found by descent, by session and by the mark
  `SWARMTUI_TASK=<cluster id>/<node id>/<task id>` in the environment (`launcher_trees`);
- the node dies, however: the launcher reads end-of-file and kills all its descendants. It is a child subreaper, so those
  that called setsid or forked twice have not left it (`launcher_process`, which makes tasks with `launcher_spawn`);
- the launcher dies: the kernel kills every direct child (PR_SET_PDEATHSIG, set in each, from the launcher's only thread:
  the signal fires when the forking *thread* ends, which is why trio's worker threads must not fork tasks); the node, a
  subreaper too, adopts the rest, kills it and starts another launcher (`launcher`, which speaks `launcher_frames` with it);
- both die at once: the direct children die, the rest is swept by its mark (`sweep`) at the next start of the node, by
  the host, by `up` and by `down`.

What the node does with its tasks:

- `agent` does what the leader orders: `obedience` (never an order of a lower term or index than was obeyed),
  `conversation` (the session, through any manager, opened again and again), `reports` (states, until acknowledged).
  With no leader and no quorum the tasks run on;
- `task_life` is the life of one task: accepted, prepared, ready, started, running, ended. One nursery task each;
- `executor` says what a kind of task must be able to do; `process_executor` does it with processes, with `environment`
  and `ports` for what a program is given, `doorway` for how it reaches `kv`, and `task_directory` for what it leaves.
  Containers may follow;
- `output` reads what the launcher recorded (`launcher_output`).

This room never decides what should run where. Of the project it imports objects, the plain data of wire/calls, and
how storage replaces a file.
"""
