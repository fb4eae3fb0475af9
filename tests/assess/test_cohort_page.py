"""The page of a cohort: every case, the unusual ones first, and nobody's name."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import GRID, fill

from recontour.assess import cohort_page
from recontour.assess.cohort_page import WELL_SHOWN, Areas, _slices_that_show_all
from recontour.assess.own_page import own_page_at
from recontour.cli import main
from recontour.cohort import Cohort, case_id_of
from recontour.cohort.changes import remove
from recontour.errors import OutputError
from recontour.network import Model, save_model
from recontour.workflows import inspect

LOADS_TORCH = """
import sys
from recontour.cli import main
main(sys.argv[1:])
print("torch" in sys.modules)
"""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Seven cases; the brain stem of the last one is far too small."""
    path = tmp_path_factory.mktemp("pages") / "north"
    cohort = fill(Cohort.open_or_create(path, "north"), 6)
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[2:4, 20:22, 20:22] = True
    for case in cohort:
        sound = case.mask("Brainstem").copy()
        sound[-1] = False  # an organ that the scan's end cuts is not judged
        masks = {"Brainstem": sound}
        name = case_id_of("north", f"whole {case.id}")
        cohort.add(name, np.array(case.hu), GRID, masks, source_hash="1")
    odd = case_id_of("north", "odd")
    roi_names = {"Brainstem": "Zebedee Brainstem"}
    hu = np.zeros(GRID.shape, dtype=np.int16)
    cohort.add(odd, hu, GRID, {"Brainstem": mask}, source_hash="2", roi_names=roi_names)
    return cohort


