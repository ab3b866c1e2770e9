"""``covalent-braket jobs``: what became of jobs, from the service."""

from __future__ import annotations

import click

from covalent_braket_plugin.cli.jobs.changing import cancel, delete, open_job, rename
from covalent_braket_plugin.cli.jobs.listing import list_jobs, show
from covalent_braket_plugin.cli.jobs.metrics import metrics
from covalent_braket_plugin.cli.jobs.orphans import orphans
from covalent_braket_plugin.cli.jobs.reading import artifacts, logs, result
from covalent_braket_plugin.cli.jobs.reattach import reattach

__all__ = ["jobs", "logs"]


@click.group(
    short_help="Jobs: what became of them, and those that an earlier server left.",
    epilog="""\b
Examples:
  covalent-braket jobs list                jobs, newest first
  covalent-braket jobs show 2f6c61f7:0     why it failed, how long it took, what it cost
  covalent-braket jobs result 2f6c61f7:0   what the electron returned
  covalent-braket jobs metrics 3f2a --terminal
                                           what its code logged, drawn
  covalent-braket jobs reattach            wait again for what a stopped server left
  covalent-braket jobs orphans             jobs that nobody waits for
  covalent-braket jobs orphans --cancel
""",
)
def jobs() -> None:
    """Look at the jobs of electrons, from the service; no Covalent server has to run for it.

    A JOB is named by its id or the beginning of it, its ARN, its name, or by DISPATCH:NODE. Where
    to look is said as for an executor: --set region=us-east-1, or --set local=yes.
    """


for _looking in (list_jobs, show, logs, metrics, result, artifacts):
    jobs.add_command(_looking)
for _changing in (cancel, rename, delete, open_job, reattach, orphans):
    jobs.add_command(_changing)
