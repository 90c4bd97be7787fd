"""Say at the end of a test run what was skipped, and why, from pytest's JUnit reports."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections import Counter


def skipped(*reports: str) -> list[str]:
    """
    One line for each reason.

    :param reports: Paths of JUnit files.
    """
    reasons: Counter[tuple[str, str]] = Counter()
    for report in reports:
        for case in ET.parse(report).iter("testcase"):  # noqa: S314 - see above
            for element in case.iter("skipped"):
                folder = ".".join(case.get("classname", "").split(".")[:2])
                reasons[folder, element.get("message", "")] += 1
    return [f"  {count} in {folder}: {reason}" for (folder, reason), count in sorted(reasons.items())]


if __name__ == "__main__":
    lines = skipped(*sys.argv[1:])
    print("\n".join(["Skipped:", *lines]) if lines else "No test was skipped.")
