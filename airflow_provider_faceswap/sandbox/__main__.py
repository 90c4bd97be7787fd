"""Command line: ``python -m airflow_provider_faceswap.sandbox --port 8090``."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

_NEEDED = "The sandbox needs more packages: pip install 'airflow-provider-faceswap[sandbox]'"
#: Exit code when a package is missing or the server cannot start.
_CANNOT_START = 2


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    # Uvicorn handles the signal itself, shuts down, and then raises the signal again.
    raise SystemExit(0)


def main(arguments: list[str] | None = None) -> int:
    """Run the sandbox until SIGTERM or SIGINT.

    :param arguments: command line arguments; by default those of the process.
    :returns: the exit code: 0, or 2 if a package is missing or the port is taken.
    """
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_faceswap.sandbox",
        description="Imitate the vendors on one port: real pictures, no real money.",
    )
    parser.add_argument("--port", type=int, required=True, help="port to listen on; 0 picks a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--job-seconds", type=float, default=3.0, help="how long a job takes (default: %(default)s)"
    )
    parser.add_argument(
        "--key", default="sandbox-key", help="the key that all vendors accept (default: %(default)s)"
    )
    parser.add_argument(
        "--webhooks-to", help="root URL that gets all webhooks instead of the hosts in their addresses"
    )
    return _run(parser.parse_args(arguments))


def command(options: argparse.Namespace) -> NoReturn:
    """Entry point of ``airflow faceswap sandbox``, which has the same arguments.

    :raises SystemExit: always, with the exit code of :func:`main`.
    """
    sys.exit(_run(options))


def _run(options: argparse.Namespace) -> int:
    try:
        from airflow_provider_faceswap.sandbox.server.server import serve
        from airflow_provider_faceswap.sandbox.server.settings import Settings
    except ImportError as error:
        print(f"{_NEEDED} ({error})", file=sys.stderr)
        return _CANNOT_START
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    try:
        serve(
            Settings(job_seconds=options.job_seconds, key=options.key, webhooks_to=options.webhooks_to),
            options.host,
            options.port,
            lambda url: print(f"sandbox ready at {url} (key: {options.key})", flush=True),
        )
    except (OSError, ValueError) as error:
        print(f"The sandbox cannot start: {error}", file=sys.stderr)
        return _CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main())
