"""What a request names: the case, its module's file, and its seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.own_code import request
from benchmarks.own_code.request import RequestError
from results.report import own_code_answer
from tests.unit.own_code.test_plan_and_document import asked


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ({"file": "HERE/my_case.py", "function": "make"}, "my_case.py:make"),
        ({"file": "HERE/sub/my_case.py", "function": "make"}, "sub/my_case.py:make"),
        ({"file": "HERE/../my_case.py", "function": "make"}, "../my_case.py:make"),
        ({"file": "/elsewhere/my_case.py", "function": "make"}, "/elsewhere/my_case.py:make"),
        ({"file": "HERE/my_both.py", "function": None}, "my_both.py"),
        ({"module": "package.cases", "function": "make"}, "package.cases:make"),
        ({"pickle": "/tmp/case.cloudpickle", "function": "make"}, "make"),
    ],
)
def test_name_of_a_case_names_it_where_the_command_was_typed(
    tmp_path: Path, source: dict[str, str | None], name: str
) -> None:
    here = {k: v and v.replace("HERE", str(tmp_path)) for k, v in source.items()}
    assert asked(source=here, folder=str(tmp_path)).name == name
    command = own_code_answer.command({"case": {"name": name}})
    assert command == (f"cascade-bench try {name}" if name != "make" else "")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_that_no_generator_takes_is_no_mistake_of_the_case(seed: int) -> None:
    fields = {"schema": 1, "case": {"file": "c.py"}, "folder": "/", "document": "d", "seed": seed}
    with pytest.raises(RequestError, match=f"a seed of {seed}"):
        request._checked(fields)


def test_package_around_an_installed_module_is_not_imported_to_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "installed" / "wanted_package"
    (package / "inner").mkdir(parents=True)
    for folder in (package, package / "inner"):
        (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "inner" / "cases.py").write_text("import torch\ndef make(): ...\n")
    monkeypatch.syspath_prepend(str(package.parent))
    source: Any = {"module": "wanted_package.inner.cases", "function": "make"}
    assert request.sources(asked(source=source, folder=str(tmp_path))) == {"torch": source}
    for absent in ("wanted_package.inner.none", "wanted_package.none.cases", "none_of_all.cases"):
        with pytest.raises(RequestError, match="no module"):
            request.sources(asked(source={"module": absent}, folder=str(tmp_path)))
