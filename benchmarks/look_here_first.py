#!/usr/bin/env python3
"""Ask what tells which contours of a new patient are wrong, before anybody has drawn them.

    .venv/bin/python benchmarks/look_here_first.py [NAME=]MODEL:COHORT ... [--work DIR]
    .venv/bin/python benchmarks/look_here_first.py --table

Each model contours a cohort whose patients chose nothing of it; models of one NAME are one group,
such as those of a cross-validation. Each contour is scored against
the cohort's own. Beside the score stands what `contour` could know without the cohort's contours:
each of these is a candidate for the reading order, and the larger it is, the worse the contour is
supposed to be (`CANDIDATES`). Candidates are compared by

- the AUROC within organs: of two contours of one organ by one model, of which one is among the
  worst fifth by DSC and the other is not, how often does the worst have more of the candidate;
- the AUROC over all contours for a DSC below 0.6;
- the share of bad contours among the first 20 or 40 % of each patient's, in this order, and the
  share that a random order would catch. "By organ alone" reads the organs in the order of their
  mean DSC in the other patients, which nobody knows of a new model: a bound for what ignores the
  patient.

Combinations are the mean of ranks within an organ, and a logistic regression on these ranks that
learnt from the other groups. Intervals are 95 %, from bootstrap samples of patients, who keep their
labels.

Each case is kept as soon as it is measured: if the benchmark is interrupted, the same command
continues. Prints a table, and writes docs/results/look_here_first.json and
look_here_first_contours.csv, from which --table makes the table alone.
"""

import argparse
import csv
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage, special, stats

from real_centres import HERE, RESULTS, cpu_name
from recontour.assess.scoring import score_masks
from recontour.cohort import Case, Cohort
from recontour.contouring.contourer import Contourer
from recontour.contouring.engine import Engine, engine_of
from recontour.contouring.likeness import in_parts, organ_unlike
from recontour.contouring.predict import Answer, answer_of
from recontour.geometry.arrays import Mask
from recontour.network import Model, load_model, name_of
from recontour.network.model import joint_sha256, part_sha256, sha256_of
from recontour.network.ranges import Range, Ranges
from recontour.network.traits import OrganTraits, body_of, organ_traits
from recontour.network.views import VIEWS_OF_A_SLICE
from recontour.organs import misplaced_organs, organ_of

JSON = RESULTS / "look_here_first.json"
CONTOURS = RESULTS / "look_here_first_contours.csv"
WORST_SHARE = 0.2  # of an organ's contours by one model
FEWEST = 5  # contours of an organ by one model, to compare within the organ
FAILED_DSC = 0.6
READ_SHARES = (0.2, 0.4)  # of a patient's contours
SAMPLES = 300
REPEATS = 3  # of which the fastest counts
LEVELS = (0.1, 0.3, 0.7, 0.9)  # of probability, whose contours are compared
CANDIDATES = {
    "soft": "1 - soft Dice as `contour` computes it: on pixels near the contour",
    "soft_points": "1 - expected DSC on the network's points",
    "soft_pixels": "1 - expected DSC on the CT's pixels",
    "soft_heads": "1 - expected DSC, of the heads' mean probability",
    "soft_slices": "1 - expected DSC of which slices show it",
    "band": "1 - DSC of the contours at probability 0.3 and 0.7",
    "entropy": "mean entropy beside the surface",
    "views": "1 - DSC of the two views",
    "parent": "1 - DSC with the parent's head",
    "sisters": "1 - mean DSC of the centre's own heads with the contour",
    "heads": "1 - mean DSC of all pairs of heads",
    "jumps": "jumps of area from slice to slice",
    "steps": "1 - mean DSC of neighbouring slices",
    "traits": "distance from the middle of the trained ranges, the largest",
    "volume": "the same of the volume alone",
    "twin": "difference in volume between left and right",
    "spread_hu": "standard deviation of HU inside",
}
BY_ORGAN = "by organ alone"
MARKS = ("unlike", "parts", "misplaced")  # of gross failures, beside organs that are not found
Row = Mapping[str, Any]
Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]


# What `contour` could know


