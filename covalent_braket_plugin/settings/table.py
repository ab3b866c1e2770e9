"""Every setting, once: constructor, ``[executors.braket]`` and documentation come from here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

from covalent_braket_plugin.settings import rules

__all__ = ["BY_NAME", "LEGACY_KEYS", "SETTINGS", "Setting", "Settings", "markdown_table"]

T = TypeVar("T")
Kind = Literal[
    "text", "path", "whole", "number", "dollars", "flag", "map", "values", "names", "places"
]

SV1 = "arn:aws:braket:::device/quantum-simulator/amazon/sv1"
DAY_SECONDS = 24 * 60 * 60
# The Braket SDK's braket/jobs/image_uri_config; also as a copy in a registry of one's own.
_AWS_IMAGE = re.compile(
    r"^292282985366\.|/amazon-braket-(?:base|pytorch|tensorflow|cudaq)-jobs[:@]"
)


@dataclass(frozen=True)
class Setting:
    """What is known of one setting.

    Attributes:
        name: As users write it.
        default: The value if nobody gives one; None: unset has a meaning of its own.
        kind: What values are: ``text``, ``path``, ``whole`` (a whole number), ``number``,
            ``dollars`` (a number, or ``"none"``), ``flag`` (true or false), ``map`` (text to text),
            ``values`` (text to what JSON can hold), ``names`` (a list of words) or ``places`` (text
            to paths and S3 URIs).
        meaning: What it does, one sentence.
        rule: What a value must satisfy.
        check: The rule as a function.
        unit: Unit of the value, if it has one.
        environment: Environment variables that give it, the first one set wins.
        left_to_boto3: Whether boto3 itself reads these variables. The setting then stays unset,
            so that boto3's own order holds (``AWS_ENDPOINT_URL_S3`` before ``AWS_ENDPOINT_URL``).
    """

    name: str
    default: Any
    kind: Kind
    meaning: str
    rule: str
    check: rules.Check = rules.anything
    unit: str = ""
    environment: tuple[str, ...] = ()
    left_to_boto3: bool = False


def _setting(default: T, kind: Kind, meaning: str, rule: str, check: rules.Check, **more: Any) -> T:
    about = {"kind": kind, "meaning": meaning, "rule": rule, "check": check, **more}
    if isinstance(default, dict):
        made: Any = field(default_factory=dict, metadata=about)
    else:
        made = field(default=default, metadata=about)
    return made  # type: ignore[no-any-return]  # the dataclass turns the field into its default


@dataclass(frozen=True)
class Settings:
    """The settings of one executor, resolved and of the right types.

    The fields are described where they are declared, which is the table of all settings; None
    means unset. ``sources`` says where each value came from: ``constructor``, ``config``,
    ``environment variable NAME``, ``local Braket``, ``profile``, ``device`` or ``default``.
    """

    credentials: str | None = _setting(
        None,
        "path",
        "Path of an AWS credentials file, for this executor alone; no other of AWS's files is read "
        "then. It is read again when it changes.",
        "a path; never a key",
        rules.path,
        environment=("AWS_SHARED_CREDENTIALS_FILE",),
        left_to_boto3=True,
    )
    profile: str | None = _setting(
        None,
        "text",
        "Name of the AWS profile to use, of the file in `credentials` if that is set.",
        "the name of a profile",
        rules.profile,
        environment=("AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
        left_to_boto3=True,
    )
    assume_role_arn: str | None = _setting(
        None,
        "text",
        "Role to assume for all calls, with the credentials found otherwise; such as one in the "
        "account that the jobs shall run in. It is assumed again before it expires.",
        "the ARN of a role",
        rules.role_to_assume,
    )
    external_id: str | None = _setting(
        None,
        "text",
        "External id that the role in `assume_role_arn` asks for. AWS does not count it as a "
        "secret, and it is shown with the executor's other settings.",
        "2 to 1224 letters, digits and `_ + = , . @ : / -`",
        rules.external_id,
    )
    role_session_name: str = _setting(
        "covalent-braket",
        "text",
        "Name of the session in the role that is assumed; CloudTrail shows it.",
        "2 to 64 letters, digits and `_ + = , . @ -`",
        rules.session_name,
    )
    region: str | None = _setting(
        None,
        "text",
        "AWS region of jobs, bucket and image. Unset: the profile's, else the device's.",
        "the name of an AWS region, the same as in the device's ARN",
        rules.region,
        environment=("AWS_REGION", "AWS_DEFAULT_REGION"),
    )
    s3_bucket_name: str | None = _setting(
        None,
        "text",
        "Bucket for payloads, outcomes and results. Unset: `amazon-braket-{region}-{account}`.",
        "3 to 63 lower-case letters, digits and hyphens",
        rules.bucket,
    )
    s3_prefix: str = _setting(
        "covalent",
        "text",
        "Key prefix in the bucket; `/` is the bucket's root.",
        "at most 512 letters, digits and `! _ . * ' ( ) / -`",
        rules.prefix,
    )
    ecr_image_uri: str | None = _setting(
        None,
        "text",
        "Container image of the job. Unset: AWS's own Braket image, into which each job brings the "
        "worker; so it is with AWS's other `amazon-braket-*-jobs`. An image of yours must hold "
        "the worker.",
        "a private ECR URI with a tag or digest",
        rules.image,
    )
    braket_job_execution_role_name: str | None = _setting(
        None,
        "text",
        "IAM role that the job runs as. Unset: the one that Braket's console makes, "
        "`service-role/AmazonBraketJobsExecutionRole*`.",
        "a name, path/name or ARN of a role",
        rules.role,
    )
    quantum_device: str = _setting(
        SV1,
        "text",
        "Device that the job has priority on; in the electron `job.current_device()` is it. A name "
        "such as `SV1`, `Garnet` or `IonQ Forte 1` is looked up at Braket.",
        "a device's name or ARN, `local:provider/name` for a simulator inside the job, or `none`",
        rules.device,
    )
    if_device_unavailable: Literal["wait", "fail", "fallback"] = _setting(
        "wait",
        "text",
        "What to do if the device is offline or outside its hours when it is the electron's turn: "
        "`wait` for it, `fail`, or take the first of `fallback_devices` that is available.",
        "`wait`, `fail` or `fallback`",
        rules.one_of("wait", "fail", "fallback"),
    )
    fallback_devices: tuple[str, ...] = _setting(
        (),
        "names",
        "Devices to take instead, the first one first, with `if_device_unavailable` set to "
        "`fallback`; if none of them is available either, the electron waits.",
        "a list of devices as in `quantum_device`, of the same region",
        rules.devices,
    )
    max_device_wait: float = _setting(
        DAY_SECONDS,
        "number",
        "Longest wait for a device to be available, then the electron fails.",
        "above 0",
        rules.positive_up_to(math.inf),
        unit="s",
    )
    classical_device: str = _setting(
        "ml.m5.large",
        "text",
        "Instance type that the electron runs on.",
        "one of Braket's instance types",
        rules.instance_type,
    )
    instance_count: int = _setting(
        1,
        "whole",
        "Number of instances; the electron runs on the first.",
        "1 or more",
        rules.between(1),
    )
    storage: int = _setting(
        30, "whole", "Size of the instance's disk.", "1 or more", rules.between(1), unit="GB"
    )
    time_limit: int = _setting(
        300,
        "whole",
        "Longest time that a job may run; waiting in the queue does not count.",
        "1 to 432000 (5 days)",
        rules.between(1, 5 * DAY_SECONDS),
        unit="s",
    )
    max_cost: float | Literal["none"] | None = _setting(
        None,
        "dollars",
        "Most that an electron may cost, with all its attempts: the job's instance for its whole "
        "`time_limit`, and its quantum tasks, of which the first that would cost too much is "
        "refused in the job. On a QPU it must be said; `none` (in Python also an explicit `None`) "
        "means that there is no limit.",
        "above 0, or `none`",
        rules.dollars,
        unit="US dollars",
    )
    poll_freq: float = _setting(
        30,
        "number",
        "Longest time between two questions to Braket about a job; young jobs are asked sooner.",
        "above 0, at most 3600",
        rules.positive_up_to(3600),
        unit="s",
    )
    max_parallel_jobs: int = _setting(
        0,
        "whole",
        "Most jobs of this account, region and identity at the same time; later electrons wait. "
        "0: find out from Braket's answers.",
        "0 or more",
        rules.between(0),
        unit="jobs",
    )
    queue_timeout: float | None = _setting(
        None,
        "number",
        "Longest wait of an electron for a slot, then it fails. Unset: as long as it must wait.",
        "above 0",
        rules.positive_up_to(math.inf),
        unit="s",
    )
    give_up_after: float = _setting(
        3600,
        "number",
        "For so long AWS is asked again and again when it does not answer, or the credentials have "
        "expired, before an electron fails. A job that runs is not stopped by that.",
        "above 0",
        rules.positive_up_to(math.inf),
        unit="s",
    )
    retries: int = _setting(
        0,
        "whole",
        "How often an electron is run again, as a new job, when it failed for a reason named in "
        "`retry_on`.",
        "0 to 20",
        rules.between(0, 20),
    )
    retry_on: tuple[str, ...] = _setting(
        ("infrastructure",),
        "names",
        "What `retries` are for: `infrastructure` (the job broke down, or its outcome is missing "
        "or damaged), `time_limit`, and `electron` (an exception of your own code).",
        "a list of `infrastructure`, `time_limit` and `electron`",
        rules.names_of("infrastructure", "time_limit", "electron"),
    )
    resume_on: tuple[str, ...] = _setting(
        (),
        "names",
        "When an electron goes on in a further job, from the checkpoints that it saved, although "
        "`retries` are used up: after `time_limit`, `infrastructure` or `electron` (as in "
        "`retry_on`). An attempt that saved nothing new is not gone on with.",
        "a list of `infrastructure`, `time_limit` and `electron`",
        rules.names_of("infrastructure", "time_limit", "electron"),
    )
    resumes: int = _setting(
        20,
        "whole",
        "How often an electron goes on so at most; `max_cost` holds for all its jobs together.",
        "0 to 1000",
        rules.between(0, 1000),
    )
    checkpoint_key: str | None = _setting(
        None,
        "text",
        "Name under which the electron's checkpoints are kept in the bucket, for electrons that "
        "shall go on where another dispatch stopped. Unset: the electron's own, the same for all "
        "its attempts and for redispatches of its workflow.",
        "1 to 128 letters, digits and `. _ -`",
        rules.checkpoint_key,
    )
    checkpoint_local_path: str = _setting(
        "/opt/jobs/checkpoints",
        "text",
        "Directory in the job that Braket keeps in step with S3; `job.checkpoint` saves there.",
        "an absolute path, not below `/opt/ml`, `/opt/braket`, `/tmp` or `/usr/local/nvidia`",
        rules.checkpoint_path,
    )
    on_stop: Literal["leave", "cancel"] = _setting(
        "leave",
        "text",
        "What `covalent stop` does with jobs that are under way: `leave` them to run, to be "
        "waited for again when the server starts, or `cancel` them.",
        "`leave` or `cancel`",
        rules.one_of("leave", "cancel"),
    )
    reattach: bool = _setting(
        True,
        "flag",
        "Whether a server that starts waits again for the jobs that an earlier one left.",
        "true or false",
        rules.anything,
    )
    repair_ui: bool = _setting(
        True,
        "flag",
        "Whether Covalent's server mends its UI (source, inputs, results and errors of electrons, "
        "pages that reload) and serves the live page. The server reads it from "
        "`[executors.braket]` when it starts; an executor's own value means nothing.",
        "true or false",
        rules.anything,
    )
    cache_dir: str | None = _setting(
        None,
        "path",
        "Directory for temporary files. Unset: `braket` in Covalent's own `cache_dir`.",
        "an absolute path, or one that starts with `~/`",
        rules.directory,
    )
    log_group_name: str = _setting(
        "/aws/braket/jobs",
        "text",
        "CloudWatch log group in which the logs of jobs are read, while they run and when they "
        "failed; Braket writes to `/aws/braket/jobs`.",
        "1 to 512 letters, digits and `. _ / # -`",
        rules.log_group,
    )
    job_name: str | None = _setting(
        None,
        "text",
        "Template of the jobs' names, of text and `{electron}`, `{lattice}`, `{dispatch}`, "
        "`{node}` and `{attempt}`; what Braket refuses in a name becomes a hyphen. Unset: "
        "`{electron}-{dispatch}-{node}-{attempt}`.",
        "text with these fields",
        rules.job_name,
    )
    reservation_arn: str | None = _setting(
        None,
        "text",
        "Reservation of the device (Braket Direct) that the job runs in.",
        "the ARN of a reservation",
        rules.reservation,
    )
    tags: Mapping[str, str] = _setting(
        {},
        "map",
        "Tags for the jobs, beside ours, which name dispatch, node, lattice, electron, attempt and "
        "the device that was wanted.",
        "at most 44; keys up to 128 characters, values up to 256",
        rules.tags,
    )
    kms_key_id: str | None = _setting(
        None,
        "text",
        "KMS key that encrypts what is stored in S3. Unset: the bucket's own rule.",
        "a key's id, alias or ARN",
        rules.kms_key,
    )
    hyperparameters: Mapping[str, Any] = _setting(
        {},
        "values",
        "More hyperparameters for the job: text, numbers, true and false, lists and maps of them. "
        "In the electron `job.hyperparameters()` gives them back as they were. They are public.",
        "at most 95; names up to 256 characters, values (as text or JSON) up to 2500",
        rules.hyperparameters,
    )
    log_arguments: bool = _setting(
        False,
        "flag",
        "Whether the electron's simple arguments (text, numbers, true and false) are shown as "
        "hyperparameters of its job. They are public then.",
        "true or false",
        rules.anything,
    )
    input_data: Mapping[str, str] = _setting(
        {},
        "places",
        "Data for the electron by channel: an S3 URI, or a file or folder on the machine of "
        "Covalent's server, which is uploaded once per content. In the electron "
        "`job.input_dir(channel)` is where it lies. A relative path starts where the executor is "
        "made; in the configuration file it must be whole, or begin with `~/`.",
        "at most 20; names of up to 64 letters, digits and `. _ -`; each a path or an S3 URI",
        rules.input_data,
    )
    endpoint_url: str | None = _setting(
        None,
        "text",
        "Where to send all AWS calls instead of AWS.",
        "an http or https URL",
        rules.endpoint,
        environment=("AWS_ENDPOINT_URL",),
        left_to_boto3=True,
    )
    local: bool = _setting(
        False,
        "flag",
        "Use the local Braket, starting it if none runs; no other setting is needed then.",
        "true or false",
        rules.anything,
    )
    version_mismatch: Literal["error", "warn"] = _setting(
        "error",
        "text",
        "What to do if the image's Python or cloudpickle cannot load the electron.",
        "`error` or `warn`",
        rules.one_of("error", "warn"),
    )
    python_mismatch: Literal["error", "warn"] | None = _setting(
        None,
        "text",
        "What to do if the image's Python is of another minor version than the electron's. "
        "Unset: as `version_mismatch` says.",
        "`error` or `warn`",
        rules.one_of("error", "warn"),
    )
    keep_payload: bool = _setting(
        False,
        "flag",
        "Leave payload and value in S3 when the electron is done; its outcome stays in any case.",
        "true or false",
        rules.anything,
    )
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def script_mode(self) -> bool:
        """Whether the job runs in one of AWS's own images, which does not hold the worker."""
        return self.ecr_image_uri is None or _AWS_IMAGE.search(self.ecr_image_uri) is not None


