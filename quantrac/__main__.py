"""``python -m quantrac``."""

from quantrac.cli import main

main()
