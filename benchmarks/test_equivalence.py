"""Check that gradients and flows agree in both frameworks and in every strategy, without a clock.

The checks run at the scenario's check sizes (``seed``, and ``small`` where that proves too little)
unless ``--size`` names others. The same code runs at every size, and a session compares each cell
with its reference again before it is timed.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.harness.launches import zero_gradients
from benchmarks.harness.launches.check_workers import CheckWorkers, Problem
from benchmarks.harness.launches.launch import WorkerFailed
from benchmarks.harness.protocol import cells, equivalence, flow
from benchmarks.harness.protocol.arrays import write_arrays
from benchmarks.harness.protocol.zero_elements import entirely_zero
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS
from benchmarks.scenarios.spec import Scenario, matches

STEP, ALONG = 1e-6, 1e-6  # step of the central differences, and their allowed relative error
SUMMED = ("backward", "summed")


def spec(problem: Problem) -> Scenario:
    """Return the scenario of a problem."""
    return CATALOGUE[problem[0]]


def networks(problem: Problem) -> list[str]:
    """Return the names of a problem's networks, in order."""
    return list(spec(problem).variants[problem[1]].networks)


def zero_elements(workers: CheckWorkers, problem: Problem):
    """Return parameter → mask of the elements whose true gradient is 0, by all references."""
    references = [reference(workers, problem, f) for f in workers.frameworks(problem)]
    return zero_gradients.find(spec(problem), *problem[1:], *references)


def assert_same(
    gradients, reference, problem: Problem, allowed: float, dtype: str = "float64", *, zero
) -> None:
    """Fail if a gradient differs from the reference by more than allowed, or is missing.

    Args:
        gradients: parameter → the gradient to check.
        reference: parameter → the right gradient.
        problem: scenario, variant and size.
        allowed: largest relative difference of a tensor.
        dtype: that every gradient must have.
        zero: of `zero_elements`.
    """
    difference = equivalence.compare(
        gradients,
        reference,
        allowed=allowed,
        dtype=dtype,
        networks=networks(problem),
        zero_gradient=spec(problem).zero_gradient,
        zero_elements=zero,
    )
    assert difference.problem is None, difference.problem


def reference(workers: CheckWorkers, problem: Problem, framework: str):
    """Return parameter → float64 gradient of the baseline strategy in a framework."""
    way = ("backward", spec(problem).baseline)
    return workers.gradients(problem, framework, way, "gradient", "float64")


def test_names_and_shapes_are_the_specs(
    workers: CheckWorkers, problem: Problem, framework: str
) -> None:
    scenario = spec(problem)
    tensors = scenario.parameters_of(*problem[1:]) | scenario.buffers_of(*problem[1:])
    expected = {n: list(p.shape) for n, p in tensors.items()}
    problem_spec = workers.files(problem).problem_spec
    builder = {name: problem_spec[name] for name in ("family", "build", "arguments")}
    shapes = workers.open(problem, framework).ask("shapes", **builder, names=list(tensors))
    assert shapes == expected, f"built {shapes}, the spec says {expected}"


def test_float64_references_agree_between_frameworks(
    workers: CheckWorkers, problem: Problem
) -> None:
    first, second = (reference(workers, problem, framework) for framework in FRAMEWORKS)
    zero = zero_elements(workers, problem)
    assert_same(first, second, problem, equivalence.REFERENCES_AGREE, zero=zero)
    trained = set(workers.files(problem).problem_spec["frozen"]) ^ set(
        spec(problem).parameters_of(*problem[1:])
    )
    assert set(first) == trained, f"gradients of {sorted(first)}, should be {sorted(trained)}"


def test_reference_is_confirmed_by_central_differences(
    workers: CheckWorkers, problem: Problem, framework: str
) -> None:
    """The reference agrees with finite differences, which need no automatic differentiation.

    Each trained tensor moves along a random direction of unit norm. Only losses that may change the
    tensor are summed: a loss whose gradient is stopped still depends on the tensor's value. A loss
    whose gradient is an estimate, and no slope, must not depend on it at all.
    """
    grads = reference(workers, problem, framework)
    rng = np.random.default_rng(0)
    directions = {name: rng.standard_normal(grad.shape) for name, grad in grads.items()}
    directions = {name: d / np.linalg.norm(d) for name, d in directions.items()}
    path = workers.scratch(problem, "directions.npz")
    write_arrays(path, {f"{name}/{name}": d for name, d in directions.items()})
    measured = workers.open(problem, framework).ask(
        "losses_along",
        weights=workers.files(problem).weights,
        directions=str(path),
        step=STEP,
    )
    assert list(measured) == list(grads), "a tensor was not moved along its direction"
    flow_of = workers.files(problem).problem_spec["flow"]
    estimated = spec(problem).variants[problem[1]].estimated
    by_loss = workers.loss_gradients(problem, framework) if estimated else {}
    norm = np.sqrt(sum(float(np.sum(g**2)) for g in grads.values()))
    for name, grad in grads.items():
        predicted = float(np.sum(grad * directions[name]))
        reaching = [loss for loss, names in flow_of.items() if name in names]
        for loss in [one for one in reaching if matches(name, estimated.get(one, ()))]:
            predicted -= float(np.sum(by_loss[loss][name] * directions[name]))
            assert abs(measured[name][loss]) <= 1e-8 * norm, f"{loss} does depend on {name}"
            reaching.remove(loss)
        along = sum(measured[name][loss] for loss in reaching)
        close = along == pytest.approx(predicted, rel=ALONG, abs=1e-8 * norm)
        assert close, f"{name}: the gradient gives {predicted:.9g}, differences {along:.9g}"


