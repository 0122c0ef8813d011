"""The letter to a patron on a real mail server: its address is opened when it is handed over, and never before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from domain.facts import patron_key
from domain.openings import SealedOpened, stream_for
from domain.revocation_messages import AcceptRevocation, AskRevocation, Checked, CheckIdentity, Received
from projections.notices import Notices
from services.mail.outbox import Mailer, Patience, connected, set_up
from services.mail.patrons import SealedAddresses
from services.mail.smtp import MailServer
from services.projector import Positions, Projector
from services.seal import KeyEncryptionKey, KeyStore, Seal
from tests.domain.patrons import CLERK
from tests.projections.history import Life, a_life, newest_position, rows
from tests.services.patron_life import PatronLife
from tests.services.test_mail import PostOffice, go_round, open_to_the_public
from tests.system import Database, SetClock

ADDRESS = "marker.of.an.address@example.org"


@pytest.fixture(scope="module")
def life(database: Database) -> Iterator[Life]:
    with a_life(database) as life:
        yield life


@pytest.fixture
def url(database: Database) -> str:
    return database.url("projector")


@pytest.fixture
def patron(life: Life, url: str) -> PatronLife:
    """Someone whose revocation was carried out, with the letter in the outbox."""
    patron = PatronLife(life).consents()
    id_ = str(uuid4())
    under = (patron_key(patron.patron),)
    email = life.office.seal.text(ADDRESS, patron.revocation, id_, "email", under)
    ask = AskRevocation(
        patron=patron.patron, received=Received.EMAIL, place="durant", what=patron.sealed(), email=email
    )
    assert life.office.submit(ask, patron.revocation, CLERK, id_).facts
    check = CheckIdentity(checked=Checked.PHOTO_ID, on_record=patron.patron, consents=(patron.consent,))
    patron.does(CLERK, check, patron.revocation)
    patron.does(CLERK, AcceptRevocation(), patron.revocation)
    with Projector(url, [Notices], poll=0.1):
        positions = Positions(url)
        assert positions.wait_for(newest_position(url), ["notices"], timeout=20)
        positions.close()
    with connected(url) as conn:
        set_up(conn)
        conn.execute(
            "insert into views.deliveries select message_id, 'sent', 1, at, at, at, false, '' from views.outbox "
            "where person <> %s on conflict do nothing",
            (f"patron:{patron.patron}",),
        )
    return patron


def handed_over(life: Life, url: str, folder: Path, office: PostOffice, seal: Seal | None = None) -> None:
    addresses = SealedAddresses(life.office.ledger, seal or life.office.seal)
    with open_to_the_public(office) as port:
        server = MailServer.at(f"smtp://127.0.0.1:{port}?from=imprimatur@library.example")
        mailer = Mailer(url, folder, server, SetClock(life.clock.now()), Patience(), addresses)
        go_round(mailer, url)


def test_the_letter_reaches_the_address_that_stands_nowhere_in_clear(
    life: Life, url: str, patron: PatronLife, tmp_path: Path
) -> None:
    office = PostOffice()
    assert ADDRESS not in str(rows(url, "outbox"))
    handed_over(life, url, tmp_path, office)
    assert office.to == [[ADDRESS]]
    assert "It has stopped." in office.taken[0].get_content()
    assert ADDRESS not in str([*rows(url, "outbox"), *rows(url, "deliveries")])


def test_that_it_was_opened_and_for_what_is_on_record_first(
    life: Life, url: str, patron: PatronLife, tmp_path: Path
) -> None:
    handed_over(life, url, tmp_path, PostOffice())
    recorded = life.office.ledger.facts_after(stream_for(patron.revocation), 0)
    (opened,) = (each.fact for each in recorded)
    assert isinstance(opened, SealedOpened)
    assert (opened.purpose, opened.patrons) == ("letter", (patron.patron,))


def test_a_damaged_or_erased_address_makes_it_undeliverable_and_nothing_else(
    life: Life, url: str, patron: PatronLife, tmp_path: Path, database: Database
) -> None:
    with connected(database.url("keeper")) as conn:
        conn.execute("delete from keys.wrapping where key_id = %s", (patron_key(patron.patron),))
    office, keys = PostOffice(), KeyStore(database.url("keeper"), KeyEncryptionKey(b"k" * 32))
    handed_over(life, url, tmp_path, office, Seal(keys))
    keys.close()
    assert office.taken == []
    with connected(url) as conn:
        found = conn.execute(
            "select d.state, d.code from views.deliveries d join views.outbox using (message_id) where person = %s",
            (f"patron:{patron.patron}",),
        ).fetchall()
    assert found == [{"state": "undeliverable", "code": "erased"}]
