"""The configuration file itself: what it refuses, and what it makes of its environment."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from inset_hub import isolation, loopback, seats
from tests.support.real_hub import ROOT, free_ports

CONFIG = ROOT / "hub" / "jupyterhub_config.py"


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("INSET_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("INSET_HUB_TOKEN", "a-token-of-the-tests")
    monkeypatch.setenv("INSET_HUB_DATA", str(tmp_path))
    return monkeypatch


def test_the_local_spawner_refuses_an_address_that_others_reach(tmp_path: Path):
    [port] = free_ports(1)
    settings = {
        "INSET_HUB_BIND": f"http://0.0.0.0:{port}",
        "INSET_HUB_TOKEN": "12345678",
        "INSET_HUB_DATA": str(tmp_path),
    }
    hub = subprocess.run(
        [sys.executable, "-m", "jupyterhub", "-f", str(CONFIG)],
        env={**os.environ, **settings},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert hub.returncode != 0
    assert "with no wall between users" in hub.stderr
    assert f"Refused: http://0.0.0.0:{port} can be reached from other machines" in hub.stderr


def test_it_says_so_where_the_risk_is_acknowledged(env: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    env.setenv("INSET_HUB_BIND", "http://0.0.0.0:8000")
    env.setenv("INSET_ALLOW_INSECURE_BIND", "1")
    _load()
    assert "http://0.0.0.0:8000 is open to other machines" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://[::1]:8000", True),
        ("http://localhost:8000", True),
        ("http://nb.localhost:8000", True),
        ("http://0.0.0.0:8000", False),
        ("http://:8000", False),
        ("http://[::]:8000", False),
        ("http://10.0.0.7:8000", False),
        ("http://localhost.example:8000", False),
    ],
)
def test_what_counts_as_this_machine_alone(url: str, inside: bool):
    assert loopback.is_loopback(url) is inside


def test_without_an_origin_for_each_seat_the_hub_does_not_start(env: pytest.MonkeyPatch):
    env.setenv("INSET_ISOLATION", "off")
    with pytest.raises(SystemExit, match="each user's notebook can read the others'"):
        _load()


def test_users_share_an_origin_only_where_that_is_acknowledged(
    env: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    env.setenv("INSET_ISOLATION", "off")
    env.setenv("INSET_ALLOW_SHARED_ORIGIN", "1")
    assert _load().JupyterHub.subdomain_host == ""
    assert "Inset's isolation is off" in capsys.readouterr().err


def test_the_acknowledgement_alone_changes_nothing(env: pytest.MonkeyPatch):
    env.setenv("INSET_ALLOW_SHARED_ORIGIN", "1")
    assert _load().JupyterHub.subdomain_host == "http://nb.localhost:8000"


def test_a_misspelt_isolation_is_refused(env: pytest.MonkeyPatch):
    env.setenv("INSET_ISOLATION", "no")
    with pytest.raises(ValueError, match="can be 'on' or 'off'"):
        _load()


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://[::1]:8000", "http://10.0.0.7", ""])
def test_a_public_url_that_can_have_no_subdomains_is_refused(env: pytest.MonkeyPatch, url: str):
    env.setenv("INSET_HUB_PUBLIC_URL", url)
    with pytest.raises(SystemExit, match="no seat can have an origin of its own"):
        _load()


def test_a_name_can_have_subdomains_and_an_address_can_not():
    assert isolation.can_have_subdomains("https://nb.example")
    assert not isolation.can_have_subdomains("https://192.0.2.1")


def test_seats_are_numbered_and_fit_a_host_name():
    assert seats.names(2) == ["seat-001", "seat-002"]
    assert len(seats.names(500)) == 500


def test_the_defaults_are_a_developer_s_machine(env: pytest.MonkeyPatch):
    c = _load()
    assert c.JupyterHub.bind_url == "http://127.0.0.1:8000"
    assert c.JupyterHub.subdomain_host == "http://nb.localhost:8000"
    assert c.JupyterHub.hub_ip == "127.0.0.1"
    assert c.JupyterHub.spawner_class.__name__ == "LocalSeatSpawner"
    assert c.Spawner.cmd == ["python", "-m", "inset_bridge"]
    assert c.JupyterHub.load_roles[0]["scopes"] == [
        "servers!group=seats",
        "tokens!group=seats",
        "list:users!group=seats",
    ]


def test_docker_is_chosen_by_name(env: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    env.setenv("INSET_SPAWNER", "docker")
    env.setenv("INSET_HUB_BIND", "http://0.0.0.0:8000")
    env.setenv("INSET_DOCKER_IMAGE", "inset-singleuser")
    env.setenv("INSET_DOCKER_NETWORK", "inset-seats")
    c = _load()
    spawner = c.JupyterHub.spawner_class()
    spawner.user = SimpleNamespace(name="seat-001")
    c.Spawner.apply_user_options(spawner, {"server_id": "11111111-2222"})
    assert type(spawner).__name__ == "DockerSeatSpawner"
    assert c.DockerSeatSpawner.prefix == "inset-seats"
    assert (spawner.image, spawner.network_name) == ("inset-singleuser", "inset-seats")
    assert (spawner.mem_limit, spawner.extra_host_config["pids_limit"]) == (2**30, 256)
    assert (spawner.remove, spawner.use_internal_ip, spawner.extra_create_kwargs["stop_timeout"]) == (True, True, 30)
    assert not capsys.readouterr().err, "the banner is the local spawner's"


def test_another_spawner_is_refused(env: pytest.MonkeyPatch):
    env.setenv("INSET_SPAWNER", "podman")
    with pytest.raises(ValueError, match="can be 'local', 'docker', 'swarm' or 'kubernetes'"):
        _load()


def test_without_the_service_s_token_there_is_no_hub(env: pytest.MonkeyPatch):
    env.delenv("INSET_HUB_TOKEN")
    with pytest.raises(KeyError):
        _load()


def _load() -> Config:
    return PyFileConfigLoader(CONFIG.name, str(CONFIG.parent)).load_config()
