"""Turn a user's own case into a problem that strategies and recipes run.

A case is any object with the attributes of `cascade_bench.Case`. Nothing is declared twice: the
parameters are read off the modules. What is wrong with a case is said as a `CaseError`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from impl_torch import optimizers, recipes
from impl_torch.case_dtypes import check_dtypes
from impl_torch.case_values import (
    CaseError,
    closed_over_modules,
    convert_closure,
    convert_module,
    converted,
    digest,
    map_tensors,
    takes_networks,
    tensors,
)
from impl_torch.graph_problem import GraphProblem, RepeatableProblem, seed_everything
from impl_torch.problem import Stage
from impl_torch.runtime import Unavailable
from impl_torch.session import OpenProblem, Session

Facts = Mapping[str, Any]
ADAM = {"kind": "adam", "settings": {"lr": 1e-3}, "rates": {}, "arrangement": "together"}


def build(make: Callable[[], Any], seed: int) -> Any:
    """Call the user's function, after seeding every generator that it may draw from."""
    seed_everything(seed)
    return make()


class OpenCase(OpenProblem):
    """Hold a case that is ready to run; see `OpenProblem`.

    Args:
        session: of this process; its dtype is that of the problem.
        case: what the user's function returned.
        seed: is set before each forward pass that must repeat another.
        facts: what an examination has found out, such as ``reach``, ``moved`` and ``draws``; None
            to open the case for an examination: every loss is then said to reach every parameter.

    Raises:
        CaseError: the case cannot be run.
    """

    def __init__(self, session: Session, case: Any, seed: int, facts: Facts | None) -> None:
        self.case, self.seed = case, seed
        check_networks(case.networks)
        if getattr(case, "weights", None) is not None:
            raise CaseError(
                "weights= is given to the torch case, which others start from",
                "give it to the JAX case: it makes JAX's weights of torch's",
            )
        self.networks = networks_in_order(case)
        check_dtypes(named(self.networks))
        self.prints = fingerprints(self.networks, case.batch)
        stated = list(facts["frozen"]) if facts else self._frozen_by_the_user()
        function = self._function(session.dtype)
        if any(map(is_lazy, self.networks.values())):
            _run_once(function, self.batch, seed)
        self.aliases = aliases(self.networks)
        names = list(dict(named(self.networks)))
        self.frozen = frozen_names(stated, names, self.aliases)
        reach = dict(facts["reach"]) if facts else {}
        untouched = list(facts["untouched"]) if facts else []
        problem = self._problem(function, reach, [*self.frozen, *untouched], seed)
        super().__init__(session, list, problem, self._problem_spec(facts))
        if facts:
            problem.keep_buffers(facts["moved"])
            problem.draws = facts["draws"]

    def _frozen_by_the_user(self) -> list[str]:
        """Return what is frozen: as the case says, or the parameters that require no gradient."""
        if self.case.frozen is not None:
            return list(self.case.frozen)
        return [name for name, one in named(self.networks) if not one.requires_grad]

    def _function(self, dtype: torch.dtype) -> Callable[[Any], Any]:
        """Convert modules, batch and what the losses close over; return (batch) → losses."""
        case = self.case
        for network in self.networks.values():
            convert_module(network, dtype)
        self.batch = map_tensors(case.batch, lambda tensor: converted(tensor, dtype))
        functions = [case.losses] if case.losses is not None else _functions_of(case.stages)
        for one in functions:
            convert_closure(one, dtype)
        if case.losses is None:
            return partial(losses_of_stages, stages_of(case))
        if takes_networks(case.losses):
            return partial(case.losses, dict(self.networks))
        return case.losses

    def _problem(
        self,
        function: Callable[[Any], Any],
        reach: Mapping[str, list[str]],
        frozen: list[str],
        seed: int,
    ) -> RepeatableProblem:
        """Return the problem in the form that the case has: stages, or one function."""
        case = self.case
        if case.losses is None:
            data = stage_data(self.batch)
            return RepeatableProblem(stages_of(case), data, reach, frozen, seed)
        return GraphProblem(self.networks, function, self.batch, reach, frozen, seed)

    def _problem_spec(self, facts: Facts | None) -> dict[str, Any]:
        """Return what the rest of the suite asks about the problem."""
        return {
            "networks": list(self.networks),
            "optimizer": ADAM,
            "reach": dict(facts["reach"]) if facts else {},
            "frozen": self.frozen,
        }

    def all_losses(self) -> dict[str, Tensor]:
        """Run forward from the start; return every loss, also those that reach no parameter."""
        self.problem.restore_buffers()
        if isinstance(self.problem, GraphProblem):
            return self.problem.function(self.problem.data["batch"])
        names = [name for stage in self.problem.stages for name in stage.losses]
        return self.problem.losses(among=names)

    def unlisted(self) -> list[str]:
        """Return the types of modules that the losses use and the case does not name."""
        if self.case.losses is None:
            return []
        known = {id(p) for network in self.networks.values() for p in network.parameters()}
        return [
            type(module).__name__
            for module in closed_over_modules(self.case.losses)
            if any(p.requires_grad and id(p) not in known for p in module.parameters())
        ]

    def _optimizers(self, kind: str, recipe: recipes.Recipe) -> list[torch.optim.Optimizer]:
        """Return the user's optimizer over the parameters that the recipe optimizes, or Adam."""
        if self.case.optimizer is None:
            steppers = optimizers.build(ADAM, list(self.networks), recipe.optimized)
        else:
            steppers = [self._own_optimizer(recipe)]
        optimizers.set_rate_zero(steppers, [recipe.optimized[n] for n in recipe.rate_zero])
        return steppers

    def _own_optimizer(self, recipe: recipes.Recipe) -> torch.optim.Optimizer:
        """Return the user's optimizer over the parameters that the recipe optimizes."""
        made = self.case.optimizer(list(recipe.optimized.values()))
        if not isinstance(made, torch.optim.Optimizer):
            raise CaseError(
                f"optimizer returns {type(made).__name__}, not a torch.optim.Optimizer",
                "give a function of the parameters: optimizer=lambda p: torch.optim.SGD(p, lr=0.1)",
            )
        if recipe.rate_zero and any("lr" not in group for group in made.param_groups):
            raise Unavailable(f"{type(made).__name__} has no learning rate that could be 0")
        return made


