"""The error of a failed task, left where the gallery finds it: Airflow itself keeps it only in the log."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_faceswap.exceptions import FaceSwapError
from airflow_provider_faceswap.foundation.redaction import error_line
from airflow_provider_faceswap.gallery import FAILURE_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import BaseOperator, Context

Method = TypeVar("Method", bound="Callable[..., Any]")

_log = logging.getLogger(__name__)


def failure_shown(method: Method) -> Method:
    """
    Let a method of an operator leave its error in the XCom ``faceswap_failure``.

    Airflow deletes the XComs of an attempt when the next one begins, so there is one only after the last attempt failed.
    """

    @wraps(method)
    def watched(self: Any, context: Context, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, context, *args, **kwargs)
        except AirflowSkipException:
            raise
        except Exception as error:
            _leave(self, context, error)
            raise

    return cast("Method", watched)


def _leave(operator: BaseOperator, context: Context, error: Exception) -> None:
    if not operator.do_xcom_push:
        return
    try:
        context["ti"].xcom_push(key=FAILURE_KEY, value=_described(operator, error))
    except Exception as another:  # noqa: BLE001 - the error of the task is the one to raise
        _log.debug("The error is not left for the gallery (%s)", type(another).__name__)


def _described(operator: BaseOperator, error: Exception) -> dict[str, Any]:
    """What the gallery shows of an error: nothing that the log does not show."""
    ours = isinstance(error, FaceSwapError)
    described = {
        "error": type(error).__name__,
        "message": str(error) if ours else error_line(error),
        "kind": getattr(operator, "kind", None),
        **{name: getattr(error, name, None) if ours else None for name in ("vendor", "job_id")},
    }
    outcome = getattr(operator, "outcome", None)
    if isinstance(outcome, Mapping) and "total" in outcome:
        described["batch"] = dict(outcome)
    return {name: value for name, value in described.items() if value is not None}
