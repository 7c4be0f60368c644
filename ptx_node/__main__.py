"""`python -m ptx_node` and the `ptx` command."""

import sys

from ptx_node.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
