"""Faults of measuring on a cluster: which node gets what, what is lost, what a node must be."""

from __future__ import annotations

from tests.mutations.fault import Fault

CONTROLLER, NODE, UNIT, RUNS = (
    "benchmarks/cluster/controller.py",
    "benchmarks/cluster/node.py",
    "benchmarks/cluster/unit.py",
    "benchmarks/cluster/class_runs.py",
)
HERE = "tests/unit/cluster"

FAULTS = (
    Fault(
        "shortest_units_first",
        UNIT,
        'key=lambda job: -job["seconds"])',
        'key=lambda job: job["seconds"])',
        "the longest unit begins last, and one node works while all others wait",
        (f"{HERE}/test_units.py::test_longest_units_come_first",),
    ),
    Fault(
        "lost_unit_given_up_at_once",
        CONTROLLER,
        "MOST_LOSSES = 2",
        "MOST_LOSSES = 1",
        "a node that dies takes its unit along",
        (f"{HERE}/test_controller.py::test_lost_unit_goes_to_another_node_once",),
    ),
    Fault(
        "node_that_refuses_is_asked_again",
        CONTROLLER,
        "        self.backend.exclude(event.node)\n",
        "",
        "a node with another torch is handed unit after unit",
        (
            f"{HERE}/test_controller.py::test_node_that_refuses_gets_nothing_more_and_its_unit_is_measured_elsewhere",
        ),
    ),
    Fault(
        "answer_taken_twice",
        CONTROLLER,
        "        if event.unit not in self.waiting:\n",
        "        if event.unit is None:\n",
        "a node that was thought dead answers after all, and its unit is counted again",
        (f"{HERE}/test_controller.py::test_second_answer_about_a_unit_says_nothing",),
    ),
    Fault(
        "failed_canaries_on_a_node_ignored",
        NODE,
        'answer["refused"] = failed_canaries(answer["canaries"])',
        'answer["refused"] = None',
        "a node that misreads what is known goes on measuring",
        (
            f"{HERE}/test_node.py::test_node_whose_canaries_fail_measures_nothing_and_takes_them_again",
        ),
    ),
    Fault(
        "node_measures_beside_another_run",
        NODE,
        "            self._lock.take()\n",
        "            pass\n",
        "two runs on one node disturb each other",
        (
            f"{HERE}/test_node.py::test_node_refuses_while_another_run_measures_and_lets_the_machine_go",
        ),
    ),
    Fault(
        "machine_kept_between_units",
        NODE,
        "        finally:\n            self._lock.release()\n        if",
        "        finally:\n            pass\n        if",
        "a node that waits for its next unit keeps every other run from the machine",
        (
            f"{HERE}/test_node.py::test_node_refuses_while_another_run_measures_and_lets_the_machine_go",
        ),
    ),
    Fault(
        "other_code_on_a_node_not_noticed",
        "benchmarks/cluster/node_environment.py",
        'resume.digest_of(map(Path, job["specs"])) != wanted["code"]',
        'resume.digest_of(map(Path, job["specs"])) is None',
        "a node with uncommitted changes measures another program",
        (f"{HERE}/test_units.py::test_difference_of_a_node_is_one_line",),
    ),
    Fault(
        "unit_kept_in_two_runs",
        RUNS,
        "        for other in self:\n            other.measurements.forget(cells)\n",
        "",
        "a cell has two records, of two machines",
        (
            f"{HERE}/test_class_runs.py::test_session_goes_on_with_all_its_runs_and_measures_whole_units",
        ),
    ),
    Fault(
        "workers_looked_up_where_the_client_notes_others",
        "benchmarks/cluster/backends/dask.py",
        "self._client.sync(ask, n_workers=-1, callback_timeout=CONNECT_SECONDS)",
        "self._client.scheduler_info(n_workers=-1)",
        "on a busy machine every worker seems to be gone for a moment, and all units are lost",
        (
            f"{HERE}/test_dask_workers.py::test_answer_to_another_question_of_the_client_is_not_taken_for_ours",
        ),
    ),
    Fault(
        "workers_begun_anew_for_every_group",
        NODE,
        "return measure_group(job, self.pool)",
        "return measure_group(job, Pool())",
        "most of a small unit is the start of its workers, on two nodes as on one",
        (f"{HERE}/test_node.py::test_workers_stay_from_unit_to_unit",),
    ),
    Fault(
        "canaries_taken_before_every_unit",
        NODE,
        "                    self._taken.add(key)\n",
        "                    pass\n",
        "a node takes its canaries as often as it has units",
        (
            f"{HERE}/test_node.py::test_canaries_come_first_and_once_and_a_bug_costs_its_group_alone",
        ),
    ),
    Fault(
        "answer_taken_for_another_group",
        "benchmarks/cluster/class_run.py",
        'zip(members, answer["groups"], strict=True)',
        'zip(members, reversed(answer["groups"]), strict=True)',
        "a node's times of one phase stand in the records of the other, and every ratio is wrong",
        (
            f"{HERE}/test_class_runs.py::test_ratio_of_each_group_is_of_the_times_that_its_node_sent",
        ),
    ),
)
