"""
Ask a vulnerability service about every package that is locked.

pip-audit passes over a package that the service does not know, and then says that nothing was found. Where the service
cannot be asked that would be all of them, so here a package without an answer is a failure too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

VULNERABLE, UNKNOWN = 1, 2


def main() -> int:
    """Ask, and say what was answered; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("locked", help="a file of name==version lines")
    parser.add_argument("--service", default="pypi", help="the service, by pip-audit's name for it")
    options = parser.parse_args()
    # What is locked is the whole set: nothing is to be resolved, nor installed.
    command = ("--requirement", options.locked, "--no-deps", "--disable-pip", "--format", "json")
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", *command, "--vulnerability-service", options.service],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        report = json.loads(done.stdout)
    except ValueError:
        reason = done.stderr.strip().rpartition("\n")[2] or f"pip-audit ended with {done.returncode}"
        print(f"Not audited: no vulnerability service could be asked ({reason})", file=sys.stderr)
        return UNKNOWN
    code, text = verdict(report)
    print(text, file=sys.stderr if code else sys.stdout)
    return code


def verdict(report: dict[str, Any]) -> tuple[int, str]:
    """
    What a report of pip-audit means.

    :param report: Its JSON: each package with its vulnerabilities, or with the reason why it was passed over.
    :returns: The exit code, and what to print.
    """
    packages = report["dependencies"]
    unanswered = [package["name"] for package in packages if "vulns" not in package]
    found = [
        f"{package['name']} {package['version']}: {known['id']}"
        + (f", mended in {', '.join(known['fix_versions'])}" if known["fix_versions"] else ", not mended")
        for package in packages
        for known in package.get("vulns", ())
    ]
    if found:
        lines = [f"{len(found)} known vulnerabilities:", *found]
        if unanswered:
            lines.append(f"{len(unanswered)} of {len(packages)} packages got no answer")
        return VULNERABLE, "\n".join(lines)
    if unanswered or not packages:
        named = ", ".join(unanswered[:5]) + (", ..." if len(unanswered) > 5 else "")
        return UNKNOWN, (
            f"Not audited: {len(unanswered)} of {len(packages)} packages got no answer from the vulnerability "
            f"service ({named}). Run this where the service can be reached."
        )
    return 0, f"None of {len(packages)} packages has a known vulnerability"


if __name__ == "__main__":
    sys.exit(main())
