"""The image that is injected into foreign containers: whether its libraries fit beside those of the program.

It has one folder of pure Python, for every version and libc, and stands last on `sys.path`: what the program has itself
is what everybody imports, so it must be what ours need.
"""

from __future__ import annotations

import functools
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

TOOLS = frozenset({"rich", "markdown-it-py", "mdurl", "pygments"})
"""Libraries that only the tools load, in a process of their own: there, the image's may fit or not."""


@functools.cache
def misfits(packages: str) -> tuple[str, ...]:
    """Which libraries of the program are not what those of the image need, each in a few words; none: they fit.

    Args:
        packages: The image's folder of libraries, whether it is on `sys.path` yet or not.
    """
    ours = {_key(str(each.metadata["Name"])): each for each in distributions(path=[packages])}

    @functools.cache
    def theirs(name: str) -> Distribution | None:
        try:
            found = distribution(name)
        except PackageNotFoundError:
            return None
        return None if Path(str(found.locate_file(""))) == Path(packages) else found

    sys.path.append(packages)
    try:
        from packaging.requirements import Requirement  # noqa: PLC0415  (the program's, or ours)
    finally:
        sys.path.remove(packages)
    wrong: list[str] = []
    for name, each in ours.items():
        for line in each.requires or () if name not in TOOLS and theirs(name) is None else ():
            needed = Requirement(line)
            found = None if _key(needed.name) in TOOLS else theirs(_key(needed.name))
            if found is None or (needed.marker is not None and not needed.marker.evaluate({"extra": ""})):
                continue
            if not needed.specifier.contains(found.version, prereleases=True):
                wrong.append(f"{name} needs {needed.name}{needed.specifier}, the program has {found.version}")
    return tuple(wrong)


def _key(name: str) -> str:
    """A distribution's name as all its spellings are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()
