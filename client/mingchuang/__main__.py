"""`python -m mingchuang`: the command line."""

import sys

from mingchuang.cli import main

sys.exit(main())