class Heads:
    """A model whose heads answer apart from each other; what a head says of a case is kept.

    work: where it is kept, as half-precision logits.
    """

    def __init__(self, model: Model, work: Path) -> None:
        self.model = model
        trunk = part_sha256(model.network.trunk)
        parts = [joint_sha256([trunk, part_sha256(head)]) for head in model.network.heads]
        self._kept = [work / "answers" / part[:12] for part in parts]
        self._engines: dict[int, Engine] = {}

    def answers(self, case: Case) -> tuple[Answer, dict[int, Answer]]:
        """Return a model's answer and, if several heads have a say, that of each by its place.

        The model's answer is the mean of its heads', so that no head is asked twice.
        """
        given = [self._answer(head, case) for head in range(len(self._kept))]
        if len(given) == 1:
            return given[0], {}
        share_HK = self.model.network.share_HK.numpy()
        mixed = []
        for view in range(VIEWS_OF_A_SLICE):
            logits_HKNhw = np.stack([answer.logits_VKNhw[view] for answer in given])
            mixed.append((share_HK[..., None, None, None] * logits_HKNhw).sum(axis=0))
        return replace(given[0], logits_VKNhw=mixed), dict(enumerate(given))

    def _answer(self, head: int, case: Case) -> Answer:
        model = self.model
        file = self._kept[head] / f"{case.id}.npz"
        if file.exists():
            with np.load(file) as kept:
                logits_VKNhw = list(kept["logits_VKNhw"].astype(np.float32))
                centres = [(float(x), float(y)) for x, y in kept["centres_mm"]]
            return Answer(model.organs, case.grid, model.preprocessing, centres, logits_VKNhw)
        engine = self._engine(head, len(case.hu))
        answer = answer_of(model, engine, case.hu, case.grid, None, VIEWS_OF_A_SLICE)
        logits_VKNhw = list(np.asarray(answer.logits_VKNhw, dtype=np.float16))
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, logits_VKNhw=logits_VKNhw, centres_mm=np.array(answer.centres_mm))
        return self._answer(head, case)

    def _engine(self, head: int, slices: int) -> Engine:
        if head not in self._engines:
            network = deepcopy(self.model.network)
            share_HK = torch.zeros_like(network.share_HK)
            share_HK[head] = 1
            if len(share_HK) > 1:
                network.set_shares(share_HK[1:])
            self._engines[head] = engine_of(replace(self.model, network=network), slices)
        return self._engines[head]


def measured(heads: Heads, case: Case) -> list[dict[str, Any]]:
    """Return a row for each organ that a case and a model have: scores and candidates."""
    model = heads.model
    answer, by_head = heads.answers(case)
    drafts = {draft.organ: draft for draft in answer.drafts()}
    masks = {organ: draft.mask for organ, draft in drafts.items()}
    body = body_of(case.hu, case.grid)
    found = {organ: mask for organ, mask in masks.items() if mask.any()}
    middles = {organ: case.grid.middle_x_mm(mask) for organ, mask in found.items()}
    misplaced = set()
    for finding in misplaced_organs(middles):
        misplaced |= {getattr(finding, name, None) for name in ("organ", "left", "right")}
    shared = [(organ, masks[organ]) for organ in model.organs if organ in case.organs]
    rows = []
    for score, mask in score_masks(case, "", shared):
        organ = score.organ
        row: dict[str, Any] = {
            "case": case.id,
            "organ": organ,
            "dsc": score.dsc,
            "surface_dsc": score.surface_dsc,
            "hd95_mm": score.hd95_mm,
            "found": bool(mask.any()),
        }
        if mask.any():
            traits = organ_traits(case.hu, case.grid, mask, body)
            ranges = model.provenance.ranges
            row["unlike"] = bool(ranges and organ_unlike(ranges, organ, traits))
            row["parts"] = in_parts(organ, mask) is not None
            row["misplaced"] = organ in misplaced
            row["soft"] = 1 - drafts[organ].soft_dice
            row |= dict(candidates(heads.model, answer, by_head, organ, mask, case))
            if ranges:
                row |= dict(_beyond(ranges, organ, traits))
            row["twin"] = _against_twin(organ, found)
        rows.append(row)
    return rows


