"""The rules of single settings, as pure functions of a value.

Each takes a value of the right type and returns what is wrong with it, or None. The limits are
those of botocore's service model of Braket (which botocore itself does not check: it looks at
minima only) and, where that model is silent, of the AWS page named beside the rule.
"""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from string import Formatter
from typing import Any
from urllib.parse import urlsplit

from covalent_braket_plugin.job.hyperparameters import HP_TEXT, as_text, encode
from covalent_braket_plugin.settings.instance_types import INSTANCE_TYPES

__all__ = [
    "JOB_NAME_FIELDS",
    "OUR_HYPERPARAMETERS",
    "OUR_TAGS",
    "REGIONS",
    "Check",
    "Problem",
    "closest",
    "no_key",
    "tag_character",
]

REGIONS = ("us-east-1", "us-west-1", "us-west-2", "eu-west-2", "eu-north-1")
"""Where Braket is: https://docs.aws.amazon.com/general/latest/gr/braket.html."""
OUR_TAGS = 6
"""Tags of every job that are ours; AWS allows 50 a resource."""
OUR_HYPERPARAMETERS = 5
"""Hyperparameters of every job that are ours; Braket allows 100 a job."""
INPUT_CHANNELS = 20
"""So many a job takes (service model, CreateJob)."""
JOB_NAME_FIELDS = ("electron", "lattice", "dispatch", "node", "attempt")
"""What a template of a job's name may name."""

_DEVICE_ARN = re.compile(r"arn:aws[a-z-]*:braket:[a-z0-9-]*::device/[\w.-]+/[\w.-]+/[\w.-]+", re.A)
# What people call devices: "SV1", "Forte-1", "IonQ Forte 1".
_DEVICE_NAME = re.compile(r"[A-Za-z0-9][\w .-]{0,99}", re.A)
_LOCAL_DEVICE = re.compile(r"local:[\w.-]+/[\w.-]+", re.A)
_ECR = re.compile(r"\d{10,14}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/(?P<rest>\S+)", re.A)
_RESERVATION = re.compile(r"arn:aws[a-z-]*:braket:[a-z0-9-]+:\d{12}:reservation/[\w-]+", re.A)
_REPOSITORY_TAG_DIGEST = re.compile(
    r"[a-z0-9][a-z0-9._/-]*(?:(?::\w[\w.-]*)?@sha256:[0-9a-f]{64}|:\w[\w.-]{0,127})", re.A
)
_ROLE_NAME = re.compile(r"/?(?:[\x21-\x7e]+/)*[\w+=,.@-]{1,64}", re.A)
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", re.A)
# STS, AssumeRole (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html).
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.A)
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.A)
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}", re.A)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", re.A)
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_BUCKET_SUFFIXES = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3")
# Characters that S3 calls safe in keys (userguide/object-keys.html).
_KEY_CHARACTERS = re.compile(r"[\w!.*'()/-]*", re.A)
_KMS = re.compile(
    r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(?:key|alias)/[\w/-]+"
    r"|alias/[\w/-]+|mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.A,
)
# CloudWatch Logs, CreateLogGroup: 1 to 512 of these.
_LOG_GROUP = re.compile(r"[\w./#-]{1,512}", re.A)
# What AWS's keys look like: an id (IAM User Guide, "unique identifiers"), how session tokens begin
# in practice, and a secret key, which is 40 characters of base64.
_ACCESS_KEY = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|(?:IQoJb3JpZ2lu|F\woGZXIvYXdz)[\w/+=]{50}", re.A
)
_SECRET_KEY = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[\w/+]{40}", re.A)


@dataclass(frozen=True)
class Problem:
    """What is wrong with a value.

    Attributes:
        fix: What to write instead.
        rule: What the value must satisfy; empty: the setting's own rule says it.
        where: The part of the value that is meant, such as ``['key']``.
        shown: What an error may show, where the value itself is too long or should not be seen.
    """

    fix: str
    rule: str = ""
    where: str = ""
    shown: object = None


Check = Callable[[Any], Problem | None]
"""A rule of one setting."""


def closest(value: object, known: Collection[str]) -> str:
    """Say ``Did you mean ...?``, or an empty text if nothing known is like the value."""
    found = difflib.get_close_matches(str(value).lower(), known, n=1, cutoff=0.6)
    return f"Did you mean {found[0]!r}?" if found else ""


def anything(value: object) -> Problem | None:
    """Every value of the right type will do."""
    return None


def between(low: float, high: float = math.inf) -> Check:
    """Demand a number between two bounds, both allowed."""

    def check(value: float) -> Problem | None:
        if low <= value <= high:
            return None
        return Problem(
            f"Use {low if value < low else high:g} or {'more' if value < low else 'less'}."
        )

    return check


