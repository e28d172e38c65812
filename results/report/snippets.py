"""Show each strategy and recipe as a few lines of code that a reader can copy.

The networks are ``net1`` and ``net2`` in series with a loss after each; where a part is frozen, the
part is ``net1``. In JAX a network is a function of its parameters and its input, and ``params`` has
an entry for each network. `results.report.vocabulary` has a single line for each way.
"""

from __future__ import annotations

_TORCH_LOSSES = """\
out1 = net1(x)
loss1, loss2 = criterion(out1, y1), criterion(net2(out1), y2)
"""
_TORCH_STEP = """\
optimizer.zero_grad()
criterion(net2(net1(x)), y2).backward()
optimizer.step()"""
_TORCH_REST = "optimizer = torch.optim.Adam(net2.parameters())\n"

_JAX_LOSSES = """\
def losses(params):
    out1 = net1(params["net1"], x)
    return criterion(out1, y1), criterion(net2(params["net2"], out1), y2)

"""
_JAX_LOSS = """\
def loss(params):
    return criterion(net2(params["net2"], net1(params["net1"], x)), y2)

"""
_JAX_SUM = "gradients = jax.tree.map(jnp.add, first, second)"
_JAX_MASKS = 'frozen, trained = {"net1": True, "net2": False}, {"net1": False, "net2": True}\n'
_JAX_PARTITION = """\
optimizer = optax.partition({"train": optax.adam(1e-3), "freeze": optax.set_to_zero()},
                            {"net1": "freeze", "net2": "train"})
"""
_JAX_STEP = """\
state = optimizer.init(params)

@jax.jit
def step(params, state):
    gradients = jax.grad(loss)(params)
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state

params, state = step(params, state)"""
_JAX_STEP_OF_THE_REST = """\
optimizer = optax.adam(1e-3)
state = optimizer.init(params["net2"])  # no state for net1

@jax.jit
def step(rest, params, state):
    gradients = jax.grad(lambda rest: loss({**params, "net2": rest}))(rest)
    updates, state = optimizer.update(gradients, state, rest)
    return optax.apply_updates(rest, updates), state

params["net2"], state = step(params["net2"], params, state)"""