def check_networks(networks: Mapping[str, Any]) -> None:
    """Raise `CaseError` unless these are modules, each under one name that can be used."""
    holders: dict[int, str] = {}
    for name, network in networks.items():
        if not isinstance(network, nn.Module):
            raise CaseError(
                f"networks[{name!r}] is {type(network).__name__}, not a torch.nn.Module",
                "give the module itself, such as Case({'encoder': encoder}, losses, batch)",
            )
        if "." in name or "/" in name:
            raise CaseError(
                f"the network name {name!r} holds a dot or a slash", "use a plain name: 'encoder'"
            )
        if id(network) in holders:
            raise CaseError(
                f"networks {holders[id(network)]!r} and {name!r} are the same module",
                f"name it once; leave out {name!r}",
            )
        holders[id(network)] = name


def named(networks: Mapping[str, nn.Module]) -> list[tuple[str, nn.Parameter]]:
    """Return (name, parameter) of every floating-point parameter, tied ones once."""
    seen: dict[int, tuple[str, nn.Parameter]] = {}
    for network, module in networks.items():
        for name, parameter in module.named_parameters():
            if parameter.is_floating_point() or parameter.is_complex():
                seen.setdefault(id(parameter), (f"{network}.{name}", parameter))
    return list(seen.values())


def aliases(networks: Mapping[str, nn.Module]) -> dict[str, str]:
    """Return other name → first name, of parameters that have several: tied weights."""
    first: dict[int, str] = {}
    others: dict[str, str] = {}
    for network, module in networks.items():
        for name, parameter in module.named_parameters(remove_duplicate=False):
            full = f"{network}.{name}"
            if first.setdefault(id(parameter), full) != full:
                others[full] = first[id(parameter)]
    return others


