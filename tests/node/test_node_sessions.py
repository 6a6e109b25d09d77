"""Agents' sessions: through any manager to the leader, ended with the leader they belong to, and never under a false name."""

import trio

from swarmtui.manager.leadership import SessionBroken, SessionKey
from swarmtui.node.sessions import Sessions
from swarmtui.objects.dispatch import Assignment, Beat, Register, Registered, Relay, ReportReceived, SessionEnded
from swarmtui.objects.records import NodeDescription

HERE, LEADER, WORKER = "here", "leader", "worker"


class Wired:
    """One manager's sessions, and everything that it sends."""

    def __init__(self, *, connected: bool = True) -> None:
        self.sent: list[tuple[str, object]] = []
        self.to_agent: list[object] = []
        self.connected = connected
        self.sessions = Sessions(HERE, self._send, self.to_agent.append, self._probe)

    def _send(self, peer: str, message: object) -> bool:
        if self.connected:
            self.sent.append((peer, message))
        return self.connected

    async def _probe(self, node_id: str, address: str) -> bool:
        return False


def register(node_id: str, session: str = "s") -> Register:
    return Register(node_id, session, NodeDescription(), "127.0.0.1:1")


def received(port) -> list:
    got = []
    while True:
        try:
            got.append(port.incoming.receive_nowait())
        except trio.WouldBlock:
            return got


async def test_a_manager_that_leads_hands_its_own_agent_to_the_dispatcher():
    wired = Wired()
    port = wired.sessions.lead()
    wired.sessions.from_agent(HERE, register(HERE))
    assert received(port) == [(SessionKey(HERE, "s", HERE), register(HERE))]
    port.send(SessionKey(HERE, "s", HERE), Registered("s", 1, 1.0, 3.0))
    assert wired.to_agent == [Registered("s", 1, 1.0, 3.0)]


async def test_a_manager_that_does_not_lead_relays_both_ways():
    wired = Wired()
    wired.sessions.leader_changed(LEADER)
    wired.sessions.from_agent(WORKER, register(WORKER))
    assert wired.sent == [(LEADER, Relay(WORKER, register(WORKER)))]
    answer = Registered("s", 1, 1.0, 3.0)
    wired.sessions.from_manager(LEADER, Relay(WORKER, answer))
    assert wired.sent[-1] == (WORKER, answer)


async def test_the_leader_answers_over_the_manager_that_relays():
    wired = Wired()
    port = wired.sessions.lead()
    wired.sessions.from_manager("n2", Relay(WORKER, register(WORKER)))
    ((key, _),) = received(port)
    assert key == SessionKey(WORKER, "s", "n2")
    port.send(key, ReportReceived("s", 1))
    assert wired.sent == [("n2", Relay(WORKER, ReportReceived("s", 1)))]


async def test_a_node_may_register_only_itself():
    wired = Wired()
    port = wired.sessions.lead()
    wired.sessions.from_agent(WORKER, register(HERE))
    assert received(port) == []
    assert isinstance(wired.sent[0][1], SessionEnded)


async def test_relayed_sessions_end_when_the_leader_changes():
    wired = Wired()
    wired.sessions.leader_changed(LEADER)
    wired.sessions.from_agent(HERE, register(HERE))
    wired.sessions.leader_changed("another")
    (ended,) = wired.to_agent
    assert isinstance(ended, SessionEnded)
    assert ended.leader_id == "another"


async def test_what_a_deposed_leader_still_sends_is_not_passed_on():
    wired = Wired()
    wired.sessions.leader_changed(LEADER)
    wired.sessions.from_agent(HERE, register(HERE))
    wired.sessions.leader_changed("another")
    wired.to_agent.clear()
    wired.sessions.from_manager(LEADER, Relay(HERE, Assignment("s", 1, 1, True, ())))
    assert wired.to_agent == []


async def test_an_agent_cannot_speak_as_the_dispatcher():
    wired = Wired()
    wired.sessions.leader_changed(LEADER)
    wired.sessions.from_agent(WORKER, Assignment("s", 9, 9, True, ()))
    assert wired.sent == []


async def test_all_sessions_end_with_the_leadership():
    wired = Wired()
    wired.sessions.lead()
    wired.sessions.from_agent(HERE, register(HERE))
    wired.sessions.from_manager("n2", Relay(WORKER, register(WORKER, "w")))
    wired.sessions.resign()
    assert [type(message) for message in wired.to_agent] == [SessionEnded]
    ((peer, relay),) = wired.sent
    assert peer == "n2"
    assert isinstance(relay.message, SessionEnded)


async def test_a_lost_connection_breaks_the_sessions_that_it_carried_and_no_other():
    wired = Wired()
    port = wired.sessions.lead()
    wired.sessions.from_agent(WORKER, register(WORKER, "direct"))
    wired.sessions.from_manager("n2", Relay("far", register("far", "relayed")))
    wired.sessions.from_agent(HERE, register(HERE, "own"))
    received(port)
    wired.sessions.disconnected("n2")
    assert received(port) == [(SessionKey("far", "relayed", "n2"), SessionBroken("its connection ended"))]
    wired.sessions.disconnected(WORKER)
    assert [key.session for key, _ in received(port)] == ["direct"]


async def test_without_a_leader_the_agent_is_told_at_once():
    wired = Wired()
    wired.sessions.from_agent(HERE, Beat("s"))
    (ended,) = wired.to_agent
    assert isinstance(ended, SessionEnded)


async def test_a_relay_that_cannot_leave_ends_the_session():
    wired = Wired(connected=False)
    wired.sessions.leader_changed(LEADER)
    wired.sessions.from_agent(HERE, register(HERE))
    assert isinstance(wired.to_agent[0], SessionEnded)
