"""`[services.NAME]`: Compose's keys, read into a spec or refused by key."""

from __future__ import annotations

import pytest

from swarmtui.objects.cluster_file import InvalidClusterFile, parse_cluster_file
from swarmtui.objects.specs import (
    GlobalMode,
    Placement,
    PortConfig,
    ReplicatedMode,
    Resources,
    RestartPolicy,
    ServiceSpec,
    UpdateConfig,
)
from swarmtui.objects.states import FailureAction, RestartCondition, UpdateOrder

FILES = {"a.env": "# comment\nA=1\nexport B='two words'\nPORT=99\nC=\"x\\ny\" \nD=4 # note\n", "bad.env": "A\n"}


def read_file(name: str) -> str:
    if name not in FILES:
        raise FileNotFoundError(2, "No such file or directory")
    return FILES[name]


def service(body: str, **environment: str) -> ServiceSpec:
    text = f"[services.web]\n{body}\n"
    return parse_cluster_file(text, environment=environment, name="x", read_file=read_file).services["web"]


def refusal(body: str) -> str:
    with pytest.raises(InvalidClusterFile) as refused:
        service(body)
    return str(refused.value)


def test_the_example_of_the_design_reads_as_it_says():
    spec = service(
        """
        command = ["python", "app.py", "--port", "{{.Task.Port}}"]
        environment = { GREETING = "hello from {{.Node.Hostname}} slot {{.Task.Slot}}" }
        ports = ["8080:auto"]
        [services.web.deploy]
        replicas = 3
        restart_policy = { condition = "any", delay = "1s" }
        placement = { constraints = ["node.labels.zone != c"], preferences = [{ spread = "node.labels.zone" }] }
        update_config = { parallelism = 1, order = "start-first", failure_action = "rollback" }
        """
    )
    template = spec.task_template
    assert template.container_spec.args == ("python", "app.py", "--port", "{{.Task.Port}}")
    assert template.container_spec.env == ("GREETING=hello from {{.Node.Hostname}} slot {{.Task.Slot}}",)
    assert template.restart_policy == RestartPolicy(RestartCondition.ANY, 1_000_000_000)
    assert template.placement == Placement(("node.labels.zone != c",), ("node.labels.zone",))
    assert spec.mode == ReplicatedMode(3)
    assert spec.endpoint_spec.ports == (PortConfig(8080, 0),)
    assert spec.update_config == UpdateConfig(order=UpdateOrder.START_FIRST, failure_action=FailureAction.ROLLBACK)


def test_every_other_key_lands_in_its_field():
    spec = service(
        """
        image = "app:2"
        entrypoint = "env -i"
        command = "run 'two words'"
        working_dir = "sub"
        stop_signal = "int"
        stop_grace_period = "1m30s"
        labels = ["tier=front", "x"]
        scale = 0
        [services.web.deploy]
        labels = { owner = "me", n = 3, on = true }
        restart_policy = { condition = "on-failure", max_attempts = 3, window = "2m" }
        placement = { max_replicas_per_node = 2 }
        resources = { limits = { cpus = "0.5", memory = "64M" }, reservations = { cpus = 2, memory = 8388608 } }
        rollback_config = { parallelism = 0, delay = "1s", monitor = "3s", max_failure_ratio = 0.25 }
        """
    )
    container = spec.task_template.container_spec
    assert container.image == "app:2"
    assert container.args == ("env", "-i", "run", "two words")
    assert (container.dir, container.stop_signal, container.stop_grace_period_ns) == ("sub", "SIGINT", 90_000_000_000)
    assert container.labels == {"tier": "front", "x": ""}
    assert spec.labels == {"owner": "me", "n": "3", "on": "true"}
    assert spec.mode == ReplicatedMode(0)
    assert spec.task_template.restart_policy == RestartPolicy(RestartCondition.ON_FAILURE, None, 3, 120_000_000_000)
    assert spec.task_template.placement.max_replicas == 2
    assert spec.task_template.resources.limits == Resources(500_000_000, 64 * 1024**2)
    assert spec.task_template.resources.reservations == Resources(2_000_000_000, 8 * 1024**2)
    assert spec.rollback_config == UpdateConfig(0, 1_000_000_000, FailureAction.PAUSE, 3_000_000_000, 0.25)


