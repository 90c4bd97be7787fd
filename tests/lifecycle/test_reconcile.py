"""A create got no answer: the vendor's list says whether there is a job, and nothing is taken on a doubt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from airflow_provider_faceswap.exceptions import SubmissionUncertainError
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.hooks.piapi import PiAPIHook
from airflow_provider_faceswap.hooks.tengrai import TengraiHook
from airflow_provider_faceswap.lifecycle.reconcile import MOST_CANDIDATES, MOST_PAGES, find_job
from airflow_provider_faceswap.operators.piapi import PiAPIFaceSwapOperator
from airflow_provider_faceswap.operators.tengrai import TengraiFaceSwapOperator

TARGET = "https://pictures.test/target.jpg"
FACE = "https://pictures.test/face.jpg"
PICTURES = {"target_image": TARGET, "face_image": FACE}
DONE_URL = "https://storage.test/result.webp"
LOOKS = [5.0, 5.0, 5.0]


class Log:
    """Remembers what was told."""

    def __init__(self):
        self.infos = []
        self.warnings = []

    def info(self, text, *args):
        self.infos.append(text % args)

    def warning(self, text, *args):
        self.warnings.append(text % args)


@pytest.fixture
def log():
    return Log()


class Died(BaseException):
    """The worker is gone: nothing in the package catches this."""


class Api:
    """A vendor with a list, which answers by the path and not in an order."""

    def __init__(self, vendor, clock):
        self.vendor = vendor
        self.clock = clock
        self.jobs = {}
        self.lists = []
        self.creates = []
        self.on_create = lambda: httpx.ReadTimeout("no answer")
        self.on_list = None
        vendor.answers = self

    def popleft(self):
        """Stand in for the fixture's queue of answers; the request is the last one remembered."""
        request = self.vendor.requests[-1]
        if request.method == "POST":
            self.creates.append(request)
            answer = self.on_create()
            if isinstance(answer, BaseException) and not isinstance(answer, Exception):
                raise answer
            return answer
        if request.url.path in {"/v2/artworks", "/api/open/tasks/histories"}:
            self.lists.append(dict(request.url.params))
            if self.on_list is not None and (answer := self.on_list(len(self.lists))) is not None:
                return answer
            return httpx.Response(200, json=self.page(dict(request.url.params)))
        job = self.jobs.get(request.url.path.rpartition("/")[2])
        return httpx.Response(200, json=self.record(job)) if job else httpx.Response(404, text="none")

    @property
    def reads(self):
        return [request for request in self.vendor.requests if request.url.path.endswith(tuple(self.jobs))]


class TengraiApi(Api):
    def add(self, job_id, **more):
        made = datetime.fromtimestamp(self.clock.now(), UTC).isoformat()
        self.jobs[job_id] = {
            "id": job_id,
            "artworkType": "face_swap",
            "status": "succeeded",
            "results": [DONE_URL],
            "parameters": {"targetImage": TARGET, "sourceImage": FACE, "seed": 99, "denoising": 3},
            "createdAt": made,
            **more,
        }

    def other(self, job_id):
        self.add(job_id, parameters={"targetImage": FACE, "sourceImage": TARGET})

    def page(self, params):
        start, size = int(params["offset"]), int(params["limit"])
        return list(self.jobs.values())[start : start + size]

    def record(self, job):
        return job


class PiapiApi(Api):
    def add(self, job_id, **more):
        self.jobs[job_id] = {
            "task_id": job_id,
            "model": "Qubico/image-toolkit",
            "task_type": "face-swap",
            "status": "completed",
            "input": {"target_image": TARGET, "swap_image": FACE},
            "output": {"image_url": DONE_URL},
            **more,
        }

    def other(self, job_id):
        self.add(job_id, input={"target_image": FACE, "swap_image": TARGET})

    def page(self, params):
        size = int(params["page_size"])
        start = (int(params["page"]) - 1) * size
        found = [{"task_id": job["task_id"], "action": job["task_type"]} for job in self.jobs.values()]
        return {"code": 200, "data": {"data": found[start : start + size]}}

    def record(self, job):
        return {"code": 200, "data": job}


