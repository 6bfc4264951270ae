"""What a profile means for a server: of a container what Docker is asked for, of a process what it is held to."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from inset_hub import limits, profiles
from inset_hub.docker import DockerSeatSpawner, create_kwargs, host_config
from tests.support.real_hub import real_hub

OPTIONS = {"server_id": "11111111-2222", "origins": [], "may": ["run"]}
EVERYTHING = """
[profiles.large]
title = "Large"
image = "inset-large"
network = "inset-data"
cpu = 2
memory = "4 GiB"
pids = 200
disk = "1 GiB"
environment = { TZ = "UTC" }
mounts = [{ source = "/srv/reference", target = "/data/reference" }, { source = "models", target = "/data/models" }]
allow_environment = ["PLATFORM_*"]
idle_timeout = "PT30M"
max_age = 36000
[profiles.quota]
disk = "5 GiB"
disk_by = "storage-opt"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "profiles.toml"
    file.write_text(EVERYTHING)
    return file


def _read(text: str, tmp_path: Path) -> dict[str, profiles.Profile]:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    return profiles.read(str(file))


def _docker_spawner() -> DockerSeatSpawner:
    spawner = DockerSeatSpawner()
    spawner.user = SimpleNamespace(name="seat-001")
    return spawner


def test_without_a_file_there_is_the_default_profile_and_it_has_no_power():
    [(name, profile)] = profiles.read("", image="inset-singleuser", network="seats").items()
    assert (name, profile.image, profile.network) == ("default", "inset-singleuser", "seats")
    assert create_kwargs(profile) == {
        "stop_timeout": 30,
        "user": "1000:1000",
        "volumes": ["/home/notebook", "/tmp"],
    }
    assert host_config(profile) == {
        "init": True,
        "privileged": False,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": 256,
        "read_only": True,
    }


def test_a_profile_becomes_what_docker_is_asked_for(file: Path):
    profile = profiles.read(str(file), image="inset-singleuser", network="seats")["large"]
    spawner = _docker_spawner()

    spawner.apply_profile(profile)

    assert (spawner.image, spawner.network_name) == ("inset-large", "inset-data")
    assert (spawner.mem_limit, spawner.cpu_limit) == (4 * 2**30, 2)
    assert spawner.volume_binds == {
        "/srv/reference": {"bind": "/data/reference", "mode": "ro"},
        "models": {"bind": "/data/models", "mode": "ro"},
    }
    config = host_config(profile)
    assert (config["pids_limit"], config["memswap_limit"], config["read_only"]) == (200, 4 * 2**30, True)
    assert config["tmpfs"] == {
        "/home/notebook": "exec,size=1073741824,uid=1000,gid=1000,mode=0700",
        "/tmp": "exec,size=1073741824,mode=1777",
    }
    assert "volumes" not in create_kwargs(profile)


def test_the_engines_quota_counts_what_is_written_into_the_container_itself(file: Path):
    profile = profiles.read(str(file))["quota"]
    assert host_config(profile)["storage_opt"] == {"size": str(5 * 2**30)}
    assert not host_config(profile)["read_only"]
    assert "volumes" not in create_kwargs(profile)


def test_the_next_server_of_a_seat_has_nothing_of_the_profile_before(file: Path):
    offered = profiles.read(str(file), image="inset-singleuser", network="seats")
    spawner = _docker_spawner()
    apply = profiles.applying(offered, {})

    apply(spawner, {**OPTIONS, "profile": "large", "environment": {"PLATFORM_USER": "ada"}})
    apply(spawner, OPTIONS)

    assert (spawner.image, spawner.mem_limit, spawner.volume_binds) == ("inset-singleuser", None, {})
    assert "PLATFORM_USER" not in spawner.environment
    assert "tmpfs" not in spawner.extra_host_config


def test_what_a_server_is_cannot_be_overridden_by_its_profile_or_its_host(file: Path):
    offered = {"p": profiles.Profile(environment={"INSET_MAY": "all", "TZ": "UTC"}, allow_environment=["*"])}
    spawner = SimpleNamespace(apply_profile=lambda profile: None, apply_data_policy=lambda policy: None)
    apply = profiles.applying(offered, {"INSET_SERVICE_URL": "http://service"})

    apply(spawner, {**OPTIONS, "profile": "p", "environment": {"TZ": "CET"}})

    assert (spawner.environment["INSET_MAY"], spawner.environment["TZ"]) == ("run", "CET")
    assert spawner.environment["INSET_SERVICE_URL"] == "http://service"