def positive_up_to(high: float) -> Check:
    """Demand a number above zero and not above ``high``."""

    def check(value: float) -> Problem | None:
        most = "" if math.isinf(high) else f", at most {high:g}"
        return None if 0 < value <= high else Problem(f"Use a number above 0{most}.")

    return check


def dollars(value: float | str) -> Problem | None:
    """Demand an amount of money, or that there is no limit."""
    if value == "none" or (isinstance(value, float) and value > 0):
        return None
    return Problem("Use an amount such as 5.0, or None (in a file: 'none') for no limit.")


def one_of(*choices: str) -> Check:
    """Demand one of a few words."""

    def check(value: str) -> Problem | None:
        if value in choices:
            return None
        return Problem(closest(value, choices) or f"Use {' or '.join(map(repr, choices))}.")

    return check


def names_of(*choices: str) -> Check:
    """Demand a list of a few words."""
    demand = one_of(*choices)

    def check(value: Sequence[str]) -> Problem | None:
        problems = ((name, demand(name)) for name in value)
        return next((replace(found, shown=[name]) for name, found in problems if found), None)

    return check


def no_key(value: object) -> Problem | None:
    """Refuse what looks like an access key, its secret or its token, in any setting.

    Secrets are looked for where values go to AWS as they are: elsewhere a name may look alike.
    """
    found = _ACCESS_KEY.search(str(value))
    if found is None and isinstance(value, Mapping):
        found = next(filter(None, map(_SECRET_KEY.fullmatch, map(str, value.values()))), None)
    if found is None:
        return None
    return Problem(
        "Put the keys into a file such as ~/.aws/credentials and give its path as `credentials`, "
        "or leave them to boto3's own search.",
        "settings are shown in Covalent's UI, so that no key may be in one",
        shown="(an access key)",
    )


def path(value: str) -> Problem | None:
    """Demand what can be a path."""
    return Problem("Give a path on one line.") if re.search("[\0\n\r]", value) else None


def directory(value: str) -> Problem | None:
    """Demand a whole path, or one in the home directory."""
    if value == "~" or value.startswith(("/", "~/")):
        return path(value)
    return Problem(
        "Write the whole path: a relative one would start wherever Covalent's server runs."
    )


def profile(value: str) -> Problem | None:
    """Demand the name of a profile: older documentation called it a path."""
    if value.startswith(("/", "~", "./", "../")):
        return Problem("To name the file, use the setting `credentials`.")
    return path(value)


def region(value: str) -> Problem | None:
    """Demand the form of an AWS region's name; new regions need no new release of ours."""
    if _REGION.fullmatch(value):
        return None
    return Problem(closest(value, REGIONS) or f"Braket's regions: {', '.join(REGIONS)}.")


def bucket(value: str) -> Problem | None:
    """Demand a legal name of an S3 bucket, and one that Braket's SDK can use."""
    if value.startswith(("s3:", "arn:", "http")):
        return Problem("Give the bucket's name alone.")
    if "." in value:
        return Problem(
            "Use hyphens instead of dots.",
            "Braket's SDK cannot parse the S3 paths of buckets with a dot in their name",
        )
    if "_" in value or value != value.lower():
        return Problem(f"Did you mean {value.lower().replace('_', '-')!r}?")
    if not _BUCKET.fullmatch(value):
        return Problem("Use a name such as 'amazon-braket-my-team'.")
    if value.startswith(_BUCKET_PREFIXES) or value.endswith(_BUCKET_SUFFIXES):
        return Problem("Choose another name.", "S3 reserves this beginning or ending for itself")
    return None


def prefix(value: str) -> Problem | None:
    """Demand a key prefix that needs no escaping anywhere."""
    if value.startswith("s3:"):
        return Problem("Give the part after the bucket's name; the bucket is `s3_bucket_name`.")
    parts = value.strip("/").split("/")
    if any(part in (".", "..") for part in parts) or (len(parts) > 1 and "" in parts):
        return Problem("Leave out empty parts, '.' and '..'.")
    if len(value) > 512 or not _KEY_CHARACTERS.fullmatch(value):
        return Problem("Use a prefix such as 'covalent' or 'team/covalent'.")
    return None


def image(value: str) -> Problem | None:
    """Demand what Braket takes as an image: one of a private registry, with tag or digest."""
    match = _ECR.fullmatch(value)
    if match is None:
        public = value.startswith("public.ecr.aws/")
        what = "Braket pulls from private ECR only: copy the image there. " if public else ""
        return Problem(f"{what}Use 123456789012.dkr.ecr.us-east-1.amazonaws.com/repository:tag.")
    if not re.search("[:@]", match["rest"]):
        return Problem(f"Add a tag, such as {value}:latest.")
    if len(value) > 255 or not _REPOSITORY_TAG_DIGEST.fullmatch(match["rest"]):
        return Problem("End it with repository:tag or repository@sha256:digest, in 255 characters.")
    return None


