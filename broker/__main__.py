"""``python -m broker``: the command line."""

from broker.cli.main import main

main()
