#!/usr/bin/env python3
"""Import and contour clinical CT at native resolution: seconds and peak memory.

    .venv/bin/python benchmarks/clinical_size.py [--model MODEL]

Both scans are in ../shared/data/interop: the Pinnacle case is imported (99 slices of 512 x 512 with
a real RTSTRUCT), and a head-and-neck planning CT is contoured (90 slices of 511 x 511). Without a
model file, an untrained compact network of 12 organs is used; it finds noise, which costs more than
organs do. Each command runs as a process of its own, start-up included.

Writes docs/results/clinical_size.json.
"""

import argparse
import json
import os
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from command_cost import measured
from recontour.network import Model, Network, Provenance, save_model
from recontour.network.model import versions
from recontour.training.presets import PRESETS, Preset

REPO = Path(__file__).resolve().parents[1]
INTEROP = REPO.parent / "shared" / "data" / "interop"
ORGANS = (
    "Brainstem", "SpinalCord", "Bone_Mandible", "Pituitary", "Parotid_L", "Parotid_R", "Lens_L",
    "Lens_R", "OpticNrv_L", "OpticNrv_R", "Lobe_Temporal_L", "Lobe_Temporal_R",
)  # fmt: skip
NAMES = """\
[names]
"Tumor_c40" = "GTVp"
"LN_c40" = "GTVn"
"Carina_c40" = "Carina"
"Vertebra_c40" = "VB"
"""


def untrained(
    path: Path, organs: Sequence[str] = ORGANS, preset: Preset = PRESETS["compact"], seed: int = 0
) -> Path:
    """Write a model that has learnt nothing, and return its path."""
    torch.manual_seed(seed)
    network = Network(preset.architecture, len(organs))
    no_cases = dict.fromkeys(organs, 0)
    made_of = Provenance("compact", "nowhere", 0, no_cases, seed, "2026-11-24", versions())
    seen = preset.preprocessing
    save_model(Model(network, tuple(organs), seen, {}, made_of), path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    if not INTEROP.is_dir():
        sys.exit(f"the real data are not here: {INTEROP}")
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        for name in ("lung_pinnacle", "hn_ct_picker_no_rtstruct"):
            with tarfile.open(INTEROP / f"{name}.tar.xz") as archive:
                archive.extractall(work, filter="data")
        (work / "names.toml").write_text(NAMES)
        model = options.model or untrained(work / "model")
        dicom, names = work / "lung_pinnacle", work / "names.toml"
        importing = measured("import", dicom, work / "cohort", "--names", names)
        ct = work / "hn_ct_picker_no_rtstruct"
        contouring = measured("contour", model, ct, "--out", work / "RS.dcm")
    result = {
        "import_seconds": round(importing.seconds, 2),
        "import_peak_mib": round(importing.peak_mib),
        "contour_seconds": round(contouring.seconds, 2),
        "contour_peak_mib": round(contouring.peak_mib),
        "model": "given" if options.model else "untrained",
        "cores": os.cpu_count(),
    }
    print(f"import:  {importing.seconds:.1f} s, {importing.peak_mib:.0f} MiB (bar: under 3 s)")
    spent = f"{contouring.seconds:.1f} s, {contouring.peak_mib:.0f} MiB"
    print(f"contour: {spent} (bar: under 20 s, 2 GiB)")
    out = REPO / "docs" / "results" / "clinical_size.json"
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
