"""The Airflow connections that the pictures of a batch's rows are read with: only those that the task itself names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_faceswap.exceptions import InvalidRequestError
from airflow_provider_faceswap.foundation.redaction import cut
from airflow_provider_faceswap.foundation.rendered import is_text_of_result
from airflow_provider_faceswap.lifecycle.provenance import archived_uri

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

#: Schemes that need no connection: links, which the vendor fetches, and files, for which a setting decides.
_WITHOUT = frozenset({"http", "https", "file", "local", "data"})
#: Characters of a connection's id in a message.
_MAX_SHOWN = 80


@dataclass(frozen=True)
class ItemStorage:
    """
    Connections for the storages of rows. Whoever writes a row must not choose among all connections of this Airflow.

    :param allowed: Connections that a row may name.
    :param usual: By scheme, the connection of a row that names none.
    """

    allowed: frozenset[str] = frozenset()
    usual: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, places: Iterable[tuple[Any, str | None]], more: Collection[str] = ()) -> Self:
        """
        The connections that a task's arguments name.

        :param places: Locations of the task, the most important first, each with its own connection argument.
        :param more: Further connections that rows may name.
        """
        usual: dict[str, str] = {}
        for place, conn_id in places:
            scheme, named = _scheme_and_connection(place)
            if scheme not in _WITHOUT and (found := named or conn_id):
                usual.setdefault(scheme, found)
        named_all = {_scheme_and_connection(place)[1] or conn_id for place, conn_id in places}
        return cls(frozenset(filter(None, named_all)) | frozenset(more), usual)

    def opened(self, arguments: Mapping[str, Any], pictures: Collection[str]) -> dict[str, Any]:
        """
        The arguments of a row, with the connection of each file in object storage.

        :param pictures: The arguments whose texts are pictures.
        :raises InvalidRequestError: A file names another connection.
        """
        return {name: self._opened(name, value, name in pictures) for name, value in arguments.items()}

    def _opened(self, name: str, value: Any, is_picture: bool) -> Any:
        if isinstance(value, ObjectStoragePath):
            return self._with_connection(name, value)
        if (uri := archived_uri(value)) is not None:
            return {**value, "uri": self._with_connection(name, uri)}
        if isinstance(value, Mapping):
            return {key: self._opened(name, part, is_picture=False) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self._opened(name, part, is_picture) for part in value]
        if is_picture and isinstance(value, str) and "://" in value[:16] and not is_text_of_result(value):
            return self._with_connection(name, value)
        return value

    def _with_connection(self, name: str, place: Any) -> Any:
        scheme, conn_id = _scheme_and_connection(place)
        if scheme in _WITHOUT:
            return place
        if conn_id is None:
            usual = self.usual.get(scheme)
            rest = str(place).partition("://")[2]
            return place if usual is None else f"{scheme}://{usual}@{rest}"
        if conn_id not in self.allowed:
            raise InvalidRequestError(
                f"{name}: the row names the connection {cut(conn_id, _MAX_SHOWN)!r}, which is in none of items, "
                "destination and picture_conn_ids of the task"
            )
        return place


def _scheme_and_connection(place: Any) -> tuple[str, str | None]:
    """The scheme of a location and the connection in its user info; those of a disk if it has none."""
    if not isinstance(place, str | ObjectStoragePath):
        return "file", None
    scheme, mark, rest = str(place).strip().partition("://")
    if not mark:
        return "file", None
    named = rest.partition("/")[0].rpartition("@")[0] or None
    return scheme.lower(), (getattr(place, "conn_id", None) or named)
