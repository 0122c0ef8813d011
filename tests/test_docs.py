"""What the documents say of the code holds: names, commands, settings, links."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from domain.account_creation import Stage
from domain.clauses import EVERY_CLAUSE
from services.cli import app
from services.hr.csv_feed import COLUMNS
from services.settings import Settings

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CLAUSE_MAP = ROOT / "docs" / "clause-map.md"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
DOCUMENTS = sorted([README, ROOT / "policies" / "README.md", *(ROOT / "docs").rglob("*.md")])

REFERENCE = re.compile(r"`([\w./-]+)::(\w+)`")
CODE = re.compile(r"^```(?:.|\n)*?^```|`[^`\n]+`|^ {4}\S.*$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?<![\w/.@-])imprimatur ([a-z][a-z-]*)((?: \S+)*)")
NOT_BUILT = "not built yet: comes with "
OF_THE_COMMAND_LINE = {"IMPRIMATUR_URL", "IMPRIMATUR_TOKEN"}


def rows_of_clauses() -> dict[str, str]:
    rows = re.findall(r"^\| ([A-Z]{2}-\d+[a-h]?) \|(.*)$", CLAUSE_MAP.read_text(), re.MULTILINE)
    assert len(rows) == len({clause for clause, _ in rows}), "a clause has two rows"
    return dict(rows)


def references() -> list[tuple[str, str]]:
    return sorted(set(REFERENCE.findall(CLAUSE_MAP.read_text())))


@cache
def names_in(file: Path) -> frozenset[str]:
    """What a file defines: functions and classes at any depth, or any word of a file that is not Python."""
    text = file.read_text()
    if file.suffix != ".py":
        return frozenset(re.findall(r"\w+", text))
    defining = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in ast.walk(ast.parse(text)) if isinstance(node, defining))


def code_in(document: Path) -> Iterator[str]:
    """Code spans and blocks, with lines that a backslash continues put together."""
    for found in CODE.findall(document.read_text()):
        yield re.sub(r"\\\n\s*", " ", found)


def as_anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors_of(document: Path) -> set[str]:
    return {as_anchor(heading) for heading in re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)}


def options_of(command: object) -> set[str]:
    return {option for each in getattr(command, "params", ()) for option in (*each.opts, *each.secondary_opts)}


# -- the clause map


def test_every_clause_has_one_row_and_no_other_has() -> None:
    assert list(rows_of_clauses()) == list(EVERY_CLAUSE)


@pytest.mark.parametrize("clause", EVERY_CLAUSE)
def test_a_clause_is_served_by_code_with_a_test_or_said_not_to_be_built(clause: str) -> None:
    files = [file for file, _ in REFERENCE.findall(rows_of_clauses()[clause])]
    tests = [file for file in files if file.startswith("tests/")]
    if len(tests) == len(files):
        assert not tests, "a test of nothing"
        assert NOT_BUILT in rows_of_clauses()[clause]
    else:
        assert tests, "code without a test"


def test_what_holds_for_every_clause_has_a_test() -> None:
    _, _, general = CLAUSE_MAP.read_text().partition("## What holds for every clause")
    rows = [line for line in general.splitlines() if line.startswith("| ") and not line.startswith("| |")]
    assert rows
    for row in rows:
        files = [file for file, _ in REFERENCE.findall(row)]
        assert any(file.startswith("tests/") for file in files), row
        assert any(not file.startswith("tests/") for file in files), row


@pytest.mark.parametrize(("file", "name"), references(), ids=lambda each: str(each))
def test_what_the_clause_map_names_is_there(file: str, name: str) -> None:
    assert (ROOT / file).is_file(), f"there is no {file}"
    assert name in names_in(ROOT / file), f"{file} has no {name}"


# -- decisions


def test_each_decision_is_listed_and_numbered_in_order() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    assert [file.name[:4] for file in DECISIONS] == [f"{nth:04}" for nth in range(1, len(DECISIONS) + 1)]
    assert [file.name for file in DECISIONS if f"]({file.name})" not in index] == []


@pytest.mark.parametrize("file", DECISIONS, ids=lambda file: file.stem)
def test_a_decision_is_dated_and_tells_context_decision_and_consequences(file: Path) -> None:
    text = file.read_text()
    assert text.startswith(f"# {file.name[:4]}. ")
    assert re.search(r"^20\d\d-\d\d-\d\d$", text, re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


# -- what people are told to type


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: str(each.relative_to(ROOT)))
def test_a_make_target_that_is_named_is_there(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for code in code_in(document) for target in re.findall(r"\bmake ([a-z]+)", code)}
    assert named - targets == set()


def test_the_readme_names_every_make_target() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for code in code_in(README) for target in re.findall(r"\bmake ([a-z]+)", code)}
    assert targets - named == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: str(each.relative_to(ROOT)))
def test_a_command_that_is_named_is_there_with_its_options(document: Path) -> None:
    top = get_command(app)
    for code in code_in(document):
        for name, rest in COMMAND.findall(code):
            command = getattr(top, "commands", {}).get(name)
            assert command is not None, f"imprimatur has no command {name}"
            if subcommands := getattr(command, "commands", {}):
                below = rest.split()[:1]
                assert below, f"imprimatur {name} does nothing by itself"
                command = subcommands.get(below[0].strip("`"))
                assert command is not None, f"imprimatur {name} has no command {below[0]}"
            said = set(re.findall(r"(?<=\s)--[a-z][a-z-]*", rest.partition("#")[0].partition("|")[0]))
            assert said - options_of(command) == set(), f"imprimatur {name}{rest}"


# what scripts may rely on, with what each command takes beside --data and --json
CONTRACT: dict[str, set[str]] = {
    "up": set(), "status": set(), "down": set(), "policy show": set(), "policy check": set(),
    "staff import": {"--dry-run"}, "staff show": set(), "staff list": set(), "request": {"--as"}, "act": {"--as"},
    "case list": set(), "case show": {"--at"}, "inbox": {"--as"}, "explain posting": {"--at"}, "sign": {"--as"},
    "token": {"--as"}, "audit trail": {"--case", "--person", "--account", "--clause", "--from", "--to"},
    "audit as-of": set(), "audit diff": set(), "audit verify": set(), "audit replay": set(),
    "audit export": {"--case", "--format"}, "audit check": {"--key"},
}  # fmt: skip
# processes of a server, started by its service manager
OF_SERVERS = {"serve", "migrate", "first-start"}


def commands_below(command: object, name: str = "") -> Iterator[tuple[str, object]]:
    below = getattr(command, "commands", {})
    for each, found in below.items():
        yield from commands_below(found, f"{name} {each}".strip())
    if not below:
        yield name, command


EVERY_COMMAND = dict(commands_below(get_command(app)))


@pytest.mark.parametrize("name", CONTRACT)
def test_a_command_of_the_contract_is_there_with_what_it_takes(name: str) -> None:
    assert {"--data", "--json", *CONTRACT[name]} - options_of(EVERY_COMMAND[name]) == set()


@pytest.mark.parametrize("name", sorted(EVERY_COMMAND.keys() - OF_SERVERS))
def test_a_command_acts_at_a_distance_or_says_why_it_does_not(name: str) -> None:
    takes, help_ = options_of(EVERY_COMMAND[name]), str(getattr(EVERY_COMMAND[name], "help", ""))
    assert {"--data", "--json"} <= takes
    assert ({"--url", "--token"} <= takes) is ("No --url: " not in help_)
    assert help_.partition("\n")[0]


def test_the_command_line_has_what_the_test_above_looks_at() -> None:
    assert isinstance(app, typer.Typer)
    assert "--as" in options_of(getattr(get_command(app), "commands", {})["act"])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: str(each.relative_to(ROOT)))
def test_a_setting_that_is_named_is_read(document: Path) -> None:
    named = set(re.findall(r"\bIMPRIMATUR_[A-Z_]*[A-Z]\b", document.read_text()))
    assert named - Settings.variables() - OF_THE_COMMAND_LINE == set()


def test_the_readme_tells_the_feeds_columns() -> None:
    _, _, told = README.read_text().partition("## The staff feed")
    rows = re.findall(r"^\| (`.+?`) \|", told.partition("\n## ")[0], re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == list(COLUMNS)


def test_the_picture_of_the_process_shows_its_stages() -> None:
    _, _, picture = README.read_text().partition("stateDiagram-v2")
    lines = picture.partition("```")[0].splitlines()
    drawn = {name for line in lines if "-->" in line for name in re.findall(r"[a-z_]{4,}", line.partition(":")[0])}
    said_beside_it = {Stage.NOT_REQUESTED, Stage.WITHDRAWN, Stage.EXPIRED}
    assert drawn == set(Stage) - said_beside_it


# -- links


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: str(each.relative_to(ROOT)))
def test_a_relative_link_leads_somewhere(document: Path) -> None:
    for link in LINK.findall(document.read_text()):
        assert "://" not in link, f"{link} leads out of the repository"
        file, _, anchor = link.partition("#")
        target = (document.parent / file).resolve() if file else document
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors_of(target), f"{link}: no such heading"
