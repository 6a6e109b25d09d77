"""Services through the verbs of docker, against a cluster in one process."""

from __future__ import annotations

import attrs
import pytest
import trio

from swarmtui.commands.errors import CommandFailed, FailedWith, SomeFailed, TryLater, WrongUsage, exit_code_of
from swarmtui.commands.output import Failure, Inspection, Line, Listing, Note, Progress
from swarmtui.objects.operations import Update
from swarmtui.objects.records import Cluster, Service
from swarmtui.objects.specs import GlobalMode, PortConfig, ReplicatedMode
from swarmtui.objects.states import RestartCondition, TaskState
from swarmtui.wire.host_calls import PublishedPort
from tests.commands.fake_answers import FakeNoQuorum, FakeRefused
from tests.commands.fakes import FakeCluster


def the_service(cluster: FakeCluster, name: str = "web") -> Service:
    service = cluster.store.by_name(Service, name)
    assert service is not None
    return service


async def test_create_builds_the_spec_that_its_options_name(order, cluster):
    out = await order(
        "service create -d --name web --replicas 3 -e A=1 -e A=2 -l tier=front --container-label x=y "
        "--constraint 'node.labels.zone != c' --placement-pref spread=node.labels.zone -p 8080:auto "
        "--restart-condition on-failure --restart-delay 2s --restart-max-attempts 4 --restart-window 1m "
        "--reserve-memory 64MB --limit-cpu 0.5 --replicas-max-per-node 2 --stop-signal INT --stop-grace-period 3s "
        "-w /tmp -- python app.py --port {{.Task.Port}}"
    )
    service = the_service(cluster)
    spec = service.spec
    template = spec.task_template
    assert out.items == [Line(service.id, "ID")]
    assert spec.mode == ReplicatedMode(3)
    assert spec.labels == {"tier": "front"}
    assert template.container_spec.args == ("python", "app.py", "--port", "{{.Task.Port}}")
    assert template.container_spec.env == ("A=2",)
    assert template.container_spec.labels == {"x": "y"}
    assert template.container_spec.dir == "/tmp"
    assert template.container_spec.stop_signal == "SIGINT"
    assert template.container_spec.stop_grace_period_ns == 3_000_000_000
    assert template.container_spec.image.startswith("python:")
    assert template.placement.constraints == ("node.labels.zone != c",)
    assert template.placement.preferences == ("node.labels.zone",)
    assert template.placement.max_replicas == 2
    assert template.restart_policy.condition is RestartCondition.ON_FAILURE
    assert template.restart_policy.delay_ns == 2_000_000_000
    assert template.restart_policy.max_attempts == 4
    assert template.resources.reservations.memory_bytes == 64 * 1024**2
    assert template.resources.limits.nano_cpus == 500_000_000
    assert spec.endpoint_spec.ports == (PortConfig(8080, 0),)


async def test_a_command_whose_first_word_is_empty_is_refused(order, cluster):
    await order("service create -d --name web -- sleep 100")
    for words in ("create -d --name other -- ''", "create -d --name other -- '' x", "update -d web -- ''"):
        with pytest.raises(WrongUsage, match=r"^the command must name a program; its first word is empty$"):
            await order(f"service {words}")
    assert the_service(cluster).spec.task_template.container_spec.args == ("sleep", "100")


async def test_create_waits_with_progress_until_the_service_has_held(order, cluster, autojump_clock):
    cluster.play = FakeCluster.run_services
    out = await order("service create --name web --replicas 2 -- sleep 100")
    progress = [item for item in out.items if isinstance(item, Progress)]
    assert progress[-1].done
    assert (progress[-1].running, progress[-1].wanted) == (2, 2)
    assert [slot.name for slot in progress[-1].slots] == ["1", "2"]


async def test_create_quietly_shows_the_id_alone(order, cluster, autojump_clock):
    cluster.play = FakeCluster.run_services
    out = await order("service create -q --name web -- sleep 100")
    assert [type(item) for item in out.items] == [Line]


