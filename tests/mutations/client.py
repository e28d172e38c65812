"""Faults of the client: what a user imports, and how the suite is started, stopped and packaged."""

from __future__ import annotations

from tests.mutations.fault import Fault

COMPARE, FROZEN, TARGET, COMPARISON, FLOW, COMMANDS, WHEEL, PAGE = (
    "tests/unit/client/test_compare.py",
    "tests/integration/test_frozen_check.py",
    "tests/unit/client/test_target.py",
    "tests/unit/client/test_comparison.py",
    "tests/unit/client/test_flow_check.py",
    "tests/unit/client/test_commands.py",
    "tests/system/test_wheel.py",
    "tests/unit/results/report/test_own_code_page.py",
)

FAULTS = (
    Fault(
        "buffers_not_judged_when_frozen",
        "cascade_bench/frozen_check.py",
        "        named = [*part.named_parameters(), *part.named_buffers()]\n",
        "        named = [*part.named_parameters()]\n",
        "a frozen BatchNorm goes on moving its statistics, and passes for frozen",
        (f"{FROZEN}::test_statistics_that_move_are_named",),
    ),
    Fault(
        "frozen_judged_after_the_first_step_alone",
        "cascade_bench/frozen_check.py",
        "    for number in range(1, steps + 1):\n",
        "    for number in range(1, 2):\n",
        "what moves from the second step on, as by momentum, passes for frozen",
        (f"{FROZEN}::test_what_moves_in_the_second_step_is_caught",),
    ),
    Fault(
        "frozen_judged_by_value_and_not_by_bits",
        "cascade_bench/frozen_check.py",
        "    return one[0] == other[0] and np.array_equal(one[1], other[1])\n",
        "    return one[0] == other[0] and np.allclose(one[1], other[1], atol=1)\n",
        "tensors are compared with a tolerance",
        (
            f"{FROZEN}::test_every_type_is_compared_bit_by_bit",
            f"{FROZEN}::test_what_moves_in_the_second_step_is_caught",
        ),
    ),
    Fault(
        "flow_of_one_network_judged",
        "cascade_bench/flow_check.py",
        "            if found != kind:\n",
        '            if found != kind and found != "absent":\n',
        "a gradient that does not arrive at all is no mistake",
        (f"{FLOW}::test_gradient_that_goes_astray_is_named",),
    ),
    Fault(
        "suite_put_on_the_path_of_every_process",
        "cascade_bench/suite.py",
        "    return {**os.environ, **paths, INSIDE",
        "    paths = {'PYTHONPATH': os.pathsep.join([str(folder()), *entries])}\n"
        "    return {**os.environ, **paths, INSIDE",
        "the suite's benchmarks and results shadow those of the user's own processes",
        (f"{COMPARE}::test_suite_comes_first_on_the_path_of_its_process_and_of_no_other",),
    ),
    Fault(
        "suite_left_running_when_its_client_dies",
        "cascade_bench/launcher.py",
        "    if pipe is not None:\n",
        "    if pipe is None:\n",
        "a client that is killed leaves a suite that goes on measuring",
        (f"{COMPARE}::test_suite_ends_with_a_client_that_is_killed",),
    ),
    Fault(
        "pickle_in_a_folder_that_stays",
        "cascade_bench/client.py",
        '    with tempfile.TemporaryDirectory(prefix="cascade-bench-") as private:\n',
        "    private = tempfile.mkdtemp()\n    if private:\n",
        "the function of a user, and all that it holds, is left in a temporary folder",
        (f"{COMPARE}::test_function_of_a_test_is_pickled_into_a_private_folder_that_is_removed",),
    ),
    Fault(
        "function_found_by_a_name_that_is_anothers",
        "cascade_bench/target.py",
        "    if name is None or getattr(module, name, None) is not make:\n",
        "    if name is None or not hasattr(module, name):\n",
        "a function that was replaced under its name is measured in place of the one given",
        (f"{TARGET}::test_function_that_cannot_be_found_by_name_travels_as_a_pickle",),
    ),
    Fault(
        "missing_bound_passes_an_assertion",
        "cascade_bench/figures.py",
        '        "low": 0.0 if low is None else low,\n',
        '        "low": figure["estimate"] if low is None else low,\n',
        "an interval that was not had is taken to be as narrow as can be",
        (f"{COMPARISON}::test_ratio_of_too_few_launches_passes_no_assertion",),
    ),
    Fault(
        "wrong_ways_end_with_0",
        "cascade_bench/try_command.py",
        "    return outcome.code\n",
        "    return 0\n",
        "a way with wrong gradients ends as if all were well",
        (f"{COMMANDS}::test_try_ends_with_1_where_a_way_is_wrong",),
    ),
    Fault(
        "code_of_wrong_ways_recommended",
        "results/report/own_code_page.py",
        '        if row.get("code") and row.get("outcome") == "ok":\n',
        '        if row.get("code"):\n',
        "the page says how to write a way whose gradients are wrong",
        (f"{PAGE}::test_code_is_shown_of_ways_that_are_right_alone",),
    ),
    Fault(
        "suite_packaged_at_the_top",
        "setup.py",
        'SUITE = "cascade_bench._suite"\n',
        'SUITE = "cascade_bench_suite"\n',
        "an installation puts more than one name into site-packages",
        (f"{WHEEL}::test_wheel_puts_one_name_into_site_packages",),
    ),
    Fault(
        "stale_build_packaged",
        "setup.py",
        "            shutil.rmtree(self.build_lib)\n",
        "            pass\n",
        "what an earlier build left is installed too",
        (f"{WHEEL}::test_wheel_puts_one_name_into_site_packages",),
    ),
    Fault(
        "users_repository_taken_for_the_suites",
        "benchmarks/regression/versions.py",
        "    if INSTALLED and not specs:\n",
        "    if not INSTALLED and not specs:\n",
        "an installed suite compares commits of the repository that it happens to lie in",
        (f"{WHEEL}::test_users_repository_is_not_taken_for_the_suites",),
    ),
)
