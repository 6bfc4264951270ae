"""What an operator can set: one frozen object, read once from the environment and handed down."""

import os
from datetime import datetime, time, timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ByteSize, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from inset.logs import LogFormat, LogLevel


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an http or https URL without query and fragment")
    return value.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_base_url)]
"""An http(s) URL to which paths are appended; kept without a trailing slash."""


def _seconds(value: object) -> object:
    # A bare number in the environment is a string, of which pydantic makes no timedelta by itself.
    return float(value) if isinstance(value, str) and value.replace(".", "", 1).isdigit() else value


Duration = Annotated[timedelta, BeforeValidator(_seconds)]
"""A time span: a number of seconds, or ISO 8601 as in `PT10M`."""


DataPolicy = Literal["open", "restricted"]
"""How far data may go: `inset.models.data_policy` says what follows from it."""


DEFAULT_HUB = "default"
"""The name of the hub that every deployment has."""

HubName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class HubSettings(BaseModel, frozen=True):
    """How the service reaches a JupyterHub."""

    token: SecretStr
    """The API token of the hub's `inset` service. It never leaves the service."""

    api_url: BaseUrl = "http://127.0.0.1:8081/hub/api"
    """The hub's own API. The hub's address is better than its proxy's: the proxy closes idle connections."""

    proxy_url: BaseUrl = "http://127.0.0.1:8000"
    """Where notebook servers are dialled. The public name travels in `Host`, so it need not resolve here."""

    seats: int = Field(default=16, ge=1, le=9_999)
    """How many seats the hub declares: the number of users who can have a running server at once."""

    timeout: Duration = timedelta(seconds=20)
    """How long one call to the hub may take."""

    hosts: list[str] | None = None
    """The host applications whose sessions may be there; None is all of them."""


class DatabaseSettings(BaseModel, frozen=True):
    """How the service uses PostgreSQL. SQLite needs none of it."""

    pool_size: int = Field(default=10, ge=1)
    """How many connections one replica keeps."""

    pool_overflow: int = Field(default=10, ge=0)
    """How many more it opens while all of those are in use."""

    pool_timeout: Duration = timedelta(seconds=10)
    """How long a call waits for a connection before it is answered `database-unavailable`."""

    connect_timeout: Duration = timedelta(seconds=10)
    """How long connecting may take."""

    statement_timeout: Duration = timedelta(seconds=60)
    """How long one statement may take, the transfer of a large notebook included."""

    lock_timeout: Duration = timedelta(seconds=15)
    """How long a statement waits for what another transaction holds."""

    transaction_timeout: Duration = timedelta(seconds=60)
    """How long a transaction may stay open while nothing is asked in it."""


_Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[_Day, ...] = get_args(_Day)


class PoolHours(BaseModel, frozen=True, extra="forbid"):
    """A time of day at which there are to be more servers started ahead, or fewer."""

    days: list[_Day] = list(_DAYS)
    """The days on which it begins."""

    begin: time
    end: time
    """Earlier than `begin`: on the next day."""

    servers: int = Field(ge=0, le=999)
    """How many there are to be then."""

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.begin == self.end or self.begin.tzinfo or self.end.tzinfo:
            raise ValueError("begin and end must be two times of day, as 08:00, in the pool's time_zone")
        return self

    def at(self, moment: datetime) -> bool:
        """Tell whether it is so at a moment, which is one of the pool's time zone."""
        day, hour = moment.weekday(), moment.time()
        begun = _DAYS[day] in self.days and hour >= self.begin
        if self.begin < self.end:
            return begun and hour < self.end
        return begun or (_DAYS[day - 1] in self.days and hour < self.end)


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ValueError(f"{name!r} is no time zone that is known here") from exc
    return name


class PoolSettings(BaseModel, frozen=True, extra="forbid"):
    """How many servers of one profile are started ahead, at each hub."""

    servers: int = Field(default=0, ge=0, le=999)
    """How many there are to be, at any time for which `hours` say nothing else."""

    hours: list[PoolHours] = []
    """How many at which times of day. Of several that are so at once the first holds."""

    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    """That of `hours`, as `Europe/Berlin`."""

    max_age: Duration = timedelta(hours=12)
    """How old one becomes before another takes its place."""

    def wanted(self, moment: datetime) -> int:
        """Say how many there are to be at a moment."""
        local = moment.astimezone(ZoneInfo(self.time_zone))
        return next((hours.servers for hours in self.hours if hours.at(local)), self.servers)