def candidates(
    model: Model,
    answer: Answer,
    by_head: Mapping[int, Answer],
    organ: str,
    mask: Mask,
    case: Case,
) -> Iterator[tuple[str, float]]:
    """Yield each candidate for one contour."""
    place = answer.organs.index(organ)
    logits_VNhw = [logits_KNhw[place] for logits_KNhw in answer.logits_VKNhw]
    p_VNhw = [special.expit(one.astype(np.float64)) for one in logits_VNhw]
    yield "soft_points", 1 - _soft(np.concatenate(p_VNhw))
    if by_head:
        yield "soft_heads", 1 - _soft(np.concatenate(_mean_p(model, by_head, place)))
    shown_N = np.max([p_Nhw.max(axis=(1, 2)) for p_Nhw in p_VNhw], axis=0)
    yield "soft_slices", 1 - _soft(shown_N)
    yield "entropy", float(np.mean([_entropy_beside_surface(one) for one in logits_VNhw]))
    at_level = {level: _at(answer, organ, level) for level in LEVELS}
    yield "band", 1 - overlap(at_level[0.3], at_level[0.7])
    at_level[0.5] = mask
    volumes = [np.count_nonzero(one) for one in at_level.values()]
    inside = [np.count_nonzero(one & mask) for one in at_level.values()]
    expected = float(np.mean(volumes)) + np.count_nonzero(mask)
    yield "soft_pixels", 1 - 2 * float(np.mean(inside)) / expected
    first, second = _one_view(answer, organ)
    yield "views", 1 - overlap(first, second)
    yield from _between_heads(model, by_head, organ, mask)
    areas = np.count_nonzero(mask, axis=(1, 2)).astype(float)
    shown = np.flatnonzero(areas)
    within = areas[shown[0] : shown[-1] + 1]
    if len(within) > 2:
        yield "jumps", float(np.abs(np.diff(within, 2)).mean() / within.mean())
    alike = [overlap(mask[at], mask[at + 1]) for at in range(shown[0], shown[-1])]
    if alike:
        yield "steps", 1 - float(np.mean(alike))
    yield "spread_hu", float(case.hu[mask].std())


def overlap(one: Mask, other: Mask) -> float:
    """Return the Dice overlap by voxels; 0 if both are empty."""
    both = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / both if both else 0.0


def _soft(p: Values) -> float:
    """Return the Dice of a probability with what it decides."""
    decided = p > 0.5
    return float(2 * p[decided].sum() / (p.sum() + decided.sum())) if decided.any() else 0.0


def _mean_p(model: Model, by_head: Mapping[int, Answer], place: int) -> list[Values]:
    """Return of each view the heads' mean probability, weighed by their shares, (N, h, w)."""
    total: list[Any] = [0.0, 0.0]
    for head, answer in by_head.items():
        share = float(model.network.share_HK[head, place])
        for view, logits_KNhw in enumerate(answer.logits_VKNhw):
            total[view] = total[view] + share * special.expit(logits_KNhw[place].astype(float))
    return total


def _entropy_beside_surface(logits_Nhw: npt.NDArray[np.float32]) -> float:
    inside = logits_Nhw > 0
    cross = ndimage.generate_binary_structure(2, 1)[None]
    beside = ndimage.binary_dilation(inside, cross) & ~ndimage.binary_erosion(inside, cross)
    p = special.expit(logits_Nhw[beside].astype(np.float64))
    return float(np.mean(special.entr(p) + special.entr(1 - p))) if p.size else math.log(2)


def _at(answer: Answer, organ: str, level: float) -> Mask:
    """Return where an organ's probability is above a level."""
    shift = np.float32(special.logit(level))
    shifted = [logits_KNhw - shift for logits_KNhw in answer.logits_VKNhw]
    return replace(answer, logits_VKNhw=shifted).mask(organ)


def _one_view(answer: Answer, organ: str) -> list[Mask]:
    masks = []
    for centre_mm, logits_KNhw in zip(answer.centres_mm, answer.logits_VKNhw, strict=True):
        alone = replace(answer, centres_mm=[centre_mm], logits_VKNhw=[logits_KNhw])
        masks.append(alone.mask(organ))
    return masks


