"""Docker's options of `service create` and `service update` that are refused here, and why: a script that was written for
docker is told so, and is not offered whatever option happens to be spelt alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_NOT_A_CONTAINER = "tasks are plain processes of this machine"
_NO_REGISTRY = "IMAGE is a version label, and nothing is pulled"
_NO_HEALTH = "a task counts as running once its process runs"

_OF_CONTAINERS = (
    "-u -t --cap-add --cap-drop --credential-spec --endpoint-mode --generic-resource --group --host --hostname --init "
    "--isolation --limit-pids --log-driver --log-opt --mount --network --no-healthcheck --read-only --sysctl --tty --ulimit "
    "--user --dns --dns-option --dns-search --oom-score-adj"
)
_EDITED = "--cap --credential-spec --dns --dns-option --dns-search --generic-resource --group --host --mount --network --sysctl --ulimit"
_OF_HEALTH = (
    "--health-cmd --health-interval --health-retries --health-start-interval --health-start-period --health-timeout"
)
_OF_POLICIES = "delay failure-action max-failure-ratio monitor order parallelism"


def _edits(names: str) -> Iterable[str]:
    return (f"{name}-{verb}" for name in names.split() for verb in ("add", "rm"))


FOREIGN: Mapping[str, str] = {
    **dict.fromkeys(_OF_CONTAINERS.split(), _NOT_A_CONTAINER),
    **dict.fromkeys(_edits(_EDITED), _NOT_A_CONTAINER),
    **dict.fromkeys((*_OF_HEALTH.split(), "--no-healthcheck"), _NO_HEALTH),
    **dict.fromkeys(("--with-registry-auth", "--no-resolve-image"), _NO_REGISTRY),
    **dict.fromkeys(("--secret", *_edits("--secret")), "there are no secrets yet"),
    **dict.fromkeys(("--config", *_edits("--config")), "there are no configs yet"),
    **{f"--update-{name}": "write deploy.update_config in a cluster.toml" for name in _OF_POLICIES.split()},
    **{f"--rollback-{name}": "write deploy.rollback_config in a cluster.toml" for name in _OF_POLICIES.split()},
    "--rollback": "there is no rollback by hand yet",
    "--max-concurrent": "there are no jobs yet",
    "--entrypoint": "write the whole command after --",
}
