"""Run the command as a module."""

import sys

from quickbooks_simulator.cli import main

sys.exit(main())