def _between_heads(
    model: Model, by_head: Mapping[int, Answer], organ: str, mask: Mask
) -> Iterator[tuple[str, float]]:
    own = model.provenance.centre
    masks: dict[int, Mask] = {}
    for head, answer in by_head.items():
        if organ in model.heads[head].organs:
            masks[head] = answer.mask(organ)
    sisters = [masks[head] for head in masks if model.heads[head].name == own]
    parents = [masks[head] for head in masks if model.heads[head].name != own]
    if parents:
        yield "parent", 1 - _mean_dice([(mask, other) for other in parents])
    if len(sisters) > 1:
        yield "sisters", 1 - _mean_dice([(mask, other) for other in sisters])
    if len(masks) > 1:
        every = list(masks.values())
        pairs = [(one, other) for at, one in enumerate(every) for other in every[:at]]
        yield "heads", 1 - _mean_dice(pairs)


def _mean_dice(pairs: Sequence[tuple[Mask, Mask]]) -> float:
    return float(np.mean([overlap(one, other) for one, other in pairs]))


def _beyond(ranges: Ranges, organ: str, traits: OrganTraits) -> Iterator[tuple[str, float]]:
    """Yield how far from the middle of the ranges a contour lies, in half ranges."""
    far = {}
    for trait, value in traits.items():
        known = ranges.organs.get(organ, {}).get(trait)
        if known and known.high > known.low:
            far[trait] = _in_half_ranges(value, known)
    if far:
        yield "traits", max(far.values())
    if "volume_cc" in far:
        yield "volume", far["volume_cc"]


def _in_half_ranges(value: float, known: Range) -> float:
    middle = (known.low + known.high) / 2
    return abs(value - middle) / (known.high - middle)


def _against_twin(organ: str, found: Mapping[str, Mask]) -> float:
    twin = organ_of(organ).twin
    if twin is None or twin not in found:
        return math.nan
    ratio = np.count_nonzero(found[organ]) / np.count_nonzero(found[twin])
    return abs(math.log(ratio))


def rows_of(name: str, model_path: Path, cohort_path: Path, work: Path) -> Iterator[dict[str, Any]]:
    """Yield every row of a model and a cohort; what was measured before is read."""
    model = load_model(model_path)
    heads = Heads(model, work)
    group = name or f"{name_of(model_path)} on {cohort_path.name}"
    folder = work / f"{name_of(model_path)}-{sha256_of(model.network)[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    first_cases: dict[str, str] = {}
    for case in Cohort.open(cohort_path):
        patient = first_cases.setdefault(case.patient or case.id, case.id)
        if case.fingerprint in model.provenance.trained_on:
            sys.exit(f"{model_path} was trained on {case.id}")
        kept = folder / f"{case.id}-{case.source_hash[:12]}.json"
        if not kept.exists():
            text = json.dumps(measured(heads, case))
            partial = kept.with_suffix(".partial")
            partial.write_text(text)
            partial.replace(kept)
            print(f"measured: {group}: {case.id}", flush=True)
        for row in json.loads(kept.read_text()):
            yield {"group": group, "patient": patient} | row


def cost_of(model_path: Path, cohort_path: Path, work: Path) -> dict[str, Any]:
    """Return what the order costs on a cohort's first case, in seconds of CPU.

    Raises: SystemExit: a contour is another one than without the order.
    """
    kept = work / "cost.json"
    if kept.exists():
        known: dict[str, Any] = json.loads(kept.read_text())
        return known
    contourer = Contourer.load(model_path)
    case = next(iter(Cohort.open(cohort_path)))
    plain_s, softly_s = [], []
    list(contourer.contour(case.hu, case.grid))  # compiles
    for _ in range(REPEATS):
        began = time.process_time()
        plain = dict(contourer.contour(case.hu, case.grid))
        between = time.process_time()
        drafts = list(contourer.drafts(case.hu, case.grid))
        softly_s.append(time.process_time() - between)
        plain_s.append(between - began)
        for draft in drafts:
            if draft.mask.tobytes() != plain[draft.organ].tobytes():
                sys.exit(f"{draft.organ} is another one than without the order")
    answer = contourer.answer(case.hu, case.grid)
    began = time.process_time()
    list(answer.masks())
    between = time.process_time()
    list(answer.drafts())
    result = {
        "slices": case.grid.shape[0],
        "without": round(min(plain_s), 3),
        "with": round(min(softly_s), 3),
        "ratio": round(min(softly_s) / min(plain_s), 3),
        "masks alone": round(between - began, 3),
        "masks with soft Dice": round(time.process_time() - between, 3),
    }
    kept.write_text(json.dumps(result))
    return result


