"""`python -m tests.chaos.worker DATA PROXY_PORT`: the worker as it is, but for the address of its log."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from services.parts import serve_part
from services.settings import Settings


def main(data: str, proxy_port: str) -> None:
    settings = Settings.of_data(Path(data))
    through = through_port(settings.recorder_url, int(proxy_port))
    serve_part("worker", Settings.of_data(Path(data), IMPRIMATUR_RECORDER_URL=through))


def through_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    who = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{who}@127.0.0.1:{port}"))


if __name__ == "__main__":
    main(*sys.argv[1:])