async def test_create_says_that_its_published_port_is_taken(order, cluster, autojump_clock):
    cluster.play = FakeCluster.run_services
    taken = "Address already in use; tried again every second"
    cluster.host.published = (PublishedPort(8080, "web", trouble=taken), PublishedPort(8081, "other", trouble=taken))
    out = await order("service create -q --name web -p 8080:auto -- sleep 100")
    assert [item.text for item in out.items if isinstance(item, Note)] == [
        "port 8080 of web does not listen: Address already in use; tried again every second"
    ]


async def test_create_of_what_fails_for_good_waits_no_longer_and_says_why(order, cluster, autojump_clock):
    cluster.play = lambda cluster: cluster.run_services_once(TaskState.FAILED, "task: non-zero exit (3): no such table")
    with trio.fail_after(20), pytest.raises(CommandFailed) as failed:
        await order("service create --name once --restart-condition none -- migrate")
    assert str(failed.value) == (
        "once: 1 of 1 tasks failed and are not restarted: task: non-zero exit (3): no such table; "
        "see swarmtui service ps once"
    )


async def test_create_of_what_has_done_its_work_is_done(order, cluster, autojump_clock):
    cluster.play = lambda cluster: cluster.run_services_once(TaskState.COMPLETE)
    with trio.fail_after(20):
        out = await order("service create --name once --restart-condition on-failure -- migrate")
    progress = [item for item in out.items if isinstance(item, Progress)]
    assert progress[-1].done
    assert progress[-1].text == "1 of 1 tasks ended and are not restarted"


async def test_variables_come_from_files_and_from_whoever_orders_as_in_docker(order, cluster, tmp_path):
    (tmp_path / "some.env").write_text("# theirs\nCOLOR=green\nexport SIZE='2 m'\n")
    order.environment["FOO"] = "from the shell"
    await order("service create -d --name web --env-file some.env -e FOO -e ABSENT -e COLOR=blue -- sleep 100")
    env = the_service(cluster).spec.task_template.container_spec.env
    assert env == ("COLOR=blue", "SIZE=2 m", "FOO=from the shell")
    order.environment["FOO"] = "later"
    await order("service update -d --env-add FOO --env-add ABSENT web")
    assert the_service(cluster).spec.task_template.container_spec.env[-1] == "FOO=later"
    with pytest.raises(CommandFailed, match=r"^--env-file none.env cannot be read: No such file or directory$"):
        await order("service create -d --name b --env-file none.env -- sleep 100")
    (tmp_path / "some.env").write_text("A={{.Nosuch}}")
    with pytest.raises(WrongUsage, match=r"^--env-file some.env: template {{.Nosuch}} is not known"):
        await order("service create -d --name b --env-file some.env -- sleep 100")


async def test_create_without_a_command_says_where_it_goes(order):
    with pytest.raises(WrongUsage, match="write it after --"):
        await order("service create --name web")


async def test_create_refuses_an_unknown_template(order):
    with pytest.raises(WrongUsage, match=r"did you mean \{\{.Task.Slot\}\}"):
        await order("service create --name web -- echo {{.Task.Slto}}")


async def test_create_of_a_name_that_exists_is_refused(order):
    await order("service create -d --name web -- sleep 1")
    with pytest.raises(FakeRefused, match="WEB already exists"):
        await order("service create -d --name WEB -- sleep 1")


async def test_create_of_a_global_service(order, cluster):
    await order("service create -d --name agent --mode global -- sleep 1")
    assert the_service(cluster, "agent").spec.mode == GlobalMode()
    with pytest.raises(WrongUsage, match="--replicas is for replicated mode"):
        await order("service create -d --name b --mode global --replicas 2 -- sleep 1")


async def test_create_of_a_nameless_service_gives_it_a_name(order, cluster):
    await order("service create -d -- sleep 1")
    assert cluster.store.all(Service)[0].name.startswith("service-")


