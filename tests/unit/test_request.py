"""Every request that leaves us is one that Braket's service model allows."""

from __future__ import annotations

import random
import re
import string
from typing import Any

import pytest

from covalent_braket_plugin.errors import SettingError
from covalent_braket_plugin.protocol import Keys, Task
from covalent_braket_plugin.request import (
    client_token,
    create_job_request,
    job_name,
    job_tags,
    role_arn,
)
from covalent_braket_plugin.settings import Settings, resolve
from covalent_braket_plugin.settings.rules import tag_character
from tests.support.service_model import violations

DISPATCH = "0a1b2c3d-4e5f-4a6b-8c7d-1234567890ab"
ROLE = "arn:aws:iam::123456789012:role/service-role/AmazonBraketJobsExecutionRole"
SV1 = "arn:aws:braket:::device/quantum-simulator/amazon/sv1"
FORTE = "arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1"
GARNET = "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet"
RESERVATION = "arn:aws:braket:eu-north-1:123456789012:reservation/0a1b"
CONFIGURED: dict[str, object] = {
    "region": "us-east-1",
    "ecr_image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/worker:py312",
}
ODD_NAMES = [
    "",
    "x",
    "energy_of_h2",
    "<lambda>",
    "-",
    "---",
    "_private_",
    "a" * 300,
    "é" * 60,
    "量子ビット",
    "Größe_der_Energie",
    "emoji 🚀 name",
    "tab\tand\nnewline",
    "trailing-dash-------x",
    "a-" * 40,
    "\u0660\u0661",
    "\ud800",
    "\0",
    ":parameter:1",
]


def configured(**given: object) -> Settings:
    return resolve({**CONFIGURED, **given}, {}, {})


def request(task: Task, settings: Settings | None = None) -> dict[str, Any]:
    settings = settings or configured()
    keys = Keys.of("amazon-braket-us-east-1-123456789012", settings.s3_prefix, task)
    return create_job_request(settings, task, keys, "0" * 64, ROLE)


def random_tasks(count: int) -> list[Task]:
    source = random.Random(7)
    alphabet = string.printable + "äßçжλ漢字🚀\u2028\x85\ud800"
    names = ["".join(source.choices(alphabet, k=source.randrange(90))) for _ in range(2 * count)]
    return [
        Task(DISPATCH, source.randrange(10**6), source.randrange(1, 99), *names[2 * n : 2 * n + 2])
        for n in range(count)
    ]


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_any_name_makes_a_request_that_the_service_model_allows(name: str) -> None:
    assert violations("CreateJob", request(Task(DISPATCH, 3, 1, name, name))) == []


def test_random_names_make_requests_that_the_service_model_allows() -> None:
    for task in random_tasks(300):
        assert violations("CreateJob", request(task)) == [], task


@pytest.mark.parametrize(
    "given",
    [
        {"s3_prefix": "p" * 512},
        {"s3_prefix": "/"},
        {"kms_key_id": "alias/mine"},
        {"hyperparameters": {f"h{n}": "x" * 2500 for n in range(95)}},
        {"tags": {f"t{n}": "v" * 256 for n in range(44)}},
        {"time_limit": 432000, "storage": 1, "instance_count": 2},
        {"quantum_device": "local:none/none"},
        {"job_name": "{lattice}-{electron}-{dispatch}-{node}-{attempt}"},
    ],
)
def test_settings_at_their_limits_make_requests_that_the_service_model_allows(
    given: dict[str, object],
) -> None:
    made = request(Task(DISPATCH, 10**6, 99, "n" * 300, "l" * 300), configured(**given))
    assert violations("CreateJob", made) == []
    assert len(made["tags"]) <= 50
    assert len(made["hyperParameters"]) <= 100


