import json
from pathlib import Path

import pytest

from services.embedded_postgresql import with_every_role
from services.settings import (
    MASK,
    DatabaseRole,
    Runtime,
    Settings,
    SettingsError,
    database_passwords,
    secrets_folder,
    with_user,
)


@pytest.fixture(autouse=True)
def a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in Settings.variables():
        monkeypatch.delenv(variable, raising=False)


def running_system(data: Path) -> Path:
    secrets_folder(data).mkdir(parents=True)
    (secrets_folder(data) / "database.json").write_text(json.dumps({role: f"p@ss/{role}" for role in DatabaseRole}))
    Runtime(data).write(
        {
            "settings": {
                "database_url": "postgresql://127.0.0.1:5433/imprimatur",
                "temporal_address": "127.0.0.1:7",
            }
        }
    )
    return data


def test_the_folder_alone_finds_the_running_system(tmp_path: Path) -> None:
    settings = Settings.of_data(running_system(tmp_path))
    assert settings.recorder_url == "postgresql://imprimatur_recorder:p%40ss%2Frecorder@127.0.0.1:5433/imprimatur"
    assert settings.keeper_url == "postgresql://imprimatur_keeper:p%40ss%2Fkeeper@127.0.0.1:5433/imprimatur"
    assert settings.temporal_address == "127.0.0.1:7"


def test_an_environment_for_another_system_does_not_reach_into_the_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = running_system(tmp_path)
    own = Settings.of_data(data).recorder_url
    monkeypatch.setenv("IMPRIMATUR_DATABASE_URL", "postgresql://elsewhere.test/log")
    monkeypatch.setenv("IMPRIMATUR_RECORDER_URL", "postgresql://elsewhere.test/log")
    monkeypatch.setenv("IMPRIMATUR_RECORDER_PASSWORD", "other")
    assert Settings.of_data(data).recorder_url == own


def test_each_role_has_its_own_address_or_the_common_one_with_its_own_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IMPRIMATUR_DATA", str(tmp_path))
    monkeypatch.setenv("IMPRIMATUR_DATABASE_URL", "postgresql://someone:else@db.test/log?sslmode=require")
    monkeypatch.setenv("IMPRIMATUR_PROJECTOR_PASSWORD", "own")
    monkeypatch.setenv("IMPRIMATUR_READER_URL", "postgresql://reader@replica.test/log")
    settings = Settings()
    assert settings.projector_url == "postgresql://imprimatur_projector:own@db.test/log?sslmode=require"
    assert settings.migrator_url == "postgresql://imprimatur_migrator@db.test/log?sslmode=require"
    assert settings.reader_url == "postgresql://reader@replica.test/log"


def test_no_database_is_said_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"IMPRIMATUR_DATABASE_URL .*IMPRIMATUR_RECORDER_URL.*imprimatur up"):
        _ = Settings.of_data(tmp_path).recorder_url


def test_a_malformed_setting_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPRIMATUR_PORT", "eighty")
    with pytest.raises(SettingsError, match=r"\AIMPRIMATUR_PORT: [^\n]*integer[^\n]*\Z"):
        Settings.load()


def test_a_broken_runtime_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "runtime.json").write_text("{")
    with pytest.raises(SettingsError, match=r"runtime\.json cannot be read"):
        Settings.of_data(tmp_path)


def test_what_is_shown_holds_no_secret() -> None:
    settings = Settings.load(
        database_url="postgresql://someone:hush@db.test:5432/log?password=hush",
        recorder_password="hush",
        smtp_url="smtp://clerk:hush@mail.test",
    )
    shown = settings.shown()
    assert "hush" not in json.dumps(shown) + repr(settings)
    assert shown["database_url"] == f"postgresql://someone:{MASK}@db.test:5432/log"
    assert shown["recorder_password"] == MASK
    assert shown["port"] == 8080


def test_the_variables_are_those_of_the_interface() -> None:
    assert Settings.variables() >= {
        "IMPRIMATUR_DATABASE_URL",
        "IMPRIMATUR_RECORDER_URL",
        "IMPRIMATUR_TEMPORAL_ADDRESS",
        "IMPRIMATUR_TEMPORAL_NAMESPACE",
        "IMPRIMATUR_POLICY_FILE",
        "IMPRIMATUR_DATA",
        "IMPRIMATUR_KEY_FILE",
        "IMPRIMATUR_SMTP_URL",
        "IMPRIMATUR_BASE_URL",
    }


def test_a_password_of_signs_stays_in_its_place() -> None:
    assert with_user("postgresql://h/db", "u", "a:b@c/d") == "postgresql://u:a%3Ab%40c%2Fd@h/db"


def test_a_role_that_came_with_a_later_version_gets_its_password_and_the_others_keep_theirs(tmp_path: Path) -> None:
    secrets_folder(tmp_path).mkdir()
    known = {name: f"of-{name}" for name in ("superuser", *DatabaseRole) if name != DatabaseRole.NOTARY}
    passwords = with_every_role(tmp_path, known)
    assert passwords == known | {"notary": passwords["notary"]}
    assert database_passwords(tmp_path) == passwords == with_every_role(tmp_path, passwords)


def test_time_stamps_are_asked_for_only_where_it_is_said_whose_count(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"^IMPRIMATUR_TSA_CERTIFICATE: .*would pass: the authority's root certificate"
    ):
        Settings.load(data=tmp_path, tsa_url="http://tsa.test/")
    settings = Settings.load(data=tmp_path, tsa_url="http://tsa.test/", tsa_certificate=tmp_path / "root.pem")
    assert settings.tsa_certificate == tmp_path / "root.pem"
