# SPDX-License-Identifier: MIT
"""The command line: tests/e2e/soak."""
import sys

from .main import main

sys.exit(main(sys.argv[1:]))
