"""What is known of jobs and dispatches that an earlier server left."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from covalent_braket_plugin.covalent_compat.server import is_server
from covalent_braket_plugin.covalent_compat.store import Dispatch, Node
from covalent_braket_plugin.descriptions import JobSummary, task_of
from covalent_braket_plugin.reattach import newest_jobs, settings_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def job(name: str, node: str = "3", dispatch_id: str = "d") -> JobSummary:
    tags = {"covalent:dispatch_id": dispatch_id, "covalent:node_id": node}
    return JobSummary(arn=f"arn:{name}", name=name, status="RUNNING", tags=tags)


def dispatch(*nodes: Node) -> Dispatch:
    return Dispatch("d", "d", "flow", "RUNNING", NOW, {node.node_id: node for node in nodes})


def node(number: int, status: str, parents: tuple[int, ...] = (), group: int | None = None) -> Node:
    group_id = number if group is None else group
    return Node(number, group_id, "f", status, "braket", parents=parents)


def test_the_newest_attempt_of_a_node_is_its_job_whatever_the_order() -> None:
    jobs = [job("f-0a-3-2"), job("f-0a-3-10"), job("f-0a-3-1"), job("f-0a-4-1", "4")]
    for order in (jobs, jobs[::-1]):
        found = {key: each.name for key, each in newest_jobs(order).items()}
        assert found == {("d", 3): "f-0a-3-10", ("d", 4): "f-0a-4-1"}


def test_the_attempt_is_read_from_the_tags_whatever_the_name() -> None:
    named = job("energy-7")
    named.tags["covalent:attempt"] = "12"  # type: ignore[index]
    assert task_of(named) == ("d", 3, 12)


@pytest.mark.parametrize(
    "stranger",
    [job("mine"), job("f-0a-3-1", node=""), job("f-0a-3-1", dispatch_id=""), job("f-0a-3-x")],
)
def test_a_job_without_our_tags_and_name_is_not_ours(stranger: JobSummary) -> None:
    assert task_of(stranger) is None
    assert newest_jobs([stranger]) == {}


@pytest.mark.parametrize("status", ["NEW_OBJECT", "RUNNING", "FAILED", "CANCELLED"])
def test_a_node_is_held_back_by_a_parent_that_has_not_completed(status: str) -> None:
    child = node(2, "NEW_OBJECT", parents=(0, 1))
    assert not dispatch(node(0, "COMPLETED"), node(1, status), child).ready(child)
    assert dispatch(node(0, "COMPLETED"), node(1, "COMPLETED"), child).ready(child)


def test_a_group_is_not_held_back_by_its_own_nodes_but_by_the_parents_of_any() -> None:
    last = node(2, "NEW_OBJECT", parents=(1,), group=1)
    inner = node(1, "NEW_OBJECT", parents=(0,), group=1)
    assert dispatch(node(0, "COMPLETED"), inner, last).ready(last)
    assert not dispatch(node(0, "RUNNING"), inner, last).ready(last)


def test_an_electrons_own_setting_wins_over_the_file_and_a_mistake_in_one_stops_no_server() -> None:
    own = Node(0, 0, "f", "RUNNING", "braket", attributes={"reattach": True, "on_stop": None})
    found = settings_of(own, {"reattach": False, "on_stop": "cancel"})
    assert (found.reattach, found.on_stop) == (True, "cancel")
    assert settings_of(own, {"time_limit": "an hour"}).on_stop == "leave"


def test_a_test_run_is_no_server() -> None:
    assert not is_server()
