#!/usr/bin/env python3
"""Import and contour clinical CT at native resolution: seconds and peak memory.

    .venv/bin/python benchmarks/clinical_size.py [--model MODEL]

Imported is the Pinnacle case of ../shared/data/interop (99 slices of 512 x 512 with a real
RTSTRUCT), contoured its head-and-neck planning CT (90 slices of 511 x 511). Without a model file an
untrained compact network of 12 organs stands in; it finds noise, which costs more than organs do.
Each command is run as a process of its own, as a user types it, start-up included. Writes
docs/results/clinical_size.json.
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
NAMES = '[names]\n"Tumor_c40" = "GTVp"\n"LN_c40" = "GTVn"\n"Carina_c40" = "Carina"\n"Vertebra_c40" = "VB"\n'


def untrained(
    path: Path, organs: Sequence[str] = ORGANS, preset: Preset = PRESETS["compact"], seed: int = 0
) -> Path:
    """Write a model that has learnt nothing."""
    torch.manual_seed(seed)
    network = Network(preset.architecture, len(organs))
    provenance = Provenance(
        "compact", "nowhere", 0, dict.fromkeys(organs, 0), seed, "2026-11-24", versions()
    )
    save_model(
        Model(network, preset.architecture, tuple(organs), preset.preprocessing, {}, provenance),
        path,
    )
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
        importing = measured(
            "import", work / "lung_pinnacle", work / "cohort", "--names", work / "names.toml"
        )
        contouring = measured(
            "contour", model, work / "hn_ct_picker_no_rtstruct", "--out", work / "RS.dcm"
        )
    result = {
        "import_seconds": round(importing.seconds, 2),
        "import_peak_mib": round(importing.peak_mib),
        "contour_seconds": round(contouring.seconds, 2),
        "contour_peak_mib": round(contouring.peak_mib),
        "model": "given" if options.model else "untrained",
        "cores": os.cpu_count(),
    }
    print(f"import:  {importing.seconds:.1f} s, {importing.peak_mib:.0f} MiB (bar: under 3 s)")
    print(
        f"contour: {contouring.seconds:.1f} s, {contouring.peak_mib:.0f} MiB (bar: under 20 s, 2 GiB)"
    )
    (REPO / "docs" / "results" / "clinical_size.json").write_text(
        json.dumps(result, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
