"""What happened, who did it, in which capacity, on what proof, under which clause? One row for each event of the log.

Every field of the envelope, with the account and the persons it is about and a plain sentence. It reads the stored
bytes as they are, so that no event that has been renamed since can stop it. Fact and command are not copied a second
time: the view looks them up in the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, LiteralString

from psycopg import Cursor
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier

from domain.account_creation_messages import claim
from domain.attempts import AttemptRefused, AttemptsSuppressed
from domain.facts import stem_of
from domain.in_force import PREFIX
from projections.projection import Logged, Projection
from projections.sentences import what_happened

REFUSED = {AttemptRefused.kind, AttemptsSuppressed.kind}
ONE_PERSON = ("person", "holder", "administrator", "giver", "left", "by", "patron", "guardian", "asker")
# the account of one of their events is not that of the next
ABOUT_MANY = ["uses", "revocation"]
SEVERAL_PERSONS = ("persons", "before", "administrators", "posters", "told", "bases")
COLUMNS = (
    "log_position", "recorded_at", "event_id", "v", "case_id", "stream", "position", "process", "kind", "what",
    "refused", "at", "occurred_at", "actor_kind", "actor", "on_behalf_of", "role", "place", "proven_by", "channel",
    "command_id", "cause", "correlation", "policy", "read_up_to", "clauses", "claims", "releases", "touches",
    "workflow", "run", "account", "branch", "person", "persons",
)  # fmt: skip


class AuditTrail(Projection):
    name = "audit_trail"
    version = 2
    tables: ClassVar[dict[str, LiteralString]] = {
        "audit_trail_rows": """
            log_position bigint not null, recorded_at timestamptz not null, event_id text not null, v integer not null,
            case_id text not null, stream text not null, position bigint not null, process text not null,
            kind text not null, what text not null, refused boolean not null,
            at timestamptz not null, occurred_at timestamptz not null, actor_kind text not null, actor text not null,
            on_behalf_of text not null, role text not null, place text not null, proven_by text not null,
            channel text not null, command_id text not null, cause text not null, correlation text not null,
            policy text not null, read_up_to bigint not null, clauses text[] not null, claims text[] not null,
            releases text[] not null, touches text[] not null, workflow text not null, run text not null,
            account text not null, branch text not null, person text not null, persons text[] not null"""
    }
    views: ClassVar[dict[str, LiteralString]] = {
        "audit_trail": """
            select t.*, e.said -> 'fact' as fact, nullif((e.said -> 'command')::text, 'null')::json as command
            from {table} t join lateral (
                select convert_from(state, 'UTF8')::json as said from ledger.events
                where notification_id = t.log_position offset 0) e on true"""
    }
    indexes = (
        ("audit_trail_rows", "(log_position)"),
        ("audit_trail_rows", "(case_id, log_position)"),
        ("audit_trail_rows", "(actor, log_position)"),
        ("audit_trail_rows", "(account, log_position) where account <> ''"),
        ("audit_trail_rows", "(branch, log_position) where branch <> ''"),
        ("audit_trail_rows", "(kind, log_position)"),
        ("audit_trail_rows", "(at)"),
        ("audit_trail_rows", "using gin (clauses)"),
        ("audit_trail_rows", "using gin (persons)"),
    )

    def __init__(self, suffix: str = "") -> None:
        super().__init__(suffix)
        self._account_of: dict[str, str] = {}
        self._branch_of: dict[str, str] = {}

    def begin(self, cursor: Cursor[DictRow], position: int) -> None:
        self._account_of = self._newest(cursor, "account", ABOUT_MANY)
        self._branch_of = self._newest(cursor, "branch", [])

    def _newest(self, cursor: Cursor[DictRow], column: str, but_for: list[str]) -> dict[str, str]:
        newest = SQL("""
            select distinct on (case_id) case_id, {column} as it from {table}
            where {column} <> '' and process <> all (%s) order by case_id, log_position desc""")
        found = cursor.execute(newest.format(column=Identifier(column), table=self.table()), (but_for,)).fetchall()
        return {row["case_id"]: row["it"] for row in found}

    def project(self, page: Sequence[Logged], cursor: Cursor[DictRow]) -> None:
        self.add(cursor, COLUMNS, map(self._row, page))

    def _row(self, event: Logged) -> tuple[Any, ...]:
        # decoded here and let go: a page of decoded events kept costs more in garbage collection than in decoding
        said = event.decode()
        fact, actor = said["fact"], said["actor"]
        case = of_case(fact) or event.case
        person, persons = persons_of(fact, actor["id"], said["on_behalf_of"])
        return (
            event.log_position, event.recorded_at, said["event_id"], said["v"], case, event.stream, event.position,
            stem_of(event.case), event.kind, what_happened(event.kind, fact), event.kind in REFUSED,
            said["at"], said["occurred_at"], actor["kind"], actor["id"], said["on_behalf_of"], said["role"],
            said["place"], said["proven_by"], said["channel"], said["command_id"], said["cause"],
            said["correlation"], said["policy"], said["read_up_to"], array(said["clauses"]), array(said["claims"]),
            array(said["releases"]), array(said["touches"]), said["workflow"], said["run"],
            self._account(case, fact), self._branch(case, event.kind, fact), person, array(persons),
        )  # fmt: skip

    def _account(self, case: str, fact: dict[str, Any]) -> str:
        """The account that the fact names, else the one its case was about by then."""
        account = fact.get("account")
        if not isinstance(account, str) and "handle" in fact and "platform" in fact:
            account = claim(fact["platform"], fact["handle"])
        if account is None and str(target := fact.get("target", "")).startswith(PREFIX):
            return str(target)
        if isinstance(account, str):
            self._account_of[case] = account
            return account
        return self._account_of.get(case, "")

    def _branch(self, case: str, kind: str, fact: dict[str, Any]) -> str:
        """The place that the fact is about, else the one its case was about by then. Who is asked where is another."""
        place = fact.get("place")
        if kind.startswith("waiting.") or not isinstance(place, str):
            person = fact.get("person")
            place = person.get("branch") if isinstance(person, dict) else None
        if isinstance(place, str) and place:
            self._branch_of[case] = place
            return place
        return self._branch_of.get(case, "")


def of_case(fact: dict[str, Any]) -> str:
    """The case that is read, taken away or kept, where that is not the event's own."""
    case = fact.get("of_case")
    return case if isinstance(case, str) else ""


def persons_of(fact: dict[str, Any], actor: str, on_behalf_of: str) -> tuple[str, list[str]]:
    """Whom the fact is about, and everyone it names, with whoever did it and for whom."""
    named = [id_of(fact[name]) for name in ONE_PERSON if name in fact]
    everyone = dict.fromkeys((*named, actor, on_behalf_of))
    for name in SEVERAL_PERSONS:
        everyone.update(dict.fromkeys(map(id_of, fact.get(name) or ())))
    everyone.pop("", None)
    return next(iter(named), ""), list(everyone)


def id_of(person: object) -> str:
    if isinstance(person, dict):
        return str(person.get("id") or person.get("patron") or "")
    return person if isinstance(person, str) else ""


def array(texts: list[str]) -> str:
    """As PostgreSQL writes an array of texts."""
    return array_of(tuple(texts)) if texts else "{}"


@lru_cache(maxsize=10_000)
def array_of(texts: tuple[str, ...]) -> str:
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return '{"' + '","'.join(quoted) + '"}'
