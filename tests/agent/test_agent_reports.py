"""What the leader has still to be told. Goal: no status is lost, none is told more often than needed, order is kept."""

from __future__ import annotations

from swarmtui.agent.reports import REPORTS_IN_FLIGHT_MAX, RESEND_S, STATUSES_PER_REPORT_MAX, Reports
from swarmtui.objects.records import TaskStatus
from swarmtui.objects.states import TaskState

READY = TaskStatus(TaskState.READY, 1.0)
RUNNING = TaskStatus(TaskState.RUNNING, 2.0)


def test_only_the_last_status_of_a_task_is_told() -> None:
    reports = Reports()
    reports.put("a", READY)
    reports.put("b", READY)
    reports.put("a", RUNNING)
    assert reports.next(0.0) == (1, (("a", RUNNING), ("b", READY)))
    assert reports.next(0.0) is None
    assert not reports.settled
    reports.acknowledge(1)
    assert reports.settled


def test_an_unacknowledged_report_is_told_again_unless_there_is_newer() -> None:
    reports = Reports()
    reports.put("a", READY)
    reports.put("b", READY)
    reports.next(10.0)
    reports.put("a", RUNNING)
    assert reports.next(10.1) == (2, (("a", RUNNING),))
    assert reports.expires_at == 10.0 + RESEND_S
    reports.expire(10.0 + RESEND_S)
    assert reports.next(13.0) == (3, (("b", READY),))


def test_a_new_session_is_told_everything() -> None:
    reports = Reports()
    reports.put("a", RUNNING)
    reports.put("b", READY)
    reports.acknowledge(reports.next(0.0)[0])  # type: ignore[index]
    reports.start_session()
    assert reports.next(0.0) == (2, (("a", RUNNING), ("b", READY)))


def test_an_acknowledgement_of_an_earlier_session_settles_nothing() -> None:
    reports = Reports()
    reports.put("a", RUNNING)
    assert reports.next(0.0) == (1, (("a", RUNNING),))
    reports.start_session()
    reports.acknowledge(1)
    assert not reports.settled
    assert reports.next(0.0) == (2, (("a", RUNNING),))


def test_forgotten_tasks_are_not_told() -> None:
    reports = Reports()
    reports.put("a", RUNNING)
    reports.next(0.0)
    reports.put("b", READY)
    reports.forget("a")
    reports.forget("b")
    reports.expire(100.0)
    assert reports.next(100.0) is None


def test_reports_and_flights_are_bounded() -> None:
    reports = Reports()
    for number in range(STATUSES_PER_REPORT_MAX + 1):
        reports.put(str(number), READY)
    first, second = reports.next(0.0), reports.next(0.0)
    assert first is not None
    assert second is not None
    assert (len(first[1]), len(second[1])) == (STATUSES_PER_REPORT_MAX, 1)
    for number in range(REPORTS_IN_FLIGHT_MAX - 2):
        reports.put("again", TaskStatus(TaskState.READY, float(number)))
        assert reports.next(0.0) is not None
    reports.put("again", RUNNING)
    assert reports.next(0.0) is None


def test_news_of_running_and_ended_tasks_is_urgent() -> None:
    reports = Reports()
    assert not reports.urgent
    reports.put("a", READY)
    assert not reports.urgent
    reports.put("b", RUNNING)
    assert reports.urgent
    reports.next(0.0)
    assert not reports.urgent
