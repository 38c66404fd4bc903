"""`python -m hexr_instrument`: the command."""

import sys

from .cli import main

sys.exit(main())
