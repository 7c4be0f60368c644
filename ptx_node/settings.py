"""The site's settings: frozen groups, read once from `ptx.toml`, `PTX_*` variables and a secrets folder.

The only reader of files and environment for configuration. Everything else receives the values it uses.
Precedence: environment (`PTX_DATABASE__URL=…`), then `ptx.toml`, then the defaults written here.
"""

from __future__ import annotations

import os
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ptx_node.errors import ConfigurationError

AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[\x21-\x5b\x5d-\x7e][\x20-\x5b\x5d-\x7e]*$")]
Port = Annotated[int, Field(ge=0, le=65535)]


def known_zone(name: str) -> str:
    """A name of a time zone, if it is one.

    Raises:
        ValueError: it is none.
    """
    if name != "UTC" and name not in available_timezones():
        raise ValueError(f"{name!r} is not an IANA time zone, such as Europe/Paris")
    return name


class Group(BaseModel):
    """A frozen table of `ptx.toml`; an unknown key is an error, not a silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TlsFiles(Group):
    """Certificates of one side of a TLS 1.2+ connection (PEM)."""

    certificate: Path | None = None
    private_key: Path | None = None
    trusted: Path | None = Field(default=None, description="CA file; on a server it makes client certificates mandatory")


class TlsSettings(Group):
    """One certificate for every port of the node: a door whose own `tls` names another one keeps that."""

    certificate: Path | None = None
    private_key: Path | None = None
    plain: tuple[Literal["dicom", "stow", "hl7", "fhir", "dashboard"], ...] = Field(default=(), description="doors that stay without TLS")


class NodeSettings(Group):
    """Where the node keeps its things and what it calls itself in the objects it writes."""

    home: Path = Field(default=Path("ptx-home"), description="database, store, logs and sockets live below this folder")
    site: str = Field(default="unnamed site", max_length=64, description="Institution Name (0008,0080) of results")
    time_zone: str = Field(default="UTC", description="IANA zone of local dates and times in results")

    device_serial_number: str = Field(default="1", max_length=64, description="Device Serial Number (0018,1000) of results")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_json: bool = False

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        return known_zone(name)


class DatabaseSettings(Group):
    """`sqlite:///…` or `postgresql+psycopg://…`; empty means SQLite below the node's home."""

    url: SecretStr = SecretStr("")


class StoreSettings(Group):
    """The file store."""

    folder: Path = Field(default=Path("store"), description="relative to the node's home")
    watermark_bytes: int = Field(default=2_000_000_000, ge=0, description="refuse instances (A700) when less room is left")


class BrokerSettings(Group):
    """`embedded` starts a Redis below the node's home (`ptx up`); else a `redis://` or `rediss://` address."""

    url: SecretStr = SecretStr("embedded")


class Peer(Group):
    """A calling AE title that may associate. `*` allows any; an address may be a network (`10.1.0.0/16`)."""

    ae_title: str
    addresses: tuple[str, ...] = ("*",)
    host: str | None = Field(default=None, description="where Storage Commitment reports are sent; else the peer's address")
    port: Port | None = None


class DicomSettings(Group):
    """The Storage SCP."""

    host: str = "127.0.0.1"
    port: Port = 11112
    ae_title: AeTitle = "PTX"
    retrieve_ae_title: AeTitle = Field(
        default="PTX_RETRIEVE", description="called AE title of what archives send because we asked (C-MOVE)"
    )
    processes: int = Field(default=2, ge=1, le=64)
    peers: tuple[Peer, ...] = Field(default=(), description="calling AE titles allowed; empty refuses everybody")
    sources: dict[str, str] = Field(default_factory=dict, description="called AE title -> source name")
    max_associations: int = Field(default=100, ge=1, description="per process")
    max_pdu: int = Field(default=131_072, ge=4096, le=4_194_304)
    idle_timeout_s: float = Field(default=60.0, gt=0)
    max_instance_bytes: int = Field(default=4_000_000_000, ge=1)
    invalid_uid: Literal["accept", "refuse"] = Field(default="accept", description="accept, process and flag; or answer 0xA900")
    tls: TlsFiles = TlsFiles()