def _plain_number(value: object) -> object:
    is_number = isinstance(value, int) or (isinstance(value, str) and value.isdigit())
    return {"servers": value} if is_number else value


class WebhookSettings(BaseModel, frozen=True):
    """How webhooks are sent."""

    networks: list[IPv4Network | IPv6Network] = []
    """The internal networks that endpoints may be in, beside the internet; there they may be plain http, too."""

    timeout: Duration = timedelta(seconds=10)
    """How long one attempt may take, until the endpoint's status is there."""

    retry_after: Duration = timedelta(seconds=5)
    """How long after a failed attempt the next one is made. Each further one waits three times as long, up to 12 h."""

    retry_for: Duration = timedelta(days=3)
    """For how long a delivery is tried before it is given up."""

    kept_for: Duration = timedelta(days=30)
    """How long a delivery that is over is kept, to be looked up and resent."""


_PROTECTIVE = ("INSET_DATA_POLICY", "INSET_MASTER_KEY_FILE")
"""Without these less is protected: where one is empty, something has gone wrong that is not to go unnoticed."""


class Settings(BaseSettings):
    """Everything the service reads from its environment (`INSET_…`, nested names joined by `__`).

    A variable that is empty is as one that is not there: whoever hands them on can name each.
    """

    model_config = SettingsConfigDict(
        env_prefix="INSET_", env_nested_delimiter="__", env_ignore_empty=True, frozen=True
    )

    public_url: BaseUrl
    """The service's address as its callers know it: the `aud` that a host's JWT must carry."""

    signing_key_file: Path
    """A PEM file with the P-256 private key that signs tickets, bridges' credentials and receipts (ES256)."""

    hub: HubSettings
    """How the service reaches its JupyterHub, or the first of several."""

    hubs: dict[HubName, HubSettings] = {}
    """Further hubs by their names, each with a token, an API, a proxy and seats of its own."""

    database_url: str = "sqlite:///inset.db"
    """`postgresql://user:password@host/name`, the production database, or `sqlite:///file`, the embedded one."""

    database: DatabaseSettings = DatabaseSettings()
    """How the service uses PostgreSQL."""

    listen_host: str = "127.0.0.1"
    """The address `inset serve` binds to."""

    listen_port: int = 8091
    """The port `inset serve` binds to."""

    notebook_limit: ByteSize = ByteSize(100 * 1024 * 1024)
    """The largest notebook that is stored. A larger one is refused with 413 before it is read whole."""

    recent_documents: ByteSize = ByteSize(64 * 1024 * 1024)
    """Bytes of the documents that were stored last and are kept in memory, so that what is saved next is compared with
    them, and what is loaded next need not be unpacked. Of the others only hashes are."""

    edge_token: SecretStr | None = Field(default=None, min_length=16)
    """The secret by which the edge in front of the notebooks is known. Without one there is no edge to answer to."""

    edge_address: str | None = None
    """Where this machine reaches the edge, as `host:port`, if not by the notebooks' public names."""

    assets_url: BaseUrl | None = None
    """Where all pages find the notebook interface's own files, as the hub has it: told to hosts' pages, which fetch
    them ahead."""

    data_policy: DataPolicy = "open"
    """`restricted` keeps all host applications' data inside. One of them alone is restricted by its registration."""

    ticket_lifetime: Duration = timedelta(seconds=60)
    """How long a signed iframe URL stays valid."""

    frame_lifetime: Duration = timedelta(hours=12)
    """How long a frame stays authenticated at its server after one entry."""

    credential_lifetime: Duration = timedelta(minutes=10)
    """How long a save bridge may use one credential before it asks for the next."""

    token_max_lifetime: Duration = timedelta(minutes=10)
    """The furthest ahead that the `exp` of a host's JWT may lie."""

    clock_skew: Duration = timedelta(seconds=30)
    """How far the clocks of a host and of the service may differ."""

    start_timeout: Duration = timedelta(seconds=120)
    """How long a session may take to become ready once it has a place."""

    queue_timeout: Duration = timedelta(minutes=10)
    """How long a session waits for a place at the most, before it fails."""

    queue_length: int = Field(default=1000, ge=1)
    """How many sessions of one host application may wait at once; `limits.queue` in its registration for fewer."""

    idle_timeout: Duration = timedelta(hours=1)
    """After how long without activity a server's sessions are saved and ended."""

    max_age: Duration | None = timedelta(days=7)
    """How long a session lasts at the most, however busy, unless its profile says otherwise."""

    profiles_file: Path | None = None
    """The TOML file of the profiles, which the hub reads too. Without one there is only `default`."""

    pool: dict[str, Annotated[PoolSettings, BeforeValidator(_plain_number)]] = {}
    """For each profile how many servers are started ahead, with a kernel, at each hub; none where nothing is said."""

    check_interval: Duration = timedelta(seconds=10)
    """How often a running server is looked up at the hub, to notice one that died or idles."""

    allow_shared_origin: bool = False
    """Acknowledges that seats share one origin, where users of one browser can attack each other."""

    undelete_for: Duration = timedelta(days=30)
    """How long a deleted notebook can still be brought back. Then `inset notebooks purge` removes it for good."""

    autosaves_by_minute_after: Duration = timedelta(hours=1)
    """After how long `inset versions thin` leaves one autosave a minute."""

    autosaves_by_day_after: Duration = timedelta(days=30)
    """After how long it leaves one autosave a day."""

    master_key_file: Path | None = None
    """A file with the master keys of encryption at rest, newest first. Without one nothing is encrypted."""

    encrypt: bool = True
    """Whether what is stored from now on is encrypted, where there are master keys. All stays readable either way."""

    metrics_token: SecretStr | None = Field(default=None, min_length=16)
    """The secret with which Prometheus reads `/metrics`. Without one there are no metrics to read."""

    log_format: LogFormat = "text"
    """`text` for people, `json` for machines: one object a line."""

    log_level: LogLevel = "info"
    """The least important lines that are written: `debug`, `info` (one for each request), `warning` or `error`."""

    otlp_endpoint: BaseUrl | None = None
    """The OpenTelemetry collector to which traces are sent, by OTLP over HTTP. Without one nothing is traced."""

    audit_kept_for: Duration = timedelta(days=365)
    """How long a row of the audit log is kept."""

    shutdown_delay: Duration = timedelta(0)
    """How long a replica that is being stopped goes on as before, while `/readyz` says that it leaves."""

    shutdown_timeout: Duration = timedelta(seconds=20)
    """How long the requests that are under way may then take to end."""

    webhooks: WebhookSettings = WebhookSettings()
    """How webhooks are sent."""

    preview_timeout: Duration = timedelta(seconds=30)
    """How long a notebook's preview may take to make."""

    @property
    def every_hub(self) -> dict[str, HubSettings]:
        """All hubs by their names, in the order in which they are set."""
        return {DEFAULT_HUB: self.hub, **self.hubs}

    def with_only(self, hub: str) -> Self:
        """Give what would be set if this hub were the only one."""
        return self.model_copy(update={"hub": self.every_hub[hub], "hubs": {}})

    @model_validator(mode="after")
    def _hubs_differ(self) -> Self:
        if DEFAULT_HUB in self.hubs:
            raise ValueError(f"hubs: {DEFAULT_HUB!r} is the name of the hub at INSET_HUB__…")
        addresses = [hub.api_url for hub in self.every_hub.values()]
        if len(set(addresses)) < len(addresses):
            raise ValueError("hubs: two of them have the same api_url")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what the environment does not say from the file that `INSET_SETTINGS_FILE` names: secrets, above all."""
        for name in _PROTECTIVE:
            if os.environ.get(name) == "":
                raise ValueError(f"{name} is empty: unset it, or say what it is to be")
        file = os.environ.get("INSET_SETTINGS_FILE")
        if not file:
            return init_settings, env_settings
        if not os.access(file, os.R_OK):
            raise OSError(f"INSET_SETTINGS_FILE: {file} can't be read")
        return init_settings, env_settings, DotEnvSettingsSource(settings_cls, env_file=file)