async def test_ls_shows_dockers_columns(order, cluster):
    cluster.play = FakeCluster.run_services
    await order("service create -d --name web --replicas 3 -p 8080:auto --replicas-max-per-node 2 -- python app.py")
    (listing,) = (await order("service ls")).items
    assert isinstance(listing, Listing)
    service = the_service(cluster)
    assert [column.heading for column in listing.columns] == ["ID", "NAME", "MODE", "REPLICAS", "IMAGE", "PORTS"]
    assert listing.rows[0].values == {
        "ID": service.id[:12],
        "Name": "web",
        "Mode": "replicated",
        "Replicas": "3/3 (max 2 per node)",
        "Image": service.spec.task_template.container_spec.image,
        "Ports": "*:8080->auto/tcp",
    }


async def test_ls_filters_and_refuses_unknown_ones(order):
    await order("service create -d --name web -l tier=front -- sleep 1")
    await order("service create -d --name api --mode global -- sleep 1")
    for words, names in (
        ("name=we", ["web"]),
        ("label=tier", ["web"]),
        ("label=tier=back", []),
        ("mode=global", ["api"]),
        ("name=web --filter name=api", ["api", "web"]),
    ):
        (listing,) = (await order(f"service ls --filter {words}")).items
        assert [row.values["Name"] for row in listing.rows] == names, words
    with pytest.raises(WrongUsage, match="invalid filter 'nme'; did you mean name"):
        await order("service ls --filter nme=x")


async def test_views_without_a_quorum_say_so_once_and_mark_each_object(order, cluster):
    await order("service create -d --name web -- sleep 1")
    cluster.stale, cluster.leader = True, None
    cluster.states = {"n1": "down", "n2": "down"}
    out = await order("service ls")
    note, listing = out.items
    assert note == Note(f"stale: no quorum, 1 of 3 managers answer, 2 needed; state as of index {cluster.store.index}")
    assert listing.rows[0].values["Stale"] is True
    with pytest.raises(FakeNoQuorum):
        await order("service ls --consistent")


async def test_ps_indents_older_tasks_of_a_slot(order, cluster):
    cluster.play = FakeCluster.run_services
    await order("service create -d --name web --replicas 2 -- sleep 1")
    first = cluster.store.tasks(slot=1, service_id=the_service(cluster).id)[0]
    failed = attrs.evolve(first.status, state=first.status.state.FAILED, pid=0, error="task: non-zero exit (1): boom")
    cluster.add_task(
        attrs.evolve(first, id="old".ljust(25, "z"), status=failed, desired_state=first.desired_state.SHUTDOWN)
    )
    (listing,) = (await order("service ps web")).items
    assert [row.cell("Name") for row in listing.rows] == ["web.1", " \\_ web.1", "web.2"]
    values = {row.values["ID"]: row.values for row in listing.rows}
    assert values[first.id[:12]]["PID"] == first.status.pid
    assert values[first.id[:12]]["CurrentState"] == "Running 3 minutes ago"
    assert values[first.id[:12]]["NodeID"] == first.node_id
    old = values["oldzzzzzzzzz"]
    assert (old["PID"], old["Error"], old["DesiredState"]) == (None, '"task: non-zero exit (1): boom"', "Shutdown")


async def test_ps_of_a_missing_service_shows_the_others_and_fails(order):
    await order("service create -d --name web -- sleep 1")
    with pytest.raises(SomeFailed):
        await order("service ps web wbe")


async def test_ps_filters_by_node_and_desired_state(order, cluster):
    cluster.play = FakeCluster.run_services
    await order("service create -d --name web --replicas 4 -- sleep 1")
    (listing,) = (await order("service ps --filter node=n2 web")).items
    assert [row.values["Name"] for row in listing.rows] == ["web.2"]
    (listing,) = (await order("service ps --filter desired-state=shutdown web")).items
    assert listing.rows == []
    with pytest.raises(WrongUsage, match="did you mean running"):
        await order("service ps --filter desired-state=runnin web")


