"""The command lines of the platform's processes, which take no arguments: settings say everything."""

import argparse


def take_none(module: str, what: str) -> None:
    """Explain ``python -m <module>`` to whoever asks with --help, and refuse every other argument; both exit."""
    argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=what,
        epilog="Everything is set by environment variables that begin with OV2XMP_; docs/settings.md explains each.",
        allow_abbrev=False,
    ).parse_args()
