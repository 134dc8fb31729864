"""`python -m voisin` is the command line."""

import sys

from voisin.cli import main

if __name__ == "__main__":
    sys.exit(main())
