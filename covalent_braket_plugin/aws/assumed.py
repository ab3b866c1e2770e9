"""The role of ``assume_role_arn``: its credentials, taken with those that were found otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from covalent_braket_plugin.aws.translation import translated
from covalent_braket_plugin.errors import CredentialsError

__all__ = ["Role", "assume"]

CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, ATTEMPTS = 5, 15, 3
REFUSED = "AccessDenied"


@dataclass(frozen=True)
class Role:
    """A role to assume.

    Attributes:
        arn: Its ARN.
        external_id: What its trust policy may ask for.
        session_name: What CloudTrail shows.
    """

    arn: str
    external_id: str | None
    session_name: str


def assume(session: Any, role: Role, region: str | None, endpoint_url: str | None) -> None:
    """Have a session sign as a role; it is assumed with the first call, and in time again.

    botocore renews the credentials from 15 minutes before they expire, in one of the threads that
    need them, while the others go on with the old ones; they wait only in the last 10 minutes.

    Args:
        session: A session of botocore; what it would have signed with assumes the role.
        role: The role.
        region: Where STS is asked.
        endpoint_url: Where STS answers, if not at AWS.
    """
    from botocore.config import Config
    from botocore.credentials import CredentialResolver

    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    make_client = partial(
        session.create_client, region_name=region, endpoint_url=endpoint_url, config=config
    )
    provider = _Provider(session.get_component("credential_provider"), make_client, role)
    session.register_component("credential_provider", CredentialResolver([provider]))


class _Provider:
    """Gives botocore the role's credentials (botocore's CredentialProvider, which is heavy).

    Args:
        own: Finds the credentials that assume the role.
        make_client: Makes clients as a session of botocore does.
        role: The role.
    """

    METHOD = "assume-role"

    def __init__(self, own: Any, make_client: Any, role: Role) -> None:
        self._own = own
        self._make_client = make_client
        self._role = role

    def load(self) -> Any:
        """Find the credentials, without a call to STS yet; None if nothing can assume the role."""
        from botocore.credentials import (
            AssumeRoleCredentialFetcher,
            DeferredRefreshableCredentials,
        )

        source = self._own.load_credentials()
        if source is None:
            return None
        about = {"RoleSessionName": self._role.session_name}
        if self._role.external_id:
            about["ExternalId"] = self._role.external_id
        fetcher = AssumeRoleCredentialFetcher(self._make_client, source, self._role.arn, about)
        return DeferredRefreshableCredentials(partial(self._fetched, fetcher), self.METHOD)

    def _fetched(self, fetcher: Any) -> Mapping[str, Any]:
        try:
            with translated("AssumeRole"):
                credentials: Mapping[str, Any] = fetcher.fetch_credentials()
                return credentials
        except CredentialsError as error:
            raise _explained(error, self._role) from error


def _explained(error: CredentialsError, role: Role) -> CredentialsError:
    if error.code == REFUSED:
        sent = f"external_id={role.external_id!r}" if role.external_id else "no external_id is set"
        hint = (
            f"assume_role_arn={role.arn!r}: both that role's trust policy and the caller's own "
            "policy must allow sts:AssumeRole, and the external id must be the one that the trust "
            f"policy asks for ({sent})."
        )
    else:
        hint = f"These are the credentials that assume_role_arn={role.arn!r} is assumed with."
    return CredentialsError(
        f"{str(error).rstrip('.')}. {hint}",
        code=error.code,
        operation=error.operation,
        status=error.status,
    )