def test_every_tensor_is_alive_and_no_activation_at_a_kink(
    workers: CheckWorkers, problem: Problem
) -> None:
    frameworks = workers.frameworks(problem)
    grads = reference(workers, problem, frameworks[0])
    exact = spec(problem).variants[problem[1]].exact_zero
    wrong = zero_gradients.wrongly_declared(spec(problem), *problem[1:], grads)
    assert wrong is None, wrong
    zero = spec(problem).zero_gradient
    if spec(problem).file:  # ours declares each tensor that is 0 as a whole
        zero += tuple(entirely_zero(zero_elements(workers, problem)))
    dead = equivalence.dead_tensors(grads, networks(problem), zero)
    dead = [name for name in dead if not matches(name, exact)]
    assert not dead, (
        f"{', '.join(dead)}: the gradient is less than {equivalence.DEAD:g} of its network's, as "
        "behind a ReLU that no input activates, and would prove nothing: choose another seed for "
        "this scenario, or name it in a variant's exact_zero"
    )
    margin = spec(problem).kink_margin(*problem[1:])
    if margin is not None:
        if "torch" not in frameworks:
            pytest.skip("every tensor is alive; only torch shows how near a kink is")
        distance = workers.open(problem, "torch").ask("kink_distance")
        assert distance >= margin, "choose another seed for this scenario"


@pytest.mark.parametrize(("dtype", "preferred"), [("float64", "gradient"), ("float32", "backward")])
def test_every_strategy_gives_the_reference(
    workers: CheckWorkers, several: Problem, framework: str, dtype: str, preferred: str
) -> None:
    """In float64 in phase ``gradient``; in float32 in phase ``backward``, where that can exist."""
    true = reference(workers, several, framework)
    allowed = equivalence.tolerance(dtype, spec(several).kink_margin(*several[1:]))
    variant, zero = spec(several).variants[several[1]], zero_elements(workers, several)
    for strategy in cells.STRATEGIES[framework]:
        if variant.reason_against(framework, strategy) is None:
            phase = "gradient" if strategy in cells.OWN_FORWARD[framework] else preferred
            grads = workers.gradients(several, framework, ("backward", strategy), phase, dtype)
            try:
                assert_same(grads, true, several, allowed, dtype, zero=zero)
            except AssertionError as error:
                raise AssertionError(f"{strategy}: {error}") from None


def test_what_cannot_exist_does_not(
    workers: CheckWorkers, several: Problem, framework: str
) -> None:
    """A strategy with a forward pass of its own really is refused in phase ``backward``."""
    for strategy in cells.OWN_FORWARD[framework]:
        with pytest.raises(WorkerFailed, match="forward pass of its own"):
            workers.gradients(several, framework, ("backward", strategy), "backward", "float32")


def test_flow_is_as_declared_per_loss(
    workers: CheckWorkers, problem: Problem, framework: str
) -> None:
    """Each gradient is absent, exactly zero or a value, as the scenario declares for each loss."""
    states = workers.flow(problem, framework)
    losses = list(workers.files(problem).problem_spec["reach"])
    assert list(states) == losses, f"losses {list(states)}, should be {losses}"
    wrong = list(flow.mistakes(states, spec(problem), problem[1], framework))
    assert not wrong, "\n".join(wrong)


def test_gradient_of_the_sum_is_the_sum_of_the_gradients(
    workers: CheckWorkers, several: Problem, framework: str
) -> None:
    grads = workers.loss_gradients(several, framework)
    total: dict[str, np.ndarray] = {}
    for arrays in grads.values():
        for name, array in arrays.items():
            total[name] = total.get(name, 0.0) + array
    true = reference(workers, several, framework)
    zero = zero_elements(workers, several)
    assert_same(total, true, several, equivalence.FLOAT64_TOLERANCE, zero=zero)