async def test_inspect_prints_the_engines_shape(order, cluster):
    await order("service create -d --name web -- sleep 1")
    (inspection,) = (await order("service inspect web")).items
    assert isinstance(inspection, Inspection)
    assert inspection.objects[0]["Spec"]["Name"] == "web"
    assert inspection.objects[0]["Version"]["Index"] == the_service(cluster).version
    (pretty,) = (await order("service inspect --pretty web")).items
    assert "Service Mode:" in pretty.pretty


async def test_inspect_shows_the_clusters_restart_delay_where_a_service_sets_none(order, cluster):
    """As docker, which asks for insertDefaults=true."""
    settings = cluster.store.all(Cluster)[0]
    cluster.write(Update(attrs.evolve(settings, restart_delay_s=5.0), version=settings.version))
    await order("service create -d --name web -- sleep 1")
    await order("service create -d --name own --restart-delay 2s -- sleep 1")
    await order("service update -d --replicas 2 web")
    (inspection,) = (await order("service inspect web own")).items
    delays = [shown["Spec"]["TaskTemplate"]["RestartPolicy"]["Delay"] for shown in inspection.objects]
    assert delays == [5_000_000_000, 2_000_000_000]
    assert inspection.objects[0]["PreviousSpec"]["TaskTemplate"]["RestartPolicy"]["Delay"] == 5_000_000_000
    assert the_service(cluster).spec.task_template.restart_policy.delay_ns is None
    (pretty,) = (await order("service inspect --pretty web")).items
    assert " Delay: 5s" in " ".join(pretty.pretty.split())


async def test_update_changes_only_what_was_written(order, cluster):
    await order("service create -d --name web -e A=1 -e B=2 -l x=1 --constraint node.role==worker -- sleep 1")
    before = the_service(cluster)
    out = await order("service update -d --env-add C=3 --env-rm A --replicas 4 web")
    after = the_service(cluster)
    assert out.items == [Line("web")]
    assert after.spec.task_template.container_spec.env == ("B=2", "C=3")
    assert after.spec.mode == ReplicatedMode(4)
    assert after.spec.task_template.placement == before.spec.task_template.placement
    assert after.spec.task_template.container_spec.args == before.spec.task_template.container_spec.args
    assert after.previous_spec == before.spec
    assert after.spec.task_template.container_spec.image != before.spec.task_template.container_spec.image


async def test_update_of_the_command_in_both_ways(order, cluster):
    await order("service create -d --name web -- sleep 1")
    await order("service update -d --args 'sleep 2' web")
    assert the_service(cluster).spec.task_template.container_spec.args == ("sleep", "2")
    await order("service update -d web -- sleep 3")
    assert the_service(cluster).spec.task_template.container_spec.args == ("sleep", "3")


async def test_an_image_that_was_named_stays_when_the_command_changes(order, cluster):
    await order("service create -d --name web app:2 -- sleep 1")
    await order("service update -d --args 'sleep 2' web")
    assert the_service(cluster).spec.task_template.container_spec.image == "app:2"


async def test_update_that_changes_nothing_writes_nothing(order, cluster):
    await order("service create -d --name web -- sleep 1")
    written = len(cluster.transactions)
    await order("service update -d --args 'sleep 1' web")
    assert len(cluster.transactions) == written


async def test_force_raises_the_counter(order, cluster):
    await order("service create -d --name web -- sleep 1")
    image = the_service(cluster).spec.task_template.container_spec.image
    await order("service update -d --force web")
    assert the_service(cluster).spec.task_template.force_update == 1
    assert the_service(cluster).spec.task_template.container_spec.image == image


async def test_removing_what_is_not_there_is_refused(order):
    await order("service create -d --name web -- sleep 1")
    for words in ("--constraint-rm node.role==worker", "--label-rm x", "--placement-pref-rm spread=node.labels.z"):
        with pytest.raises(CommandFailed, match="to remove"):
            await order(f"service update -d {words} web")


