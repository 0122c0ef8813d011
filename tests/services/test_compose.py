"""docker-compose.yml: no image can be pulled in a test, so its shape is checked here and its commands are
run as plain processes."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
OUR_IMAGE = "imprimatur:0.1.0"
ONE_SHOTS = {"temporal-schema", "temporal-namespace", "migrate", "first-start"}
NAME = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<word>[^}]*))?\}")

Process = tuple[str, list[str], dict[str, str]]


def read_compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return content


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """As compose does it: ${NAME}, ${NAME:-otherwise}, ${NAME:?}."""

    def value(found: re.Match[str]) -> str:
        given = values.get(found["name"]) or (found["word"] if found["kind"] == "-" else "")
        if found["kind"] == "?" and not given:
            raise KeyError(found["name"])
        return given

    return NAME.sub(value, text)


def plain_processes(compose: Mapping[str, Any], values: Mapping[str, str]) -> list[Process]:
    """Name, command and environment of each service of ours, what is waited for first."""
    ours = {name: each for name, each in compose["services"].items() if each.get("image") == OUR_IMAGE}
    ordered: list[Process] = []
    while len(ordered) < len(ours):
        done = {name for name, _, _ in ordered}
        ready = (n for n, each in ours.items() if n not in done and not set(each["depends_on"]) & ours.keys() - done)
        name = next(ready)
        env = {key: filled_in(value, values) for key, value in ours[name]["environment"].items()}
        ordered.append((name, list(ours[name]["command"]), env))
    return ordered


def example_values() -> dict[str, str]:
    names = re.findall(r"^(\w+)=$", (ROOT / "docker-compose.env.example").read_text(), re.MULTILINE)
    return {name: f"a-{name.lower()}" for name in names}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return read_compose()


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


def test_every_image_is_pinned_to_a_version(services: dict[str, Any]) -> None:
    images = {name: service["image"] for name, service in services.items()}
    loose = {name: image for name, image in images.items() if not re.search(r":v?\d+\.\d+", image)}
    assert loose == {}
    base = re.search(r"^FROM (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert base is not None
    assert re.fullmatch(r"python:3\.12\.\d+-slim-\w+", base[1])


def test_every_service_has_a_health_check_or_runs_once(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == ONE_SHOTS
    assert all(services[name]["restart"] in ("no", "on-failure:5") for name in ONE_SHOTS)


def test_what_is_waited_for_exists_and_can_come_true(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for awaited, how in service.get("depends_on", {}).items():
            runs_once = awaited in ONE_SHOTS
            expected = "service_completed_successfully" if runs_once else "service_healthy"
            assert how == {"condition": expected}, f"{name} waits for {awaited}"


def test_every_variable_of_ours_is_a_known_setting(services: dict[str, Any]) -> None:
    named = {key for service in services.values() for key in service.get("environment", {})}
    ours = {key for key in named if key.startswith(PREFIX)}
    assert ours <= Settings.variables()
    assert ours >= {"IMPRIMATUR_DATABASE_URL", "IMPRIMATUR_TEMPORAL_ADDRESS", "IMPRIMATUR_DATA"}


def test_every_password_that_is_asked_for_is_in_the_example(compose: dict[str, Any]) -> None:
    required = {found["name"] for found in NAME.finditer(str(compose)) if found["kind"] == "?"}
    assert required == set(example_values())


def test_each_part_knows_the_passwords_of_its_own_roles_alone(compose: dict[str, Any]) -> None:
    known = {
        name: {key.removeprefix(PREFIX).removesuffix("_PASSWORD").lower() for key in env if key.endswith("_PASSWORD")}
        for name, _, env in plain_processes(compose, example_values())
    }
    assert known == {
        "migrate": {"migrator", "recorder", "keeper", "notary", "projector", "reader"},
        "first-start": {"recorder", "keeper", "projector", "reader"},
        "worker": {"recorder", "keeper"},
        "projector": {"projector", "keeper", "notary"},
        "api": {"recorder", "keeper", "reader"},
    }
    with_superuser = [
        n for n, _, env in plain_processes(compose, example_values()) if "IMPRIMATUR_SUPERUSER_URL" in env
    ]
    assert with_superuser == ["migrate"]


def test_only_loopback_ports_are_published(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_the_services_commands_and_settings_are_plain_processes(compose: dict[str, Any]) -> None:
    processes = plain_processes(compose, example_values())
    assert [(name, argv) for name, argv, _ in processes] == [
        ("migrate", ["imprimatur", "migrate"]),
        ("first-start", ["imprimatur", "first-start"]),
        ("worker", ["imprimatur", "serve", "worker"]),
        ("projector", ["imprimatur", "serve", "projector"]),
        ("api", ["imprimatur", "serve", "api"]),
    ]
    settings = Settings.load(**{key.removeprefix(PREFIX).lower(): value for key, value in processes[2][2].items()})
    assert settings.recorder_url == (
        "postgresql://imprimatur_recorder:a-imprimatur_recorder_password@postgres:5432/imprimatur"
    )


def test_a_missing_password_is_not_an_empty_one(compose: dict[str, Any]) -> None:
    with pytest.raises(KeyError, match="IMPRIMATUR_RECORDER_PASSWORD"):
        plain_processes(compose, example_values() | {"IMPRIMATUR_RECORDER_PASSWORD": ""})
