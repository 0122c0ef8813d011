"""`make bench`: every benchmark against its named baseline, in one run; a table, and `bench/out/bench.json`."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

OUT = Path(__file__).parents[2] / "bench" / "out"
BENCHMARKS = (
    "recording", "sealing", "approval_cases", "audit_trail", "first_command", "scim", "explain", "proof_keeping",
    "verify_log", "package_check", "as_of",
)  # fmt: skip
COLUMNS = ("name", "ours", "baseline", "unit", "ratio", "goal", "holds", "baseline_name")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=BENCHMARKS, help="one alone")
    asked = parser.parse_args()
    # what the client of Temporal says while servers come and go is not what is measured
    logging.disable(logging.WARNING)
    lines: list[dict[str, Any]] = []
    for name in [asked.name] if asked.name else BENCHMARKS:
        lines += measured(name)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "bench.json").write_text(json.dumps(lines, indent=2) + "\n")
    show(lines)
    missed = [line["name"] for line in lines if not line["holds"]]
    print(f"\nGoals that do not hold: {', '.join(missed)}" if missed else "\nEvery goal holds.")
    return 1 if missed else 0


def measured(name: str) -> list[dict[str, Any]]:
    print(f"{name} …", file=sys.stderr, flush=True)
    began = time.monotonic()
    found = importlib.import_module(f"tests.bench.{name}").measure()
    print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return found if isinstance(found, list) else [found]


def show(lines: list[dict[str, Any]]) -> None:
    rows = [COLUMNS, *(tuple(shown(line[column]) for column in COLUMNS) for line in lines)]
    widths = [max(len(row[nth]) for row in rows) for nth in range(len(COLUMNS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def shown(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "NO"
        case float() | int():
            return f"{value:,}"
        case _:
            return str(value)


if __name__ == "__main__":
    sys.exit(main())