def test_the_request_says_what_the_settings_say() -> None:
    made = request(
        Task(DISPATCH, 3, 1, "energy", "vqe"),
        configured(
            time_limit=60,
            storage=12,
            instance_count=2,
            classical_device="ml.c5.xlarge",
            kms_key_id="alias/mine",
            hyperparameters={"depth": 3},
            tags={"team": "blue"},
        ),
    )
    below = "s3://amazon-braket-us-east-1-123456789012/covalent"
    base, checkpoints = f"{below}/{DISPATCH}/node-3/attempt-1", f"{below}/checkpoints"
    assert made == {
        "clientToken": client_token(Task(DISPATCH, 3, 1)),
        "jobName": "energy-0a1b2c3d4e5f-3-1",
        "algorithmSpecification": {"containerImage": {"uri": CONFIGURED["ecr_image_uri"]}},
        "outputDataConfig": {"s3Path": f"{base}/job", "kmsKeyId": "alias/mine"},
        "roleArn": ROLE,
        "instanceConfig": {
            "instanceType": "ml.c5.xlarge",
            "volumeSizeInGb": 12,
            "instanceCount": 2,
        },
        "deviceConfig": {"device": "arn:aws:braket:::device/quantum-simulator/amazon/sv1"},
        "hyperParameters": {
            "depth": "3",
            "covalent_manifest": f"{base}/manifest.json",
            "covalent_manifest_sha256": "0" * 64,
            "covalent_protocol": "1",
            "covalent_run": '{"time_limit": 60, "own_checkpoints": true}',
        },
        "checkpointConfig": {
            "s3Uri": f"{checkpoints}/{DISPATCH}/node-3/saved",
            "localPath": "/opt/jobs/checkpoints",
        },
        "stoppingCondition": {"maxRuntimeInSeconds": 60},
        "tags": {
            "team": "blue",
            "covalent:dispatch_id": DISPATCH,
            "covalent:node_id": "3",
            "covalent:lattice": "vqe",
            "covalent:electron": "energy",
            "covalent:attempt": "1",
        },
    }


def test_an_unset_key_is_left_out() -> None:
    assert set(request(Task(DISPATCH, 3))["outputDataConfig"]) == {"s3Path"}


def test_the_same_task_makes_the_same_request() -> None:
    assert request(Task(DISPATCH, 3, 1, "f")) == request(Task(DISPATCH, 3, 1, "f"))


def test_names_and_tokens_are_the_tasks_alone() -> None:
    other = "0a1b2c3d-4e5e-4a6b-8c7d-1234567890ab"
    tasks = [Task(d, n, a) for d in (DISPATCH, other) for n in (1, 11, 111) for a in (1, 11)]
    assert len({job_name(task) for task in tasks}) == len(tasks)
    assert len({client_token(task) for task in tasks}) == len(tasks)
    assert all(re.fullmatch("[0-9a-f]{64}", client_token(task)) for task in tasks)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("energy_of_h2", "energy-of-h2-0a1b2c3d4e5f-3-1"),
        ("Größe", "Groe-0a1b2c3d4e5f-3-1"),
        ("量子", "electron-0a1b2c3d4e5f-3-1"),
        ("<lambda>", "lambda-0a1b2c3d4e5f-3-1"),
        ("minimise_the_cost_of_everything", "minimise-the-cost-of-0a1b2c3d4e5f-3-1"),
    ],
)
def test_a_job_name_is_readable(name: str, expected: str) -> None:
    assert job_name(Task(DISPATCH, 3, 1, name)) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{lattice}-{electron}", "vqe-of-molecules-energy-of-h2"),
        ("{lattice}/{electron} {{v1}} {node}", "vqe-of-molecules-energy-of-h2-v1-3"),
        ("run {attempt} of {dispatch}", "run-1-of-0a1b2c3d4e5f"),
        ("{{}}", "electron"),
    ],
)
def test_a_template_names_jobs(template: str, expected: str) -> None:
    assert job_name(Task(DISPATCH, 3, 1, "energy_of_h2", "vqe of molecules"), template) == expected


def test_a_lattice_without_a_name_leaves_no_gap() -> None:
    assert job_name(Task(DISPATCH, 3, 1, "energy"), "{lattice}-{electron}-{node}") == "energy-3"


@pytest.mark.parametrize(
    "template",
    [
        "{lattice}-{electron}-{dispatch}-{node}-{attempt}",
        "{dispatch}-{node}-{attempt}-{electron}{lattice}",
        "x" * 200 + "-{dispatch}-{node}-{attempt}-" + "y" * 20,
        "{electron}" * 20 + "-{dispatch}-{node}-{attempt}",
    ],
)
def test_a_long_name_keeps_dispatch_node_and_attempt(template: str) -> None:
    name = job_name(Task(DISPATCH, 3456, 12, "e" * 80, "l" * 80), template)
    assert len(name) == 50
    assert "-".join(["0a1b2c3d4e5f", "3456", "12"]) in name