KINDS = {
    "tengrai": (TengraiApi, TengraiHook, TengraiFaceSwapOperator),
    "piapi": (PiapiApi, PiAPIHook, PiAPIFaceSwapOperator),
}


@pytest.fixture(params=sorted(KINDS))
def name(request):
    return request.param


@pytest.fixture
def api(name, vendor, clock):
    return KINDS[name][0](vendor, clock)


@pytest.fixture
def look(name, api, clock, log):
    """Look for the job of one face swap, begun now."""

    def find(**more):
        hook = KINDS[name][1]()
        with hook:
            request = hook.prepare("face_swap", **PICTURES)
            return find_job(hook, "face_swap", request, clock.moment(), log=log, **more)

    return find


@pytest.fixture
def swap(name):
    """Make an operator that buys one face swap and waits here."""

    def make(**more):
        return KINDS[name][2](**{"task_id": "swap", "deferrable": False, **PICTURES, **more})

    return make


# -- looking --------------------------------------------------------------------------------------------


def test_the_one_job_that_fits_is_found(look, api, log, clock):
    api.add("mine")
    api.other("other")
    job = look()
    assert (job.job_id, job.urls) == ("mine", (DONE_URL,))
    assert clock.slept == LOOKS[:1]
    assert not log.warnings
    assert not api.creates


def test_nothing_listed_is_looked_for_three_times(look, api, log, clock):
    assert look() is None
    assert clock.slept == LOOKS
    assert len(api.lists) == len(LOOKS)
    assert "could be matched to this submission" in log.infos[-1]


def test_only_other_jobs_are_nothing(look, api, clock):
    api.other("other")
    assert look() is None
    assert clock.slept == LOOKS


def test_two_that_fit_are_a_doubt_at_once(look, api, log, clock):
    api.add("first")
    api.add("second")
    assert look() is None
    assert clock.slept == LOOKS[:1]
    assert "first, second" in log.warnings[-1]


def test_a_known_job_is_not_the_one(look, api, clock):
    api.add("before")
    assert look(known=["before"]) is None
    assert not api.reads, "a known job need not be read"
    api.add("mine")
    assert look(known=["before"]).job_id == "mine"


def test_a_list_that_cannot_be_read_is_a_doubt(look, api, log, clock):
    api.add("mine")
    api.on_list = lambda _: httpx.Response(500, json={"message": "down"})
    assert look() is None
    assert clock.slept == LOOKS
    assert [text.partition(":")[0] for text in log.warnings] == ["The job list could not be searched"] * 3
    assert not api.reads


def test_a_list_that_may_not_be_read_is_a_doubt(look, api, log):
    api.add("mine")
    api.on_list = lambda _: httpx.Response(401, json={"code": 401, "message": "bad key"})
    assert look() is None
    assert len(log.warnings) == len(LOOKS)


def test_a_list_that_can_be_read_again_is_searched(look, api, log):
    api.add("mine")
    # Three tries of one question, then the next look.
    api.on_list = lambda count: httpx.Response(500, json={"message": "down"}) if count <= 3 else None
    assert look().job_id == "mine"
    assert len(log.warnings) == 1


def test_a_job_may_be_listed_a_moment_late(look, api, clock):
    def late(count):
        if count == 2:
            api.add("mine")

    api.on_list = late
    assert look().job_id == "mine"
    assert clock.slept == LOOKS[:2]


def test_a_candidate_that_cannot_be_read_makes_the_look_a_doubt(look, api, log, monkeypatch):
    api.add("mine")
    api.add("gone")
    reading = api.record
    monkeypatch.setattr(api, "record", lambda job: {"code": 200} if job is api.jobs["gone"] else reading(job))
    assert look() is None, "the one that cannot be read may be it as well"
    assert len(log.warnings) == len(LOOKS)


