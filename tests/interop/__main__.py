"""`make interop`: checks against other people's implementations that need packages beyond the clone.

Each says what it saw, or why it was skipped; a skipped one proves nothing and is not counted as held.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys

CHECKS = ("go_verifier", "process_mining")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.interop", description=__doc__)
    parser.add_argument("name", nargs="?", choices=CHECKS, help="one alone")
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    names = [asked.name] if asked.name else CHECKS
    outcomes = [importlib.import_module(f"tests.interop.{name}").run() for name in names]
    for each in outcomes:
        word = {True: "holds", False: "DOES NOT HOLD", None: "SKIPPED"}[each.holds]
        print(f"{word}  {each.name}\n    {each.said}")
    return 1 if any(each.holds is False for each in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
