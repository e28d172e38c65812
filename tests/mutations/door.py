"""Faults of the door by which runs and texts enter, and of what a report concludes from them."""

from __future__ import annotations

from tests.mutations.fault import Fault

DOOR = "tests/unit/results/records/test_door.py"
TEXTS = "tests/unit/results/records/test_texts.py"
CHARTS = "tests/unit/results/report/test_charts.py"
PAGES = "tests/unit/results/report/test_pages.py"
COMPARISONS = "results/regression/validation.py"
DAMAGED = "tests/integration/test_damaged_comparisons.py"
WRONG_KEY = f"{DOOR}::test_what_a_key_may_not_hold_is_said_with_its_place"

FAULTS = (
    Fault(
        "two_records_of_one_cell_pass",
        "results/records/validation.py",
        'problem = _RUN(document, "") or _repeated(document["records"])',
        'problem = _RUN(document, "")',
        "of two records of a cell the second silently wins",
        (f"{DOOR}::test_two_records_of_one_cell_are_refused_with_its_name",),
    ),
    Fault(
        "negative_times_pass",
        "results/records/validation.py",
        "    figure = number(low, high)\n",
        "    figure = number(-high, high)\n",
        "a history of logarithms meets a time below 0",
        (WRONG_KEY,),
    ),
    Fault(
        "pipe_waited_for",
        "results/records/files.py",
        "    if not stat.S_ISREG(status.st_mode):",
        "    if stat.S_ISSOCK(status.st_mode):",
        "a device in a file's place is read, without end",
        (f"{DOOR}::test_what_is_no_regular_file_is_one_line_and_never_waited_for",),
    ),
    Fault(
        "archive_unpacked_whatever_its_size",
        "results/records/samples.py",
        "    if sum(entry.file_size for entry in entries) > MOST_UNPACKED:",
        "    if len(entries) > MOST_UNPACKED:",
        "two megabytes of samples unpack to two gigabytes",
        (f"{DOOR}::test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked",),
    ),
    Fault(
        "escape_sequences_of_a_file_kept",
        "results/records/storage.py",
        "        document = cleaned(document)\n",
        "",
        "a text of a file sets the title of the terminal's window",
        (f"{DOOR}::test_texts_of_a_file_are_clean_once_it_is_read",),
    ),
    Fault(
        "names_beyond_the_first_not_counted",
        "results/records/texts.py",
        'return ", ".join(map(str, names[:most])) + more',
        'return ", ".join(map(str, names[:most]))',
        "a message about forty parameters reads as if it were about three",
        (f"{TEXTS}::test_of_many_names_the_first_are_shown_and_the_others_counted",),
    ),
    Fault(
        "escape_sequences_of_a_worker_kept",
        "benchmarks/harness/launches/answers.py",
        "    return message if plain else",
        "    return message if plain or message else",
        "an exception's text of a user's network reaches the terminal as it is",
        (f"{TEXTS}::test_answers_of_a_worker_are_cleaned_where_they_are_read",),
    ),
    Fault(
        "ratio_of_the_frameworks_drawn_upside_down",
        "results/report/sections/framework_comparison.py",
        '        "ratio": pair.ratio["estimate"],\n',
        '        "ratio": 1 / pair.ratio["estimate"],\n',
        "a mark stands outside of its own interval, on the wrong side of 1",
        (f"{CHARTS}::test_every_mark_of_the_frameworks_is_the_ratio_of_its_pair",),
    ),
    Fault(
        "times_as_fast_upside_down",
        "results/report/framework_counts.py",
        'faster, times = ("torch", ratio) if ratio > 1 else ("jax", 1 / ratio)',
        'faster, times = ("torch", ratio) if ratio > 1 else ("jax", ratio)',
        "0.8 of the time is told as 0.8 times as fast",
        (f"{CHARTS}::test_words_say_which_framework_is_faster_and_by_how_much",),
    ),
    Fault(
        "pairs_repeated_for_older_runs",
        "results/report/collection.py",
        "for pair in framework_ratios(self._newest_records(run), run.samples)",
        "for pair in framework_ratios(run.records, run.samples)",
        "a comparison of the frameworks counts each older run once more",
        (
            f"{CHARTS}::"
            "test_of_several_runs_each_pair_of_frameworks_is_shown_once_from_the_newer_run",
        ),
    ),
    Fault(
        "wrong_gradient_taken_for_a_freeze_that_fails",
        "results/report/sections/freezing.py",
        "        if frozen_part_moved(record):",
        '        if record["equivalence"]:',
        "a gradient that is wrong is told as a frozen part that moved",
        (
            "tests/unit/results/report/test_frozen_rows.py::test_a_wrong_gradient_says_nothing_about_a_freeze",
        ),
    ),
    Fault(
        "looks_beyond_the_launch_pairs_believed",
        COMPARISONS,
        "taken[-1] > pairs",
        "design is None",
        "a comparison with a look at pairs that were never measured ends in a traceback",
        (f"{DAMAGED}::test_what_a_key_may_not_hold_is_said_with_its_place",),
    ),
    Fault(
        "row_of_a_launch_pair_of_any_length",
        COMPARISONS,
        "        if len(value) == OF_A_PAIR\n",
        "        if len(value) <= OF_A_PAIR\n",
        "a launch pair without its control is compared, or ends in a traceback",
        (f"{DAMAGED}::test_what_a_key_may_not_hold_is_said_with_its_place",),
    ),
    Fault(
        "texts_of_a_comparison_printed_as_they_are",
        COMPARISONS,
        "document = storage.checked_document(path, document, document_problem, advice)",
        "storage.checked_document(path, document, document_problem, advice)\n"
        "    return cast(Document, document)",
        "an escape sequence in a saved comparison reaches the terminal",
        (f"{DAMAGED}::test_texts_of_a_comparison_are_cleaned",),
    ),
)
