"""The test of a connection: a free request, and a submission that is built and not sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_faceswap.exceptions import FaceSwapError, InvalidRequestError, MalformedResponseError
from airflow_provider_faceswap.foundation.redaction import bare_url
from airflow_provider_faceswap.hooks.private_host import check_private_host

if TYPE_CHECKING:
    from airflow_provider_faceswap.hooks.base import JobHook


def check_connection(hook: JobHook) -> tuple[bool, str]:
    """
    Test key, host and fields.

    :returns: Whether the test succeeded, and one line: the account, or what is wrong.
    """
    asked = ""
    try:
        base_url = hook.endpoint().base_url
        _check_defaults(hook)
        check_private_host(hook.endpoint())
        asked = f" (asked: {bare_url(base_url)})"
        return True, f"{hook.vendor.name}: {hook.account()}{asked}"
    except FaceSwapError as error:
        if isinstance(error, InvalidRequestError | MalformedResponseError) and error.status_code:
            # The request is always the same, so it reached something else than the vendor's API.
            error = error.replaced(
                advice="Nothing was bought. Check that the connection's host is the base URL of this vendor's API."
            )
        # Airflow tests the connection under a temporary id.
        why = str(error).replace(f"connection {hook.conn_id!r}", "this connection")
        return False, f"{why}{asked}"


def _check_defaults(hook: JobHook) -> None:
    """Build a submission with the connection's defaults, and send nothing."""
    picture = "https://example.com/picture.png"
    try:
        hook.prepare("face_swap", target_image=picture, face_image=picture)
    except InvalidRequestError as error:
        raise error.replaced(advice="Nothing was bought. Correct the connection.") from None
