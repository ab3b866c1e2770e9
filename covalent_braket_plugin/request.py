"""Pure functions from settings and a task to the exact keywords of ``CreateJob``.

Everything that names a job comes from its task alone, so that the same task makes the same
request, and Braket answers a repeated one with the job that exists already.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

from covalent_braket_plugin import bundle
from covalent_braket_plugin.descriptions import DEVICE_WANTED_TAG
from covalent_braket_plugin.errors import SettingError
from covalent_braket_plugin.job.hyperparameters import encode
from covalent_braket_plugin.protocol import (
    HP_MANIFEST,
    HP_MANIFEST_SHA256,
    HP_PROTOCOL,
    HP_RUN,
    PROTOCOL_VERSION,
    InputChannel,
    Keys,
    Task,
    checkpoints_key,
)
from covalent_braket_plugin.settings import Settings, check
from covalent_braket_plugin.settings.rules import Problem, tag_character

__all__ = ["client_token", "create_job_request", "job_name", "job_tags", "role_arn"]

JOB_NAME_LENGTH = 50
DEFAULT_JOB_NAME = "{electron}-{dispatch}-{node}-{attempt}"
WORD_LENGTH = 20
"""So much of the electron's name is in the name of its job, unless a template is given."""
TAG_VALUE_LENGTH = 256
S3_PATH_LENGTH = 1024


def create_job_request(
    settings: Settings,
    task: Task,
    keys: Keys,
    manifest_sha256: str,
    role: str,
    *,
    channels: Sequence[InputChannel] = (),
    device_wanted: str = "",
) -> dict[str, Any]:
    """Write the keywords of boto3's ``create_job``.

    Args:
        settings: The executor's settings.
        task: What to run.
        keys: Where the task lies in S3.
        manifest_sha256: The manifest's digest, in hexadecimal.
        role: ARN of the role that the job runs as.
        channels: Its input data.
        device_wanted: The device that was wanted, if it is not the one in the settings.

    Raises:
        SettingError: A setting breaks a limit of the service.
    """
    check(settings)
    return {
        "clientToken": client_token(task),
        "jobName": job_name(task, settings.job_name),
        "algorithmSpecification": _algorithm(settings, keys),
        "outputDataConfig": _output(settings, keys.output_uri),
        "roleArn": role,
        "instanceConfig": {
            "instanceType": settings.classical_device,
            "volumeSizeInGb": settings.storage,
            "instanceCount": settings.instance_count,
        },
        "deviceConfig": {"device": settings.quantum_device},
        "hyperParameters": {
            **encode(settings.hyperparameters),
            HP_MANIFEST: keys.uri(keys.manifest),
            HP_MANIFEST_SHA256: manifest_sha256,
            HP_PROTOCOL: str(PROTOCOL_VERSION),
            HP_RUN: _run(settings),
        },
        "checkpointConfig": {
            "s3Uri": keys.uri(checkpoints_key(settings.s3_prefix, task, settings.checkpoint_key)),
            "localPath": settings.checkpoint_local_path,
        },
        "stoppingCondition": {"maxRuntimeInSeconds": settings.time_limit},
        "tags": job_tags(task, settings, device_wanted),
        **_reservation(settings, role),
        **_input_data(channels),
    }


def job_name(task: Task, template: str | None = None) -> str:
    """Name the task's job: legal for Braket, readable, and unless told otherwise the task's alone.

    Such as ``energy-of-h2-0a1b2c3d4e5f-3-1``: function, dispatch, node, attempt. What is too long
    loses letters of the electron's and the lattice's name first, then of the template's own text.

    Args:
        task: What the job is for.
        template: The setting `job_name`; by it jobs of several tasks may have the same name.
    """
    pieces = list(_pieces(task, template))
    while len(name := _slug("".join(piece.text for piece in pieces))) > JOB_NAME_LENGTH:
        if not _shrink(pieces):  # it repeats its fields
            half = JOB_NAME_LENGTH // 2
            return _slug(name[:half] + name[-half:])
    return name or "electron"


def _run(settings: Settings) -> str:
    own = settings.checkpoint_key is None
    return json.dumps({"time_limit": settings.time_limit, "own_checkpoints": own})


def client_token(task: Task) -> str:
    """Make the token by which Braket recognises a repeated request: 64 characters."""
    return hashlib.sha256(_identity(task).encode()).hexdigest()


def job_tags(task: Task, settings: Settings, device_wanted: str = "") -> dict[str, str]:
    """Join the user's tags and ours, which say what the job belongs to.

    Names may hold anything, tags may not: what AWS refuses is left out, what is too long is cut.
    """
    ours = {
        "covalent:dispatch_id": task.dispatch_id,
        "covalent:node_id": str(task.node_id),
        "covalent:lattice": task.lattice_name,
        "covalent:electron": task.name,
        "covalent:attempt": str(task.attempt),
    }
    if device_wanted:
        ours[DEVICE_WANTED_TAG] = device_wanted
    return {**settings.tags, **{key: _tag_value(text) for key, text in ours.items()}}


def role_arn(role: str, account_id: str, partition: str) -> str:
    """Complete a role that is given as a name or path/name; an ARN stays as it is."""
    if role.startswith("arn:"):
        return role
    return f"arn:{partition}:iam::{account_id}:role/{role.lstrip('/')}"


