"""Thousands of items in one task: face swaps, or chains of jobs at any vendors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Unpack

from airflow_provider_faceswap.batch.steps import PlannedStep, Step, check_steps
from airflow_provider_faceswap.batch.templates import names_in, parsed
from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.rendered import is_set
from airflow_provider_faceswap.foundation.validation import as_choice
from airflow_provider_faceswap.hooks.base import hook_for_connection
from airflow_provider_faceswap.operators._batch import KEY, BatchOperator
from airflow_provider_faceswap.spending.amounts import as_price
from airflow_provider_faceswap.vendors.base import GENERATED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_faceswap.batch.options import JobOptions
    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.operators._keywords import BatchArguments

__all__ = ["KEY", "FaceSwapBatchOperator", "MediaBatchOperator", "Step"]


class FaceSwapBatchOperator(BatchOperator):
    """
    Swap many faces in one task instance, and archive each picture as soon as it is done.

    Each item is a mapping with ``target_image``, ``face_image`` and the other arguments of the vendor's face swap. All other
    arguments and the return value are those of :class:`~airflow_provider_faceswap.operators._batch.BatchOperator`.

    :param conn_id: A connection of this package's types.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "conn_id")
    kind = "face_swap"

    def __init__(self, *, conn_id: str, **kwargs: Unpack[BatchArguments]) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id

    def planned_steps(self) -> tuple[PlannedStep, ...]:
        """The one step, whose arguments are the columns of the item."""
        hook = hook_for_connection(self.conn_id)
        return (
            PlannedStep(
                self.kind,
                self.kind,
                (hook,),
                self.timeout,
                self.poll_interval,
                self.preflight,
                price=as_price(self.price),
            ),
        )


class MediaBatchOperator(BatchOperator):
    """
    Take many items through a chain of jobs in one task instance, such as generate, then swap the face, then archive.

    The summary has ``steps``, too: for each step ``jobs`` (of this attempt), ``reused`` (of earlier attempts), ``failed``,
    ``cost`` and ``cost_in_all`` (unit to amount). All other arguments and the return value are those of
    :class:`~airflow_provider_faceswap.operators._batch.BatchOperator`.

    :param steps: The jobs of each item, in their order. A step can use the columns of the item and the results of earlier
        steps: see :class:`Step`.
    :param filename: The name of the archived file, with columns in braces, such as ``{name}``. Default: the column
        ``filename``, or else vendor, kind and job id.
    :param keep: Archive the picture of the ``last`` step, or those of ``all`` steps. The name of an earlier step's picture
        ends in the step's name.
    """

    def __init__(
        self,
        *,
        steps: Sequence[Step],
        filename: str | None = None,
        keep: Literal["last", "all"] = "last",
        **kwargs: Unpack[BatchArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.steps = check_steps(steps)
        self.keep = as_choice("keep", keep, ("last", "all"))
        self.filename = filename
        self._filename = _parsed_filename(filename, self.steps)

    def planned_steps(self) -> tuple[PlannedStep, ...]:
        """The steps with the hooks of their connections, each connection once."""
        hooks: dict[str, JobHook] = {}
        planned: list[PlannedStep] = []
        # The operator's price is in the unit in which the first of the steps is charged.
        unit = ""
        for step in self.steps:
            for conn_id in step.conn_ids:
                if conn_id not in hooks:
                    hooks[conn_id] = hook_for_connection(conn_id)
                _check_kind(step, hooks[conn_id])
            own_unit = hooks[step.conn_ids[0]].vendor.cost_unit
            unit = unit or own_unit or ""
            price = as_price(self.price) if own_unit in {unit, "", None} else None
            planned.append(
                PlannedStep(
                    step.name,
                    step.kind,
                    tuple(hooks[conn_id] for conn_id in step.conn_ids),
                    step.timeout or self.timeout,
                    step.poll_interval or self.poll_interval,
                    step.preflight or self.preflight,
                    step.arguments,
                    frozenset(step.names & {before.name for before in planned}),
                    price if step.price is None else step.price,
                )
            )
        return tuple(planned)

    def job_options(self, context: Context) -> JobOptions:
        """The options of all jobs of this attempt."""
        return replace(super().job_options(context), filename=self._filename, keep=self.keep)


def _parsed_filename(filename: Any, steps: Sequence[Step]) -> Any:
    if not is_set(filename):
        return None
    if not isinstance(filename, str):
        raise InvalidRequestError(f"filename: must be a text, got {type(filename).__name__}")
    try:
        name = parsed("filename", filename)
    except InvalidRequestError as error:
        raise error.replaced(message=error.message) from None
    if of_steps := sorted(names_in(name) & {step.name for step in steps}):
        raise InvalidRequestError(f"filename: names the step {{{of_steps[0]}}}, and can name columns only")
    return name


def _check_kind(step: Step, hook: JobHook) -> None:
    """
    Check that a connection's vendor sells the kind of a step.

    :raises InvalidRequestError: It does not.
    """
    if step.kind == GENERATED and hook.vendor.generation is not None:
        return
    try:
        hook.vendor.kind(step.kind)
    except InvalidRequestError as error:
        raise error.replaced(
            message=f"step {step.name!r}: {error.message}", advice="Nothing was bought. Correct the step."
        ) from None
