"""The rights explainer over the ledger: reads the few events that a question hangs on, however long the log is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, LiteralString

from psycopg.sql import SQL

from domain.explain import explain, more_scopes, scopes_of
from domain.facts import Malformed, Recorded
from domain.in_force import account_id
from projections.sentences import what_happened
from services.ledger import recorded_from
from services.recorder import LedgerRecorder, Row

LONGEST_NAME = 300
# A scope's row may name the first position of the append that touched it: the command's own row says where it ended.
TOUCHING: LiteralString = """
    select distinct on (e.notification_id)
        e.originator_id, e.originator_version, e.topic, e.state, e.notification_id, e.recorded_at
    from ledger.scopes s
    join ledger.events f on f.notification_id = s.position
    join ledger.commands c on c.sender = f.actor and c.command_id = f.command_id
    join ledger.events e on e.notification_id between c.first and c.last and e.shared
    where s.scope = any (%(scopes)s) and exists (
        select from json_array_elements_text(convert_from(e.state, 'UTF8')::json -> 'touches') t
        where t = any (%(scopes)s))
    order by e.notification_id"""


def explained(
    recorder: LedgerRecorder, person: str, account: str, now: datetime, at: datetime | None
) -> dict[str, Any]:
    """The answer of now; or of a past moment, from what was on record by then."""
    well_named(person, account)
    if at is not None and at > now:
        raise Malformed("at", f"{at.isoformat()} is still to come", "a moment up to now")
    recorded = on_record(recorder, person, account, at)
    explanation = explain(person, account, at or now, recorded)
    by_position = {each.log_position: each for each in recorded}
    told: dict[str, Any] = explanation.model_dump(mode="json")
    for link in told["chain"]:
        link["what"] = what_happened(link["kind"], by_position[link["log_position"]].envelope.fact)
    return told


def well_named(person: str, account: str) -> None:
    if not person or len(person) > LONGEST_NAME or "\x00" in person:
        raise Malformed("person", "that names nobody", "an id that `staff list` shows")
    _, platform, handle = account_id(account).split(":", 2)
    if not platform or not handle or len(account) > LONGEST_NAME or "\x00" in account:
        raise Malformed("account", "that names no account", "platform and handle, such as facebook:durantlibrary")


def on_record(recorder: LedgerRecorder, person: str, account: str, at: datetime | None) -> list[Recorded]:
    recorded = touching(recorder, scopes_of(person, account), at)
    wanted, more = set(scopes_of(person, account)), set(more_scopes(person, recorded))
    while more - wanted:
        wanted |= more
        recorded = touching(recorder, wanted, at)
        more = set(more_scopes(person, recorded))
    return recorded


def touching(recorder: LedgerRecorder, scopes: Iterable[str], at: datetime | None) -> list[Recorded]:
    """Every event that touches one of these scopes, in log order, by that moment."""
    with recorder.datastore.get_connection() as conn:
        rows = conn.execute(SQL(TOUCHING), {"scopes": sorted(scopes)}, prepare=True).fetchall()
    found = [recorded_from(Row(*row.values())) for row in rows]
    return [each for each in found if at is None or each.recorded_at <= at]
