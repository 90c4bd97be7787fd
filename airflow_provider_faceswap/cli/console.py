"""What a person sees on stderr while a command works: lines, and on a terminal a bar."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_faceswap.jobs import Job


class _Stderr(Console):
    """A console that nobody has to read: the job may be paid, and stdout still has the result."""

    def __init__(self) -> None:
        super().__init__(stderr=True)

    def on_broken_pipe(self) -> None:
        """Go on unheard, where rich would close stdout and end the process."""
        self.quiet = True


class ConsoleLog:
    """
    Stderr; stdout is left to the result.

    It has the methods of a logger that the purchase of a job wants.

    :param console: Another console, for tests.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _Stderr()

    def say(self, text: str) -> None:
        """Show one line as it is: brackets and colons in it mean nothing."""
        with suppress(BrokenPipeError):  # which an older rich raises
            self._console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def info(self, text: str, *values: object) -> None:
        """Show a line of a log."""
        self.say(text % values if values else text)

    def warning(self, text: str, *values: object) -> None:
        """Show a warning of a log."""
        self.info(text, *values)

    @contextmanager
    def bar(self, title: str) -> Iterator[Callable[[Job], None]]:
        """
        Show a bar while a job is waited for, on a terminal only.

        It fills where the vendor tells a percentage, and else only moves.

        :returns: Takes the job each time it was read.
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
                told = f"{title}: {job.status or job.state}"
                if job.percent is None:
                    progress.update(task, description=told)
                else:
                    progress.update(task, description=told, total=100, completed=job.percent)

            yield show
