"""Arguments that were given in another order."""

from pathlib import Path

from recontour.errors import SettingsError
from recontour.workflows.findings import Order, WrongOrder


def refuse_swapped(model: Path, folder: Path, order: Order) -> None:
    """Raise SettingsError if a folder was given as the model, and a file as the folder."""
    if model.is_dir() and folder.is_file():
        raise SettingsError(
            WrongOrder(
                path=model,
                file=folder,
                order=order,
            )
        )
