"""Run the command line: `python -m recontour`."""

import sys

from recontour.cli import main

sys.exit(main())