def frozen_names(stated: Iterable[str], names: list[str], others: Mapping[str, str]) -> list[str]:
    """Return the parameters that are frozen, from names or beginnings of names.

    Args:
        stated: networks, modules in them or parameters, as the user names them.
        names: of all parameters, tied ones once.
        others: other name → first name, of tied ones. Freezing one of them freezes the tensor.

    Raises:
        CaseError: one of them names nothing.
    """
    frozen: dict[str, None] = {}
    known = [*names, *others]
    for prefix in stated:
        under = [n for n in known if n == prefix or n.startswith(f"{prefix}.")]
        if not under:
            near = difflib.get_close_matches(prefix, _prefixes(known), 3, 0.4)
            raise CaseError(
                f"frozen names {prefix!r}, which no parameter begins with",
                f"write one of {', '.join(near or _prefixes(known)[:5])}",
            )
        frozen |= dict.fromkeys(others.get(n, n) for n in under)
    return [name for name in names if name in frozen]


def _prefixes(names: Iterable[str]) -> list[str]:
    """Return every beginning of these dotted names that can be frozen."""
    prefixes: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        prefixes |= dict.fromkeys(".".join(parts[: i + 1]) for i in range(len(parts)))
    return list(prefixes)


def networks_in_order(case: Any) -> dict[str, nn.Module]:
    """Return the networks by name, those of stages in the order of the stages."""
    order = [stage.network for stage in case.stages or ()]
    return {name: case.networks[name] for name in dict.fromkeys([*order, *case.networks])}


def fingerprints(networks: Mapping[str, nn.Module], batch: Any) -> dict[str, str]:
    """Return name → hash of every parameter, every buffer and every tensor of the batch.

    Two processes in which they differ measure two different cases.
    """
    prints = {name: digest(parameter) for name, parameter in named_or_lazy(networks)}
    for network, module in networks.items():
        filled = [(n, b) for n, b in module.named_buffers() if not nn.parameter.is_lazy(b)]
        prints |= {f"{network}.{name}": digest(buffer) for name, buffer in filled}
    return prints | {name: digest(tensor) for name, tensor in tensors(batch, "batch")}


def named_or_lazy(networks: Mapping[str, nn.Module]) -> list[tuple[str, nn.Parameter]]:
    """Return what `named` does, without the parameters that have no shape yet."""
    return [pair for pair in named(networks) if not nn.parameter.is_lazy(pair[1])]


def is_lazy(network: nn.Module) -> bool:
    """Return whether a parameter or a buffer of a network gets its shape in the first pass."""
    return any(nn.parameter.is_lazy(t) for t in (*network.parameters(), *network.buffers()))


def _run_once(function: Callable[[Any], Any], batch: Any, seed: int) -> None:
    """Run forward without a graph."""
    seed_everything(seed)
    with torch.no_grad():
        function(batch)


def stage_data(batch: Any) -> dict[str, Any]:
    """Return the data of a series: what enters the first network, and the batch for the losses."""
    first = batch["x"] if isinstance(batch, Mapping) and "x" in batch else batch
    return {"x": first, "batch": batch}


def stages_of(case: Any) -> list[Stage]:
    """Return the user's stages in the form that `Problem` runs."""
    first = next(iter(case.stages)).network
    return [
        Stage(
            stage.network,
            case.networks[stage.network],
            {name: partial(_of_batch, loss) for name, loss in stage.losses.items()},
            partial(_entering, stage.inputs, stage.network == first),
        )
        for stage in case.stages
    ]


def _of_batch(loss: Callable[[Any, Any], Tensor], output: Any, data: Mapping[str, Any]) -> Tensor:
    """Return a user's loss of a stage's output and the batch."""
    return loss(output, data["batch"])


def _entering(
    inputs: Callable[[Any, Any], Any] | None, first: bool, value: Any, data: Mapping[str, Any]
) -> Any:
    """Return what a stage's network is called with: the value, or what the user makes of it."""
    return value if inputs is None else inputs(None if first else value, data["batch"])


def _functions_of(stages: Iterable[Any]) -> list[Callable[..., Any]]:
    """Return the user's functions in these stages."""
    return [
        function
        for stage in stages
        for function in (*stage.losses.values(), stage.inputs)
        if function is not None
    ]


def losses_of_stages(stages: list[Stage], batch: Any) -> dict[str, Tensor]:
    """Run all stages on a batch; return every loss.

    It is no `Problem` that runs them: that would decide what requires a gradient.
    """
    data = stage_data(batch)
    value, losses = data["x"], dict[str, Tensor]()
    for stage in stages:
        value = stage.network(stage.enter(value, data))
        losses |= {name: loss(value, data) for name, loss in stage.losses.items()}
    return losses
