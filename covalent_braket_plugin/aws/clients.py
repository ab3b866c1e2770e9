"""boto3 clients, kept for the whole process: making one takes tens of milliseconds of CPU."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

from covalent_braket_plugin import __version__
from covalent_braket_plugin.aws.assumed import Role
from covalent_braket_plugin.aws.sessions import (
    Identity,
    environment_fingerprint,
    region_of,
    session_of,
    stamp_of,
)
from covalent_braket_plugin.aws.translation import translated
from covalent_braket_plugin.errors import (
    AwsError,
    CredentialsError,
    SettingError,
    UnconfiguredError,
)
from covalent_braket_plugin.settings import Settings, region_of_device

__all__ = ["Clients", "clients_for"]

CONNECTIONS = 32
CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = {"s3": 30}
"""By service: a connection that hangs is noticed after so long."""
READ_TIMEOUT_CONTROL_SECONDS = 15
"""Of all other services: their answers are small, and three attempts take less than a minute."""
ATTEMPTS = {"s3": 5, "service-quotas": 2, "ecr": 2}
"""By service, botocore's own; S3 asks its callers to try again more often than others do."""
ATTEMPTS_CONTROL = 3
REMEMBERED = 64
"""So many sets of clients are kept: a program may change its environment again and again."""


class Clients:
    """boto3 clients of one identity, region and endpoint; safe to share between threads.

    The region is the setting's, else the profile's, else the quantum device's. When a credentials
    or configuration file of AWS changes, the clients are made anew from it: keys that are
    refreshed under a running server count from the next call on.

    Args:
        identity: Who calls, and where.

    Attributes:
        region: Where; it stays the same.
        identity_key: Equal for all clients that call as the same identity, in the same region and
            at the same endpoint, also after their files have changed.
        proven: Whether a call of this identity has succeeded in this process: if one fails later
            for its credentials, they have expired or been replaced, and were not wrong.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._lock = threading.Lock()
        self._made: dict[str, Any] = {}
        self._account_id = ""
        self.proven = False
        # Looked at before the files are read: a change in between is then seen later.
        self._stamp = stamp_of(identity)
        self._session = session_of(identity)
        region = region_of(identity, self._session)
        if not region:
            raise UnconfiguredError(["region"])
        self.region: str = region
        self.identity_key: Hashable = replace(identity, region=region, fallback_region=None)

    def refresh(self) -> bool:
        """Read the files of this identity again if they have changed.

        Returns:
            Whether these clients can still be used; not if the files now name another region.

        Raises:
            SettingError: The files cannot be used as they are now; the clients stay as they were.
        """
        stamp = stamp_of(self._identity)
        with self._lock:
            if stamp == self._stamp:
                return True
            session = session_of(self._identity)
            if region_of(self._identity, session) != self.region:
                return False
            self._session, self._stamp = session, stamp
            self._made, self._account_id = {}, ""
            return True

    @property
    def braket(self) -> Any:
        """The Braket client."""
        return self._client("braket")

    @property
    def s3(self) -> Any:
        """The S3 client."""
        return self._client("s3")

    @property
    def logs(self) -> Any:
        """The CloudWatch Logs client."""
        return self._client("logs")

    @property
    def service_quotas(self) -> Any:
        """The Service Quotas client."""
        return self._client("service-quotas")

    @property
    def iam(self) -> Any:
        """The IAM client."""
        return self._client("iam")

    @property
    def ecr(self) -> Any:
        """The client of the container registry."""
        return self._client("ecr")

    @property
    def credentials_from(self) -> str:
        """Where boto3 has the credentials from, in botocore's word; empty if there are none.

        Raises:
            AwsError: They cannot be had.
        """
        with translated("GetCallerIdentity"):
            found = self._session.get_credentials()
        return str(found.method) if found else ""

    def environment(self) -> dict[str, str]:
        """Variables with which another program calls AWS as this identity; they hold its keys.

        Raises:
            CredentialsError: There are no credentials.
        """
        with translated("GetCallerIdentity"):
            found = self._session.get_credentials()
            keys = found.get_frozen_credentials() if found else None
        if keys is None:
            raise CredentialsError("boto3 finds no AWS credentials. Run: aws configure sso")
        variables = {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "AWS_SESSION_TOKEN": keys.token,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self._identity.endpoint_url,
        }
        return {name: value for name, value in variables.items() if value}

    def caller(self) -> tuple[str, str]:
        """Ask STS who this identity is: its ARN, and its account.

        Raises:
            AwsError: STS did not say.
        """
        with translated("GetCallerIdentity"):
            answer = self._client("sts").get_caller_identity()
            return str(answer["Arn"]), str(answer["Account"])

    def greet(self) -> str:
        """Ask Braket's endpoint for anything, without credentials: it answers, or it does not.

        Returns:
            The endpoint's URL.

        Raises:
            UnreachableError: There was no answer.
        """
        from botocore import UNSIGNED
        from botocore.config import Config

        config = Config(
            signature_version=UNSIGNED,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=CONNECT_TIMEOUT_SECONDS,
            retries={"total_max_attempts": 1},
        )
        client = self._session.client(
            "braket",
            region_name=self.region,
            endpoint_url=self._identity.endpoint_url,
            config=config,
        )
        try:
            with translated("SearchDevices"):
                client.search_devices(filters=[])
        except AwsError as error:
            if not error.status:
                raise
        return str(client.meta.endpoint_url)

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn``, ``aws-us-gov`` ..., by the region."""
        return str(self._session.get_partition_for_region(self.region))

    def account_id(self) -> str:
        """Ask STS once which account this identity belongs to.

        Raises:
            AwsError: STS did not say.
        """
        known = self._account_id
        if not known:
            with translated("GetCallerIdentity"):
                known = str(self._client("sts").get_caller_identity()["Account"])
            self._account_id = known
        return known

    def _client(self, service: str) -> Any:
        # A file that is half written, or gone for a moment, does not stop the jobs under way.
        with contextlib.suppress(SettingError):
            self.refresh()
        with self._lock:
            if service not in self._made:
                self._made[service] = self._make(service)
            return self._made[service]

    def _make(self, service: str) -> Any:
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS.get(service, READ_TIMEOUT_CONTROL_SECONDS),
            max_pool_connections=CONNECTIONS,
            retries={
                "mode": "standard",
                "total_max_attempts": ATTEMPTS.get(service, ATTEMPTS_CONTROL),
            },
            user_agent_extra=f"covalent-braket-plugin/{__version__}",
        )
        client = self._session.client(
            service,
            region_name=self.region,
            endpoint_url=self._identity.endpoint_url,
            config=config,
        )
        client.meta.events.register("after-call", self._note_answer)
        # The scheduler makes it again itself: botocore's own retry of a throttled CreateJob would
        # come before its turn, and the scheduler would not learn that it was throttled.
        client.meta.events.register_first("needs-retry.braket.CreateJob", _never)
        return client

    def _note_answer(self, http_response: Any, **_: Any) -> None:
        if http_response.status_code < 300:
            self.proven = True


