"""How many jobs the account may have, and how many of these slots are free."""

from __future__ import annotations

from datetime import timedelta

from covalent_braket_plugin import quotas
from covalent_braket_plugin.doctor.exam import Exam
from covalent_braket_plugin.doctor.findings import Result, failed, ok, warning
from covalent_braket_plugin.jobs import Jobs
from covalent_braket_plugin.slots import NO_LIMIT

__all__ = ["quota", "slots"]

RAISE = "https://console.aws.amazon.com/servicequotas/home/services/braket/quotas"
LONGEST = timedelta(days=6)
"""A job runs for five days at most; before that it may have been queued."""
PAGES = 10


def quota(exam: Exam) -> Result:
    """See whether the account may have even one job on the instance type."""
    kind, found = exam.settings.classical_device, quotas.read(exam.clients)
    exam.quotas = found
    if found is quotas.PUBLISHED:
        return _by_what_is_published(kind)
    instances = found.instances.get(kind)
    if found.concurrent_jobs == 0:
        return failed("the account may have no jobs", f"Ask for a higher quota: {RAISE}")
    wanted = exam.settings.instance_count
    if instances is not None and instances < wanted:
        return failed(
            f"the account may have {instances} instances of {kind}, a job has {wanted}",
            f"Ask for a higher quota: {RAISE}, or set classical_device to another type",
        )
    return ok(f"jobs: {_shown(found.concurrent_jobs)}, {kind}: {_shown(instances)}")


def _by_what_is_published(kind: str) -> Result:
    allow = "Allow servicequotas:ListServiceQuotas: covalent-braket policy caller"
    if kind in quotas.NONE_BY_DEFAULT:
        return warning(
            f"Service Quotas does not say; accounts have no {kind} until they ask for it",
            f"{allow}; see {RAISE}",
        )
    return warning("Service Quotas does not say; electrons find out by trying", allow)


def _shown(value: int | None) -> str:
    if value is None:
        return "not known"
    return "no limit" if value >= NO_LIMIT else str(value)


def slots(exam: Exam) -> Result:
    """Count the jobs that have not ended, whosever they are."""
    busy = _open_jobs(exam)
    most = exam.quotas.concurrent_jobs
    if most is None or most >= NO_LIMIT:
        return ok(f"{busy} jobs have not ended")
    said = f"{max(0, most - busy)} of {most} are free"
    if busy >= most:
        return warning(
            said,
            "Electrons wait until a job ends: covalent-braket jobs orphans shows jobs that nobody "
            f"waits for. More at the same time: {RAISE}",
        )
    return ok(said)


def _open_jobs(exam: Exam) -> int:
    jobs, token, count = Jobs(exam.clients), "", 0
    for _ in range(PAGES):
        found, token = jobs.page(exam.now() - LONGEST, token)
        count += sum(not each.ended for each in found)
        if not token:
            break
    return count