# What the candidates are worth


@dataclass(frozen=True)
class Contours:
    """All contours that were found, as arrays, (contours,).

    strata: of one organ by one model. worst: among the worst fifth of these. failed: DSC below 0.6.
    """

    groups: npt.NDArray[np.str_]
    organs: npt.NDArray[np.str_]
    patients: npt.NDArray[np.str_]
    strata: npt.NDArray[np.str_]
    dsc: Values
    worst: npt.NDArray[np.bool_]
    failed: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Contours":
        """Sort rows into arrays."""
        groups = np.array([row["group"] for row in rows])
        organs = np.array([row["organ"] for row in rows])
        patients = np.array([f"{row['group']}/{row['patient']}" for row in rows])
        strata = np.array([f"{row['group']}/{row['organ']}" for row in rows])
        dsc = np.array([row["dsc"] for row in rows])
        worst = np.zeros(len(rows), dtype=bool)
        for stratum in np.unique(strata):
            at = np.flatnonzero(strata == stratum)
            if len(at) >= FEWEST:
                order = at[np.argsort(dsc[at], kind="stable")]
                worst[order[: round(WORST_SHARE * len(at))]] = True
        return cls(groups, organs, patients, strata, dsc, worst, dsc < FAILED_DSC)


def auroc(score: Values, bad: Flags, weight: Values, strata: Sequence[npt.NDArray[Any]]) -> float:
    """Return how often a bad one has more than a good one of its stratum; ties count half.

    weight: how often each one was drawn. strata: indices.
    """
    won = pairs = 0.0
    for at in strata:
        worse = at[bad[at] & ~np.isnan(score[at])]
        better = at[~bad[at] & ~np.isnan(score[at])]
        if worse.size and better.size:
            more = np.sign(score[worse][:, None] - score[better][None])
            drawn = weight[worse][:, None] * weight[better][None]
            won += float((drawn * (more + 1) / 2).sum())
            pairs += float(drawn.sum())
    return won / pairs if pairs else math.nan


def ranks_within(score: Values, strata: npt.NDArray[np.str_]) -> Values:
    """Return ranks from 0 to 1 within each stratum; what is unknown lies in the middle."""
    ranks = np.full(len(score), 0.5)
    for stratum in np.unique(strata):
        at = np.flatnonzero((strata == stratum) & ~np.isnan(score))
        if len(at) > 1:
            ranks[at] = (stats.rankdata(score[at]) - 1) / (len(at) - 1)
    return ranks


def from_other_groups(features: Values, contours: Contours) -> Values:
    """Return the logit of "worst fifth" by a logistic regression on the other groups' contours."""
    logit = np.zeros(len(features))
    for group in np.unique(contours.groups):
        here = contours.groups == group
        if here.all():
            break  # nothing to learn from
        weights = _logistic(features[~here], contours.worst[~here])
        logit[here] = features[here] @ weights[1:] + weights[0]
    return logit


def _logistic(features: Values, bad: npt.NDArray[np.bool_], penalty: float = 1.0) -> Values:
    """Fit a logistic regression by Newton's steps; the intercept is not shrunk."""
    design = np.column_stack([np.ones(len(features)), features - 0.5])
    shrink = penalty * np.eye(design.shape[1])
    shrink[0, 0] = 0
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        p = special.expit(design @ weights)
        slope = design.T @ (bad - p) - shrink @ weights
        curve = (design * (p * (1 - p))[:, None]).T @ design + shrink
        weights = weights + np.linalg.solve(curve, slope)
    weights[0] -= 0.5 * weights[1:].sum()
    return weights


