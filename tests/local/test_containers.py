"""Images: built and pushed by the command, and run by the local Braket, with a real engine."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import cloudpickle
import pytest
from covalent._shared_files.exceptions import TaskCancelledError
from demo_server import _free_port

from covalent_braket_plugin.braket import BraketExecutor
from covalent_braket_plugin.protocol import PROTOCOL_VERSION, image_versions
from tests.local.conftest import IMAGE, PROGRAM, Lab
from tests.support.braket_server import eventually
from tests.support.docker_engine import DockerEngine, build_on, make_base, missing, running_engine
from tests.support.registry import HOST, Front, catalogue, running_registry

# The first test makes a Debian and the image: half a minute, more on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CLI = [sys.executable, "-m", "covalent_braket_plugin.cli", "image"]
PROGRAM_IMAGE = "cbp-test-program:1"
REPOSITORY = "amazon-braket-tests"
Command = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    front = Front()
    yield front
    front.close()


@pytest.fixture(scope="module")
def engine(front: Front) -> Iterator[DockerEngine]:
    """A container engine, which everything in this module finds as users' programs do."""
    with running_engine(HOST, front.url) as engine:
        before = os.environ.get("DOCKER_HOST")
        os.environ["DOCKER_HOST"] = engine.url
        yield engine
        os.environ.pop("DOCKER_HOST")
        if before is not None:
            os.environ["DOCKER_HOST"] = before


