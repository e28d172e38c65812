"""Faults of the command line: what is selected, refused, printed and pasted."""

from __future__ import annotations

from tests.mutations.fault import Fault

COMMANDS = "tests/integration/test_command_line.py"
OPTIONS = "tests/unit/harness/selection/test_options.py"
NATIVE = "tests/unit/harness/session/test_native_outputs.py"
FRAMEWORKS = "tests/unit/machine/test_frameworks.py"
OUTPUTS = "tests/unit/results/records/test_outputs.py"
STDOUT = "tests/unit/results/terminal/test_stdout.py"

FAULTS = (
    Fault(
        "all_handed_on_as_if_it_were_a_name",
        "benchmarks/harness/selection/options.py",
        "if ALL in (getattr(self, name) or ()):",
        "if ALL == getattr(self, name):",
        "checks are parametrised with the framework 'all', and skipped as not installed",
        (f"{OPTIONS}::test_all_is_replaced_by_every_name_once_for_every_option",),
    ),
    Fault(
        "empty_argument_of_a_command_taken_for_none",
        "benchmarks/commands/parsing.py",
        "check_not_empty(_label(action), getattr(parsed, action.dest, None))",
        "check_not_empty(_label(action), None)",
        "a workflow's variable is not set, HEAD is compared with itself, and all is green",
        (f"{COMMANDS}::test_empty_value_of_any_argument_is_refused_by_name",),
    ),
    Fault(
        "empty_option_of_a_session_taken_for_none",
        "benchmarks/pytest_options.py",
        "check_not_empty(option, config.getoption(name, default=None))",
        "check_not_empty(option, None)",
        "--results with a variable that is not set saves the run somewhere else",
        ("tests/unit/test_pytest_options.py::test_empty_text_is_refused_by_its_option",),
    ),
    Fault(
        "full_device_not_asked",
        "results/records/outputs.py",
        'os.write(descriptor, b"")',
        "os.fstat(descriptor)",
        "an hour is measured before a device that is full is written to",
        (f"{OUTPUTS}::test_device_is_asked_whether_it_takes_what_is_written",),
    ),
    Fault(
        "device_replaced_by_a_file",
        "results/records/outputs.py",
        "not file.is_file() and not file.is_symlink()",
        "file.is_socket()",
        "--json /dev/null removes the device where the user may do so",
        (f"{OUTPUTS}::test_device_is_never_replaced_by_a_file",),
    ),
    Fault(
        "last_word_of_pytest_benchmark_ends_the_session",
        "benchmarks/harness/session/native_outputs.py",
        "setattr(native, name, _guarded(step, failures))",
        "setattr(native, name, step)",
        "an exception while its JSON is written costs the summary of hours",
        (f"{NATIVE}::test_exception_at_the_end_becomes_a_line",),
    ),
    Fault(
        "character_that_an_encoding_lacks_raises",
        "results/terminal/stdout.py",
        "stream.reconfigure(errors=HANDLER)",
        'stream.reconfigure(errors="backslashreplace")',
        "a page for a poor terminal is full of escapes, or breaks off in the middle",
        (f"{STDOUT}::test_what_an_encoding_lacks_is_replaced_and_nothing_else",),
    ),
    Fault(
        "slower_reads_as_inconclusive_in_ascii",
        "results/terminal/stdout.py",
        '"▲": "^", ',
        "",
        "the mark of what got slower becomes that of what could not be told",
        (f"{STDOUT}::test_mark_of_a_verdict_is_never_that_of_another",),
    ),
    Fault(
        "remedy_replaces_a_release_in_range",
        "results/records/installing.py",
        '"install", "-e", folder + chosen',
        '"install", "-c", "constraints.txt", "-e", folder + chosen',
        "what doctor says to paste replaces the user's own torch by the pinned one",
        (
            "tests/unit/results/records/test_installing.py"
            "::test_command_to_install_keeps_a_release_that_is_in_range",
        ),
    ),
    Fault(
        "framework_without_its_packages_taken_for_whole",
        "benchmarks/machine/frameworks.py",
        "if not missing_packages(framework)]",
        "if environment.installed(framework)]",
        "jax without flax and optax is measured, and each of its cells fails",
        (f"{FRAMEWORKS}::test_framework_is_present_with_all_of_its_packages",),
    ),
    Fault(
        "command_of_the_report_not_quoted",
        "benchmarks/harness/session/summary.py",
        "shlex.join(['cascade-bench', 'report', str(path)])",
        "' '.join(['cascade-bench', 'report', str(path)])",
        "a command that is printed cannot be pasted where a folder has a space",
        (f"{NATIVE}::test_command_of_a_report_can_be_pasted",),
    ),
    Fault(
        "runs_below_a_report_not_found",
        "results/records/storage.py",
        "return below if not _runs_in(Path(folder)) and _runs_in(below) else Path(folder)",
        "return Path(folder)",
        "the quickest useful command of the README says that there is no run",
        (f"{COMMANDS}::test_folder_of_a_report_has_the_runs_that_it_is_made_of",),
    ),
    Fault(
        "checks_that_were_all_skipped_end_green",
        "benchmarks/conftest.py",
        "if skipped and not ran and not bench and",
        "if not skipped and not ran and not bench and",
        "no check has run, and the exit code says that all is proven",
        (
            "tests/unit/test_pytest_collection.py::test_session_in_which_every_test_was_skipped_does_not_end_well",
        ),
    ),
    Fault(
        "next_lines_of_a_sentence_not_indented",
        "results/terminal/tables.py",
        'HANGING = "  "',
        'HANGING = ""',
        "what a sentence goes on with looks like a line of its own",
        (
            "tests/unit/results/terminal/test_tables.py::test_next_lines_of_a_long_sentence_are_indented_and_none_ends_with_a_space",
        ),
    ),
    Fault(
        "processes_of_xdist_counted_by_one_option_alone",
        "benchmarks/pytest_options.py",
        'several = {"-n": "numprocesses", "--tx": "tx"}',
        'several = {"-n": "numprocesses"}',
        "two processes time cells at once, and each slows the other",
        (
            "tests/unit/test_pytest_options.py::test_timing_in_several_processes_is_refused_in_one_line",
        ),
    ),
)
