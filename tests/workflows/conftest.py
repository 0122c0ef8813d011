"""For each module of workflow tests a time-skipping Temporal server, and a system that runs on it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from services.embedded_postgresql import EmbeddedPostgreSQL
from tests.fresh import fresh_database
from tests.system import Database, Office
from tests.workflows.running import Running, ServersClock, at_work, skipping_time


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for all, so that a module's fixtures serve all of its tests."""
    for item in items:
        is_here = item.path.parent == Path(__file__).parent
        if is_here and isinstance(item, pytest.Function) and asyncio.iscoroutinefunction(item.obj):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """Not for all modules: a case that a test left open is woken whenever another test lets weeks pass."""
    async with skipping_time() as env:
        yield env


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(database: Database, time_skipping: WorkflowEnvironment) -> AsyncIterator[Running]:
    office = Office(database, ServersClock(time_skipping))
    async with at_work(time_skipping.client, office, time_skipping) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def alone(server: EmbeddedPostgreSQL) -> AsyncIterator[Running]:
    """A system and a server for one test alone, whose staff may come and go, and whose months may pass."""
    with fresh_database(server) as database:
        async with skipping_time() as env:
            office = Office(database, ServersClock(env))
            async with at_work(env.client, office, env) as running:
                yield running


@pytest_asyncio.fixture(loop_scope="session")
async def in_service(server: EmbeddedPostgreSQL) -> AsyncIterator[Running]:
    """As it runs in service, for a flood. What the process has loaded by now is nothing for the garbage collector to go
    through again in the middle of a turn."""
    gc.collect()
    gc.freeze()
    with fresh_database(server) as database:
        async with skipping_time() as env:
            office = Office(database, ServersClock(env))
            async with at_work(env.client, office, env, as_in_service=True) as running:
                yield running
    gc.unfreeze()