def test_a_long_name_shortens_the_longest_word_first() -> None:
    name = job_name(Task(DISPATCH, 3, 1, "energy", "l" * 80), "{lattice}-{electron}-{dispatch}")
    assert name == "l" * 30 + "-energy-0a1b2c3d4e5f"


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
@pytest.mark.parametrize("template", ["{electron}", "-{lattice}-", "{dispatch}" * 6, "é{{ {node}"])
def test_any_template_makes_a_name_that_the_service_takes(name: str, template: str) -> None:
    made = request(Task(DISPATCH, 3, 1, name, name), configured(job_name=template))
    assert violations("CreateJob", made) == []


def test_a_job_in_a_reservation_says_so() -> None:
    settings = configured(
        region="eu-north-1",
        ecr_image_uri=None,
        quantum_device=GARNET,
        reservation_arn=RESERVATION,
    )
    made = request(Task(DISPATCH, 3), settings)
    assert made["associations"] == [{"arn": RESERVATION, "type": "RESERVATION_TIME_WINDOW_ARN"}]
    assert violations("CreateJob", made) == []
    assert "associations" not in request(Task(DISPATCH, 3))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"region": "us-east-1", "quantum_device": SV1}, "only QPUs can be reserved"),
        ({"region": "us-east-1", "quantum_device": "local:none/none"}, "only QPUs can be reserved"),
        ({"region": "us-east-1", "quantum_device": FORTE}, "the job is in us-east-1"),
        ({"if_device_unavailable": "fallback"}, "Leave out if_device_unavailable"),
        ({"reservation_arn": RESERVATION.replace("1234", "2345")}, "of another account"),
    ],
    ids=str,
)
def test_a_reservation_that_cannot_be_the_jobs_is_refused(
    given: dict[str, object], text: str
) -> None:
    good = {"region": "eu-north-1", "quantum_device": GARNET, "reservation_arn": RESERVATION}
    with pytest.raises(SettingError, match=text):
        request(Task(DISPATCH, 3), resolve({**good, **given}, {}, {}))


@pytest.mark.parametrize("dispatch_id", ["", "x", "_/_", DISPATCH.upper(), "0" * 40])
def test_a_dispatch_id_of_another_form_is_named_by_a_digest(dispatch_id: str) -> None:
    name = job_name(Task(dispatch_id, 3, 1, "f"))
    assert re.fullmatch("f-[0-9a-f]{12}-3-1", name)
    assert name != job_name(Task(dispatch_id + "x", 3, 1, "f"))


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_tags_hold_only_what_aws_takes(name: str) -> None:
    for value in job_tags(Task(DISPATCH, 3, 1, name, name), Settings()).values():
        assert len(value) <= 256
        assert all(map(tag_character, value))


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("Name", "arn:aws-cn:iam::123456789012:role/Name"),
        ("service-role/Name", "arn:aws-cn:iam::123456789012:role/service-role/Name"),
        ("/service-role/Name", "arn:aws-cn:iam::123456789012:role/service-role/Name"),
        ("arn:aws:iam::210987654321:role/Name", "arn:aws:iam::210987654321:role/Name"),
    ],
)
def test_a_role_becomes_an_arn(role: str, expected: str) -> None:
    assert role_arn(role, "123456789012", "aws-cn") == expected


AWS_IMAGE = "292282985366.dkr.ecr.us-east-1.amazonaws.com/amazon-braket-pytorch-jobs:latest"


@pytest.mark.parametrize("image", [None, AWS_IMAGE])
def test_in_an_image_of_aws_the_job_brings_the_worker_along(image: str | None) -> None:
    made = request(Task(DISPATCH, 3), configured(ecr_image_uri=image))
    base = f"s3://amazon-braket-us-east-1-123456789012/covalent/{DISPATCH}/node-3/attempt-1"
    assert made["algorithmSpecification"] == {
        "scriptModeConfig": {
            "entryPoint": "covalent_braket_job.start:run",
            "s3Uri": f"{base}/worker.tar.gz",
            "compressionType": "GZIP",
        },
        **({"containerImage": {"uri": image}} if image else {}),
    }
    assert violations("CreateJob", made) == []


def test_a_broken_setting_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(SettingError, match="time_limit"):
        request(Task(DISPATCH, 3), configured(time_limit=0))


def test_an_output_path_that_is_too_long_is_refused() -> None:
    with pytest.raises(SettingError, match="s3_prefix"):
        create_job_request(
            configured(),
            Task(DISPATCH, 3),
            Keys("b", "x" * 1024),
            "0" * 64,
            "arn:aws:iam::123456789012:role/Job",
        )
