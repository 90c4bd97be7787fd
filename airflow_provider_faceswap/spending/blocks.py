"""
A reservation for several jobs: one object, from which a batch takes the money for each of its jobs.

Its money is free, held for a job, or charged for one that has ended. What a job does not cost becomes free again. The object
is reserved like that of a single job, and then says in its content what is known about each job. It is written again now
and then, not for each job: until then its whole amount is held, so a crash can only leave too much in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.spending.amounts import as_amount, plain
from airflow_provider_faceswap.spending.book import Entry, Stage

if TYPE_CHECKING:
    from airflow_provider_faceswap.spending.account import Account

#: Between the key of a block and that of a job in it.
MARK = "."
#: Where the content of a block has its jobs.
JOBS = "jobs"
#: The name of what was charged for jobs that are not known.
REST = "rest"


@dataclass
class Part:
    """
    The money of one job.

    :param amount: What is held for it, or was charged; ``None`` if that is not known.
    :param ended: Whether the end of the job is known.
    :param about: ``vendor``, ``kind``, ``conn_id``, ``job_id``, as far as they are known.
    """

    amount: Decimal | None
    ended: bool = False
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def stage(self) -> Stage:
        """How far this job is."""
        if self.ended:
            return Stage.SPENT
        return Stage.BOUGHT if self.about.get("job_id") else Stage.RESERVED

    def plain(self) -> dict[str, Any]:
        """The part as plain JSON."""
        amount = None if self.amount is None else plain(self.amount)
        return {"amount": amount, **({"ended": True} if self.ended else {}), **self.about}

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Part:
        """
        The part from its plain JSON.

        :raises InvalidRequestError: It is none.
        """
        about = {name: text for name, text in value.items() if name not in {"amount", "ended"}}
        given = value.get("amount")
        amount = None if given is None else as_amount("amount", given)
        return cls(amount, ended=bool(value.get("ended")), about=about)


class Block:
    """
    A reservation for several jobs; to be used by one thread at a time.

    :param account: The period that it is reserved in.
    :param entry: Its object, as it was written last.
    :param about: What a person wants to know about it: ``dag_id``, ``run_id``, ``task_id``, ...
    """

    def __init__(self, account: Account, entry: Entry, about: Mapping[str, Any]) -> None:
        self.account = account
        self.entry = entry
        self.amount = entry.amount
        self.about = {name: value for name, value in about.items() if name != JOBS}
        self.parts = parts_of(about)
        #: Whether the object says which jobs it is for.
        self.is_whole = isinstance(about.get(JOBS), Mapping)
        #: Whether something is known that the object does not say yet.
        self.is_changed = False

    @classmethod
    def found(cls, account: Account, entry: Entry) -> Block:
        """
        A block that was written before.

        :raises Exception: The storage's own error.
        """
        return cls(account, entry, account.book.read(entry))

    @property
    def total(self) -> Decimal | None:
        """What it counts for in its period."""
        if self.amount is None:
            return None
        return max(self.amount, self._sum())

    @property
    def free(self) -> Decimal:
        """What no job has."""
        return Decimal(0) if self.amount is None else max(self.amount - self._sum(), Decimal(0))

    @property
    def open_jobs(self) -> list[str]:
        """The jobs whose end is not known."""
        return [job for job, part in self.parts.items() if not part.ended]

    def hold(self, job: str, amount: Decimal | None, about: Mapping[str, Any]) -> None:
        """Hold money for a job."""
        self.parts[job] = Part(amount, about=dict(about))
        self.is_changed = True

    def give_back(self, job: str) -> None:
        """Free the money of a job that was not bought."""
        if job in self.parts and not self.parts[job].ended:
            del self.parts[job]
            self.is_changed = True

    def bought(self, job: str, amount: Decimal | None, about: Mapping[str, Any]) -> None:
        """
        Note that a job was accepted.

        :param amount: What the vendor says that it costs; ``None``: the amount that is held.
        """
        if (part := self.parts.get(job)) is not None and not part.ended:
            part.about.update(about)
            self._price(part, amount)

    def ended(self, job: str, amount: Decimal | None, about: Mapping[str, Any]) -> None:
        """
        Note that a job has ended. A second call does nothing.

        :param amount: What was charged; ``None`` if the vendor did not say: the amount that is held.
        """
        self.bought(job, amount, about)
        if (part := self.parts.get(job)) is not None:
            part.ended = True

    def write(self) -> bool:
        """
        Write what is known about the jobs; once all its money is charged, the block is spent.

        :returns: Whether the block is over.
        :raises FaceSwapError: The budget could not be written.
        """
        content, self.is_changed = self.content(), False
        is_over = not self.open_jobs and not self.free
        try:
            if is_over:
                self.account.settle(self.entry.key, self.total, content)
            else:
                self._put(content)
        except BaseException:
            self.is_changed = True
            raise
        return is_over

    def close(self, rest: Decimal = Decimal(0)) -> bool:
        """
        Release what is free: nobody takes more from it.

        :param rest: What was charged of it for jobs that are not known.
        :returns: Whether the block is over.
        :raises FaceSwapError: The budget could not be written.
        """
        if rest:
            self.parts[REST] = Part(rest, ended=True)
        if self.amount is not None or rest:
            self.amount = self._sum()
        if self.parts:
            return self.write()
        self.account.release(self.entry.key)
        return True

    def content(self) -> dict[str, Any]:
        """What its object says."""
        return {**self.about, JOBS: {job: part.plain() for job, part in self.parts.items()}}

    def _put(self, content: Mapping[str, Any]) -> None:
        stage = Stage.BOUGHT if self.parts else Stage.RESERVED
        new = Entry(self.entry.key, stage, self.total)
        self.account.change(self.entry, new, content)
        self.entry = new

    def _price(self, part: Part, amount: Decimal | None) -> None:
        self.is_changed = True
        if amount is None:
            return
        part.amount = amount
        if self.amount is None:
            self.amount = amount

    def _sum(self) -> Decimal:
        return sum((part.amount or Decimal(0) for part in self.parts.values()), Decimal(0))


def parts_of(about: Mapping[str, Any]) -> dict[str, Part]:
    """The jobs that the content of a reservation names: none, if it is that of a single job."""
    found: dict[str, Part] = {}
    jobs = about.get(JOBS)
    for job, value in jobs.items() if isinstance(jobs, Mapping) else ():
        with suppress(InvalidRequestError, AttributeError):
            found[job] = Part.parse(value)
    return found
