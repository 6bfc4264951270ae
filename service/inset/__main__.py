"""`python -m inset`."""

import sys

from inset.cli import main

sys.exit(main())
