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

import debian
import packages

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
PACKAGES = "ca-certificates,python3,python3-venv,usr-is-merged"
MERGED = "/usr/share/mmdebstrap/hooks/merged-usr"
"""As Debian's own installer makes it; a package would do it later, with the whole of Perl."""
UNUSED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")


def base_image(docker: str) -> str:
    """Give the image's name; make it, unless it is there as it would be made now. `INSET_TEST_BASE_IMAGE` overrides."""
    if given := os.environ.get("INSET_TEST_BASE_IMAGE"):
        return given
    environment = {"PIP_CERT": str(BUNDLE), "NODE_EXTRA_CA_CERTS": str(BUNDLE), **_package_indexes()}
    recipe = Path(__file__).read_bytes() + BUNDLE.read_bytes() + repr(sorted(environment.items())).encode()
    name = f"inset-test-base:{hashlib.sha256(recipe).hexdigest()[:12]}"
    if subprocess.run([docker, "image", "inspect", name], capture_output=True, check=False).returncode:
        _make(docker, name, environment)
    return name


def _make(docker: str, name: str, environment: dict[str, str]) -> None:
    """Hand a minimal Debian of this machine's own release, from where apt takes it, to the engine as an image."""
    [release] = re.findall(r"^VERSION_CODENAME=(\w+)$", Path("/etc/os-release").read_text(), re.MULTILINE)
    unused = [f"--dpkgopt=path-exclude={files}" for files in UNUSED]
    bundle = f"--customize-hook=copy-in {BUNDLE} {BUNDLE.parent}"
    debian = ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", f"--hook-dir={MERGED}", *unused, bundle]
    changes = [f"--change=ENV {key}={shlex.quote(value)}" for key, value in environment.items()]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen([*debian, release, "-", _mirror(release)], stdout=subprocess.PIPE, stderr=said) as making,
    ):
        taken = subprocess.run(
            [docker, "import", *changes, "-", name], stdin=making.stdout, capture_output=True, text=True, check=False
        )
        made = making.wait()
        said.seek(0)
        assert taken.returncode == made == 0, f"{taken.stderr}{said.read().decode()[-3000:]}"


def _mirror(release: str) -> str:
    fields = "$(CODENAME) $(COMPONENT) $(REPO_URI)"
    asked = ("apt-get", "indextargets", "--format", fields, "Created-By: Packages")
    told = _run(*asked)
    if not told:  # apt has no lists yet
        debian.update(lambda command: print(_run(*command), end=""))
        told = _run(*asked)
    return next(line.split()[2] for line in told.split("\n") if line.startswith(f"{release} main "))


def _package_indexes() -> dict[str, str]:
    """Where this machine has pip, uv and npm look instead of the public indexes, as environment for all of them."""
    told = packages.indexes(Path(sys.executable))
    found = {f"PIP_{option.upper().replace('-', '_')}": value for option, value in told.items()}
    found |= packages.uv_settings(told)
    if npm := shutil.which("npm"):
        found["NPM_CONFIG_REGISTRY"] = _run(npm, "config", "get", "registry").strip()
    return found


def _run(*command: object) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout
