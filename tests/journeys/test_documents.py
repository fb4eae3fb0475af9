"""What the documents say is true.

Checked are links, commands, the README's example, and the tables of the reference.
"""

import argparse
import json
import re
import shlex
import shutil
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import tag_for_keyword
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, RTStructureSetStorage
from tests.conftest import drafting
from tests.dicom.conftest import block, make_scan, make_structure_set
from tests.journeys.conftest import with_a_square, write_patient

from recontour import errors, workflows
from recontour.assess.acceptance import DECISION_COLUMNS
from recontour.assess.acceptance import OFFSET_COLUMNS as MODEL_OFFSET_COLUMNS
from recontour.cli.parser import parser
from recontour.cohort import Cohort
from recontour.contouring.contourer import Contourer
from recontour.dicom import (
    Authorship,
    pixels,
    reading,
    rtstruct_in,
    slices,
    write_segmentation,
)
from recontour.dicom.archive import CT, LABEL_MAP
from recontour.dicom.seg_in import SEGMENTATIONS
from recontour.evaluation.control_chart import POINT_COLUMNS
from recontour.evaluation.gain_report import GAIN_COLUMNS
from recontour.evaluation.gain_report import SCORE_COLUMNS as LEARNT_COLUMNS
from recontour.evaluation.statistics import holm, wilcoxon_p
from recontour.evaluation.tables import SCORE_COLUMNS, STATISTICS_COLUMNS
from recontour.exchange.convert import convert
from recontour.exchange.nifti import write_nifti
from recontour.geometry import raster
from recontour.network import Architecture, load_model
from recontour.organs import (
    default_organ,
    known_organs,
    match_names,
    read_template,
    read_user_map,
)
from recontour.organs.table import organs as organ_table
from recontour.organs.template import OutputTable
from recontour.service.settings import (
    Destination,
    LoopSettings,
    NodeSettings,
    PageSettings,
    Rule,
    Site,
    SiteModel,
    When,
)
from recontour.study import example as study_example
from recontour.study import settings, tables
from recontour.training.presets import PRESETS

LONGEST_LINE = 120
REPO = Path(__file__).resolve().parents[2]
PACKAGE = REPO / "src" / "recontour"
REFERENCE = REPO / "docs" / "reference"
DOCUMENTS = sorted([*REPO.glob("*.md"), *REPO.glob("docs/**/*.md")])
TEXTS = {str(path.relative_to(REPO)): path.read_text(encoding="utf-8") for path in DOCUMENTS}
COLUMNS = "| file | one row per | columns |"
ATTRIBUTES_READ = "| attribute | used for | if it is absent |"
READERS = (
    "reading",
    "archive",
    "references",
    "passes",
    "acquisition",
    "equipment",
    "pictures",
    "ct",
    "slices",
    "pixels",
    "padding",
    "rtstruct_in",
)
OTHERS_OPTIONS = {"--logdir", "--upgrade", "--install"}  # of TensorBoard, .ci/lock and WSL
OTHERS_OPTIONS |= {"--rm", "--user", "--network", "--build-arg"}  # of podman
OTHERS_OPTIONS |= {"--name", "--stop-timeout"}
OTHERS_OPTIONS |= {"--now"}  # of systemctl
OTHERS_OPTIONS |= {"--find-links", "--index-url"}  # of pip
OTHERS_OPTIONS |= {"--array", "--cpus-per-task", "--gres", "--mem", "--open-mode"}  # of Slurm
OTHERS_OPTIONS |= {"--gpus-per-task", "--kill-on-bad-exit", "--nodes", "--ntasks"}
OTHERS_OPTIONS |= {"--ntasks-per-node", "--requeue", "--signal", "--test-only", "--time", "--wrap"}
OTHERS_OPTIONS |= {"--lifetime", "--lifetime-stagger", "--memory-limit"}  # of `dask worker`
OTHERS_OPTIONS |= {"--nthreads", "--worker-port"}
OTHERS_OPTIONS |= {"--no-python", "--nproc-per-node"}  # of torchrun


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language; "" for those that name none."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [block for of, block in fenced if of == language]


