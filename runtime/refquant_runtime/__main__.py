"""``python -m refquant_runtime``: the same as the command ``refquant-runtime``."""

import sys

from refquant_runtime.cli import main

sys.exit(main())
