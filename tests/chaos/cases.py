"""What goes wrong in the chaos tests, to whom, and how it has to end."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tests.sizes import SIZES

VENDORS = ("gptunnel", "tengrai", "piapi")
MODES = ("deferrable", "on the worker")

#: Vendors that list jobs, so that a submission without a response can be found again.
LISTING = {"tengrai", "piapi"}

RESUBMIT = {"on_uncertain": "resubmit"}


@dataclass(frozen=True)
class Ending:
    """
    How a scenario ended.

    :param error: The class with which the swap failed for good; empty where its picture is in the archive.
    :param creates: How many submissions the vendor billed.
    """

    error: str
    creates: int

    def __str__(self) -> str:
        what = f"`{self.error}`" if self.error else "archived"
        return f"{what}, {self.creates} {'submission' if self.creates == 1 else 'submissions'}"


@dataclass(frozen=True)
class Case:
    """
    One thing that goes wrong.

    :param point: Where the task process is killed, in the words of the Dag; empty where it is not.
    :param faults: Ordered at the vendor before the run.
    :param minute: Whether the faults stop after a minute.
    :param late: Whether the faults begin once the job was accepted.
    :param loses_answer: Whether the vendor's answer to an accepted create never reaches the ledger.
    :param reaches_vendor: Whether the first create reaches the vendor at all.
    :param failed_jobs: How many jobs the vendor reports failed before one succeeds.
    :param failover: Whether a second connection, to another vendor, may do the swap. In the retry, the first one
        cannot be read.
    """

    title: str
    modes: tuple[str, ...] = MODES
    point: str = ""
    faults: tuple[dict[str, Any], ...] = ()
    minute: bool = False
    late: bool = False
    loses_answer: bool = False
    reaches_vendor: bool = True
    failed_jobs: int = 0
    failover: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    retries: int = 2
    retry_delay: float = 1.0
    job_seconds: float = 3.0

    def ending(self, vendor: str) -> Ending:
        """How it has to end."""
        if not self.loses_answer:
            return Ending("", 1 + self.failed_jobs)
        if self.reaches_vendor and vendor in LISTING:
            return Ending("", 1)
        if self.options.get("on_uncertain") == "resubmit":
            return Ending("", 1 + self.reaches_vendor)
        return Ending("SubmissionUncertainError", int(self.reaches_vendor))


def _fault(operation: str | None, times: int | None = 1, **fault: Any) -> dict[str, Any]:
    return {"operation": operation, "times": times, "fault": fault}


HANG = _fault("create", type="hang", seconds=120)
DROP = _fault("create", type="drop", when="after")

#: Half an emoji, NUL, a terminal escape, a C1 control, a bidi override.
UNSTORABLE = "the engine \ud83d broke \x00 \x1b[2J \x9b \u202e"

CASES = (
    Case("nothing goes wrong"),
    # -- the task process is killed (kill -9) -------------------------------------------------------------
    Case(
        "task killed before the submission",
        point="before the create",
        loses_answer=True,
        reaches_vendor=False,
    ),
    Case(
        'task killed before the submission, `on_uncertain="resubmit"`',
        point="before the create",
        loses_answer=True,
        reaches_vendor=False,
        options=RESUBMIT,
    ),
    Case(
        "task killed between request and response",
        point="between send and answer",
        faults=(HANG,),
        loses_answer=True,
    ),
    Case(
        'task killed between request and response, `on_uncertain="resubmit"`',
        point="between send and answer",
        faults=(HANG,),
        loses_answer=True,
        options=RESUBMIT,
    ),
    Case("task killed between response and record", point="between answer and record", loses_answer=True),
    Case(
        "task killed between record and deferral",
        modes=("deferrable",),
        point="between record and deferral",
    ),
    Case("task killed after the deferral", modes=("deferrable",), point="after the deferral"),
    Case("task killed during the resume", modes=("deferrable",), point="during the resume"),
    Case("task killed while waiting", modes=("on the worker",), point="while waiting"),
    Case(
        "task killed after its result was sent",
        modes=("on the worker",),
        point="after the result was sent",
    ),
    # -- the vendor ---------------------------------------------------------------------------------------
    Case("vendor drops the connection after billing", faults=(DROP,), loses_answer=True),
    Case(
        'vendor drops the connection after billing, `on_uncertain="resubmit"`',
        faults=(DROP,),
        loses_answer=True,
        options=RESUBMIT,
    ),
    *(
        Case(
            f"vendor answers every poll with {status} for a minute",
            faults=(_fault("fetch", None, type="status", status=status),),
            minute=True,
            late=True,
        )
        for status in (500, 429)
    ),
    Case(
        "vendor answers no poll for a minute",
        faults=(_fault("fetch", None, type="hang", seconds=90),),
        minute=True,
        late=True,
    ),
    Case(
        "vendor answers submissions with 429 for a minute",
        faults=(_fault(None, None, type="status", status=429),),
        minute=True,
        retries=6,
        retry_delay=15,
    ),
    Case(
        "vendor answers submissions with 500 for a minute",
        faults=(_fault(None, None, type="status", status=500),),
        minute=True,
        loses_answer=True,
        reaches_vendor=False,
    ),
    Case(
        "vendor accepts a submission and does not answer for a minute",
        faults=(HANG,),
        minute=True,
        loses_answer=True,
    ),
    Case(
        "a proxy answers every poll with 403 and a page for a minute",
        faults=(_fault("fetch", None, type="status", status=403, body="<html>Forbidden</html>"),),
        minute=True,
        late=True,
    ),
    Case(
        "vendor reports a failure in a text that no database can store",
        faults=(_fault("create", type="fail_job", message=UNSTORABLE),),
        failed_jobs=1,
    ),
    # -- the connection -----------------------------------------------------------------------------------
    Case(
        "task of a failover killed while waiting; its connection cannot be read in the retry",
        modes=("on the worker",),
        point="while waiting",
        failover=True,
    ),
)

TRIGGERER = "triggerer killed while polling, a second one takes over"
SCHEDULER = "scheduler killed with its executor while jobs run"
DATABASE = "database restarted while jobs run"
CLOCK_STEP = "clock steps back an hour while jobs run"

#: Done to all runs of these at once, one after the other.
PLATFORM = (
    Case(TRIGGERER, modes=("deferrable",), job_seconds=35),
    Case(SCHEDULER, job_seconds=20),
    Case(DATABASE, job_seconds=20),
    Case(CLOCK_STEP, job_seconds=20),
)


@dataclass(frozen=True)
class Scenario:
    """One case, at one vendor, in one mode: one Dag, one connection, one vendor of its own."""

    case: Case
    vendor: str
    mode: str

    @property
    def name(self) -> str:
        """Fit for a Dag id and a connection id."""
        words = "".join(letter if letter.isalnum() else "_" for letter in self.case.title)
        return f"{words.strip('_')}__{self.mode}__{self.vendor}".replace(" ", "_").replace("__", "_")

    def to_json(self, url: str) -> dict[str, Any]:
        """What its Dag has to know."""
        told = asdict(self.case)
        wanted = ("point", "failover", "options", "retries", "retry_delay")
        return {
            "name": self.name,
            "vendor": self.vendor,
            "deferrable": self.mode == "deferrable",
            "url": url,
            **{key: told[key] for key in wanted},
        }


def scenarios(cases: tuple[Case, ...]) -> list[Scenario]:
    """Every case at every vendor in each of its modes; in the quick size each at two vendors."""
    if SIZES.every_scenario:
        return [Scenario(case, vendor, mode) for case in cases for mode in case.modes for vendor in VENDORS]
    return [scenario for case in cases for scenario in _two_of(case)]


def _two_of(case: Case) -> list[Scenario]:
    """A case at GPTunneL and at a vendor that lists jobs; from case to case, vendors and modes take turns."""
    number = (*CASES, *PLATFORM).index(case)
    modes = [case.modes[(number + shift) % len(case.modes)] for shift in (0, 1)]
    listing = sorted(LISTING)[number // 2 % 2]
    return [Scenario(case, "gptunnel", modes[0]), Scenario(case, listing, modes[1])]
