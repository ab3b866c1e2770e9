"""What can be chosen when resources are made, and which settings come of it.

Covalent's ``covalent deploy`` reads both from the module of the executor's class, under these
names. The variables, with their rules, are those of ``terraform/variables.tf``: Terraform checks
them and says what is wrong.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["ExecutorInfraDefaults", "ExecutorPluginDefaults"]


class ExecutorPluginDefaults(BaseModel):
    """The settings that a deployment gives ``[executors.braket]``: outputs of the templates."""

    region: str | None = None
    s3_bucket_name: str | None = None
    s3_prefix: str | None = None
    braket_job_execution_role_name: str | None = None
    kms_key_id: str | None = None


class ExecutorInfraDefaults(BaseModel):
    """The variables of the templates that ``covalent deploy`` can choose.

    ``tags`` needs more than one word, and ``name`` would have to be said to ``covalent deploy
    status`` and ``down`` too, which take no options: it is always the usual one.
    """

    model_config = ConfigDict(extra="forbid")

    region: str | None = None
    bucket_name: str | None = None
    s3_prefix: str = "covalent"
    expire_days: int = 30
    kms_key_arn: str | None = None
    force_destroy: bool = False
    monthly_budget_usd: float = 0
    budget_email: str | None = None
