"""Boot file: Python's `site` runs it where its folder is on PYTHONPATH. Valid from Python 2.7 on.

Inserts one import finder (see hexr_instrument/start.py), leaves `sys.path` as it would be without it, and runs the
`sitecustomize` that it shadows.
"""
import os
import sys


def _boot():
    here = os.path.dirname(__file__)
    sys.path[:] = [entry for entry in sys.path if entry != here]
    if sys.version_info < (3, 10) or getattr(sys, "_hexr_booted", False):
        return
    if _unsafe(here):
        return
    sys._hexr_booted = True
    try:
        _start(here)
    except KeyboardInterrupt:
        raise
    except BaseException:
        # Another Python's environment, or a package that is half installed: the program runs without us.
        if os.environ.get("HEXR_DEBUG", "").lower() in ("1", "true", "yes", "on"):
            sys.excepthook(*sys.exc_info())


def _start(here):
    """The program's own hexr-instrument; without one, the image's that is mounted beside this file, if it is."""
    try:
        from hexr_instrument import start
    except ImportError as error:
        root = _injected(here)
        if getattr(error, "name", None) != "hexr_instrument" or root is None:
            raise
        if root in sys.path:
            sys.path.remove(root)  # the operator puts the whole volume on PYTHONPATH
        packages = os.path.join(root, "pkgs")
        sys.path.append(packages)
        try:
            from hexr_instrument import start
        finally:
            sys.path.remove(packages)
        start.beside = packages
    start.start()


def _injected(here):
    """The folder above that carries the mark of our image, if nobody but its owner can have put code there."""
    root = here
    for _ in range(3):
        root = os.path.dirname(root)
        if os.path.exists(os.path.join(root, ".hexr-injected")):
            break
    else:
        return None
    packages = os.stat(os.path.join(root, "pkgs"))
    # A volume is filled by whoever starts the container; elsewhere another user's folder is another user's code.
    mine = packages.st_uid in (0, os.geteuid()) or os.path.ismount(root)
    return root if mine and not packages.st_mode & 0o022 else None


def _unsafe(here):
    """Whether others could have put code here, or this process has rights that its environment must not steer."""
    if os.name == "nt":
        return False
    try:
        return (
            (os.getuid(), os.getgid()) != (os.geteuid(), os.getegid())
            or bool(os.stat(here).st_mode & 2)
            or bool(os.stat(os.path.join(here, "sitecustomize.py")).st_mode & 2)
        )
    except (AttributeError, OSError):
        return False


def _chain():
    """Runs the shadowed module under its own name; what it raises is shown by `site`, as without us."""
    ours = sys.modules.pop(__name__, None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        # Python 2 has no `name`; there, the message ends with it.
        if getattr(error, "name", str(error).split(" ")[-1]) != __name__:
            raise
    finally:
        if __name__ not in sys.modules and ours is not None:
            sys.modules[__name__] = ours


if __name__ == "sitecustomize":
    _boot()
    _chain()
