"""What the caller and the job's role must be allowed to do: each permission once, with its reason.

The IAM policies that the command line prints, the Terraform templates, the CloudFormation ones and
the checks of a set-up all grant what stands here; tests hold them to it, and hold this table to
the calls that the code makes. A pure table: nothing here asks AWS.

Which actions know which resources and conditions:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_braket.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any, Literal

__all__ = [
    "AWS_IMAGE_ACCOUNT",
    "CALLER",
    "DEFAULT_ROLE_NAME",
    "PUSHER",
    "ROLE",
    "SERVICE",
    "SERVICE_LINKED_ROLE",
    "Grant",
    "Scope",
    "When",
    "caller_policy",
    "grants",
    "platform_trust_policy",
    "policy",
    "pusher_policy",
    "role_policy",
    "trust_policy",
]

AWS_IMAGE_ACCOUNT = "292282985366"
"""Account of AWS's own Braket images (amazon-braket-sdk, ``image_uri_config``)."""

DEFAULT_ROLE_NAME = "service-role/AmazonBraketJobsExecutionRole*"
"""Name pattern of the role that Braket's console makes; its path belongs to the name."""

SERVICE = "braket.amazonaws.com"

SERVICE_LINKED_ROLE = "AWSServiceRoleForAmazonBraket"
"""Braket's own role, which exists in every account where Braket was enabled."""

When = Literal["always", "input data", "key", "own image", "may create bucket", "role unnamed"]
"""When a permission is needed at all; see `Scope`."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What permissions are narrowed down to.

    Attributes:
        partition: ``aws`` or one of its siblings.
        region: Region of the jobs.
        account: Account of the jobs, 12 digits.
        bucket: Bucket of payloads and results.
        prefix: Key prefix in it; empty for the whole bucket.
        role_arn: Role that jobs run as. A pattern with ``*`` if no role is named and the account's
            default one is to be found.
        repository: ARN or name of the ECR repository of own images; None if jobs run in AWS's.
        kms_key_arn: Key that encrypts objects; None for the bucket's own rule.
        log_group: Log group of jobs.
        may_create_bucket: Whether the bucket is made on first use.
        input_data: Buckets and keys of input data that users have in S3; a key that ends with a
            slash, or is empty, is a folder, any other may be one.
    """

    partition: str
    region: str
    account: str
    bucket: str
    role_arn: str
    prefix: str = "covalent"
    repository: str | None = None
    kms_key_arn: str | None = None
    log_group: str = "/aws/braket/jobs"
    may_create_bucket: bool = False
    input_data: tuple[tuple[str, str], ...] = ()

    @property
    def repository_arn(self) -> str:
        """ARN of the repository of own images; empty without one."""
        name = self.repository or ""
        if not name or name.startswith("arn:"):
            return name
        return f"arn:{self.partition}:ecr:{self.region}:{self.account}:repository/{name}"

    def needs(self, when: When) -> bool:
        """Whether a permission for this case is needed."""
        cases: dict[When, bool] = {
            "always": True,
            "input data": bool(self.input_data),
            "key": self.kms_key_arn is not None,
            "own image": self.repository is not None,
            "may create bucket": self.may_create_bucket,
            "role unnamed": "*" in self.role_arn,
        }
        return cases[when]

    def fill(self, text: str) -> str:
        """Put this scope's values into the text of a resource or condition."""
        prefix = self.prefix.strip("/")
        values = {
            "Partition": self.partition,
            "Region": self.region,
            "Account": self.account,
            "Bucket": self.bucket,
            "Below": f"{prefix}/" if prefix else "",
            "RoleArn": self.role_arn,
            "RepositoryArn": self.repository_arn,
            "Key": self.kms_key_arn or "",
            "LogGroup": self.log_group,
        }
        return Template(text).substitute(values)

    def resources(self, text: str) -> list[str]:
        """Put this scope's values into a resource; one about input data may become several."""
        found = dict.fromkeys(
            text.replace("${InputBucket}", bucket).replace("${InputKey}", part)
            for bucket, key in self.input_data or [("", "")]
            for part in ([f"{key}*"] if key.endswith("/") or not key else [key, f"{key}/*"])
        )
        return [self.fill(each) for each in found]


