"""All checks in their order, what each needs of others, and how they are carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from covalent_braket_plugin.doctor import (
    bucket,
    cost,
    data,
    device,
    image,
    place,
    quota,
    role,
    software,
    trial,
)
from covalent_braket_plugin.doctor.exam import Exam
from covalent_braket_plugin.doctor.findings import Finding, Result, failed, unknown
from covalent_braket_plugin.errors import (
    AccessError,
    AwsError,
    BraketPluginError,
    CredentialsError,
    ThrottledError,
    UnreachableError,
)

__all__ = ["CHECKS", "TRIAL", "Check", "examine"]


@dataclass(frozen=True)
class Check:
    """One thing to look at.

    Attributes:
        name: Its name.
        look: Looks.
        needs: Checks before it on which it builds.
        facts: Whether it needs what they found; else it is enough that none of them failed.
    """

    name: str
    look: Callable[[Exam], Result]
    needs: tuple[str, ...] = ()
    facts: bool = True


CHECKS: tuple[Check, ...] = (
    Check("covalent", software.covalent),
    Check("plugin", software.plugin),
    Check("settings", place.settings),
    Check("endpoint", place.endpoint, ("settings",)),
    Check("identity", place.identity, ("endpoint",)),
    Check("enabled", role.enabled, ("identity",)),
    Check("bucket", bucket.bucket, ("identity",)),
    Check("bucket name", bucket.name_rule, ("bucket",)),
    Check("bucket access", bucket.write, ("bucket",)),
    Check("input data", data.input_data, ("identity",)),
    Check("role", role.exists, ("identity",)),
    Check("role trust", role.trust, ("role",)),
    Check("role hand-over", role.passable, ("role",)),
    Check("role permissions", role.permissions, ("role",)),
    Check("own permissions", role.caller_permissions, ("identity",)),
    Check("image", image.image, ("identity",)),
    Check("device", device.device, ("identity",)),
    Check("cost", cost.cost, ("settings",)),
    Check("quotas", quota.quota, ("identity",)),
    Check("free slots", quota.slots, ("quotas",)),
)
TRIAL = Check(
    "trial job",
    trial.trial,
    (
        "covalent",
        "plugin",
        "enabled",
        "bucket",
        "bucket access",
        "role",
        "role trust",
        "image",
        "device",
        "cost",
    ),
    facts=False,
)


def examine(
    exam: Exam,
    checks: Sequence[Check] = CHECKS,
    *,
    begin: Callable[[Check], object] = lambda check: None,
) -> Iterator[Finding]:
    """Carry out checks, and go on whatever they find.

    Args:
        exam: Where to look.
        checks: What to look at.
        begin: Told of each check that begins.
    """
    causes: dict[str, str] = {}  # of each check that gave no facts: the one that is behind it
    broken: set[str] = set()
    for check in checks:
        lacking = (causes[name] for name in check.needs if name in causes)
        cause = next((each for each in lacking if check.facts or each in broken), None)
        if cause is None:
            begin(check)
            result = _looked(check, exam)
        else:
            result = Result("skipped", f"needs {cause}", blocks=True)
        if result.blocks:
            causes[check.name] = cause or check.name
        if result.state == "failed":
            broken.add(check.name)
        yield Finding(check.name, result.state, result.found, result.fix)


def _looked(check: Check, exam: Exam) -> Result:
    try:
        return check.look(exam)
    except AwsError as error:
        return _of_aws(error)
    except BraketPluginError as error:
        return failed(str(error), "See: covalent-braket settings")
    except Exception as error:  # one check that breaks takes no other with it
        return failed(f"the check itself broke: {type(error).__name__}: {error}", "Report it")


def _of_aws(error: AwsError) -> Result:
    if isinstance(error, CredentialsError):
        return failed(
            str(error), "Renew the credentials: aws sso login, aws configure, or new keys"
        )
    if isinstance(error, AccessError):
        return unknown(
            f"could not be checked: {error}",
            f"Allow {error.operation}: covalent-braket policy caller --explain",
        )
    if isinstance(error, ThrottledError):
        return unknown(f"could not be checked: {error}", "Run the doctor again in a minute")
    if isinstance(error, UnreachableError):
        return failed(str(error), "Check the network and endpoint_url, or try again later")
    return failed(str(error), "See the error of AWS")
