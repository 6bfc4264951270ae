"""Compiled requirements are installed without looking for more: each file has to name all that its packages need."""

import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
COMPILED = sorted(REQUIREMENTS.glob("*.txt"))


@pytest.mark.parametrize("file", COMPILED, ids=[file.stem for file in COMPILED])
def test_all_that_a_package_needs_is_named_beside_it(file: Path) -> None:
    named = {canonicalize_name(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", file.read_text(), re.MULTILINE)}

    needed, known = {}, 0
    for package in sorted(named):
        try:
            told = requires(package) or []
        except PackageNotFoundError:
            continue  # of another of Inset's environments
        known += 1
        for requirement in map(Requirement, told):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needed[canonicalize_name(requirement.name)] = package
    assert known
    assert needed.keys() <= named, {name: needed[name] for name in needed.keys() - named}
