"""Which jobs are listed, and which one is meant."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from covalent_braket_plugin import history
from covalent_braket_plugin.errors import (
    ConfigFileError,
    LocalBraketError,
    SettingError,
    UnconfiguredError,
    UnknownJobError,
)
from covalent_braket_plugin.history import lookup
from covalent_braket_plugin.history.where import connect
from covalent_braket_plugin.settings import resolve
from tests.history.conftest import Account
from tests.support.braket_server import BraketServer

DISPATCH = "11111111-aaaa-4000-8000-000000000001"
ALIKE = "11111111-bbbb-4000-8000-000000000002"
OTHER = "22222222-bbbb-4000-8000-000000000003"
MANY = 102
"""More than Braket gives with one answer."""


@pytest.fixture(scope="module")
def made(account: Account) -> dict[str, str]:
    """ARNs of jobs by name; a stranger's is the newest."""
    ours = {
        "energy-0-1": (DISPATCH, "0"),
        "energy-0-2": (DISPATCH, "0"),
        "energy-7-1": (OTHER, "7"),
        "angle-4-1": (DISPATCH, "4"),
        "length-4-1": (ALIKE, "4"),
    }
    arns = {
        name: account.make(name, dispatch_id=dispatch, node_id=node, lattice="molecule")
        for name, (dispatch, node) in ours.items()
    }
    arns["not-ours"] = account.make("not-ours")
    for job in account.history.jobs():
        job.wait(20)
    return arns


def names(jobs: list[history.HybridJob]) -> list[str]:
    return [job.name for job in jobs]


def test_jobs_are_listed_newest_first_and_those_of_others_are_passed_over(
    account: Account, made: dict[str, str]
) -> None:
    ours = [name for name in reversed(made) if name != "not-ours"]
    assert names(account.history.jobs()) == ours
    assert names(account.history.jobs(limit=2, offset=1)) == ours[1:3]


def test_jobs_are_listed_by_dispatch_status_and_age(account: Account, made: dict[str, str]) -> None:
    jobs = account.history.jobs
    for dispatch_id in (DISPATCH, DISPATCH[:12]):
        assert names(jobs(dispatch_id=dispatch_id)) == ["angle-4-1", "energy-0-2", "energy-0-1"]
    cancelled = [job.name for job in jobs() if job.status == "CANCELLED"]
    assert names(jobs(status="cancelled")) == cancelled
    assert cancelled
    assert jobs(status="RUNNING") == []
    now = datetime.now(UTC)
    assert jobs(since=now + timedelta(seconds=1)) == []
    assert len(jobs(since=now - timedelta(minutes=5))) == len(made) - 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"limit": 0}, "limit=0.*at least 1"),
        ({"offset": -1}, "offset=-1.*at least 0"),
        ({"status": "DONE"}, "status='DONE'.*QUEUED, RUNNING"),
    ],
)
def test_an_argument_that_makes_no_sense_is_named_with_the_rule(
    account: Account, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingError, match=words):
        account.history.jobs(**arguments)