def test_defaults_are_dockers():
    spec = service("command = 'x'")
    assert spec.mode == ReplicatedMode(1)
    assert spec.task_template.restart_policy == RestartPolicy(RestartCondition.ANY, None, 0, 0)
    assert spec.task_template.container_spec.stop_grace_period_ns == 10_000_000_000
    assert spec.update_config == spec.rollback_config == UpdateConfig()


def test_a_global_service():
    assert service("command = 'x'\ndeploy = { mode = 'global' }").mode == GlobalMode()


def test_environment_as_list_takes_bare_names_from_here():
    spec = service("command = 'x'\nenvironment = ['A=1', 'HOME', 'NOPE', 'A=2']", HOME="/root")
    assert spec.task_template.container_spec.env == ("A=2", "HOME=/root")


def test_env_files_rank_below_environment_and_below_swarmtuis_own():
    spec = service("command = 'x'\nenv_file = 'a.env'\nenvironment = { A = 9 }")
    assert spec.task_template.container_spec.env == ("A=9", "B=two words", "C=x\ny", "D=4")


@pytest.mark.parametrize(
    ("written", "port"),
    [
        ("8080", PortConfig(8080, 0)),
        ("'8080'", PortConfig(8080, 0)),
        ("'8080:auto'", PortConfig(8080, 0)),
        ("'8080:80'", PortConfig(8080, 80)),
        ("'127.0.0.1:8080:80/tcp'", PortConfig(8080, 80)),
        ("{ published = 8080, target = 80 }", PortConfig(8080, 80)),
        ("{ published = '8080', target = 'auto', protocol = 'tcp' }", PortConfig(8080, 0)),
    ],
)
def test_ports_in_every_form(written, port):
    assert service(f"command = 'x'\nports = [{written}]").endpoint_spec.ports == (port,)


