"""`python -m hexr_instrument`: the command."""

import sys

from . import start
from .cli import main

if start.beside:  # a tool needs the libraries of the injected image also where they do not fit the program's
    sys.path.append(start.beside)

sys.exit(main())
