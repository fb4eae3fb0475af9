"""What a study's numbers say, in words:

the headline, the verdict below it, and a sentence above each section.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from recontour.evaluation import summary
from recontour.evaluation.numbers import NONE, number
from recontour.study.numbers import gain, percent, side
from recontour.study.tables import (
    MODELS,
    PAIRS,
    PAPERS_DEPTH,
    CasesTable,
    DepthTable,
    ModelsTable,
    NormalisationTable,
    SeparatelyTable,
    StudyTables,
    TimesRow,
)
from recontour.wording import plural


def headline(main: ModelsTable, source: str, target: str) -> str:
    """The answer in one sentence. source, target: the centres."""
    over_s, over_t = main.gain("Model_S", "Model_ST"), main.gain("Model_T", "Model_ST")
    if np.isnan(over_s.mean):
        return "Not decided yet: Model_S and Model_ST are not both finished."
    against_s = {
        1: "made it better there",
        -1: "made it worse there",
        0: "made no decided difference there",
    }
    against_t = {1: "better than", -1: "worse than", 0: "not decidedly different from"}
    answer = (
        f"Retraining the last layers of {source}'s model on {target}'s patients "
        f"{against_s[side(over_s)]} ({gain(over_s)})"
    )
    if np.isnan(over_t.mean):
        return answer + "."
    return f"{answer}; the result is {against_t[side(over_t)]} a model trained on {target} alone ({gain(over_t)})."


def verdict(
    main: ModelsTable | None, sections: Mapping[str, str], source: str, target: str
) -> list[str]:
    """What else the numbers say, a sentence each. sections: as of section_words."""
    sentences = [_means(main, source, target), _organs(main)] if main else []
    return [
        sentence
        for sentence in (*sentences, *map(sections.get, ("cases", "depth", "kept")))
        if sentence
    ]


def section_words(tables: StudyTables, source: str) -> dict[str, str]:
    """A sentence or two by section; empty where nothing is finished."""
    return {
        "cases": _cases(tables.cases) if tables.cases else "",
        "depth": _depth(tables.depth) if tables.depth else "",
        "kept": _kept(tables.retention, source) if tables.retention else "",
        "normalisation": _normalisation(tables.normalisation) if tables.normalisation else "",
        "times": _times(tables.times),
    }


def _means(main: ModelsTable, source: str, target: str) -> str:
    what = {
        "Model_S": f"{source}'s model as it is",
        "Model_T": f"trained on {target} alone",
        "Model_ST": "adapted",
    }
    means = [
        f"{number(mean, 3)} with {model} ({what[model]})"
        for model in MODELS
        if not np.isnan(mean := main.mean(model).mean)
    ]
    where = f"{plural(main.patients, 'test patient')} of {target}, over {plural(len(main.common), 'organ')}"
    return f"Mean DSC on {where}: {', '.join(means) or NONE}."


def _organs(main: ModelsTable) -> str:
    """Which organs differ significantly between ST and the others."""
    parts = []
    for a, b in PAIRS[1:]:
        mine = [row for row in main.comparisons if (row.model_a, row.model_b) == (a, b) and row.n]
        if not mine:
            continue
        rows = [(row.organ, summary.printed(row)) for row in mine]
        better, worse = (
            [organ for organ, test in rows if test.direction == sign] for sign in (1, -1)
        )
        words = [f"better than {a} in {', '.join(better) or 'no organ'}"]
        words += [f"worse in {', '.join(worse)}"] if worse else []
        parts.append(" and ".join(words))
    return f"By organ, Model_ST is significantly (Holm) {'; '.join(parts)}." if parts else ""


def _cases(cases: CasesTable) -> str:
    last, first = cases.rows[-1], cases.caught_up
    if np.isnan(last.st_less_t.low):
        return "How many target cases suffice is not decided yet."
    if not first:
        return (
            f"Even with {plural(last.cases, 'target case')} Model_T does not catch up with Model_ST "
            f"({gain(last.st_less_t)})."
        )
    words = (
        f"from {plural(first.cases, 'target case')} on Model_ST is no longer decidedly better "
        f"({gain(first.st_less_t)} there)"
    )
    fewer = [row for row in cases.rows if row.cases < first.cases]
    if not fewer:
        return f"Model_T keeps up with Model_ST at every number of target cases: {words}."
    return (
        f"Model_T catches up with Model_ST: {words}; "
        f"with {plural(fewer[-1].cases, 'case')} it still was ({gain(fewer[-1].st_less_t)})."
    )


def _depth(depth: DepthTable) -> str:
    best, papers = depth.best, depth.papers
    if not best:
        return "Which depth is best is not decided yet."
    words = f"Model_ST is best with {'all ' if best.all_layers else ''}{plural(best.layers, 'retrained layer')} "
    words += f"(mean DSC {number(best.target.dsc.mean, 3)})"
    if best is papers:
        return f"{words}, the paper's number."
    if not papers:
        return f"{words}; the paper's {PAPERS_DEPTH} is not among those finished."
    surely = "" if side(best.over_papers) else ", which is no decided difference"
    return (
        f"{words}, not with the paper's {PAPERS_DEPTH} ({number(papers.target.dsc.mean, 3)}): "
        f"{gain(best.over_papers)}{surely}."
    )


def _kept(kept: ModelsTable, source: str) -> str:
    change = kept.gain("Model_S", "Model_ST")
    if np.isnan(change.mean):
        return f"What Model_ST forgot of {source} is not known yet."
    what = {
        -1: f"forgot some of {source}",
        1: f"even gained on {source}",
        0: f"did not decidedly forget {source}",
    }
    return (
        f"Adapted, the model {what[side(change)]}: on {plural(kept.patients, 'test patient')} there Model_ST has "
        f"{number(kept.mean('Model_ST').mean, 3)} where Model_S has {number(kept.mean('Model_S').mean, 3)} "
        f"({gain(change)})."
    )


def separately_words(separately: SeparatelyTable) -> list[str]:
    """A sentence a model, over all organs."""
    judged = {1: "better", -1: "worse", 0: "neither decidedly better nor worse"}
    return [
        f"{model}: one network an organ is {judged[side(change)]} than one for all ({gain(change)})."
        for model, change in separately.rows[-1].separately_less_jointly.items()
    ] or ["The joint models or some organs' own networks are not finished: nothing to compare yet."]


def _normalisation(normalisation: NormalisationTable) -> str:
    """The best of each model on the target."""
    rows = normalisation.rows
    parts = []
    for model, levels in (
        ("Model_S", [row.s_target for row in rows]),
        ("Model_ST", [row.st_target for row in rows]),
    ):
        scored = [
            (level.dsc.mean, row) for level, row in zip(levels, rows, strict=True) if level.patients
        ]
        if scored:
            mean, best = max(scored, key=lambda one: one[0])
            parts.append(
                f"{model} with {best.norm} statistics and batch {best.batch} ({number(mean, 3)})"
            )
    return (
        f"Best on the target: {'; '.join(parts)}."
        if parts
        else "Nothing is scored on the target yet."
    )


def _times(times: Sequence[TimesRow]) -> str:
    by_model = {row.model: row for row in times}
    t, st = by_model.get("Model_T"), by_model.get("Model_ST")
    if not t or not st or not t.seconds_per_iteration > 0 or np.isnan(st.seconds_per_iteration):
        return ""
    saved = 1 - st.seconds_per_iteration / t.seconds_per_iteration
    words = f"An iteration of Model_ST takes {percent(abs(saved))} {'less' if saved >= 0 else 'more'} time than one of "
    words += "Model_T (the paper: 33 % less)."
    reached, compared = st.seeds_that_reached_t, st.seeds_compared_with_t
    if not compared:
        return words
    if not reached:
        return f"{words} Model_ST never reached Model_T's last DSC on the validation cases."
    words += " Model_ST reached Model_T's last DSC on the validation cases "
    words += (
        f"with {reached} of {compared} seeds, in the mean of those " if reached < compared else ""
    )
    return (
        f"{words}after {number(st.seconds_to_reach_t / 60, 1)} minutes, {percent(st.share_of_t)} of Model_T's training "
        "time."
    )