def looked_at(score: Values, contours: Contours, share: float) -> Values:
    """Return how much of each contour is looked at: 1, 0, or of one per patient a part.

    share: of a patient's contours, in their reading order; a random order has looked at as much of
        the bad ones.
    """
    read = np.zeros(len(score))
    for patient in np.unique(contours.patients):
        at = np.flatnonzero(contours.patients == patient)
        known = np.nan_to_num(score[at], nan=-math.inf)
        before = stats.rankdata(-known) - 1
        read[at] = np.clip(share * len(at) - before, 0, 1)
    return read


def by_organ_alone(contours: Contours) -> Values:
    """Return 1 - the mean DSC of the same organ by the same model in all other patients."""
    score = np.full(len(contours.dsc), math.nan)
    for at, stratum in enumerate(contours.strata):
        others = (contours.strata == stratum) & (contours.patients != contours.patients[at])
        if others.any():
            score[at] = 1 - contours.dsc[others].mean()
    return score


Statistic = Callable[[Values], float]


def statistics(score: Values, contours: Contours) -> dict[str, Statistic]:
    """Return what is told of a candidate, as functions of the weights of contours."""
    strata = [np.flatnonzero(contours.strata == one) for one in np.unique(contours.strata)]
    strata = [at for at in strata if contours.worst[at].any()]
    groups = [np.flatnonzero(contours.groups == one) for one in np.unique(contours.groups)]
    found: dict[str, Statistic] = {
        "within organs": lambda weight: auroc(score, contours.worst, weight, strata),
        "failures over all": lambda weight: auroc(score, contours.failed, weight, groups),
    }
    for share in READ_SHARES:
        read = looked_at(score, contours, share)
        for name, bad in (("worst fifth", contours.worst), ("failures", contours.failed)):
            found[f"{name} in the first {share:.0%}"] = _caught(read * bad, bad)
    return found


def _caught(caught: Values, bad: Flags) -> Statistic:
    def share(weight: Values) -> float:
        return float((weight * caught).sum() / max(weight[bad].sum(), 1e-9))

    return share


def bootstrapped(statistic: Statistic, contours: Contours) -> dict[str, float]:
    """Return a statistic with its 95 % interval over samples of patients, group by group."""
    rng = np.random.default_rng(0)
    patients, index = np.unique(contours.patients, return_inverse=True)
    group_of = np.array([patient.rpartition("/")[0] for patient in patients])
    values = []
    for _ in range(SAMPLES):
        drawn = np.zeros(len(patients))
        for group in np.unique(group_of):
            members = np.flatnonzero(group_of == group)
            np.add.at(drawn, rng.choice(members, len(members)), 1)
        values.append(statistic(drawn[index]))
    low, high = np.nanpercentile(values, (2.5, 97.5))
    value = statistic(np.ones(len(index)))
    return {"value": round(value, 3), "low": round(low, 3), "high": round(high, 3)}


def scores_of(rows: Sequence[Row], contours: Contours) -> dict[str, Values]:
    """Return every candidate and every combination, by name."""
    scores: dict[str, Values] = {}
    for name in CANDIDATES:
        scores[name] = np.array([row.get(name, math.nan) for row in rows], dtype=float)
    ranks = {name: ranks_within(score, contours.strata) for name, score in scores.items()}
    combined = {
        "mean rank: soft, steps": ("soft", "steps"),
        "mean rank: soft, sisters": ("soft", "sisters"),
        "mean rank: soft, views, sisters, steps": ("soft", "views", "sisters", "steps"),
        "mean rank: all": tuple(CANDIDATES),
    }
    for name, parts in combined.items():
        scores[name] = np.mean([ranks[part] for part in parts], axis=0)
    features = np.column_stack([ranks[name] for name in CANDIDATES])
    scores["logistic regression, other groups"] = from_other_groups(features, contours)
    gross = np.array([any(row.get(mark) is True for mark in MARKS) for row in rows])
    scores["as `contour` orders them"] = scores["soft"] + gross
    scores[BY_ORGAN] = by_organ_alone(contours)
    return scores


