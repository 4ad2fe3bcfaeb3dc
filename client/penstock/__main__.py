"""Entry point of `python -m penstock`, which is the command `penstock`."""

import sys

from penstock_server.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
