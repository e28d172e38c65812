"""The training steps that the rules are held to: enough wrong ones, enough right ones of each."""

from __future__ import annotations

import pytest

from results.own_code import finding_texts
from tests.helpers.step_cases.listing import codes_in
from tests.unit.own_code import test_jax_steps as jax_steps
from tests.unit.own_code import test_torch_steps as torch_steps

FEWEST = 2  # of each
CODES = tuple(finding_texts.TITLES)
# as docs/check.md says of each: a pure step cannot do it, or it is not looked for
NOT_IN_JAX = {"CB203", "CB204", "CB402", "CB403", "CB404"}
MODULES = {
    ("torch", "WRONG"): (*torch_steps.WRONG, torch_steps.DDP),
    ("torch", "RIGHT"): (*torch_steps.RIGHT, torch_steps.DDP),
    ("jax", "WRONG"): jax_steps.WRONG,
    ("jax", "RIGHT"): jax_steps.RIGHT,
}


@pytest.mark.parametrize("variable", ["WRONG", "RIGHT"])
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_each_finding_has_two_steps_that_are_wrong_and_two_right_ones_that_look_like_it(
    framework: str, variable: str
) -> None:
    counts = dict.fromkeys(CODES, 0)
    for module in MODULES[framework, variable]:
        for code, count in codes_in(module, variable).items():
            counts[code] += count  # a code that is none is a KeyError
    looked_for = [code for code in CODES if framework == "torch" or code not in NOT_IN_JAX]
    assert {code: counts[code] for code in looked_for if counts[code] < FEWEST} == {}
    assert not [code for code in counts if counts[code] and code not in looked_for]
