"""How far apart two surfaces may lie and still agree, per organ.

The tolerances of Nikolov et al. 2021 (doi:10.2196/26151): the 95th percentile of the distances
between contours that several experts drew on the same scans. The paper has none for the pituitary,
the temporal lobes and many other organs: those get DEFAULT_MM, what it grants the soft tissues near
them.
"""

TOLERANCES_MM = {  # TG-263 names without their side
    "Bone_Mandible": 1.01,
    "Brain": 1.01,
    "Brainstem": 2.5,
    "Cochlea": 1.25,
    "Eye": 1.65,
    "Glnd_Lacrimal": 2.5,
    "Glnd_Submand": 2.02,
    "Lens": 0.98,
    "Lung": 2.42,
    "OpticNrv": 2.5,
    "Parotid": 2.85,
    "SpinalCanal": 1.17,
    "SpinalCord": 2.93,
}
DEFAULT_MM = 2.5  # brain stem, optic nerve, lacrimal gland


def tolerance_mm(organ: str) -> float:
    """The surface-DSC tolerance of an organ by its TG-263 name; DEFAULT_MM if none is published."""
    return TOLERANCES_MM.get(_without_side(organ), DEFAULT_MM)


def is_published(organ: str) -> bool:
    """Whether the organ's tolerance is Nikolov et al.'s, not the default."""
    return _without_side(organ) in TOLERANCES_MM


def _without_side(organ: str) -> str:
    return organ.removesuffix("_L").removesuffix("_R")
