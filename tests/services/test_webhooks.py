"""HR's systems are told: signed, once for each event and again until it is taken, in order, and never inside."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from domain.facts import ActorKind, Malformed
from domain.posting_rights_messages import ReinstateRights, SuspendRights
from projections.hr_outbox import HrOutbox
from services.embedded_postgresql import EmbeddedPostgreSQL
from services.hr.addresses import Inside, Target, is_inside, looked_at, well_formed
from services.hr.subscribing import Secrets, Subscriber, end, forget_old, open_ones, rotate, subscribe
from services.hr.webhooks import Deliverer, dead_letters, newest_position, replay, send
from services.mail.outbox import Patience, connected
from services.seal import KeyEncryptionKey
from tests.fresh import fresh_database
from tests.projections.history import Life, a_life, with_a_restart_after_each
from tests.services.rights import HOLDER, MANAGER, granted, state
from tests.system import SetClock, sealed

SITE = "https://imprimatur.example.org"


class Taker:
    """What a subscriber got, and what it answers next."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], str]] = []
        self.answers: list[int | Exception] = []

    def __call__(self, target: Target, headers: dict[str, str], body: str) -> int:
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, Exception):
            raise answer
        self.got.append((headers, body))
        return answer

    def taken(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.got]


class Told:
    """A ledger with a right that was granted, suspended and reinstated; the outbox of it; one subscriber."""

    def __init__(self, life: Life, url: str, folder: Path) -> None:
        self.life, self.url, self.taker = life, url, Taker()
        self.clock = SetClock(datetime.now(UTC))
        self.ledger, self.secrets = life.office.ledger, Secrets(folder, KeyEncryptionKey(b"k" * 32))
        self.subscriber = self.subscribed("http://localhost:9/hooks", 0)
        patience = Patience(timedelta(seconds=30), timedelta(hours=1), timedelta(days=3))
        self.deliverer = Deliverer(
            url, self.secrets, SITE, self.clock, inside_too=True, patience=patience, send_one=self.taker
        )

    def subscribed(self, url: str, since: int) -> Subscriber:
        return subscribe(self.ledger, self.secrets, url, since, inside_too=True)

    def end_all(self) -> None:
        for each in open_ones(self.ledger).open:
            end(self.ledger, self.secrets, each.id)

    def deliver(self, times: int = 20) -> int:
        with connected(self.url) as conn:
            return sum(self.deliverer.deliver_one_each(conn) for _ in range(times))


def fill(url: str) -> None:
    """The outbox made anew from event one."""
    with_a_restart_after_each(url, HrOutbox, "", repeat(1_000))


@pytest.fixture(scope="module")
def outbox(server: EmbeddedPostgreSQL) -> Iterator[tuple[Life, str]]:
    with fresh_database(server) as database, a_life(database) as life:
        for person in (HOLDER, "p-bs-durant-2"):
            case = granted(life, "durantlibrary", person)
            life.says(MANAGER, SuspendRights(reason=sealed()), case)
            life.says(MANAGER, ReinstateRights(reason=sealed()), case)
        url = database.url("projector")
        fill(url)
        yield life, url


@pytest.fixture
def told(outbox: tuple[Life, str], tmp_path: Path) -> Iterator[Told]:
    told = Told(*outbox, tmp_path)
    yield told
    told.end_all()


def test_each_event_is_told_once_as_a_signed_cloud_event_with_ids_and_no_more(told: Told) -> None:
    assert told.deliver() == 6
    assert told.deliver() == 0
    headers, body = told.taker.got[0]
    event = Webhook(told.subscriber.secrets[0]).verify(body, headers)
    assert (event["specversion"], event["id"], event["subject"]) == ("1.0", headers["webhook-id"], HOLDER)
    assert event["type"] == "imprimatur.rights.granted"
    assert set(event["data"]) == {"person", "case", "accounts", "until", "link"}
    assert event["data"]["link"] == f"{SITE}/api/v1/cases/{event['data']['case']}"
    assert headers["content-type"].startswith("application/cloudevents+json")
    assert "ciphertext" not in body


