"""The manifests and values of deploy/kubernetes, against Kubernetes' own schema and against each other."""

import re
import subprocess
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.support.real_hub import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
FOREIGN = ("hub-values.yaml", "monitoring.yaml")
"""The chart's values, which its own schema judges; a kind that the Prometheus operator brings."""

CHART_VERSION = "4.4.0"
CHART = ROOT / "tests" / "deploy" / f"zero-to-jupyterhub-{CHART_VERSION}"
"""What the chart says of its values, unchanged, with its licence (BSD 3-Clause, Project Jupyter Contributors)."""

VERSIONS = ("1.37",)

Manifest = dict[str, Any]


@cache
def manifests() -> list[Manifest]:
    files = [file for file in sorted(FOLDER.glob("*.yaml")) if file.name not in FOREIGN]
    return [manifest for file in files for manifest in yaml.safe_load_all(file.read_text())]


def found(kind: str, name: str, namespace: str = "inset") -> Manifest:
    [one] = [
        one
        for one in manifests()
        if one["kind"] == kind and one["metadata"]["name"] == name and one["metadata"].get("namespace") == namespace
    ]
    return one


def values() -> Manifest:
    return dict(yaml.safe_load((FOLDER / "hub-values.yaml").read_text()))


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_word_of_the_manifests(version: str) -> None:
    for manifest in manifests():
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("part", ["service", "edge"])
def test_no_part_has_any_power(part: str) -> None:
    pod = found("Deployment", f"inset-{part}")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"] + pod.get("initContainers", []):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]


def test_the_hub_s_values_make_it_ours_and_give_it_no_power() -> None:
    given = values()
    hub = given["hub"]
    assert hub["args"] == ["sh", "/opt/inset/start.sh"]
    # Without this the proxy knows no seat by its name.
    assert given["proxy"]["chp"]["extraCommandLineFlags"] == ["--host-routing"]
    assert hub["containerSecurityContext"]["capabilities"] == {"drop": ["ALL"]}
    told = {one["name"]: one.get("value") for one in hub["extraEnv"]}
    assert told["INSET_SPAWNER"] == "kubernetes"
    assert told["INSET_KUBERNETES_RESTRICTED_REACH"] == "hub.inset.svc inset-service.inset.svc"
    [role] = [one for one in manifests() if one["kind"] == "Role"]
    assert role["metadata"]["namespace"] == told["INSET_KUBERNETES_NAMESPACE"]
    assert {resource for rule in role["rules"] for resource in rule["resources"]} == {"pods", "events"}


def test_the_chart_takes_the_hub_s_values() -> None:
    of_chart()(values())


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ("hub", "extraENV", []),
        ("proxy.chp", "extraCommandLineFlag", ["--host-routing"]),
        ("", "cul", {"enabled": False}),
        ("hub", "args", "sh /opt/inset/start.sh"),
        ("rbac", "create", "no"),
    ],
)
def test_the_chart_refuses_a_key_or_a_value_that_it_does_not_know(path: str, key: str, value: object) -> None:
    given = deepcopy(values())
    place = given
    for step in filter(None, path.split(".")):
        place = place[step]
    place[key] = value

    with pytest.raises(jsonschema.ValidationError):
        of_chart()(given)


