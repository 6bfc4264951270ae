"""The operator's profiles, as the hub and the service read them: one file, one meaning."""

from datetime import timedelta
from pathlib import Path

import pytest

import inset.profiles
import inset_hub.profiles
from inset.errors import EnvironmentNotAllowed
from tests.support.real_hub import ROOT

IDLE = timedelta(hours=1)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """What the manual shows."""
    text = (ROOT / "docs" / "profiles.md").read_text()
    file = tmp_path / "profiles.toml"
    file.write_text(text.split("```toml\n")[1].split("```")[0])
    return file


def test_the_manuals_example_is_read_by_both_alike(example: Path) -> None:
    of_hub = inset_hub.profiles.read(str(example))
    of_service = inset.profiles.read_profiles(example, idle_timeout=IDLE)

    for name, profile in of_hub.items():
        assert of_service.choose(name, [name]) == name
        assert of_service.idle_timeout(name, host=None) == (profile.idle_timeout or IDLE)
        assert of_service.max_age(name, host=None) == profile.max_age
        assert dict(of_service.places).get(name) == profile.places
        for pattern in profile.allow_environment:
            of_service.check_environment(name, {pattern.replace("*", "X"): "x"})
        with pytest.raises(EnvironmentNotAllowed):
            of_service.check_environment(name, {"NOBODY_ALLOWS_THIS": "x"})


def test_both_keep_the_same_names_from_hosts() -> None:
    assert inset.profiles.RESERVED.pattern == inset_hub.profiles.RESERVED.pattern
    assert inset.profiles.DEFAULT == inset_hub.profiles.DEFAULT
