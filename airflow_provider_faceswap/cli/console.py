"""Log of a command on stderr: lines, and a progress bar on a terminal."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from airflow_provider_faceswap.foundation.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_faceswap.jobs import Job


class _Stderr(Console):
    """Console on stderr. The command must not fail if nobody reads it: the job may be paid for."""

    def __init__(self) -> None:
        super().__init__(stderr=True)

    def on_broken_pipe(self) -> None:
        """Stop writing. By default rich would close stdout and end the process."""
        self.quiet = True


class ConsoleLog:
    """
    Log on stderr; stdout is for the result.

    It has the methods of a logger that :class:`~airflow_provider_faceswap.lifecycle.purchase.Purchase` calls.
    """

    def __init__(self) -> None:
        self._console = _Stderr()

    def say(self, text: str) -> None:
        """Show a text without rich's markup, and without anything that a terminal would obey."""
        text = safe_text(text, lines=True)
        with suppress(BrokenPipeError):  # which an older rich raises
            self._console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def info(self, text: str, *values: object) -> None:
        """Show a log line."""
        self.say(text % values if values else text)

    def warning(self, text: str, *values: object) -> None:
        """Show a warning."""
        self.info(text, *values)

    @contextmanager
    def bar(self, title: str) -> Iterator[Callable[[Job], None]]:
        """
        Show a progress bar while a job is waited for, on a terminal only.

        Without a percentage from the vendor it only moves.

        :returns: A function to call with the job after each poll.
        """
        if not self._console.is_terminal:
            yield lambda _job: None
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(title, total=None)

            def show(job: Job) -> None:
                description = f"{title}: {job.status or job.state}"
                if job.percent is None:
                    progress.update(task, description=description)
                else:
                    progress.update(task, description=description, total=100, completed=job.percent)

            yield show
