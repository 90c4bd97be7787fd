"""The steps of a batch's items: what each submits, where, and from which columns and earlier steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from airflow_provider_faceswap.batch.templates import is_name, names_in, parsed
from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import cut
from airflow_provider_faceswap.foundation.rendered import is_set
from airflow_provider_faceswap.foundation.validation import as_choice, as_conn_id, as_conn_ids, as_seconds
from airflow_provider_faceswap.media.preflight import PREFLIGHTS
from airflow_provider_faceswap.spending.amounts import as_price

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import timedelta
    from decimal import Decimal

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.media.preflight import Preflight
    from airflow_provider_faceswap.vendors.kinds import Kind

#: The argument that takes a job, and not its picture.
PARENT = "parent_job_id"
#: Columns that an error lists.
_LISTED = 20
#: Characters of a name in an error.
_SHOWN = 80


class Step:
    """
    One job of each item of a batch.

    A text in an argument, at any depth, may have names in braces. ``{column}`` is the item's column, and ``{step}`` is the
    whole result of an earlier step, which a picture argument and ``parent_job_id`` take. A brace that belongs to the text
    is doubled: ``{{``. Jinja does not render these texts.

    An argument that is only the name of an empty column is left out. An empty column inside a longer text makes the item
    wrong.

    :param name: Its name in the manifest, in the summary and in braces.
    :param conn_id: The connection, which also selects the vendor.
    :param kind: The kind of job, one of the vendor's, such as ``face_swap``; or ``image``, at each vendor that generates.
    :param conn_ids: Instead of ``conn_id``: several connections, the preferred one first. The next one is tried under the same
        rules as in :class:`~airflow_provider_faceswap.operators.faceswap.FaceSwapOperator`.
    :param timeout: Seconds for each job of this step. Default: that of the operator.
    :param poll_interval: Minimum seconds between two polls of one job. Default: that of the operator.
    :param preflight: What is checked of its pictures before the submission. Default: that of the operator.
    :param price: What its job costs, in the budget's unit, until the budget has seen a cost of this kind. Default: that of
        the operator.
    :param arguments: The arguments of that kind of job under the names that the operators use: ``prompt``, ``model``,
        ``target_image``, ``face_image``, ``parent_job_id`` and so on.
    :raises InvalidRequestError: One of these is wrong. Nothing was bought.
    """

    def __init__(
        self,
        name: str,
        conn_id: str | None = None,
        kind: str | None = None,
        *,
        conn_ids: Sequence[str] | None = None,
        timeout: float | timedelta | None = None,
        poll_interval: float | None = None,
        preflight: Preflight | None = None,
        price: float | None = None,
        **arguments: Any,
    ) -> None:
        self.name = _step_name(name)
        if not isinstance(kind, str) or not kind.strip():
            raise self._wrong("kind: must be a kind of job, such as 'face_swap'")
        if is_set(conn_id) == (conn_ids is not None):
            raise self._wrong("give either conn_id or conn_ids")
        try:
            self.conn_ids = (as_conn_id(conn_id),) if conn_ids is None else as_conn_ids("conn_ids", conn_ids)
            self.timeout = None if timeout is None else as_seconds("timeout", timeout)
            self.poll_interval = None if poll_interval is None else as_seconds("poll_interval", poll_interval)
            self.preflight: Preflight | None = (
                None if preflight is None else as_choice("preflight", preflight, PREFLIGHTS)
            )
            self.price = as_price(price)
            self.arguments = {name: parsed(name, value) for name, value in arguments.items()}
        except InvalidRequestError as error:
            raise self._wrong(error.message, error.advice) from None
        if not self.conn_ids or len(set(self.conn_ids)) < len(self.conn_ids):
            raise self._wrong("conn_ids: must be a list of at least one connection id, each once")
        self.kind = kind.strip().replace("-", "_")

    def _wrong(self, message: str, advice: str | None = None) -> InvalidRequestError:
        return InvalidRequestError(f"step {self.name!r}: {message}", advice=advice)

    @property
    def names(self) -> set[str]:
        """The names of columns and steps in its arguments."""
        return names_in(self.arguments)

    def __repr__(self) -> str:
        """Without its arguments: one may be secret."""
        return f"Step({self.name!r}, kind={self.kind!r}, conn_ids={list(self.conn_ids)})"


def _step_name(name: object) -> str:
    text = normalize("NFC", name).strip() if isinstance(name, str) else ""
    if not is_name(text):
        raise InvalidRequestError(
            f"a step's name must have letters, digits, blanks, _ and - only, got {name!r}"
        )
    return text


def check_steps(steps: Any) -> tuple[Step, ...]:
    """
    Check the steps among themselves.

    :raises InvalidRequestError: They are no list of steps, two have one name, or one names itself or a later one.
    """
    if not isinstance(steps, Sequence) or not steps or not all(isinstance(step, Step) for step in steps):
        raise InvalidRequestError("steps: must be a list of at least one Step")
    names = [step.name for step in steps]
    for number, step in enumerate(steps):
        if step.name in names[:number]:
            raise InvalidRequestError(f"steps: two have the name {step.name!r}")
        if ahead := sorted(step.names & set(names[number:])):
            raise InvalidRequestError(
                f"steps: {step.name!r} names {{{ahead[0]}}}, which is "
                f"{'the step itself' if ahead[0] == step.name else 'a later step'}",
                advice="Nothing was bought. A step can use the results of the steps before it only.",
            )
        if mixed := sorted(names_in(step.arguments, in_text=True) & set(names[:number])):
            raise InvalidRequestError(
                f"steps: {step.name!r} has {{{mixed[0]}}} inside a longer text, and a step's result is no text",
                advice=f"Nothing was bought. Make {{{mixed[0]}}} the whole argument.",
            )
    return tuple(steps)


@dataclass(frozen=True, eq=False)
class PlannedStep:
    """
    A step with the hooks of its connections.

    :param hooks: In the order in which they are tried.
    :param timeout: Seconds for each job.
    :param poll_interval: Minimum seconds between two polls of a job, ``None`` for the kind's own schedule.
    :param arguments: Its parsed arguments; ``None`` if they are the columns of the item.
    :param inputs: The earlier steps whose results it takes.
    :param price: What its job costs according to the author of the Dag.
    """

    name: str
    kind: str
    hooks: tuple[JobHook, ...]
    timeout: float
    poll_interval: float | None
    preflight: Preflight
    arguments: Mapping[str, Any] | None = None
    inputs: frozenset[str] = frozenset()
    price: Decimal | None = None


def check_results(steps: Sequence[PlannedStep]) -> None:
    """
    Check that each result of an earlier step is where its vendor takes a picture, or the job of a parent.

    A step whose kind depends on a column is left to the vendor.

    :raises InvalidRequestError: One is not.
    """
    known = {step.name: step for step in steps}
    for step in steps:
        for hook in step.hooks if step.inputs else ():
            if (job := _job_at(step, hook)) is None:
                continue
            spec, arguments = job
            for name, value in arguments.items():
                if name == PARENT:
                    for parent in sorted(names_in(value) & step.inputs):
                        _check_parent(step, hook, spec, known[parent])
                elif name in spec.arguments.model_fields and name not in spec.media:
                    _check_no_result(step, name, value)


def _job_at(step: PlannedStep, hook: JobHook) -> tuple[Kind, Mapping[str, Any]] | None:
    """The kind of a step at one connection, and its parsed arguments there; ``None`` if a column decides about the kind."""
    try:
        kind, arguments = hook.vendor.job_of(step.kind, step.arguments or {})
        return hook.vendor.kind(kind), arguments
    except InvalidRequestError:
        return None


def _check_parent(step: PlannedStep, hook: JobHook, spec: Kind, parent: PlannedStep) -> None:
    """Check that a step can go on with the job of another one, wherever that is made."""
    vendor = hook.vendor.name
    where = f"step {step.name!r}: {PARENT}: step {parent.name!r}"
    for other in parent.hooks:
        if other.vendor.name != vendor:
            raise InvalidRequestError(
                f"{where} is made at {other.vendor.name}, and {vendor} has its own jobs only",
                advice="Nothing was bought. Both steps must be at the same vendor.",
            )
        job = _job_at(parent, other)
        if job is not None and job[0].family != spec.family:
            able = ", ".join(name for name, kind in hook.vendor.kinds.items() if kind.family == spec.family)
            raise InvalidRequestError(
                f"{where} is a job of kind {parent.kind}, which {step.kind} does not go on with",
                advice=f"Nothing was bought. The step must be of a kind like {able}.",
            )


def _check_no_result(step: PlannedStep, place: str, value: Any, *, is_inner: bool = False) -> None:
    """
    Check an argument that is no picture.

    What is inside an argument, such as a model's own fields, may be a picture, unless its name says that it is a text.

    :param is_inner: Whether the value is inside an argument.
    """
    if isinstance(value, Mapping):
        for name, part in value.items():
            _check_no_result(step, f"{place}.{name}", part, is_inner=True)
    elif isinstance(value, list):
        for part in value:
            _check_no_result(step, place, part, is_inner=is_inner)
    elif (found := sorted(names_in(value) & step.inputs)) and not (
        is_inner and "prompt" not in place.rpartition(".")[2].lower()
    ):
        raise InvalidRequestError(
            f"step {step.name!r}: {place} has {{{found[0]}}}, and takes no result of a step",
            advice=f"Nothing was bought. The arguments for pictures and {PARENT} take one.",
        )


class Columns:
    """
    The names of the columns of all items, and what the steps expect of them.

    :param steps: The names of the steps.
    :param wanted: Column to where it is named, such as ``step 'swap'``.
    """

    def __init__(self, steps: Collection[str] = (), wanted: Mapping[str, str] | None = None) -> None:
        self._steps = frozenset(steps)
        self._wanted = dict(wanted or {})
        self._seen: set[str] = set()

    def see(self, names: Collection[str]) -> None:
        """
        Take note of the columns of an item.

        :raises InvalidRequestError: A column has the name of a step.
        """
        if self._seen.issuperset(names):
            return
        self._seen.update(names)
        if both := sorted(self._steps & self._seen):
            raise InvalidRequestError(
                f"steps: {both[0]!r} is the name of a step and of a column",
                advice="Nothing was bought. Rename the step.",
            )

    def check(self) -> None:
        """
        Check that each column that is named is there.

        :raises InvalidRequestError: One is in no item.
        """
        for name, where in self._wanted.items():
            if name in self._seen or not self._seen:
                continue
            known = sorted(self._seen | self._steps)
            close = get_close_matches(name, known, n=1)
            meant = f"; is {{{close[0]}}} meant?" if close else ""
            listed = ", ".join(cut(one, _SHOWN) for one in sorted(self._seen)[:_LISTED])
            raise InvalidRequestError(
                f"{where} names {{{name}}}, which is neither a column of the items nor an earlier step{meant}",
                advice=f"Nothing was bought. The columns are: {listed}.",
            )
