"""Bugs of the room that wires the others: what is acknowledged, what is sent again, who may speak to whom."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

CONSENSUS = (
    "tests/node/test_node_consensus.py",
    "tests/node/test_node_proposals.py",
    "tests/node/test_node_turns.py",
)
ROUNDS = ("tests/node/test_node_rounds.py",)
OVERWRITTEN = ("tests/node/test_node_overwritten.py",)
SESSIONS = ("tests/node/test_node_sessions.py",)
MEMBERS = ("tests/node/test_node_members.py",)
PEERS = ("tests/node/test_node_peers.py",)
ENROLMENT = ("tests/host/test_host_enrolment.py",)
WRITES = ("tests/node/test_node_writes.py",)
DISK = ("tests/node/test_node_disk.py",)

MUTATIONS = (
    Mutation(
        name="attests-after-a-fault",
        rule="a manager that must not go on vouches for nothing",
        file="swarmtui/node/consensus.py",
        old="        if self._wiring is None or self._fault is not None:\n            return None\n",
        new="",
        tests=CONSENSUS,
    ),
    Mutation(
        name="refused-after-it-was-appended",
        rule="a write that was appended and is not known to be committed is unknown, never refused",
        file="swarmtui/node/proposals.py",
        old='Outcome(Fate.UNKNOWN, rule="timeout", reason=reason)',
        new='Outcome(Fate.REFUSED, rule="timeout", reason=reason)',
        tests=CONSENSUS,
    ),
    Mutation(
        name="acknowledged-when-appended",
        rule="a write is acknowledged when it is applied, not when it is appended",
        file="swarmtui/node/proposals.py",
        old="            self._waiting[index] = (effect.term, entry.shares)\n",
        new="            self._settle_each(entry.shares, Outcome(Fate.DONE))\n",
        tests=CONSENSUS,
    ),
    Mutation(
        name="refused-in-whose-place-was-appended-again",
        rule="a write that was appended is refused only when another entry was applied at its index",
        file="swarmtui/node/proposals.py",
        old="                self._displaced.setdefault(index, []).append(before)\n",
        new="                self._settle_each(before[1], Outcome(Fate.REFUSED, rule=OVERWRITTEN))\n",
        tests=OVERWRITTEN,
    ),
    Mutation(
        name="only-transactions-stand-in-a-writes-place",
        rule="a write is settled when its index is applied, whatever stands there",
        file="swarmtui/node/consensus.py",
        old="            self.proposals.applied(index, entry.term, results)",
        new="            if results:\n                self.proposals.applied(index, entry.term, results)",
        tests=OVERWRITTEN,
    ),
    Mutation(
        name="goes-on-after-half-a-turn",
        rule="a turn that failed half way is the node's last, whoever began it",
        file="swarmtui/node/consensus.py",
        old="            self._fault = error\n            raise\n        finally",
        new="            raise\n        finally",
        tests=CONSENSUS,
    ),
    Mutation(
        name="violation-told-to-the-caller",
        rule="a violation ends the node, whoever's question brought it to light",
        file="swarmtui/node/consensus.py",
        old="""        except Exception as error:
            self._fault = error

    def _hand_over""",
        new="""        finally:
            pass

    def _hand_over""",
        tests=CONSENSUS,
    ),
    Mutation(
        name="no-round-waited-for",
        rule="what is proposed while a round is on its way shares the next",
        file="swarmtui/node/consensus.py",
        old=" and not self._is_writing and not self._has_round_on_its_way:",
        new=" and not self._is_writing:",
        tests=ROUNDS,
    ),
    Mutation(
        name="round-waited-for-to-its-end",
        rule="a round that takes long holds nobody up",
        file="swarmtui/node/consensus.py",
        old="GATHER_S = 0.005",
        new="GATHER_S = 60.0",
        tests=ROUNDS,
    ),
    Mutation(
        name="few-hold-one-another-up",
        rule="as much as is on its way follows at once",
        file="swarmtui/node/proposals.py",
        old="        return pending >= min(ROUND_ENOUGH, self._count - pending)",
        new="        return pending >= ROUND_ENOUGH",
        tests=ROUNDS,
    ),
    Mutation(
        name="great-batches-take-turns",
        rule="some dozens follow at once, however many are on their way",
        file="swarmtui/node/proposals.py",
        old="        return pending >= min(ROUND_ENOUGH, self._count - pending)",
        new="        return pending >= self._count - pending",
        tests=ROUNDS,
    ),
    Mutation(
        name="late-writes-taken-for-a-sleep",
        rule="writes that come long after the last round are no sign that the machine slept",
        file="swarmtui/node/consensus.py",
        old=" and not self._is_writing and self._has_round_on_its_way:",
        new=" and not self._is_writing:",
        tests=ROUNDS,
    ),
    Mutation(
        name="turn-within-a-turn",
        rule="the effects of one turn are carried out before those of the next",
        file="swarmtui/node/consensus.py",
        old="        if self._is_turning:\n",
        new="        if False:\n",
        tests=CONSENSUS,
    ),
    Mutation(
        name="no-heartbeat-before-the-log-is-applied",
        rule="ticks do not wait for the end of a long log",
        file="swarmtui/node/consensus.py",
        old="                    self._tick()  # heartbeats",
        new="                    # heartbeats",
        tests=CONSENSUS,
    ),
    Mutation(
        name="two-writes-of-a-key-in-one-entry",
        rule="no two transactions of one entry write the same object",
        file="swarmtui/node/proposals.py",
        old="            if not entry.batcher.add(len(transaction), written):\n",
        new="            if not entry.batcher.add(len(transaction), ()):\n",
        tests=CONSENSUS,
    ),
    Mutation(
        name="proposed-in-whatever-term",
        rule="a proposal is appended in exactly the term it names, or refused",
        file="swarmtui/node/proposals.py",
        old="            self._feed(Proposed(self._ticket, term, payloads, EntryKind.TRANSACTIONS))\n",
        new="            self._feed(Proposed(self._ticket, 2, payloads, EntryKind.TRANSACTIONS))\n",
        tests=CONSENSUS,
    ),
    Mutation(
        name="leading-before-caught-up",
        rule="a leadership opens when the log is applied up to the leader's own first entry",
        file="swarmtui/node/leadership.py",
        old="            if wanted is None or self._consensus.store.index < wanted.first_index:\n",
        new="            if wanted is None:\n",
        tests=("tests/node/test_node_leadership.py",),
    ),
    Mutation(
        name="lost-write-sent-again",
        rule="what left and was not answered is never sent again",
        file="swarmtui/node/writes.py",
        old="            return (unknown,) * call.count\n",
        new="            return str(unknown.reason)\n",
        tests=WRITES,
    ),
    Mutation(
        name="written-and-not-told-sent-again",
        rule="a write whose answer no frame holds may have been done",
        file="swarmtui/wire/rpc.py",
        old="FAILED_RULES = frozenset({INTERNAL, TOO_LARGE})",
        new="FAILED_RULES = frozenset({INTERNAL})",
        tests=(*WRITES, "tests/client/test_client_writes.py"),
    ),
    Mutation(
        name="read-joins-a-question-that-has-left",
        rule="a read is confirmed by a question that left after it was asked for",
        file="swarmtui/node/consensus.py",
        old="                self._carry_out(self._drain(), wiring)\n",
        new="                self._carry_out(self.core.drain(), wiring)\n",
        tests=CONSENSUS,
    ),
    Mutation(
        name="forwarded-for-ever",
        rule="a request is forwarded once",
        file="swarmtui/node/writes.py",
        old="        if call.forwarded or not leader",
        new="        if not leader",
        tests=WRITES,
    ),
    Mutation(
        name="relay-of-a-deposed-leader",
        rule="a manager that relays a session closes it when its leader changes",
        file="swarmtui/node/sessions.py",
        old="            self._leader = leader_id\n            self._end_relays(",
        new="            self._leader = leader_id\n            _ = lambda _: (",
        tests=SESSIONS,
    ),
    Mutation(
        name="agent-gives-orders",
        rule="an agent says only what is an agent's to say",
        file="swarmtui/node/sessions.py",
        old="            return  # not an agent's to say\n",
        new="            pass\n",
        tests=SESSIONS,
    ),
    Mutation(
        name="registered-under-another-name",
        rule="a node registers only itself",
        file="swarmtui/node/sessions.py",
        old="        if isinstance(message, Register) and message.node_id != node_id:\n",
        new="        if False and isinstance(message, Register) and message.node_id != node_id:\n",
        tests=SESSIONS,
    ),
    Mutation(
        name="sessions-outlive-the-leadership",
        rule="all sessions end with the leadership",
        file="swarmtui/node/sessions.py",
        old="            for key in port.sessions:\n",
        new="            for key in ():\n",
        tests=SESSIONS,
    ),
    Mutation(
        name="removed-members-in-the-status-by-nodes",
        rule="a node that was removed as one member and is back as another is a node like any other",
        file="swarmtui/node/members.py",
        old="        removed=(),  # members for ever, but their nodes may be back\n",
        new="        removed=tuple(node_of(id) for id in configuration.removed),\n",
        tests=MEMBERS,
    ),
    Mutation(
        name="who-joins-counts-itself",
        rule="a manager that joins is not in its introduction, so that it neither votes nor stands before the log says so",
        file="swarmtui/node/members.py",
        old=" for node in manifest.managers if node.id != own.id)",
        new=" for node in manifest.managers)",
        tests=MEMBERS,
    ),
    Mutation(
        name="an-older-leader-names-the-managers",
        rule="the managers are those that the newest order names",
        file="swarmtui/node/acquaintances.py",
        old="        if not order.managers or at < self._told_at:\n",
        new="        if not order.managers:\n",
        tests=MEMBERS,
    ),
    Mutation(
        name="dialled-at-the-old-address",
        rule="a node that moved is found where the host says until the log has its new address",
        file="swarmtui/node/acquaintances.py",
        old="        members = {**logged, **{id: address for id, address in self._handed.items() if id in logged}}\n",
        new="        members = dict(logged)\n",
        tests=MEMBERS,
    ),
    Mutation(
        name="dialled-though-it-left",
        rule="who is a member no more is dialled no more",
        file="swarmtui/node/peers.py",
        old="            if peer.node_id not in self._wanted:\n",
        new="            if False:\n",
        tests=PEERS,
    ),
    Mutation(
        name="a-log-begun-twice",
        rule="a log that node.json names is never made again: what is missing was lost, and a vote with it",
        file="swarmtui/host/enrolment.py",
        old="        if role is NodeRole.MANAGER and not _is_already(own, changed):\n",
        new="        if role is NodeRole.MANAGER:\n",
        tests=ENROLMENT,
    ),
    Mutation(
        name="an-old-record-brings-a-role-back",
        rule="a record that is older than what the host knows changes no role",
        file="swarmtui/host/roles.py",
        old="    return changed and record.version > entry.role_version\n",
        new="    return changed\n",
        tests=ENROLMENT,
    ),
    Mutation(
        name="slow-disk-waited-for-at-every-write",
        rule="a slow disk stops the loop for a tenth of the time at most",
        file="swarmtui/node/disk.py",
        old="        if now < self._rests_until:\n",
        new="        if False:\n",
        tests=DISK,
    ),
    Mutation(
        name="failed-write-reported-as-written",
        rule="after a failure of the disk nothing is durable any more",
        file="swarmtui/node/disk.py",
        old="            result.unwrap()\n        except Exception as error:  # of the disk: `run`",
        new="            pass\n        except Exception as error:  # of the disk: `run`",
        tests=DISK,
    ),
    Mutation(
        name="written-before-what-was-wanted-before-it",
        rule="the log is changed in the order in which the core wants it",
        file="swarmtui/node/disk.py",
        old="        while self._queue and isinstance(self._queue[0], Write):\n            writes.append(self._queue.popleft())",
        new="        while any(isinstance(each, Write) for each in self._queue):\n"
        "            self._queue.rotate(-next(i for i, each in enumerate(self._queue) if isinstance(each, Write)))\n"
        "            writes.append(self._queue.popleft())",
        tests=DISK,
    ),
    Mutation(
        name="core-not-told-what-was-written-at-once",
        rule="what is durable is answered for in the same turn",
        file="swarmtui/node/consensus.py",
        old="            self.core.feed(written, trio.current_time())\n",
        new="",
        tests=CONSENSUS,
    ),
)
