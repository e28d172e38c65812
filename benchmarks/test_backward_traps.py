"""Check how torch and JAX behave in several backward passes: one behaviour a test, and its name.

The code under test is in ``backward_traps.py`` and ``compile_traps.py`` of each implementation. It
runs in a worker process and returns plain data, which is judged here. A docstring with ``Notice:``
and ``Instead:`` marks a silent trap; ``docs/traps.md`` is made from it.
"""

from __future__ import annotations

from benchmarks.harness.launches.check_workers import CheckWorkers, assert_raised
from benchmarks.machine import releases

IN_PLACE = "modified by an inplace operation"
# release of jax → what it says of an array that was donated
DONATED = {"0.10": "Buffer has been deleted or donated", "0.11": "Array has been deleted"}


def test_second_backward_without_retain_graph_raises(workers: CheckWorkers) -> None:
    result = workers.demonstrate("torch", "second_backward_through_freed_residuals")
    assert_raised(result["without"], "RuntimeError", "backward through the graph a second time")
    assert result["with"] is None


def test_second_backward_through_additions_only_adds_up_silently(
    workers: CheckWorkers,
) -> None:
    result = workers.demonstrate("torch", "second_backward_through_additions_only")
    assert result == {"raised": None, "once": [1.0] * 3, "twice": [2.0] * 3}


def test_sum_equals_multi_root_bit_for_bit_and_separate_differs_by_rounding(
    workers: CheckWorkers,
) -> None:
    result = workers.demonstrate("torch", "sum_multi_root_and_separate")
    assert result["multi_root_equal"]
    assert result["largest_gradient"] > 0.01
    assert 0.0 < result["separate_difference"] <= 3e-8


def test_step_between_two_backward_passes_raises(workers: CheckWorkers) -> None:
    result = workers.demonstrate("torch", "step_between_backward_passes")
    assert len(result["step_between"]) == 6
    for raised in result["step_between"].values():
        assert_raised(raised, "RuntimeError", IN_PLACE)
    assert set(result["no_step_between"].values()) == {None}


def test_fused_step_between_two_backward_passes_is_silently_wrong(
    workers: CheckWorkers,
) -> None:
    """A fused step between two backward passes

    Notice: Run one step without `fused=True`. If it raises "modified by an inplace operation", the
    fused gradients were wrong too.

    Instead: Finish every backward pass, then step. `(loss1 + loss2).backward()` leaves no room for
    the mistake, and costs less than two passes.
    """
    result = workers.demonstrate("torch", "fused_step_between_backward_passes")
    for between in result["step_between"].values():
        assert between["same_version"]
        assert between["raised"] is None
        assert between["relative_error"] > 0.005
    assert result["step_between"]["Adam"]["relative_error"] > 0.1
    for right in result["no_step_between"].values():
        assert right == {"same_version": True, "raised": None, "relative_error": 0.0}


def test_update_through_data_between_two_backward_passes_is_silently_wrong(
    workers: CheckWorkers,
) -> None:
    """An update through `.data` between two backward passes

    Notice: Search the training code for `.data` and write `.detach()` in its place. If that raises,
    the gradients were wrong.

    Instead: Update after the last backward pass, through `.detach()` or under `torch.no_grad()`.
    Autograd counts both, so an update in the wrong place raises.
    """
    result = workers.demonstrate("torch", "update_through_data_between_backward_passes")
    assert result["data"]["raised"] is None
    assert result["data"]["relative_error"] > 0.01
    assert_raised(result["detach"]["raised"], "RuntimeError", IN_PLACE)
    assert result["no_update"] == {"raised": None, "relative_error": 0.0}


def test_step_of_one_linear_between_two_backward_passes_is_right(
    workers: CheckWorkers,
) -> None:
    result = workers.demonstrate("torch", "step_of_one_linear_between_backward_passes")
    assert result == {"raised": None, "relative_error": 0.0}


def test_last_network_may_step_between_two_backward_passes(workers: CheckWorkers) -> None:
    result = workers.demonstrate("torch", "last_network_steps_between_backward_passes")
    assert result["net2"] == {"raised": None, "relative_error": 0.0}
    assert_raised(result["net1"]["raised"], "RuntimeError", IN_PLACE)


def test_in_place_relu_opening_net2_raises_or_silently_changes_loss1(
    workers: CheckWorkers,
) -> None:
    """An in-place ReLU opens net2

    Notice: Take `inplace=True` away. If loss1 changes, it was computed from what net2 left over.

    Instead: `nn.ReLU()`, wherever a network starts with it. Inside a network, after a layer whose
    output nothing else reads, in place is fine.
    """
    result = workers.demonstrate("torch", "in_place_relu_opening_net2")
    in_place, right = result["in_place"], result["out_of_place"]
    assert_raised(in_place["backward_before_raised"], "RuntimeError", IN_PLACE)
    assert in_place["backward_after_raised"] is None
    assert abs(in_place["loss1_after_net2"] - in_place["loss1_before_net2"]) > 0.1
    assert right["loss1_after_net2"] == right["loss1_before_net2"] == in_place["loss1_before_net2"]
    assert right["backward_before_raised"] is right["backward_after_raised"] is None


