"""``python -m refquant``."""

import sys

from refquant.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
