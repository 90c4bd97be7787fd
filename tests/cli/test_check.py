"""``airflow faceswap check``: is a connection good?"""

from __future__ import annotations

import signal

import pytest

from airflow_provider_faceswap.cli.exits import Exit
from airflow_provider_faceswap.hooks.base import JobHook


@pytest.mark.parametrize("vendor", ["gptunnel", "tengrai", "piapi"])
def test_a_good_connection_is_told_with_what_the_vendor_says(run, sandbox, vendor):
    done = run("check", f"{vendor}_default")
    assert done.code == Exit.DONE
    assert done.told["ok"] is True
    assert done.told["message"].startswith(f"{vendor}: ")
    assert done.stderr == ""


def test_a_wrong_key_fails_and_is_said_on_both_outputs(run, sandbox, connections):
    connections(sandbox.url, key="shds-0123456789abcdef0123456789abcdef")
    done = run("check", "gptunnel_default")
    assert done.code == Exit.FAILED
    assert done.told["ok"] is False
    assert done.stderr.strip() == done.told["message"]
    assert "0123456789abcdef" not in done.stdout + done.stderr


def test_a_connection_that_is_not_there_is_wrong_usage(run):
    done = run("check", "nowhere")
    assert done.code == Exit.USAGE
    assert "nowhere" in done.told["message"]
    assert "Traceback" not in done.stderr


def test_a_connection_of_another_type_is_wrong_usage(run, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_ELSE", "https://user@example.com")
    done = run("check", "else")
    assert done.code == Exit.USAGE
    assert "gptunnel, tengrai, piapi" in done.told["message"]


def test_ctrl_c_is_taken_without_a_traceback(run, sandbox, monkeypatch):
    monkeypatch.setattr(JobHook, "test_connection", lambda _self: signal.raise_signal(signal.SIGINT))
    done = run("check", "gptunnel_default")
    assert done.code == Exit.INTERRUPTED
    assert done.stderr.strip() == "Interrupted."


def test_for_a_person_brackets_in_a_message_are_no_markup(run, sandbox, connections):
    connections(sandbox.url, key="shds-0123456789abcdef0123456789abcdef")
    assert "HTTP 401" in run("check", "gptunnel_default", output="table").stdout


def test_a_private_host_that_is_not_allowed_is_refused_with_the_setting(run, sandbox, monkeypatch):
    """F1: the check says what a submission would say."""
    monkeypatch.setenv("AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS", "")
    done = run("check", "gptunnel_default")
    assert done.code == Exit.FAILED
    assert "AIRFLOW__FACESWAP__ALLOWED_PRIVATE_HOSTS=127.0.0.1" in done.told["message"]


def test_a_missing_connection_is_wrong_usage_with_what_to_create(run):
    """F8: the types to choose from are in the message."""
    done = run("check", "nowhere")
    assert done.code == Exit.USAGE
    assert "'nowhere' was not found" in done.told["message"]
    assert "'piapi'" in done.told["message"]
