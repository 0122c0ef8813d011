"""Four witnesses over one log, which must agree: projections rebuilt from event one, the procedures run again over
their recorded histories, every decision judged anew, and the histories' steps against the log. What disagrees is named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from temporalio.client import Client

from services.audit.known_differences import known_differences
from services.audit.procedures import procedures
from services.audit.reading import newest, reading
from services.audit.rejudge import rejudged
from services.evidence import EvidenceStore
from services.projector import PROJECTIONS, compare


async def replayed(reader_url: str, projector_url: str, client: Client, evidence: EvidenceStore) -> dict[str, Any]:
    """What each witness says. `disagreements` tells whether any does not agree."""
    return {
        **await asyncio.to_thread(replay, projector_url),
        "decisions": await asyncio.to_thread(judged_anew, reader_url),
        **await procedures(reader_url, client, evidence),
    }


def replay(url: str) -> dict[str, Any]:
    """Per projection the rows in which the live one and one rebuilt from event one into fresh tables differ."""
    return {
        "projections": [
            {"name": each.name, "differences": [str(difference) for difference in compare(url, each)]}
            for each in PROJECTIONS
        ]
    }


def judged_anew(url: str) -> dict[str, Any]:
    with reading(url) as conn:
        return rejudged(conn, newest(conn), known_differences())


def disagreements(found: dict[str, Any]) -> Iterator[str]:
    """Each in a line: which witness, about what, why."""
    for each in found["projections"]:
        yield from (f"projection {each['name']}: {difference}" for difference in each["differences"])
    for each in found["histories"]["disagree"]:
        yield f"history of {each['case']}, run {each['run']}: {each['because']}"
    for each in found["decisions"]["disagree"]:
        where = f"decision at log position {each['log_position']} ({each['command']} in {each['case']})"
        yield from (f"{where}: {difference}" for difference in each["differences"])
    for each in found["steps"]["disagree"]:
        yield f"steps of {each['case']}: {each['because']}"


def in_words(found: dict[str, Any]) -> str:
    decisions, histories, steps = found["decisions"], found["histories"], found["steps"]
    lines = [
        f"{each['name']}: " + ("agrees" if not each["differences"] else f"{len(each['differences'])} rows differ")
        for each in found["projections"]
    ]
    lines.append(f"{histories['runs']} runs' histories go the same way through today's procedures"
                 if not histories["disagree"] else f"histories: {len(histories['disagree'])} disagree")  # fmt: skip
    lines.append(f"{decisions['agree']} of {decisions['judged']} decisions judged anew come out as recorded")
    lines.extend(
        f"  known difference at log position {each['log_position']}: see {each['explained_by']}"
        for each in decisions["known"]
    )
    lines.extend(
        f"  not judged, log position {each['log_position']}: {each['because']}"
        for each in decisions["not_rejudgeable"]
    )
    lines.append(f"{steps['compared']} events stand in the histories of the workflows that they name")
    if steps["accounted"]:
        lines.append(f"  {steps['accounted']} of them by runs that were ended from outside before they were told")
    lines.extend(f"  erased, so not run again: {each}" for each in histories["erased"])
    lines.extend(f"  no worker could go on with it, and it was begun anew: {each}" for each in histories["replaced"])
    lines.extend(f"DISAGREES: {each}" for each in disagreements(found))
    return "\n".join(lines)
