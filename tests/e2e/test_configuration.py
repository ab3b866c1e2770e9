"""Where settings come from, on a real server: constructor, configuration file, environment."""

from __future__ import annotations

from typing import Any

import covalent as ct
import pytest

from covalent_braket_plugin.job.hyperparameters import decode
from tests.support.stage import Stage

pytestmark = pytest.mark.e2e


def job_of(stage: Stage, executor: Any) -> dict[str, Any]:
    """Run one electron and look at its job."""

    @ct.lattice
    def flow() -> Any:
        return ct.electron(abs, executor=executor)(-1)

    dispatch_id = stage.dispatch(flow)
    result = stage.result(dispatch_id)
    assert result.result == 1, result.get_node_result(0)["error"]
    (job,) = stage.jobs_of(dispatch_id)
    return stage.job(job["jobArn"])


def error_of(stage: Stage, executor: Any) -> str:
    """Run one electron that must fail."""

    @ct.lattice
    def flow() -> Any:
        return ct.electron(abs, executor=executor)(-1)

    result = stage.run(flow)
    assert str(result.status) == "FAILED"
    return str(result.get_node_result(0)["error"])


def limit(job: dict[str, Any]) -> int:
    return int(job["stoppingCondition"]["maxRuntimeInSeconds"])


def test_configuration_file_is_read_for_each_electron_without_a_restart(stage: Stage) -> None:
    stage.configure(local="true", time_limit="111")
    assert limit(job_of(stage, "braket")) == 111
    stage.configure(local="true", time_limit="222")
    assert limit(job_of(stage, "braket")) == 222


def test_constructor_wins_and_leaves_the_rest_to_the_file(stage: Stage) -> None:
    stage.configure(local="true", time_limit="111", storage="40")
    job = job_of(stage, ct.executor.BraketExecutor(time_limit=99))
    assert limit(job) == 99
    assert job["instanceConfig"]["volumeSizeInGb"] == 40


def test_empty_text_in_the_file_means_unset(stage: Stage) -> None:
    stage.configure(local="true", region='""', classical_device='""')
    assert job_of(stage, "braket")["instanceConfig"]["instanceType"] == "ml.m5.large"


def test_old_keys_in_the_file_do_no_harm(stage: Stage) -> None:
    stage.configure(local="true", conda_env='"old"', some_other_plugin="1", retries="3")
    assert limit(job_of(stage, "braket")) == 300


def test_bad_value_in_the_file_fails_the_electron_saying_where_it_is(stage: Stage) -> None:
    stage.configure(local="true", time_limit="0")
    error = error_of(stage, "braket")
    assert "time_limit=0 is not valid" in error
    assert "[executors.braket]" in error


def test_endpoint_that_does_not_answer_is_said(stage: Stage) -> None:
    stage.configure()
    executor = ct.executor.BraketExecutor(
        endpoint_url="http://127.0.0.1:9",
        region="us-east-1",
        braket_job_execution_role_name="arn:aws:iam::000000000000:role/r",
        ecr_image_uri=stage.braket.info["image_uri"],
        s3_bucket_name="amazon-braket-somewhere",
    )
    error = error_of(stage, executor)
    assert "no answer from AWS" in error or "credentials" in error


@pytest.fixture(autouse=True)
def _configuration_is_put_back(stage: Stage) -> Any:
    yield
    stage.configure(local="true")


def test_hyperparameters_of_the_file_keep_the_types_that_toml_gives_them(stage: Stage) -> None:
    values = '{ steps = 3, rate = 0.1, label = "7", fast = true, sizes = [1, 2] }'
    stage.configure(local="true", hyperparameters=values)
    sent = job_of(stage, "braket")["hyperParameters"]
    expected = {"steps": 3, "rate": 0.1, "label": "7", "fast": True, "sizes": [1, 2]}
    assert decode(sent) == expected
    own = ct.executor.BraketExecutor(hyperparameters={"steps": 4})
    assert decode(job_of(stage, own)["hyperParameters"]) == {"steps": 4}