@pytest.fixture(scope="module")
def base(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_base(engine, tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def users_base(engine: DockerEngine, base: str) -> str:
    """A base as users may have it: with an entry point, and without the rights of root."""
    return build_on(engine, base, 'ENTRYPOINT ["/bin/echo"]\nUSER 1000', "cbp-test-odd:1")


@pytest.fixture(scope="module")
def built(users_base: str) -> dict[str, Any]:
    """The worker's image, as the command builds and describes it."""
    done = image("build", "--from", users_base, "--json")
    assert done.returncode == 0, done.stderr
    described: dict[str, Any] = json.loads(done.stdout)
    return described


@pytest.fixture(scope="module")
def braket(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A local Braket that runs containers."""
    server = docker_lab(tmp_path_factory.mktemp("docker-lab"))
    os.environ["COVALENT_BRAKET_LOCAL_DIR"] = str(server.state_dir)
    yield server
    del os.environ["COVALENT_BRAKET_LOCAL_DIR"]
    server.stop()


@pytest.fixture(scope="module")
def program(engine: DockerEngine, base: str) -> str:
    """URI of an image whose program does what it is told."""
    text = base64.b64encode(b"#!/usr/bin/python3\n" + PROGRAM.read_bytes()).decode()
    lines = f"RUN echo {text} | base64 -d > /usr/bin/train && chmod +x /usr/bin/train"
    return uri_of(build_on(engine, base, lines, PROGRAM_IMAGE))


def docker_lab(state_dir: Path) -> Lab:
    worker = [sys.executable, str(PROGRAM)]
    return Lab.started(state_dir, worker, IMAGE, slots=3, grace_seconds=1.0, runner="docker")


def image(*arguments: str) -> CompletedProcess[str]:
    return subprocess.run(
        [*CLI, *arguments], capture_output=True, text=True, timeout=170, check=False
    )


def uri_of(name: str) -> str:
    return f"{HOST}/{name}"


def on_image(uri: str, **changes: Any) -> dict[str, Any]:
    return {"algorithmSpecification": {"containerImage": {"uri": uri}}, **changes}


@pytest.fixture(autouse=True)
def _pickled_by_value() -> Iterator[None]:
    """The image has no tests: electrons of this module bring their code along."""
    here = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(here)
    yield
    cloudpickle.unregister_pickle_by_value(here)


def metadata() -> dict[str, Any]:
    return {"dispatch_id": str(uuid.uuid4()), "node_id": 0}


def containers(engine: DockerEngine, label: str, **filters: str) -> list[Any]:
    """What there is of containers with a label, whether they run or not."""
    asked = {"label": f"covalent-braket.{label}", **filters}
    return list(engine.client.api.containers(all=True, filters=asked))


def see(number: int) -> tuple[int, str, bool]:
    import sys
    from pathlib import Path

    print("seen from inside")
    return number * 2, sys.executable, Path("/.dockerenv").exists()


def break_down() -> None:
    raise ValueError("no such energy")


def rest() -> None:
    import time

    time.sleep(300)


# Building


def test_a_built_image_is_named_and_labelled_by_what_it_holds(
    engine: DockerEngine, built: dict[str, Any]
) -> None:
    found = engine.client.images.get(built["image"])
    named = image_versions(uri_of(built["image"]))
    assert found.id == built["id"]
    assert built["python"].startswith(f"{named.python}.")
    assert named.cloudpickle == built["cloudpickle"]
    assert built["problems"] == []
    for name in ("python", "cloudpickle", "boto3", "package"):
        assert found.labels[f"covalent-braket.{name}"] == built[name]
    assert found.labels["covalent-braket.protocol"] == str(PROTOCOL_VERSION)
    assert found.labels["org.opencontainers.image.version"] == built["package"]


def test_the_same_build_again_is_the_same_image(users_base: str, built: dict[str, Any]) -> None:
    again = json.loads(image("build", "--from", users_base, "--json").stdout)
    assert again["id"] == built["id"]


def test_requirements_that_replace_cloudpickle_are_noticed_and_the_tag_says_the_truth(
    users_base: str, built: dict[str, Any], tmp_path: Path
) -> None:
    other = "3.1.1" if built["cloudpickle"].startswith("2") else "2.2.1"
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"cloudpickle=={other}\nwheel\n")
    done = image("build", "--from", users_base, "--requirements", str(requirements))
    assert done.returncode == 0, done.stderr
    assert f"-cloudpickle{other} (" in done.stdout
    assert f"replaced cloudpickle {built['cloudpickle']}" in done.stderr


def test_a_base_may_have_an_entry_point_and_a_user_of_its_own(
    engine: DockerEngine, users_base: str, built: dict[str, Any]
) -> None:
    theirs, ours = (engine.client.images.get(name).attrs for name in (users_base, built["image"]))
    assert theirs["Config"]["Entrypoint"] == ["/bin/echo"]
    assert ours["Config"]["Entrypoint"] == ["/usr/bin/env"]  # else `train` would be echoed


def test_a_build_that_fails_says_what_pip_said(users_base: str, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("no-such-package==9\n")
    done = image("build", "--from", users_base, "--requirements", str(requirements))
    assert done.returncode == 1
    assert "no-such-package==9" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_base_that_cannot_be_fetched_is_told_with_what_to_do(engine: DockerEngine) -> None:
    done = image("build", "--from", "127.0.0.1:1/none:1")
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert "build on an image that is here already: --from IMAGE" in done.stderr


# Running the worker


async def test_an_electron_runs_in_a_container_of_the_image(
    engine: DockerEngine, braket: Lab, built: dict[str, Any]
) -> None:
    executor = BraketExecutor(local=True, ecr_image_uri=uri_of(built["image"]))
    assert await executor.run(see, [21], {}, metadata()) == (42, "/opt/venv/bin/python", True)
    newest = braket.client("braket").search_jobs(filters=[])["jobs"][0]
    assert "seen from inside" in braket.lines(newest)
    assert containers(engine, f"job={newest['jobArn']}") == []


async def test_an_electron_that_fails_in_a_container_fails_as_anywhere(
    braket: Lab, built: dict[str, Any]
) -> None:
    executor = BraketExecutor(local=True, ecr_image_uri=uri_of(built["image"]))
    with pytest.raises(Exception, match="no such energy"):
        await executor.run(break_down, [], {}, metadata())
    newest = braket.client("braket").search_jobs(filters=[])["jobs"][0]
    job = braket.client("braket").get_job(jobArn=newest["jobArn"])
    assert job["failureReason"] == "AlgorithmError: ValueError: no such energy, exit code: 1"


async def test_sagemaker_training_starts_the_worker_with_a_python_and_arguments_of_its_own(
    engine: DockerEngine, braket: Lab, built: dict[str, Any]
) -> None:
    start = "cd /opt/ml/code && exec /usr/bin/python3 $SAGEMAKER_PROGRAM --covalent_protocol 1"
    lines = f"RUN rm /opt/venv/bin/train && printf '#!/bin/sh\\n{start}\\n' > /usr/bin/train"
    lines += " && chmod +x /usr/bin/train"
    name = built["image"].replace("covalent-braket-worker:", "cbp-test-foreign:")
    foreign = build_on(engine, built["image"], lines, name)
    executor = BraketExecutor(local=True, ecr_image_uri=uri_of(foreign))
    assert await executor.run(see, [1], {}, metadata()) == (2, "/opt/venv/bin/python", True)


def test_any_user_may_run_the_image(engine: DockerEngine, built: dict[str, Any]) -> None:
    container = engine.client.containers.create(
        built["image"], ["train"], user="65534:65534", network_mode="none", read_only=True
    )
    try:
        container.start()
        assert container.wait()["StatusCode"] == 2  # the worker's own word for: no job of ours
        assert b"hyperparameter file cannot be read" in container.logs()
    finally:
        container.remove(force=True)


# What the local Braket makes of containers


def test_a_container_sees_what_a_training_container_sees(braket: Lab, program: str) -> None:
    seen = braket.shown(braket.run("see", **on_image(program)))
    assert "/opt/ml" in seen["places"]
    variables = seen["environment"]
    assert variables["AMZN_BRAKET_JOB_NAME"] == "see"
    assert variables["AWS_ENDPOINT_URL"] == braket.endpoint_url
    assert sys.prefix not in json.dumps(variables)


def test_inputs_come_in_and_results_and_checkpoints_go_out(braket: Lab, program: str) -> None:
    source = braket.put("in/a/one", "1")
    channel = {"channelName": "in", "dataSource": {"s3DataSource": {"s3Uri": source}}}
    job = braket.run("channels", **on_image(program, inputDataConfig=[channel]))
    assert braket.shown(job)["files"] == {"in/one": "1"}
    braket.run("model", **on_image(program))
    assert "out/model/output/model.tar.gz" in braket.keys("out/model")
    for number, place in enumerate(("/opt/jobs/checkpoints", "/opt/braket/checkpoints/")):
        uri = f"s3://{braket.info['bucket']}/kept-{number}"
        config = {"s3Uri": uri, "localPath": place}
        braket.run("checkpoint", **on_image(program, checkpointConfig=config))
        assert set(braket.keys(f"kept-{number}")) == {
            f"kept-{number}/new.json",
            f"kept-{number}/last.json",
        }


@pytest.mark.parametrize(
    ("do", "parameters", "reason"),
    [
        ("end", {"code": "3"}, "AlgorithmError: , exit code: 3"),
        ("fail", {"text": "mine"}, "AlgorithmError: mine, exit code: 1"),
    ],
)
def test_a_container_that_fails_gives_the_reason_that_a_process_gives(
    braket: Lab, program: str, do: str, parameters: dict[str, str], reason: str
) -> None:
    expected = braket.run(do, parameters=parameters)
    job = braket.run(do, **on_image(program, parameters=parameters))
    assert job["status"] == "FAILED"
    assert job["failureReason"] == expected["failureReason"] == reason


def test_an_image_without_a_program_named_train_fails_and_says_so(
    engine: DockerEngine, braket: Lab, base: str
) -> None:
    job = braket.run("sleep", **on_image(uri_of(base)))
    assert job["status"] == "FAILED"
    assert "The container cannot be run" in job["failureReason"]
    assert '"train": executable file not found' in job["failureReason"]
    assert containers(engine, f"job={job['jobArn']}") == []


def test_a_container_that_is_killed_as_for_its_memory_says_so(
    engine: DockerEngine, braket: Lab, program: str
) -> None:
    arn = braket.create("sleep", **on_image(program))
    braket.wait(arn, "RUNNING")
    (running,) = eventually(lambda: containers(engine, f"job={arn}", status="running"))
    engine.client.api.kill(running, "SIGKILL")
    reason = "AlgorithmError: The process was killed by signal 9 (SIGKILL), exit code: 137"
    assert braket.wait(arn, "FAILED")["failureReason"] == reason


@pytest.mark.parametrize("do", ["obey", "stubborn"])
def test_a_cancelled_container_is_asked_to_end_and_then_killed(
    engine: DockerEngine, braket: Lab, program: str, do: str
) -> None:
    arn = braket.create(do, **on_image(program))
    job = braket.wait(arn, "RUNNING")
    eventually(lambda: any(line.startswith("SHOW") for line in braket.lines(job)))
    assert len(containers(engine, f"job={arn}")) == 1
    braket.client("braket").cancel_job(jobArn=arn)
    braket.wait(arn, "CANCELLED")
    assert containers(engine, f"job={arn}") == []
    kept = braket.keys(f"out/{do}")
    assert kept == ([f"out/{do}/output/model.tar.gz"] if do == "obey" else [])


def test_a_container_that_takes_too_long_is_ended(braket: Lab, program: str) -> None:
    limit = {"maxRuntimeInSeconds": 1}
    job = braket.run("sleep", **on_image(program, stoppingCondition=limit))
    assert "MAX_RUNTIME_EXCEEDED" in [event["eventType"] for event in job["events"]]


async def test_a_cancelled_electron_leaves_no_container(
    engine: DockerEngine, braket: Lab, built: dict[str, Any]
) -> None:
    import asyncio

    executor = BraketExecutor(local=True, ecr_image_uri=uri_of(built["image"]))
    running = asyncio.create_task(executor.run(rest, [], {}, metadata()))
    client = braket.client("braket")
    before = {job["jobArn"] for job in client.search_jobs(filters=[])["jobs"]}

    def begun() -> str | None:
        jobs = client.search_jobs(filters=[])["jobs"]
        new = [job for job in jobs if job["jobArn"] not in before]
        return new[0]["jobArn"] if new and new[0]["status"] == "RUNNING" else None

    arn = await asyncio.to_thread(eventually, begun)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError, TaskCancelledError):
        await running
    await asyncio.to_thread(braket.wait, arn, "CANCELLED")
    assert containers(engine, f"job={arn}") == []


def test_an_image_that_the_engine_does_not_have_runs_as_before(braket: Lab) -> None:
    seen = braket.shown(braket.run("see"))
    assert seen["environment"]["HOME"] != "/tmp"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_ends_leaves_no_container(
    engine: DockerEngine, program: str, tmp_path: Path, number: signal.Signals
) -> None:
    lab = docker_lab(tmp_path / "state")
    try:
        arn = lab.create("stubborn", **on_image(program))
        lab.wait(arn, "RUNNING")
        eventually(lambda: containers(engine, f"job={arn}"))
        os.kill(lab.info["pid"], number)
        eventually(lambda: not containers(engine, f"job={arn}"), 15)
    finally:
        lab.stop()


def test_a_server_that_starts_removes_what_its_predecessor_left(
    engine: DockerEngine, program: str, tmp_path: Path
) -> None:
    label = {"covalent-braket.local": str(tmp_path / "state")}
    left = engine.client.containers.run(
        PROGRAM_IMAGE, ["sleep", "300"], labels=label, network_mode="none", detach=True
    )
    lab = docker_lab(tmp_path / "state")
    try:
        assert containers(engine, f"local={tmp_path / 'state'}") == []
    finally:
        lab.stop()
        with contextlib.suppress(Exception):
            left.remove(force=True)


# Pushing


@pytest.fixture(scope="module")
def registry(
    engine: DockerEngine, front: Front, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    if not engine.own:
        missing(f"the engine at {engine.url} was not started to find a registry under ECR's name")
    with running_registry(front, tmp_path_factory.mktemp("registry"), _free_port()) as url:
        yield url


def push(*arguments: str) -> CompletedProcess[str]:
    return image("push", *arguments, "--set", "local=yes", "--no-config")


def test_an_image_is_pushed_with_ecrs_login_and_runs_under_its_new_name(
    engine: DockerEngine, front: Front, registry: str, braket: Lab, built: dict[str, Any]
) -> None:
    tag = built["image"].partition(":")[2]
    uri = f"{HOST}/{REPOSITORY}:{tag}"
    done = push(built["image"], "--repository", REPOSITORY, "--create-repository")
    assert done.returncode == 0, done.stderr
    assert f'ecr_image_uri = "{uri}"' in done.stdout
    assert catalogue(registry, REPOSITORY) == {"name": REPOSITORY, "tags": [tag]}
    assert front.refused > 0  # who has no login is not let in
    made = braket.client("ecr").describe_repositories(repositoryNames=[REPOSITORY])["repositories"]
    assert made[0]["imageTagMutability"] == "IMMUTABLE"
    assert made[0]["imageScanningConfiguration"] == {"scanOnPush": True}
    assert engine.client.images.get(uri).id == built["id"]


def test_save_writes_the_uri_into_covalents_configuration_and_nothing_else(
    registry: str, braket: Lab, built: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "covalent.conf"
    path.write_text('[sdk]\nlog_dir = "here"\n\n[executors.braket]\nregion = "us-east-1"\n')
    before = tomllib.loads(path.read_text())
    place = ("--repository", "amazon-braket-saved", "--create-repository", "--tag", "2")
    saving = ("--save", "--json", "--set", "local=yes", "--config", str(path))
    done = image("push", built["image"], *place, *saving)
    assert done.returncode == 0, done.stderr
    uri = json.loads(done.stdout)["ecr_image_uri"]
    assert uri == f"{HOST}/amazon-braket-saved:2"
    before["executors"]["braket"]["ecr_image_uri"] = uri
    assert tomllib.loads(path.read_text()) == before


def test_an_immutable_tag_is_not_pushed_again(
    registry: str, braket: Lab, built: dict[str, Any]
) -> None:
    ecr = braket.client("ecr")
    name = "amazon-braket-immutable"
    ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    # The registry beside moto tells it nothing of what was pushed.
    ecr.put_image(repositoryName=name, imageTag="1", imageManifest=json.dumps(MANIFEST))
    done = push(built["image"], "--repository", name, "--tag", "1")
    assert done.returncode == 1
    assert f"{HOST}/{name}:1 is there already" in done.stderr
    assert "--tag 1-2" in done.stderr


MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {"digest": f"sha256:{0:064}", "size": 0},
    "layers": [],
}


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (("no-such:1", "--repository", "mine"), "covalent-braket image build"),
        (("--repository", "not-there"), "--create-repository"),
        (("--repository", "public.ecr.aws/x/y"), "private ECR repositories only"),
        (("--repository", f"{HOST.replace('us-east-1', 'us-west-2')}/x"), "region=us-west-2"),
    ],
)
def test_a_push_that_cannot_be_says_what_to_do(
    braket: Lab, built: dict[str, Any], arguments: tuple[str, ...], fix: str
) -> None:
    named = () if arguments[0] == "no-such:1" else (built["image"],)
    done = push(*named, *arguments)
    assert done.returncode == 1
    assert fix in done.stderr
    assert len(done.stderr.splitlines()) == 1
