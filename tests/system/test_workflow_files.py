"""The action and the workflows as files: versions, inputs, schemas, and the releases they name."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from typing import Any

import pytest

from benchmarks.paths import ROOT
from tests.system.test_workflow import ACTION, WORKFLOWS, defaults

yaml: Any = pytest.importorskip("yaml")


@pytest.mark.smoke
def test_every_action_is_pinned_by_a_version() -> None:
    texts = [ACTION.read_text(), *(path.read_text() for path in WORKFLOWS.glob("*.yml"))]
    used = {found for text in texts for found in re.findall(r"uses: (\S+)", text)} - {"./"}
    assert len(used) >= 5
    assert [one for one in used if not re.search(r"@(v\d+(\.\d+)*|[0-9a-f]{40})$", one)] == []


@pytest.mark.smoke
def test_the_page_lists_every_input_with_its_default() -> None:
    page = (ROOT / "docs" / "ci.md").read_text()
    rows = dict(re.findall(r"^\| `([\w-]+)` \|([^|]*)\|", page, re.MULTILINE))
    inputs = defaults()
    assert list(rows) == list(inputs)
    shown = {name: text.strip() for name, text in rows.items() if name != "torch-index"}
    assert shown == {
        name: f"`{value}`" if value else "" for name, value in inputs.items() if name in shown
    }


@pytest.mark.smoke
def test_scripts_of_the_action_keep_to_the_bash_of_macos() -> None:
    """Find nothing newer than bash 3.2: no mapfile, no dictionary, no use of an empty array."""
    newer = re.compile(
        r"\b(mapfile|readarray|coproc)\b|declare -[Ang]|local -n|\$\{\w+(\^|,)|\|&|&>>"
    )
    bare = re.compile(r"(?<!\+)\"\$\{\w+\[@\]\}\"")
    scripts = sorted((ROOT / ".github" / "action").glob("*.sh"))
    assert len(scripts) >= 4
    for script in scripts:
        code = re.sub(r"(^|\s)#.*", "", script.read_text())
        assert not newer.search(code), script.name
        assert not bare.search(code), script.name


SCHEMAS = {
    "vendor.github-actions": [ACTION],
    "vendor.github-workflows": sorted(WORKFLOWS.glob("*.yml")),
    "vendor.dependabot": [ROOT / ".github" / "dependabot.yml"],
    "vendor.github-issue-config": [ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"],
    "vendor.github-issue-forms": sorted(
        path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"
    ),
    "vendor.citation-file-format": [ROOT / "CITATION.cff"],
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_file_is_what_its_reader_takes(schema: str) -> None:
    pytest.importorskip("check_jsonschema", reason="pip install check-jsonschema")
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *SCHEMAS[schema]],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.smoke
def test_citation_names_this_version_and_license() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])


@pytest.mark.smoke
def test_releases_of_the_tests_axes_are_in_the_ranges() -> None:
    from packaging.requirements import Requirement
    from packaging.version import Version

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    ranges = {
        r.name: r.specifier for one in ("torch", "jax") for r in map(Requirement, extras[one])
    }
    ranges["jaxlib"] = ranges["jax"]
    axes = yaml.safe_load((WORKFLOWS / "ci.yml").read_text())["jobs"]["axis"]["strategy"]
    pythons = [axis["python"] for axis in axes["matrix"]["include"] if "python" in axis]
    for axis in axes["matrix"]["include"]:
        if "--upgrade" in axis.get("packages", ""):
            # pip takes an older release in silence where the newest does not support the Python
            assert Version(axis["python"]) == max(map(Version, pythons)), axis
        for word in shlex.split(axis.get("packages", "")):
            name, _, release = word.partition("==")
            if release:
                assert ranges[name].contains(release.replace("*", "0")), word
