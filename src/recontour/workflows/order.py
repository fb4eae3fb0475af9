"""Arguments that were given in another order."""

from pathlib import Path

from recontour.errors import SettingsError
from recontour.workflows.findings import Order, SwappedArguments


def refuse_swapped(model: Path, folder: Path, order: Order) -> None:
    """Raise SettingsError if a folder was given as the model, and a file as the folder."""
    try:
        is_swapped = model.is_dir() and folder.is_file()
    except OSError:  # a name that is too long, because it is two: TRUNK+HEAD
        is_swapped = False
    if is_swapped:
        raise SettingsError(
            SwappedArguments(
                path=model,
                file=folder,
                order=order,
            )
        )