def role(value: str) -> Problem | None:
    """Demand an IAM role's name, path and name, or ARN."""
    if value.startswith("arn:"):
        if _ROLE_ARN.fullmatch(value):
            return None
        return Problem("Use arn:aws:iam::123456789012:role/path/name.")
    return None if _ROLE_NAME.fullmatch(value) else Problem("Use the name that IAM shows.")


def role_to_assume(value: str) -> Problem | None:
    """Demand the ARN of an IAM role: STS takes no bare names."""
    if _ROLE_ARN.fullmatch(value):
        return None
    return Problem("Use arn:aws:iam::123456789012:role/path/name.")


def external_id(value: str) -> Problem | None:
    """Demand what STS takes as an external id."""
    return (
        None if _EXTERNAL_ID.fullmatch(value) else Problem("Copy it from the role's trust policy.")
    )


def session_name(value: str) -> Problem | None:
    """Demand what STS takes as a session's name."""
    return None if _SESSION_NAME.fullmatch(value) else Problem("Use a name such as 'team-a'.")


def device(value: str) -> Problem | None:
    """Demand a device's ARN or name, or ``local:provider/name`` for a simulator inside the job."""
    if len(value) <= 256 and (_DEVICE_ARN.fullmatch(value) or _LOCAL_DEVICE.fullmatch(value)):
        return None
    if _DEVICE_NAME.fullmatch(value):  # whether there is one, Braket says
        return None
    return Problem("Use a name that `covalent-braket devices` lists, or 'none' for no device.")


def devices(value: Sequence[str]) -> Problem | None:
    """Demand a list of devices."""
    problems = ((name, device(name)) for name in value)
    return next((replace(found, shown=[name]) for name, found in problems if found), None)


def checkpoint_key(value: str) -> Problem | None:
    """Demand what is one part of an S3 key."""
    if re.fullmatch(r"[\w.-]{1,128}", value, re.A) and value not in (".", ".."):
        return None
    return Problem("Use a name such as 'vqe-h2'.")


def checkpoint_path(value: str) -> Problem | None:
    """Demand a directory that Braket may keep checkpoints in (developer guide, checkpoints)."""
    parts = PurePosixPath(value).parts
    taken = ("/opt/ml", "/opt/braket", "/tmp", "/usr/local/nvidia")
    if not value.startswith("/") or ".." in parts or len(value) > 4096 or len(parts) < 2:
        return Problem("Use a path such as '/opt/jobs/checkpoints'.")
    if any(PurePosixPath(value).is_relative_to(path) for path in taken):
        return Problem("Use a path such as '/opt/jobs/checkpoints'.")
    return path(value)


def job_name(value: str) -> Problem | None:
    """Demand a template of known fields."""
    try:
        fields = [part[1:] for part in Formatter().parse(value) if part[1] is not None]
    except ValueError:
        return Problem("Close every brace; write {{ for a brace itself.")
    if len(value) > 256:
        return Problem("Shorten it: a job's name has at most 50 characters.")
    formatted = next((str(name) for name, *how in fields if any(how)), None)
    if formatted is not None:
        return Problem(f"Write {{{formatted}}}.", "its fields take no format or conversion")
    strange = next((name for name, *_ in fields if name not in JOB_NAME_FIELDS), None)
    if strange is None:
        return None
    known = ", ".join(f"{{{name}}}" for name in JOB_NAME_FIELDS)
    return Problem(closest(strange, JOB_NAME_FIELDS) or f"Use {known}.", where=f" {{{strange}}}")


def reservation(value: str) -> Problem | None:
    """Demand the ARN of a reservation."""
    if _RESERVATION.fullmatch(value):
        return None
    return Problem("Copy it from Braket's console: arn:aws:braket:REGION:ACCOUNT:reservation/ID.")


def input_data(value: Mapping[str, str]) -> Problem | None:
    """Demand what Braket takes as channels, each with a path or an S3 URI."""
    if len(value) > INPUT_CHANNELS:
        return Problem(
            f"Leave out {len(value) - INPUT_CHANNELS}.", shown=f"({len(value)} channels)"
        )
    for name, place in value.items():
        where = f"[{name!r}]"
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name) or name in (".", ".."):
            fix = "Use another name for the channel."
            return Problem(fix, "it has 1 to 64 letters, digits and . _ -", where, place)
        if not place.strip() or re.search("[\0\n\r]", place):
            return Problem("Give a path or an S3 URI.", where=where, shown=place)
        if (found := _place_problem(place)) is not None:
            return replace(found, where=where, shown=place)
    return None


