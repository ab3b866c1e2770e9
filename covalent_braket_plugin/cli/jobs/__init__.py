"""``covalent-braket jobs``: what became of jobs, from the service."""

from __future__ import annotations

import click

from covalent_braket_plugin.cli.jobs.metrics import metrics
from covalent_braket_plugin.cli.jobs.orphans import orphans
from covalent_braket_plugin.cli.jobs.reattach import reattach

__all__ = ["jobs"]


@click.group(
    short_help="Jobs: what became of them, and those that an earlier server left.",
    epilog="""\b
Examples:
  covalent-braket jobs metrics 3f2a --terminal
                                           what a job's code logged, drawn
  covalent-braket jobs reattach            wait again for what a stopped server left
  covalent-braket jobs orphans             jobs that nobody waits for
  covalent-braket jobs orphans --cancel
""",
)
def jobs() -> None:
    """Find the jobs of Covalent's dispatches, also after its server was stopped or killed."""


jobs.add_command(metrics)
jobs.add_command(reattach)
jobs.add_command(orphans)
