"""What `make test` says in its last lines."""

from __future__ import annotations

import skipped

REPORT = """
<testsuites><testsuite name="pytest">
  <testcase classname="tests.browser.test_connections" name="test_a"><skipped message="Chromium is not installed"/></testcase>
  <testcase classname="tests.browser.test_connections" name="test_b"><skipped message="Chromium is not installed"/></testcase>
  <testcase classname="tests.test_packaging" name="test_c"><skipped message="the tree is no git checkout"/></testcase>
  <testcase classname="tests.test_packaging" name="test_d"/>
</testsuite></testsuites>
"""


def test_each_reason_is_counted_by_folder(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    assert skipped.skipped(str(report)) == [
        "  2 in tests.browser: Chromium is not installed",
        "  1 in tests.test_packaging: the tree is no git checkout",
    ]


def test_a_run_without_skips_has_no_line(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text('<testsuites><testsuite><testcase classname="a" name="b"/></testsuite></testsuites>')
    assert skipped.skipped(str(report)) == []
