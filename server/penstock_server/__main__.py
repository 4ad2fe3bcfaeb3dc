"""`python -m penstock_server` is `penstock`."""

import sys

from penstock_server.cli import main

sys.exit(main())