def test_unusual_cases_come_first_and_are_explained(cohort: Cohort, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["inspect", str(cohort.path), "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    shown = re.findall(r'<h3 id="case-\d+">([\w-]+)', text)
    assert sorted(shown) == sorted(cohort.case_ids)
    assert shown[0] == case_id_of("north", "odd")
    assert "Brainstem: volume 0.384 cc is far below the median of 6 other cases" in text
    assert '<td class="words">Brainstem: small volume</td>' in text
    assert text.count('<td class="words">sizes as usual</td>') == len(cohort) - 1
    assert text.count("<article") == len(cohort)
    assert not re.search(r'(src|href)="(?!#|data:)', text), "the page needs no other file"
    for private in ("Zebedee", str(cohort.path), cohort.path.parent.name):
        assert private not in text


def test_a_page_says_which_organs_a_case_lacks_and_that_few_cases_are_not_compared(
    north: Cohort, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert main(["inspect", str(north.path), "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert '<td class="words">2, without Lens_L</td>' in text
    assert '<td class="words">too few cases to compare lengths and sizes</td>' in text


def test_the_cohorts_earlier_page_is_replaced(tmp_path: Path) -> None:
    """Also if none of the cases is left that it shows."""
    page = tmp_path / "page.html"
    cohort = fill(Cohort.open_or_create(tmp_path / "north", "north"), 1)
    words = ["inspect", str(cohort.path), "--html", str(page)]
    assert main(words) == 0
    (first,) = cohort.case_ids
    new = case_id_of("north", "new")
    hu = np.zeros(GRID.shape, dtype=np.int16)
    cohort.add(new, hu, GRID, {"Brainstem": hu == 0}, source_hash="new")
    assert main(words) == 0
    assert _shown(page) == {first, new}
    remove(cohort.path, [first])
    assert main(words) == 0
    assert _shown(page) == {new}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["north", "page.html"]


def _shown(page: Path) -> set[str]:
    return set(re.findall(r'<h3 id="case-\d+">([\w-]+)', page.read_text(encoding="utf-8")))


def test_a_page_that_may_be_needed_is_never_replaced(
    cohort: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cohort that has some of the same cases is another one."""
    page = tmp_path / "page.html"
    written = _written(cohort, page)
    part = fill(Cohort.open_or_create(tmp_path / "part", "north"), 1)
    assert part.case_ids[0] in cohort
    assert part.id
    assert cohort.id
    kept = {
        "mine": "is not a cohort's page",
        written.replace("</h1>", "?</h1>"): "was edited",
        written.replace(cohort.id, part.id): "was edited",
        written + "more": "was edited",
        _written(part, page): "is the page of another cohort",
    }
    for content, why in kept.items():
        page.write_text(content, encoding="utf-8")
        error = _refused(cohort, page, capsys)
        assert page.read_text(encoding="utf-8") == content
        assert why in error
        assert error.endswith("; choose another file name, or move that file away")


def test_a_link_to_a_page_is_not_replaced(
    cohort: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _written(cohort, tmp_path / "page.html")
    link = tmp_path / "link.html"
    link.symlink_to("page.html")
    error = _refused(cohort, link, capsys)
    assert error.endswith("link.html: is a link; name the file it leads to")
    assert link.is_symlink()


def test_the_page_of_a_cohort_without_an_id_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Earlier versions made such cohorts; everything else works with them."""
    cohort = fill(Cohort.open_or_create(tmp_path / "old", "north"), 1)
    about = cohort.path / "cohort.json"
    content = json.loads(about.read_text())
    del content["id"]
    about.write_text(json.dumps(content))
    page = tmp_path / "page.html"
    before = _written(cohort, page)
    assert "has no id by which its page could be known" in _refused(cohort, page, capsys)
    assert page.read_text(encoding="utf-8") == before


def test_a_file_that_appears_while_a_page_is_made_is_not_replaced(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.html"

    def too_early(path: Path, cohort_id: str | None) -> bool:
        seen = own_page_at(path, cohort_id)
        page.write_text("mine")
        return seen

    monkeypatch.setattr(cohort_page, "own_page_at", too_early)
    with pytest.raises(OutputError):
        inspect(cohort.path, html=page)
    assert page.read_text() == "mine"


def _refused(cohort: Cohort, page: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the line with which a page is refused."""
    capsys.readouterr()
    assert main(["inspect", str(cohort.path), "--html", str(page)]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def _written(cohort: Cohort, page: Path) -> str:
    page.unlink(missing_ok=True)
    assert main(["inspect", str(cohort.path), "--html", str(page)]) == 0
    return page.read_text(encoding="utf-8")


def test_a_wide_cord_leads_to_its_case(tmp_path: Path) -> None:
    """The box and the table name the case, both with a link, and its cord is shown close up."""
    cohort = fill(Cohort.open_or_create(tmp_path / "cords", "north"), 1)
    wide = np.zeros(GRID.shape, dtype=bool)
    wide[1:5, 20:26, 20:26] = True  # 576 mm2
    name = case_id_of("north", "wide")
    hu = np.zeros(GRID.shape, dtype=np.int16)
    roi_names = {"SpinalCord": "Kanal"}
    cohort.add(name, hu, GRID, {"SpinalCord": wide}, source_hash="1", roi_names=roi_names)
    text = _written(cohort, tmp_path / "page.html")
    (link,) = set(re.findall(rf'<a href="(#case-\d)">{name}</a>', text))
    boxes = [box for box in re.findall(r'<p class="notice">.*?</p>', text) if "canal" in box]
    assert len(boxes) == 2, "one on the name, one on the width"
    assert all(f'<a href="{link}">{name}</a>' in box for box in boxes)
    brief = "SpinalCord: called a canal; SpinalCord: as wide as the canal"
    assert f'<td class="words">{brief}</td>' in text
    assert link == "#case-1", "cases to look at come before the others"
    assert f'aria-label="{name}, SpinalCord, axial"' in text


def test_a_cohort_without_cases_has_a_page(tmp_path: Path) -> None:
    empty = Cohort.open_or_create(tmp_path / "empty", "empty")
    page = tmp_path / "page.html"
    assert main(["inspect", str(empty.path), "--html", str(page)]) == 0
    assert "0 patients" in page.read_text(encoding="utf-8")


def test_a_model_has_no_page(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(model, tmp_path / "m")
    page = tmp_path / "page.html"
    assert main(["inspect", str(tmp_path / "m"), "--html", str(page)]) == 2
    assert "--html is for cohorts, and this is a model" in capsys.readouterr().err
    assert not page.exists()


def test_every_organ_is_shown_well() -> None:
    """Two organs share a slice; the third needs one of its own."""
    shares = {"a": [0, 9, 10, 0, 0], "b": [0, 10, 7, 0, 0], "c": [0, 0, 0, 3, 10]}
    areas: dict[str, Areas] = {}
    for organ, counts in shares.items():
        areas[organ] = {"axial": np.array(counts, dtype=np.int64)}
    chosen = _slices_that_show_all(areas)
    assert chosen == [1, 4]
    for counts in shares.values():
        assert max(counts[index] for index in chosen) >= WELL_SHOWN * max(counts)


def test_a_cohort_is_inspected_without_torch_even_with_a_page(
    cohort: Cohort, tmp_path: Path
) -> None:
    words = ["inspect", str(cohort.path), "--html", str(tmp_path / "page.html")]
    done = subprocess.run(
        [sys.executable, "-c", LOADS_TORCH, *words], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"
