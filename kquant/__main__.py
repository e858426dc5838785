"""The door to the command line: `python -m kquant` and the script `kquant`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
