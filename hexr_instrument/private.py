"""Directories that are this user's alone: which may be trusted with records, and how one is made."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path


def fault(path: Path, kind: str = "directory") -> str | None:
    """Why a directory or a file must not be trusted, in a few words; None where it may be, or where there is none.

    Args:
        path: What to look at; links are not followed.
        kind: `directory` or `file`.

    Raises:
        OSError: it cannot be looked at.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    right = stat.S_ISDIR if kind == "directory" else stat.S_ISREG
    if stat.S_ISLNK(status.st_mode):
        return "is a symbolic link, which a store must not be"
    if not right(status.st_mode):
        return f"is not a {kind}"
    if hasattr(os, "geteuid"):
        trusted = (os.geteuid(), 0) if kind == "directory" else (os.geteuid(),)  # root made many a mount point
        if status.st_uid not in trusted:
            return f"belongs to another user (uid {status.st_uid})"
        # In a sticky folder such as /tmp, others cannot put theirs in the place of ours.
        if kind == "directory" and status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            return "can be written by everybody"
    return None


def make(directory: Path) -> None:
    """Makes a directory, and those above it, for this user alone, whatever the umask; one that is there stays as it is.

    Raises:
        OSError: it cannot be made, or one that must not be trusted is in its place.
    """
    missing: list[Path] = []
    while not os.path.lexists(directory):
        missing.append(directory)
        directory = directory.parent
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):
            each.mkdir(mode=0o700)
            each.chmod(0o700)
        directory = each
    if (why := fault(directory)) is not None:
        raise OSError(errno.EPERM, f"{directory} {why}")


def close(directory: Path) -> None:
    """Takes a directory of our own away from everybody else, however it came to be open; raises OSError."""
    if not hasattr(os, "geteuid") or not os.path.lexists(directory):
        return
    status = os.lstat(directory)
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and status.st_mode & 0o022:
        directory.chmod(0o700)


def own_folder(directory: Path) -> Path:
    """The directory, or, in one that everybody can write, this user's folder in it."""
    try:
        everybody = stat.S_ISDIR(mode := os.lstat(directory).st_mode) and mode & stat.S_IWOTH
    except OSError:
        return directory
    return directory / f"hexr-{os.getuid()}" if everybody and hasattr(os, "getuid") else directory
