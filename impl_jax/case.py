"""Turn a user's own case into a problem that strategies and recipes run.

A case is any object with the attributes of `cascade_bench.Case`. Nothing is declared twice: the
parameters are read off modules and pytrees. What is wrong with a case is said as a `CaseError`.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import jax
import optax
from flax import nnx

from impl_jax import optimizers
from impl_jax.case_dtypes import check_dtypes
from impl_jax.case_values import CaseError, converted, digest, map_tensors, takes_networks, tensors
from impl_jax.graph_problem import GraphProblem, Network, RepeatableProblem, seed_everything
from impl_jax.problem import Stage
from impl_jax.session import OpenProblem, Session
from impl_jax.structure import ARRAYS

Facts = Mapping[str, Any]
ADAM = {"kind": "adam", "settings": {"lr": 1e-3}, "rates": {}, "arrangement": "together"}
OWN = {"kind": "own", "settings": {}}  # an optimizer of the user's, whose state is not read


def build(make: Callable[[], Any], seed: int) -> Any:
    """Call the user's function, with 32-bit types whatever the session's dtype is."""
    seed_everything(seed)
    with jax.enable_x64(False):
        return make()


class OpenCase(OpenProblem):
    """Hold a case that is ready to run; see `OpenProblem`.

    Args:
        session: of this process; its dtype is that of the problem.
        case: what the user's function returned.
        seed: of the generators beside JAX's keys.
        facts: what an examination has found out, ``reach`` and ``moved``; None to open the case
            for an examination: every loss is then said to reach every parameter.

    Raises:
        CaseError: the case cannot be run.
    """

    def __init__(self, session: Session, case: Any, seed: int, facts: Facts | None) -> None:
        self.case, self.seed = case, seed
        check_networks(case.networks)
        check_batch(case.batch)
        plain = networks_in_order(case)
        self.prints = fingerprints(plain, case.batch)
        check_dtypes(Network(n, one, None) for n, one in plain.items())
        self.networks = {n: Network(n, one, session.dtype) for n, one in plain.items()}
        check_sharing(self.networks)
        names = [n for network in self.networks.values() for n in network.parameters]
        stated = list(facts["frozen"]) if facts else list(case.frozen or ())
        self.aliases: dict[str, str] = {}
        self.frozen = frozen_names(stated, names, self.aliases)
        reach = dict(facts["reach"]) if facts else {}
        untouched = list(facts["untouched"]) if facts else []
        self.batch = map_tensors(case.batch, lambda array: converted(array, session.dtype))
        problem = self._problem(reach, [*self.frozen, *untouched])
        super().__init__(session, list, problem, self._problem_spec(facts))
        if facts:
            problem.keep_buffers(facts["moved"])

    def _problem(self, reach: Mapping[str, list[str]], frozen: list[str]) -> RepeatableProblem:
        """Return the problem in the form that the case has: stages, or one function."""
        case = self.case
        if case.losses is None:
            check_callable(case.stages, case.networks)
            data = stage_data(self.batch)
            return RepeatableProblem(self.networks, stages_of(case), data, reach, frozen)
        if not takes_networks(case.losses):
            raise CaseError(
                "losses takes the batch alone; in JAX it must be a pure function of the networks",
                "write def losses(networks, batch), and use networks['encoder'] inside",
            )
        return GraphProblem(self.networks, case.losses, self.batch, reach, frozen)

    def _problem_spec(self, facts: Facts | None) -> dict[str, Any]:
        """Return what the rest of the suite asks about the problem."""
        return {
            "networks": list(self.networks),
            "optimizer": ADAM,
            "reach": dict(facts["reach"]) if facts else {},
            "frozen": self.frozen,
        }

    def all_losses(self, parameters: Any, constants: Any) -> Any:
        """Return what the user's function returns, or the losses of all stages, by name."""
        problem = self.problem
        if isinstance(problem, GraphProblem):
            arrays = problem.arrays(parameters, constants)
            built = {n: network.rebuilt(arrays) for n, network in self.networks.items()}
            return problem.function(built, constants["data"]["batch"])
        names = [name for stage in problem.stages for name in stage.losses]
        return problem.forward(parameters, constants, among=names)[0]

    def _optimizer(
        self, kind: str
    ) -> tuple[dict[str, Any], Callable[[list[str]], optax.GradientTransformation]]:
        """Return the user's optimizer, or Adam, as `OpenProblem._optimizer` does."""
        own = self.case.optimizer
        if own is None:
            return ADAM, lambda names: optimizers.build(ADAM, list(self.networks), names)
        if not hasattr(own, "init") or not hasattr(own, "update"):
            raise CaseError(
                f"optimizer is {type(own).__name__}, not an optax.GradientTransformation",
                "give the transformation itself: optimizer=optax.adam(1e-3)",
            )
        return OWN, lambda _: own


