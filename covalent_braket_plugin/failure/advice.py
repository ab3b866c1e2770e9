"""What users can do about a failure, where its own words do not say so; pure."""

from __future__ import annotations

from fnmatch import fnmatchcase

from covalent_braket_plugin.failure.classes import FailureClass
from covalent_braket_plugin.failure.denied import NOT_ENTITLED, denied_in
from covalent_braket_plugin.permissions import ROLE

__all__ = ["advice", "missing"]

_ADVICE = {
    FailureClass.OUT_OF_MEMORY: "take an instance with more memory (`classical_device`), or hold "
    "less at a time.",
    FailureClass.TIME_LIMIT: "raise `time_limit` (seconds) on the executor, do less in one "
    "electron, or have it save what it has (`job.checkpoint.save`) and go on in a further job "
    "(`resume_on=['time_limit']`).",
    FailureClass.DEVICE: "take another device (`quantum_device`), or dispatch again when it is "
    "online; a retired one never will be. `covalent-braket devices` shows how they are.",
    FailureClass.IMAGE: "see that `ecr_image_uri` names an image that exists in this region, that "
    "the job's role may pull and that has our worker as its entry point: `covalent-braket doctor` "
    "looks, `covalent-braket image build` makes one. Unset, AWS's own image is used.",
}
_CREDENTIALS = (
    "renew the credentials (such as `aws sso login`), or name others in `profile` or "
    "`credentials`; `covalent-braket doctor` says who AWS takes you for."
)
_QUOTA_IN_JOB = "ask for less at a time in the electron, or for a higher quota in Service Quotas."
_QUOTA = (
    "ask for a higher quota in Service Quotas, or dispatch fewer electrons at a time; "
    "`covalent-braket doctor` shows the quotas."
)
_NO_MODULE = (
    "install the module with deps_pip=ct.DepsPip([...]), or put it into an image of yours "
    "(`covalent-braket image build`)."
)
_NO_ANSWER = (
    "look into Covalent's server log; `covalent-braket doctor` checks what a job needs, "
    "`retries` has such electrons run again."
)


def missing(text: str, *, in_job: bool, short: bool = False) -> str:
    """Name the permission that is missing, and whose; empty if the text is about something else.

    Args:
        text: The error's text.
        in_job: Whether the call was made in the job, as its role, or by Covalent's server.
        short: Leave out on what, and the ARN of the identity.
    """
    denied = denied_in(text)
    if denied is None:
        return ""
    whose = "the job's role" if in_job else "the caller (Covalent's server)"
    if not denied.action:
        return ""
    if short:
        return f"{whose} lacks {denied.action}"
    on = f" on {denied.resource}" if denied.resource else ""
    who = f", which is {denied.who}" if denied.who else ""
    return f"{denied.action}{on}, for {whose}{who}"


def advice(kind: FailureClass, text: str, *, in_job: bool) -> str:
    """Say what to do about a failure; empty if its own words say it.

    Args:
        kind: What sort of failure it is.
        text: The error's text.
        in_job: Whether it happened in the job.
    """
    if kind is FailureClass.PERMISSIONS:
        return _permissions(text, in_job) if denied_in(text) else _CREDENTIALS
    if kind is FailureClass.QUOTA:
        return _QUOTA_IN_JOB if in_job else _QUOTA
    if kind is FailureClass.ENVIRONMENT:
        bare = text.startswith(("ModuleNotFoundError", "ImportError")) and "deps_pip" not in text
        return _NO_MODULE if bare else ""
    if kind is FailureClass.INFRASTRUCTURE:
        return _NO_ANSWER
    return _ADVICE.get(kind, "")


def _permissions(text: str, in_job: bool) -> str:
    if NOT_ENTITLED in text:
        return "AWS has to admit the account to that first: ask AWS's support."
    if "explicit deny" in text:
        return (
            "a policy denies it expressly, which no permission outweighs: change the policy that "
            "the message speaks of."
        )
    denied = denied_in(text)
    if in_job and denied is not None and denied.action and not _ours(denied.action):
        return (
            "allow it to the job's role beside what `covalent-braket policy role` prints: your "
            "electron asks for it, this package does not."
        )
    whom, policy = ("the job's role", "role") if in_job else ("that identity", "caller")
    return (
        f"allow it to {whom}: `covalent-braket policy {policy}` prints what is needed, "
        "`covalent-braket doctor` says what is missing."
    )


def _ours(action: str) -> bool:
    """Whether the policy of the job's role that we print allows it on anything."""
    return any(fnmatchcase(action, granted) for grant in ROLE for granted in grant.actions)
