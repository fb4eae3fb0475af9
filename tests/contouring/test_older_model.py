"""A model file as an earlier recontour wrote it: it is read, and computes what it computed then.

Commit d02bf26 wrote adapted-d02bf26.safetensors, before there were neighbouring slices, U-Nets, two
views and bf16. Two of the phantom's source patients trained it and two of the target adapted it, so
it has a parent's head, too. The numbers in LOGITS are those that d02bf26 computed with it.
"""

from pathlib import Path

import torch

from recontour.contouring.contourer import Contourer
from recontour.evaluation.metrics import dice
from recontour.geometry import rasterise
from recontour.network import Preprocessing, load_model
from recontour.phantom import TARGET, make_case
from recontour.transfer.models import precision_of

OLDER = Path(__file__).with_name("adapted-d02bf26.safetensors")
LOGITS = [
    [
        [-29.9386, -34.5900, -31.7086, -24.0893],
        [-24.8138, -9.7263, -11.6300, -20.9782],
        [-21.5280, -24.7996, -20.6741, -19.1597],
        [-38.6186, -31.8292, -30.4018, -23.9011],
    ],
    [
        [-21.0502, -17.7316, -8.9397, -11.1375],
        [-14.3053, -9.6152, -17.6255, -17.8161],
        [-14.2118, -24.5083, -28.6945, -24.7851],
        [-31.7864, -24.6241, -29.5739, -30.7544],
    ],
]


def test_it_is_read_with_what_was_not_yet_written_down() -> None:
    model = load_model(OLDER)
    assert model.organs == ("Bone_Mandible", "Lobe_Temporal_L")
    assert model.preprocessing == Preprocessing(4.0, 65, (-200.0, 400.0), neighbours_mm=())
    assert model.network.architecture.slices == 1
    assert precision_of(model) == "float32"
    assert model.provenance.lineage == "source -> target"
    assert [head.name for head in model.asked] == ["source"]


def test_it_computes_what_it_computed_then() -> None:
    row_W = torch.linspace(-1, 1, 65)
    ct_N1HW = (row_W[:, None] * row_W)[None, None]
    with torch.no_grad():
        logits_NKHW = load_model(OLDER).network(ct_N1HW)
    found = logits_NKHW[0, :, 8::16, 8::16]
    # float32, added up in the order of another processor or library
    assert torch.allclose(found, torch.tensor(LOGITS), rtol=1e-4, atol=1e-4)


def test_it_contours_a_patient() -> None:
    """Where most of an organ is found, it is found in its place."""
    patient = make_case(TARGET, 0)
    for organ, found in Contourer.load(OLDER).contour(patient.hu, patient.grid):
        drawn = patient.structures[TARGET.roi_names[organ]]
        reference = rasterise(drawn.contours, patient.grid)
        assert dice(reference, found, patient.grid) > 0.5
