"""When Airflow tries a failed task again: the tree of errors as a retry policy."""

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
    FaceSwapError,
    InvalidRequestError,
    JobLostError,
)

if TYPE_CHECKING:
    from airflow.sdk import RetryDecision, RetryPolicy
    from airflow.sdk.definitions.context import Context
else:
    try:
        from airflow.sdk import RetryDecision, RetryPolicy
    except ImportError:  # Airflow 3.1 and 3.2 have none
        RetryDecision, RetryPolicy = None, object

#: Errors that no further try can help, beside those that are fail-fast anyway: the answer would be the same.
HOPELESS = (AirflowFailException, JobLostError)
#: Seconds; a vendor that asks for more patience than this is asked again all the same.
LONGEST_ASKED = 3600.0
#: A delay that the vendor did not name is longer by up to this share, so that mapped tasks do not come back as one.
SPREAD = 0.25


@dataclass(frozen=True)
class FaceSwapRetryPolicy(RetryPolicy):
    """
    Decide by the error whether a failed task is tried again, and when.

    No further try for errors that it cannot help; the vendor's ``Retry-After`` as the delay where it said one, up to
    an hour; a delay that doubles from try to try for every other error of this package; Airflow's own rules for the
    errors of others.

    The task's ``retries`` is the most that a policy can use. An Airflow before 3.3 has no retry policies, and making
    one raises Airflow's own ``AirflowOptionalProviderFeatureException``; :func:`retry_arguments` is for every Airflow.

    :param first: Seconds before the second try.
    :param longest: The most seconds between two tries, unless the vendor asks for more.
    :raises InvalidRequestError: A number is not above zero, or ``longest`` is below ``first``.
    """

    first: float = 15.0
    longest: float = 900.0

    def __post_init__(self) -> None:
        """Check what was given, while the Dag is parsed."""
        if RetryDecision is None:
            raise AirflowOptionalProviderFeatureException(
                "FaceSwapRetryPolicy needs an Airflow with retry policies, 3.3 or newer; "
                "**retry_arguments() gives what this one can do"
            )
        if not 0 < self.first <= self.longest:
            raise InvalidRequestError(
                f"first and longest: must be seconds above 0, first not above longest, got {self.first!r} and "
                f"{self.longest!r}"
            )

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002 - Airflow itself stops at the last try
        context: Context | None = None,  # noqa: ARG002 - the error says enough
    ) -> RetryDecision:
        """
        Decide about one failure; Airflow calls it in the worker.

        :param exception: What ended the try.
        :param try_number: From 1.
        :returns: The decision; its reason names the class of the error and no more, as Airflow stores it.
        """
        if not isinstance(exception, FaceSwapError):
            return RetryDecision.default()
        name = type(exception).__name__
        if isinstance(exception, HOPELESS):
            return RetryDecision.fail(f"{name}: another try cannot help")
        asked = getattr(exception, "retry_after", None)
        if asked is not None:
            delay = timedelta(seconds=min(asked, LONGEST_ASKED))
            return RetryDecision.retry(delay, f"{name}: the vendor asked to wait {asked:g} s")
        seconds = self._pause(try_number)
        return RetryDecision.retry(timedelta(seconds=seconds), f"{name}: again in {seconds:.0f} s")

    def _pause(self, try_number: int) -> float:
        """Seconds after a try that nobody named a delay for."""
        doublings = min(max(try_number, 1) - 1, 32)  # a task that was cleared often has high numbers
        seconds = min(self.first * 2.0**doublings, self.longest)
        return seconds * random.uniform(1, 1 + SPREAD)  # noqa: S311 - spreads tries, guards nothing

    def serialize(self) -> dict[str, Any]:
        """The policy as plain JSON."""
        return asdict(self)

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:
        """Make it again."""
        return cls(**data)


def retry_arguments(retries: int = 5, *, first: float = 15.0, longest: float = 900.0) -> dict[str, Any]:
    """
    Arguments for any operator, or for a Dag's ``default_args``, that make its retries fit this package's errors.

    On Airflow 3.3 and newer that is a :class:`FaceSwapRetryPolicy`. Before, it is Airflow's own growing delay for
    every error but the fail-fast ones: a ``Retry-After`` is not seen there, and a lost job is asked for again.

    :param retries: How often a task is tried again at most.
    :param first: Seconds before the second try.
    :param longest: The most seconds between two tries.
    :returns: Keyword arguments: ``GPTunnelFaceSwapOperator(..., **retry_arguments())``.
    """
    # Airflow 3.1 wants a switch, and later ones a factor, which takes True for 1: no growth at all.
    switch = isinstance(BaseOperator.retry_exponential_backoff, bool)
    arguments: dict[str, Any] = {
        "retries": retries,
        "retry_delay": timedelta(seconds=first),
        "retry_exponential_backoff": True if switch else 2.0,
        "max_retry_delay": timedelta(seconds=longest),
    }
    if RetryDecision is not None:
        arguments["retry_policy"] = FaceSwapRetryPolicy(first=first, longest=longest)
    return arguments
