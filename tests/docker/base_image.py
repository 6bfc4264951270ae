"""A base image for tests, made on this machine of Debian's packages: no image is pulled from anywhere.

It stands in for the Dockerfiles' `python:3.11-slim-bookworm`. It also holds what this machine needs to reach its
package indexes (a certificate bundle, their addresses), which is why it must never be pushed.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
PACKAGES = "ca-certificates,python3,python3-venv"
PIP_OPTIONS = ("index-url", "extra-index-url", "trusted-host")
UNUSED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")


def base_image(docker: str) -> str:
    """Give the image's name; make it, unless it is there as it would be made now. `INSET_TEST_BASE_IMAGE` overrides."""
    if given := os.environ.get("INSET_TEST_BASE_IMAGE"):
        return given
    environment = {"PIP_CERT": str(BUNDLE), "NODE_EXTRA_CA_CERTS": str(BUNDLE), **_package_indexes()}
    recipe = Path(__file__).read_bytes() + BUNDLE.read_bytes() + repr(sorted(environment.items())).encode()
    name = f"inset-test-base:{hashlib.sha256(recipe).hexdigest()[:12]}"
    if subprocess.run([docker, "image", "inspect", name], capture_output=True, check=False).returncode:
        folder = Path(tempfile.mkdtemp(prefix="inset-base-"))
        try:
            _debian(folder)
            _import(docker, folder, name, environment)
        finally:
            shutil.rmtree(folder)
    return name


def _debian(folder: Path) -> None:
    """Install a minimal Debian of this machine's own release into a folder, from where apt takes it."""
    [release] = re.findall(r"^VERSION_CODENAME=(\w+)$", Path("/etc/os-release").read_text(), re.MULTILINE)
    _run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", release, folder, _mirror(release))
    shutil.copy(BUNDLE, folder / BUNDLE.relative_to("/"))


def _mirror(release: str) -> str:
    fields = "$(CODENAME) $(COMPONENT) $(REPO_URI)"
    told = _run("apt-get", "indextargets", "--format", fields, "Created-By: Packages").split("\n")
    return next(line.split()[2] for line in told if line.startswith(f"{release} main "))


def _import(docker: str, folder: Path, name: str, environment: dict[str, str]) -> None:
    changes = [f"--change=ENV {key}={shlex.quote(value)}" for key, value in environment.items()]
    unused = [f"--exclude=./{name}/*" for name in UNUSED]
    with subprocess.Popen(["tar", "-C", folder, "-c", *unused, "."], stdout=subprocess.PIPE) as tar:
        done = subprocess.run(
            [docker, "import", *changes, "-", name], stdin=tar.stdout, capture_output=True, text=True, check=False
        )
    assert done.returncode == tar.returncode == 0, done.stderr


def _package_indexes() -> dict[str, str]:
    """Where this machine has pip and npm look instead of the public indexes, as environment for both."""
    found = {}
    for line in _run(sys.executable, "-m", "pip", "config", "list").splitlines():
        # `global.index-url='…'`, `:env:.index-url='…'`; folders of this machine do not exist in the image.
        option, _, value = line.partition("=")
        name, value = option.rpartition(".")[2], value.strip("'\"")
        if name in PIP_OPTIONS and "file:" not in value and not value.startswith("/"):
            found[f"PIP_{name.upper().replace('-', '_')}"] = value
    if npm := shutil.which("npm"):
        found["NPM_CONFIG_REGISTRY"] = _run(npm, "config", "get", "registry").strip()
    return found


def _run(*command: object) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout
