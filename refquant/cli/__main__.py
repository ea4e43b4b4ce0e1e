"""``python -m refquant.cli`` is ``refquant``."""

import sys

from refquant.cli.main import main

sys.exit(main())
