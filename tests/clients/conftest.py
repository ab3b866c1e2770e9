"""The environment of a user whose AWS programs are pointed at the local Braket, no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from braket.aws import AwsDevice

from tests.support.braket_server import BraketServer


@pytest.fixture
def aws(
    local_braket: BraketServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> BraketServer:
    """The local Braket by environment variables; the current directory is an empty one.

    ``job.result()`` leaves ``model.tar.gz`` in the current directory, ``@hybrid_job`` writes there.
    """
    for name, value in local_braket.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return local_braket


@pytest.fixture
def set_status(aws: BraketServer) -> Iterator[Callable[[str, str], Any]]:
    """Changes a device's status until the end of the test."""
    changed = []

    def change(arn: str, status: str) -> Any:
        changed.append(arn)
        return aws.control("POST", "devices", {"deviceArn": arn, "status": status})

    yield change
    for arn in changed:
        aws.control("POST", "devices", {"deviceArn": arn, "status": "ONLINE"})


@pytest.fixture
def sv1(aws: BraketServer) -> AwsDevice:
    """SV1 as the SDK shows it."""
    return AwsDevice("arn:aws:braket:::device/quantum-simulator/amazon/sv1")
