"""Bugs of what lies between nodes and clients: each breaks a rule of `swarmtui/wire` or `swarmtui/client`."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

CONNECTION = ("tests/wire/test_wire_connection.py",)
FAULTS = ("tests/wire/test_wire_faults.py",)
LISTENER = ("tests/wire/test_wire_listener.py",)
FRAMES = ("tests/wire/test_wire_frames.py",)
CODEC = ("tests/wire/test_wire_codec.py",)
RPC = ("tests/wire/test_wire_rpc.py",)
CERTIFICATES = ("tests/wire/test_wire_certificates.py",)
WRITES = ("tests/client/test_client_writes.py",)
SESSIONS = ("tests/client/test_client_sessions.py",)
READS = ("tests/client/test_client_reads.py",)
STATUS = ("tests/client/test_client_status.py",)
STREAMS = ("tests/client/test_client_streams.py",)
DISCOVERY = ("tests/client/test_client_discovery.py",)

MUTATIONS = (
    Mutation(
        name="sender-believed-by-its-own-word",
        rule="a raft message whose source is not the certified node id is dropped",
        file="swarmtui/wire/admission.py",
        old='return "" if node_of(message.source) == peer.node_id else message.source',
        new='return ""',
        tests=CONNECTION,
    ),
    Mutation(
        name="worker-heard-on-every-channel",
        rule="the certificate's role decides the channels",
        file="swarmtui/wire/admission.py",
        old="        if channel not in self._readable:",
        new="        if False:",
        tests=CONNECTION,
    ),
    Mutation(
        name="worker-relays-for-others",
        rule="only managers relay another node's session",
        file="swarmtui/wire/admission.py",
        old="        if isinstance(message, Relay) and peer.role is not Peerage.MANAGER:",
        new="        if False:",
        tests=CONNECTION,
    ),
    Mutation(
        name="dialled-node-not-checked",
        rule="the other side must hold the certificate of the very node that is dialled",
        file="swarmtui/wire/certificates.py",
        old="    context.check_hostname = True",
        new="    context.check_hostname = False",
        tests=(*CERTIFICATES, *LISTENER),
    ),
    Mutation(
        name="certificate-not-asked-for",
        rule="both sides of every connection are certified",
        file="swarmtui/wire/certificates.py",
        old="    context.verify_mode = ssl.CERT_REQUIRED",
        new="    context.verify_mode = ssl.CERT_REQUIRED if protocol == ssl.PROTOCOL_TLS_CLIENT else ssl.CERT_OPTIONAL",
        tests=(*CERTIFICATES, *LISTENER),
    ),
    Mutation(
        name="older-tls-accepted",
        rule="TLS 1.3 only",
        file="swarmtui/wire/certificates.py",
        old="    context.minimum_version = ssl.TLSVersion.TLSv1_3",
        new="    context.minimum_version = ssl.TLSVersion.TLSv1_2",
        tests=(*CERTIFICATES, *LISTENER),
    ),
    Mutation(
        name="oversized-frame-taken-in",
        rule="a frame is refused by its head, before it is taken in",
        file="swarmtui/wire/frames.py",
        old="        if not 0 <= body_bytes <= self._body_bytes_max:",
        new="        if body_bytes < 0:",
        tests=FRAMES,
    ),
    Mutation(
        name="queue-without-bounds",
        rule="every queue has a named limit",
        file="swarmtui/wire/queues.py",
        old="        return not self.frames_waiting or (",
        new="        return True or (",
        tests=CONNECTION,
    ),
    Mutation(
        name="heartbeat-behind-a-flood",
        rule="what is urgent overtakes what waits",
        file="swarmtui/wire/connection.py",
        old="        for queue in self._queues:\n            while queue.frames and",
        new="        for queue in reversed(self._queues):\n            while queue.frames and",
        tests=CONNECTION,
    ),
    Mutation(
        name="strangers-hold-the-door",
        rule="when the row of handshakes is full, the one that has waited longest goes",
        file="swarmtui/wire/listener.py",
        old="            self._make_place()\n",
        new="            if len(self.waiting) >= self.limits.handshakes_max:\n                await trio.sleep_forever()\n",
        tests=LISTENER,
    ),
    Mutation(
        name="silence-taken-for-refusal",
        rule="only ECONNREFUSED is evidence of death; a dial that hangs is none",
        file="swarmtui/wire/dial.py",
        old='        raise DialFailed(f"{address}: no answer in {timeout_s:g} s")',
        new='        raise Refused(f"{address}: no answer in {timeout_s:g} s")',
        tests=LISTENER,
    ),
    Mutation(
        name="death-noticed-through-a-cut",
        rule="a cut is silence, never an end-of-file",
        file="swarmtui/wire/connection.py",
        old="                    await self._faults.wait_hears(self.identity.node_id)\n",
        new="",
        tests=FAULTS,
    ),
    Mutation(
        name="dial-through-a-cut",
        rule="a dial through a cut hangs",
        file="swarmtui/wire/dial.py",
        old="            if faults is not None:\n                await faults.wait_reaches(expected_node_id)\n",
        new="",
        tests=LISTENER,
    ),
    Mutation(
        name="healer-cut-off",
        rule="admin, observer and host connections are exempt from link faults",
        file="swarmtui/wire/connection.py",
        old="faults if identity.is_node and local.is_node else None",
        new="faults",
        tests=FAULTS,
    ),
    Mutation(
        name="fault-without-end",
        rule="each end enforces the time limit of a fault itself",
        file="swarmtui/wire/faults.py",
        old="        if fault is not None and fault.until is not None and self._wall() >= fault.until:",
        new="        if False:",
        tests=FAULTS,
    ),
    Mutation(
        name="numbers-converted-on-reading",
        rule="a text where a number belongs is refused, for the core believes what it is given",
        file="swarmtui/wire/codec.py",
        old="    read: Any = make_dict_structure_fn(cls, converter, **passed)",
        new="    read: Any = make_dict_structure_fn(cls, __import__('cattrs').Converter(), **passed)",
        tests=CODEC,
    ),
    Mutation(
        name="observer-may-write",
        rule="an observer cannot change anything",
        file="swarmtui/wire/calls.py",
        old="    Peerage.OBSERVER: (*_READ, GetHost),",
        new="    Peerage.OBSERVER: (*_READ, GetHost, Propose, PowerNode),",
        tests=(*WRITES, "tests/client/test_client_orders.py"),
    ),
    Mutation(
        name="table-of-calls-not-looked-at",
        rule="which certificate may make which call is checked before the call is looked at",
        file="swarmtui/wire/responder.py",
        old="        if type(request.call) not in self._allowed:",
        new="        if False:",
        tests=RPC,
    ),
    Mutation(
        name="slow-reader-fills-the-memory",
        rule="a stream sends no more than there is room for at its reader",
        file="swarmtui/wire/responder.py",
        old="        while self.room <= 0:\n            await self.given.park()\n",
        new="",
        tests=RPC,
    ),
    Mutation(
        name="lost-write-sent-under-another-serial",
        rule="what was sent and not answered is sent again as the same request, and applied once",
        file="swarmtui/client/delivery.py",
        old="            return outcome if outcome.rule == FAULT_RULE else None\n",
        new="            write.number()\n            return outcome if outcome.rule == FAULT_RULE else None\n",
        tests=SESSIONS,
    ),
    Mutation(
        name="doubtful-write-called-refused",
        rule="refused is said only if no copy of the write was applied",
        file="swarmtui/client/delivery.py",
        old="            return outcome if write.doubt is None and outcome.rule != OVERWRITTEN_RULE else None\n",
        new="            return outcome if outcome.rule != OVERWRITTEN_RULE else None\n",
        tests=SESSIONS,
    ),
    Mutation(
        name="doubtful-write-in-a-new-session",
        rule="a request that may have been applied is never begun anew",
        file="swarmtui/client/delivery.py",
        old="        if write.doubt is not None:\n            return attrs.evolve",
        new="        if False:\n            return attrs.evolve",
        tests=SESSIONS,
    ),
    Mutation(
        name="unanswered-serial-called-answered",
        rule="the lowest serial is the lowest that is not answered",
        file="swarmtui/client/sessions.py",
        old="        while answered and self.lowest in answered:\n",
        new="        while answered and (self.lowest in answered or self.lowest + 1 in answered):\n",
        tests=SESSIONS,
    ),
    Mutation(
        name="silent-leader-waited-for",
        rule="a leader that falls silent is given up when another one leads",
        file="swarmtui/client/delivery.py",
        old="                if self._cluster.term_seen > attempt.term:\n",
        new="                if False:\n",
        tests=SESSIONS,
    ),
    Mutation(
        name="minority-believed",
        rule="a manager that refuses for want of a quorum may stand apart: the others are asked as well",
        file="swarmtui/client/writes.py",
        old="one.fate is Fate.REFUSED and one.rule in ELSEWHERE_RULES",
        new="False",
        tests=WRITES,
    ),
    Mutation(
        name="silent-leader-trusted",
        rule="a leader that said nothing for a while is asked whether it leads before it is given a write",
        file="swarmtui/client/writes.py",
        old="        if link.silent_s < TRUST_SILENT_S and",
        new="        if",
        tests=WRITES,
    ),
    Mutation(
        name="stale-read-passed-for-fresh",
        rule="a linearizable read is confirmed or refused",
        file="swarmtui/client/cluster.py",
        old="        shown = [records for records in found if not records.refused]",
        new="        shown = list(found)",
        tests=READS,
    ),
    Mutation(
        name="old-leader-believed",
        rule="of two that say that they lead, the later term is believed",
        file="swarmtui/client/status.py",
        old="key=lambda r: r.term, default=None)\n    best",
        new="key=lambda r: -r.term, default=None)\n    best",
        tests=STATUS,
    ),
    Mutation(
        name="event-told-twice",
        rule="events that were told before a connection was lost are not told again",
        file="swarmtui/client/events.py",
        old="    return (event.time, event.seq) > (last.time, last.seq)",
        new="    return True",
        tests=STREAMS,
    ),
    Mutation(
        name="planted-cluster-directory-used",
        rule="a `.swarmtui/` that others may write to is not ours",
        file="swarmtui/client/discovery.py",
        old="not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)",
        new="True",
        tests=DISCOVERY,
    ),
)