def test_a_changed_body_or_another_secret_does_not_verify(told: Told) -> None:
    told.deliver(1)
    headers, body = told.taker.got[0]
    for secret, said in ((told.subscriber.secrets[0], body + " "), ("whsec_" + "QUFB" * 8, body)):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(said, headers)


def test_what_is_not_taken_is_told_again_later_under_the_same_id_and_holds_up_its_person_alone(told: Told) -> None:
    told.taker.answers = [503]
    told.deliver()
    (first, _), *others = told.taker.got
    subjects = [json.loads(body)["subject"] for _, body in others]
    assert subjects == ["p-bs-durant-2"] * 3
    told.clock.passes(seconds=29)
    assert told.deliver() == 0
    told.clock.passes(seconds=1)
    assert told.deliver() == 3
    again = [(headers["webhook-id"], json.loads(body)["type"]) for headers, body in told.taker.got[4:]]
    assert again[0][0] == first["webhook-id"]
    assert [kind for _, kind in again] == [
        "imprimatur.rights.granted", "imprimatur.rights.suspended", "imprimatur.rights.reinstated"
    ]  # fmt: skip


def test_pauses_grow_and_after_three_days_it_is_a_dead_letter_that_can_be_replayed(told: Told) -> None:
    told.taker.answers = [OSError("away")] * 200
    with connected(told.url) as conn:
        conn.execute("delete from views.hr_outbox where person <> %s", (HOLDER,))
    for _ in range(90):
        told.deliver(3)
        told.clock.passes(hours=1)
    dead = [each for each in dead_letters(told.url) if each["subscriber"] == told.subscriber.id]
    assert dead[0]["kind"] == "rights.granted"
    assert dead[0]["attempts"] > 10
    told.taker.answers = []
    assert replay(told.url, told.subscriber.id, None, told.clock.now()) == [each["event_id"] for each in dead]
    told.deliver()
    assert [each for each in dead_letters(told.url) if each["subscriber"] == told.subscriber.id] == []
    assert told.taker.got[0][0]["webhook-id"] == dead[0]["event_id"]
    fill(told.url)


def test_who_is_gone_is_not_asked_again(told: Told) -> None:
    told.taker.answers = [410]
    told.deliver(1)
    assert [each["code"] for each in dead_letters(told.url) if each["subscriber"] == told.subscriber.id] == ["410"]


def test_one_event_can_be_replayed_whatever_became_of_it(told: Told) -> None:
    told.deliver()
    id_ = told.taker.got[0][0]["webhook-id"]
    assert replay(told.url, told.subscriber.id, id_, told.clock.now()) == [id_]
    told.deliver()
    assert [headers["webhook-id"] for headers, _ in told.taker.got].count(id_) == 2


def test_the_outbox_made_again_tells_nothing_again(told: Told) -> None:
    told.deliver()
    fill(told.url)
    assert told.deliver() == 0


def test_a_new_subscriber_is_told_from_then_on(told: Told) -> None:
    late = told.subscribed("http://localhost:9/other", newest_position(told.url))
    told.deliver()
    case = next(each["case_id"] for each in rows(told.url) if each["person"] == HOLDER)
    told.life.says(MANAGER, SuspendRights(reason=sealed()), case)
    assert state(told.life, case).stage == "suspended"
    fill(told.url)
    before = len(told.taker.got)
    told.deliver()
    assert told.taker.taken()[before:] == ["imprimatur.rights.suspended"] * 2
    assert late.since > 0
    told.life.says(MANAGER, ReinstateRights(reason=sealed()), case)


def rows(url: str) -> list[dict[str, Any]]:
    with connected(url) as conn:
        return list(conn.execute("select * from views.hr_outbox order by log_position").fetchall())


def test_while_a_secret_is_rotated_both_verify_and_then_the_new_one_alone(told: Told) -> None:
    old = told.subscriber.secrets[0]
    new = rotate(told.ledger, told.secrets, told.subscriber.id).secrets[0]
    told.deliver(1)
    headers, body = told.taker.got[-1]
    for secret in (old, new):
        Webhook(secret).verify(body, headers)
    forget_old(told.ledger, told.secrets, told.subscriber.id)
    told.deliver(1)
    headers, body = told.taker.got[-1]
    Webhook(new).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(body, headers)


