"""Define what a user hands over: the networks, their losses and a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FLOWS = ("value", "zero", "absent")


@dataclass(frozen=True)
class Stage:
    """Hold one network of a series and the losses that are taken at its output.

    Attributes:
        network: a name in `Case.networks`.
        losses: name → function of (output of the network, batch) that returns a scalar. It may be
            empty where no loss is taken here.
        inputs: function of (output of the stage before, batch) that returns what the network is
            called with; the first stage's output before is None. The default hands on the output
            before, and to the first network ``batch["x"]``, or the batch itself if it is no
            mapping with an ``"x"``.
    """

    network: str
    losses: Mapping[str, Callable[[Any, Any], Any]]
    inputs: Callable[[Any, Any], Any] | None = None


@dataclass(frozen=True)
class Case:
    """Hold the networks, losses and batch to compare; a function of yours builds and returns it.

    The function is called anew in every process that measures, and must build the same each time.
    Draw weights and data from a seed that it sets, or leave that to the one that is set before it.

    Attributes:
        networks: name → `torch.nn.Module`, `flax.nnx.Module`, or any pytree of arrays (JAX); a
            dictionary, another mapping, or a `torch.nn.ModuleDict`.
        losses: returns name of a loss → scalar. In torch a function of the batch that uses the
            modules themselves; in JAX a function of (networks, batch), where ``networks`` maps
            the same names to parameters. Leave it out where ``stages`` are given.
        batch: what the losses are called with: tensors or arrays, in tuples, dictionaries,
            dataclasses.
        frozen: networks, or parameters by name or beginning of a name
            (``"encoder"``, ``"encoder.layer1"``), that are not trained. None: in torch what does
            not require a gradient, in JAX nothing.
        optimizer: takes the step that phase ``step`` times: in torch a function of the parameters
            that returns a `torch.optim.Optimizer`, in JAX an `optax.GradientTransformation`.
            None: Adam with a learning rate of 1e-3.
        stages: the networks in series, in place of ``losses``; then the ways that cut the graph
            between two networks exist too.
        expect_flow: loss → network → ``"value"``, ``"zero"`` or ``"absent"``: the gradient that
            must arrive there. It is found out anyway; what is given here is asserted.
        step: one training step of your own, for ``cascade-bench check``: ``step()`` or
            ``step(batch)`` where it trains in place, as torch and nnx modules do;
            ``step(state, batch)`` → next state, or (next state, anything), where it is pure.
        state: where a pure step begins: any pytree that holds the arrays of ``networks``.
        weights: of a JAX case beside a torch case in one file: a function of torch's weights,
            name → array, that returns JAX's: ``{"head.kernel": w["head.weight"].T}``, or nested
            dictionaries. What it leaves out is found by name and shape, as is all without it.

    Raises:
        TypeError: a part has the wrong type.
        ValueError: a part is missing, or names what does not exist.
    """

    networks: Mapping[str, Any]
    losses: Callable[..., Mapping[str, Any]] | None = None
    batch: Any = None
    frozen: Sequence[str] | None = None
    optimizer: Any = None
    stages: Sequence[Stage] | None = None
    expect_flow: Mapping[str, Mapping[str, str]] | None = None
    step: Callable[..., Any] | None = None
    state: Any = None
    weights: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None

    def __post_init__(self) -> None:
        """Refuse what is wrong at a glance, without knowing a framework."""
        object.__setattr__(self, "networks", _as_mapping(self.networks))
        _check_networks(self.networks)
        if (self.losses is None) == (self.stages is None):
            given = "neither" if self.losses is None else "both"
            raise ValueError(f"Case: {given} of losses and stages given; give one of the two")
        if self.losses is not None and not callable(self.losses):
            raise TypeError(
                f"Case: losses is {_type(self.losses)}; give a function that computes the losses, "
                "such as `def losses(batch): return {'task': …}`"
            )
        if self.weights is not None and not callable(self.weights):
            raise TypeError(
                f"Case: weights is {_type(self.weights)}; give a function of torch's weights by "
                "name, such as lambda w: {'head.kernel': w['head.weight'].T}"
            )
        if isinstance(self.frozen, str):
            raise TypeError(f"Case: frozen is a string; give a list: frozen=[{self.frozen!r}]")
        _check_stages(self.stages, self.networks)
        _check_flow(self.expect_flow, self.networks)


def _as_mapping(networks: Any) -> Any:
    """Return a dictionary of what has names and items, such as a ModuleDict; else what is given."""
    if isinstance(networks, Mapping):
        return networks
    is_alike = all(hasattr(networks, name) for name in ("keys", "items", "__getitem__"))
    return dict(networks.items()) if is_alike and not isinstance(networks, type) else networks


def _check_networks(networks: Any) -> None:
    """Demand a mapping with a string for each network."""
    if not isinstance(networks, Mapping):
        raise TypeError(
            f"Case: networks is {_type(networks)}; give a dictionary of names, "
            "such as {'encoder': encoder, 'head': head}"
        )
    if not networks:
        raise ValueError("Case: networks is empty; name at least one network")
    unnamed = [name for name in networks if not isinstance(name, str) or not name]
    if unnamed:
        raise TypeError(f"Case: the name of a network must be a string, not {unnamed[0]!r}")


def _check_stages(stages: Any, networks: Mapping[str, Any]) -> None:
    """Demand stages that name existing networks, once each, and have a loss among them."""
    if stages is None:
        return
    if isinstance(stages, Stage) or not all(isinstance(stage, Stage) for stage in stages):
        raise TypeError("Case: stages must be a list of Stage, such as [Stage('encoder', {…})]")
    names = [stage.network for stage in stages]
    for name in names:
        if name not in networks:
            raise ValueError(f"Case: stages name {name!r}; networks has {_listed(networks)}")
    if len(set(names)) < len(names):
        raise ValueError(f"Case: stages name a network twice: {', '.join(names)}")
    losses = [loss for stage in stages for loss in stage.losses]
    if not losses:
        raise ValueError("Case: no stage has a loss; give one, such as Stage('head', {'task': …})")
    if len(set(losses)) < len(losses):
        raise ValueError(f"Case: two losses of the stages have the same name: {', '.join(losses)}")


def _check_flow(flow: Any, networks: Mapping[str, Any]) -> None:
    """Demand networks that exist and kinds of gradients that there are."""
    for loss, reached in (flow or {}).items():
        if not isinstance(reached, Mapping):
            raise TypeError(
                f"Case: expect_flow[{loss!r}] is {_type(reached)}; give network → one of "
                f"{', '.join(FLOWS)}"
            )
        for network, kind in reached.items():
            if network not in networks:
                raise ValueError(
                    f"Case: expect_flow[{loss!r}] names {network!r}; networks has "
                    f"{_listed(networks)}"
                )
            if kind not in FLOWS:
                raise ValueError(
                    f"Case: expect_flow[{loss!r}][{network!r}] is {kind!r}; it must be one of "
                    f"{', '.join(FLOWS)}"
                )


def _type(value: Any) -> str:
    """Return the type of a value for a message."""
    return f"of type {type(value).__name__}"


def _listed(networks: Mapping[str, Any]) -> str:
    """Return the names of the networks for a message."""
    return ", ".join(networks)