def _table() -> tuple[Setting, ...]:
    blank = Settings()
    return tuple(
        Setting(f.name, getattr(blank, f.name), **f.metadata)
        for f in fields(Settings)
        if f.metadata
    )


SETTINGS: tuple[Setting, ...] = _table()
"""All settings, in the order of the documentation."""

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
"""The same by name."""

LEGACY_KEYS: Mapping[str, str] = {
    "log_stdout": "",
    "log_stderr": "",
    "current_env_on_conda_fail": "",
    "execution_role": "braket_job_execution_role_name",
    "ecr_repo_name": "ecr_image_uri",
    "ecr_image_tag": "ecr_image_uri",
    "ecr_image": "ecr_image_uri",
    "s3_bucket": "s3_bucket_name",
    "credentials_file": "credentials",
    "credentials_folder": "credentials",
}
"""Keys of older config sections and of Covalent's base classes.

Those with an empty value are accepted in silence (they are Covalent's own, or mean nothing to a
job); the others name the setting that took their place.
"""


def markdown_table() -> str:
    """Write all settings as a Markdown table, for the documentation."""
    lines = ["| Setting | Default | Meaning | Rule |", "|---|---|---|---|"]
    lines += [_row(setting) for setting in SETTINGS]
    return "\n".join(lines) + "\n"


def _row(setting: Setting) -> str:
    unit = f" {setting.unit}" if setting.unit else ""
    default = "unset" if setting.default in (None, {}) else f"`{_toml(setting.default)}`{unit}"
    names = ", ".join(f"`{name}`" for name in setting.environment)
    meaning = setting.meaning + (f" Also {names}." if names else "")
    return f"| `{setting.name}` | {default} | {meaning} | {setting.rule} |"


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return json.dumps(list(value))
    return str(value).lower() if isinstance(value, bool) else str(value)