class StowSettings(Group):
    """The STOW-RS door; closed unless enabled. A request needs a bearer token or a client certificate."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: Port = 8042
    source: str = "stow"
    bearer_tokens: tuple[SecretStr, ...] = ()
    max_request_bytes: int = Field(default=2_000_000_000, ge=1)
    tls: TlsFiles = TlsFiles()


Place = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{2}(\[[^\]]+\])?-\d{1,3}(\.\d{1,2}){0,2}$")]
"""A place in an HL7 message: `OBR-18`, `PID-3.4`, `OBX[113014]-5`."""


class Hl7Fields(Group):
    """Where a sender puts what; of several places the first that holds something counts."""

    report: tuple[Place, ...] = ("OBR-3", "OBR-18", "ORC-3", "OBR-2", "ORC-2")
    accession: tuple[Place, ...] = ("OBR-18", "OBR-3", "ORC-3", "ORC-2")
    study_uid: tuple[Place, ...] = ("ZDS-1", "OBX[113014]-5")
    examined_at: tuple[Place, ...] = ("OBR-7",)
    issued_at: tuple[Place, ...] = ("OBR-22",)
    modality: tuple[Place, ...] = ("OBR-24",)
    procedure: tuple[Place, ...] = ("OBR-4",)
    procedure_text: tuple[Place, ...] = ("OBR-4.2",)
    status: tuple[Place, ...] = ("OBR-25",)


class Hl7Sender(Group):
    """A system that may send reports. `*` allows any application, facility or address."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    application: str = "*"
    facility: str = "*"
    addresses: tuple[str, ...] = ("*",)
    charset: str = Field(default="", description="where MSH-18 names none that fits, such as 8859/1")
    time_zone: str = Field(default="", description="IANA zone of its clock; empty: the site's")
    authority: str = Field(default="", description="who gives out patient numbers that come without their authority")
    processing_ids: tuple[str, ...] = ("P",)
    statuses: dict[str, Literal["preliminary", "final", "corrected", "addendum", "withdrawn"]] = Field(default_factory=dict)
    fields: Hl7Fields = Hl7Fields()

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        return known_zone(name) if name else name


class Hl7Settings(Group):
    """The HL7 door (MLLP) for radiology reports; closed unless enabled. Nobody is accepted who is not among the senders."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: Port = 2575
    senders: tuple[Hl7Sender, ...] = ()
    max_message_bytes: int = Field(default=32_000_000, ge=1000)
    max_connections: int = Field(default=50, ge=1)
    message_timeout_s: float = Field(default=30.0, gt=0, description="a message that has begun must end within")
    tls: TlsFiles = TlsFiles()


class FhirSettings(Group):
    """The FHIR door for DiagnosticReport; closed unless enabled. A request needs a bearer token or a client certificate."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: Port = 8043
    source: str = "fhir"
    bearer_tokens: tuple[SecretStr, ...] = ()
    max_request_bytes: int = Field(default=32_000_000, ge=1)
    tls: TlsFiles = TlsFiles()


RoleName = Literal["viewer", "operator", "reviewer", "auditor", "administrator"]


class OidcSettings(Group):
    """Sign-in at an OpenID provider (code flow with PKCE); off without an issuer. The secret comes from the secrets folder."""

    issuer: str = Field(default="", pattern=r"^(https?://[^/\s?#]+[^\s?#]*)?$")
    client_id: str = ""
    client_secret: SecretStr | None = None
    scopes: tuple[str, ...] = ("openid", "profile")
    name_claim: str = "preferred_username"
    roles_claim: str = Field(default="roles", description="dots lead into objects: realm_access.roles")
    roles: dict[str, RoleName] = Field(default_factory=dict, description="value of the claim -> role; who has none does not come in")
    label: str = Field(default="Sign in with the hospital's account", max_length=80, description="on the button")


