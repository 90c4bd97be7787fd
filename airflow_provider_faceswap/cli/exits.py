"""Exit codes: what a script must know before it submits again."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """
    Exit codes.

    Repeating the command after 0 buys another job; after 3 or 4 it could pay twice for the same one.
    """

    DONE = 0
    FAILED = 1
    USAGE = 2
    RESUMABLE = 3
    UNCERTAIN = 4
    INTERRUPTED = 130


#: Texts for ``--help``; without square brackets, which Airflow's help reads as markup.
MEANINGS = {
    Exit.DONE: "done",
    Exit.FAILED: "rejected, or the job ended without a picture: there is no job to resume",
    Exit.USAGE: "the command, the connection, a file or the destination is wrong: nothing was sent",
    Exit.RESUMABLE: "there is a paid job: do not swap again, resume it with 'airflow faceswap job'",
    Exit.UNCERTAIN: "a submission got no response: look in the vendor's job list before you swap again",
    Exit.INTERRUPTED: "interrupted before anything was submitted",
}
