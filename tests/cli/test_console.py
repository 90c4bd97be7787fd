"""A bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from airflow_provider_faceswap.cli.console import ConsoleLog
from airflow_provider_faceswap.jobs import Job, JobState


def job(status="processing", percent=None):
    return Job(
        vendor="gptunnel",
        kind="face_swap",
        job_id="j1",
        state=JobState.RUNNING,
        status=status,
        percent=percent,
    )


@pytest.fixture
def shown(capsys):
    return lambda: capsys.readouterr().err


@pytest.fixture
def terminal(monkeypatch):
    """Where rich takes stderr for a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_there_is_a_bar_that_names_the_job_and_its_state(shown):
    with ConsoleLog().bar("gptunnel job j1") as show:
        show(job(percent=40))
    text = shown()
    assert "gptunnel job j1: processing" in text
    assert "━" in text


@pytest.mark.usefixtures("terminal")
def test_a_vendor_that_tells_no_percentage_has_a_bar_too(shown):
    with ConsoleLog().bar("tengrai job j1") as show:
        show(job(status=""))
    assert "tengrai job j1: running" in shown()


def test_where_nobody_watches_there_is_no_bar(shown):
    with ConsoleLog().bar("gptunnel job j1") as show:
        show(job(percent=40))
    assert shown() == ""


def test_a_line_is_shown_as_it_is_and_whole(shown):
    ConsoleLog().warning("%s [HTTP 402] :moon: %s", "gptunnel", "x" * 80)
    assert shown() == f"gptunnel [HTTP 402] :moon: {'x' * 80}\n"


def test_a_percent_sign_without_values_is_a_percent_sign(shown):
    ConsoleLog().info("91 % done")
    assert shown() == "91 % done\n"


class Deaf(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text):
        raise BrokenPipeError


def test_a_line_that_nobody_reads_neither_ends_the_command_nor_closes_stdout(monkeypatch, capfd):
    monkeypatch.setattr(sys, "stderr", Deaf())
    screen = ConsoleLog()
    screen.say("gptunnel accepted face_swap as job j1")
    screen.say("gptunnel job j1 is done")
    sys.stdout.write("the result\n")
    sys.stdout.flush()
    assert capfd.readouterr().out == "the result\n"
