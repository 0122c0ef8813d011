"""`python -m tests.chaos.dying DATA COMMAND`: someone who sends one command. Made to be killed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from domain.facts import Channel
from services.desk import Caller, Desk
from services.settings import Settings


async def main(data: str, asked: str) -> None:
    desk = Desk(Settings.of_data(Path(data)))
    await desk.client()
    await desk.policy()
    told = json.loads(asked)
    caller = Caller(told["person"], "a simulated sign-in", Channel.WEB)
    print("sending", flush=True)
    answer = await desk.act(told["case"], told["command"], told["fields"], caller, told["id"])
    print(json.dumps(answer), flush=True)
    desk.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
