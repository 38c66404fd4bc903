"""What runs at interpreter start: one import finder. Imports os and sys only."""

import os
import sys

MODULES = ("openai._base_client", "anthropic._base_client", "google.genai.models")
"""The modules whose import loads the engine: one line for each provider's table."""


class Finder:
    """Finds nothing itself; has the engine patch a provider's module right after it has been executed."""

    def __init__(self):
        """Watches nothing else than `MODULES`: every other import costs one tuple look-up."""
        self._busy = set()

    def find_spec(self, name, path=None, target=None):
        """The spec that the other finders give, with a loader that calls us once and is then as it was."""
        if name not in MODULES or name in self._busy:
            return None
        self._busy.add(name)
        try:
            for finder in sys.meta_path:
                if finder is not self and hasattr(finder, "find_spec"):
                    spec = finder.find_spec(name, path, target)
                    if spec is not None:
                        break
            else:
                return None
        finally:
            self._busy.discard(name)
        loader = spec.loader
        execute = getattr(loader, "exec_module", None)
        if execute is None:
            return spec

        def exec_module(module):
            try:
                del loader.exec_module
            except AttributeError:
                pass
            execute(module)
            loaded(module)

        try:
            loader.exec_module = exec_module
        except AttributeError:  # a loader that takes no attributes: this provider stays unpatched
            pass
        return spec


def loaded(module):
    """Patches a module that has just been executed; a fault of ours must not fail the program's import."""
    try:
        from hexr_instrument import hub  # noqa: PLC0415  (nothing is imported before a provider is)

        hub.on_import(module)
    except Exception:
        if os.environ.get("HEXR_DEBUG"):
            raise


def start():
    """Inserts the finder, once; imports and starts nothing else."""
    if not any(type(finder).__name__ == "Finder" and type(finder).__module__ == __name__ for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())