def commands(text: str) -> list[str]:
    """The `recontour ...` lines of a document's blocks."""
    lines = [
        line
        for block in blocks(text, "")
        for line in block.splitlines()
        if line.startswith("recontour ")
    ]
    return [line.partition(" > ")[0] for line in lines]  # into a file


def _names(row: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(row))


def rows(document: str, header: str) -> list[list[str]]:
    """The cells of a reference table, found by its header line, without code marks."""
    lines = iter((REFERENCE / document).read_text(encoding="utf-8").splitlines())
    assert any(line == header for line in lines), f"{document} has no table {header}"
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name: str) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", TEXTS[name])
    inside = [
        target.partition("#")[0]
        for target in targets
        if not target.startswith(("http:", "https:", "#"))
    ]
    dead = [target for target in inside if not (REPO / name).parent.joinpath(target).exists()]
    assert not dead


@pytest.mark.parametrize("name", TEXTS)
def test_lines_of_prose_are_short(name: str) -> None:
    """Tables and blocks of code are as wide as what they hold."""
    prose = re.sub(r"^ *```.*?^ *```", "", TEXTS[name], flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.lstrip().startswith("|")]
    assert [line for line in lines if len(line) > LONGEST_LINE] == []


@pytest.mark.parametrize("name", TEXTS)
def test_files_that_are_named_exist(name: str) -> None:
    paths = re.findall(r"`((?:src|tests|docs|benchmarks)/[\w./-]+)`", TEXTS[name])
    assert not [path for path in paths if not (REPO / path).exists()]


# that names the benchmarks' options too
@pytest.mark.parametrize("name", sorted(TEXTS.keys() - {"docs/results.md"}))
def test_options_that_are_named_exist(name: str) -> None:
    help_texts = [
        parser().format_help(),
        *(command.format_help() for command in _subparsers().values()),
    ]
    known = OTHERS_OPTIONS.union(*(re.findall(r"--[a-z-]+", text) for text in help_texts))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", TEXTS[name])) <= known
    assert set(re.findall(r"--preset ([a-z]\w*)", TEXTS[name])) <= set(PRESETS)


def _subparsers() -> dict[str, argparse.ArgumentParser]:
    (choices,) = [
        action.choices for action in parser()._actions if isinstance(action.choices, dict)
    ]
    return choices


@pytest.mark.parametrize(
    "line", sorted({line for text in TEXTS.values() for line in commands(text)})
)
def test_commands_are_understood(line: str) -> None:
    options = parser().parse_args(shlex.split(line, comments=True)[1:])
    assert set(getattr(options, "organs", None) or ()) <= set(known_organs())


def test_the_readme_shows_every_command() -> None:
    shown = {line.split()[1] for line in commands(TEXTS["README.md"])}
    assert shown == set(_subparsers()) - {"demo"}
    assert "make demo" in blocks(TEXTS["README.md"], "")[0]


def _room(front: Path) -> str:
    return front.parent.name


