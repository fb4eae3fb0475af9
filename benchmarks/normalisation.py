#!/usr/bin/env python3
"""Compare normalisations for a preset: the study's networks, scored on validation patients.

    .venv/bin/python benchmarks/normalisation.py [--target target1] [--work DIR]

The study of real_centres.py trains them in its section `[normalisation]`: Model_S with each
normalisation, in batches of 1 and of 8, and Model_ST from it, all on the same number of slices. Its
tables score test patients, which must not decide anything. Here Model_S is scored on source's
validation patients, and Model_ST on the target's.

Prints a table, and writes docs/results/normalisation.json and normalisation_scores.csv, from which
--table makes the table alone.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

import raw_scores
from candidates import cases_of
from raw_scores import RawScore, chosen, mean_dsc, rows_of, score_cases
from real_centres import HERE, RESULTS, cpu_name
from recontour.network import load_model

SCORES = RESULTS / "normalisation_scores.csv"


def table(scores: Sequence[RawScore]) -> Iterator[str]:
    """Yield each network (normalisation, batch, iterations, model) and its mean DSC."""
    for name in rows_of(scores):
        yield f"{name:24} {mean_dsc(chosen(scores, name)):.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", default="target1")
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument(
        "--table", action="store_true", help="print the table from docs/results, and stop"
    )
    options = parser.parse_args()
    if options.table:
        print("\n".join(table(raw_scores.read(SCORES))))
        return
    work = options.work.resolve()
    cells = sorted((work / options.target / "cells").glob("S*-batch*-*it-seed*/model"))
    if not cells:
        folder = work / options.target
        sys.exit(f"no networks in {folder}: run real_centres.py --only normalisation first")
    torch.set_num_threads(1)
    rows, scores = [], []
    for path in cells:
        model = load_model(path)
        adapted = model.provenance.parent_sha256 is not None
        frozen = model.recipe["frozen_statistics"]
        row: dict[str, Any] = {
            "normalisation": "frozen" if frozen else model.network.architecture.norm,
            "batch": model.recipe["batch"],
            "iterations": model.recipe["iterations"],
            "model": "ST" if adapted else "S",
        }
        role = options.target if adapted else "source"
        name = " ".join(map(str, row.values()))
        cases = cases_of(work, role, "validation")
        of_model = score_cases(model, cases, name, role, model.provenance.seed)
        row["validation DSC"] = mean_dsc(of_model)
        rows.append(row)
        scores += of_model
        print("  ".join(str(value) for value in row.values()), flush=True)
    raw_scores.write(SCORES, scores)
    result = {"cpu": cpu_name(), "rows": rows}
    (RESULTS / "normalisation.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
