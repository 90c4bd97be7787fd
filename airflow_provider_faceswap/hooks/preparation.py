"""From a user's arguments to a submission that can be sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.rendered import is_rendered_to_nothing, is_set, set_arguments
from airflow_provider_faceswap.foundation.text import check_sendable
from airflow_provider_faceswap.media.placeholders import with_uploaded_links
from airflow_provider_faceswap.media.preflight import PREFLIGHTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_faceswap.media.preflight import Preflight
    from airflow_provider_faceswap.vendors.base import Vendor
    from airflow_provider_faceswap.vendors.messages import Reply, Request


def build_submission(
    vendor: Vendor,
    options: Mapping[str, Any],
    kind: str,
    arguments: Mapping[str, Any],
    preflight: Preflight,
) -> Request:
    """
    Check the arguments and build the submission.

    :param options: The connection's extra fields, whose defaults fill arguments that are not set.
    :raises InvalidRequestError: An argument is wrong.
    """
    if preflight not in PREFLIGHTS:
        raise InvalidRequestError(f"preflight: must be one of {', '.join(PREFLIGHTS)}, got {preflight!r}")
    spec = vendor.kind(kind)
    known = spec.arguments.model_fields
    given = {
        name: value
        for name, value in set_arguments(arguments).items()
        if name not in known or known[name].is_required() or not is_rendered_to_nothing(value)
    }
    if "webhook" in given and "webhook_secret" in known:
        given.setdefault("webhook_secret", options.get("webhook_secret"))
    for name in vendor.connection_arguments:
        if name in known and name not in given and is_set(options.get(name)):
            given[name] = options[name]
    for name, value in given.items():
        check_sendable(name, value)
    # Not when a Dag is parsed: what opens pictures is a fifth of an operator's import.
    from airflow_provider_faceswap.media.inputs import MediaPreparer

    media = MediaPreparer(vendor, preflight)
    sent, named = media.arguments(spec.media, given)
    request = replace(vendor.submit(kind, sent), doubts=tuple(media.doubts))
    if sent == named and not media.uploads:
        return request
    return replace(request, known_as=vendor.submit(kind, named).body, uploads=media.uploads)


def upload_files(
    vendor: Vendor, request: Request, read: Callable[[Request, Callable[[Reply], str]], str]
) -> Request:
    """
    Store a submission's files at the vendor, and put their links into it.

    :param read: Sends a request that can be repeated.
    :raises VendorError: The vendor refused a file.
    """
    if not request.uploads or vendor.uploads is None:
        return request
    links = {}
    for placeholder, data in request.uploads.items():
        upload = vendor.uploads.request(placeholder.rpartition("/")[2], data)
        links[placeholder] = read(upload, vendor.uploads.read)
    return with_uploaded_links(request, links)
