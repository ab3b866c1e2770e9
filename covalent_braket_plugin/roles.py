"""Which role a job runs as: the one that is named, else the account's default one."""

from __future__ import annotations

from fnmatch import fnmatchcase

from covalent_braket_plugin import request
from covalent_braket_plugin.aws import Clients, translated
from covalent_braket_plugin.errors import AccessError, CredentialsError, UnconfiguredError
from covalent_braket_plugin.permissions import DEFAULT_ROLE_NAME
from covalent_braket_plugin.remembered import Remembered
from covalent_braket_plugin.settings import Settings

__all__ = ["default_role", "role_of"]

# The Braket SDK looks for the same (``AwsSession.get_default_jobs_role``).
_PATH, _, _NAME = f"/{DEFAULT_ROLE_NAME}".rpartition("/")

REMEMBERED_SECONDS = 3600.0
"""The role may be removed, and made anew under another name."""

_found: Remembered[str] = Remembered()


def role_of(settings: Settings, clients: Clients) -> str:
    """ARN of the role that the jobs of an executor run as.

    Raises:
        UnconfiguredError: No role is named, and none was found.
        AwsError: STS or IAM did not answer.
    """
    role = settings.braket_job_execution_role_name
    if role is None:
        return default_role(clients)
    # Only a name needs the account.
    account = "" if role.startswith("arn:") else clients.account_id()
    return request.role_arn(role, account, clients.partition)


def default_role(clients: Clients) -> str:
    """ARN of the role that Braket's console has created in the account; asked for once an hour.

    Raises:
        UnconfiguredError: There is none, or this identity may not look.
        AwsError: STS or IAM did not answer.
    """
    # The keys of an identity may become those of another account.
    key = clients.identity_key, clients.account_id()
    return _found.get(key, lambda: _look(clients), lambda role: REMEMBERED_SECONDS)


def _look(clients: Clients) -> str:
    try:
        with translated("ListRoles"):
            for page in clients.iam.get_paginator("list_roles").paginate(PathPrefix=f"{_PATH}/"):
                for role in page["Roles"]:
                    if fnmatchcase(role["RoleName"], _NAME):
                        return str(role["Arn"])
    except CredentialsError:
        raise
    except AccessError as error:
        raise _missing(f"The account's default role cannot be looked up: {error}.") from error
    raise _missing(
        f"The account has no default role {DEFAULT_ROLE_NAME} either; Braket's console creates "
        "it, under Permissions and settings."
    )


def _missing(why: str) -> UnconfiguredError:
    return UnconfiguredError(["braket_job_execution_role_name"], why)
