"""One deployment: its directory, Terraform in it, and the account and region that it belongs to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from covalent_braket_plugin import local_endpoint
from covalent_braket_plugin.aws import Clients, clients_for
from covalent_braket_plugin.deploy.models import ExecutorInfraDefaults, ExecutorPluginDefaults
from covalent_braket_plugin.deploy.terraform import Terraform, find_program, program_environment
from covalent_braket_plugin.deploy.workspace import DEFAULT_NAME, Workspace
from covalent_braket_plugin.errors import DeployError, LocalBraketError, UnconfiguredError
from covalent_braket_plugin.settings import Settings, resolve, with_local

__all__ = ["Deployment", "settings_of", "what_is_in_the_way"]

DEFAULTS: Mapping[str, Any] = {
    "name": DEFAULT_NAME,
    **ExecutorInfraDefaults().model_dump(),
    "tags": {},
}
"""Every variable of the templates with its default."""

UNSET = ""
"""What an unset value is written as. A key that is taken out would come back: a Covalent server
that runs keeps all that it has read, and writes it with every electron."""


def settings_of(given: Mapping[str, object], config: Mapping[str, object]) -> Settings:
    """Resolve settings as an executor would; the local Braket, if it is wanted, has to run.

    Raises:
        SettingError: A value breaks its setting's rule.
        LocalBraketError: None runs.
    """
    settings = resolve(given, config, os.environ)
    if not settings.local:
        return settings
    info = local_endpoint.find()
    if info is None:
        raise LocalBraketError(
            "The local Braket does not run. Start it with: covalent-braket local start"
        )
    return with_local(settings, info)


@dataclass(frozen=True)
class Deployment:
    """A deployment and whoever looks after it.

    Attributes:
        workspace: Its directory.
        terraform: Terraform there, as the identity of the settings.
        clients: The same identity's clients.
        account: Its account.
    """

    workspace: Workspace
    terraform: Terraform
    clients: Clients
    account: str

    @classmethod
    def of(cls, name: str, settings: Settings) -> Deployment:
        """Open a deployment, new or there already.

        Args:
            name: Its name.
            settings: Who calls AWS, and in which region.

        Raises:
            DeployError: There is no Terraform, no region, or it belongs to another account or
                region.
            AwsError: The credentials are missing or wrong.
        """
        program = find_program()
        workspace = Workspace.of(name, os.environ)
        try:
            clients = clients_for(settings)
        except UnconfiguredError as error:
            raise DeployError(
                "No AWS region is known. Name one with --set region=us-east-1, or in your AWS "
                "profile. Braket's: us-east-1, us-west-1, us-west-2, eu-west-2, eu-north-1."
            ) from error
        account = clients.account_id()
        _demand_same_place(workspace, account, clients.region, name)
        environment = program_environment(os.environ, clients.environment())
        terraform = Terraform(program, workspace.directory, environment)
        return cls(workspace, terraform, clients, account)

    @contextmanager
    def proposing(self, given: Mapping[str, Any]) -> Iterator[Callable[[], None]]:
        """Write new variables, for a plan; unless it is accepted, the old ones come back.

        Args:
            given: Variables that change; all others stay as they were chosen before.

        Yields:
            What accepts the plan.
        """
        before = self.workspace.variables()
        region = {"region": self.clients.region}
        self.workspace.prepare({**DEFAULTS, **before, **given, **region})
        accepted: list[bool] = []
        try:
            yield lambda: accepted.append(True)
            if accepted:
                self.settle()
        finally:
            if not accepted:
                self.terraform.forget_plan()
                self.workspace.put_variables(before)

    def settle(self) -> None:
        """Note where it is, before anything is made."""
        self.workspace.remember(account=self.account, region=self.clients.region)

    def config_values(self) -> dict[str, str]:
        """What ``[executors.braket]`` should say: those outputs that are settings."""
        outputs = self.terraform.outputs()
        names = ExecutorPluginDefaults.model_fields
        return {name: str(outputs[name]) for name in names if outputs.get(name) is not None}

    def remember_config(self, values: Mapping[str, str], section: Mapping[str, object]) -> None:
        """Note what goes into ``[executors.braket]``, and what stands there until now.

        Args:
            values: What will be written.
            section: The section as it is.
        """
        record = self.workspace.record()
        written, earlier = record.get("written", {}), record.get("before", {})
        theirs = {
            name: section[name]
            for name in values
            if section.get(name) not in (None, UNSET, written.get(name))
        }
        self.workspace.remember(written=dict(values), before={**earlier, **theirs})

    def config_to_restore(self, section: Mapping[str, object]) -> dict[str, object]:
        """What ``[executors.braket]`` should say once the deployment is gone.

        Args:
            section: The section as it is; a value that is not the one we wrote stays, and so does
                one that another deployment wrote as well.
        """
        record = self.workspace.record()
        written, before = record.get("written", {}), record.get("before", {})
        others = [other.record().get("written", {}) for other in self.workspace.neighbours()]
        return {
            name: before.get(name, UNSET)
            for name, value in written.items()
            if section.get(name) == value and all(value != each.get(name) for each in others)
        }

    def forget(self) -> None:
        """Remove the workspace of what is gone; no other deployment will bring back its names."""
        record = self.workspace.record()
        written, before = record.get("written", {}), record.get("before", {})
        for other in self.workspace.neighbours():
            theirs = other.record().get("before", {})
            kept = {
                name: before.get(name, UNSET) if value == written.get(name) else value
                for name, value in theirs.items()
            }
            if kept != theirs:
                other.remember(before=kept)
        self.workspace.remove()


def _demand_same_place(workspace: Workspace, account: str, region: str, name: str) -> None:
    record = workspace.record()
    if not workspace.exists or not {"account", "region"} <= set(record):
        return
    there, here = (record["account"], record["region"]), (account, region)
    if there != here:
        raise DeployError(
            f"The deployment {name!r} is in account {there[0]}, region {there[1]}; you are in "
            f"account {here[0]}, region {here[1]}. Use those credentials and --set "
            f"region={there[1]}, or choose another --name."
        )


def what_is_in_the_way(plan: Mapping[str, Any], clients: Clients) -> list[str]:
    """Say which of the things to be destroyed hold something, and were told to keep it.

    Args:
        plan: A plan to destroy.
        clients: Who looks; what it may not see, it does not tell.
    """
    found = []
    for entry in plan.get("resource_changes", ()):
        kind, before = entry["type"], entry["change"].get("before") or {}
        if before.get("force_destroy") or before.get("force_delete"):
            continue
        if kind == "aws_s3_bucket" and _holds_objects(clients, before["bucket"]):
            found.append(f"the bucket {before['bucket']} holds objects")
        if kind == "aws_ecr_repository" and _holds_images(clients, before["name"]):
            found.append(f"the repository {before['name']} holds images")
    return found


def _holds_objects(clients: Clients, bucket: str) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return bool(clients.s3.list_objects_v2(Bucket=bucket, MaxKeys=1).get("KeyCount"))
    except (BotoCoreError, ClientError):
        return False


def _holds_images(clients: Clients, repository: str) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return bool(
            clients.ecr.describe_images(repositoryName=repository, maxResults=1)["imageDetails"]
        )
    except (BotoCoreError, ClientError):
        return False
