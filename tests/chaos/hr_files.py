"""A simulated HR system that exports files: everyone it knows, each time."""

from __future__ import annotations

import asyncio
import csv
import io
import random
from collections.abc import Callable
from pathlib import Path

from tests.chaos.hr_diary import Said, branch_of, minute, someone
from tests.chaos.hr_wire import Wire

BY_FILE = "chaos-files"
IN_THE_FILE, FILES = 24, 4
MALFORMED, REFUSED = 2, 3
SHARE_THAT_BEGINS = 0.85


class FileExports:
    """Whole files; one twice, an older one after a newer, half a one, one whose sender dies."""

    def __init__(self, hr: Wire) -> None:
        self.hr, self.dice = hr, random.Random(f"{hr.dice.random()}/files")
        self.folder = hr.running.data / "exports"
        self.rows = {said.id: said for said in map(self.someone, range(IN_THE_FILE))}
        self.left: list[Said] = []
        self.nth = 0

    def someone(self, nth: int) -> Said:
        return someone(f"f-{nth:03}", nth, self.dice)

    async def run(self, share_done: Callable[[], float]) -> None:
        self.folder.mkdir()
        for nth in range(FILES):
            while share_done() < SHARE_THAT_BEGINS * nth / FILES:
                await asyncio.sleep(0.1)
            await self.next_file()

    async def next_file(self) -> None:
        self.nth += 1
        file = self.written(self.as_csv(), "export")
        half = self.written(self.as_csv()[: len(self.as_csv()) // 2], "half")
        if self.nth > 1:
            await self.comes_to_nothing(half, self.nth)
        if self.nth % 2 == 0:
            self.hr.faults["hr_file_senders_killed"] += 1
            await self.hr.asked_once(self.words(file, self.nth), killed_after=self.dice.uniform(0.6, 2.0))
        for _ in range(1 + (self.nth % 2)):
            told = await self.hr.command(*self.words(file, self.nth))
            if told["exit"] != 0:
                self.hr.failed.append(f"file {self.nth}: {told}")
        self.hr.faults["hr_files_sent_twice"] += self.nth % 2
        self.hr.diary.file_applied(dict(self.rows))
        if self.nth > 1:
            await self.comes_to_nothing(self.written(self.as_csv(without=1), "older"), self.nth - 1)
        self.change()

    async def comes_to_nothing(self, file: Path, at: int) -> None:
        self.hr.faults["hr_files_older_or_cut"] += 1
        told = await self.hr.command(*self.words(file, at))
        if told["exit"] not in (MALFORMED, REFUSED):
            self.hr.failed.append(f"{file.name} was taken: {told}")

    def words(self, file: Path, at: int) -> tuple[str, ...]:
        return ("staff", "import", str(file), "--system", BY_FILE, "--as-of", minute(at).isoformat())

    def written(self, text: str, name: str) -> Path:
        file = self.folder / f"{name}-{self.nth}.csv"
        file.write_text(text)
        return file

    def as_csv(self, without: int = 0) -> str:
        text = io.StringIO()
        lines = csv.writer(text)
        lines.writerow(["Employee ID", "Name", "Email", "Job Title", "Department", "Manager ID", "Status", "Hire Date",
                        "Termination Date", "Work Hours"])  # fmt: skip
        for said in list(self.rows.values())[without:]:
            row = [said.id, said.name, f"{said.id}@example.org", said.position, said.branch, "", "Active", "", "", ""]
            lines.writerow(row)
        return text.getvalue()

    def change(self) -> None:
        """One leaves, one moves, one joins; and who left by the file before comes back."""
        gone, moves = self.dice.sample(sorted(self.rows), 2)
        leaver, back = self.rows.pop(gone), self.left
        self.rows[moves] = self.rows[moves].but(branch=branch_of(self.nth))
        self.rows |= {each.id: each for each in (*back, self.someone(IN_THE_FILE + self.nth))}
        self.left = [leaver]