# matrix products of the timed part, for two networks of three Linear layers with a loss at each
COSTS: dict[tuple[str, str], dict[str, int]] = {
    ("torch", "backward"): {
        "summed": 11,
        "multi_root": 11,
        "separate_retained": 16,
        "separate_grad": 16,
        "boundary_split": 11,
        "batched": 22,
        "functional": 11,
        "checkpointed": 3 + 6 + 16,
    },
    ("torch", "gradient"): {"summed": 17, "reforward": 3 + 6 + 16},
    ("jax", "backward"): {
        "summed": 11,
        "separate_retained": 16,
        "separate_pullbacks": 22,
        "boundary_split": 11,
        "batched": 22,
        "checkpointed": 3 + 6 + 16,
    },
    ("jax", "gradient"): {"summed": 17, "separate_grad": 22, "reforward": 3 + 6 + 16},
}


@pytest.mark.parametrize("case", COSTS, ids="-".join)
def test_strategies_cost_what_is_predicted(workers: CheckWorkers, case: tuple[str, str]) -> None:
    """Phase ``backward`` runs no forward pass, and phase ``gradient`` no more than it should."""
    framework, phase = case
    problem = ("stacked_cascade", "n2", "small")
    size = spec(problem).sizes["small"]
    product = 2 * size["batch"] * size["width"] ** 2
    launch = workers.open(problem, framework, "float32")
    counted = {
        strategy: launch.ask("count", kind="backward", name=strategy, phase=phase)["flops"]
        for strategy in COSTS[case]
    }
    assert {n: round(flops / product) for n, flops in counted.items()} == COSTS[case]


PRODUCTS = [  # kind, variant, phase, strategy or recipe in torch and in JAX, products
    ("backward", "n2", "backward", "summed", "summed", 11),
    # traced over all parameters; no product of the frozen ones is left
    ("freeze", "frozen_net1", "step", "requires_grad_false", "partition", 11),
]


@pytest.mark.parametrize("case", PRODUCTS, ids=[case[0] for case in PRODUCTS])
def test_products_that_the_peak_is_taken_from_are_the_ones_computed(
    workers: CheckWorkers, framework: str, case: tuple[str, str, str, str, str, int]
) -> None:
    """The listed matrix products are as many as the counted ones.

    The machine's peak is measured on these products; with others a cell's share of it would mean
    nothing.
    """
    kind, variant, phase, torch, jax, products = case
    problem, name = ("stacked_cascade", variant, "small"), torch if framework == "torch" else jax
    size = spec(problem).sizes["small"]
    launch = workers.open(problem, framework, "float32")
    listed = launch.ask("products", kind=kind, name=name, phase=phase)
    assert {flops for flops, _ in listed} == {2 * size["batch"] * size["width"] ** 2}
    assert sum(count for _, count in listed) == products


@pytest.mark.parametrize("phase", ["gradient", "backward"])
def test_multi_root_and_boundary_split_equal_summed_bit_for_bit(
    workers: CheckWorkers, several: Problem, phase: str
) -> None:
    true = workers.gradients(several, "torch", ("backward", "summed"), phase, "float32")
    variant = spec(several).variants[several[1]]
    for strategy in ("multi_root", "boundary_split"):
        if variant.reason_against("torch", strategy) is None:
            grads = workers.gradients(several, "torch", ("backward", strategy), phase, "float32")
            for name, array in true.items():
                assert np.array_equal(grads[name], array), f"{strategy}: {name}"


def test_one_module_or_two_makes_no_difference(workers: CheckWorkers, framework: str) -> None:
    pair = workers.gradients(
        ("conv_cascade", "-", "seed"), framework, SUMMED, "gradient", "float32"
    )
    single = workers.gradients(
        ("conv_cascade_single", "-", "seed"), framework, SUMMED, "gradient", "float32"
    )
    assert len(pair) == len(single) == 4
    for name, array in pair.items():
        twin = single[name.replace("net1", "net.stage1").replace("net2", "net.stage2")]
        if framework == "torch":
            assert np.array_equal(twin, array), name
        else:
            ulp = np.spacing(np.max(np.abs(array)))
            assert np.max(np.abs(twin - array)) <= 2 * ulp, name


EXPECTED = [(s.name, e) for s in CATALOGUE.values() for e in s.expected]


@pytest.mark.parametrize(
    ("name", "expected"), EXPECTED, ids=[f"{n}-{e.framework}-{e.loss}" for n, e in EXPECTED]
)
def test_gradient_of_a_loss_that_reaches_nothing(workers: CheckWorkers, name, expected) -> None:
    launch = workers.open((name, expected.variant, "seed"), expected.framework)
    if expected.error is None:
        assert launch.ask("gradient_of_nothing", loss=expected.loss) == []
        return
    with pytest.raises(WorkerFailed, match=expected.message) as raised:
        launch.ask("gradient_of_nothing", loss=expected.loss)
    assert raised.value.type == expected.error
