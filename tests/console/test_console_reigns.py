"""Who led when: what an incident is measured by, however late it is heard of."""

from __future__ import annotations

from swarmtui.console.model.reigns import REIGNS_MAX, Reigns


def test_the_first_commit_of_a_term_is_when_writes_went_on() -> None:
    reigns = Reigns()
    reigns.led("n1", 7, 100.0)
    reigns.committed(148)
    reigns.led("n3", 8, 160.083)
    reigns.wrote(8, 160.09, 148)  # still what the old leader had committed
    assert reigns.since(160.0)[0].wrote_at is None
    reigns.wrote(8, 160.15, 149)
    reigns.wrote(8, 160.096)  # the event that says so is heard later and is more exact
    (reign,) = reigns.since(160.0)
    assert (reign.name, reign.led_at, reign.wrote_at) == ("n3", 160.083, 160.096)
    before = reigns.before(160.0)
    assert before is not None
    assert before.name == "n1"


def test_an_old_leader_that_still_says_so_changes_nothing() -> None:
    reigns = Reigns()
    reigns.led("n1", 7, 100.0)
    reigns.led("n3", 8, 160.0)
    reigns.led("n1", 7, 170.0)
    assert [reign.name for reign in reigns.since(150.0)] == ["n3"]


def test_it_forgets_what_is_long_past() -> None:
    reigns = Reigns()
    for term in range(1, 200):
        reigns.led("n1", term, float(term))
    assert len(reigns.since(0.0)) == REIGNS_MAX
    assert reigns.before(0.0) is None


def test_a_fault_heard_of_after_the_election_is_measured_all_the_same(stage) -> None:
    play = stage.play
    said, play.say_host = play.say_host, lambda: None  # the host's word comes late
    play.play("kill", "n1")
    play.step(1.0, writes=2)
    play.say_host = said
    play.say_host()
    play.step(0.1)
    assert stage.picture().banner.parts[:2] == (
        "n1 killed → n3 leads term 8 after 83 ms",
        "writes stopped for 96 ms",
    )
