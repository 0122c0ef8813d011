"""`python -m tests.chaos.tree DATA PROXY_PORT`: the tree of `imprimatur up`, whose worker reaches PostgreSQL through a
proxy on that port."""

from __future__ import annotations

import sys
from pathlib import Path

from services.embedded import Plan, run_up, serve
from services.settings import Settings
from tests.system import POLICY, STAFF


def main(data: str, proxy_port: str) -> int:
    worker = [sys.executable, "-m", "tests.chaos.worker", data, proxy_port]
    plan = Plan(children={"worker": worker, "projector": serve("projector"), "api": serve("api")})
    return run_up(
        Settings.load(data=Path(data), port=0),
        port_explicit=False,
        policy_file=POLICY,
        staff_file=STAFF,
        announce=lambda line: print(line, flush=True),
        plan=plan,
    )


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