def _algorithm(settings: Settings, keys: Keys) -> dict[str, Any]:
    uri = settings.ecr_image_uri
    image = {"containerImage": {"uri": uri}} if uri else {}  # else Braket takes its base image
    if not settings.script_mode:
        return image
    script = {
        "entryPoint": bundle.ENTRY_POINT,
        "s3Uri": keys.uri(keys.source),
        "compressionType": "GZIP",
    }
    return {"scriptModeConfig": script, **image}


def _input_data(channels: Sequence[InputChannel]) -> dict[str, Any]:
    if not channels:
        return {}
    return {"inputDataConfig": [_channel(channel) for channel in channels]}


def _channel(channel: InputChannel) -> dict[str, Any]:
    described: dict[str, Any] = {
        "channelName": channel.name,
        "dataSource": {"s3DataSource": {"s3Uri": channel.uri}},
    }
    return {**described, **({"contentType": channel.content_type} if channel.content_type else {})}


def _output(settings: Settings, output_uri: str) -> dict[str, str]:
    if len(output_uri) > S3_PATH_LENGTH:
        rule = f"Braket takes S3 paths of at most {S3_PATH_LENGTH} characters"
        raise SettingError("s3_prefix", settings.s3_prefix, rule, "Use a shorter prefix.")
    # boto3 refuses None, so an unset key is left out.
    key = {"kmsKeyId": settings.kms_key_id} if settings.kms_key_id else {}
    return {"s3Path": output_uri, **key}


def _reservation(settings: Settings, role: str) -> dict[str, Any]:
    """Have the job run in a reservation, in which it starts and all its quantum tasks run.

    https://docs.aws.amazon.com/braket/latest/developerguide/braket-run-hybrid-jobs-with-reservation.html
    """
    arn = settings.reservation_arn
    if arn is None:
        return {}
    # A role is the job's account's: it cannot be handed across accounts.
    problem = _reservation_problem(settings, *arn.split(":")[3:5], job_account=role.split(":")[4])
    if problem:
        raise SettingError("reservation_arn", arn, problem.rule, problem.fix)
    return {"associations": [{"arn": arn, "type": "RESERVATION_TIME_WINDOW_ARN"}]}


def _reservation_problem(
    settings: Settings, region: str, account: str, *, job_account: str
) -> Problem | None:
    device = settings.quantum_device
    if device.startswith("local:") or ":device/quantum-simulator/" in device:
        fix = "Set quantum_device to the device that is reserved, or leave the reservation out."
        return Problem(fix, f"only QPUs can be reserved, and quantum_device is {device}")
    if settings.if_device_unavailable == "fallback":
        rule = "a job in a reservation can use no other device, but if_device_unavailable is"
        return Problem("Leave out if_device_unavailable.", f"{rule} 'fallback'")
    if settings.region not in (None, region):
        fix = f"Use a reservation in {settings.region}, or a device of {region}."
        return Problem(fix, f"the job is in {settings.region}")
    if account != job_account:
        fix = f"Use credentials of account {account}, or a reservation of {job_account}."
        return Problem(fix, f"it is of another account than the job, which is in {job_account}")
    return None


@dataclass
class _Piece:
    """A part of a job's name.

    Attributes:
        text: As it stands there.
        shrinks: Whether it may lose letters: 2 as a name, 1 as the template's text, 0 not.
    """

    text: str
    shrinks: int = 0


def _pieces(task: Task, template: str | None) -> Iterator[_Piece]:
    most = JOB_NAME_LENGTH if template else WORD_LENGTH
    names = {"electron": _slug(task.name) or "electron", "lattice": _slug(task.lattice_name)}
    rest = {
        "dispatch": _short(task.dispatch_id),
        "node": str(task.node_id),
        "attempt": str(task.attempt),
    }
    for text, name, *_ in Formatter().parse(template or DEFAULT_JOB_NAME):
        yield _Piece(text, 1)
        if name in names:
            yield _Piece(names[name][:most], 2)
        elif name is not None:
            yield _Piece(rest[name])


def _shrink(pieces: list[_Piece]) -> bool:
    """Take a letter off the longest name, or where they are down to one out of the longest text."""
    for kind in (2, 1):
        mine = [piece for piece in pieces if piece.shrinks == kind and len(piece.text) > 1]
        if mine:
            longest = max(mine, key=lambda piece: len(piece.text))
            at = len(longest.text) - 1 if kind == 2 else len(longest.text) // 2
            longest.text = longest.text[:at] + longest.text[at + 1 :]
            return True
    return False


def _identity(task: Task) -> str:
    return f"{task.dispatch_id}/{task.node_id}/{task.attempt}"


def _short(dispatch_id: str) -> str:
    """Twelve hexadecimal digits: the UUID's first, which are random, else of a digest."""
    if re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", dispatch_id):
        return dispatch_id.replace("-", "")[:12]
    return hashlib.sha256(dispatch_id.encode()).hexdigest()[:12]


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-zA-Z0-9]+", "-", plain).strip("-")


def _tag_value(text: str) -> str:
    return "".join(filter(tag_character, text))[:TAG_VALUE_LENGTH].strip()
