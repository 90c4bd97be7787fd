"""Who may see what: the permission for the XComs of the Dag guards every page and every file."""

from __future__ import annotations

from contextlib import suppress
from threading import Barrier, BrokenBarrierError, Lock

import pytest
from fastapi.routing import APIRoute

from airflow_provider_faceswap.gallery import pages
from airflow_provider_faceswap.gallery.permission import AT_ONCE

from .conftest import AuthManager

RESULT = "results/archive/-1/0/"
PLACES = ["", "tasks/archive/-1/", RESULT, f"{RESULT}manifest", f"{RESULT}file", f"{RESULT}thumbnail/output"]
PLACES += [f"{RESULT}input/target_image", "/gallery/dags/a_dag/", "/gallery/dags/a_dag/costs/"]

each_place = pytest.mark.parametrize("place", PLACES)


@each_place
def test_somebody_unknown_is_asked_to_sign_in(gallery, archived, place):
    gallery.push(archived())
    answer = gallery.get(place, token=None)
    assert answer.status_code == 401
    assert "Sign in to Airflow" in answer.text


@each_place
@pytest.mark.parametrize("token", ["nobody", "other", "damaged"])
def test_who_may_not_see_the_xcoms_of_this_dag_sees_nothing(gallery, archived, place, token):
    gallery.push(archived())
    answer = gallery.get(place, token=token)
    assert answer.status_code == 403
    assert "king" not in answer.text


@each_place
def test_who_may_see_them_sees_everything(gallery, archived, picture, place, folder):
    kept = archived("given", inputs={})
    gallery.push(archived(arguments={"target_image": kept["uri"]}, inputs={"target_image": kept["uri"]}))
    assert gallery.get(place).status_code == 200


def test_the_right_for_one_dag_opens_no_other(gallery, archived):
    gallery.push(archived())
    assert gallery.get("/gallery/dags/another_dag/runs/a_run/").status_code == 403
    assert gallery.get("/gallery/dags/~/runs/a_run/").status_code == 403


@pytest.mark.parametrize("token", ["viewer", "nobody"])
def test_few_ask_for_the_permission_at_a_time_and_all_get_their_turn(gallery, archived, monkeypatch, token):
    gallery.push(archived())
    another, lock, asking, counts = Barrier(AT_ONCE + 1), Lock(), [], []
    allowed = AuthManager.is_authorized_dag

    def counted(self, **question):
        with lock:
            asking.append(question)
            counts.append(len(asking))
        with suppress(BrokenBarrierError):
            another.wait(timeout=0.3)  # Nobody comes: all turns are taken.
        with lock:
            asking.pop()
        return allowed(self, **question)

    monkeypatch.setattr(AuthManager, "is_authorized_dag", counted)
    answers = gallery.get_all([""] * 5 * AT_ONCE, token=token)
    assert {answer.status_code for answer in answers} == {200 if token == "viewer" else 403}
    assert max(counts) == AT_ONCE


def test_a_page_that_waits_for_its_storage_keeps_no_turn(gallery, monkeypatch):
    together = Barrier(AT_ONCE + 1, timeout=5)

    def waits(*_):
        together.wait()
        return "shown"

    monkeypatch.setattr(pages, "run", waits)
    answers = gallery.get_all([""] * (AT_ONCE + 1))
    assert [answer.text for answer in answers] == ["shown"] * (AT_ONCE + 1)


def test_no_route_is_without_the_permission(gallery):
    routes = [route for route in gallery.app.routes if isinstance(route, APIRoute)]
    included = [
        inner
        for route in gallery.app.routes
        for inner in getattr(getattr(route, "original_router", None), "routes", [])
    ]
    assert len(routes + included) == 9
    for route in routes + included:
        assert "{dag_id}" in route.path
        assert route.methods == {"GET"}