def test_every_page_is_read(look, api):
    size = 500 if isinstance(api, TengraiApi) else 100
    for number in range(2 * size):
        if isinstance(api, TengraiApi):
            api.other(f"other{number}")
        else:
            api.add(f"other{number}", task_type="txt2img")
    api.add("mine")
    assert look().job_id == "mine"
    assert len(api.lists) == 3
    pages = [params.get("offset") or params.get("page") for params in api.lists]
    assert pages == (["0", "500", "1000"] if size == 500 else ["1", "2", "3"])


def test_two_that_fit_on_different_pages_are_a_doubt(look, api, log):
    size = 500 if isinstance(api, TengraiApi) else 100
    api.add("first")
    for number in range(size):
        if isinstance(api, TengraiApi):
            api.other(f"other{number}")
        else:
            api.add(f"other{number}", task_type="txt2img")
    api.add("second")
    assert look() is None
    assert "first, second" in log.warnings[-1]


def test_a_job_that_moves_to_the_next_page_meanwhile_is_one_job(look, api, clock):
    size = 500 if isinstance(api, TengraiApi) else 100
    api.add("mine")
    shown = api.page({"offset": "0", "limit": "1", "page": "1", "page_size": "1"})
    api.on_list = lambda count: httpx.Response(200, json=_repeated(shown, size)) if count == 1 else None
    assert look().job_id == "mine"
    assert len(api.lists) == 2
    assert clock.slept == LOOKS[:1]


def _repeated(page, times):
    if isinstance(page, list):
        return page * times
    return {"code": 200, "data": {"data": page["data"]["data"] * times}}


def test_a_list_that_has_no_end_is_not_searched(look, api, log, clock):
    size = 500 if isinstance(api, TengraiApi) else 100
    api.add("mine")
    shown = _repeated(api.page({"offset": "0", "limit": "1", "page": "1", "page_size": "1"}), size)
    api.on_list = lambda _: httpx.Response(200, json=shown)
    assert look() is None
    assert len(api.lists) == MOST_PAGES * len(LOOKS)
    assert f"more than {MOST_PAGES} pages" in log.warnings[-1]
    assert not api.reads


def test_too_many_candidates_are_not_read(look, api, log):
    for number in range(MOST_CANDIDATES + 1):
        api.add(f"job{number}")
    assert look() is None
    assert f"more than {MOST_CANDIDATES} jobs" in log.warnings[-1]
    assert not api.reads


def test_the_time_that_is_searched_leaves_room_for_another_clock(vendor, clock, log):
    api = PiapiApi(vendor, clock)
    begun = clock.now()
    clock.time += 3600
    with PiAPIHook() as hook:
        request = hook.prepare("face_swap", **PICTURES)
        find_job(hook, "face_swap", request, datetime.fromtimestamp(begun, UTC), log=log)
    first = api.lists[0]
    assert int(first["start_time"]) == begun - 60
    assert int(first["end_time"]) == begun + 600 + 60, "a create cannot be longer on its way than that"


@pytest.mark.parametrize(("seconds", "found"), [(-61, False), (-59, True), (659, True), (661, False)])
def test_a_job_of_another_time_is_another_job(vendor, clock, log, seconds, found):
    api = TengraiApi(vendor, clock)
    begun = clock.moment()
    api.add("mine", createdAt=(begun + timedelta(seconds=seconds)).isoformat())
    clock.time += 3600
    with TengraiHook() as hook:
        request = hook.prepare("face_swap", **PICTURES)
        job = find_job(hook, "face_swap", request, begun, log=log)
    assert (job is not None) is found


def test_a_vendor_without_a_list_is_asked_nothing(vendor, clock, log):
    with GPTunnelHook() as hook:
        request = hook.prepare("face_swap", **PICTURES)
        assert find_job(hook, "face_swap", request, clock.moment(), log=log) is None
    assert not vendor.requests
    assert not clock.slept
    assert "gptunnel has no job list" in log.infos[-1]


# -- through the operator -------------------------------------------------------------------------------


def record_of(context):
    [record] = context["task_state_store"].values.values()
    return record


