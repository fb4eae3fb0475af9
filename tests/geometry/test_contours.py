import numpy as np
import pytest

from recontour.geometry import Contour, Structure, StructureSet


def test_structures_are_found_by_name() -> None:
    cord = Structure("SpinalCord", (Contour(np.zeros((3, 2)), 1.0),))
    structures = StructureSet((Structure("Brainstem", ()), cord))
    assert structures.names == ("Brainstem", "SpinalCord")
    assert structures["SpinalCord"] is cord
    with pytest.raises(KeyError, match="Larynx"):
        structures["Larynx"]