@pytest.mark.parametrize(
    "wish",
    [
        {"profile": "nonsense"},
        {"profile": ["large"]},
        {"environment": {"PLATFORM_USER": "ada"}},
        {"profile": "large", "environment": {"OTHER": "x"}},
        {"profile": "large", "environment": {"PLATFORM_X": 7}},
        {"profile": "large", "environment": {"PLATFORM_X=1\nLD_PRELOAD": "x"}},
        {"profile": "large", "environment": "PLATFORM_X=1"},
    ],
)
def test_the_hub_takes_the_services_word_for_nothing_that_is_not_in_its_file(file: Path, wish: dict[str, object]):
    apply = profiles.applying(profiles.read(str(file)), {})
    with pytest.raises(ValueError, match="user_options"):
        apply(SimpleNamespace(apply_profile=lambda profile: None), {**OPTIONS, **wish})


@pytest.mark.parametrize(
    "name", ["LD_PRELOAD", "PYTHONPATH", "JUPYTERHUB_API_TOKEN", "inset_may", "https_proxy", "PATH"]
)
def test_what_steers_the_server_is_refused_even_where_every_name_is_allowed(name: str):
    apply = profiles.applying({"default": profiles.Profile(allow_environment=["*"])}, {})
    with pytest.raises(ValueError, match="not allowed"):
        apply(SimpleNamespace(apply_profile=lambda profile: None), {**OPTIONS, "environment": {name: "x"}})


@pytest.mark.parametrize(
    "line",
    [
        "memroy = '1 GiB'",
        "user = '0:0'",
        "user = 'root'",
        "user = '1000:0'",
        "memory = 0",
        "pids = 0",
        "mounts = [{ source = '/x', target = '/' }]",
        "mounts = [{ source = '/x', target = 'data' }]",
        "mounts = [{ source = '/x', target = '/data', mode = 'rw' }]",
        "disk_by = 'hope'",
        "privileged = true",
    ],
)
def test_a_file_with_a_word_that_would_mean_nothing_or_too_much_is_refused(line: str, tmp_path: Path):
    with pytest.raises(ValueError, match="profiles"):
        _read(f"[profiles.default]\n{line}\n", tmp_path)


def test_the_local_spawner_says_what_it_does_not_keep_to(file: Path, capsys: pytest.CaptureFixture[str]):
    limits.tell_what_is_not_kept(profiles.read(str(file)), limits.NOT_KEPT, "INSET_SPAWNER=docker")
    told = capsys.readouterr().err
    assert "Profile large: image, network, cpu, pids, mounts take INSET_SPAWNER=docker." in told
    assert "default" not in told


@pytest.mark.asyncio(loop_scope="session")
async def test_a_local_process_is_held_to_what_a_process_can_be_held_to(tmp_path: Path):
    file = tmp_path / "profiles.toml"
    file.write_text(
        '[profiles.small]\nmemory = "6 GiB"\ndisk = "1 MiB"\nenvironment = { TZ = "UTC" }\n'
        'allow_environment = ["PLATFORM_*"]\n'
    )
    # A server that writes down what it is held to, and goes.
    told = tmp_path / "told"
    script = tmp_path / "server.sh"
    script.write_text(
        f'ulimit -v > {told}; ulimit -f >> {told}; echo "$TZ $PLATFORM_USER" >> {told}; mv {told} {told}.txt\n'
    )
    env = {"INSET_SINGLEUSER_CMD": f"bash {script}", "INSET_SEATS": "1", "INSET_PROFILES_FILE": str(file)}
    async with real_hub(tmp_path / "hub", env) as hub:
        options = {**OPTIONS, "profile": "small", "environment": {"PLATFORM_USER": "ada"}}
        async with hub.api() as api:
            assert (await api.post("/users/seat-001/server", json={"user_options": options})).status_code == 202
            async with asyncio.timeout(60):
                while (await api.get("/users/seat-001")).json()["servers"]:
                    await asyncio.sleep(0.1)
        # In KiB, as ulimit counts.
        assert Path(f"{told}.txt").read_text().split() == [str(6 * 2**20), "1024", "UTC", "ada"]

        async with hub.api() as api:
            refused = await api.post("/users/seat-001/server", json={"user_options": {**options, "profile": "no"}})
        assert refused.status_code == 400
