"""Entry point of `python -m ctai`; the commands are in `ctai.cli`."""

import sys

from ctai.cli import main

if __name__ == "__main__":
    sys.exit(main())