def _place_problem(place: str) -> Problem | None:
    if "://" not in place and not place.startswith("s3:"):
        return directory(place)
    if len(place) > 1024:
        return Problem("Use a shorter key.", "Braket takes S3 URIs of at most 1024 characters")
    if re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/.*)?", place):
        return None
    return Problem("Use s3://bucket/key, or a path.")


def instance_type(value: str) -> Problem | None:
    """Demand an instance type of the service's model."""
    if value in INSTANCE_TYPES:
        return None
    full = value if value.startswith("ml.") else f"ml.{value}"
    # The same kind of machine first: who asks for a GPU (ml.g...) is not helped by an ml.m type.
    alike = [known for known in INSTANCE_TYPES if known[:4] == full[:4]]
    return Problem(closest(full, alike or INSTANCE_TYPES) or "Use one such as 'ml.m5.large'.")


def log_group(value: str) -> Problem | None:
    """Demand a legal name of a CloudWatch log group."""
    return None if _LOG_GROUP.fullmatch(value) else Problem("Braket's own is '/aws/braket/jobs'.")


def kms_key(value: str) -> Problem | None:
    """Demand a KMS key's id, alias or ARN."""
    if len(value) <= 2048 and _KMS.fullmatch(value):
        return None
    return Problem("Use the key's ARN, its id, or alias/name.")


def endpoint(value: str) -> Problem | None:
    """Demand an http(s) URL that says where alone: executors' settings are shown in the UI."""
    try:
        url = urlsplit(value)
        good = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return Problem("Use a URL such as 'http://127.0.0.1:4566'.")
    if url.username is not None or url.password is not None:
        return Problem("Leave out user and password.", shown=f"{url.scheme}://***@{url.hostname}")
    if good and not (url.query or url.fragment or re.search(r"\s", value)):
        return None
    return Problem("Use a URL such as 'http://127.0.0.1:4566'.")


def tag_character(character: str) -> bool:
    """Whether AWS takes a character in a tag: letters, digits and spaces of any script, and a few.

    https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
    """
    return character in "_.:/=+-@ " or unicodedata.category(character)[0] in "LN"


def tags(value: Mapping[str, str]) -> Problem | None:
    """Demand what AWS takes as tags, leaving room for ours."""
    if len(value) > 50 - OUR_TAGS:
        return Problem(f"Leave out {len(value) - (50 - OUR_TAGS)}.", shown=f"({len(value)} tags)")
    return next(_tag_problems(value), None)


def _tag_problems(value: Mapping[str, str]) -> Iterator[Problem]:
    for key, text in value.items():
        where = f"[{key!r}]"
        if key.lower().startswith(("aws:", "covalent:")):
            taken = "AWS" if key.lower().startswith("aws:") else "this executor"
            yield Problem("Use another key.", f"{taken} reserves such keys", where, text)
        if not 1 <= len(key) <= 128 or len(text) > 256:
            yield Problem(
                "Shorten it.", "a key has 1 to 128 characters, a value at most 256", where, text
            )
        if not all(map(tag_character, key + text)):
            allowed = "letters, digits, spaces and _ . : / = + - @ only"
            yield Problem("Leave out other characters.", allowed, where, text)


def hyperparameters(value: Mapping[str, Any]) -> Problem | None:
    """Demand what Braket takes as hyperparameters, leaving room for ours."""
    room = 100 - OUR_HYPERPARAMETERS
    if len(value) > room:
        shown = f"({len(value)} hyperparameters)"
        return Problem(f"Leave out {len(value) - room}, or pass them as arguments.", shown=shown)
    return next(_hyperparameter_problems(value), None) or _list_of_texts(value)


def _list_of_texts(value: Mapping[str, Any]) -> Problem | None:
    """Demand that the names of what is text although it looks like a number fit into one value."""
    size = len(encode(value).get(HP_TEXT, ""))
    if size <= 2500:
        return None
    fix = "Use shorter names, or numbers for what is numbers."
    rule = "the names of all that is text and looks like a number have about 2500 characters"
    return Problem(fix, rule, shown=f"({size} characters)")


def _hyperparameter_problems(value: Mapping[str, Any]) -> Iterator[Problem]:
    for key, given in value.items():
        where, text = f"[{key!r}]", as_text(given)
        if key.startswith(("covalent_", "sagemaker_")):
            yield Problem("Use another name.", "names of this kind are reserved", where, text)
        if not 1 <= len(key) <= 256:
            yield Problem(
                "Use a shorter, non-empty name.", "a name has 1 to 256 characters", where, text
            )
        if len(text) > 2500:
            size = f"({len(text)} characters)"
            fix = "Leave it out, or pass it as an argument."
            yield Problem(fix, "a value has at most 2500 characters", where, size)
