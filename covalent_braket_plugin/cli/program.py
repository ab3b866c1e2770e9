"""The command's top: its version, its help, and how its errors look."""

from __future__ import annotations

from typing import Any

import click

from covalent_braket_plugin import __version__, local_endpoint
from covalent_braket_plugin.cli.cost import cost
from covalent_braket_plugin.cli.deploy import deploy
from covalent_braket_plugin.cli.devices import devices
from covalent_braket_plugin.cli.doctor import doctor
from covalent_braket_plugin.cli.estimate import estimate
from covalent_braket_plugin.cli.execute import execute
from covalent_braket_plugin.cli.executions import executions
from covalent_braket_plugin.cli.image import image
from covalent_braket_plugin.cli.jobs import jobs, logs
from covalent_braket_plugin.cli.local import local
from covalent_braket_plugin.cli.output import clean
from covalent_braket_plugin.cli.policy import policy
from covalent_braket_plugin.cli.render import render
from covalent_braket_plugin.cli.settings import settings
from covalent_braket_plugin.cli.watch import watch
from covalent_braket_plugin.errors import BraketPluginError, CredentialsError

__all__ = ["main"]


class Program(click.Group):
    """A group whose commands fail in one line: exit code 1, or 2 for a wrong command line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for.

        Raises:
            click.ClickException: It failed; click writes the text to stderr.
        """
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if ctx.params["traceback"]:
                raise
            raise click.ClickException(_line(error)) from error


def _line(error: Exception) -> str:
    if isinstance(error, CredentialsError) and local_endpoint.find() is not None:
        return f"{error} A local Braket runs here: to ask that one, say --set local=yes."
    if isinstance(error, BraketPluginError):
        return clean(str(error))  # it may quote what a job said
    name = type(error).__name__
    return f"{name}: {error}. To see where: run covalent-braket --traceback ... again."


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  covalent-braket local start             a Braket of your own, without AWS
  covalent-braket local status            where it runs
  covalent-braket settings                every setting, and where its value comes from
  covalent-braket render --set local=yes  the exact CreateJob request, not sent
  covalent-braket watch                   what the newest dispatch does, as it happens
  covalent-braket doctor                  is everything there that a job needs?
  covalent-braket deploy up --dry-run     what it would make on AWS; makes nothing
  covalent-braket policy caller           the IAM policy that the server needs
  covalent-braket execute bell.qasm -b SV1 -b Garnet
                                          one program on several devices
  covalent-braket jobs list               jobs and what became of them
  covalent-braket jobs show 2f6c61f7:0    one job: why it failed, how long it took, its cost
  covalent-braket logs 2f6c61f7:0 -f      its log, as it grows
  covalent-braket devices                 quantum devices, and which can be used now
  covalent-braket estimate --tasks 10     what an electron may cost
  covalent-braket cost DISPATCH           what a dispatch has cost
  covalent-braket image build             an image of your own for jobs
""",
)
@click.version_option(__version__, prog_name="covalent-braket", message="%(prog)s %(version)s")
@click.option("--traceback", is_flag=True, help="Show where an error came from.")
def main(traceback: bool) -> None:
    """Run the electrons of Covalent workflows as Amazon Braket Hybrid Jobs."""


main.add_command(local)
main.add_command(settings)
main.add_command(render)
main.add_command(watch)
main.add_command(execute)
main.add_command(executions)
main.add_command(jobs)
main.add_command(logs)
main.add_command(deploy)
main.add_command(devices)
main.add_command(doctor)
main.add_command(policy)
main.add_command(image)
main.add_command(estimate)
main.add_command(cost)
