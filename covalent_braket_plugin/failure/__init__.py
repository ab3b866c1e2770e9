"""Why an electron failed, and the words in which users read it; pure.

`report` is the whole text, `explained` that of an error before there is a job, `class_of` and
`kind_of` say what sort of failure it is. `classes` tells them apart, `denied` reads what AWS says
of a missing permission, `phases` how long each phase took, `texts` writes.
"""

from covalent_braket_plugin.failure.before import explained
from covalent_braket_plugin.failure.classes import (
    FailureClass,
    Kind,
    class_of,
    class_of_exception,
    kind_of,
)
from covalent_braket_plugin.failure.phases import braket_phases, worker_phases
from covalent_braket_plugin.failure.texts import (
    console_link,
    no_outcome,
    remote_traceback,
    report,
    standing,
    summary,
)

__all__ = [
    "FailureClass",
    "Kind",
    "braket_phases",
    "class_of",
    "class_of_exception",
    "console_link",
    "explained",
    "kind_of",
    "no_outcome",
    "remote_traceback",
    "report",
    "standing",
    "summary",
    "worker_phases",
]
