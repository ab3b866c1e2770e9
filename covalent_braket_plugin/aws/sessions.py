"""Who calls AWS: identities, the files that say who they are, and boto3's sessions for them.

A credentials file or profile belongs to one executor; the process's environment is never written.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covalent_braket_plugin.aws.assumed import Role, assume
from covalent_braket_plugin.errors import SettingError

__all__ = [
    "Identity",
    "Stamp",
    "environment_fingerprint",
    "region_of",
    "session_of",
    "stamp_of",
]


@dataclass(frozen=True)
class Identity:
    """What tells one set of clients from another."""

    credentials: str | None
    profile: str | None
    region: str | None
    endpoint_url: str | None
    local: bool
    environment: int
    fallback_region: str | None
    role: Role | None = None


Stamp = tuple[tuple[int, int, int], ...]
"""Of each file that says who we are: time of change, size and inode; zeros if it is not there."""


def environment_fingerprint() -> int:
    """Tell apart environments that would give other credentials; holds no secret itself."""
    return hash(frozenset(item for item in os.environ.items() if item[0].startswith("AWS_")))


def stamp_of(identity: Identity) -> Stamp:
    """Look whether the identity's files are as they were; a few microseconds."""
    return tuple(_file_stamp(path) for path in _files(identity))


def _file_stamp(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(os.path.expanduser(os.path.expandvars(path)))
    except (OSError, ValueError):
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _files(identity: Identity) -> tuple[str, str]:
    """Name AWS's configuration and credentials files for an identity.

    With a file of its own, nothing else counts: what ``~/.aws/config`` says of a profile of the
    same name (to assume a role, say) would make it another identity than was asked for.
    """
    if identity.local:
        return os.devnull, os.devnull
    if identity.credentials:
        return os.devnull, identity.credentials
    return (
        os.environ.get("AWS_CONFIG_FILE", "~/.aws/config"),
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
    )


def region_of(identity: Identity, session: Any) -> str | None:
    """The setting's region, else the profile's, else the device's."""
    return identity.region or session.region_name or identity.fallback_region


def session_of(identity: Identity) -> Any:
    """Read AWS's files for an identity.

    Returns:
        A session of boto3.

    Raises:
        SettingError: The profile does not exist, or a file cannot be used.
    """
    import boto3
    from botocore.exceptions import ConfigParseError, ProfileNotFound

    session = _botocore_session(identity)
    try:
        if identity.local:
            _use_no_keys_of_the_users(session)
        elif identity.credentials:
            _use_the_file_alone(identity, session)
        elif identity.profile:
            # Named explicitly, so that keys in the environment do not win over it.
            session.set_config_variable("profile", identity.profile)
        made = boto3.Session(botocore_session=session, region_name=identity.region)
        if identity.role:
            assume(session, identity.role, region_of(identity, made), identity.endpoint_url)
        return made
    except ProfileNotFound as error:
        raise _no_such_profile(identity, session, error.kwargs["profile"]) from error
    except ConfigParseError as error:
        raise _no_ini(identity, str(error.kwargs["path"])) from error


def _botocore_session(identity: Identity) -> Any:
    import botocore.session

    config_file, credentials_file = _files(identity)
    overrides: dict[str, tuple[None, None, str | None, None]] = {
        "config_file": (None, None, config_file, None),
        "credentials_file": (None, None, credentials_file, None),
    }
    if identity.local:  # a profile named in the environment does not count either
        overrides["profile"] = (None, None, None, None)
    return botocore.session.Session(session_vars=overrides)


def _use_no_keys_of_the_users(session: Any) -> None:
    """The local Braket takes any key: the user's own never go to it."""
    from botocore.credentials import CredentialResolver, EnvProvider

    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    session.register_component("credential_provider", CredentialResolver([EnvProvider(keys)]))


def _use_the_file_alone(identity: Identity, session: Any) -> None:
    """Take an identity from its own file: the profile asked for, AWS_PROFILE's, or the default."""
    _demand_readable(str(identity.credentials))
    profile = identity.profile or session.get_config_variable("profile") or "default"
    session.set_config_variable("profile", profile)
    # Where boto3 would look if the profile has no keys: they belong to somebody else.
    resolver = session.get_component("credential_provider")
    for name in ("env", "ec2-credentials-file", "boto-config", "container-role", "iam-role"):
        resolver.remove(name)


def _demand_readable(credentials: str) -> None:
    path = Path(credentials).expanduser()
    if not path.is_file():
        raise SettingError(
            "credentials", credentials, "it must name a file that exists",
            "Leave it out to use boto3's own search: environment, ~/.aws, SSO, roles.",
        )  # fmt: skip
    if not os.access(path, os.R_OK):
        raise SettingError(
            "credentials", credentials, "it must be a file that Covalent's server can read",
            "Change its owner or mode.",
        )  # fmt: skip


def _no_such_profile(identity: Identity, session: Any, profile: str) -> SettingError:
    known = ", ".join(sorted(session.available_profiles)) or "none"
    files = identity.credentials or "AWS's configuration and credentials files"
    fix = f"{files} must have it, or name another."
    variables = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")  # in botocore's order
    name = "profile"
    if identity.profile is None:
        name = next((name for name in variables if os.environ.get(name) == profile), name)
    return SettingError(name, profile, f"it must be a profile that exists ({known})", fix)


def _no_ini(identity: Identity, path: str) -> SettingError:
    name = "credentials" if identity.credentials else "AWS_CONFIG_FILE"
    if not identity.credentials and path == os.path.expanduser(_files(identity)[1]):
        name = "AWS_SHARED_CREDENTIALS_FILE"
    return SettingError(
        name, path, "it must be an INI file of profiles, as the AWS CLI writes it",
        "Start each profile with its name in brackets, such as [default].",
    )  # fmt: skip