@dataclass(frozen=True)
class Grant:
    """One statement of a policy, and why it is there.

    Attributes:
        sid: Its name in the policy.
        why: Which call needs it; for people.
        actions: IAM actions.
        resources: ARNs; `Scope.fill` fills them in.
        conditions: By operator and key, as IAM writes them; filled in as well.
        when: When it is needed.
    """

    sid: str
    why: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    conditions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    when: When = "always"

    def filled(self, scope: Scope) -> Grant:
        """Narrow it down to a scope."""
        conditions = {
            operator: {key: scope.fill(value) for key, value in keys.items()}
            for operator, keys in self.conditions.items()
        }
        resources = tuple(each for text in self.resources for each in scope.resources(text))
        return Grant(self.sid, self.why, self.actions, resources, conditions, self.when)

    def statement(self) -> dict[str, Any]:
        """Write it as IAM does."""
        statement: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": list(self.resources),
        }
        if self.conditions:
            statement["Condition"] = {key: dict(value) for key, value in self.conditions.items()}
        return statement


_BUCKET = "arn:${Partition}:s3:::${Bucket}"
_OBJECTS = _BUCKET + "/${Below}*"
_INPUT_BUCKET = "arn:${Partition}:s3:::${InputBucket}"
_QUANTUM_TASK_RESULTS = _BUCKET + "/jobs/*"
_OWN_JOBS = "arn:${Partition}:braket:${Region}:${Account}:job/*"
_OWN_QUANTUM_TASKS = "arn:${Partition}:braket:*:${Account}:quantum-task/*"
# With ":*" for all calls but those about tags, says
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
_LOGS = "arn:${Partition}:logs:${Region}:${Account}:log-group:${LogGroup}:*"
_BRAKET_LOGS = "arn:${Partition}:logs:${Region}:${Account}:log-group:/aws/braket*"
_SERVICE_LINKED_ROLE = (
    f"arn:${{Partition}}:iam::${{Account}}:role/aws-service-role/{SERVICE}/{SERVICE_LINKED_ROLE}"
)
_REPOSITORY = "${RepositoryArn}"
_AWS_IMAGES = (
    f"arn:${{Partition}}:ecr:${{Region}}:{AWS_IMAGE_ACCOUNT}:repository/amazon-braket-*-jobs"
)
# A bucket of the expected name that somebody else made first is not written to and not believed;
# AWS's own policies for Braket say so too.
_OWN_BUCKET = {"StringEquals": {"aws:ResourceAccount": "${Account}"}}
_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")

_USE_KEY = Grant(
    "UseKey",
    "Objects are encrypted with this key.",
    ("kms:Decrypt", "kms:GenerateDataKey"),
    ("${Key}",),
    {"StringEquals": {"kms:ViaService": "s3.${Region}.amazonaws.com"}},
    when="key",
)

