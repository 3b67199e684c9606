"""Packages that only some readers need."""

from __future__ import annotations

from importlib import import_module


def require(what: str, *packages: str) -> None:
    """Check that ``packages`` can be imported before ``what`` needs them.

    Modules import them where they can, so that a card that names a reader can be parsed; its constructor asks here. The
    error is no ImportError, which the parser of cards would take for a wrong class path.

    Raises:
        ValueError: If one cannot be imported; names the extra to install.
    """
    for package in packages:
        try:
            import_module(package)
        except ImportError as error:
            raise ValueError(
                f'{what} needs the package {package} ({error}): pip install "la4vla[construct]".'
            ) from error
