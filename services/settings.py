"""Every setting of the running system, typed, in one place: from the environment, or from a DATA folder.

`Settings()` reads IMPRIMATUR_… from the environment. `Settings.of_data(folder)` is the same for the
embedded default: the addresses that `imprimatur up` wrote into DATA/runtime.json stand in for the
environment's, so that every command finds the running system by its folder alone.
"""

import json
import os
from enum import StrEnum, auto
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "IMPRIMATUR_"
MASK = "********"


class SettingsError(Exception):
    """A setting is missing or malformed: one line for people."""


class NotRunning(SettingsError):
    """Nothing says where the system is: it was never started on this folder, and no address is set."""


class DatabaseRole(StrEnum):
    """Who connects to PostgreSQL; each may do only what it needs."""

    MIGRATOR = auto()
    RECORDER = auto()
    PROJECTOR = auto()
    KEEPER = auto()
    NOTARY = auto()
    READER = auto()

    @property
    def user(self) -> str:
        return f"imprimatur_{self}"


class Settings(BaseSettings):
    # hide_input: a malformed password must not be printed by its own error
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", hide_input_in_errors=True, env_ignore_empty=True
    )

    data: Path = Path("var")

    database_url: SecretStr | None = Field(None, description="PostgreSQL without a user: the roles' addresses")
    superuser_url: SecretStr | None = Field(None, description="used by set-up alone, to make roles and tables")
    migrator_password: SecretStr | None = None
    recorder_password: SecretStr | None = None
    projector_password: SecretStr | None = None
    keeper_password: SecretStr | None = None
    notary_password: SecretStr | None = None
    reader_password: SecretStr | None = None
    # a role's whole address, where it differs from database_url (a replica for readers, a pooler)
    given_migrator_url: SecretStr | None = Field(None, validation_alias="IMPRIMATUR_MIGRATOR_URL")
    given_recorder_url: SecretStr | None = Field(None, validation_alias="IMPRIMATUR_RECORDER_URL")
    given_projector_url: SecretStr | None = Field(None, validation_alias="IMPRIMATUR_PROJECTOR_URL")
    given_keeper_url: SecretStr | None = Field(None, validation_alias="IMPRIMATUR_KEEPER_URL")
    given_notary_url: SecretStr | None = Field(None, validation_alias="IMPRIMATUR_NOTARY_URL")
    given_reader_url: SecretStr | None = Field(None, validation_alias="IMPRIMATUR_READER_URL")

    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    task_queue: str = "imprimatur"

    policy_file: Path | None = None
    staff_file: Path | None = None
    key_file: Path | None = None

    log_name: str | None = Field(None, description="the log's name in its checkpoints, before its key is made")
    published: Path | None = Field(None, description="where checkpoints and tiles are put for auditors and witnesses")
    checkpoint_seconds: float = Field(1.0, gt=0, description="no two checkpoints are signed closer together")
    auditor_address: str | None = Field(None, description="who gets checkpoints by mail")
    auditor_mail_hours: float = Field(24.0, ge=0, description="no two mails to the auditor are closer together")
    tsa_url: str | None = Field(None, description="a time stamp authority (RFC 3161) that stamps checkpoints")
    tsa_certificate: Path | None = Field(None, validate_default=True, description="its root certificate, in PEM")
    tsa_hours: float = Field(24.0, ge=0, description="no two time stamps are closer together")

    smtp_url: SecretStr | None = None
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65_535)
    base_url: str | None = None
    webhooks_inside: bool = Field(False, description="let webhooks go to addresses inside: for tests")

    @field_validator("tsa_certificate")
    @classmethod
    def says_whose_time_stamps_count(cls, file: Path | None, others: ValidationInfo) -> Path | None:
        if file is None and others.data.get("tsa_url"):
            raise ValueError("without it anybody's time stamps would do; would pass: the authority's root certificate")
        return file

    @field_validator("smtp_url")
    @classmethod
    def is_a_mail_server(cls, url: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(url.get_secret_value()) if url else None
        if parts and (parts.scheme not in ("smtp", "smtps") or not parts.hostname):
            raise ValueError("no mail server's address; would pass: smtp://user:password@host:587")
        return url

    @classmethod
    def load(cls, **given: Any) -> Self:
        """As the constructor, with an error that is one line for people."""
        try:
            return cls(**given)
        except ValidationError as malformed:
            raise SettingsError(_in_one_line(malformed)) from None

    @classmethod
    def of_data(cls, data: Path, **given: Any) -> Self:
        """The system whose folder this is: what `imprimatur up` recorded of its addresses wins over the
        environment, and what the caller gives wins over both."""
        data = data.absolute()
        recorded = Runtime(data).settings()
        if "database_url" in recorded:
            # an environment meant for another system must not send one role there
            recorded |= dict.fromkeys(cls._role_variables())
        return cls.load(**{"data": data, **recorded, **given})

    @classmethod
    def _role_variables(cls) -> list[str]:
        return [
            *(f"{PREFIX}{role.upper()}_URL" for role in DatabaseRole),
            *(f"{role}_password" for role in DatabaseRole),
        ]

    @property
    def migrator_url(self) -> str:
        return self.url_of(DatabaseRole.MIGRATOR)

    @property
    def recorder_url(self) -> str:
        return self.url_of(DatabaseRole.RECORDER)

    @property
    def projector_url(self) -> str:
        return self.url_of(DatabaseRole.PROJECTOR)

    @property
    def keeper_url(self) -> str:
        return self.url_of(DatabaseRole.KEEPER)

    @property
    def notary_url(self) -> str:
        return self.url_of(DatabaseRole.NOTARY)

    @property
    def reader_url(self) -> str:
        return self.url_of(DatabaseRole.READER)

    def url_of(self, role: DatabaseRole) -> str:
        given: SecretStr | None = getattr(self, f"given_{role}_url")
        if given is not None:
            return given.get_secret_value()
        if self.database_url is None:
            raise NotRunning(
                f"no database: set {PREFIX}DATABASE_URL (or {PREFIX}{role.upper()}_URL), "
                f"or start the embedded system with `imprimatur up --data {self.data}`"
            )
        return with_user(self.database_url.get_secret_value(), role.user, self.password_of(role))

    def password_of(self, role: DatabaseRole) -> str | None:
        given: SecretStr | None = getattr(self, f"{role}_password")
        return given.get_secret_value() if given is not None else database_passwords(self.data).get(role)

    @property
    def published_folder(self) -> Path:
        return self.published or self.data / "published"

    @property
    def public_url(self) -> str:
        return self.base_url or f"http://{self.host}:{self.port}"

    def shown(self) -> dict[str, str | int | None]:
        """For `status`: nothing secret; an address keeps its host and loses its password."""
        return {name: _masked(getattr(self, name)) for name in type(self).model_fields}

    @classmethod
    def variables(cls) -> frozenset[str]:
        """The names of every environment variable that is read."""
        return frozenset(
            str(field.validation_alias or f"{PREFIX}{name.upper()}") for name, field in cls.model_fields.items()
        )


class Runtime:
    """DATA/runtime.json: where the parts of the running system are. Addresses and pids, nothing secret."""

    def __init__(self, data: Path) -> None:
        self.file = data / "runtime.json"

    def read(self) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(self.file.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as unreadable:
            raise SettingsError(f"{self.file} cannot be read: {unreadable}") from None
        return content

    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = self.read().get("settings", {})
        return found

    def write(self, content: dict[str, Any]) -> None:
        write_whole(self.file, json.dumps(content, indent=2))


def write_whole(file: Path, text: str, mode: int = 0o644) -> None:
    """The old content or the new, never half of one, whatever is killed; on the disk when this returns."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=mode, exist_ok=False)
    with fresh.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)


def secrets_folder(data: Path) -> Path:
    return data / "secrets"


def database_passwords(data: Path) -> dict[str, str]:
    """By role, and `superuser`; made by the first `imprimatur up`."""
    try:
        passwords: dict[str, str] = json.loads((secrets_folder(data) / "database.json").read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as unreadable:
        raise SettingsError(f"the database passwords of {data} cannot be read: {unreadable}") from None
    return passwords


def with_user(url: str, user: str, password: str | None) -> str:
    """The same address for another user; an address without a password leaves it to PostgreSQL's own ways."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    return urlunsplit(parts._replace(netloc=f"{who}@{place}"))


def _masked(value: object) -> str | int | None:
    if isinstance(value, SecretStr):
        return _without_password(value.get_secret_value())
    if value is None or isinstance(value, int):
        return value
    return str(value)


def _without_password(secret: str) -> str:
    try:
        parts = urlsplit(secret)
        if not (parts.scheme and parts.hostname):
            return MASK
        user = f"{parts.username}:{MASK}@" if parts.password else f"{parts.username}@" if parts.username else ""
        # a query can hold a password too (?password=…), so it is not shown
        return f"{parts.scheme}://{user}{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return MASK


def _in_one_line(malformed: ValidationError) -> str:
    first = malformed.errors(include_url=False, include_context=False, include_input=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    variable = name if name.startswith(PREFIX) else f"{PREFIX}{name.upper()}"
    return f"{variable}: {first['msg']}"