CALLER: tuple[Grant, ...] = (
    Grant(
        "MakeAndFindJobs",
        "CreateJob makes a job of an electron, with tags (TagResource, which also renames a job); "
        "SearchJobs tells how all jobs stand; SearchQuantumTasks finds what a cancelled job left "
        "open, and what a job's quantum tasks cost. IAM knows no narrower resource for them.",
        (
            "braket:CreateJob",
            "braket:SearchJobs",
            "braket:SearchQuantumTasks",
            "braket:TagResource",
        ),
    ),
    Grant(
        "FollowAndCancelJobs",
        "GetJob tells how a job ended, CancelJob ends it.",
        ("braket:CancelJob", "braket:GetJob"),
        (_OWN_JOBS,),
    ),
    Grant(
        "CancelQuantumTasks",
        "CancelQuantumTask ends the quantum tasks that a cancelled job left open.",
        ("braket:CancelQuantumTask",),
        (_OWN_QUANTUM_TASKS,),
    ),
    Grant(
        "RunJobsAsRole",
        "CreateJob hands the job its role.",
        ("iam:PassRole",),
        ("${RoleArn}",),
        {"StringEquals": {"iam:PassedToService": SERVICE}},
    ),
    Grant(
        "FindDefaultRole",
        "ListRoles finds the role that Braket's console made, if none is named.",
        ("iam:ListRoles",),
        when="role unnamed",
    ),
    Grant(
        "StageAndFetchObjects",
        "Payloads go to S3, outcomes come from there, and both are removed when the electron is "
        "done; an upload in parts that fails is given up.",
        ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"),
        (_OBJECTS,),
        _OWN_BUCKET,
    ),
    Grant(
        "TellMissingObjects",
        "Without it S3 answers 403 instead of 404 for an object that is not there, so that a job "
        "that left no outcome looks like one whose outcome may not be read. A condition on "
        "s3:prefix would bring the 403 back: GetObject has no such key. `jobs delete` lists what a "
        "job has there; whether a job saved new checkpoints is looked up the same way.",
        ("s3:ListBucket",),
        (_BUCKET,),
        _OWN_BUCKET,
    ),
    Grant(
        "FindInputData",
        "ListObjectsV2 and HeadBucket tell whether input data that users have in S3 is there, and "
        "in the jobs' region, before a job is made.",
        ("s3:ListBucket",),
        (_INPUT_BUCKET,),
        when="input data",
    ),
    Grant(
        "MakeUsualBucket",
        "Braket's usual bucket is made on first use, closed to the public, if no bucket is named.",
        ("s3:CreateBucket", "s3:PutBucketPublicAccessBlock"),
        (_BUCKET,),
        when="may create bucket",
    ),
    _USE_KEY,
    Grant(
        "ReadLogs",
        "Users read the logs of their jobs, and the end of a failed job's is put into the "
        "electron's error.",
        ("logs:DescribeLogStreams", "logs:GetLogEvents"),
        (_LOGS,),
    ),
    Grant(
        "ReadQuotas",
        "ListServiceQuotas tells how many jobs may run at the same time; without it that is found "
        "out by trying.",
        ("servicequotas:ListServiceQuotas",),
    ),
    Grant(
        "LookAtAwsImages",
        "BatchGetImage tells which Python AWS's image has; without it the published one is taken.",
        ("ecr:BatchGetImage",),
        (_AWS_IMAGES,),
    ),
    Grant(
        "ChooseDevice",
        "SearchDevices finds a device by its name, GetDevice tells whether a QPU can be used now; "
        "without them only ARNs are taken, and nothing waits for a device. IAM knows no narrower "
        "resource.",
        ("braket:GetDevice", "braket:SearchDevices"),
    ),
    # What only `covalent-braket doctor` asks; without them it says what it could not check.
    Grant(
        "CheckBucket",
        "The doctor looks at the tags of a bucket whose name does not say that it is Braket's.",
        ("s3:GetBucketTagging",),
        (_BUCKET,),
        _OWN_BUCKET,
    ),
    Grant(
        "CheckEnabled",
        "The doctor looks whether Braket was enabled in the account: then its own role is there.",
        ("iam:GetRole",),
        (_SERVICE_LINKED_ROLE,),
    ),
    Grant(
        "CheckRole",
        "The doctor looks whom the role trusts, and what it may do.",
        ("iam:GetRole", "iam:SimulatePrincipalPolicy"),
        ("${RoleArn}",),
    ),
    Grant(
        "CheckOwnImage",
        "The doctor looks whether the image is there.",
        ("ecr:DescribeImages",),
        (_REPOSITORY,),
        when="own image",
    ),
)
"""What whoever runs Covalent's server needs."""

