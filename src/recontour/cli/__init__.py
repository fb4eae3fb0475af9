"""The command line, `recontour`."""

from recontour.cli.main import main

__all__ = ["main"]
