"""Check weights that stand at several places: tied to one another, or averaged into a teacher.

The code under test is in ``sharing_traps.py`` of each implementation. It runs in a worker process
and returns plain data, which is judged here. A docstring with ``Notice:`` and ``Instead:`` marks a
silent trap; ``docs/traps.md`` is made from it.
"""

from __future__ import annotations

import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers, assert_raised


def test_tied_weight_has_one_name_and_is_not_found_under_the_other(workers: CheckWorkers) -> None:
    """A tied weight, frozen by its name

    Notice: Count what a selection by name holds: of a head that is tied to the embedding, nothing.

    Instead: Select by identity, which finds the name that the weight has, and refuse a selection
    that is empty. A tied weight is frozen at all of its places or at none. People ran into it:
    [transformers 11903](https://github.com/huggingface/transformers/issues/11903), [LlamaFactory
    5032](https://github.com/hiyouga/LlamaFactory/pull/5032).
    """
    torch = workers.demonstrate("torch", "tied_weight_frozen_by_name")
    jax = workers.demonstrate("jax", "tied_weight_frozen_by_name")
    assert torch["by_module"]["selected"] == 1
    assert not torch["by_module"]["embedding_trained"]
    for result in (torch, jax):
        assert result["by_name"]["selected"] == 0
        assert result["by_name"]["head_moved"] > 0.005
        assert result["by_identity"] == {
            "selected": 1, "known_as": "embedding.weight", "head_moved": 0.0,
            "embedding_trained": False,
        }  # fmt: skip
        raised = result["empty_selection_refused"]["raised"]
        assert_raised(raised, "ValueError", "no parameter under 'head")


def test_tied_weight_in_two_optimizers_is_stepped_twice(workers: CheckWorkers) -> None:
    """A tied weight in two optimizers

    Notice: Compare one step of the tied weight with that of a single optimizer: it is twice as
    long.

    Instead: One optimizer over `model.parameters()`, or over the whole model in nnx: each has a
    tied weight once. People ran into it: [pytorch
    40967](https://github.com/pytorch/pytorch/issues/40967).
    """
    torch = workers.demonstrate("torch", "tied_weight_in_two_optimizers")
    jax = workers.demonstrate("jax", "tied_weight_in_two_optimizers")
    for result in (torch, jax):
        assert result["one_optimizer"]["moved_over_once"] == 1.0
        assert result["two_optimizers"]["moved_over_once"] == pytest.approx(2.0, rel=1e-3)
    assert torch["listed_twice"]["moved_over_once"] == pytest.approx(2.0, rel=1e-3)
    assert_raised(torch["two_groups"]["raised"], "ValueError", "more than one parameter group")


def test_tied_weight_that_is_copied_to_two_places_is_tied_no_more(workers: CheckWorkers) -> None:
    """A tied weight that comes untied

    Notice: After a step, compare what stands at the two places: bit for bit the same, or not.

    Instead: One parameter that both modules hold; in a pytree one leaf that the function uses
    twice.
    """
    torch = workers.demonstrate("torch", "tied_weight_copied")
    jax = workers.demonstrate("jax", "tied_weight_copied")
    for result, wrong in ((torch, "a_parameter_for_each"), (jax, "a_leaf_for_each")):
        assert result.pop(wrong)["places_apart"] > 0.005
        assert [right["places_apart"] for right in result.values()] == [0.0, 0.0]


def test_teacher_without_buffers_normalizes_by_the_first_statistics(workers: CheckWorkers) -> None:
    """A teacher without buffers

    Notice: Compare the teacher's running mean with the student's: it is still 0.

    Instead: Copy the buffers at each average, or average them too, counters left out. torch's
    `AveragedModel` copies them. People ran into it: [mean-teacher
    9](https://github.com/CuriousAI/mean-teacher/issues/9), [cosmix-uda
    21](https://github.com/saltoricristiano/cosmix-uda/issues/21).
    """
    torch = workers.demonstrate("torch", "teacher_without_buffers")
    jax = workers.demonstrate("jax", "teacher_without_buffers")
    for result in (torch, jax):
        wrong = result.pop("parameters_alone")["output_off"]
        assert wrong > 1.0
        assert len(result) >= 2
        assert max(right["output_off"] for right in result.values()) < 0.2
