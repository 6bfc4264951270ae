"""What a hub that was taken over might ask the engine for: ways onto the host, or into another container."""

import json
from typing import Any

IMAGE = "inset-singleuser:test"
NETWORK = "inset-users"


def wanted(image: str = IMAGE, network: str = NETWORK) -> dict[str, Any]:
    """Give a body as DockerSpawner sends it for a seat."""
    host = {
        "NetworkMode": network,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "Memory": 1 << 30,
        "PidsLimit": 256,
        "AutoRemove": True,
        "Init": True,
        "Binds": [],
        "Mounts": [],
        "Links": [],
    }
    config = {
        "Image": image,
        "Cmd": ["python", "-m", "inset_bridge"],
        "Env": ["A=b"],
        "ExposedPorts": {"8888/tcp": None},
    }
    return {**config, "Hostname": None, "Tty": False, "AttachStdout": True, "StopTimeout": 30, "HostConfig": host}


HOST_CONFIGS: dict[str, dict[str, Any]] = {
    "a folder of the host": {"Binds": ["/:/host"]},
    "a folder of the host, to read": {"Binds": ["/etc:/host:ro"]},
    "a folder of the host, by a relative name": {"Binds": ["../../etc:/host:ro"]},
    "the engine's socket": {"Binds": ["/var/run/docker.sock:/var/run/docker.sock"]},
    "a volume of another": {"Binds": ["inset_secrets:/secrets:ro"]},
    "an allowed volume, to write": {"Binds": ["data:/data:rw"]},
    "an allowed volume without a mode": {"Binds": ["data:/data"]},
    "an allowed volume, and another mode": {"Binds": ["data:/data:ro,z"]},
    "a mount": {"Mounts": [{"Type": "bind", "Source": "/", "Target": "/host"}]},
    "a volume driver's folder": {"VolumeDriver": "local"},
    "another container's volumes": {"VolumesFrom": ["inset_secrets_1"]},
    "all privileges": {"Privileged": True},
    "a truth that is a number": {"Privileged": 1},
    "the host's network": {"NetworkMode": "host"},
    "another container's network": {"NetworkMode": "container:inset_database_1"},
    "another network": {"NetworkMode": "inset_database"},
    "the host's processes": {"PidMode": "host"},
    "another container's memory": {"IpcMode": "container:x"},
    "the host's names": {"UTSMode": "host"},
    "the host's accounts": {"UsernsMode": "host"},
    "the host's cgroups": {"CgroupnsMode": "host"},
    "another cgroup": {"CgroupParent": "/"},
    "a capability": {"CapAdd": ["SYS_ADMIN"]},
    "all but one capability": {"CapDrop": ["NET_RAW"]},
    "no seccomp": {"SecurityOpt": ["no-new-privileges", "seccomp=unconfined"]},
    "new privileges": {"SecurityOpt": ["seccomp=unconfined"]},
    "no new privileges, but not so": {"SecurityOpt": ["no-new-privileges:false"]},
    "a device": {"Devices": [{"PathOnHost": "/dev/vda", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}]},
    "devices by their kind": {"DeviceCgroupRules": ["a *:* rwm"]},
    "devices by a request": {"DeviceRequests": [{"Count": -1}]},
    "kernel settings": {"Sysctls": {"net.ipv4.ip_forward": "1"}},
    "a runtime": {"Runtime": "other"},
    "what the engine hides of /proc": {"MaskedPaths": ["/nothing"]},
    "a port of the host": {"PortBindings": {"8888/tcp": [{"HostPort": "80"}]}},
    "all ports": {"PublishAllPorts": True},
    "a restart for ever": {"RestartPolicy": {"Name": "always"}},
    "a log elsewhere": {"LogConfig": {"Type": "syslog", "Config": {"syslog-address": "tcp://evil:1"}}},
    "another's groups": {"GroupAdd": ["docker"]},
    "names of its own": {"ExtraHosts": ["service:10.0.0.1"]},
    "memory without an end": {"Memory": 0},
    "memory that is less than nothing": {"Memory": -1},
    "processes without an end": {"PidsLimit": -1},
    "a folder in memory with a device's rights": {"Tmpfs": {"/x": "rw,dev:/host"}},
    "what only the engine reads that way": {"privileged": True},
    "binds that only the engine reads that way": {"BINDS": ["/:/host"]},
}
"""What is put into `HostConfig`, by what it would give."""