@pytest.mark.parametrize("misspelt", [None, "containerSecurityContext", "podSecurityContext"])
def test_what_the_chart_passes_on_as_it_is_kubernetes_takes(misspelt: str | None) -> None:
    hub = {**values()["hub"]}
    if misspelt:
        hub[misspelt] = {**hub[misspelt], "runAsUsers": 1001}
    container = {
        "name": "hub",
        "image": "hub",
        "args": hub["args"],
        "env": hub["extraEnv"],
        "volumeMounts": hub["extraVolumeMounts"],
        "securityContext": hub["containerSecurityContext"],
        "resources": hub["resources"],
    }
    spec = {
        "containers": [container],
        "volumes": hub["extraVolumes"],
        "securityContext": hub["podSecurityContext"],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hub", "labels": hub["labels"]}, "spec": spec}

    if misspelt:
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(pod, VERSIONS[-1], strict=True)
    else:
        kubernetes_validate.validate(pod, VERSIONS[-1], strict=True)


def test_the_release_of_the_chart_that_is_held_against_is_the_one_that_the_documents_install() -> None:
    told = (ROOT / "docs" / "kubernetes.md").read_text() + (FOLDER / "hub-values.yaml").read_text()

    assert set(re.findall(r"helm upgrade .*?--version (\S+)", told)) == {CHART_VERSION}
    assert told.count("helm upgrade") == told.count("--version")


def of_chart() -> Callable[[Manifest], None]:
    """Give what holds values against the chart's schema as helm does: laid over the chart's own, null takes away."""
    schema, defaults = (yaml.safe_load((CHART / f"{name}.yaml").read_text()) for name in ("values.schema", "values"))

    def validate(given: Manifest) -> None:
        jsonschema.validate(laid_over(defaults, given), schema)

    return validate


def laid_over(below: Manifest, above: Manifest) -> Manifest:
    merged = dict(below)
    for key, value in above.items():
        under = merged.pop(key, None)
        if isinstance(under, dict) and isinstance(value, dict):
            merged[key] = laid_over(under, value)
        elif value is not None:
            merged[key] = value
    return merged


def test_a_restricted_seat_reaches_hub_and_service_and_nothing_else() -> None:
    policies = [one["spec"] for one in manifests() if one["kind"] == "NetworkPolicy" and _of_seats(one)]
    restricted = {"inset/data-policy": "restricted", "component": "singleuser-server"}
    reached = []
    for policy in policies:
        wanted = policy["podSelector"].get("matchLabels", {})
        if wanted.items() <= restricted.items():
            reached += policy.get("egress", [])
    assert [(peer["podSelector"]["matchLabels"], rule["ports"]) for rule in reached for peer in rule["to"]] == [
        ({"inset/part": "hub"}, [{"port": 8081}]),
        ({"inset/part": "service"}, [{"port": 8091}]),
    ]
    assert any(
        policy["podSelector"] == {} and set(policy["policyTypes"]) == {"Ingress", "Egress"} for policy in policies
    )


def test_no_seat_reaches_the_hub_s_proxy_a_neighbour_or_a_cloud_s_metadata() -> None:
    for rule in found("NetworkPolicy", "proxy")["spec"]["ingress"]:
        assert all("namespaceSelector" not in peer for peer in rule["from"])
    for rule in found("NetworkPolicy", "seats", "inset-seats")["spec"]["ingress"]:
        assert {peer["podSelector"]["matchLabels"]["inset/part"] for peer in rule["from"]} == {"hub", "proxy"}
    for policy in (one for one in manifests() if one["kind"] == "NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            for peer in rule["to"]:
                assert "ipBlock" not in peer or "169.254.0.0/16" in peer["ipBlock"]["except"]


def test_every_name_that_a_manifest_calls_is_there() -> None:
    made = {(one["kind"], one["metadata"]["name"]) for one in manifests()}
    made |= {("Secret", name) for name in re.findall(r"{name: ([a-z-]+), namespace", _secrets())}
    made.add(("Secret", "inset-certificate"))
    text = "\n".join(file.read_text() for file in FOLDER.glob("*.yaml"))
    for kind, pattern in (
        ("Secret", r"secretName: ([a-z-]+)|secretKeyRef: {name: ([a-z-]+)|credentials: {name: ([a-z-]+)"),
        ("ConfigMap", r"configMap(?:KeyRef)?: {name: ([a-z-]+)"),
        ("Service", r"(inset-[a-z]+)\.inset\.svc"),
    ):
        for groups in re.findall(pattern, text):
            name = groups if isinstance(groups, str) else "".join(groups)
            assert (kind, name) in made, f"{kind} {name}"


def test_the_secrets_are_made_by_chance_and_shared_by_those_who_need_them() -> None:
    first = {one["metadata"]["name"]: one for one in yaml.safe_load_all(_secrets()) if one}
    again = {one["metadata"]["name"]: one for one in yaml.safe_load_all(_secrets()) if one}
    for secret in first.values():
        kubernetes_validate.validate(secret, VERSIONS[-1], strict=True)
    service = first["inset-service"]["stringData"]
    assert f"INSET_HUB__TOKEN={first['inset-hub']['stringData']['token']}\n" in service["settings.env"]
    assert f"INSET_EDGE_TOKEN={first['inset-edge']['stringData']['token']}\n" in service["settings.env"]
    assert service["signing.pem"].startswith("-----BEGIN PRIVATE KEY-----")
    assert first["inset-hub"] != again["inset-hub"]


def _of_seats(manifest: Manifest) -> bool:
    return bool(manifest["metadata"]["namespace"] == "inset-seats")


def _secrets() -> str:
    command = ["sh", FOLDER / "secrets.sh", "postgresql://inset:secret@database/inset"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
