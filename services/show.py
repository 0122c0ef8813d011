"""What the command line prints for people: short lines, the clause beside what rests on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from domain.policy import Policy


def refusal(refused: dict[str, Any]) -> str:
    return f"Refused ({', '.join(refused['clauses'])}): {refused['because']}\n  What would pass: {refused['remedy']}"


def malformed(field: str, message: str, would_pass: str) -> str:
    return f"Malformed: {field}: {message}" + (f"\n  What would pass: {would_pass}" if would_pass else "")


def recorded(answer: dict[str, Any]) -> str:
    kinds = [each["kind"].partition(".")[2] for each in answer.get("recorded", [])]
    return f"Recorded: {', '.join(kinds)}" if kinds else "Nothing to record: it is so already"


def requested(answer: dict[str, Any]) -> str:
    return f"{answer['case']}\n{recorded(answer)}"


def table(rows: Sequence[tuple[str, ...]], header: tuple[str, ...]) -> str:
    """Columns as wide as their widest cell; the last runs on."""
    widths = [max(len(row[nth]) for row in [header, *rows]) for nth in range(len(header) - 1)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in [header, *rows]
    ]
    return "\n".join(line.rstrip() for line in lines)


def status(parts: list[dict[str, Any]], standing: dict[str, Any], data: Path) -> str:
    if not parts:
        return f"Nothing runs on {data}: start it with `imprimatur up --data {data}`"
    rows = [(part["name"], part["health"], str(part["pid"] or "-"), part["address"] or "") for part in parts]
    lines = [table(rows, ("part", "health", "pid", "address"))]
    if standing:
        lines.append(f"log position {standing['log_position']}")
        lines.extend(
            f"  {name} has read up to {position}" for name, position in sorted(standing["projections"].items())
        )
        lines.extend(f"  {name} has stopped: see its log" for name in standing["stopped"])
    return "\n".join(lines)


def policy(found: Policy) -> str:
    lines = [f"{found.title}: version {found.version}, in force from {found.effective}", ""]
    lines.extend(f"{id_:6} {clause.summary}" for id_, clause in found.clauses.items())
    lines.append("")
    for name in type(found.settings).model_fields:
        setting = getattr(found.settings, name)
        whose = f"the policy's, {setting.clause}" if setting.origin == "policy" else "the library's setting"
        lines.append(f"{name}: {setting.value} {setting.unit} ({whose})")
    return "\n".join(lines)


def people(found: list[dict[str, Any]]) -> str:
    rows = [
        (
            each["id"],
            "at work" if each["at_work"] else "away",
            each["branch"],
            ", ".join(each["roles"]) or "-",
            each["name"],
        )
        for each in found
    ]
    return table(rows, ("id", "now", "branch", "roles", "name"))


def person(found: dict[str, Any]) -> str:
    told = [f"{name}: {value}" for name, value in found.items() if name not in ("open_work", "roles")]
    told.append(f"roles: {', '.join(found['roles']) or 'none'}")
    work = ["open work:", inbox(found["open_work"])] if "open_work" in found else []
    return "\n".join([*told, *work])


def staff_import(told: dict[str, Any], file: str) -> str:
    lines = [f"{file}:{problem}" for problem in told["problems"]]
    if told.get("refused"):
        return "\n".join([*lines, refusal(told["refused"])])
    if told["problems"] and not told["applied"] and not told["dry_run"]:
        lines.append("Nothing was applied. Mend the rows, or apply the rest with --skip-broken")
        return "\n".join(lines)
    lines.extend(f"  {each['what']}: {each['person']} {each['more']}".rstrip() for each in told["difference"])
    lines.extend(f"  not in the feed, and kept because of a row without an id: {person}" for person in told["absent"])
    lines.extend(f"  taken as sent, gives no authority: {each}" for each in told["unknown"])
    if told["dry_run"] and told["problems"]:
        lines.append("With these broken rows nothing would be applied but by --skip-broken; then:")
    verb = "would be" if told["dry_run"] else "were"
    lines.append(f"{len(told['difference'])} differences {verb} applied, {told['unchanged']} people unchanged")
    return "\n".join(lines)


def explained(found: dict[str, Any]) -> str:
    may = "may post" if found["may"] else "may not post"
    lines = [f"{found['person']} {may} to {found['account']} at {found['at']}  [{', '.join(found['clauses'])}]"]
    lines.append(f"because {found['because']}")
    for each in found["chain"]:
        who = each["by"] + (f" for {each['on_behalf_of']}" if each["on_behalf_of"] else "")
        clauses = ", ".join(each["clauses"])
        lines.append(f"  {each['log_position']:>6}  {str(each['at'])[:19]}  {each['what']}  by {who}  [{clauses}]")
    lines.extend(f"would change it: {each}" for each in found["would_change"])
    return "\n".join(lines)


def preview(found: dict[str, Any]) -> str:
    lines = [f"If {found['last_day']} were the last day of {found['person']}:"]
    lines.extend(f"  the right granted in {each['case']} would end" for each in found["rights_end"])
    delegations = found["delegations_end"]
    lines.extend(f"  the delegation from {each['giver']} to {each['to']} would end" for each in delegations)
    lines.extend(f"  they would no longer administer {account}" for account in found["seats_vacated"])
    lines.extend(f"  change the credentials of {account}" for account in found["credentials_to_rotate"])
    lines.extend(f"  {account} would be in breach (PR-7): {why}" for account, why in found["in_breach"].items())
    lines.extend(f"  {each['case']}: {', '.join(each['facts'])}" for each in found["cases"])
    return "\n".join(lines) if len(lines) > 1 else f"{lines[0]} nothing would follow"


def orphans(found: list[dict[str, str]]) -> str:
    rows = [(each["what"], each["person"], each["where"]) for each in found]
    return table(rows, ("what", "person", "where")) if rows else "Nothing belongs to anyone who is gone"


def rights(found: list[dict[str, Any]]) -> str:
    rows = [
        (each["holder"], each["standing"], str(each["until"] or "-")[:10], ", ".join(each["accounts"]))
        for each in found
    ]
    return table(rows, ("holder", "standing", "until", "accounts")) if rows else "No rights yet"


def remedies(found: list[dict[str, Any]]) -> str:
    rows = [(each["account"], str(each["due"] or "-")[:10], each["case"], each["because"]) for each in found]
    return table(rows, ("account", "due", "case", "because")) if rows else "Nothing has to be mended"


def cases(found: list[dict[str, Any]]) -> str:
    rows = [(each["case"], each["stage"], each["account"], each["waiting_to"] or "-") for each in found]
    return table(rows, ("case", "stage", "account", "waits for someone to")) if rows else "No cases yet"


def inbox(tasks: list[dict[str, Any]]) -> str:
    rows = [
        (
            str(each["next_due"] or "-"),
            each["case"],
            each["account"],
            "overdue" if each["overdue"] else "",
            each["to_do"],
        )
        for each in tasks
    ]
    return table(rows, ("due", "case", "account", "", "to do")) if rows else "Nothing waits"


def accounts(found: list[dict[str, Any]]) -> str:
    rows = [(each["account"], each["standing"], ", ".join(each["administrators"]), health_of(each)) for each in found]
    return table(rows, ("account", "standing", "administrators", "PR-7")) if rows else "No accounts yet"


def health_of(account: dict[str, Any]) -> str:
    if account["in_order"] is None:
        return "-"
    return "in order" if account["in_order"] else f"in breach: {account['because']}"


def notices(found: list[dict[str, Any]]) -> str:
    rows = [(str(each["at"])[:19], each["person"], each["state"] or "waiting", each["subject"]) for each in found]
    return table(rows, ("at", "to", "state", "subject")) if rows else "No notices yet"


def commands(process: str, found: dict[str, dict[str, str]]) -> str:
    lines = [f"Commands of {process}:"]
    for name, fields in found.items():
        lines.append(f"  {name}")
        lines.extend(f"    {field}: {what}" for field, what in fields.items())
    return "\n".join(lines)


def case(found: dict[str, Any]) -> str:
    lines = [f"{found['case']}: {found['stage'].replace('_', ' ')}"]
    if found["content"]:
        lines.append(f"content as it stands: {found['content']}")
    if waiting := found["waiting"]:
        whom = ", ".join(waiting["persons"]) or "vacant"
        lines.append(f"waits for {waiting['role'].replace('_', ' ')} ({whom}) to {waiting['to']}")
        lines.extend(f"  {each['what']} {each['at']}" for each in waiting["due"])
    if set_up := found.get("set_up"):
        lines.append("set-up: " + ", ".join(f"{task} {how}" for task, how in set_up["tasks"].items()))
        lines.extend(f"condition open: {each}" for each in set_up["conditions_open"])
        lines.extend(f"still to confirm: {each}" for each in set_up["still_to_confirm"])
    for each in found["facts"]:
        who = f"{each['actor']['id']}" + (f" for {each['on_behalf_of']}" if each["on_behalf_of"] else "")
        as_ = f" as {each['role'].replace('_', ' ')}" if each["role"] else ""
        what, clauses = each["kind"].partition(".")[2], ", ".join(each["clauses"])
        lines.append(f"{each['position']:>3}. {each['at'][:19]}  {what}  by {who}{as_}  [{clauses}]")
        lines.extend(
            f"       {name}: {brief(value)}" for name, value in each["fact"].items() if value not in (None, "", [], ())
        )
    return "\n".join(lines)


def brief(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"{len(value)} entries"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def trail(events: list[dict[str, Any]]) -> str:
    rows = [
        (
            str(each["log_position"]),
            str(each["at"])[:19],
            each["actor"] + (f" for {each['on_behalf_of']}" if each["on_behalf_of"] else ""),
            each["role"] or "-",
            each["channel"],
            ", ".join(each["clauses"]),
            ("REFUSED: " if each["refused"] else "") + each["what"],
        )
        for each in events
    ]
    return table(rows, ("log", "at", "who", "as", "by", "clauses", "what")) if rows else "No events"


def verified(found: dict[str, Any]) -> str:
    if not found["findings"]:
        whole = f"{found['events']} events in {found['streams']} streams: complete, in order, columns as stored"
        unchecked = "".join(f"\nnot checked: {each}" for each in found.get("unchecked", ()))
        return f"{whole}; {found['signed']} of them under checkpoints, which all agree{unchecked}"
    return "\n".join(f"{each['where']}: {each['what']}" for each in found["findings"])
