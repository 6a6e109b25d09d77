"""Bugs of what every node runs: each breaks a rule of `swarmtui/agent`, most of all that no task outlives its node."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

AGENT = ("tests/agent/test_agent_agent.py",)
LAUNCHER = ("tests/agent/test_agent_launcher.py",)
EXECUTOR = ("tests/agent/test_agent_process_executor.py",)
ENVIRONMENT = ("tests/agent/test_agent_environment.py",)
OUTPUT = ("tests/agent/test_agent_output.py",)
REPORTS = ("tests/agent/test_agent_reports.py", *AGENT)

MUTATIONS = (
    Mutation(
        name="stale-assignment-obeyed",
        rule="an order of a lower term or index than was obeyed is ignored",
        file="swarmtui/agent/obedience.py",
        old="return (term, index) < (self.term, self.index)",
        new="return False",
        tests=AGENT,
    ),
    Mutation(
        name="obedience-forgotten-over-a-restart",
        rule="the highest term obeyed is on disk before its order is obeyed",
        file="swarmtui/agent/obedience.py",
        old="        if term > self.term:\n            await self._put(lambda: (term, index))\n",
        new="",
        tests=AGENT,
    ),
    Mutation(
        name="order-of-another-session-obeyed",
        rule="a late message of an earlier session is recognised by the session's name",
        file="swarmtui/agent/conversation.py",
        old="            if message.session != name:  # a late word of an earlier session\n                continue\n",
        new="",
        tests=AGENT,
    ),
    Mutation(
        name="incremental-order-taken-for-complete",
        rule="only a complete order stops tasks by their absence",
        file="swarmtui/agent/agent.py",
        old="        if order.complete:\n            named",
        new="        if True:\n            named",
        tests=AGENT,
    ),
    Mutation(
        name="task-started-twice-over-a-restart",
        rule="a task that ran here before the node was restarted has failed and is not started again",
        file="swarmtui/agent/agent.py",
        old="        elif task.status.state >= TaskState.STARTING:",
        new="        elif False:",
        tests=AGENT,
    ),
    Mutation(
        name="new-session-told-only-changes",
        rule="everything is reported again on a new session",
        file="swarmtui/agent/reports.py",
        old="        self._untold = dict.fromkeys(self.statuses)\n",
        new="",
        tests=REPORTS,
    ),
    Mutation(
        name="report-sent-once",
        rule="a report is told again until it is acknowledged",
        file="swarmtui/agent/reports.py",
        old="                if self.statuses.get(task_id) is status:",
        new="                if False:",
        tests=REPORTS,
    ),
    Mutation(
        name="held-task-started",
        rule="desired READY prepares and holds",
        file="swarmtui/agent/task_life.py",
        old="lambda: self._desired >= TaskState.RUNNING)",
        new="lambda: self._desired >= TaskState.READY)",
        tests=AGENT,
    ),
    Mutation(
        name="silence-after-a-gap-held-against-the-leader",
        rule="after a gap silence counts from now",
        file="swarmtui/agent/conversation.py",
        old='        """The leader\'s silence counts from now."""\n        self._heard_at = trio.current_time()',
        new='        """The leader\'s silence counts from now."""\n        self._heard_at = self._heard_at or trio.current_time()',
        tests=AGENT,
    ),
    Mutation(
        name="orphans-not-adopted",
        rule="the launcher is a child subreaper: nobody leaves it by losing the parent",
        file="swarmtui/agent/launcher_process.py",
        old="    launcher_spawn.become_subreaper()\n",
        new="",
        tests=LAUNCHER,
    ),
    Mutation(
        name="launcher-ends-without-killing",
        rule="at end-of-file the launcher kills every descendant",
        file="swarmtui/agent/launcher_process.py",
        old="launcher_trees.kill_all(self._pid, self._marks())",
        new="pass",
        tests=LAUNCHER,
    ),
    Mutation(
        name="no-death-signal",
        rule="a task's first process dies with its launcher",
        file="swarmtui/agent/launcher_spawn.py",
        old="            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)\n",
        new="",
        tests=LAUNCHER,
    ),
    Mutation(
        name="stopped-launcher-sleeps-through-the-death-of-its-node",
        rule="a launcher that was stopped with its node wakes when that dies",
        file="swarmtui/agent/launcher_process.py",
        old="    launcher_spawn.be_woken_by_death_of_parent()\n",
        new="",
        tests=LAUNCHER,
    ),
    Mutation(
        name="ended-task-leaves-its-children",
        rule="the end of a task is told when nothing of it is left",
        file="swarmtui/agent/launcher_process.py",
        old="            if now < running.ended_at + LINGER_S and not self._is_proven_empty(running, table):",
        new="            if False:",
        tests=LAUNCHER,
    ),
    Mutation(
        name="end-of-a-task-takes-the-neighbours",
        rule="a task's end leaves other tasks' processes alone",
        file="swarmtui/agent/launcher_trees.py",
        old="            if mark == root.mark or (not mark and no_other and top.start >= root.start):",
        new="            if True:",
        tests=LAUNCHER,
    ),
    Mutation(
        name="mark-overridden-by-the-service",
        rule="nothing overrides the mark by which a task's processes are found",
        file="swarmtui/agent/environment.py",
        old="    env[MARK] = mark_for(around.manifest.id, around.node.id, task.id)\n",
        new="    env.setdefault(MARK, mark_for(around.manifest.id, around.node.id, task.id))\n",
        tests=ENVIRONMENT,
    ),
    Mutation(
        name="stop-without-a-kill",
        rule="stop is the stop signal, the grace period, then SIGKILL to the whole tree",
        file="swarmtui/agent/process_executor.py",
        old="        await self._try(TaskAction.KILL)\n",
        new="        await self._try(TaskAction.STOP)\n",
        tests=EXECUTOR,
    ),
    Mutation(
        name="followed-output-lost-at-a-rotation",
        rule="following loses no line when files are rotated",
        file="swarmtui/agent/output.py",
        old="            if lines or place == 0:",
        new="            if lines or place is not None:",
        tests=OUTPUT,
    ),
)
