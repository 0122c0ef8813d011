"""scim2-tester, the whole of it, against the running system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import Status, check_server

from services.api.hr_files import HR_FILES
from services.hr.csv_feed import COLUMNS
from tests.services.running import RunningSystem, running_system

CHECKS = 135


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system() as system:
        yield system


def over_the_wire(http: httpx.Client) -> Callable[[dict[str, Any], Callable[..., Any]], list[bytes]]:
    """The client's in-process engine, put on a socket."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        headers = {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
        headers |= {"Content-Type": environ["CONTENT_TYPE"]} if environ.get("CONTENT_TYPE") else {}
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        url = f"{path}?{query}" if query else path
        answer = http.request(environ["REQUEST_METHOD"], url, headers=headers, content=body)
        start_response(f"{answer.status_code} {answer.reason_phrase}", list(answer.headers.items()))
        return [answer.content]

    return application


def test_every_check_of_scim2_tester_passes(system: RunningSystem) -> None:
    token = system.json("hr", "register", "tester")["token"]
    with httpx.Client(base_url=system.url, timeout=60) as http:
        headers = {"Authorization": f"Bearer {token}"}
        client = WSGISCIMClient(over_the_wire(http), f"{system.url}/scim/v2", headers)
        client.discover()
        results = check_server(client)
    told = Counter(each.status.name for each in results)
    wrong = [f"{each.title}: {each.status.name}: {each.reason}" for each in results if each.status != Status.SUCCESS]
    assert wrong == [], told
    assert len(results) >= CHECKS, told


def test_an_hr_system_sends_its_file_over_the_wire(system: RunningSystem) -> None:
    headers = {"Authorization": f"Bearer {system.json('hr', 'register', 'paychex')['token']}"}
    row = "p-wired,Library Clerk of Goodman,wired@example.org,Library Clerk,goodman,p-ed,true,2024-03-01,,"
    file = f"{','.join(COLUMNS)}\n{row}\n"
    told = httpx.post(system.url + HR_FILES, content=file, headers=headers, timeout=60)
    assert (told.status_code, told.json()["applied"]) == (200, True)
    assert system.json("staff", "show", "p-wired")["roles"] == ["branch_staff"]
    person = {"Authorization": f"Bearer {system.token('p-ed')}"}
    assert httpx.post(system.url + HR_FILES, content=file, headers=person, timeout=60).status_code == 401