class ProxySettings(Group):
    """A proxy in front of the dashboard, whose word on addresses counts, and on people where `user_header` is set."""

    addresses: tuple[str, ...] = Field(default=(), description="of the proxy; anybody else's headers are ignored")
    user_header: str = Field(default="", description="such as X-Remote-User; empty: the proxy vouches for nobody")
    roles_header: str = Field(default="", description="such as X-Remote-Groups; values parted by commas")
    roles: dict[str, RoleName] = Field(default_factory=dict, description="value of the header -> role")


class DashboardSettings(Group):
    """The dashboard. There is no default password: the first administrator comes by a one-time link."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = 8044
    base_url: str = Field(default="", pattern=r"^(https?://[^/\s?#]+)?$", description="as people reach it; empty: host and port")
    idle_minutes: float = Field(default=30.0, gt=0, description="a session ends after so long without a person's doing")
    session_hours: float = Field(default=12.0, gt=0, description="a session ends after so long in any case")
    query_timeout_s: float = Field(default=60.0, ge=0, le=86_400, description="of a page's query on PostgreSQL; 0: the server's own limit")
    nice: int = Field(default=5, ge=0, le=19, description="how far its processes step back where the processor is short; 0: not at all")
    tls: TlsFiles = TlsFiles()
    oidc: OidcSettings = OidcSettings()
    proxy: ProxySettings = ProxySettings()


class PatientSettings(Group):
    """How other systems' names of those who give out patient numbers become the site's."""

    default_authority: str = Field(default="", description="of a number that names none, as most DICOM Patient IDs")
    authorities: dict[str, str] = Field(default_factory=dict, description="another system's name -> the site's")


class ExportSettings(Group):
    """What leaves the site for auditors. The secret comes from the secrets folder or environment, never from a default."""

    secret: SecretStr | None = Field(default=None, description="key of the pseudonyms, at least 32 bytes from a random source")
    smallest_cell: int = Field(default=10, ge=1, description="patients that share what a row tells of them, at least")
    keep_weekdays: bool = Field(default=False, description="move dates by whole weeks")
    keep_days: int = Field(default=90, ge=0, le=36_500, description="of a package built on the dashboard, after its last use; 0: for ever")


class PromisedSettings(Group):
    """What the site promised of its models: the watch over time asks whether errors are more frequent than that."""

    sensitivity: float | None = Field(default=None, gt=0, lt=1)
    positive_predictive_value: float | None = Field(default=None, gt=0, lt=1)
    disagreement_rate: float | None = Field(default=None, gt=0, lt=1, description="answers that the truth contradicts, at most")
    limit: float | None = Field(default=None, gt=0, description="of the watch, in natural logarithms of likelihood; empty: computed")


class DriftSettings(Group):
    """The watch over drift: each model's last days against a reference, once a day."""

    enabled: bool = True
    window_days: int = Field(default=7, ge=1, le=92, description="of one window; windows share no day")
    persistence: int = Field(default=2, ge=1, le=12, description="windows in a row that are unlike the reference, before an alarm")
    minimum: int = Field(default=100, ge=20, description="patients of the reference and of each window, at least")
    p_value: float = Field(default=0.001, gt=0, lt=0.5, description="of one window")
    effect: float = Field(default=0.1, ge=0, lt=1, description="smallest difference that matters")
    reference_days: int = Field(default=28, ge=1, le=366, description="from a model's first answer on")
    reference_since: date | None = Field(default=None, description="first day of a reference for all models")
    reference_until: date | None = None

    @model_validator(mode="after")
    def _both_days_or_none(self) -> Self:
        since, until = self.reference_since, self.reference_until
        if (since is None) != (until is None) or (since is not None and until is not None and until < since):
            raise ValueError("reference_since and reference_until: give both, the first one first, or neither")
        return self