def test_checkpointed_network_runs_again_for_each_backward_pass(
    workers: CheckWorkers,
) -> None:
    result = workers.demonstrate("torch", "checkpointed_network_in_two_backward_passes")
    assert result == {
        "checkpointed": {"separate": 3, "summed": 2},
        "kept": {"separate": 1, "summed": 1},
    }


def test_host_array_inside_jit_raises(workers: CheckWorkers) -> None:
    result = workers.demonstrate("jax", "host_array_inside_jit")
    assert_raised(result["inside"], "TracerArrayConversionError", "called on traced array")
    assert result["outside"] is None


def test_update_between_two_pullbacks_changes_neither(workers: CheckWorkers) -> None:
    result = workers.demonstrate("jax", "step_between_backward_passes")
    assert result == {"equal_to_undisturbed": True, "equal_to_new_parameters": False}


def test_donated_residuals_raise_on_reuse(workers: CheckWorkers) -> None:
    result = workers.demonstrate("jax", "second_backward_through_freed_residuals")
    assert result["kept"] is None
    assert result["donated"] is not None, "the pullback of donated residuals ran a second time"
    assert releases.reading("jax", DONATED) in result["donated"]["message"]


def test_backward_is_removed_where_only_the_loss_is_returned(workers: CheckWorkers) -> None:
    result = workers.demonstrate("jax", "only_the_loss_is_returned")
    assert result == {"loss_only": 6, "with_gradients": 17, "forward": 6}


def test_pullback_hits_one_cache_entry_and_three_kinds_of_learning_rate_make_three(
    workers: CheckWorkers,
) -> None:
    result = workers.demonstrate("jax", "cache_entries")
    assert result["pullback_entries"] == 1
    assert result["learning_rate_entries"] == 3
    assert result["learning_rate_traces"] == 2  # the float32 of jnp and of np share a program


def test_retained_second_backward_of_a_compiled_graph_raises_after_a_normal_one(
    workers: CheckWorkers,
) -> None:
    result = workers.demonstrate("torch", "retained_second_backward_when_compiled")
    assert_raised(result["normal"]["retained_raised"], "RuntimeError", "non-empty donated buffers")
    right = {"retained_raised": None, "last_raised": None}
    assert result["retained"] == result["normal_not_donated"] == right


def test_compile_cache_shared_by_two_settings_is_silently_wrong(
    workers: CheckWorkers,
) -> None:
    """A compile cache shared by runs with and without `donated_buffer`

    Notice: Delete the folder that `TORCHINDUCTOR_CACHE_DIR` names (by default `torchinductor_` and
    your name, in the folder for temporary files) and run again. If the gradients change, they were
    wrong.

    Instead: A folder for each setting, or `torch.compiler.config.cache_key_tag` set to what the
    setting is. `(loss1 + loss2).backward()` needs no such setting, and costs less.
    """
    result = workers.demonstrate("torch", "compile_cache_shared_by_two_settings")
    assert result["same_cache"]["raised"] is None
    assert result["same_cache"]["relative_error"] > 0.1
    assert result["cache_keyed_by_the_setting"]["raised"] is None
    assert result["cache_keyed_by_the_setting"]["relative_error"] < 1e-6


def test_one_loss_of_a_compiled_graph_leaves_zeros_that_momentum_steps_by(
    workers: CheckWorkers,
) -> None:
    """One loss of two, pulled back through a compiled graph

    Notice: After the backward pass look at `.grad` of a parameter that the loss cannot reach. Where
    eager code has `None`, a tensor of zeros means that the optimizer will step it.

    Instead: Compile each network on its own, or set `.grad` to `None` before the step wherever it
    must not move.
    """
    result = workers.demonstrate("torch", "one_loss_of_a_compiled_graph")
    still = {"net2_gradient": "None", "net2_moved": 0.0}
    assert result["eager"] == result["a_graph_for_each_network"] == still
    assert result["one_graph"]["net2_gradient"] == "0"
    assert result["one_graph"]["net2_moved"] > 0.01


def test_two_retained_passes_through_one_compiled_graph_cost_22_products(
    workers: CheckWorkers,
) -> None:
    result = workers.demonstrate("torch", "products_of_two_retained_passes")
    assert result == {
        "eager": {"summed": 11, "separate_retained": 16},
        "compile": {"summed": 11, "separate_retained": 22},
        "compile_networks": {"summed": 11, "separate_retained": 16},
    }