SNIPPETS = {
    "torch": {
        "summed": f"{_TORCH_LOSSES}(loss1 + loss2).backward()",
        "multi_root": f"{_TORCH_LOSSES}torch.autograd.backward([loss1, loss2])",
        "separate_retained": f"{_TORCH_LOSSES}loss1.backward(retain_graph=True)\nloss2.backward()",
        "separate_grad": f"""\
{_TORCH_LOSSES}both = [*net1.parameters(), *net2.parameters()]
first = torch.autograd.grad(loss1, both, retain_graph=True, materialize_grads=True)
second = torch.autograd.grad(loss2, both)
for parameter, a, b in zip(both, first, second):
    parameter.grad = a + b""",
        "boundary_split": """\
out1 = net1(x)
leaf = out1.detach().requires_grad_()
criterion(net2(leaf), y2).backward()  # leaves net2's gradients, and leaf.grad
torch.autograd.backward([criterion(out1, y1), out1], [None, leaf.grad])""",
        "reforward": """\
criterion(net1(x), y1).backward()
criterion(net2(net1(x)), y2).backward()  # net1 runs twice""",
        "batched": f"""\
{_TORCH_LOSSES}both = [*net1.parameters(), *net2.parameters()]
rows = list(torch.eye(2).unbind(1))  # a row of cotangents for each loss
grads = torch.autograd.grad([loss1, loss2], both, rows, is_grads_batched=True)
for parameter, grad in zip(both, grads):
    parameter.grad = grad.sum(0)""",
        "functional": """\
networks = torch.nn.ModuleDict({"net1": net1, "net2": net2})
parameters = dict(networks.named_parameters())

def sum_of_losses(parameters):
    call = torch.func.functional_call
    first = {n.removeprefix("net1."): p for n, p in parameters.items() if n.startswith("net1.")}
    second = {n.removeprefix("net2."): p for n, p in parameters.items() if n.startswith("net2.")}
    out1 = call(net1, first, (x,))
    return criterion(out1, y1) + criterion(call(net2, second, (out1,)), y2)

total, pullback = torch.func.vjp(sum_of_losses, parameters)
for name, grad in pullback(torch.ones_like(total))[0].items():
    parameters[name].grad = grad.detach()""",
        "checkpointed": """\
checkpoint = torch.utils.checkpoint.checkpoint
out1 = checkpoint(net1, x, use_reentrant=False)
out2 = checkpoint(net2, out1, use_reentrant=False)
criterion(out1, y1).backward(retain_graph=True)  # computes net1 again
criterion(out2, y2).backward()  # and both""",
        "requires_grad_false": f"net1.requires_grad_(False)\n{_TORCH_REST}{_TORCH_STEP}",
        "no_grad_forward": f"""\
{_TORCH_REST}optimizer.zero_grad()
with torch.no_grad():
    out1 = net1(x)
criterion(net2(out1), y2).backward()
optimizer.step()""",
        "detach": f"""\
{_TORCH_REST}optimizer.zero_grad()
criterion(net2(net1(x).detach()), y2).backward()
optimizer.step()""",
        "grad_of_trainable": f"""\
trained = list(net2.parameters())
{_TORCH_REST}grads = torch.autograd.grad(criterion(net2(net1(x)), y2), trained)
for parameter, grad in zip(trained, grads):
    parameter.grad = grad
optimizer.step()""",
        "optimizer_only": f"{_TORCH_REST}{_TORCH_STEP}",
        "rate_zero": f"""\
optimizer = torch.optim.Adam(
    [{{"params": net2.parameters()}}, {{"params": net1.parameters(), "lr": 0.0}}]
)
{_TORCH_STEP}""",
    },
    "jax": {
        "summed": f"{_JAX_LOSSES}gradients = jax.jit(jax.grad(lambda p: sum(losses(p))))(params)",
        "separate_retained": f"""\
{_JAX_LOSSES}from jax.interpreters.ad import Zero  # a cotangent behind which nothing is walked

@jax.jit
def pullback(params):
    return jax.vjp(losses, params)[1]

pull, zero = pullback(params), Zero(jax.typeof(1.0))
(first,), (second,) = pull((1.0, zero)), pull((zero, 1.0))
{_JAX_SUM}""",
        "separate_grad": f"""\
{_JAX_LOSSES}@jax.jit
def both(params):
    return [jax.grad(lambda p: losses(p)[i])(params) for i in (0, 1)]

first, second = both(params)
{_JAX_SUM}""",
        "separate_pullbacks": f"""\
{_JAX_LOSSES}_, pull = jax.vjp(losses, params)
(first,), (second,) = pull((1.0, 0.0)), pull((0.0, 1.0))
{_JAX_SUM}""",
        "boundary_split": """\
out1, pull1 = jax.vjp(lambda p: net1(p, x), params["net1"])
loss2, pull2 = jax.vjp(lambda p, v: criterion(net2(p, v), y2), params["net2"], out1)
gradient2, cotangent = pull2(jnp.ones(()))
(gradient1,) = pull1(cotangent + jax.grad(criterion)(out1, y1))
gradients = {"net1": gradient1, "net2": gradient2}""",
        "reforward": f"""\
{_JAX_LOSSES}first = jax.jit(jax.grad(lambda p: losses(p)[0]))(params)
second = jax.jit(jax.grad(lambda p: losses(p)[1]))(params)  # net1 runs twice
{_JAX_SUM}""",
        "batched": f"""\
{_JAX_LOSSES}_, pull = jax.vjp(lambda p: jnp.stack(losses(p)), params)
(rows,) = jax.vmap(pull)(jnp.eye(2))  # a row of cotangents for each loss
gradients = jax.tree.map(lambda row: row.sum(0), rows)""",
        "checkpointed": f"""\
def losses(params):
    out1 = jax.checkpoint(net1)(params["net1"], x)
    return criterion(out1, y1), criterion(jax.checkpoint(net2)(params["net2"], out1), y2)

from jax.interpreters.ad import Zero  # a cotangent behind which nothing is walked

@jax.jit
def pullback(params):
    return jax.vjp(losses, params)[1]

pull, zero = pullback(params), Zero(jax.typeof(1.0))
(first,), (second,) = pull((1.0, zero)), pull((zero, 1.0))
{_JAX_SUM}""",
        "grad_of_trainable": f"{_JAX_LOSS}{_JAX_STEP_OF_THE_REST}",
        "partition": f"{_JAX_LOSS}{_JAX_PARTITION}{_JAX_STEP}",
        "stop_gradient": f"""\
def loss(params):
    out1 = net1(jax.lax.stop_gradient(params["net1"]), x)
    return criterion(net2(params["net2"], out1), y2)

{_JAX_STEP_OF_THE_REST}""",
        "selective_transform": f"""\
{_JAX_LOSS}{_JAX_MASKS}optimizer = optax.selective_transform(optax.adam(1e-3), freeze_mask=frozen)
{_JAX_STEP}""",
        "masked": f"""\
{_JAX_LOSS}{_JAX_MASKS}\
# optax.masked alone does not freeze: net1 would get its raw gradient as update
optimizer = optax.chain(optax.masked(optax.adam(1e-3), trained),
                        optax.masked(optax.set_to_zero(), frozen))
{_JAX_STEP}""",
        "chain_freeze": f"""\
{_JAX_LOSS}{_JAX_MASKS}\
optimizer = optax.chain(optax.adam(1e-3), optax.freeze(frozen))  # freeze comes last
{_JAX_STEP}""",
        "all_gradients": f"""\
{_JAX_LOSS}{_JAX_PARTITION}state = optimizer.init(params)

@jax.jit
def step(params, state):
    gradients = jax.grad(loss)(params)
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state, gradients  # so that none is left out

params, state, gradients = step(params, state)""",
        "rate_zero": f"""\
{_JAX_LOSS}optimizer = optax.partition({{"train": optax.adam(1e-3), "freeze": optax.adam(0.0)}},
                            {{"net1": "freeze", "net2": "train"}})
{_JAX_STEP}""",
        "scale_zero": f"""\
{_JAX_LOSS}optimizer = optax.partition({{"train": optax.adam(1e-3), "freeze": optax.scale(0.0)}},
                            {{"net1": "freeze", "net2": "train"}})  # use optax.set_to_zero()
{_JAX_STEP}""",
        "traced_mask": f"""\
{_JAX_LOSS}optimizer = optax.adam(1e-3)
state = optimizer.init(params)

@jax.jit
def step(params, state, mask):  # the mask may change without compiling anew
    gradients = jax.grad(loss)(params)
    updates, state = optimizer.update(gradients, state, params)
    updates = {{name: jax.tree.map(lambda u: mask[name] * u, updates[name]) for name in mask}}
    return optax.apply_updates(params, updates), state

params, state = step(params, state, {{"net1": 0.0, "net2": 1.0}})""",
        "cond": f"""\
{_JAX_LOSS}optimizer = optax.adam(1e-3)
state = optimizer.init(params)

def of_net2(params):  # zeros for net1, and no backward pass through it
    rest = jax.grad(lambda rest: loss({{**params, "net2": rest}}))(params["net2"])
    return {{"net1": jax.tree.map(jnp.zeros_like, params["net1"]), "net2": rest}}

@jax.jit
def step(params, state, frozen):
    gradients = jax.lax.cond(frozen, of_net2, jax.grad(loss), params)
    updates, state = optimizer.update(gradients, state, params)
    updates["net1"] = jax.tree.map(lambda u: jnp.where(frozen, 0.0, u), updates["net1"])
    return optax.apply_updates(params, updates), state

params, state = step(params, state, True)""",
    },
}


def snippet(framework: str, way: str) -> str:
    """Return lines of code that show a strategy or recipe; empty for one of a user's own.

    Args:
        framework: ``torch`` or ``jax``.
        way: the name of the strategy or recipe; a repeated copy has a suffix, ``summed@again``.
    """
    return SNIPPETS.get(framework, {}).get(way.partition("@")[0], "")
