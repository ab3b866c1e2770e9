"""The environment of a job's program.

Braket's variables are those of the Developer Guide ("Environment variables"), the ``SM_*`` ones
those of sagemaker-training. Of the local Braket's own environment only a short list of harmless
variables is handed on, so that no secret of its user gets into a job.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from covalent_braket_plugin.local.jobs.job import Job
from covalent_braket_plugin.local.jobs.job_files import HOST, JobTree
from covalent_braket_plugin.local.jobs.s3_uri import bucket_and_key
from covalent_braket_plugin.local.server.calls import JOB_SESSION

__all__ = [
    "Layout",
    "container_environment",
    "inherited",
    "job_environment",
    "launcher_environment",
    "package_path",
]

DUMMY_KEY = "local-braket"
_INHERITED = frozenset(
    {
        "PATH",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "VIRTUAL_ENV",
        "LD_LIBRARY_PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "PIP_CERT",
        "PIP_DEFAULT_TIMEOUT",
        "PIP_DISABLE_PIP_VERSION_CHECK",
        "PIP_NO_INDEX",
    }
)
_INHERITED_PREFIXES = ("LC_",)

# Addresses, one or several: handed on unless they hold a name or a password.
_ADDRESSES = frozenset(
    {
        "PIP_FIND_LINKS",
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        *(spelled for name in ("HTTP_PROXY", "HTTPS_PROXY") for spelled in (name, name.lower())),
    }
)
_NO_PROXY = ("NO_PROXY", "no_proxy")
_LOOPBACK = ("127.0.0.1", "localhost")

# Linux allows 128 KiB for one environment string (MAX_ARG_STRLEN).
MAX_VARIABLE_CHARACTERS = 100_000


@dataclass(frozen=True)
class Layout:
    """Where the job's program finds its directories.

    Attributes:
        ml: ``/opt/ml``, or its stand-in in the job's directory.
        braket: ``/opt/braket``, or its stand-in.
        checkpoints: Directory of the checkpoints, None without any.
    """

    ml: str = "/opt/ml"
    braket: str = "/opt/braket"
    checkpoints: str | None = None

    @classmethod
    def real(cls, job: Job) -> Layout:
        """The paths that a container has."""
        return cls(checkpoints=job.checkpoint[1] if job.checkpoint else None)

    @classmethod
    def stand_in(cls, job: Job, tree: JobTree) -> Layout:
        """Paths in the job's directory, for where there are no mount namespaces."""
        kept = str(tree.checkpoints(job.checkpoint[1])) if job.checkpoint else None
        return cls(str(tree.ml), str(tree.braket), kept)


def job_environment(job: Job, layout: Layout, endpoint_url: str, home: Path) -> dict[str, str]:
    """Make the whole environment of a job's program.

    Args:
        job: The job.
        layout: Where its directories are.
        endpoint_url: Where the local Braket listens.
        home: The job's home directory.
    """
    variables = inherited(os.environ)
    variables |= _aws(job, endpoint_url)
    variables |= _braket(job, layout)
    variables |= _script(job)
    variables |= _sagemaker(job, layout)
    variables |= {"HOME": str(home), "PYTHONUNBUFFERED": "1", "PYTHONPATH": package_path()}
    return {
        name: value for name, value in variables.items() if len(value) < MAX_VARIABLE_CHARACTERS
    }


def container_environment(job: Job, endpoint_url: str) -> dict[str, str]:
    """Make what the environment of a job's container has beside the image's own.

    Paths of this machine mean nothing there, so only addresses are handed on.

    Args:
        job: The job.
        endpoint_url: Where the local Braket listens, on this machine's loopback.
    """
    layout = Layout.real(job)
    handed_on = inherited(os.environ)
    variables = {
        name: handed_on[name]
        for name in (*_ADDRESSES, *_NO_PROXY)
        if name in handed_on and name != "PIP_FIND_LINKS"
    }
    variables |= _aws(job, endpoint_url)
    variables |= _braket(job, layout)
    variables |= _script(job)
    variables |= _sagemaker(job, layout)
    # Whoever the container runs as: he can write there.
    variables |= {"HOME": "/tmp", "PYTHONUNBUFFERED": "1"}
    return {
        name: value for name, value in variables.items() if len(value) < MAX_VARIABLE_CHARACTERS
    }


