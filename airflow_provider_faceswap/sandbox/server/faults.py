"""Faults that a test can inject: their types, the requests they apply to, and how often."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

#: What a request to a vendor does.
OPERATIONS = ("create", "fetch", "cancel", "list", "account", "upload", "download")

#: Types that change how a vendor answers, rather than one answer: they apply together with any other fault.
MANNERS = frozenset({"hide_cause", "strict_links", "not_ready", "drop_webhook", "delay_webhook"})

_ANY = frozenset(OPERATIONS)
#: Operations that each type of fault can apply to; one injected without an operation applies to all of these.
_MEETS = {
    "status": _ANY,
    "hang": _ANY,
    "drop": _ANY,
    "truncate": _ANY,
    "malformed": _ANY,
    "redirect": _ANY,
    "delay": _ANY,
    "fail_in": frozenset({"create"}),
    "result_format": frozenset({"create"}),
    "unknown_status": frozenset({"fetch"}),
    "no_output": frozenset({"fetch"}),
    "not_found": frozenset({"fetch", "cancel"}),
    "fail_job": frozenset({"create"}),
    "expired": frozenset({"download"}),
    "refuse": _ANY - {"download"},
    "hide_cause": _ANY - {"download"},
    "strict_links": frozenset({"create"}),
    "not_ready": frozenset({"download"}),
    "drop_webhook": frozenset({"create"}),
    "delay_webhook": frozenset({"create"}),
}
#: Fields of each type of fault, with the Python types of their values.
_FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "status": {
        "status": (int,),
        "retry_after": (int, float, str),
        "body": (str, dict, list),
        "billed": (bool,),
    },
    "hang": {"seconds": (int, float)},
    "drop": {"when": (str,)},
    "truncate": {},
    "malformed": {},
    "redirect": {"location": (str,)},
    "delay": {"seconds": (int, float)},
    "fail_in": {"field": (str,), "message": (str,)},
    "result_format": {"format": (str,)},
    "unknown_status": {"word": (str,)},
    "no_output": {},
    "not_found": {},
    "fail_job": {"message": (str,)},
    "expired": {},
    "refuse": {"reason": (str,), "status": (int,)},
    "hide_cause": {"place": (str,)},
    "strict_links": {},
    "not_ready": {"seconds": (int, float)},
    "drop_webhook": {"when": (str,)},
    "delay_webhook": {"seconds": (int, float)},
}
_OPTIONAL = {"retry_after", "body", "billed"}
#: The only values of a field.
_CHOICES = {
    "when": ("before", "after"),
    "reason": ("busy", "no_credits"),
    "place": ("raw_message", "logs"),
    "field": ("message", "error", "error.message"),
    "format": ("jpg", "webp", "avif"),
}
_LOWEST_STATUS, _HIGHEST_STATUS = 200, 599


class FaultError(ValueError):
    """A fault is described wrongly; the text says what to change."""


@dataclass
class Fault:
    """One injected fault.

    :param id: number by which it is listed.
    :param type: a key of the table of types.
    :param details: the type's own fields.
    :param vendor: a vendor's name, ``files``, or ``None`` for any.
    :param operation: one of :data:`OPERATIONS`, or ``None`` for every one that the type can apply to.
    :param kind: kind of job, or ``None`` for any.
    :param times: how many matching requests it applies to; ``None`` until cleared.
    :param skip: how many matching requests are let through before.
    :param per_job: whether requests are counted for each job on its own.
    """

    id: int
    type: str
    details: dict[str, Any]
    vendor: str | None = None
    operation: str | None = None
    kind: str | None = None
    times: int | None = 1
    skip: int = 0
    per_job: bool = False
    hits: int = 0
    _met: Counter[str | None] = field(default_factory=Counter)

    def meets(self, vendors: tuple[str, ...], operation: str, kind: str | None) -> bool:
        """Whether the fault is for such a request; a download belongs to the files and to its vendor."""
        return (
            (self.vendor is None or self.vendor in vendors)
            and operation in _MEETS[self.type]
            and (self.operation is None or self.operation == operation)
            and (self.kind is None or self.kind == kind)
        )

    def takes(self, job_id: str | None) -> bool:
        """Count one request that it is for, and decide whether it applies to this one."""
        counted_for = job_id if self.per_job else None
        before = self._met[counted_for]
        self._met[counted_for] += 1
        taken = self.skip <= before and (self.times is None or before < self.skip + self.times)
        self.hits += taken
        return taken

    def listed(self) -> dict[str, Any]:
        """The fault as the control endpoint lists it."""
        met = 0 if self.per_job else self._met[None]
        return {
            "id": self.id,
            "vendor": self.vendor,
            "operation": self.operation,
            "kind": self.kind,
            "times": None if self.times is None else self.times - (0 if self.per_job else self.hits),
            "skip": max(0, self.skip - met),
            "per_job": self.per_job,
            "hits": self.hits,
            "fault": {"type": self.type, **self.details},
        }


@dataclass
class FaultBook:
    """The injected faults, oldest first; the first one that matches a request is applied to it.

    One of each type in :data:`MANNERS` can be applied as well.

    :param vendors: the names that a fault can give as ``vendor``.
    """

    vendors: tuple[str, ...]
    faults: list[Fault] = field(default_factory=list)
    _issued: int = 0

    def order(self, description: object) -> Fault:
        """Add the fault that a request body describes.

        :param description: the decoded JSON body.
        :raises FaultError: if it does not describe a fault.
        """
        if not isinstance(description, dict):
            raise FaultError("the body must be a JSON object")
        unknown = set(description) - {"vendor", "operation", "kind", "times", "skip", "per_job", "fault"}
        if unknown:
            raise FaultError(f"unknown fields: {', '.join(sorted(unknown))}")
        fault_type, details = _details(description.get("fault"))
        vendor = _one_of(description.get("vendor"), "vendor", self.vendors)
        operation = _one_of(description.get("operation"), "operation", OPERATIONS)
        if operation is not None and operation not in _MEETS[fault_type]:
            raise FaultError(f"a {fault_type} fault applies only to: {', '.join(sorted(_MEETS[fault_type]))}")
        kind = description.get("kind")
        if kind is not None and not isinstance(kind, str):
            raise FaultError("kind must be a string or null")
        times = description.get("times", 1)
        if times is not None and (not _whole(times) or times < 1):
            raise FaultError("times must be a whole number from 1, or null for 'until cleared'")
        skip = description.get("skip", 0)
        if not _whole(skip) or skip < 0:
            raise FaultError("skip must be a whole number from 0")
        per_job = description.get("per_job", False)
        if not isinstance(per_job, bool):
            raise FaultError("per_job must be true or false")
        self._issued += 1
        fault = Fault(self._issued, fault_type, details, vendor, operation, kind, times, skip, per_job)
        self.faults.append(fault)
        return fault

    def take(
        self,
        vendors: tuple[str, ...],
        operation: str,
        kind: str | None,
        manner: str | None = None,
        *,
        job_id: str | None = None,
    ) -> Fault | None:
        """The fault that applies to a request, if any; this counts the hit.

        :param vendors: the names that the request belongs to.
        :param operation: one of :data:`OPERATIONS`.
        :param kind: kind of the job in question, when known.
        :param manner: the one of :data:`MANNERS` to look for; ``None`` looks for a fault of any other type.
        :param job_id: the job in question, when known.
        """
        for fault in self.faults:
            wanted = fault.type not in MANNERS if manner is None else fault.type == manner
            if wanted and fault.meets(vendors, operation, kind) and fault.takes(job_id):
                return fault
        return None

    def clear(self) -> None:
        """Drop all faults."""
        self.faults.clear()

    def listed(self) -> list[dict[str, Any]]:
        """All faults with their remaining counts."""
        return [fault.listed() for fault in self.faults]


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _one_of(value: object, name: str, allowed: tuple[str, ...]) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in allowed:
        raise FaultError(f"{name} must be null or one of: {', '.join(allowed)}")
    return value


def _details(description: object) -> tuple[str, dict[str, Any]]:
    """Type and checked fields of the ``fault`` object."""
    if not isinstance(description, dict):
        raise FaultError("fault must be an object with a type")
    name = description.get("type")
    if name not in _FIELDS:
        raise FaultError(f"fault.type must be one of: {', '.join(_FIELDS)}")
    fields = _FIELDS[name]
    details = {key: value for key, value in description.items() if key != "type"}
    unknown = set(details) - set(fields)
    if unknown:
        raise FaultError(f"a fault of type {name!r} has no field: {', '.join(sorted(unknown))}")
    for key, types in fields.items():
        if key in details:
            _check_value(key, details[key], types)
        elif key not in _OPTIONAL:
            raise FaultError(f"a fault of type {name!r} needs the field {key!r}")
    return str(name), details


def _check_value(key: str, value: Any, types: tuple[type, ...]) -> None:
    fitting = isinstance(value, types) and (bool in types or not isinstance(value, bool))
    if not fitting:
        raise FaultError(f"fault.{key} must be of type {' or '.join(kind.__name__ for kind in types)}")
    if key == "status" and not _LOWEST_STATUS <= value <= _HIGHEST_STATUS:
        raise FaultError(f"fault.status must be from {_LOWEST_STATUS} to {_HIGHEST_STATUS}")
    if key == "seconds" and value < 0:
        raise FaultError("fault.seconds must not be negative")
    if key in _CHOICES and value not in _CHOICES[key]:
        raise FaultError(f"fault.{key} must be {' or '.join(map(repr, _CHOICES[key]))}")
