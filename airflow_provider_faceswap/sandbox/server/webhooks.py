"""Webhooks: POSTs to the address that was given with a job, when the job has ended.

They are sent by a thread of its own, which exists only while a webhook is outstanding. It has an event loop, so a
receiver that does not answer costs one of a few connections, and never a request to the sandbox.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from airflow_provider_faceswap.sandbox.server.jobs import CANCELED, RUNNING, Job, View

if TYPE_CHECKING:
    from collections.abc import Callable

#: States of a delivery in the ledger. ``NOT_SENT``: the job was cancelled, or ended before it was seen running.
WAITING, SENDING, DELIVERED, FAILED, NOT_SENT = "waiting", "sending", "delivered", "failed", "not sent"
#: Real seconds between two looks at the sandbox's clock, which a test may move at any time.
_TICK = 0.05
#: Real seconds within which a receiver must have answered.
_PATIENCE = 10.0
#: Requests at the same time.
_MOST_AT_ONCE = 8
#: Real seconds to wait for the thread when the sandbox ends; it is only cancelled, so it needs none of them.
_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Webhook:
    """What a vendor sends about one job.

    :param url: the address that came with the job; nothing is sent if there is none.
    :param body: makes the body from the job's state.
    :param headers: further headers.
    :param attempts: how often it is sent at most, until a response is 2xx.
    :param pause: seconds between two attempts, by the sandbox's clock.
    :param progress: status word of a first webhook, sent once the job runs; ``None`` sends none.
    """

    url: str | None
    body: Callable[[View], dict[str, Any]]
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    attempts: int = 1
    pause: float = 0.0
    progress: str | None = None


@dataclass
class Delivery:
    """One webhook of one job, and its attempts so far.

    :param job: the job that it is about.
    :param webhook: what is sent.
    :param progress: status word of an intermediate webhook; ``None`` for the one about the job's end.
    :param after: the webhook that must be over first.
    :param dropped: ``before``: it gets lost on its way; ``after``: the response to it does.
    :param delay: seconds between the end of the job and the first attempt.
    :param not_before: epoch seconds of the next attempt.
    """

    job: Job
    webhook: Webhook
    progress: str | None = None
    after: Delivery | None = None
    dropped: str | None = None
    delay: float = 0.0
    state: str = WAITING
    not_before: float = 0.0
    attempts: list[dict[str, Any]] = field(default_factory=list)

    def is_due(self, now: float) -> bool:
        """Whether it is time for an attempt."""
        if self.state != WAITING or now < self.not_before:
            return False
        if self.after is not None and self.after.state in (WAITING, SENDING):
            return False
        if self.progress is not None and self.job.phase(now) == RUNNING:
            return True
        ended = self.job.finished_at(now)
        return ended is not None and now >= ended + self.delay

    def begin(self, now: float) -> bool:
        """Take up an attempt that is due.

        :returns: whether there is something to send.
        """
        phase = self.job.phase(now)
        sent = phase == RUNNING if self.progress is not None else phase != CANCELED
        self.state = SENDING if sent else NOT_SENT
        return sent

    def listed(self) -> dict[str, Any]:
        """The delivery as the ledger shows it."""
        return {
            "vendor": self.job.vendor,
            "kind": self.job.kind,
            "job_id": self.job.job_id,
            "url": self.webhook.url,
            "about": "progress" if self.progress is not None else "end",
            "state": self.state,
            "attempts": [dict(attempt) for attempt in self.attempts],
        }


class Webhooks:
    """The webhooks of one sandbox.

    :param now: epoch seconds by the sandbox's clock.
    :param receiver: ``http://host:port`` that gets all webhooks instead of the hosts in their addresses.
    """

    def __init__(self, now: Callable[[], float], receiver: str | None = None) -> None:
        self._now = now
        self.receiver = receiver
        self._deliveries: list[Delivery] = []
        self._outstanding: list[Delivery] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._working = False
        self._stop = threading.Event()

    def expect(self, job: Job, webhook: Webhook, *, dropped: str | None = None, delay: float = 0.0) -> None:
        """Send a webhook when this job has ended.

        :param dropped: see :class:`Delivery`; of every attempt.
        :param delay: seconds between the end of the job and the first attempt.
        """
        first = None if webhook.progress is None else Delivery(job, webhook, webhook.progress)
        end = Delivery(job, webhook, after=first, dropped=dropped, delay=delay)
        new = [end] if first is None else [first, end]
        with self._changed:
            self._deliveries += new
            self._outstanding += new
            if not self._working and not self._stop.is_set():
                self._working = True
                self._thread = threading.Thread(
                    target=lambda: asyncio.run(self._work()), name="sandbox-webhooks", daemon=True
                )
                self._thread.start()

    def listed(self) -> list[dict[str, Any]]:
        """All webhooks, oldest job first, as the ledger shows them."""
        with self._changed:
            return [delivery.listed() for delivery in self._deliveries]

    def reset(self) -> None:
        """Forget all webhooks; the response to one that is being sent is ignored."""
        with self._changed:
            self._deliveries.clear()
            self._outstanding.clear()
            self._changed.notify_all()

    def settle(self, timeout: float = 30.0) -> None:
        """Block until no webhook is due at the present time of the sandbox's clock.

        :param timeout: real seconds to wait at most.
        :raises TimeoutError: if one is still due or being sent by then.
        """

        def quiet() -> bool:
            now = self._now()
            return not any(one.state == SENDING or one.is_due(now) for one in self._outstanding)

        with self._changed:
            if not self._changed.wait_for(quiet, timeout):
                raise TimeoutError("webhooks are still being sent")

    def close(self) -> None:
        """Stop the thread; what has not been delivered is dropped."""
        self._stop.set()
        if (thread := self._thread) is not None:
            thread.join(_STOP_SECONDS)

    async def _work(self) -> None:
        """Send what is due until nothing is outstanding."""
        limit = asyncio.Semaphore(_MOST_AT_ONCE)
        sending: set[asyncio.Task[None]] = set()
        async with httpx.AsyncClient(timeout=_PATIENCE, follow_redirects=False) as client:
            while not self._stop.is_set():
                with self._changed:
                    self._outstanding = [one for one in self._outstanding if one.state in (WAITING, SENDING)]
                    if not self._outstanding:
                        self._working = False
                        return
                    now = self._now()
                    due = [one for one in self._outstanding if one.is_due(now) and one.begin(now)]
                    self._changed.notify_all()
                for one in due:
                    view = View(one.job, now, word=one.progress)
                    task = asyncio.create_task(self._attempt(client, limit, one, view))
                    sending.add(task)
                    task.add_done_callback(sending.discard)
                await asyncio.sleep(_TICK)
            for task in sending:
                task.cancel()

    async def _attempt(
        self, client: httpx.AsyncClient, limit: asyncio.Semaphore, one: Delivery, view: View
    ) -> None:
        """Send a webhook once, and plan the next attempt if that fails."""
        status, error = None, None
        async with limit:
            try:
                async with asyncio.timeout(_PATIENCE):
                    if one.dropped != "before":
                        status = await self._post(client, one.webhook, view)
            except TimeoutError:
                error = f"no response within {_PATIENCE:g} s"
            except Exception as problem:  # noqa: BLE001 - whatever it is, the ledger shows it
                error = str(problem) or type(problem).__name__
        if one.dropped is not None:
            status, error = None, f"dropped by a fault {one.dropped} it arrived"
        with self._changed:
            now = self._now()
            one.attempts.append({"at": now, "status": status, "error": error})
            one.not_before = now + one.webhook.pause
            if status is not None and httpx.codes.is_success(status):
                one.state = DELIVERED
            else:
                one.state = WAITING if len(one.attempts) < one.webhook.attempts else FAILED
            self._changed.notify_all()

    async def _post(self, client: httpx.AsyncClient, webhook: Webhook, view: View) -> int:
        """Send the request.

        :returns: the status of the response; its body is not read.
        :raises ValueError: if the address is not an http(s) link.
        """
        parts = urlsplit(str(webhook.url))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the address is not an http or https link")
        if self.receiver is not None:
            receiver = urlsplit(self.receiver)
            parts = parts._replace(scheme=receiver.scheme, netloc=receiver.netloc)
        body = webhook.body(view)
        async with client.stream("POST", parts.geturl(), json=body, headers=webhook.headers) as response:
            return response.status_code


def checked_receiver(value: object) -> str | None:
    """The root URL that all webhooks go to, or ``None``.

    :raises ValueError: if it is anything else than ``http://host:port``.
    """
    if value is None:
        return None
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise ValueError("webhooks_to must be null or a root URL, such as http://127.0.0.1:9000")
    return f"{parts.scheme}://{parts.netloc}"