class StopRuleSettings(Group):
    """A limit beyond which deliveries pause until a person resumes them."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    figure: Literal["positive_rate", "failed_rate", "mask_missing", "sensitivity", "specificity"]
    above: float | None = Field(default=None, ge=0, lt=1)
    below: float | None = Field(default=None, gt=0, le=1)
    minimum: int = Field(default=50, ge=1, description="cases that the figure is made of, at least")
    days: int = Field(default=7, ge=1, le=366, description="back from now")
    model: str = Field(default="", description="its name in [models]; empty: all together")
    destinations: tuple[str, ...] = Field(default=(), description="whose deliveries pause; empty: all")

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"stop rule {self.name}: give above or below, one of the two")
        return self


class WorkerSettings(Group):
    """Inference and delivery workers."""

    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1")
    batch_size: int = Field(default=4, ge=1, le=256, description="radiographs in one forward pass, at most")
    decode_threads: int = Field(default=2, ge=1)
    torch_threads: int = Field(default=0, ge=0, description="0: one a core")
    lease_s: float = Field(default=300.0, gt=0)
    retry_delay_s: float = Field(default=5.0, ge=0)
    delivery_threads: int = Field(default=8, ge=1)
    sweep_interval_s: float = Field(default=2.0, gt=0)


class Retry(Group):
    """Exponential backoff with jitter until a deadline."""

    first_delay_s: float = Field(default=5.0, gt=0)
    max_delay_s: float = Field(default=600.0, gt=0)
    deadline_s: float = Field(default=7 * 86400.0, gt=0)


class DestinationBase(Group):
    """What every destination has. `kinds` is policy: what may go there at all, whatever a rule asks."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    kinds: tuple[Literal["seg", "sr", "sc"], ...] = ("seg", "sr")
    retry: Retry = Retry()
    timeout_s: float = Field(default=30.0, gt=0)


class DimseDestination(DestinationBase):
    """C-STORE, then Storage Commitment where the peer offers it, else C-FIND where it offers that."""

    type: Literal["dimse"]
    host: str
    port: Port
    called_ae: AeTitle
    calling_ae: AeTitle = "PTX"
    commitment: Literal["auto", "storage_commitment", "c_find", "none"] = "auto"
    commitment_timeout_s: float = Field(default=300.0, gt=0)
    tls: TlsFiles | None = None


class DicomwebDestination(DestinationBase):
    """STOW-RS, then QIDO-RS to find the result again. The bearer token comes from the secrets folder or environment."""

    type: Literal["dicomweb"]
    url: str = Field(pattern=r"^https?://")
    bearer_token: SecretStr | None = None
    username: str | None = None
    password: SecretStr | None = None
    tls: TlsFiles | None = None
    verify: bool = Field(default=True, description="find the result again by QIDO-RS before it counts as committed")


class FolderDestination(DestinationBase):
    """A folder; written like the store: temporary file, fsync, rename, fsync of the folder."""

    type: Literal["folder"]
    folder: Path = Field(description="relative to the node's home")


