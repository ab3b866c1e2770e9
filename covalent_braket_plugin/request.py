"""Pure functions from settings and a task to the exact keywords of ``CreateJob``.

Everything that names a job comes from its task alone, so that the same task makes the same
request, and Braket answers a repeated one with the job that exists already.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Any

from covalent_braket_plugin import bundle
from covalent_braket_plugin.errors import SettingError
from covalent_braket_plugin.job.hyperparameters import encode
from covalent_braket_plugin.protocol import (
    HP_MANIFEST,
    HP_MANIFEST_SHA256,
    HP_PROTOCOL,
    PROTOCOL_VERSION,
    Keys,
    Task,
)
from covalent_braket_plugin.settings import Settings, check
from covalent_braket_plugin.settings.rules import tag_character

__all__ = ["client_token", "create_job_request", "job_name", "job_tags", "role_arn"]

JOB_NAME_LENGTH = 50
SLUG_LENGTH = 20
TAG_VALUE_LENGTH = 256
S3_PATH_LENGTH = 1024


def create_job_request(
    settings: Settings,
    task: Task,
    keys: Keys,
    manifest_sha256: str,
    role: str,
) -> dict[str, Any]:
    """Write the keywords of boto3's ``create_job``.

    Args:
        settings: The executor's settings.
        task: What to run.
        keys: Where the task lies in S3.
        manifest_sha256: The manifest's digest, in hexadecimal.
        role: ARN of the role that the job runs as.

    Raises:
        SettingError: A setting breaks a limit of the service.
    """
    check(settings)
    return {
        "clientToken": client_token(task),
        "jobName": job_name(task),
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
        },
        "stoppingCondition": {"maxRuntimeInSeconds": settings.time_limit},
        "tags": job_tags(task, settings),
    }


def job_name(task: Task) -> str:
    """Name the task's job: legal for Braket, readable, and the task's alone.

    Such as ``energy-of-h2-0a1b2c3d4e5f-3-1``: function, dispatch, node, attempt.
    """
    tail = f"-{_short(task.dispatch_id)}-{task.node_id}-{task.attempt}"
    room = min(SLUG_LENGTH, JOB_NAME_LENGTH - len(tail))
    return (_slug(task.name)[:room].strip("-") or "e") + tail


def client_token(task: Task) -> str:
    """Make the token by which Braket recognises a repeated request: 64 characters."""
    return hashlib.sha256(_identity(task).encode()).hexdigest()


def job_tags(task: Task, settings: Settings) -> dict[str, str]:
    """Join the user's tags and ours, which say what the job belongs to.

    Names may hold anything, tags may not: what AWS refuses is left out, what is too long is cut.
    """
    ours = {
        "covalent:dispatch_id": task.dispatch_id,
        "covalent:node_id": str(task.node_id),
        "covalent:lattice": task.lattice_name,
        "covalent:electron": task.name,
    }
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


def _output(settings: Settings, output_uri: str) -> dict[str, str]:
    if len(output_uri) > S3_PATH_LENGTH:
        rule = f"Braket takes S3 paths of at most {S3_PATH_LENGTH} characters"
        raise SettingError("s3_prefix", settings.s3_prefix, rule, "Use a shorter prefix.")
    # boto3 refuses None, so an unset key is left out.
    key = {"kmsKeyId": settings.kms_key_id} if settings.kms_key_id else {}
    return {"s3Path": output_uri, **key}


def _identity(task: Task) -> str:
    return f"{task.dispatch_id}/{task.node_id}/{task.attempt}"


def _short(dispatch_id: str) -> str:
    """Twelve hexadecimal digits: the UUID's first, which are random, else of a digest."""
    if re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", dispatch_id):
        return dispatch_id.replace("-", "")[:12]
    return hashlib.sha256(dispatch_id.encode()).hexdigest()[:12]


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-zA-Z0-9]+", "-", plain).strip("-") or "electron"


def _tag_value(text: str) -> str:
    return "".join(filter(tag_character, text))[:TAG_VALUE_LENGTH].strip()
