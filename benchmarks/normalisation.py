#!/usr/bin/env python3
"""Which normalisation should a preset have? The study's networks of `[normalisation]`, scored on
validation patients.

    .venv/bin/python benchmarks/normalisation.py [--target target1] [--work DIR]

The study of real_centres.py has trained them: Model_S by each normalisation in batches of 1 and of
8, and Model_ST from it, all having seen as many slices. Its tables score test patients, by which
nothing may be chosen; here Model_S is scored on source's validation patients, and Model_ST on the
target's. Prints a table and writes docs/results/normalisation.json and normalisation_scores.csv, of
which alone --table makes it.
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
    """Each network's mean DSC: normalisation, batch, iterations, model."""
    for name in rows_of(scores):
        yield f"{name:24} {mean_dsc(chosen(scores, name)):.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", default="target1")
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument(
        "--table", action="store_true", help="only the means, of the scores in docs/results"
    )
    options = parser.parse_args()
    if options.table:
        print("\n".join(table(raw_scores.read(SCORES))))
        return
    work = options.work.resolve()
    cells = sorted((work / options.target / "cells").glob("S*-batch*-*it-seed*/model"))
    if not cells:
        sys.exit(
            f"no networks in {work / options.target}: run real_centres.py --only normalisation first"
        )
    torch.set_num_threads(1)
    rows, scores = [], []
    for path in cells:
        model = load_model(path)
        adapted = model.provenance.parent_sha256 is not None
        row: dict[str, Any] = {
            "normalisation": "frozen"
            if model.recipe["frozen_statistics"]
            else model.architecture.norm,
            "batch": model.recipe["batch"],
            "iterations": model.recipe["iterations"],
            "model": "ST" if adapted else "S",
        }
        role = options.target if adapted else "source"
        name = " ".join(map(str, row.values()))
        of_model = score_cases(
            model, cases_of(work, role, "validation"), name, role, model.provenance.seed
        )
        row["validation DSC"] = mean_dsc(of_model)
        rows.append(row)
        scores += of_model
        print("  ".join(str(value) for value in row.values()), flush=True)
    raw_scores.write(SCORES, scores)
    (RESULTS / "normalisation.json").write_text(
        json.dumps({"cpu": cpu_name(), "rows": rows}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
