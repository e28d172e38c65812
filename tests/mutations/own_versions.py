"""Faults of comparing two commits of a user's own repository by a case."""

from __future__ import annotations

from tests.mutations.fault import Fault

SIDES = "tests/integration/test_regress_case.py"
AGREEMENT = "tests/unit/regression/test_case_agreement.py"
REQUEST = "tests/unit/regression/test_case_request.py"
AGREEING = "benchmarks/regression/case_agreement.py"

FAULTS = (
    Fault(
        "other_networks_compared",
        AGREEING,
        "        if set(ours) != set(theirs):\n",
        "        if False:\n",
        "a model that lost a layer is called faster",
        (f"{AGREEMENT}::test_another_problem_is_named_with_what_to_do",),
    ),
    Fault(
        "another_batch_compared",
        AGREEING,
        'if base_facts["prints"][n] != head_facts["prints"][n]]',
        "if False]",
        "half the batch is called a regression of the gradients",
        (f"{AGREEMENT}::test_another_problem_is_named_with_what_to_do",),
    ),
    Fault(
        "gradient_that_head_lacks_taken_for_right",
        AGREEING,
        "{**other, **gone}",
        "other",
        "head no longer computes a gradient, and is faster for it",
        (f"{AGREEMENT}::test_a_gradient_that_is_gone_is_a_disagreement_unless_it_was_0",),
    ),
    Fault(
        "losses_of_a_case_not_compared",
        AGREEING,
        "    if losses:\n        yield",
        "    if not losses:\n        yield",
        "two losses that took each other's place pass for the same problem",
        (f"{AGREEMENT}::test_a_loss_that_changed_is_named_with_both_values",),
    ),
    Fault(
        "wrong_gradients_of_a_case_timed",
        "benchmarks/regression/case_sides.py",
        "            if disagreement := self.disagreements[cell.framework]:\n",
        '            if disagreement := self.disagreements[cell.framework] and "":\n',
        "a time is given for gradients that are not base's",
        (f"{SIDES}::test_head_s_own_package_is_run_and_what_it_computes_otherwise_is_no_time",),
    ),
    Fault(
        "packages_of_the_environment_at_both_versions",
        "benchmarks/regression/case_sides.py",
        '"path": import_folders(side, self.case.file.parent, folder),',
        '"path": [],',
        "both sides import what is installed, and nothing ever got slower",
        (f"{SIDES}::test_head_s_own_package_is_run_and_what_it_computes_otherwise_is_no_time",),
    ),
    Fault(
        "user_s_modules_in_front_of_python_s_own",
        "benchmarks/harness/worker/case_files.py",
        "    sys.path[place:place] = ",
        "    sys.path[0:0] = ",
        "a file queue.py at the top of a repository ends every worker",
        (f"{REQUEST}::test_a_user_s_folder_comes_before_what_is_installed_and_after_python_s_own",),
    ),
    Fault(
        "earlier_results_copied_with_the_work_tree",
        "benchmarks/regression/worktrees.py",
        "if name and not _is_kept(name)]",
        "if name]",
        "every comparison copies all that were made before",
        (
            "tests/integration/test_worktrees.py"
            "::test_what_was_kept_of_earlier_comparisons_is_neither_copied_nor_counted",
        ),
    ),
    Fault(
        "torch_s_own_profiling_taken_for_the_user_s",
        "impl_torch/switches.py",
        'if getattr(function, "hooked", None) is True else function',
        "if False else function",
        "every case whose step is timed is said to have changed Adam",
        (
            "tests/unit/harness/worker/test_process_switches.py"
            "::test_every_switch_is_seen_under_its_name_and_no_other",
        ),
    ),
)
