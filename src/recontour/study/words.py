"""What a study's numbers say, in words: the headline, its summary, and a sentence per section."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from recontour.evaluation.means import found_by
from recontour.evaluation.numbers import NONE, number
from recontour.evaluation.page import as_notice
from recontour.evaluation.verdicts import Verdict, direction, of_interval
from recontour.findings import stored_words
from recontour.study.cells import PAPERS_DEPTH
from recontour.study.numbers import gain, percent
from recontour.study.tables import (
    MODELS,
    PAIRS,
    CasesTable,
    DepthTable,
    Interval,
    Level,
    ModelsTable,
    NormalisationTable,
    SeparatelyTable,
    StudyTables,
    TimesRow,
)
from recontour.wording import plural

NOTHING = "nothing can be concluded"
# One phrase per verdict, for each place where two models are compared.
Phrases = Mapping[Verdict, str]
AGAINST_S: Phrases = {
    Verdict.BETTER: "made it better there",
    Verdict.WORSE: "made it worse there",
    Verdict.NO_CONCLUSIVE_DIFFERENCE: "made no conclusive difference there",
    Verdict.TOO_FEW: "was scored there on too few patients to tell",
}
AGAINST_T: Phrases = {
    Verdict.BETTER: "better than",
    Verdict.WORSE: "worse than",
    Verdict.NO_CONCLUSIVE_DIFFERENCE: "not conclusively different from",
    Verdict.TOO_FEW: "scored on too few patients to compare with",
}
SEPARATELY: Phrases = {
    Verdict.BETTER: "one network per organ is better than one for all",
    Verdict.WORSE: "one network per organ is worse than one for all",
    Verdict.NO_CONCLUSIVE_DIFFERENCE: (
        "no conclusive difference between one network per organ and one for all"
    ),
    Verdict.TOO_FEW: "too few patients to compare one network per organ with one for all",
}
RETENTION: Phrases = {
    Verdict.BETTER: "even gained on",
    Verdict.WORSE: "forgot some of",
    Verdict.NO_CONCLUSIVE_DIFFERENCE: "did not conclusively forget",
    Verdict.TOO_FEW: "was scored on too few patients to tell what it forgot of",
}


def _judged(change: Interval, phrases: Phrases) -> str:
    return phrases[of_interval(change.low, change.high)]


def _is_conclusive(change: Interval) -> bool:
    verdict = of_interval(change.low, change.high)
    return verdict in (Verdict.BETTER, Verdict.WORSE)


# At the top


def headline(
    models: ModelsTable | None,
    source: str,
    target: str,
) -> str:
    """Return the answer in one sentence; empty if nothing is scored. source, target: centres."""
    if not models:
        return ""
    if models.unfound and not models.is_anything_found:
        return as_notice(models.unfound)
    over_s = models.gain("Model_S", "Model_ST")
    over_t = models.gain("Model_T", "Model_ST")
    if np.isnan(over_s.mean):
        return "No answer yet: Model_S and Model_ST are not both finished."
    answer = (
        f"Adapting {source}'s model to {target}'s patients "
        f"{_judged(over_s, AGAINST_S)} ({gain(over_s)})"
    )
    if np.isnan(over_t.mean):
        return f"{answer}."
    alone = f"a model trained on {target} alone ({gain(over_t)})"
    return f"{answer}; the result is {_judged(over_t, AGAINST_T)} {alone}."


def summary_sentences(
    models: ModelsTable | None,
    sections: Mapping[str, Sequence[str]],
    source: str,
    target: str,
) -> list[str]:
    """Return what else the numbers say, a sentence each. sections: as of `section_words`."""
    sentences = []
    if models and models.is_anything_found:
        sentences.append(as_notice(models.unfound) if models.unfound else "")
        sentences.append(_means(models, source, target))
        sentences.append(_organs(models))
    for section in ("cases", "depth", "retention"):
        sentences += sections[section]
    return list(filter(None, sentences))


def _means(models: ModelsTable, source: str, target: str) -> str:
    what = {
        "Model_S": f"{source}'s model as it is",
        "Model_T": f"trained on {target} alone",
        "Model_ST": "adapted",
    }
    means = []
    for model in MODELS:
        mean = models.mean(model).mean
        if not np.isnan(mean):
            means.append(f"{number(mean, 3)} with {model} ({what[model]})")
    patients = plural(models.patients, "test patient")
    organs = plural(len(models.common), "organ")
    return f"Mean DSC on {patients} of {target}, over {organs}: {', '.join(means) or NONE}."


def _organs(models: ModelsTable) -> str:
    """Name the organs that differ significantly between ST and the others."""
    parts = []
    for a, b in PAIRS:
        if b == "Model_ST":
            parts += _organs_against(models, a)
    if not parts:
        return ""
    return f"By organ, Model_ST is significantly (Holm) {'; '.join(parts)}."


def _organs_against(models: ModelsTable, model: str) -> list[str]:
    """Return one phrase, or none if the two models have no organ in common."""
    by_direction: dict[int, list[str]] = {}
    found = found_by(models.scores)
    for row in models.comparisons:
        pair = (row.model_a, row.model_b)
        if row.n and pair == (model, "Model_ST") and not found[row.organ].isdisjoint(pair):
            by_direction.setdefault(direction(row), []).append(row.organ)
    if not by_direction:
        return []
    better = by_direction.get(1, ["no organ"])
    worse = by_direction.get(-1)
    words = f"better than {model} in {', '.join(better)}"
    if worse:
        words += f" and worse in {', '.join(worse)}"
    return [words]


# Above each section


def section_words(tables: StudyTables, source: str) -> dict[str, list[str]]:
    """Return sentences by section; none where nothing is finished."""
    return {
        "cases": [_cases(tables.cases), *_more(tables.cases)] if tables.cases else [],
        "depth": [_depth(tables.depth)] if tables.depth else [],
        "retention": [_retention(tables.retention, source)] if tables.retention else [],
        "normalisation": [_normalisation(tables.normalisation)] if tables.normalisation else [],
        "separately": _separately(tables.separately) if tables.separately else [],
        "times": _times(tables.times),
    }


def _cases(cases: CasesTable) -> str:
    last, first = cases.rows[-1], cases.caught_up
    if not any(row.is_found for row in cases.rows):
        return f"No model found any organ, with any number of target cases: {NOTHING}."
    if np.isnan(last.st_less_t.low):
        return "How many target cases suffice is not known yet."
    if not first:
        number_of_cases = plural(last.cases, "target case")
        return (
            f"Even with {number_of_cases} Model_T does not catch up with Model_ST "
            f"({gain(last.st_less_t)})."
        )
    words = (
        f"from {plural(first.cases, 'target case')} on Model_ST is no longer conclusively better "
        f"({gain(first.st_less_t)} there)"
    )
    fewer = [row for row in cases.rows if row.cases < first.cases]
    if not fewer:
        return f"Model_T keeps up with Model_ST at every number of target cases: {words}."
    before = fewer[-1]
    return (
        f"Model_T catches up with Model_ST: {words}; with {plural(before.cases, 'case')} "
        f"it still was ({gain(before.st_less_t)})."
    )


def _more(cases: CasesTable) -> list[str]:
    """Say what the last patients brought to Model_ST, and what further ones may bring."""
    gains = cases.gains
    if not gains or not any(row.st.is_found for row in cases.rows):
        return []
    little = gains.little_is_known()
    return [
        f"Model_ST: {stored_words(gains.finding())}.",
        *([as_notice(little)] if little else []),
    ]


def _depth(depth: DepthTable) -> str:
    best, papers = depth.best, depth.papers
    if depth.scored and not best:
        return f"With no depth was any organ found: {NOTHING}."
    if not best:
        return "Which depth is best is not known yet."
    every = "all " if best.all_layers else ""
    words = (
        f"Model_ST is best with {every}{plural(best.layers, 'retrained layer')} "
        f"(mean DSC {number(best.target.dsc.mean, 3)})"
    )
    if best is papers:
        return f"{words}."
    if not papers:
        return f"{words}; that with {PAPERS_DEPTH} is not finished."
    doubt = "" if _is_conclusive(best.over_papers) else ", no conclusive difference"
    return (
        f"{words}, not with {PAPERS_DEPTH} ({number(papers.target.dsc.mean, 3)}): "
        f"{gain(best.over_papers)}{doubt}."
    )


def _retention(retention: ModelsTable, source: str) -> str:
    change = retention.gain("Model_S", "Model_ST")
    if np.isnan(change.mean):
        return f"What Model_ST forgot of {source} is not known yet."
    st = retention.mean("Model_ST").mean
    s = retention.mean("Model_S").mean
    if not s and not st:
        return f"Neither Model_S nor Model_ST found any organ in {source}: {NOTHING}."
    patients = plural(retention.patients, "test patient")
    return (
        f"Adapted, the model {_judged(change, RETENTION)} {source}: on {patients} there Model_ST "
        f"has {number(st, 3)} where Model_S has {number(s, 3)} ({gain(change)})."
    )


def _separately(separately: SeparatelyTable) -> list[str]:
    """Return a sentence per model, over all organs."""
    changes = separately.rows[-1].separately_less_jointly
    if not changes:
        return [
            "The joint models or some organs' own networks are not finished: "
            "nothing can be compared yet."
        ]
    sentences = []
    overall = separately.rows[-1]
    for model, change in changes.items():
        if not overall.separately[model] and not overall.jointly[model]:
            sentences.append(f"{model} found no organ either way: {NOTHING}.")
            continue
        sentences.append(f"{model}: {_judged(change, SEPARATELY)} ({gain(change)}).")
    return sentences


def _normalisation(normalisation: NormalisationTable) -> str:
    """Name the best normalisation of each model on the target."""
    s, st = {}, {}
    for row in normalisation.rows:
        name = f"{row.norm} statistics and batch {row.batch}"
        s[name], st[name] = row.s_target, row.st_target
    parts = [*_best("Model_S", s), *_best("Model_ST", st)]
    if not parts and any(level.patients for level in (*s.values(), *st.values())):
        return f"No model found any organ on the target: {NOTHING}."
    if not parts:
        return "Nothing is scored on the target yet."
    return f"Best on the target: {'; '.join(parts)}."


def _best(model: str, levels: Mapping[str, Level]) -> Iterable[str]:
    """Yield which name has the highest mean DSC, if any organ is found."""
    means = {name: level.dsc.mean for name, level in levels.items() if level.is_found}
    if means:
        best = max(means, key=means.__getitem__)
        yield f"{model} with {best} ({number(means[best], 3)})"


def _times(times: Sequence[TimesRow]) -> list[str]:
    """Compare the time of Model_ST with that of Model_T."""
    by_model = {row.model: row for row in times}
    t = by_model.get("Model_T")
    st = by_model.get("Model_ST")
    if not t or not st or not t.seconds_per_iteration:
        return []
    saved = 1 - st.seconds_per_iteration / t.seconds_per_iteration
    if np.isnan(saved):
        return []
    less = "less" if saved >= 0 else "more"
    return [
        f"An iteration of Model_ST takes {percent(abs(saved))} {less} time than one of Model_T "
        "(the paper: 33 % less).",
        *_reaching_t(st),
    ]


def _reaching_t(st: TimesRow) -> Iterable[str]:
    """Yield how soon Model_ST was as good as Model_T, if that can be compared."""
    reached, compared = st.seeds_that_reached_t, st.seeds_compared_with_t
    if not compared:
        return
    if not reached:
        yield "Model_ST never reached Model_T's last DSC on the validation cases."
        return
    some = f"with {reached} of {compared} seeds, on average " if reached < compared else ""
    yield (
        f"Model_ST reached Model_T's last DSC on the validation cases {some}"
        f"after {number(st.seconds_to_reach_t / 60, 1)} minutes, {percent(st.share_of_t)} of "
        "Model_T's training time."
    )