def check_networks(networks: Mapping[str, Any]) -> None:
    """Raise `CaseError` unless each network has arrays, and one name that can be used."""
    holders: dict[int, str] = {}
    for name, network in networks.items():
        if "." in name or "/" in name:
            raise CaseError(
                f"the network name {name!r} holds a dot or a slash", "use a plain name: 'encoder'"
            )
        if type(network).__module__.startswith("flax.linen"):
            raise CaseError(
                f"networks[{name!r}] is a linen module, which holds no parameters",
                "give its variables: encoder.init(key, x)['params']",
            )
        if id(network) in holders:
            raise CaseError(
                f"networks {holders[id(network)]!r} and {name!r} are the same object",
                f"name it once; leave out {name!r}",
            )
        holders[id(network)] = name


def check_sharing(networks: Mapping[str, Network]) -> None:
    """Raise `CaseError` where a network has no parameter, or two share a variable of nnx."""
    owners: dict[int, str] = {}
    for name, network in networks.items():
        if not network.parameters:
            raise CaseError(
                f"networks[{name!r}] is {type(network.network).__name__} without a floating-point "
                "array",
                "give an nnx.Module, or a pytree of the parameters",
            )
        if not network.is_module:
            continue
        for path, node in nnx.iter_graph(network.network):
            if isinstance(node, nnx.Variable) and owners.setdefault(id(node), name) != name:
                raise CaseError(
                    f"networks {owners[id(node)]!r} and {name!r} share {'.'.join(map(str, path))}",
                    "give one network that holds both modules",
                )


def check_batch(batch: Any) -> None:
    """Raise `CaseError` unless the batch is a tree of arrays and numbers, which JAX can trace."""
    for leaf in jax.tree.leaves(batch):
        if not isinstance(leaf, ARRAYS):
            kind, mend = type(leaf).__name__, "leave it out of the batch, and use it in the losses"
            if dataclasses.is_dataclass(leaf):
                mend = f"register its class: jax.tree_util.register_dataclass({kind})"
            raise CaseError(f"the batch holds {kind}, which JAX takes for no array", mend)


def check_callable(stages: Iterable[Any], networks: Mapping[str, Any]) -> None:
    """Raise `CaseError` unless the network of each stage can be called."""
    for stage in stages:
        if not callable(networks[stage.network]):
            kind = type(networks[stage.network]).__name__
            raise CaseError(
                f"the network {stage.network!r} of a stage is {kind}, which cannot be called",
                "give losses in place of stages, or a module that can be called",
            )


def frozen_names(stated: Iterable[str], names: list[str], others: Mapping[str, str]) -> list[str]:
    """Return the parameters that are frozen, from names or beginnings of names.

    Args:
        stated: networks, modules in them or parameters, as the user names them.
        names: of all parameters.
        others: other name → first name, of tied ones.

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


def networks_in_order(case: Any) -> dict[str, Any]:
    """Return the networks by name, those of stages in the order of the stages."""
    order = [stage.network for stage in case.stages or ()]
    return {name: case.networks[name] for name in dict.fromkeys([*order, *case.networks])}


def fingerprints(networks: Mapping[str, Any], batch: Any) -> dict[str, str]:
    """Return name → hash of every array of the networks and of the batch.

    Two processes in which they differ measure two different cases.
    """
    prints: dict[str, str] = {}
    for name, module in networks.items():
        network = Network(name, module, None)
        prints |= {n: digest(a) for n, a in (network.parameters | network.rest).items()}
    return prints | {name: digest(array) for name, array in tensors(batch, "batch")}


def stage_data(batch: Any) -> dict[str, Any]:
    """Return the data of a series: what enters the first network, and the batch for the losses."""
    first = batch["x"] if isinstance(batch, Mapping) and "x" in batch else batch
    return {"x": first, "batch": batch}


def stages_of(case: Any) -> list[Stage]:
    """Return the user's stages in the form that `Problem` runs, without their networks."""
    first = next(iter(case.stages)).network
    return [
        Stage(
            stage.network,
            None,  # type: ignore[arg-type]  # `RepeatableProblem` puts it together
            {name: partial(_of_batch, loss) for name, loss in stage.losses.items()},
            partial(_entering, stage.inputs, stage.network == first),
        )
        for stage in case.stages
    ]


def _of_batch(loss: Callable[[Any, Any], Any], output: Any, data: Mapping[str, Any]) -> Any:
    """Return a user's loss of a stage's output and the batch."""
    return loss(output, data["batch"])


def _entering(
    inputs: Callable[[Any, Any], Any] | None, first: bool, value: Any, data: Mapping[str, Any]
) -> Any:
    """Return what a stage's network is called with: the value, or what the user makes of it."""
    return value if inputs is None else inputs(None if first else value, data["batch"])
