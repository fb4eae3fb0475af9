"""CT -> one mask an organ, slice by slice: scores live only as long as their slices."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recontour.contouring.finish import drop_islands
from recontour.errors import OrganError
from recontour.geometry import Grid
from recontour.network import Model
from recontour.network.preprocessing import body_centre_mm, unview, view

Mask = npt.NDArray[np.bool_]
SLICES_AT_ONCE = 8
NEVER = -1e3  # the logit outside the network's view: no organ


def predict(
    model: Model, hu: npt.NDArray[np.generic], grid: Grid, organs: Sequence[str] | None = None
) -> Iterator[tuple[str, Mask]]:
    """Contour a CT.

    hu: Hounsfield units, (slice, row, column). organs: which of the model's; all if None.
    Yields: organ by organ its finished mask, bool (slice, row, column). Between slices and organs only bits are kept:
        memory grows with voxels x organs / 8 bytes.
    Raises: OrganError: the model does not know an organ.
    """
    organs = chosen_organs(model, organs)
    rows = [model.organs.index(organ) for organ in organs]
    bits = np.zeros((len(organs), *grid.shape[:2], -(-grid.shape[2] // 8)), dtype=np.uint8)
    for first, logits_NKHW in _logits(model, hu, grid):
        masks_NKHW = (logits_NKHW[:, rows] > 0).numpy()
        bits[:, first : first + len(masks_NKHW)] = np.packbits(masks_NKHW, axis=-1).swapaxes(0, 1)
    for k, organ in enumerate(organs):
        yield organ, drop_islands(np.unpackbits(bits[k], axis=-1, count=grid.shape[2]).view(np.bool_), organ)


def chosen_organs(model: Model, organs: Sequence[str] | None) -> tuple[str, ...]:
    """The organs to contour, checked against the model's."""
    if organs is None:
        return model.organs
    if unknown := [organ for organ in organs if organ not in model.organs]:
        raise OrganError(f"the model does not know {', '.join(unknown)}; it knows {', '.join(model.organs)}")
    return tuple(dict.fromkeys(organs))


def _logits(model: Model, hu: npt.NDArray[np.generic], grid: Grid) -> Iterator[tuple[int, Tensor]]:
    """Batches of slices: index of the first, and (N, K, row, column) logits on the CT's own grid."""
    centre = body_centre_mm(hu, grid)
    device = next(model.network.parameters()).device  # where a training that goes on has it
    if device.type == "cpu" and torch.cuda.is_available():
        device = torch.device("cuda")
    network = model.network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    for first in range(0, grid.shape[0], SLICES_AT_ONCE):
        planes = torch.from_numpy(np.asarray(hu[first : first + SLICES_AT_ONCE], dtype=np.float32))
        seen = torch.stack([view(plane[None], grid, centre, model.preprocessing) for plane in planes])
        ct_N1HW = model.preprocessing.windowed(seen).to(device, memory_format=torch.channels_last)
        with torch.inference_mode():
            logits_NKHW = network(ct_N1HW).float().cpu().contiguous()
        yield first, torch.stack([unview(logits, grid, centre, model.preprocessing, NEVER) for logits in logits_NKHW])