def judged(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what each candidate is worth, in all and by group, and what gross failures are."""
    shown = [row for row in rows if row["found"]]
    contours = Contours.of(shown)
    result: dict[str, Any] = {"counts": counted(rows, contours)}
    scores = scores_of(shown, contours)
    result["candidates"] = {}
    for name, score in scores.items():
        told: dict[str, Any] = {}
        for what, statistic in statistics(score, contours).items():
            if name == BY_ORGAN and what == "within organs":
                continue  # left out of the mean, a patient is its own opposite
            told[what] = bootstrapped(statistic, contours)
        told["known of"] = int(np.count_nonzero(~np.isnan(score)))
        if name != BY_ORGAN:
            told["within organs, by group"] = by_part(score, contours, contours.groups)
            told["within organs, by organ"] = by_part(score, contours, contours.organs)
        result["candidates"][name] = told
    return result


def by_part(score: Values, contours: Contours, parts: npt.NDArray[np.str_]) -> dict[str, float]:
    """Return the AUROC within organs of each group, or of each organ."""
    found = {}
    for part in np.unique(parts):
        inside = np.flatnonzero(parts == part)
        strata = [
            np.intersect1d(inside, np.flatnonzero(contours.strata == one))
            for one in np.unique(contours.strata[inside])
        ]
        value = auroc(score, contours.worst, np.ones(len(score)), strata)
        if not math.isnan(value):
            found[str(part)] = round(value, 3)
    return found


def counted(rows: Sequence[Row], contours: Contours) -> dict[str, Any]:
    """Return how many contours there are, and how bad those are that are marked as gross."""
    result: dict[str, Any] = {
        "patients": len(np.unique(contours.patients)),
        "contours": len(rows),
        "not found": sum(not row["found"] for row in rows),
        "DSC below 0.6": int(contours.failed.sum()),
        "worst fifth": int(contours.worst.sum()),
    }
    for mark in MARKS:
        dsc = [row["dsc"] for row in rows if row.get(mark) is True]
        result[mark] = {"marked": len(dsc), "DSC below 0.6": sum(one < FAILED_DSC for one in dsc)}
    return result


def write(rows: Sequence[Row]) -> None:
    """Keep every contour's numbers, from which everything else follows."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with CONTOURS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _short(value) for name, value in row.items()})


def _short(value: Any) -> Any:
    return f"{value:.5g}" if isinstance(value, float) else value


def read() -> list[dict[str, Any]]:
    """Return the contours that were kept."""
    with CONTOURS.open(newline="", encoding="utf-8") as file:
        return [{name: _value(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _value(text: str) -> Any:
    if text in ("True", "False", ""):
        return {"True": True, "False": False, "": math.nan}[text]
    try:
        return float(text)
    except ValueError:
        return text


def table(result: Mapping[str, Any]) -> str:
    """Return a row for each candidate."""
    candidates = result["candidates"]
    first = next(iter(candidates.values()))
    what = [name for name, told in first.items() if isinstance(told, dict) and "value" in told]
    lines = [json.dumps(result["counts"]), " | ".join(["candidate", *what])]
    for name, told in candidates.items():
        cells = [_with_interval(told[one]) if one in told else "" for one in what]
        lines.append(" | ".join([name, *cells]))
    return "\n".join(lines)


def _with_interval(told: Mapping[str, float]) -> str:
    return f"{told['value']:.2f} ({told['low']:.2f} to {told['high']:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("groups", nargs="*", metavar="[NAME=]MODEL:COHORT")
    parser.add_argument("--work", type=Path, default=HERE / "work" / "look_here_first")
    parser.add_argument("--table", action="store_true", help="from the kept contours alone")
    parser.add_argument("--measure", action="store_true", help="only measure, for a later call")
    options = parser.parse_args()
    if not options.table:
        rows = []
        first: dict[str, Any] = {}
        for group in options.groups:
            name, _, pair = group.rpartition("=")
            model, _, cohort = pair.rpartition(":")
            rows += list(rows_of(name, Path(model), Path(cohort), options.work))
            first = first or cost_of(Path(model), Path(cohort), options.work)
        if options.measure:
            return
        write(rows)
    result = judged(read())
    print(table(result))
    if not options.table:
        about = {"cpu": cpu_name(), "cost, CPU seconds": first, "meanings": CANDIDATES}
        JSON.write_text(json.dumps(about | result, indent=1) + "\n")


if __name__ == "__main__":
    main()