CONTAINERS: dict[str, dict[str, Any]] = {
    "another image": {"Image": "inset-engine:test"},
    "an image by its digest": {"Image": "sha256:" + "0" * 64},
    "root": {"User": "0"},
    "root's group": {"User": "1000:0"},
    "root by name": {"User": "root:root"},
    "an account without its group": {"User": "1000"},
    "a first program": {"Entrypoint": ["/bin/sh"]},
    "a second host configuration": {"hostconfig": {"Binds": ["/:/host"]}},
    "a folder without its volume": {"Volumes": {"/x": {}}},
    "a label of Compose": {"Labels": {"com.docker.compose.project": "inset"}},
    "a second network": {"NetworkingConfig": {"EndpointsConfig": {"inset_database": {}}}},
    "a command of health": {"Healthcheck": {"Test": ["CMD", "true"]}},
    "an address": {"MacAddress": "02:42:00:00:00:01"},
    "no host configuration": {"HostConfig": None},
    "a host configuration that is a list": {"HostConfig": []},
    "a command that is no list": {"Cmd": "sh"},
}
"""What is put beside `HostConfig`."""

CALLS = (
    ("GET", "/info"),
    ("GET", "/containers/json"),
    ("GET", "/events"),
    ("GET", "/images/json"),
    ("GET", "/images/inset-engine:test/json"),
    ("GET", "/networks"),
    ("GET", "/volumes"),
    ("GET", "/secrets"),
    ("POST", "/build"),
    ("POST", "/images/create?fromImage=evil"),
    ("POST", "/volumes/create"),
    ("POST", "/networks/create"),
    ("POST", "/networks/inset_database/connect"),
    ("POST", "/swarm/init"),
    ("POST", "/plugins/pull?remote=evil"),
    ("POST", "/session"),
    ("POST", "/auth"),
    ("POST", "/commit?container=inset-users-seat-001"),
    ("POST", "/containers/inset-users-seat-001/exec"),
    ("POST", "/containers/inset-users-seat-001/attach"),
    ("POST", "/containers/inset-users-seat-001/update"),
    ("POST", "/containers/inset-users-seat-001/rename?name=x"),
    ("GET", "/containers/inset-users-seat-001/archive?path=/"),
    ("PUT", "/containers/inset-users-seat-001/archive?path=/"),
    ("GET", "/containers/inset-users-seat-001/logs"),
    ("POST", "/containers/inset-users-seat-001/start?checkpoint=x"),
    ("DELETE", "/containers/inset-users-seat-001?link=1"),
    ("POST", "/containers/prune"),
    ("POST", "/exec/x/start"),
)
"""Calls of the engine that no seat needs."""


def bodies(image: str = IMAGE, network: str = NETWORK) -> dict[str, str]:
    """Give every hostile body as it would be sent, by what it would give."""
    good = wanted(image, network)
    made = {what: {**good, "HostConfig": {**good["HostConfig"], **more}} for what, more in HOST_CONFIGS.items()}
    made |= {what: {**good, **more} for what, more in CONTAINERS.items()}
    texts = {what: json.dumps(body) for what, body in made.items()}
    twice = json.dumps(good)[:-1] + ', "HostConfig": {"Binds": ["/:/host"]}}'
    return {
        **texts,
        "a host configuration given twice": twice,
        "no JSON": "{",
        "a list": "[]",
        "nothing": "",
        "deep": "[" * 100_000,
    }
