"""Coverage-guided fuzzing of every reader: `python fuzz/readers.py -max_total_time=300` (needs atheris).

An input is a sequence of choices: which recorded exchange, and how it is damaged; `tests/mutations.py` asserts what must
hold of whatever is read from it. A crash is written to the working directory; give its file to repeat it.
"""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

with atheris.instrument_imports(include=["hexr_instrument"]):
    from mutations import ROWS, read, reads_requests

    from hexr_instrument.store import lines

NAMES = list(ROWS)


def one(data: bytes) -> None:
    """Reads one damaged exchange, one damaged request, and the rest as journal lines."""
    source = atheris.FuzzedDataProvider(data)

    def choose(count: int) -> int:
        return source.ConsumeIntInRange(0, count - 1)

    read(NAMES[choose(len(NAMES))], choose)
    reads_requests(choose)
    rest = source.ConsumeBytes(source.remaining_bytes())
    lines.read_header(rest)
    try:
        lines.read_entry(rest)
    except ValueError:
        pass


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