class ArchiveBase(Group):
    """Where studies are looked for and fetched, and how gently."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    studies_per_minute: float = Field(default=6.0, gt=0, le=6000, description="fetched, at most")
    window: str = Field(
        default="",
        pattern=r"^(([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)?$",
        description="when studies may be fetched, by node.time_zone: 22:00-06:00; empty: at any time",
    )
    issuer_of_patient_id: str = Field(default="", description="of patient IDs that the archive answers without their issuer")
    timeout_s: float = Field(default=60.0, gt=0)


class DimseArchive(ArchiveBase):
    """C-FIND, then C-GET, or C-MOVE to `dicom.retrieve_ae_title`."""

    type: Literal["dimse"]
    host: str
    port: Port
    called_ae: AeTitle
    calling_ae: AeTitle = "PTX"
    retrieve: Literal["auto", "c_get", "c_move"] = Field(default="auto", description="auto: C-MOVE where C-GET is refused")
    move_timeout_s: float = Field(default=600.0, gt=0, description="the longest silence during C-MOVE")
    tls: TlsFiles | None = None


class DicomwebArchive(ArchiveBase):
    """QIDO-RS, then WADO-RS. The bearer token comes from the secrets folder or environment."""

    type: Literal["dicomweb"]
    url: str = Field(pattern=r"^https?://")
    retrieve: Literal["auto", "wado"] = "auto"
    bearer_token: SecretStr | None = None
    username: str | None = None
    password: SecretStr | None = None
    tls: TlsFiles | None = None


Archive = Annotated[DimseArchive | DicomwebArchive, Field(discriminator="type")]


Destination = Annotated[DimseDestination | DicomwebDestination | FolderDestination, Field(discriminator="type")]


NoticeName = Literal["first_failure", "quarantine", "silent_source", "backlog", "drift_alarm", "audit_broken"]
MailAddress = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,255}$")]


class ReceiverBase(Group):
    """What every receiver of notices has. `kinds` is what it is told of; `identifiers` adds Study Instance UIDs and accession numbers."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    kinds: tuple[NoticeName, ...] = get_args(NoticeName)
    identifiers: bool = Field(default=False, description="name studies; off: nothing that leads to a patient leaves the node")
    retry: Retry = Retry()
    timeout_s: float = Field(default=10.0, gt=0)
    tls: TlsFiles | None = None


class WebhookReceiver(ReceiverBase):
    """A signed POST. The address is a secret, as many services take a token in its path."""

    type: Literal["webhook"]
    url: SecretStr
    secret: SecretStr = Field(min_length=16, description="key of the signature")
    plain_http: bool = Field(default=False, description="allow http:// for this receiver")

    @model_validator(mode="after")
    def _safe_address(self) -> Self:
        url = urlsplit(self.url.get_secret_value())
        whole = url.scheme in {"http", "https"} and url.port != 0 and url.hostname and not re.search(r"[^!-~]", url.hostname)
        if not whole or url.username or url.password:
            raise ValueError(f"notifications.receivers {self.name}: url is https://host/path, without a user name or password in it")
        if url.scheme == "http" and not self.plain_http:
            raise ValueError(
                f"notifications.receivers {self.name}: url is plain http; use https, or say plain_http = true if that is meant"
            )
        return self


class MailReceiver(ReceiverBase):
    """E-mail by a server of the site. `security` holds or nothing is sent."""

    type: Literal["mail"]
    host: str = Field(min_length=1)
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: SecretStr | None = None
    sender: MailAddress
    recipients: tuple[MailAddress, ...] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> Self:
        if bool(self.username) != (self.password is not None):
            raise ValueError(f"notifications.receivers {self.name}: give username and password, or neither")
        if self.username and self.security == "none":
            raise ValueError(f'notifications.receivers {self.name}: a password needs security = "starttls" or "tls"')
        return self


NoticeReceiver = Annotated[WebhookReceiver | MailReceiver, Field(discriminator="type")]