def test_the_readme_s_picture_of_the_house_is_true() -> None:
    (section,) = re.findall(
        r"^## The way of the data$(.*?)^## ", TEXTS["README.md"], flags=re.MULTILINE | re.DOTALL
    )
    (picture,) = blocks(section, "")
    rooms = {f"{path.name}/" for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    files = {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    assert set(re.findall(r"\b[a-z]+/|\b[a-z]+\.py", picture)) == rooms | files


@pytest.mark.parametrize("front", sorted(PACKAGE.glob("*/__init__.py")), ids=_room)
def test_every_room_s_front_lists_its_modules(front: Path) -> None:
    contents, *_ = re.findall(r'^"""(.*?)"""', front.read_text(encoding="utf-8"), flags=re.DOTALL)
    modules = {path.stem for path in front.parent.glob("*.py")} - {"__init__"}
    assert modules <= set(re.findall(r"\w+", contents))


@pytest.fixture(scope="module")
def workplace(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the README's example ran, on a small archive and with two steps of
    training.
    """
    folder = tmp_path_factory.mktemp("readme")
    for name in ("south", "north-train", "north-test"):
        shutil.copytree(archive, folder / "dicom" / name)
    write_patient(folder / "dicom" / "new-patient", 7)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(workflows, "train", partial(workflows.train, iterations=2))
        patch.setattr(workflows, "adapt", partial(workflows.adapt, iterations=2))
        squares = with_a_square(Contourer.contour)
        patch.setattr(Contourer, "contour", squares)
        patch.setattr(Contourer, "drafts", drafting(squares))
        (example,) = blocks(TEXTS["README.md"], "python")
        exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})
    return folder


def test_the_readme_s_example_does_what_it_says(workplace: Path) -> None:
    assert Cohort.open(workplace / "north-test").centre == "North"
    assert load_model(workplace / "north.safetensors").provenance.lineage == "south -> North"
    made = {path.name for path in (workplace / "evaluation").iterdir()}
    assert made == {"scores.csv", "statistics.csv", "report.html"}
    written = pydicom.dcmread(workplace / "new-patient.dcm")
    assert [roi.ROIName for roi in written.StructureSetROISequence] == ["Brainstem", "Lens_L"]


def test_the_examples_of_the_files_reference_run(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workplace)
    for example in blocks((REFERENCE / "files.md").read_text(encoding="utf-8"), "python"):
        exec(compile(example, "files.md", "exec"), {"__name__": "__main__"})
    said = capsys.readouterr().out
    assert "Not a medical device" in said  # the model card
    cases = Cohort.open(workplace / "north-train").case_ids
    assert all(f"{case} dicom/north-train/" in said for case in cases)  # the way back to a patient


def test_a_label_map_comes_back_as_the_slicer_how_to_says(tmp_path: Path) -> None:
    (names,) = blocks(TEXTS["docs/how-to/in-3d-slicer.md"], "json")
    scan = write_patient(tmp_path / "dicom", 0)
    labels = np.zeros(scan.grid.shape, dtype=np.uint8)
    for label in (1, 2, 3):
        labels[1:4, 10:20, 10 * label : 10 * label + 8] = label
    (tmp_path / "dataset.json").write_text(names, encoding="utf-8")
    write_nifti(tmp_path / "Segmentation.nii.gz", labels, scan.grid)
    written = convert(
        tmp_path / "Segmentation.nii.gz", tmp_path / "dicom" / "CT", tmp_path / "corrected.dcm"
    )
    assert set(written.volumes_cc) == {"Brainstem", "Parotid_L", "Parotid_R"}


def test_a_study_file_reads_as_the_windows_how_to_says(tmp_path: Path) -> None:
    """A backslash within "..." and UTF-16 are refused, and the error says which it is."""
    path = tmp_path / "STUDY.toml"
    path.write_text('[source]\ncohort = "C:\\data\\south"\n', encoding="utf-8")
    with pytest.raises(errors.SettingsError, match="Unescaped"):
        settings.read_study(path)
    path.write_text(study_example(), encoding="utf-16")
    with pytest.raises(errors.SettingsError, match="it is not UTF-8 text"):
        settings.read_study(path)
    path.write_text(study_example().replace('"south"', "'C:\\data\\south'"), encoding="utf-8-sig")
    assert settings.read_study(path).name
    assert "it is not UTF-8 text" in TEXTS["docs/how-to/on-windows.md"]


def test_columns_of_the_tables() -> None:
    text = (REFERENCE / "files.md").read_text(encoding="utf-8")
    for name, expected in (("scores.csv", SCORE_COLUMNS), ("statistics.csv", STATISTICS_COLUMNS)):
        (line,) = re.findall(rf"^\| `{name}` \| (.*) \|$", text, flags=re.MULTILINE)
        assert tuple(re.findall(r"`(\w+)`", line)) == expected


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("decision.csv", DECISION_COLUMNS),
        ("model_offsets.csv", MODEL_OFFSET_COLUMNS),
        ("points.csv", POINT_COLUMNS),
        ("gains.csv", GAIN_COLUMNS),
        ("learnt_scores.csv", LEARNT_COLUMNS),
    ],
)
def test_every_column_of_the_other_tables_is_named(name: str, columns: tuple[str, ...]) -> None:
    text = (REFERENCE / "files.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^\| `{name}` \| (.*) \|$", text, flags=re.MULTILINE)
    assert set(columns) <= set(re.findall(r"`(\w+)`", line))


SECTIONS: dict[str, Any] = {  # by the head of the table that explains them
    "at the top": settings.Study,
    "[source], [target]": settings.CentreSettings,
    "[models]": settings.ModelsSettings,
    "[separately]": settings.SeparatelySettings,
    "[depth]": settings.DepthSettings,
    "[normalisation]": settings.NormalisationSettings,
    "[cases]": settings.CasesSettings,
}


def _default(field: Any) -> str:
    if field.is_required():
        return "needed"
    # TOML writes these as JSON does
    return "none" if field.default is None else json.dumps(field.default)


@pytest.mark.parametrize("head", SECTIONS)
def test_every_setting_of_a_study_is_explained_with_its_default(head: str) -> None:
    declared = SECTIONS[head].__pydantic_fields__
    sections = set(re.findall(r"\w+", " ".join(SECTIONS))) if head == "at the top" else set()
    explained = {
        name: default
        for name, default, *_ in rows("study.md", f"| {head} | default | range | what |")
    }
    assert explained == {
        name: _default(field) for name, field in declared.items() if name not in sections
    }


SITE_SECTIONS: dict[str, Any] = {  # by the head of the table that explains them
    "at the top": Site,
    "[node]": NodeSettings,
    "[models.NAME]": SiteModel,
    "[[destinations]]": Destination,
    "[[rules]]": Rule,
    "[rules.when]": When,
    "[page]": PageSettings,
    "[loop]": LoopSettings,
}
# By setting, what stands in place of a default that is a section or an empty list.
SITE_DEFAULTS = {"node": "below", "page": "below", "loop": "below", "when": "every series"}


@pytest.mark.parametrize("head", SITE_SECTIONS)
def test_every_setting_of_a_site_is_explained_with_its_default(head: str) -> None:
    declared = SITE_SECTIONS[head].__pydantic_fields__
    explained = {}
    for name, default, *_ in rows("site.md", f"| {head} | default | range | what |"):
        explained[name] = default
    expected = {}
    for name, field in declared.items():
        expected[name] = SITE_DEFAULTS.get(name) or _default(field)
    assert explained == expected


STUDY_TABLES: dict[str, tuple[str, ...]] = {
    "models.csv": (*_names(tables.ModelRow), "published_dsc_mean", "published_dsc_sd"),
    "retention.csv": _names(tables.ModelRow),
    "statistics.csv": ("fold", *_names(tables.DifferenceRow)),
    "depth.csv": _names(tables.DepthRow),
    "cases.csv": _names(tables.CasesRow),
    "separately.csv": (*_names(tables.SeparatelyRow), "joint_iterations", "joint_seconds"),
    "normalisation.csv": _names(tables.NormalisationRow),
    "times.csv": _names(tables.TimesRow),
    "curves.csv": _names(tables.CurveRow),
    "scores.csv": _names(tables.ScoreRow),
}


def test_columns_of_a_study_s_tables() -> None:
    explained = {
        file: tuple(re.findall(r"`(\w+)`", f"`{columns}`"))
        for file, _, columns in rows("study.md", COLUMNS)
    }
    assert explained == STUDY_TABLES


def test_tolerances() -> None:
    *organs, (_, default) = rows("evaluation.md", "| organ | mm |")
    published = {
        organ.group: organ.tolerance_mm
        for organ in organ_table().values()
        if organ.has_own_tolerance
    }
    assert {organ: float(mm) for organ, mm in organs} == published
    assert float(default) == default_organ().tolerance_mm


def test_shares_of_islands() -> None:
    *organs, (_, default) = rows("evaluation.md", "| organ | share |")
    usual = default_organ().kept_share
    special = {
        organ.name: organ.kept_share
        for organ in organ_table().values()
        if organ.kept_share != usual
    }
    assert {organ: float(share) for organ, share in organs} == special
    assert float(default) == usual


def test_names_become_what_the_reference_says() -> None:
    for roi_name, becomes in rows("names.md", "| ROI name | becomes |"):
        (row,) = match_names([roi_name]).rows
        assert becomes == (row.tg263 or row.status), roi_name


def test_the_map_of_the_reference_can_be_used(tmp_path: Path) -> None:
    (example,) = blocks((REFERENCE / "names.md").read_text(encoding="utf-8"), "toml")
    (tmp_path / "map.toml").write_text(example, encoding="utf-8")
    names = match_names(
        ["STAMM", "腮腺甲", "Parotid", "Cord old", "Glottis"],
        read_user_map(tmp_path / "map.toml"),
    )
    assert [row.tg263 for row in names.rows] == [
        "Brainstem",
        "Parotid_L",
        "Parotid_R",
        None,
        "Glottis",
    ]


def test_the_output_s_settings_are_explained_and_their_example_does_what_it_says(
    tmp_path: Path,
) -> None:
    explained = {
        name
        for cell, *_ in rows("output.md", "| setting | default | what |")
        for name in re.findall(r"\w+", cell)
    }
    assert explained == set(_names(OutputTable))
    text = (REFERENCE / "output.md").read_text(encoding="utf-8")
    (example,) = blocks(text, "toml")
    (tmp_path / "map.toml").write_text(example, encoding="utf-8")
    template = read_template(tmp_path / "map.toml", "HN 70 Gy")
    assert template.organs
    written = " and ".join(f"`{template.name_of(organ)}`" for organ in template.organs)
    assert f"This writes {written}, in this order." in text


def test_every_error_is_explained() -> None:
    explained = {
        name: int(code)
        for name, code, *_ in rows("errors.md", "| exception | exit code | seen when | do |")
    }
    tree = {
        name: kind.exit_code
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.RecontourError)
    }
    assert explained == tree


def test_how_a_study_ends_is_told_alike() -> None:
    text = TEXTS["docs/reference/errors.md"]
    assert f"`study` ends with {errors.FaultError.exit_code} when cells failed" in text
    assert (
        f"| {errors.FaultError.exit_code} | some cells failed" in TEXTS["docs/reference/study.md"]
    )


def test_how_many_test_patients_are_needed() -> None:
    """The how-to: of twelve organs one alone can become significant with 9 pairs, not with 8."""
    assert "at least 9 patients" in TEXTS["docs/how-to/adapt-a-model.md"]
    smallest = {n: holm([wilcoxon_p(np.arange(1.0, n + 1)), *[1.0] * 11])[0] for n in (8, 9)}
    assert smallest[9] < 0.05 < smallest[8]


def test_the_readings_are_those_of_the_preset() -> None:
    text = TEXTS["docs/explanation/paper.md"]
    paper, compact = PRESETS["paper"], PRESETS["compact"]
    assert isinstance(paper.architecture, Architecture)
    spp_rates = ", ".join(map(str, paper.architecture.spp_rates))
    assert f"(rates {spp_rates}) of {paper.architecture.spp_channels}" in text
    rates = ", ".join(map(str, paper.architecture.cac_rates))
    assert f"Conv4: {paper.architecture.conv4_rate}. Conv5-b1, b2, b3: {rates} |" in text
    low, high = paper.preprocessing.window_hu
    assert f"{low:g} to {high:g} HU" in text
    assert f"brought to {paper.preprocessing.pixel_mm:g} mm pixels" in text
    assert f"up to {paper.train.augmentation.shift_mm:g} mm" in text
    norms = (paper.architecture.norm, compact.architecture.norm)
    assert "{} normalisation in `paper`, {} normalisation in `compact`".format(*norms) in text
    assert paper.train == paper.adapt
    assert f"{paper.train.iterations:,} iterations".replace(",", " ") in text


def _keywords(cells: str) -> list[str]:
    return [word for word in re.findall(r"\w+", cells) if tag_for_keyword(word)]


def test_sop_classes_of_the_conformance_statement() -> None:
    table = rows("conformance.md", "| SOP class | UID | read | written by |")
    assert {uid for _, uid, read, _ in table if read == "yes"} == {
        *CT,
        RTStructureSetStorage,
        *SEGMENTATIONS,
    }
    assert all(UID(uid).name == name for name, uid, *_ in table if uid != LABEL_MAP)


def test_transfer_syntaxes_of_the_conformance_statement() -> None:
    """Those that a decoder is declared for in pyproject.toml, and every one that pydicom reads by
    itself.
    """
    declared = (REPO / "pyproject.toml").read_text(encoding="utf-8")
    table = rows("conformance.md", "| transfer syntax | UID | decoded by |")
    assert all(f'"{by}' in declared for _, _, by in table)
    decodable = {
        UID(uid)
        for uid, (_, kind, *_) in UID_dictionary.items()
        if kind == "Transfer Syntax" and _is_decoded(UID(uid))
    }
    assert {UID(uid) for _, uid, _ in table} == decodable


def test_written_transfer_syntaxes_of_the_conformance_statement(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    make_structure_set(tmp_path / "rs.dcm", scan)
    write_segmentation(
        tmp_path / "seg.dcm", [("Brainstem", block(scan.grid))], scan, Authorship("test")
    )
    files = (tmp_path / "rs.dcm", tmp_path / "seg.dcm", next((tmp_path / "ct").iterdir()))
    structures, segments, images = (
        pydicom.dcmread(file).file_meta.TransferSyntaxUID.name for file in files
    )
    assert segments == images
    text = TEXTS["docs/reference/conformance.md"]
    (said,) = re.findall(
        r"Structure sets are written in (.*?) \(.*?\),\nSegmentations and CT images in (.*?)\.",
        text,
    )
    assert said == (structures, segments)


def _is_decoded(syntax: UID) -> bool:
    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:
        return False


def test_attributes_that_the_conformance_statement_says_are_read() -> None:
    """The table lists the keywords that the readers use, and no others.

    Functional groups are listed without their ending.
    """
    listed = [
        word for cells, *_ in rows("conformance.md", ATTRIBUTES_READ) for word in _keywords(cells)
    ]
    source = "".join(
        (REPO / f"src/recontour/dicom/{name}.py").read_text(encoding="utf-8") for name in READERS
    )
    written = r"(?<!_element\()(?<!keyword == )(?<!endswith\()"
    named = re.findall(written + r'"([A-Z]\w+)"', source)
    used = {word if tag_for_keyword(word) else f"{word}Sequence" for word in named}
    assert set(listed) == {word for word in used if tag_for_keyword(word)}
    assert len(listed) == len(set(listed))


def test_limits_of_the_conformance_statement() -> None:
    limits = [float(number) for _, number in rows("conformance.md", "| limit | at most |")]
    assert limits == [
        pixels.MOST_PIXELS,
        pixels.MOST_VOXELS,
        reading.MOST_ATTRIBUTES,
        reading.MOST_INFLATED >> 20,
        reading.MOST_GROWTH,
        reading.LARGEST,
        slices.FINEST_MM,
        rtstruct_in.LONGEST_NUMBER,
        raster.MOST_CROSSINGS,
    ]
    text = (REFERENCE / "conformance.md").read_text(encoding="utf-8")
    assert f"of more than {reading.NEVER_REFUSED >> 20} MiB may grow" in text
    assert f"lines ({raster.SUBLINES} per row of pixels)" in text


def test_the_rtstruct_of_the_conformance_statement(workplace: Path) -> None:
    """What a contoured patient's file holds is listed, and with the value that is stated."""
    written = pydicom.dcmread(workplace / "new-patient.dcm")
    elements = list(written.iterall())
    table = [
        (_keywords(cells), value)
        for _, cells, value in rows("conformance.md", "| module | attribute | value |")
    ]
    listed = {word for words, _ in table for word in words}
    only_if_the_ct_has_it = {
        word for words, value in table if "if it has" in value for word in words
    }
    assert {element.keyword for element in elements} >= listed - only_if_the_ct_has_it - {
        "ReferencedFrameNumber",
        "StructureSetDescription",
    }
    assert {element.keyword for element in elements} <= listed
    stated = {
        words[0]: value
        for words, value in table
        if len(words) == 1 and re.fullmatch(r"[A-Z_]+|\d", value)
    }
    assert {"Modality", "ROIGenerationAlgorithm", "RTROIInterpretedType", "ApprovalStatus"} <= set(
        stated
    ) - {"CT"}
    for keyword, value in stated.items():
        found = {str(element.value) for element in elements if element.keyword == keyword}
        assert value == "CT" or found == {value}, keyword
    for keyword in ("OperatorsName", "ROIInterpreter"):
        assert {str(element.value) for element in elements if element.keyword == keyword} == {""}