ROLE: tuple[Grant, ...] = (
    Grant(
        "FetchAndLeaveObjects",
        "The worker fetches the payload and leaves the outcome; Braket does so with the job's "
        "source, results and checkpoints. Results of quantum tasks lie under jobs/.",
        ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"),
        (_OBJECTS, _QUANTUM_TASK_RESULTS),
        _OWN_BUCKET,
    ),
    Grant(
        "TellMissingObjects",
        "S3 answers 404, not 403, for an object that is not there; Braket lists input data and "
        "checkpoints.",
        ("s3:ListBucket",),
        (_BUCKET,),
        _OWN_BUCKET,
    ),
    Grant(
        "ReadInputData",
        "Braket copies input data that users have in S3 to the job.",
        ("s3:GetObject",),
        (_INPUT_BUCKET + "/${InputKey}",),
        when="input data",
    ),
    Grant(
        "ListInputData",
        "Braket lists the objects of input data.",
        ("s3:ListBucket",),
        (_INPUT_BUCKET,),
        when="input data",
    ),
    _USE_KEY,
    Grant(
        "PullAwsImages",
        "Braket starts the job in one of its own images.",
        _PULL,
        (_AWS_IMAGES,),
    ),
    Grant(
        "PullOwnImage",
        "Braket starts the job in an image of your own.",
        _PULL,
        (_REPOSITORY,),
        when="own image",
    ),
    Grant(
        "LogInToRegistry",
        "Pulling an image needs a login; IAM knows no narrower resource for it.",
        ("ecr:GetAuthorizationToken",),
    ),
    Grant(
        "WriteLogs",
        "What the job prints goes to CloudWatch Logs.",
        (
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:DescribeLogStreams",
            "logs:PutLogEvents",
        ),
        (_BRAKET_LOGS,),
    ),
    Grant(
        "WriteMetrics",
        "Braket records the instance's load.",
        ("cloudwatch:PutMetricData",),
        conditions={"StringEquals": {"cloudwatch:namespace": "/aws/braket"}},
    ),
    Grant(
        "RunQuantumTasks",
        "Electrons run circuits; IAM knows no narrower resource for these.",
        (
            "braket:CreateQuantumTask",
            "braket:GetDevice",
            "braket:SearchDevices",
            "braket:TagResource",
        ),
    ),
    Grant(
        "FollowQuantumTasks",
        "Electrons wait for their circuits, and may cancel them.",
        ("braket:CancelQuantumTask", "braket:GetQuantumTask"),
        (_OWN_QUANTUM_TASKS,),
    ),
)
"""What a job needs: Braket itself to start it, the worker, and the Braket SDK in electrons."""


PUSHER: tuple[Grant, ...] = (
    Grant(
        "LogInToRegistry",
        "Pushing an image needs a login; IAM knows no narrower resource for it.",
        ("ecr:GetAuthorizationToken",),
    ),
    Grant(
        "MakeRepository",
        "`image push` looks for the repository, and makes it with --create-repository.",
        ("ecr:CreateRepository", "ecr:DescribeRepositories"),
        (_REPOSITORY,),
    ),
    Grant(
        "PushImage",
        "The engine uploads the layers that are not there yet, then the image; `image push` looks "
        "at what is there.",
        (
            "ecr:BatchCheckLayerAvailability",
            "ecr:CompleteLayerUpload",
            "ecr:DescribeImages",
            "ecr:InitiateLayerUpload",
            "ecr:PutImage",
            "ecr:UploadLayerPart",
        ),
        (_REPOSITORY,),
    ),
)
"""What whoever pushes an image of their own needs."""


def grants(table: Iterable[Grant], scope: Scope) -> list[Grant]:
    """Narrow a table down to what is needed in a scope.

    Args:
        table: `CALLER`, `ROLE` or `PUSHER`.
        scope: The scope.
    """
    return [grant.filled(scope) for grant in table if scope.needs(grant.when)]


def policy(statements: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Put statements into an IAM policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def caller_policy(scope: Scope) -> dict[str, Any]:
    """The policy of whoever runs Covalent's server."""
    return policy(grant.statement() for grant in grants(CALLER, scope))


def role_policy(scope: Scope) -> dict[str, Any]:
    """The policy of the role that jobs run as."""
    return policy(grant.statement() for grant in grants(ROLE, scope))


def pusher_policy(scope: Scope) -> dict[str, Any]:
    """The policy of whoever pushes an image of their own to `Scope.repository`."""
    return policy(grant.statement() for grant in grants(PUSHER, scope))


def trust_policy() -> dict[str, Any]:
    """Who may take the role of jobs: Braket alone.

    It has no condition on ``aws:SourceAccount``: AWS does not say that Braket sends it, and a role
    can be passed within its own account only.
    """
    return policy([_trust({"Service": SERVICE})])


def platform_trust_policy(partition: str, account: str, external_id: str) -> dict[str, Any]:
    """Who may take a role that acts for another account: that account, if it knows the id.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html

    Args:
        partition: ``aws`` or one of its siblings.
        account: The trusted account, 12 digits.
        external_id: What it has to say.
    """
    statement = _trust({"AWS": f"arn:{partition}:iam::{account}:root"})
    return policy([statement | {"Condition": {"StringEquals": {"sts:ExternalId": external_id}}}])


def _trust(principal: dict[str, str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
