"""Retry policy: which errors are worth a retry, and when."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowOptionalProviderFeatureException,
    BaseOperator,
)

from airflow_provider_faceswap.exceptions import (
    BudgetBusyError,
    FaceSwapError,
    InvalidRequestError,
    JobLostError,
    RateLimitError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.foundation.validation import as_count

if TYPE_CHECKING:
    from airflow.sdk import RetryDecision, RetryPolicy
    from airflow.sdk.definitions.context import Context
else:
    try:
        from airflow.sdk import RetryDecision, RetryPolicy
    except ImportError:  # Airflow 3.1 and 3.2
        RetryDecision, RetryPolicy = None, object

#: Errors that a retry cannot help: the result would be the same.
HOPELESS = (AirflowFailException, JobLostError)
#: Errors of a moment: the vendor accepts nothing now, or cannot be reached, or a budget has no room.
PASSING = (RateLimitError, VendorUnavailableError, BudgetBusyError)
#: Seconds; a longer ``Retry-After`` is cut to this.
LONGEST_RETRY_AFTER = 3600.0
#: Every other delay is longer by up to this share, so that mapped tasks do not retry at the same moment.
SPREAD = 0.25


@dataclass(frozen=True)
class FaceSwapRetryPolicy(RetryPolicy):
    """
    Decide from the error whether a failed task is retried, and when.

    An error that a retry cannot help fails the task. After a response with ``Retry-After``, that is the delay, up to an
    hour. For every other error of this package the delay doubles from attempt to attempt. Other errors follow Airflow's
    own rules.

    The task's ``retries`` still limits the attempts. Airflow below 3.3 has no retry policies: the constructor raises
    Airflow's ``AirflowOptionalProviderFeatureException``. :func:`retry_arguments` works with every Airflow.

    :param first: Seconds before the second attempt.
    :param longest: Maximum seconds between two attempts, unless the vendor asks for more.
    :param max_reschedules: How often one attempt may be put off after a rate limit or an outage, after the same delay, or
        to the next period of a budget, without using a retry. Airflow below 3.4 cannot do that: it uses a retry.
    :raises InvalidRequestError: A number is not above zero, or ``longest`` is below ``first``.
    """

    first: float = 15.0
    longest: float = 900.0
    max_reschedules: int = 0

    def __post_init__(self) -> None:
        """Check the arguments when the Dag is parsed."""
        if RetryDecision is None:
            raise AirflowOptionalProviderFeatureException(
                "FaceSwapRetryPolicy needs Airflow 3.3 or newer. "
                "**retry_arguments() works with this version too."
            )
        if not 0 < self.first <= self.longest:
            raise InvalidRequestError(
                "first and longest: must be numbers of seconds greater than 0, and first must not exceed "
                f"longest; got {self.first!r} and {self.longest!r}"
            )
        if self.max_reschedules != 0:
            as_count("max_reschedules", self.max_reschedules)

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002 - Airflow itself stops after the last attempt
        context: Context | None = None,  # noqa: ARG002 - the error says enough
    ) -> RetryDecision:
        """
        Decide after one failure; Airflow calls this in the worker.

        :param exception: The error that ended the attempt.
        :param try_number: From 1.
        :returns: The decision. Airflow stores its reason, so that names only the class of the error.
        """
        if not isinstance(exception, FaceSwapError):
            return RetryDecision.default()
        name = type(exception).__name__
        if isinstance(exception, HOPELESS):
            return RetryDecision.fail(f"{name}: a retry cannot help")
        retry_after = getattr(exception, "retry_after", None)
        if isinstance(exception, BudgetBusyError) and retry_after is not None:
            seconds = retry_after
            reason = f"{name}: the budget's next period begins in {retry_after:.0f} s"
        elif retry_after is not None:
            seconds = min(retry_after, LONGEST_RETRY_AFTER)
            reason = f"{name}: the vendor asked to wait {retry_after:g} s"
        else:
            seconds = self._pause(try_number)
            reason = f"{name}: retry in {seconds:.0f} s"
        delay = timedelta(seconds=seconds)
        if self.max_reschedules and isinstance(exception, PASSING) and hasattr(RetryDecision, "reschedule"):
            later: RetryDecision = RetryDecision.reschedule(
                delay, max_reschedules=self.max_reschedules, reason=reason
            )
            return later
        return RetryDecision.retry(delay, reason)

    @property
    def reschedules(self) -> bool:
        """True if an attempt may be put off, which Airflow below 3.4 cannot do."""
        return bool(self.max_reschedules) and hasattr(RetryDecision, "reschedule")

    def _pause(self, try_number: int) -> float:
        """The delay in seconds, if the vendor asked for none."""
        doublings = min(max(try_number, 1) - 1, 32)  # the number is high for a task that was cleared often
        seconds = min(self.first * 2.0**doublings, self.longest)
        return seconds * random.uniform(1, 1 + SPREAD)  # noqa: S311 - spreads retries, guards nothing

    def serialize(self) -> dict[str, Any]:
        """The policy as plain JSON."""
        return {name: value for name, value in asdict(self).items() if name != "max_reschedules" or value}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:
        """The policy from its plain JSON."""
        return cls(**data)


def retry_arguments(
    retries: int = 5, *, first: float = 15.0, longest: float = 900.0, max_reschedules: int = 0
) -> dict[str, Any]:
    """
    Arguments for retries that fit this package's errors, for any operator or a Dag's ``default_args``.

    On Airflow 3.3 and newer they contain a :class:`FaceSwapRetryPolicy`. Below, only Airflow's own growing delay: it
    ignores ``Retry-After``, and it also retries after ``JobLostError``.

    :param retries: Maximum number of retries of a task.
    :param first: Seconds before the second attempt.
    :param longest: Maximum seconds between two attempts.
    :param max_reschedules: As for :class:`FaceSwapRetryPolicy`; without effect below Airflow 3.4.
    :returns: Keyword arguments: ``GPTunnelFaceSwapOperator(..., **retry_arguments())``.
    """
    # Airflow 3.1 takes a switch, later versions a factor; there True means 1, which is no growth.
    switch = isinstance(BaseOperator.retry_exponential_backoff, bool)
    arguments: dict[str, Any] = {
        "retries": retries,
        "retry_delay": timedelta(seconds=first),
        "retry_exponential_backoff": True if switch else 2.0,
        "max_retry_delay": timedelta(seconds=longest),
    }
    if RetryDecision is not None:
        arguments["retry_policy"] = FaceSwapRetryPolicy(
            first=first, longest=longest, max_reschedules=max_reschedules
        )
    return arguments
