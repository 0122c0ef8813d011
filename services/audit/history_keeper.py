"""Takes the history of every run that has ended out of Temporal, before Temporal forgets it, and keeps it with the
case: sealed under the case's key, the ciphertext's hash in the log. Where a case went on in a new run, each is one.

Any number of these may run: what is kept already is not kept again.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from uuid import uuid5

from temporalio.client import Client, WorkflowExecution

from domain.attempts import stream_beside
from domain.facts import Malformed
from domain.pages import is_of_a_case
from domain.run_history import KeepRunHistory, RunHistories, stream_of
from services.audit.run_histories import MEDIA_TYPE, packed
from services.clock import SystemClock
from services.door import door_key, key_encryption_key
from services.evidence import EvidenceStore
from services.ledger import EVENT_IDS, SYSTEM, Ledger
from services.seal import KeyStore, Seal
from services.settings import Settings
from services.worker import connected, until_it_answers
from workflows.catalogue import TYPE_NAMES

PASS_EVERY_SECONDS = 5.0
# a run that has just ended may show in the list later than one that ended after it
LOOK_BACK = timedelta(minutes=5)
OF_OUR_TYPES = " or ".join(f"WorkflowType = '{name}'" for name in TYPE_NAMES.values())
ENDED = f"({OF_OUR_TYPES}) and ExecutionStatus != 'Running'"

log = logging.getLogger("imprimatur.histories")


class HistoryKeeper:
    def __init__(self, client: Client, ledger: Ledger, evidence: EvidenceStore) -> None:
        self._client, self._ledger, self._evidence = client, ledger, evidence
        self._kept: set[str] = set()
        self._left: dict[str, WorkflowExecution] = {}
        self._ended_by: datetime | None = None

    async def run(self, stop: Event) -> None:
        """Pass after pass until told to stop; an outage delays it and nothing else."""
        while not stop.is_set():
            try:
                await self.one_pass()
            except Exception as error:
                log.warning("a pass was cut short: %s", type(error).__name__)
            await asyncio.to_thread(stop.wait, PASS_EVERY_SECONDS)

    async def one_pass(self) -> int:
        """How many histories were kept now. What could not be is tried again in the next pass."""
        await self._look_for_ended_runs()
        kept = 0
        for run, execution in list(self._left.items()):
            try:
                kept += await self._keep(execution)
            except Malformed:
                # nothing is kept of a case whose key was destroyed with someone whom it was about
                log.warning("the history of %s is not kept: its key was destroyed", execution.id)
            except Exception as error:
                log.warning("the history of %s is not kept yet: %s", execution.id, type(error).__name__)
                continue
            del self._left[run]
            self._kept.add(run)
        return kept

    async def _look_for_ended_runs(self) -> None:
        since = f" and CloseTime > '{self._ended_by.isoformat()}'" if self._ended_by else ""
        newest = self._ended_by
        async for each in self._client.list_workflows(ENDED + since):
            if each.run_id not in self._kept and is_of_a_case(each.id):
                self._left[each.run_id] = each
            if each.close_time and (newest is None or each.close_time - LOOK_BACK > newest):
                newest = each.close_time - LOOK_BACK
        self._ended_by = newest

    async def _keep(self, execution: WorkflowExecution) -> bool:
        if not await asyncio.to_thread(self._has_to_be_kept, execution):
            return False
        history = await self._client.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history()
        return await asyncio.to_thread(self._record, execution, packed(history), len(history.events))

    def _has_to_be_kept(self, execution: WorkflowExecution) -> bool:
        """Whoever reaches Temporal may start workflows under made-up names: those are no cases of the library."""
        kept = self._ledger.state(stream_of(execution.id))
        if isinstance(kept, RunHistories) and execution.run_id in kept.runs:
            return False
        if self._ledger.state(execution.id).position:
            return True
        return bool(self._ledger.recorder.stream_after(stream_beside(execution.id), 0))

    def _record(self, execution: WorkflowExecution, history: bytes, steps: int) -> bool:
        case, run = execution.id, execution.run_id
        named = self._evidence.put(history, MEDIA_TYPE, case)
        ended = execution.status.name.lower() if execution.status else "unknown"
        keep = KeepRunHistory(
            of_case=case, run=run, type=execution.workflow_type, ended=ended, steps=steps, history=named
        )
        answer = self._ledger.submit_own(keep, stream_of(case), SYSTEM, str(uuid5(EVENT_IDS, f"{case}/history/{run}")))
        return bool(answer.facts)


def run_history_keeper(settings: Settings, stop: Event) -> None:
    """For as long as the part runs that holds the keys."""
    asyncio.run(keep_histories(settings, stop))


async def keep_histories(settings: Settings, stop: Event) -> None:
    client = await until_it_answers(lambda: connected(settings))
    ledger = Ledger(settings.recorder_url, SystemClock(), door_key(settings).verifier(), pool_size=2)
    keys = KeyStore(settings.keeper_url, key_encryption_key(settings))
    try:
        await HistoryKeeper(client, ledger, evidence_of(settings.data, ledger, keys)).run(stop)
    finally:
        keys.close()
        ledger.close()


def evidence_of(data: Path, ledger: Ledger, keys: KeyStore) -> EvidenceStore:
    return EvidenceStore(data / "evidence", ledger.recorder, Seal(keys))