def test_the_default_image_shows_a_change_and_nothing_else():
    def image(body: str) -> str:
        return service(body).task_template.container_spec.image

    assert image("command = '/usr/bin/python app.py'").startswith("python:")
    assert len(image("command = 'sleep 1'")) == len("sleep:1234567")
    assert image("command = 'sleep 1'") == image("command = ['sleep', '1']\nscale = 5")
    assert image("command = 'sleep 1'") != image("command = 'sleep 2'")
    assert image("command = 'sleep 1'") != image("command = 'sleep 1'\nenvironment = { A = '1' }")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("", "services.web.command: is missing"),
        ("comand = 'x'", "services.web.comand: is no known key; did you mean command?"),
        ("command = ''", "services.web.command: must name a program"),
        ("command = 3", "services.web.command: must be a list of words or one text"),
        ('command = "a \'b"', "cannot be split into words: No closing quotation; write a list"),
        ("command = [['x']]", "services.web.command: must hold texts and numbers only"),
        ("command = 'x {{.Task.Slto}}'", "did you mean {{.Task.Slot}}?"),
        ("command = ['x', '{{upper .Task.Slot}}']", "services.web.command: template {{upper .Task.Slot}} is not known"),
        ("command = 'x {{.Task.Slot'", "template {{.Task.Slot is not known"),
        ("command = 'x'\nenvironment = { A = '{{.X}}' }", "services.web.environment: template {{.X}} is not known"),
        ("command = 'x'\nenvironment = 3", "services.web.environment: must be a table or a list"),
        ("command = 'x'\nenvironment = ['=1']", "services.web.environment: '=1' is no variable"),
        ("command = 'x'\nenvironment = [1]", "services.web.environment: must be a text in quotes, not 1"),
        ("command = 'x'\nenv_file = 'no.env'", "services.web.env_file: 'no.env' cannot be read: No such file"),
        ("command = 'x'\nenv_file = 'bad.env'", "'bad.env': line 1: 'A' is no KEY=value"),
        ("command = 'x'\nenv_file = 3", "services.web.env_file: must be a file's name"),
        ("command = 'x'\nports = '80'", "services.web.ports: must be a list such as"),
        ("command = 'x'\nports = ['80:80']", "cannot be both the published port, where swarmtui listens"),
        ("command = 'x'\nports = ['0']", "ports from 1 to 65535"),
        ("command = 'x'\nports = ['53:53/udp']", "only tcp can be published"),
        ("command = 'x'\nports = ['0.0.0.0:80:81']", "published ports listen on 127.0.0.1 only"),
        ("command = 'x'\nports = ['80:auto', '80:81']", "services.web.ports: port 80 is published twice"),
        ("command = 'x'\nports = [true]", "True is no port"),
        ("command = 'x'\nports = [{ target = 80 }]", "services.web.ports[0].published: is missing"),
        ("command = 'x'\nports = [{ published = 80, protocol = 'udp' }]", "only tcp can be published"),
        ("command = 'x'\nstop_signal = 'SIGTERMM'", "did you mean SIGTERM?"),
        ("command = 'x'\nstop_grace_period = -1", "is no duration"),
        ("command = 'x'\nscale = -1", "services.web.scale: must be a whole number from 0 to 10000, not -1"),
        (
            "command = 'x'\nscale = 2\ndeploy = { replicas = 3 }",
            "services.web.scale: says 2 and deploy.replicas says 3",
        ),
        (
            "command = 'x'\ndeploy = { mode = 'job' }",
            "services.web.deploy.mode: must be replicated or global, not 'job'",
        ),
        (
            "command = 'x'\ndeploy = { mode = 'global', replicas = 2 }",
            "deploy.replicas: a global service runs one task",
        ),
        (
            "command = 'x'\ndeploy = { restart_policy = { condition = 'always' } }",
            "must be one of none, on-failure, any",
        ),
        ("command = 'x'\ndeploy = { placement = { constraints = 'a' } }", "must be a list such as"),
        (
            "command = 'x'\ndeploy = { placement = { constraints = ['node.id'] } }",
            "is no constraint; write one such as",
        ),
        ("command = 'x'\ndeploy = { placement = { constraints = ['node.nam == a'] } }", "no node has 'node.nam'"),
        (
            "command = 'x'\ndeploy = { placement = { constraints = ['node.role == boss'] } }",
            "node.role is manager or worker",
        ),
        ("command = 'x'\ndeploy = { placement = { preferences = ['a'] } }", "must be a list such as"),
        ("command = 'x'\ndeploy = { placement = { preferences = [{ spread = 'a' }] } }", "is nothing to spread over"),
        ("command = 'x'\ndeploy = { resources = { limits = { memory = '1MB' } } }", "at least 4MB, or 0 for none"),
        ("command = 'x'\ndeploy = { resources = { limits = { cpus = '0.0001' } } }", "at least 0.001, or 0 for none"),
        ("command = 'x'\ndeploy = { resources = { limits = { cpus = 'two' } } }", "is no number of CPUs"),
        ("command = 'x'\ndeploy = { resources = { limits = { pids = 5 } } }", "limits.pids: is not supported here"),
        ("command = 'x'\ndeploy = { update_config = { order = 'x' } }", "must be one of stop-first, start-first"),
        (
            "command = 'x'\ndeploy = { update_config = { max_failure_ratio = 2 } }",
            "must be a number from 0 to 1, not 2",
        ),
        ("command = 'x'\ndeploy = { rollback_config = { failure_action = 'rollback' } }", "must be pause or continue"),
        ("command = 'x'\nvolumes = []", "services.web.volumes: is not supported here; tasks are plain processes"),
        (
            "command = 'x'\nrestart = 'always'",
            "services.web.restart: is not supported here; write deploy.restart_policy",
        ),
    ],
)
def test_wrong_services_are_refused_by_key(body, sentence):
    assert sentence in refusal(body)


def test_a_service_s_name_must_be_one():
    with pytest.raises(InvalidClusterFile, match="cannot be a service's name"):
        parse_cluster_file("[services.'a b']\ncommand='x'", environment={}, name="x")
