"""What is read in a workflow's history."""

from typing import get_type_hints

from services.activities import LedgerActivities
from services.audit.run_histories import ASK_THE_LEDGER
from services.erasing import ErasureActivities
from services.staff import StaffActivities
from workflows.messages import Told

DEFINITION = "__temporal_activity_definition"


def test_every_activity_that_answers_with_facts_is_read() -> None:
    activities = [
        getattr(each, DEFINITION)
        for of in (LedgerActivities, StaffActivities, ErasureActivities)
        for each in vars(of).values()
        if hasattr(each, DEFINITION) and get_type_hints(each).get("return") is Told
    ]
    assert {each.name for each in activities} == set(ASK_THE_LEDGER)
