"""A host application of the tests: it signs JWTs as a real one does, and as no real one should."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jose import jwt

AUDIENCE = "http://localhost:8091"


@dataclass
class TestHost:
    """Signs tokens for its users."""

    __test__ = False

    id: str = "demo"
    kid: str = "demo-1"
    alg: str = "HS256"
    signing_key: str = field(default="the demo host's secret, of more than 32 characters", repr=False)
    verification_key: str | None = field(default=None, repr=False)
    origins: tuple[str, ...] = ("http://localhost:8090",)
    audience: str = AUDIENCE
    registration: dict[str, Any] = field(default_factory=dict)
    """What else its table in the operator's file says, as in `{"may": ["edit"], "limits.sessions": 1}`."""
    webhooks: list[dict[str, Any]] = field(default_factory=list)
    """Its `[[hosts.webhooks]]`."""
    listed: bool = True
    """Whether its key stands in the operator's file; False for one that it publishes at its `jwks_url` alone."""

    @classmethod
    def of(cls, stack: Any) -> "TestHost":
        """Give the demo host that a stack has registered, with its secret."""
        secret = json.loads((stack.folder / "secrets.json").read_text())["demo_key"]
        return cls(signing_key=secret, audience=stack.service_url, origins=(stack.demo_url,))

    def token(self, user: str = "ada", *, alg: str | None = None, key: str | None = None, **claims: Any) -> str:
        """Sign a JWT for a user; `claims` overrides, None leaves a claim out."""
        now = int(time.time())
        full = {"iss": self.id, "aud": self.audience, "sub": user, "iat": now, "exp": now + 300, **claims}
        present = {name: value for name, value in full.items() if value is not None}
        return jwt.encode(present, key or self.signing_key, algorithm=alg or self.alg, headers={"kid": self.kid})

    def bearer(self, user: str = "ada", **claims: Any) -> dict[str, str]:
        """Give the header that a user's page sends."""
        return {"Authorization": f"Bearer {self.token(user, **claims)}"}

    def backend_bearer(self, user: str) -> dict[str, str]:
        """Give the header that the host's backend sends when it acts for a user."""
        return self.bearer(self.id, act_for=user)


def write_hosts_file(file: Path, *hosts: TestHost) -> Path:
    """Write what `inset hosts apply` reads."""
    lines = []
    for host in hosts:
        origins = ", ".join(f'"{origin}"' for origin in host.origins)
        lines.append(f'[[hosts]]\nid = "{host.id}"\norigins = [{origins}]')
        # Every JSON value used here is also a TOML value.
        lines += [f"{name} = {json.dumps(value)}" for name, value in host.registration.items()]
        key = host.verification_key or host.signing_key
        for webhook in host.webhooks:
            lines.append("[[hosts.webhooks]]")
            lines += [f"{name} = {json.dumps(value)}" for name, value in webhook.items()]
        if not host.listed:
            continue
        lines.append(f'[[hosts.keys]]\nkid = "{host.kid}"\nalg = "{host.alg}"\nkey = """{key}"""\n')
    file.write_text("\n".join(lines))
    return file
