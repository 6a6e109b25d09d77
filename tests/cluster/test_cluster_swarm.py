"""Services as a user keeps them: drained, scaled, published, updated, removed; and every process of a task ends with it."""

import contextlib
import threading
import urllib.request

import psutil
import pytest

from tests.cluster.conftest import RealCluster, wait_for
from tests.ports import free_port

pytestmark = pytest.mark.cluster

FORKING = (
    "import os, subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', 'import os, time; os.setsid(); time.sleep(3600)'])\n"
    "pid = os.fork()\n"
    "if pid == 0:\n"
    "    os.setsid()\n"
    "    os.fork()\n"
    "time.sleep(3600)\n"
)


def test_a_drained_node_has_no_task_and_all_replicas_run_elsewhere(healed: RealCluster):
    healed.run("drain", "n2")
    others = {node["name"] for node in healed.status()["nodes"]} - {"n2"}
    healed.wait_running("web", 7, on=others)
    assert healed.node("n2")["availability"] == "drain"
    healed.run("activate", "n2")
    assert healed.node("n2")["availability"] == "active"


def test_scale_up_and_down(healed: RealCluster):
    healed.run("service", "scale", "web=9")
    assert set(healed.running("web")) == {f"web.{slot}" for slot in range(1, 10)}
    healed.run("service", "scale", "web=7")
    healed.wait_running("web", 7)


def test_no_process_of_a_task_outlives_its_node_whatever_it_forks(healed: RealCluster):
    healed.run(
        "service", "create", "--name", "forking", "--constraint", "node.hostname==n6", "--", "python", "-c", FORKING
    )
    task = healed.wait_running("forking", 1)["forking.1"]
    first = psutil.Process(task.pid)
    family = wait_for("the whole family", lambda: len(kin := first.children(recursive=True)) >= 3 and [first, *kin])
    healed.run("kill", "n6")
    wait_for("the end of them all", lambda: not any(is_alive(process) for process in family))
    healed.run("service", "rm", "forking")
    healed.run("start", "n6")


def is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_an_updated_service_gets_new_tasks_slot_by_slot(healed: RealCluster):
    sleep = "import time; time.sleep(3600)"
    healed.run("service", "create", "--name", "old", "--replicas", "2", "--", "python", "-c", sleep)
    before = healed.wait_running("old", 2)
    healed.run("service", "update", "--env-add", "COLOR=green", "old")
    after = healed.wait_running("old", 2)
    assert not {task.id for task in before.values()} & {task.id for task in after.values()}
    healed.run("service", "rm", "old")
    wait_for("no task of it left", lambda: "old" not in healed.run("ps", "--format", "json").stdout)


def test_logs_show_what_tasks_print(healed: RealCluster):
    text = healed.run("logs", "web.3").stdout
    assert "web.3@" in text
    assert "up" in text


def test_a_failing_task_is_restarted_and_its_last_words_are_shown(healed: RealCluster):
    script = "import sys; print('disk full of sand', file=sys.stderr); sys.exit(3)"
    healed.run("service", "create", "-d", "--name", "sand", "--restart-delay", "1s", "--", "python", "-c", script)
    shown = wait_for(
        "a failed task with its last words",
        lambda: [task for task in healed.tasks("sand") if "disk full of sand" in task["Error"]],
    )
    assert "non-zero exit (3)" in shown[0]["Error"]
    healed.run("service", "rm", "sand")


def test_a_service_that_fits_nowhere_says_why(healed: RealCluster):
    healed.run("service", "create", "-d", "--name", "picky", "--constraint", "node.labels.zone==moon", "--", "true")
    wait_for(
        "the reason",
        lambda: [
            task for task in healed.tasks("picky") if "no suitable node" in task["Error"] and "7 node" in task["Error"]
        ],
    )
    healed.run("service", "rm", "picky")


WEB = (
    "import http.server, os\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        body = b'ok'\n"
    "        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers()\n"
    "        self.wfile.write(body)\n"
    "    def log_message(self, *words): pass\n"
    "http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()\n"
)


class Curl(threading.Thread):
    """`curl` of a published port in a loop; counts what failed."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port, self.done, self.failed, self.over = port, 0, [], threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.02):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as answer:
                    assert answer.read() == b"ok"
                self.done += 1
            except Exception as error:
                self.failed.append(repr(error))


def test_a_published_port_loses_at_most_one_request_at_each_fault(healed: RealCluster):
    port = free_port()
    healed.run(
        "service", "create", "--name", "site", "--replicas", "4", "--publish", f"{port}:auto", "--", "python", "-c", WEB
    )
    healed.wait_running("site", 4)
    wait_for("the port answers", lambda: answers(port))
    curl = Curl(port)
    curl.start()
    try:
        for fault, undo in (("kill leader", "heal"), ("pause", "heal"), ("drain", "activate"), ("raft transfer", "")):
            failed = len(curl.failed)
            victim = next(iter(healed.running("site").values())).node
            words = fault.split() if " " in fault else [fault, victim]
            healed.run(*words, expect=None if "transfer" in fault else 0)
            reached = curl.done
            wait_for("twenty more answers", lambda reached=reached: curl.done >= reached + 20)
            assert len(curl.failed) - failed <= 1, (fault, curl.failed)
            if undo:
                healed.run(undo, *([victim] if undo == "activate" else []))
            wait_for(
                "the leader and four tasks", lambda: healed.status()["leader"] and len(healed.running("site")) == 4
            )
    finally:
        curl.over.set()
        curl.join()
    healed.run("service", "rm", "site")


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
        return answer.read() == b"ok"
    return False
