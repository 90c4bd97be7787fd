"""How a command can end: what a script has to know before it buys again."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes. After 0 the same command buys once more; after 3 and 4 it could pay twice."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    RESUMABLE = 3
    UNCERTAIN = 4
    INTERRUPTED = 130


#: What ``--help`` says; without square brackets, which Airflow's help takes for markup.
MEANINGS = {
    Exit.DONE: "done",
    Exit.FAILED: "refused, or the job is over without a picture: there is no job to go on with",
    Exit.USAGE: "the command, the connection, a file or the destination is wrong: nothing was sent",
    Exit.RESUMABLE: "there is a paid job: do not buy again, go on with it by 'airflow faceswap job'",
    Exit.UNCERTAIN: "a purchase got no answer: look in the vendor's list before you buy again",
    Exit.INTERRUPTED: "interrupted before anything was bought",
}
