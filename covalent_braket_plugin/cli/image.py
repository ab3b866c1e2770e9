"""``covalent-braket image``: build an image for jobs, and push it to ECR."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn

from covalent_braket_plugin import __version__
from covalent_braket_plugin.aws import clients_for
from covalent_braket_plugin.cli.config_file import edits, put
from covalent_braket_plugin.cli.output import console, json_option, note, print_json
from covalent_braket_plugin.cli.sources import gather, source_options
from covalent_braket_plugin.engine import connect
from covalent_braket_plugin.image_build import (
    Built,
    Contents,
    Recipe,
    build,
    conventional_tag,
)
from covalent_braket_plugin.image_push import Layers, find_image, find_repository, push
from covalent_braket_plugin.protocol import PROTOCOL_VERSION
from covalent_braket_plugin.settings.config_file import config_path

__all__ = ["image"]

BRAKET_PLATFORM = "linux/amd64"
"""All of Braket's instance types have x86-64 processors."""
LINE_CHARACTERS = 100
PYTHONS = ("3.11", "3.12", "3.13")
"""Those that this package supports: electrons are of no other."""


@click.group(
    short_help="Build an image for jobs, and push it.",
    epilog="""\b
Examples:
  covalent-braket image build --requirements requirements.txt
  covalent-braket local start --runner docker          try it here
  covalent-braket image push --repository amazon-braket-covalent --create-repository
""",
)
def image() -> None:
    """An image of your own, for electrons that need more than AWS's Braket image holds.

    Without one, jobs run in AWS's own image. A container engine (Docker) is needed here.
    """


@image.command(
    "build",
    short_help="Build an image.",
    epilog="""\b
Examples:
  covalent-braket image build
  covalent-braket image build --requirements requirements.txt
  covalent-braket image build --python 3.12 --tag my-worker:1
  covalent-braket image build --from my-base:3        (it must hold python3 with venv)
""",
)
@click.option("--python", help="Python version, such as 3.12; default: this one's.")
@click.option(
    "--requirements",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Requirements file: what the electrons import.",
)
@click.option("--from", "base", metavar="IMAGE", help="Build on this image and its Python.")
@click.option("--tag", metavar="NAME:TAG", help="Default: by what the image holds.")
@click.option("--platform", "target", default=BRAKET_PLATFORM, show_default=True)
@click.option("--network", help="Network of the build, such as host.")
@json_option
def build_command(
    python: str | None,
    requirements: Path | None,
    base: str | None,
    tag: str | None,
    target: str,
    network: str | None,
    as_json: bool,
) -> None:
    """Build an image with the worker, boto3, the cloudpickle of here, and your requirements."""
    if python and base:
        raise click.UsageError("--python goes with the public base image; --from brings its own.")
    if python and python not in PYTHONS:
        raise click.UsageError(
            f"--python {python}: use the Python that dispatches, one of {', '.join(PYTHONS)}. "
            "Another cannot load its electrons."
        )
    text = _text_of(requirements) if requirements else ""
    recipe = Recipe(python or _own_minor(), base, text, target or None, network)
    with _spinner("Building") as say:
        built = build(connect(), recipe, _with_tag(tag), say)
    for problem in built.contents.problems():
        note(problem)
    if as_json:
        print_json(_described(built))
    else:
        _tell(built)


