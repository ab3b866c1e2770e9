"""What CreateJob refuses although the request fits its schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlparse

from covalent_braket_plugin.local.service import Caller, ObjectStore, Params, ServiceError

__all__ = ["DeviceLookup", "FoundDevice", "check_job"]

# Amazon Braket Developer Guide, "Save and restart jobs using checkpoints".
FORBIDDEN_CHECKPOINT_PATHS = ("/opt/ml", "/opt/braket", "/tmp", "/usr/local/nvidia")
DEFAULT_CHECKPOINT_PATH = "/opt/braket/checkpoints"

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


DeviceLookup = Callable[[str], FoundDevice | None]


def check_job(
    caller: Caller, params: Params, store: ObjectStore, find_device: DeviceLookup
) -> None:
    """Check a CreateJob request beyond its schema.

    Raises:
        ServiceError: ``ValidationException``, ``DeviceOfflineException`` or
            ``DeviceRetiredException``.
    """
    _check_program(params["algorithmSpecification"])
    _check_output(caller, params["outputDataConfig"]["s3Path"], store)
    _check_device(params["deviceConfig"]["device"], find_device)
    _check_channels(params.get("inputDataConfig") or [])
    _check_checkpoint(params.get("checkpointConfig") or {})
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


def _check_output(caller: Caller, path: str, store: ObjectStore) -> None:
    bucket = urlparse(path).netloc
    if not store.bucket_exists(caller.region, bucket):
        # The service does not create buckets either, and says it in these words.
        _refuse(f"Caller doesn't have access to {bucket}")


def _check_device(device: str, find_device: DeviceLookup) -> None:
    if device.startswith("local:"):
        return
    found = find_device(device)
    if found is None:
        _refuse(f"Device {device} does not exist")
    elif found.status == "RETIRED":
        raise ServiceError("DeviceRetiredException", f"Device {device} is retired")
    elif found.status == "OFFLINE":
        raise ServiceError("DeviceOfflineException", f"Device {device} is offline")


def _check_channels(channels: list[Params]) -> None:
    names = [channel["channelName"] for channel in channels]
    for name in names:
        if names.count(name) > 1:
            _refuse(f"Input channel {name!r} is given more than once")
        if name in (".", ".."):
            _refuse(f"Input channel {name!r} is not a legal name")


def _check_checkpoint(config: Params) -> None:
    path = config.get("localPath") or DEFAULT_CHECKPOINT_PATH
    if path.rstrip("/") == DEFAULT_CHECKPOINT_PATH:
        return
    if not path.startswith("/") or ".." in path.split("/"):
        _refuse(f"Checkpoint localPath {path!r} must be an absolute path")
    for forbidden in FORBIDDEN_CHECKPOINT_PATHS:
        if path == forbidden or path.startswith(f"{forbidden}/"):
            _refuse(f"Checkpoint localPath {path!r} must not be under {forbidden}")


def _refuse(text: str) -> None:
    raise ServiceError("ValidationException", text)