def test_secrets_are_for_their_owner_alone_wrapped_and_never_in_the_log(told: Told, tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "webhooks.json"
    assert oct(file.stat().st_mode)[-3:] == "600"
    secret = told.subscriber.secrets[0].removeprefix("whsec_")
    assert secret not in file.read_text()
    assert all(secret.encode() not in bytes(row.state) for row in told.ledger.recorder.stream_after("webhooks", 0))
    assert secret not in json.dumps(told.subscriber.shown())


def test_who_is_told_and_by_which_secret_stands_in_the_log(told: Told) -> None:
    before = told.ledger.state("webhooks").position
    rotate(told.ledger, told.secrets, told.subscriber.id)
    forget_old(told.ledger, told.secrets, told.subscriber.id)
    end(told.ledger, told.secrets, told.subscriber.id)
    facts = told.ledger.facts_after("webhooks", before)
    assert [each.envelope.kind.partition(".")[2] for each in facts] == [
        "SecretsChanged", "SecretsChanged", "SubscriptionEnded"
    ]  # fmt: skip
    assert {each.envelope.actor.kind for each in facts} == {ActorKind.OPERATOR}
    assert told.deliver() == 0
    with pytest.raises(Malformed, match="there is no subscriber"):
        rotate(told.ledger, told.secrets, told.subscriber.id)


def test_a_subscriber_whose_secret_is_lost_is_told_nothing_unsigned(told: Told, tmp_path: Path) -> None:
    (tmp_path / "secrets" / "webhooks.json").unlink()
    told.deliver(1)
    assert told.taker.got == []
    rotate(told.ledger, told.secrets, told.subscriber.id)
    told.clock.passes(minutes=1)
    told.deliver(1)
    assert len(told.taker.got) > 0


def test_it_goes_over_a_real_connection_and_follows_no_redirect(told: Told) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        target = looked_at(f"http://localhost:{server.server_port}/hooks", inside_too=True)
        assert send(target._replace(url=target.url.replace("[::1]", "127.0.0.1")), {}, "{}") == 302
        server.shutdown()
    assert asked == ["/hooks"]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "2002:7f00:1::",
        "64:ff9b::a9fe:a9fe", "ff02::1",
    ],
)  # fmt: skip
def test_addresses_inside_are_refused_however_they_are_written(address: str) -> None:
    assert is_inside(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_addresses_outside_are_not(address: str) -> None:
    assert not is_inside(address)


@pytest.mark.parametrize("url", ["https://localhost/x", "https://127.1/x", "https://[::1]/x", "https://2130706433/x"])
def test_a_name_that_leads_inside_is_refused_when_it_is_about_to_be_used(url: str) -> None:
    with pytest.raises(Inside):
        looked_at(url, inside_too=False)


def test_one_inside_address_of_several_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*_: object, **__: object) -> list[Any]:
        return [(2, 1, 6, "", (each, 443)) for each in ("93.184.215.14", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with pytest.raises(Inside, match="leads inside"):
        looked_at("https://hr.example.org/x", inside_too=False)


def test_what_is_connected_to_is_what_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def outside(*_: object, **__: object) -> list[Any]:
        return [(2, 1, 6, "", ("93.184.215.14", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", outside)
    assert looked_at("https://hr.example.org/x", inside_too=False) == Target(
        "https://93.184.215.14:443/x", "hr.example.org", "hr.example.org"
    )


@pytest.mark.parametrize(
    "url",
    ["http://hr.example.org/", "ftp://hr.example.org", "https://", "https://u:p@hr.example.org", "https://h:99999"],
)
def test_an_address_that_is_none_is_malformed(url: str) -> None:
    with pytest.raises(Malformed):
        well_formed(url, inside_too=False)


def test_nobody_is_told_inside_and_it_is_said_why(told: Told) -> None:
    told.end_all()
    inside = told.subscribed("https://localhost/x", 0)
    strict = Deliverer(told.url, told.secrets, SITE, told.clock, inside_too=False, send_one=told.taker)
    with connected(told.url) as conn:
        strict.deliver_one_each(conn)
        query = "select code from views.webhook_deliveries where subscriber = %s"
        code = conn.execute(query, (inside.id,)).fetchall()
    assert told.taker.got == []
    assert code == [{"code": "localhost leads inside"}]