class NotificationSettings(Group):
    """What people are told by webhook and e-mail, and when. Nobody is told anything without receivers."""

    interval_s: float = Field(default=30.0, gt=0, description="between two looks")
    repeat_hours: float = Field(default=24.0, gt=0, description="what lasts is told again no more often")
    calm_minutes: float = Field(default=10.0, ge=0, description="what was not seen for so long is over")
    backlog_minutes: float = Field(default=60.0, gt=0, description="age of the oldest delivery of a destination")
    waiting_minutes: float = Field(default=15.0, gt=0, description="age of the oldest job, or instance that no rule has looked at")
    silent_reports_hours: float = Field(default=0.0, ge=0, description="silence of a sender of reports; 0: nobody looks")
    templates: Path | None = Field(default=None, description="folder of the site's own templates, relative to the configuration file")
    receivers: tuple[NoticeReceiver, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [one.name for one in self.receivers]
        if len(set(names)) < len(names):
            raise ValueError("notifications.receivers: two have one name")
        return self


class Settings(BaseSettings):
    """All settings of one process. Rules stay as written; `ptx_node.domain.routing` gives them meaning."""

    model_config = SettingsConfigDict(env_prefix="PTX_", env_nested_delimiter="__", frozen=True, extra="forbid")

    node: NodeSettings = NodeSettings()
    database: DatabaseSettings = DatabaseSettings()
    store: StoreSettings = StoreSettings()
    broker: BrokerSettings = BrokerSettings()
    dicom: DicomSettings = DicomSettings()
    stow: StowSettings = StowSettings()
    hl7: Hl7Settings = Hl7Settings()
    fhir: FhirSettings = FhirSettings()
    dashboard: DashboardSettings = DashboardSettings()
    tls: TlsSettings = TlsSettings()
    patients: PatientSettings = PatientSettings()
    export: ExportSettings = ExportSettings()
    promised: PromisedSettings = PromisedSettings()
    drift: DriftSettings = DriftSettings()
    notifications: NotificationSettings = NotificationSettings()
    worker: WorkerSettings = WorkerSettings()
    models: dict[str, Path] = Field(default_factory=dict, description="model name -> MONAI Bundle folder; empty: those that ship")
    destinations: tuple[Destination, ...] = ()
    archives: tuple[Archive, ...] = ()
    rules: tuple[dict[str, Any], ...] = ()
    stop_rules: tuple[StopRuleSettings, ...] = ()
    config_file: Path | None = Field(default=None, exclude=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - signature is pydantic-settings's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment and secrets beat the file, whose content arrives as init arguments."""
        return env_settings, file_secret_settings, init_settings

    @model_validator(mode="after")
    def _one_certificate_for_every_door(self) -> Self:
        """Doors without a certificate of their own get the node's; what clients must show stays the door's."""
        for name in ("dicom", "stow", "hl7", "fhir", "dashboard"):
            door = getattr(self, name)
            if self.tls.certificate and name not in self.tls.plain and door.tls.certificate is None:
                files = door.tls.model_copy(update={"certificate": self.tls.certificate, "private_key": self.tls.private_key})
                # the settings are frozen for everybody else; here they are still being made
                object.__setattr__(self, name, door.model_copy(update={"tls": files}))
            elif door.tls.trusted and door.tls.certificate is None:
                raise ValueError(f"{name}.tls.trusted asks clients for certificates, but without {name}.tls.certificate there is no TLS")
        return self

    @property
    def home(self) -> Path:
        """The node's home, absolute. A relative one is relative to the configuration file."""
        base = self.config_file.parent if self.config_file else Path.cwd()
        return (base / self.node.home).resolve()

    @property
    def database_url(self) -> str:
        """The database address, SQLite below the home by default."""
        return self.database.url.get_secret_value() or f"sqlite:///{self.home / 'ptx.db'}"

    @property
    def store_folder(self) -> Path:
        """The file store's folder, absolute."""
        return self.home / self.store.folder


def load(path: Path | None = None) -> Settings:
    """Read the settings from `path`, else `$PTX_CONFIG`, else `./ptx.toml` when there is one, else the defaults.

    Raises:
        ConfigurationError: the file is missing, is not TOML, or holds a wrong value; the message names the place.
    """
    chosen = path or (Path(os.environ["PTX_CONFIG"]) if "PTX_CONFIG" in os.environ else None)
    if chosen is None and Path("ptx.toml").is_file():
        chosen = Path("ptx.toml")
    content: dict[str, Any] = {}
    if chosen is not None:
        try:
            content = tomllib.loads(chosen.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigurationError(f"{chosen} does not exist. Write one with: ptx init") from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"{chosen} cannot be read: {error}") from error
    secrets = os.environ.get("PTX_SECRETS_DIR")
    try:
        return Settings(**content, config_file=chosen.resolve() if chosen else None, _secrets_dir=secrets)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{chosen or 'environment'}: {place}: {first['msg']} ({error.error_count()} error(s) in all)") from error
