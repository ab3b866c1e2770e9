"""The quotas that AWS gives a new account, with their names and codes.

Sources: "Amazon Braket quotas" in the Developer Guide for the values; listings of Service Quotas
that users have published for names and codes. The request rates are in `server.rates`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

__all__ = ["CONCURRENT_JOBS", "INSTANCES", "JOBS", "code_of", "instances_name"]

JOBS = "Number of concurrent jobs"
"""Name of the quota of unfinished jobs."""

CONCURRENT_JOBS = 3

_TYPES_BY_QUOTA: Mapping[int, str] = {
    5: """
        t3.large t3.xlarge t3.2xlarge m4.xlarge m4.2xlarge m5.large m5.xlarge m5.2xlarge m5.4xlarge
        c4.xlarge c4.2xlarge c4.4xlarge c4.8xlarge c5.xlarge c5.2xlarge
        g6.xlarge g6.2xlarge g6.4xlarge g6.8xlarge g6.12xlarge g6.16xlarge
        g6e.xlarge g6e.2xlarge g6e.4xlarge g6e.8xlarge
        """,
    2: "m4.4xlarge",
    1: """
        c5.4xlarge c5.9xlarge g6.24xlarge g6.48xlarge
        g6e.12xlarge g6e.16xlarge g6e.24xlarge g6e.48xlarge
        """,
    # p3 and p3dn are types of the API that the guide does not list.
    0: """
        m4.10xlarge m4.16xlarge m5.12xlarge m5.24xlarge
        c5.18xlarge c5n.xlarge c5n.2xlarge c5n.4xlarge c5n.9xlarge c5n.18xlarge
        g4dn.xlarge g4dn.2xlarge g4dn.4xlarge g4dn.8xlarge g4dn.12xlarge g4dn.16xlarge
        p2.xlarge p2.8xlarge p2.16xlarge p3.2xlarge p3.8xlarge p3.16xlarge p3dn.24xlarge
        p4d.24xlarge
        """,
}
INSTANCES: Mapping[str, int] = {
    f"ml.{type}": quota for quota, types in _TYPES_BY_QUOTA.items() for type in types.split()
}
"""Instances of each type that the unfinished jobs of a region may have."""

_CODES: Mapping[str, str] = {
    JOBS: "L-65BEB721",
    "Rate of API requests": "L-C9622EC0",
    "Rate of CreateJob requests": "L-1E4A0B71",
    "Rate of GetJob requests": "L-C4A587F5",
    "Rate of SearchJobs requests": "L-622972C3",
    "Rate of CancelJob requests": "L-9F76E1C6",
    "Rate of CreateQuantumTask requests": "L-7DF279A8",
    "Rate of GetQuantumTask requests": "L-69571C39",
    "Rate of SearchQuantumTasks requests": "L-D6597555",
    "Rate of CancelQuantumTask requests": "L-4ADC64FC",
    "Rate of GetDevice requests": "L-08E356CB",
    "Rate of SearchDevices requests": "L-13BD7EBA",
}
_CODES_BY_TYPE = """
    m4.xlarge=L-A7DE49A7 m4.2xlarge=L-35C855B5 m4.4xlarge=L-E4856358 m4.10xlarge=L-20DF4C21
    m4.16xlarge=L-15DC2286 m5.large=L-D01386EB m5.xlarge=L-CEDB9365 m5.2xlarge=L-B4BD4D05
    m5.4xlarge=L-935DC112 m5.12xlarge=L-8EBDBB73 m5.24xlarge=L-8F2E9AB0
    c4.xlarge=L-899E4166 c4.2xlarge=L-BDA9BB2A c4.4xlarge=L-96E0F810 c4.8xlarge=L-196E4F38
    c5.xlarge=L-6976A449 c5.2xlarge=L-1DE68820 c5.4xlarge=L-0454F2B6 c5.9xlarge=L-6717BDE3
    c5.18xlarge=L-D76EFBC9 c5n.xlarge=L-5A303583 c5n.2xlarge=L-8B0E23AD c5n.4xlarge=L-C32F31F5
    c5n.9xlarge=L-F39A58EA c5n.18xlarge=L-9E03561A
    p2.xlarge=L-2145059B p2.8xlarge=L-135B0588 p2.16xlarge=L-8FFA00B6
    p3.2xlarge=L-BC259EA2 p3.8xlarge=L-9716E5CC p3.16xlarge=L-949DCF20 p3dn.24xlarge=L-786BEA40
    p4d.24xlarge=L-6EBE29BC g4dn.xlarge=L-A95AE26D g4dn.2xlarge=L-05622A08
    g4dn.4xlarge=L-348592A9 g4dn.8xlarge=L-C3A58F27 g4dn.12xlarge=L-3A92FCE1
    g4dn.16xlarge=L-D0B25526
    """


def instances_name(type: str) -> str:
    """Name of the quota of an instance type, such as ``ml.m5.large``."""
    return f"Maximum number of instances of {type} for jobs"


_INSTANCE_CODES = {
    instances_name(f"ml.{type}"): code
    for type, code in (pair.split("=") for pair in _CODES_BY_TYPE.split())
}


def code_of(name: str) -> str:
    """The code of a quota; made up of its name where AWS's own is not known."""
    known = _CODES.get(name) or _INSTANCE_CODES.get(name)
    return known or f"L-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}"
