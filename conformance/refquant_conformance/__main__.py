"""``python -m refquant_conformance``."""

import sys

from refquant_conformance.cli import main

if __name__ == "__main__":
    sys.exit(main())
