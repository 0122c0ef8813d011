"""Run by the interpreter of the separate environment, where pm4py is: reads OCEL files that we wrote, tells what it
makes of them as JSON. `python mining.py WHOLE.sqlite PLANTED.sqlite WHOLE.json`.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import warnings
from typing import Any

warnings.filterwarnings("ignore")

ACCOUNT = "account_creation."
# PR-1, PR-2, PR-7: asked before it is decided, approved before it is made, made and confirmed before it is opened
PRECEDES = (
    ("AccountRequested", "AccountApproved"),
    ("AccountRequested", "AccountRefused"),
    ("AccountRequested", "ChangesAsked"),
    ("AccountApproved", "TaskCompleted"),
    ("AccountApproved", "SetUpCompleted"),
    ("AccountApproved", "AccountOpened"),
    ("SetUpCompleted", "AccountOpened"),
    ("AdministrationConfirmed", "AccountOpened"),
)
ENDS = ("AccountOpened", "AccountRefused", "RequestWithdrawn", "RequestExpired")


def model() -> dict[str, dict[object, dict[str, float]]]:
    sure = {"support": 1.0, "confidence": 1.0}
    either = [(one, other) for nth, one in enumerate(ENDS) for other in ENDS[nth + 1 :]]
    return {
        "init": {f"{ACCOUNT}AccountRequested": sure},
        "precedence": {(ACCOUNT + one, ACCOUNT + other): sure for one, other in PRECEDES},
        "noncoexistence": {(ACCOUNT + one, ACCOUNT + other): sure for one, other in either},
    }


def main(whole: str, planted: str, as_json: str) -> dict[str, object]:
    import pm4py
    from pm4py.objects.ocel.validation import ocel20_rel_validation

    satisfied, unsatisfied = ocel20_rel_validation.apply(whole)
    read, read_json = pm4py.read_ocel2_sqlite(whole), pm4py.read_ocel2_json(as_json)
    return {
        "version": pm4py.__version__,
        "satisfied": len(satisfied),
        "unsatisfied": list(unsatisfied),
        "events": [len(read.events), len(read_json.events)],
        "objects": [len(read.objects), len(read_json.objects)],
        "relations": [len(read.relations), len(read_json.relations)],
        "links": [len(read.o2o), len(read_json.o2o)],
        "cases": len(set(flat(pm4py, read)["case:concept:name"])),
        "unfit": unfit(pm4py, read),
        "unfit_planted": unfit(pm4py, pm4py.read_ocel2_sqlite(planted)),
    }


def flat(pm4py: Any, read: Any) -> Any:
    log = pm4py.ocel_flattening(read, "account_creation")
    return log[log["concept:name"].str.startswith(ACCOUNT)].sort_values(["case:concept:name", "log_position"])


def unfit(pm4py: Any, read: Any) -> dict[str, list[str]]:
    log = flat(pm4py, read)
    found = pm4py.conformance_declare(log, model())
    cases = list(dict.fromkeys(log["case:concept:name"]))
    return {
        case: sorted(map(str, each["deviations"]))
        for case, each in zip(cases, found, strict=True)
        if not each["is_fit"]
    }


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        told = main(*sys.argv[1:])
    print(json.dumps(told))
