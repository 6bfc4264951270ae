"""What the demo reads from its environment, once."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import SecretStr, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

HERE = Path(__file__).parent

# A string, because the service compares `aud` exactly and a URL type would add a slash.
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[^/?#\s;,]+$")]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="DEMO_", frozen=True)

    secret: SecretStr
    """The key that signs the users' JWTs; Inset's host registry holds it too (HS256) or its public half (ES256)."""
    algorithm: Literal["HS256", "ES256"] = "HS256"
    key_id: str = "demo-1"
    host_id: str = "demo"
    """This application's name at Inset: the JWTs' `iss`."""

    webhook_secret: SecretStr | None = None
    """The secret of this application's webhook endpoint at Inset. Without one it hears nothing by itself."""

    data: Path
    """A folder for the demo's own database."""
    bind: str = "127.0.0.1"
    port: int = 8090

    service_url: Origin
    """Inset as the browser sees it."""
    service_internal_url: Origin | None = None
    """Inset as this backend sees it, if that differs."""
    frame_src: str = "http://*.nb.localhost:8000"
    """Where notebooks come from: the frames this application's pages may hold."""
    sdk: Path = HERE.parent / "dist"
    """The folder of the built SDK."""

    @property
    def service_api_url(self) -> str:
        return self.service_internal_url or self.service_url