async def test_ports_are_added_replaced_and_removed(order, cluster):
    await order("service create -d --name web -p 8080:auto -- sleep 1")
    await order("service update -d --publish-add 8081:80 web")
    assert the_service(cluster).spec.endpoint_spec.ports == (PortConfig(8080, 0), PortConfig(8081, 80))
    await order("service update -d --publish-rm 80 --publish-rm 8080 web")
    assert the_service(cluster).spec.endpoint_spec.ports == ()
    with pytest.raises(Exception, match="'web' is no port; write one from 1 to 65535"):
        await order("service update -d --publish-rm web web")


async def test_somebody_elses_change_meanwhile_is_a_conflict(order, cluster):
    await order("service create -d --name web -- sleep 1")
    plain = cluster.records

    async def late(*tables, **how):
        found = await plain(*tables, **how)
        await order_behind()
        return found

    async def order_behind():
        cluster.records = plain
        await order("service scale -d web=9")

    cluster.records = late
    with pytest.raises(CommandFailed, match="out of sequence"):
        await order("service scale -d web=3")
    assert the_service(cluster).spec.mode == ReplicatedMode(9)


async def test_scale_several_goes_on_after_a_failure(order, cluster):
    await order("service create -d --name web -- sleep 1")
    await order("service create -d --name agent --mode global -- sleep 1")
    with pytest.raises(SomeFailed) as failed:
        await order("service scale -d agent=2 web=5 nope=1")
    assert failed.value.exit_code == 1
    assert the_service(cluster).spec.mode == ReplicatedMode(5)


async def test_scale_without_a_quorum_has_the_clients_exit_code(order, cluster):
    await order("service create -d --name web -- sleep 1")
    cluster.fails = FakeNoQuorum("no quorum: 2 of 5 managers answer, 3 needed")
    with pytest.raises(CommandFailed, match="2 of 5 managers answer, 3 needed") as failed:
        await order("service scale web=5")
    assert failed.value.exit_code == 4


async def test_scale_waits_for_tasks_that_are_too_many(order, cluster, autojump_clock):
    cluster.play = FakeCluster.run_services
    await order("service create -d --name web --replicas 3 -- sleep 1")
    out = await order("service scale web=1")
    assert out.items[0] == Line("web scaled to 1")
    assert out.items[-1].done


async def test_rm_removes_and_names_what_is_missing(order, cluster):
    await order("service create -d --name web -- sleep 1")
    assert (await order("service rm web")).items == [Line("web")]
    assert cluster.store.count(Service) == 0
    with pytest.raises(CommandFailed, match="no such service: web"):
        await order("service rm web")


async def test_one_failure_of_several_is_shown_and_counted(order):
    await order("service create -d --name web -- sleep 1")
    recorder = None
    try:
        await order("service rm nope web")
    except SomeFailed as error:
        recorder = error
    assert recorder is not None
    assert recorder.exit_code == 1


def test_failures_are_items_of_their_own():
    assert Failure("x") != Note("x")


async def test_a_change_that_changes_nothing_is_refused_without_a_quorum_too(order, cluster):
    """It waited for ever: there was nothing to write, and nothing old counts as converged."""
    await order("service create -d --name web --replicas 2 -- sleep 1")
    cluster.stale = True
    for line in ("service scale web=2", "service update --replicas 2 web", "activate n1"):
        with pytest.raises((FakeNoQuorum, TryLater, FailedWith)) as refused:
            await order(line)
        assert exit_code_of(refused.value) == 4


async def test_who_waits_is_told_that_the_quorum_is_lost(order, cluster):
    cluster.play = FakeCluster.run_services
    await order("service create -d --name web --replicas 2 -- sleep 1")
    cluster.stale = True
    with trio.move_on_after(0.5):
        await order("service create --name other --replicas 1 -- sleep 1")
    assert any("no quorum" in item.text for item in order.out.items if isinstance(item, Progress))