def _never(**_: Any) -> bool:
    return False


_cache: OrderedDict[Identity, Clients] = OrderedDict()
_cache_lock = threading.Lock()


def clients_for(settings: Settings, *, for_new_work: bool = True) -> Clients:
    """Find or make the clients for an executor's settings.

    Args:
        settings: The settings.
        for_new_work: Whether it is to be said if AWS's files cannot be used any more. A file that
            is half written, or gone for a moment, must not stop what is under way.

    Raises:
        SettingError: The profile does not exist, or AWS's files cannot be read.
        UnconfiguredError: No region is known.
    """
    identity = Identity(
        credentials=settings.credentials,
        profile=settings.profile,
        region=settings.region,
        endpoint_url=settings.endpoint_url,
        local=settings.local,
        environment=0 if settings.local else environment_fingerprint(),
        fallback_region=region_of_device(settings.quantum_device),
        role=_role_of(settings),
    )
    with _cache_lock:
        clients = _cache.get(identity)
        try:
            if clients is None or not clients.refresh():
                clients = _cache[identity] = Clients(identity)
        except SettingError:
            if clients is None or for_new_work:
                raise
        _cache.move_to_end(identity)
        while len(_cache) > REMEMBERED:
            _cache.popitem(last=False)
        return clients


def _role_of(settings: Settings) -> Role | None:
    if settings.assume_role_arn is None:
        return None
    return Role(settings.assume_role_arn, settings.external_id, settings.role_session_name)