@image.command(
    "push",
    short_help="Push an image to ECR.",
    epilog="""\b
Examples:
  covalent-braket image push --repository amazon-braket-covalent
  covalent-braket image push my-worker:1 --repository amazon-braket-covalent --create-repository
  covalent-braket image push --repository 123456789012.dkr.ecr.us-east-1.amazonaws.com/mine
""",
)
@click.argument("name", metavar="[IMAGE]", required=False)
@click.option(
    "--repository", required=True, metavar="NAME|URI", help="ECR repository in your region."
)
@click.option("--tag", help="Tag there; default: that of the image.")
@click.option(
    "--create-repository",
    is_flag=True,
    help="Make the repository if it is not there: immutable tags, scanned on push.",
)
@click.option("--save", is_flag=True, help="Write ecr_image_uri into Covalent's config file.")
@source_options
@json_option
def push_command(
    name: str | None,
    repository: str,
    tag: str | None,
    create_repository: bool,
    save: bool,
    assignments: Iterable[str],
    config: Path | None,
    no_config: bool,
    as_json: bool,
) -> None:
    """Push an image to a private ECR repository, as the identity that the settings name.

    IMAGE defaults to what `covalent-braket image build` makes with the Python of here.
    """
    if save and no_config:
        raise click.UsageError("--save writes into the file that --no-config leaves alone.")
    settings = gather(assignments, config, no_config).resolve()
    engine = connect()
    source = name or conventional_tag(_own_contents())
    found = find_image(engine, source)
    clients = clients_for(settings)
    target = find_repository(clients, repository, create=create_repository)
    with _layers() as follow:
        uri = push(engine, clients, found, target, tag or _tag_of(source), follow)
    path = config or config_path(os.environ)
    if save:
        put(path, edits(path, {"ecr_image_uri": uri}))
    if as_json:
        print_json({"ecr_image_uri": uri, "image": source, "id": found.id, "saved": save})
    elif save:
        click.echo(f'Pushed. {path} has it now: ecr_image_uri = "{uri}"')
    else:
        click.echo("Pushed. Set it in Covalent's configuration file, under [executors.braket]:\n")
        click.echo(f'  ecr_image_uri = "{uri}"\n')
        click.echo(f'(--save does), or: BraketExecutor(ecr_image_uri="{uri}", ...)')


def _text_of(requirements: Path) -> str:
    try:
        return requirements.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(
            f"--requirements {requirements} is not UTF-8 text (PowerShell's > writes UTF-16). "
            "Save it as UTF-8, or write it with: pip freeze | Out-File -Encoding utf8"
        ) from error


def _own_minor() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def _own_contents() -> Contents:
    """What an image holds that was built here without further ado."""
    pickle, boto3 = version("cloudpickle"), version("boto3")
    return Contents(platform.python_version(), pickle, boto3, __version__, PROTOCOL_VERSION)


def _with_tag(name: str | None) -> str | None:
    return name if name is None or ":" in name.rpartition("/")[2] else f"{name}:latest"


def _tag_of(name: str) -> str:
    return name.rpartition("/")[2].partition("@")[0].partition(":")[2] or "latest"


def _described(built: Built) -> dict[str, Any]:
    return {
        "image": built.tag,
        "id": built.id,
        "size_bytes": built.size_bytes,
        **vars(built.contents),
        "problems": list(built.contents.problems()),
    }


def _tell(built: Built) -> None:
    holds = built.contents
    click.echo(f"Built {built.tag} ({built.size_bytes / 1e6:.0f} MB):")
    click.echo(
        f"  Python {holds.python}, cloudpickle {holds.cloudpickle}, boto3 {holds.boto3}, "
        f"covalent-braket-plugin {holds.package}"
    )
    default = built.tag == conventional_tag(_own_contents())
    named = "" if default else f"{built.tag} "
    click.echo("\nTry it on the local Braket: covalent-braket local start --runner docker")
    click.echo(
        f"Push it to AWS:             covalent-braket image push {named}--repository NAME "
        "[--create-repository]"
    )


@contextmanager
def _spinner(doing: str) -> Iterator[Any]:
    """One line that says what is going on; nothing in a pipe."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console(stderr=True), transient=True) as shown:
        task = shown.add_task(doing, total=None)
        yield lambda line: shown.update(task, description=f"{doing}: {line[:LINE_CHARACTERS]}")


@contextmanager
def _layers() -> Iterator[Any]:
    """A bar of the bytes of all layers together."""
    columns = (TextColumn("Pushing {task.fields[done]} layers"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=None, done="")

        def follow(layers: Layers) -> None:
            ended = sum(
                status in ("Pushed", "Layer already exists") for status, *_ in layers.values()
            )
            current = sum(layer[1] for layer in layers.values())
            total = sum(max(layer[1:]) for layer in layers.values())
            done = f"{ended}/{len(layers)}"
            shown.update(task, completed=current, total=total or None, done=done)

        yield follow
