"""Settings, endpoint and identity: where calls go, and as whom."""

from __future__ import annotations

from covalent_braket_plugin.aws import Clients, clients_for
from covalent_braket_plugin.devices.catalogue import located
from covalent_braket_plugin.doctor.exam import Exam
from covalent_braket_plugin.doctor.findings import Result, failed, ok, warning
from covalent_braket_plugin.errors import (
    CredentialsError,
    SettingError,
    UnconfiguredError,
    UnreachableError,
)
from covalent_braket_plugin.scopes import scope_of
from covalent_braket_plugin.settings import REGIONS, Settings, check_complete, with_region

__all__ = ["endpoint", "identity", "settings"]

# botocore's words for its sources of credentials, in ours.
_SOURCES = {
    "assume-role": "a role that the AWS profile names",
    "assume-role-with-web-identity": "a web identity",
    "config-file": "AWS's configuration file",
    "container-role": "the container's role",
    "custom-process": "the process that the AWS profile names",
    "env": "the environment (AWS_ACCESS_KEY_ID)",
    "iam-role": "the instance's role",
    "login": "aws login",
    "shared-credentials-file": "the credentials file",
    "sso": "IAM Identity Center (SSO)",
}
ASSUME = (
    "Have the role trust you (covalent-braket policy trust --platform ACCOUNT --external-id ID), "
    "allow yourself sts:AssumeRole on it, and set external_id to what it asks for"
)
_SHOWN = {"constructor": "--set", "config": "[executors.braket]", "environment": "the environment"}


def settings(exam: Exam) -> Result:
    """Settle the settings as an executor would, and say where they come from."""
    try:
        found = exam.resolve()
        if found.local and found.endpoint_url is None:
            return failed(
                "local is set, and the local Braket does not run",
                "Start it: covalent-braket local start (an executor starts it by itself)",
            )
        exam.settings, exam.clients = _complete(found)
    except SettingError as error:
        return failed(f"{error.setting}={error.value!r} is not valid: {error.rule}", error.fix)
    except UnconfiguredError as error:
        return failed(
            f"not set: {', '.join(error.missing)}",
            "Pass them to BraketExecutor(...), put them under [executors.braket] (the region may "
            "stand in AWS_REGION or the AWS profile, too), or run without AWS: local=True",
        )
    return ok(_origins(exam.settings))


def _complete(found: Settings) -> tuple[Settings, Clients]:
    check_complete(found)
    found = located(found)
    clients = clients_for(found)
    return with_region(found, clients.region), clients


def _origins(found: Settings) -> str:
    """Names of the settings that have a value not by default, by where they come from."""
    by_source: dict[str, list[str]] = {}
    for name, source in found.sources.items():
        if source != "default" and getattr(found, name) is not None:
            kind = "environment" if source.startswith("environment") else source
            by_source.setdefault(_SHOWN.get(kind, kind), []).append(name)
    said = [f"{', '.join(sorted(names))} from {source}" for source, names in by_source.items()]
    return "; ".join(said) or "all at their defaults"


def endpoint(exam: Exam) -> Result:
    """See whether Braket answers at all: asked without credentials."""
    region = exam.clients.region
    source = exam.settings.sources.get("region", "default")
    if region not in REGIONS:
        return failed(
            f"Braket is not in the region {region} (from: {_SHOWN.get(source, source)})",
            f"Set region to one of {', '.join(REGIONS)}",
        )
    try:
        url = exam.clients.greet()
    except UnreachableError as error:
        return failed(
            f"Braket does not answer in {region}: {error}",
            "Check the network, the proxy (HTTPS_PROXY) and endpoint_url / AWS_ENDPOINT_URL; for "
            "the local Braket: covalent-braket local status",
        )
    return ok(f"{region}, {url}")


def identity(exam: Exam) -> Result:
    """Ask who we are; no secret is shown."""
    source = exam.clients.credentials_from
    if not source:
        return failed(
            "no AWS credentials were found: not in the environment, ~/.aws, SSO, nor from a role",
            "aws configure, aws sso login, or set `profile` or `credentials` on the executor",
        )
    try:
        exam.caller_arn, exam.account = exam.clients.caller()
    except CredentialsError as error:
        if error.operation != "AssumeRole":
            raise
        return failed(str(error), ASSUME)
    exam.scope = scope_of(
        exam.settings,
        region=exam.clients.region,
        account=exam.account,
        partition=exam.clients.partition,
    )
    said = _credentials_of(exam.settings, source)
    found = f"{exam.caller_arn}, account {exam.account}, from {said}"
    if exam.caller_arn.endswith(":root"):
        return warning(
            found, "Use a user or role with the policy of: covalent-braket policy caller"
        )
    return ok(found)


def _credentials_of(found: Settings, source: str) -> str:
    if found.assume_role_arn:
        return "assume_role_arn"
    if found.local:
        return "the local Braket, which takes any key"
    return _SOURCES.get(source, source)
