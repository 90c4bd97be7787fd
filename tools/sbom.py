"""
Write the bill of materials of a built wheel: what an install of it brings, as CycloneDX JSON.

The versions are those of the environment this runs in, which is the locked one. The bill holds what the package needs
at run time, without extras and without development's tools, and no path or address of where anything was taken from.
Equal versions make an equal file.
"""

from __future__ import annotations

import argparse
import email
import json
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import Message


def main() -> int:
    """Write the bill beside the wheel; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    wheel: Path = parser.parse_args().wheel
    name, version = wheel.name.split("-")[:2]
    path = wheel.with_name(f"{name}-{version}.cdx.json")
    text = json.dumps(bill(about(wheel)), indent=2) + "\n"
    if problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        print(f"{path.name} would be no valid CycloneDX: {problem}", file=sys.stderr)
        return 1
    path.write_text(text, encoding="utf-8")
    print(f"Successfully wrote {path.name}")
    return 0


def about(wheel: Path) -> Message:
    """The metadata of a wheel."""
    with zipfile.ZipFile(wheel) as file:
        [name] = [name for name in file.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(file.read(name))


def bill(root: Message) -> dict[str, Any]:
    """
    The bill of a package and of all that it needs.

    :param root: The metadata of the package.
    :raises importlib.metadata.PackageNotFoundError: Something that is needed is not installed here.
    """
    top = component(root)
    own = str(canonicalize_name(top["name"]))
    todo = needs(root.get_all("Requires-Dist", []))
    made = {own: top}
    edges = {own: {name for name, _ in todo}}
    seen = set()
    while todo:
        name, extras = wanted = todo.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        installed = metadata.distribution(name)
        made.setdefault(name, component(installed.metadata))
        further = needs(installed.requires or (), extras)
        edges.setdefault(name, set()).update(other for other, _ in further if other != name)
        todo += further
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": top},
        "components": [made[name] for name in sorted(made) if made[name] is not top],
        "dependencies": [
            {"ref": made[name]["bom-ref"], "dependsOn": sorted(made[other]["bom-ref"] for other in others)}
            for name, others in sorted(edges.items())
        ],
    }


def needs(
    requirements: Iterable[str], extras: frozenset[str] = frozenset()
) -> list[tuple[str, frozenset[str]]]:
    """
    What these requirements ask for on this Python.

    :param requirements: As ``Requires-Dist`` writes them.
    :param extras: What was asked of the package that has these requirements.
    :returns: Names in normal form, each with the extras that are asked of it.
    """
    return [
        (str(canonicalize_name(requirement.name)), frozenset(requirement.extras))
        for requirement in map(Requirement, requirements)
        if requirement.marker is None
        or any(requirement.marker.evaluate({"extra": extra}) for extra in extras or {""})
    ]


def component(about: Any) -> dict[str, Any]:
    """
    A package as CycloneDX knows it.

    :param about: Its metadata, of an installed package or of a wheel.
    """
    name, version = str(about["Name"]), str(about["Version"])
    purl = f"pkg:pypi/{canonicalize_name(name)}@{version}"
    described = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if expression := about.get("License-Expression"):
        return {**described, "licenses": [{"expression": str(expression)}]}
    kinds = [line for line in about.get_all("Classifier") or () if line.startswith("License ::")]
    names = sorted({kind.rpartition(" :: ")[2] for kind in kinds})
    return {**described, "licenses": [{"license": {"name": name}} for name in names]} if names else described


if __name__ == "__main__":
    sys.exit(main())
