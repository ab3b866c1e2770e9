"""What the checks of one run share: where to look, and what the earlier ones have found."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from covalent_braket_plugin.aws import Clients
from covalent_braket_plugin.permissions import Scope
from covalent_braket_plugin.quotas import Quotas
from covalent_braket_plugin.settings import Settings
from covalent_braket_plugin.storage import Storage

__all__ = ["Exam"]


def _now() -> datetime:
    return datetime.now(UTC)


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


@dataclass
class Exam:
    """One run of the checks. A check sets what later ones use; the engine keeps the order.

    Attributes:
        resolve: Settles the settings, as an executor would.
        given: What an executor for a trial is made with, beside the configuration file.
        now: The time, with its zone.
        python: Major and minor version of Python that electrons are pickled with.
        settings: What is in force; `clients`: the calls to AWS (both set by "settings").
        account: 12 digits; `caller_arn`: who we are (both set by "identity").
        bucket: The bucket's name; `bucket_exists`: whether it is there (set by "bucket").
        scope: What permissions are narrowed down to (set by "identity").
        role: What IAM says of the job's role (set by "role").
        quotas: What the account may have (set by "quotas").
    """

    resolve: Callable[[], Settings]
    given: Mapping[str, Any] = field(default_factory=dict)
    now: Callable[[], datetime] = _now
    python: str = field(default_factory=_python)
    settings: Settings = field(init=False)
    clients: Clients = field(init=False)
    account: str = field(init=False)
    caller_arn: str = field(init=False)
    bucket: str = field(init=False)
    bucket_exists: bool = field(init=False)
    role: Mapping[str, Any] = field(init=False)
    scope: Scope = field(init=False)
    quotas: Quotas = field(init=False)

    @property
    def storage(self) -> Storage:
        """The calls to S3."""
        return Storage(self.clients)