WAYS: dict[str, Callable[[str], Any]] = {
    "ARN": lambda arn: arn,
    "id": lambda arn: arn.rpartition("/")[2],
    "beginning of the id": lambda arn: arn.rpartition("/")[2][:13],
    "name": lambda arn: "energy-0-2",
    "dispatch and node": lambda arn: (DISPATCH, 0),
    "the same as text": lambda arn: f"{DISPATCH}:0",
    "with the beginning of the dispatch": lambda arn: f"{DISPATCH[:12]}:0",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_job_is_found_by(account: Account, made: dict[str, str], way: str) -> None:
    arn = made["energy-0-2"]
    job = account.history.job(WAYS[way](arn))
    assert (job.arn, job.attempt, job.workflow) == (arn, 2, "molecule")


def test_the_newest_of_two_jobs_with_the_same_name_is_meant(account: Account) -> None:
    task = {"dispatch_id": OTHER, "node_id": "9"}
    arns = [account.make("twice-9-1", **task), account.make("twice-9-1", **task)]
    assert account.history.job("twice-9-1").arn == arns[1]


def test_a_renamed_job_is_found_by_both_names(account: Account, made: dict[str, str]) -> None:
    account.history.job("angle-4-1").rename("best angle so far")
    job = account.history.job("best angle so far")
    assert (job.arn, job.name, job.braket_name) == (
        made["angle-4-1"],
        "best angle so far",
        "angle-4-1",
    )
    assert account.history.job("angle-4-1").arn == made["angle-4-1"]


def test_a_beginning_that_fits_two_dispatches_is_refused_with_both(
    account: Account, made: dict[str, str]
) -> None:
    with pytest.raises(UnknownJobError, match="may be of 2 dispatches") as refused:
        account.history.job("11111111:4")
    assert DISPATCH in str(refused.value)
    assert ALIKE in str(refused.value)


def test_a_dispatch_is_found_by_the_beginning_of_its_id(
    account: Account, made: dict[str, str]
) -> None:
    ctx = connect(resolve(account.settings, {}, {}))
    assert lookup.dispatch_of(ctx, DISPATCH[:12]) == DISPATCH
    assert lookup.dispatch_of(ctx, "00ff") == "00ff"
    with pytest.raises(UnknownJobError, match="2 dispatches in us-west-2 have an id that begins"):
        lookup.dispatch_of(ctx, "11111111")


def test_a_beginning_that_fits_two_jobs_is_refused_with_both(
    new_account_of_its_own: Account,
) -> None:
    account = new_account_of_its_own
    ids: dict[str, list[str]] = {}
    while not (alike := [each for each in ids.values() if len(each) > 1]):
        arn = account.make("alike-3-1", dispatch_id=OTHER, node_id="3")
        ids.setdefault(arn.rpartition("/")[2][:1], []).append(arn.rpartition("/")[2])
    with pytest.raises(
        UnknownJobError, match="jobs in us-west-2 have an id that begins"
    ) as refused:
        account.history.job(alike[0][0][:1])
    assert all(each in str(refused.value) for each in alike[0])


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("nothing-like-it", "no job 'nothing-like-it' in us-west-2, among"),
        (str(uuid.UUID(int=1)), "There is no job arn:aws:braket:us-west-2"),
        ((DISPATCH, 17), r"node 17 in us-west-2\. It has jobs for nodes 0, 4\."),
        (f"{uuid.UUID(int=1)}:0", "There is no job of dispatch"),
        (f"arn:aws:braket:eu-west-2:123456789012:job/{uuid.UUID(int=1)}", "region=eu-west-2"),
    ],
)
def test_what_is_not_there_is_said_with_where_it_was_looked_for(
    account: Account, made: dict[str, str], which: Any, words: str
) -> None:
    with pytest.raises(UnknownJobError, match=words):
        account.history.job(which)


def test_a_job_of_somebody_else_is_not_taken_for_ours(
    account: Account, made: dict[str, str]
) -> None:
    with pytest.raises(UnknownJobError, match="not a job of this package"):
        account.history.job(made["not-ours"])


def test_no_more_pages_are_asked_for_than_needed(
    local_braket: BraketServer, tmp_path: Path
) -> None:
    # Whatever the device of the settings: none of this region is named here.
    account = Account(local_braket, tmp_path, region="eu-north-1")
    for number in range(MANY):
        account.make(f"one-{number}-1", dispatch_id=OTHER, node_id=str(number))

    def searches(**arguments: Any) -> int:
        local_braket.reset_calls()
        account.history.jobs(**arguments)
        return local_braket.calls()["dispatcher"]["braket:SearchJobs"]

    assert searches(limit=100) == 1
    assert searches(limit=101) == 2
    assert names(account.history.jobs(limit=9, offset=98)) == [f"one-{n}-1" for n in (3, 2, 1, 0)]


# --- where to look --------------------------------------------------------------------------------


def test_an_executors_own_settings_say_where_to_look(
    account: Account, made: dict[str, str]
) -> None:
    assert history.History(account.executor()).job(made["energy-0-1"]).attempt == 1


def test_the_configuration_file_says_where_to_look(
    account: Account, made: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVALENT_CONFIG_DIR", str(tmp_path))
    lines = [f'{name} = "{value}"' for name, value in account.settings.items()]
    (tmp_path / "covalent.conf").write_text("\n".join(["[executors.braket]", *lines]))
    assert history.job(made["energy-0-1"]).attempt == 1
    (tmp_path / "covalent.conf").write_text("executors = 3")
    with pytest.raises(ConfigFileError, match="executors is not a section"):
        history.jobs()


def test_what_is_missing_or_wrong_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVALENT_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("COVALENT_BRAKET_LOCAL_DIR", str(tmp_path))
    with pytest.raises(UnconfiguredError, match="region"):
        history.jobs()
    with pytest.raises(LocalBraketError, match="No local Braket is running"):
        history.jobs(local=True)
    with pytest.raises(SettingError, match="Did you mean region"):
        history.jobs(regoin="us-east-1")
