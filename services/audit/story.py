"""A case told for people who decide about the library and not about software: on one page, as HTML (`story_pdf`: PDF).

What happened, when by the library's clock, who did it in which capacity, under which clause; what was tried and
refused. What is sealed is told to be there and not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from html import escape
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from domain.library import Library
from projections.sentences import account_in_words, name_in_words, what_happened

HEAD = ("When", "What", "Who", "Clauses")
QUIET = ("waiting.Asked", "waiting.DueMomentsReissued", "run_history.RunHistoryKept")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*[A-Za-z0-9]")
SEALED_NOTE = "Free texts of this case are sealed and are not shown here."
STYLE = """
body{font:15px/1.45 Georgia,serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1c1c1c}
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.05rem;margin:1.4rem 0 .4rem}
p.lead{margin:.2rem 0 1rem;color:#444}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.28rem .5rem .28rem 0;border-bottom:1px solid #ddd}
th{font-size:.8rem;color:#555;font-weight:600}td.when{white-space:nowrap;color:#444}
tr.refused td{color:#8a1f11}td.clauses{white-space:nowrap;font-size:.85rem;color:#444}
dl{display:grid;grid-template-columns:4.5rem 1fr;gap:.15rem .5rem;margin:0}dt{font-weight:600}dd{margin:0}
footer{margin-top:1.6rem;font-size:.8rem;color:#555;border-top:1px solid #ddd;padding-top:.5rem}
@media print{body{margin:0;max-width:none;font-size:11px}}
"""


class Line(NamedTuple):
    when: str
    what: str
    who: str
    clauses: str
    refused: bool


class Story(NamedTuple):
    title: str
    lead: str
    lines: tuple[Line, ...]
    clauses: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    footer: str


def story_of(case: str, stage: str, events: Iterable[dict[str, Any]], library: Library, now: datetime) -> Story:
    """From the trail of one case, in log order."""
    told = [each for each in events if each["kind"] not in QUIET]
    zone = ZoneInfo(library.policy.calendar.timezone)
    cited = sorted({clause for each in told for clause in each["clauses"]}, key=in_order)
    first, last = told[0], told[-1]
    refused = sum(1 for each in told if each["refused"])
    return Story(
        title=title_of(case, told),
        lead=f"{stage.replace('_', ' ').capitalize()}. Begun on {day(first['at'], zone)}; the last step on "
        f"{day(last['at'], zone)}. {counted(len(told) - refused, 'step')}, {counted(refused, 'refused attempt')}.",
        lines=tuple(put_together(line_of(each, library, zone) for each in told)),
        clauses=tuple((id_, library.policy.clauses[id_].summary) for id_ in cited if id_ in library.policy.clauses),
        notes=(SEALED_NOTE, "Attempts in red were refused and changed nothing.") if refused else (SEALED_NOTE,),
        footer=f"Case {case}. Log positions {first['log_position']} to {last['log_position']}, under policy version "
        f"{', '.join(sorted({each['policy'] for each in told if each['policy']}))}. Times of {zone.key}. "
        f"Told on {day(now.isoformat(), zone)}.",
    )


def counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def title_of(case: str, told: list[dict[str, Any]]) -> str:
    process = case.partition("-")[0].replace("_", " ").capitalize()
    account = next((each["account"] for each in reversed(told) if each["account"]), "")
    return f"{process}: {account_in_words(account)}" if account else process


def line_of(event: dict[str, Any], library: Library, zone: ZoneInfo) -> Line:
    return Line(
        when=datetime.fromisoformat(event["at"]).astimezone(zone).strftime("%d %b %Y, %H:%M"),
        what=readable(event, library),
        who=who_of(event, library),
        clauses=", ".join(event["clauses"]),
        refused=event["refused"],
    )


def put_together(lines: Iterable[Line]) -> Iterator[Line]:
    """What one person did within a minute under the same clauses is one line."""
    last: Line | None = None
    for line in lines:
        if last and not line.refused and line._replace(what=last.what) == last:
            last = last._replace(what=f"{last.what}; {line.what.replace('The ', 'the ', 1)}")
            continue
        if last:
            yield last
        last = line
    if last:
        yield last


def readable(event: dict[str, Any], library: Library) -> str:
    """The trail's own sentence in plain words, with people by the names that the directory has for them."""
    fact = dict(event["fact"])
    if "asked" in fact:
        fact["asked"] = name_in_words(fact["asked"]).lower()
    sentence = WORD.sub(lambda found: name_of(found[0], library), what_happened(event["kind"], fact))
    return sentence.replace("_", " ")


def name_of(id_: str, library: Library) -> str:
    person = library.person(id_)
    return person.name if person else id_


def who_of(event: dict[str, Any], library: Library) -> str:
    if event["actor_kind"] in ("timer", "unproven"):
        return "the system" if event["actor_kind"] == "timer" else "someone without proof"
    name, role = name_of(event["actor"], library), event["role"].replace("_", " ")
    if role and role not in name.lower():
        name = f"{name}, as {role}"
    return f"{name}, for {name_of(event['on_behalf_of'], library)}" if event["on_behalf_of"] else name


def day(moment: str, zone: ZoneInfo) -> str:
    return datetime.fromisoformat(moment).astimezone(zone).strftime("%d %B %Y")


def in_order(clause: str) -> tuple[str, int, str]:
    group, _, number = clause.partition("-")
    digits = "".join(filter(str.isdigit, number))
    return group, int(digits or 0), number


# -- HTML


def as_html(story: Story) -> str:
    return "\n".join(html_lines(story))


def html_lines(story: Story) -> Iterator[str]:
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(story.title)}</title>'
    yield f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
    yield f'<h1>{escape(story.title)}</h1>\n<p class="lead">{escape(story.lead)}</p>'
    head = "".join(f"<th>{name}</th>" for name in HEAD)
    yield f"<h2>What happened</h2>\n<table><thead><tr>{head}</tr></thead>\n<tbody>"
    for line in story.lines:
        refused = ' class="refused"' if line.refused else ""
        yield (
            f'<tr{refused}><td class="when">{escape(line.when)}</td><td>{escape(line.what)}</td>'
            f'<td>{escape(line.who)}</td><td class="clauses">{escape(line.clauses)}</td></tr>'
        )
    yield "</tbody></table>\n<h2>The clauses</h2>\n<dl>"
    yield from (f"<dt>{escape(id_)}</dt><dd>{escape(summary)}</dd>" for id_, summary in story.clauses)
    yield "</dl>"
    yield from (f"<p>{escape(note)}</p>" for note in story.notes)
    yield f"<footer>{escape(story.footer)}</footer></body></html>"
