"""What CreateJob refuses although the request fits its schema."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Protocol

from covalent_braket_plugin.local.jobs.s3_uri import bucket_and_key
from covalent_braket_plugin.local.reservations import check_reservation
from covalent_braket_plugin.local.service import Caller, ObjectStore, Params, ServiceError

__all__ = ["DeviceLookup", "FoundDevice", "check_job"]

# Amazon Braket Developer Guide, "Save and restart jobs using checkpoints".
FORBIDDEN_CHECKPOINT_PATHS = ("/opt/ml", "/opt/braket", "/tmp", "/usr/local/nvidia")
DEFAULT_CHECKPOINT_PATH = "/opt/braket/checkpoints"

# Developer Guide: "local:<provider>/<simulator_name>", of letters, digits, _, -, and .
LOCAL_DEVICE = re.compile(r"local:[\w.-]+/[\w.-]+", re.ASCII)

# General limits of AWS tags; the service model states none.
MAX_TAGS = 50
MAX_TAG_KEY = 128
MAX_TAG_VALUE = 256


class FoundDevice(Protocol):
    """What a job needs to know of a device."""

    @property
    def status(self) -> str:
        """ONLINE, OFFLINE or RETIRED."""

    @property
    def is_qpu(self) -> bool:
        """Whether it is a quantum processor, which runs one job at a time."""


DeviceLookup = Callable[[str, str], FoundDevice | None]
"""Finds a device by ARN and the region that it is to be reached from."""


def check_job(
    caller: Caller, params: Params, store: ObjectStore, find_device: DeviceLookup
) -> None:
    """Check a CreateJob request beyond its schema.

    Raises:
        ServiceError: ``ValidationException``, ``DeviceOfflineException`` or
            ``DeviceRetiredException``.
    """
    _check_program(params["algorithmSpecification"])
    _check_role(caller, params["roleArn"])
    _check_bucket(caller, params["outputDataConfig"]["s3Path"], store)
    _check_device(caller, params, find_device)
    _check_instances(params["instanceConfig"])
    _check_channels(params.get("inputDataConfig") or [])
    if params.get("checkpointConfig"):
        _check_checkpoint_path(params["checkpointConfig"].get("localPath"))
        _check_bucket(caller, params["checkpointConfig"]["s3Uri"], store)
    check_tags(params.get("tags") or {})


def check_tags(tags: dict[str, str]) -> None:
    """Check tags against the general limits of AWS.

    Raises:
        ServiceError: ``ValidationException``.
    """
    if len(tags) > MAX_TAGS:
        _refuse(f"A resource can have at most {MAX_TAGS} tags")
    for key, value in tags.items():
        if not 1 <= len(key) <= MAX_TAG_KEY or key.lower().startswith("aws:"):
            _refuse(f"Tag key {key!r} must have 1 to {MAX_TAG_KEY} characters and no aws: prefix")
        if len(value) > MAX_TAG_VALUE:
            _refuse(f"The value of tag {key!r} is longer than {MAX_TAG_VALUE} characters")


def _check_program(specification: Params) -> None:
    if not specification.get("scriptModeConfig") and not specification.get("containerImage"):
        _refuse("algorithmSpecification needs scriptModeConfig, containerImage or both")


def _check_role(caller: Caller, role_arn: str) -> None:
    if role_arn.split(":")[4] != caller.account_id:
        _refuse(f"Role {role_arn} is not a role of the caller's account, {caller.account_id}")


def _check_bucket(caller: Caller, uri: str, store: ObjectStore) -> None:
    bucket, _ = bucket_and_key(uri)
    if not store.bucket_exists(caller.region, bucket):
        # The service does not create buckets either, and says it in these words.
        _refuse(f"Caller doesn't have access to {bucket}")


def _check_device(caller: Caller, params: Params, find_device: DeviceLookup) -> None:
    device = params["deviceConfig"]["device"]
    if device.startswith("local:"):
        if not LOCAL_DEVICE.fullmatch(device):
            _refuse(f"Device {device!r} must be of the form local:<provider>/<simulator>")
        check_reservation(params, device, is_qpu=False)
        return
    found = find_device(device, caller.region)
    if found is None:
        _refuse(f"Device {device} does not exist in {caller.region}")
    elif found.status == "RETIRED":
        raise ServiceError("DeviceRetiredException", f"Device {device} is retired")
    elif found.status == "OFFLINE":
        raise ServiceError("DeviceOfflineException", f"Device {device} is offline")
    else:
        check_reservation(params, device, is_qpu=found.is_qpu)


def _check_instances(config: Params) -> None:
    count = config.get("instanceCount") or 1
    if count > 1:
        # One is the default quota of an account, too.
        _refuse(f"The local Braket runs a job on one instance, not on {count}")


def _check_channels(channels: list[Params]) -> None:
    names = [channel["channelName"] for channel in channels]
    for name in names:
        if names.count(name) > 1:
            _refuse(f"Input channel {name!r} is given more than once")
        if name in (".", ".."):
            _refuse(f"Input channel {name!r} is not a legal name")


def _check_checkpoint_path(given: str | None) -> None:
    given = given or DEFAULT_CHECKPOINT_PATH
    if not given.startswith("/") or ".." in given.split("/"):
        _refuse(f"Checkpoint localPath {given!r} must be an absolute path")
    # normpath leaves two leading slashes alone.
    path = posixpath.normpath("/" + given.lstrip("/"))
    if path == DEFAULT_CHECKPOINT_PATH:
        return
    for forbidden in FORBIDDEN_CHECKPOINT_PATHS:
        if path == forbidden or path.startswith(f"{forbidden}/"):
            _refuse(f"Checkpoint localPath {given!r} must not be under {forbidden}")


def _refuse(text: str) -> None:
    raise ServiceError("ValidationException", text)