def test_a_create_without_an_answer_is_found_in_the_list(swap, api, context):
    def accepted_but_not_told():
        api.add("mine")
        return httpx.ReadTimeout("no answer")

    api.on_create = accepted_but_not_told
    result = swap().execute(context)
    assert (result["job_id"], result["url"]) == ("mine", DONE_URL)
    assert result["attempt_reused"] is True
    assert len(api.creates) == 1
    assert (record_of(context)["stage"], record_of(context)["job_id"]) == ("settled", "mine")


def test_a_job_that_still_runs_is_found_and_waited_for(swap, api, context, clock):
    def accepted_but_not_told():
        api.add("mine", status="processing")
        return httpx.ReadTimeout("no answer")

    sleep = clock.sleep

    def finish(seconds):
        sleep(seconds)
        if clock.now() > 1_800_000_010:
            word = "succeeded" if isinstance(api, TengraiApi) else "completed"
            api.jobs["mine"]["status"] = word

    api.on_create = accepted_but_not_told
    clock.sleep = finish
    assert swap().execute(context)["job_id"] == "mine"
    assert len(api.creates) == 1


def dies(swap, api, context):
    """Let a first try die with its create on the way."""
    api.on_create = Died
    with pytest.raises(Died):
        swap().execute(context)
    record = record_of(context)
    assert (record["stage"], record["job_id"]) == ("intent", None)
    api.on_create = lambda: httpx.ReadTimeout("no answer")


def test_an_intent_of_a_dead_try_finds_its_job(swap, api, context, clock):
    dies(swap, api, context)
    api.add("mine")
    clock.time += 3600
    result = swap().execute(context)
    assert (result["job_id"], result["attempt_reused"]) == ("mine", True)
    assert len(api.creates) == 1
    assert record_of(context)["job_id"] == "mine"


def test_an_intent_of_a_dead_try_with_nothing_listed_stays_uncertain(swap, api, context, clock):
    dies(swap, api, context)
    for _ in range(2):
        with pytest.raises(SubmissionUncertainError, match="did not record its id"):
            swap().execute(context)
    assert len(api.creates) == 1
    assert record_of(context)["stage"] == "intent", "a third try must know of it too"
    assert clock.slept == LOOKS * 2


def test_nothing_listed_after_a_lost_answer_is_uncertain(swap, api, context, clock):
    with pytest.raises(SubmissionUncertainError, match="sent, but no response came"):
        swap().execute(context)
    assert len(api.creates) == 1
    assert clock.slept == LOOKS


def test_resubmitting_looks_in_the_list_first(swap, api, context):
    def accepted_but_not_told():
        api.add("mine")
        return httpx.ReadTimeout("no answer")

    api.on_create = accepted_but_not_told
    assert swap(on_uncertain="resubmit").execute(context)["job_id"] == "mine"
    assert len(api.creates) == 1


def test_resubmitting_buys_anew_where_nothing_is_listed(swap, api, context):
    def second_time():
        if len(api.creates) == 1:
            return httpx.ReadTimeout("no answer")
        api.add("second")
        return httpx.Response(201, json=api.record(api.jobs["second"]))

    api.on_create = second_time
    result = swap(on_uncertain="resubmit").execute(context)
    assert (result["job_id"], result["attempt_reused"]) == ("second", False)
    assert len(api.creates) == 2


def test_an_intent_of_a_dead_try_is_bought_anew_by_choice_where_nothing_is_listed(swap, api, context):
    def accepted():
        api.add("second")
        return httpx.Response(201, json=api.record(api.jobs["second"]))

    dies(swap, api, context)
    api.on_create = accepted
    result = swap(on_uncertain="resubmit").execute(context)
    assert (result["job_id"], result["attempt_reused"]) == ("second", False)
    assert len(api.creates) == 2


def test_the_job_before_is_not_taken_for_the_one_that_replaces_it(swap, api, context):
    def fails():
        api.add("first", status="failed")
        return httpx.Response(201, json=api.record(api.jobs["first"]))

    api.on_create = fails
    with pytest.raises(Exception, match="the job failed"):
        swap().execute(context)
    api.on_create = lambda: httpx.ReadTimeout("no answer")
    with pytest.raises(SubmissionUncertainError):
        swap().execute(context)
    assert len(api.creates) == 2