def launcher_environment() -> dict[str, str]:
    """The environment of what starts a container: ours, which says where the engine is."""
    return {**os.environ, "PYTHONPATH": package_path()}


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment that a job may see."""
    kept = {
        name: value
        for name, value in environ.items()
        if name in _INHERITED
        or name.startswith(_INHERITED_PREFIXES)
        or (name in _ADDRESSES and not _has_credentials(value))
    }
    return kept | _no_proxy(environ)


def _has_credentials(addresses: str) -> bool:
    """Whether one of several addresses, separated by blanks, names a user."""
    # A proxy may be written without a scheme.
    parts = (part if "//" in part else f"//{part}" for part in addresses.split())
    try:
        return any("@" in urlsplit(part).netloc for part in parts)
    except ValueError:
        return True


def _no_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """The exceptions from proxies: the user's and, in any case, this machine."""
    said = next((environ[name] for name in _NO_PROXY if environ.get(name)), "")
    hosts = [host.strip() for host in said.split(",") if host.strip()]
    hosts += [host for host in _LOOPBACK if host not in hosts]
    return dict.fromkeys(_NO_PROXY, ",".join(hosts))


def package_path() -> str:
    """``PYTHONPATH`` with which a child finds what we find, also from a source checkout."""
    entries = [
        os.path.abspath(entry)
        for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if entry
    ]
    own = Path(__file__).resolve().parents[3]
    installed = own.name in ("site-packages", "dist-packages")
    if not installed and str(own) not in entries:
        entries.append(str(own))
    return os.pathsep.join(entries)


def _aws(job: Job, endpoint_url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": job.region,
        "AWS_DEFAULT_REGION": job.region,
        "AWS_ACCESS_KEY_ID": job.account_id,
        "AWS_SECRET_ACCESS_KEY": DUMMY_KEY,
        "AWS_SESSION_TOKEN": JOB_SESSION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _braket(job: Job, layout: Layout) -> dict[str, str]:
    bucket, prefix = bucket_and_key(job.request["outputDataConfig"]["s3Path"])
    variables = {
        "AMZN_BRAKET_INPUT_DIR": f"{layout.braket}/input/data",
        "AMZN_BRAKET_JOB_RESULTS_DIR": f"{layout.braket}/model",
        "AMZN_BRAKET_JOB_NAME": job.name,
        "AMZN_BRAKET_HP_FILE": f"{layout.braket}/input/config/hyperparameters.json",
        "AMZN_BRAKET_DEVICE_ARN": job.device,
        "AMZN_BRAKET_OUT_S3_BUCKET": bucket,
        "AMZN_BRAKET_TASK_RESULTS_S3_URI": f"s3://{bucket}/jobs/{job.name}/tasks",
        "AMZN_BRAKET_JOB_RESULTS_S3_PATH": f"{prefix.strip('/')}/{job.name}/output",
        "AMZN_BRAKET_JOB_TOKEN": job.token,
    }
    if layout.checkpoints:
        variables["AMZN_BRAKET_CHECKPOINT_DIR"] = layout.checkpoints
    return variables


def _script(job: Job) -> dict[str, str]:
    script = job.request["algorithmSpecification"].get("scriptModeConfig") or {}
    variables = {
        "AMZN_BRAKET_SCRIPT_S3_URI": script.get("s3Uri"),
        "AMZN_BRAKET_SCRIPT_ENTRY_POINT": script.get("entryPoint"),
        "AMZN_BRAKET_SCRIPT_COMPRESSION_TYPE": script.get("compressionType"),
    }
    return {name: value for name, value in variables.items() if value}


def _sagemaker(job: Job, layout: Layout) -> dict[str, str]:
    parameters: dict[str, str] = job.request.get("hyperParameters") or {}
    channels = [channel["channelName"] for channel in job.request.get("inputDataConfig") or []]
    variables = {
        "SAGEMAKER_BASE_DIR": layout.ml,
        "SM_HPS": json.dumps(parameters),
        "SM_MODEL_DIR": f"{layout.ml}/model",
        "SM_INPUT_DIR": f"{layout.ml}/input",
        "SM_INPUT_CONFIG_DIR": f"{layout.ml}/input/config",
        "SM_OUTPUT_DIR": f"{layout.ml}/output",
        "SM_OUTPUT_DATA_DIR": f"{layout.ml}/output/data",
        "SM_CHANNELS": json.dumps(channels),
        "SM_CURRENT_HOST": HOST,
        "SM_HOSTS": json.dumps([HOST]),
        "SM_NUM_CPUS": str(os.cpu_count() or 1),
        "SM_NUM_GPUS": "0",
        "TRAINING_JOB_NAME": f"BraketJob-{job.account_id}-{job.name}",
    }
    for name in channels:
        variables[f"SM_CHANNEL_{name.upper()}"] = f"{layout.ml}/input/data/{name}"
    return variables | _hyperparameters(parameters)


def _hyperparameters(parameters: Mapping[str, str]) -> dict[str, str]:
    """``SM_HP_<KEY>`` for each hyperparameter that can be a variable at all."""
    return {
        f"SM_HP_{name.upper()}": value
        for name, value in parameters.items()
        if "=" not in name and "\0" not in name + value
    }
