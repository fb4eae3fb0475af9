#!/usr/bin/env python3
"""Which normalisation should a preset have? The study's networks of `[normalisation]`, scored on validation patients.

    .venv/bin/python benchmarks/normalisation.py [--target target1] [--work DIR]

The study of real_centres.py has trained them: Model_S by each normalisation in batches of 1 and of 8, and Model_ST from
it, all having seen as many slices. Its tables score test patients, by which nothing may be chosen; here Model_S is
scored on source's validation patients, and Model_ST on the target's. Prints a table and writes
docs/results/normalisation.json.
"""

import argparse
import json
import sys
from pathlib import Path

import torch

from candidates import cases_of, dsc
from real_centres import HERE, RESULTS, cpu_name
from recontour.network import load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="target1")
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    options = parser.parse_args()
    work = options.work.resolve()
    cells = sorted((work / options.target / "cells").glob("S*-batch*-*it-seed*/model"))
    if not cells:
        sys.exit(f"no networks in {work / options.target}: run real_centres.py --only normalisation first")
    torch.set_num_threads(1)
    rows = []
    for path in cells:
        model = load_model(path)
        adapted = model.provenance.parent_sha256 is not None
        row = {
            "normalisation": "frozen" if model.recipe["frozen_statistics"] else model.architecture.norm,
            "batch": model.recipe["batch"],
            "iterations": model.recipe["iterations"],
            "model": "ST" if adapted else "S",
            "validation DSC": dsc(model, cases_of(work, options.target if adapted else "source", "validation"))["mean"],
        }
        rows.append(row)
        print("  ".join(str(value) for value in row.values()), flush=True)
    (RESULTS / "normalisation.json").write_text(json.dumps({"cpu": cpu_name(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
