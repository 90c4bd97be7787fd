"""Operator for a picture made from a text, at any vendor that generates, with failover."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.rendered import as_text, is_rendered_to_nothing
from airflow_provider_faceswap.operators._failover import FailoverOperator
from airflow_provider_faceswap.vendors.base import GENERATED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_faceswap.hooks.base import JobHook
    from airflow_provider_faceswap.jobs import Job, Submission
    from airflow_provider_faceswap.operators._keywords import FailoverArguments


class ImageOperator(FailoverOperator):
    """
    Generate a picture from a text, at the first vendor that succeeds.

    The next connection is tried under the same rules as in
    :class:`~airflow_provider_faceswap.operators.faceswap.FaceSwapOperator`.

    :param prompt: What to draw.
    :param conn_ids: Connections of this package's types, the preferred one first. With ``resume_job_id``, the first
        must be the account of that job; no other is tried.
    :param model: The model under its vendor's own name, or a mapping of connection ids to such names, because no two vendors
        have the same models. Default: the one that is named on the vendor's page in the documentation.
    """

    template_fields: Sequence[str] = ("prompt", "model", *FailoverOperator.template_fields)
    default_timeout: ClassVar[float] = 1800.0

    def __init__(
        self,
        *,
        prompt: Any,
        conn_ids: Sequence[str],
        model: str | Mapping[str, str] | None = None,
        **kwargs: Unpack[FailoverArguments],
    ) -> None:
        super().__init__(conn_ids=conn_ids, **kwargs)
        self.prompt = prompt
        self.model = model
        #: The kind and the arguments of the job at the connection that is tried.
        self._job: tuple[str, dict[str, Any]] = (GENERATED, {})

    @property
    def kind(self) -> str:
        """What the vendor of the connection that is tried calls it."""
        return self._job[0]

    def arguments(self) -> dict[str, Any]:
        """The content arguments under their neutral names."""
        return {"prompt": self.prompt, "model": self.model}

    def _rendered_arguments(self, context: Context) -> dict[str, Any]:
        del context
        return dict(self._job[1])

    def _turn_to(self, hook: JobHook) -> None:
        """
        Take kind and arguments as the vendor of this connection names them.

        :raises InvalidRequestError: It generates no pictures, or an argument is no text.
        """
        if (generation := hook.vendor.generation) is None:
            raise InvalidRequestError(
                f"connection {hook.conn_id!r}: this vendor does not generate pictures",
                vendor=hook.vendor.name,
                advice="Nothing was bought. Take the connection out of conn_ids.",
            )
        model = self.model.get(hook.conn_id) if isinstance(self.model, Mapping) else self.model
        named = {"prompt": self.prompt, "model": model}
        self._job = generation.job(
            {
                name: self._as_text(name, value)
                for name, value in named.items()
                if not is_rendered_to_nothing(value)
            }
        )

    def _submit(self, context: Context, hook: JobHook) -> tuple[Submission, Job | None]:
        """Submit or resume the job as the vendor of this connection makes it."""
        self._turn_to(hook)
        if is_rendered_to_nothing(self.prompt) and not self.resumes:
            raise InvalidRequestError("prompt: is empty", advice="Nothing was bought. Give a prompt.")
        return super()._submit(context, hook)

    @staticmethod
    def _as_text(name: str, value: Any) -> str:
        try:
            return as_text(value).strip()
        except ValueError as error:
            raise InvalidRequestError(f"{name}: {error}", advice="Nothing was bought.") from None
