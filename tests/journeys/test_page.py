"""People at the page: they look, correct with mouse and keyboard, and approve.

Headless Chromium is driven by selenium; without them, these tests skip.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("selenium", reason="selenium is not installed")
pytest.importorskip("starlette", reason="recontour[site] is not installed")

from selenium.webdriver.common.keys import Keys
from tests.journeys.browsers import Person, Served, free_port, need_chromium, someone, until
from tests.service.page.site_with_a_draft import (
    GRID,
    NAMES,
    add_draft,
    add_people,
    add_returned,
    add_small_draft,
    password_of,
    small_case,
    write_site,
)

from recontour.dicom import read_structure_set
from recontour.geometry import Structure, StructureSet, rasterise, trace
from recontour.geometry.arrays import Floats, Mask
from recontour.service.review.prepared import STRUCTURES
from recontour.service.settings import Site, read_site
from recontour.service.store import Approval, Draft, Store

STEM = "Brainstem"
LONG_PX = 60  # of a drag on the screen
RADIUS_MM = 4.0  # of the brush at first


@pytest.fixture(scope="module")
def site_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site without patients."""
    return new_site(tmp_path_factory.mktemp("page"))


def new_site(folder: Path) -> Path:
    need_chromium()
    path = write_site(folder, port=free_port())
    store = Store.of(read_site(path))
    add_people(store)
    store.engine.dispose()
    return path


@pytest.fixture(scope="module")
def site(site_file: Path) -> Site:
    return read_site(site_file)


@pytest.fixture(scope="module")
def served(site_file: Path, site: Site) -> Iterator[Served]:
    with Served(site_file, site.page.port) as page:
        yield page


@pytest.fixture(scope="module")
def doctor(served: Served) -> Iterator[Person]:
    """Somebody who may correct and approve, logged in."""
    with someone(served.url) as person:
        person.log_in("doctor", password_of("doctor"))
        yield person


@pytest.fixture
def draft(site: Site, request: pytest.FixtureRequest) -> int:
    """The draft of a patient of this test's own. Its series has its id.

    A brain stem, a lens, and on the lowest slice alone another lens, which nobody sees who looks at
    these.
    """
    hu, structures = small_case()
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[0, 14:18, 14:18] = True
    store = Store.of(site)
    drawn = StructureSet((*structures.structures, Structure("Lens_R", trace(mask, GRID))))
    made = add_draft(site, store, hu, GRID, drawn, uid=request.node.name)
    store.engine.dispose()
    return made


def masks(path: Path) -> dict[str, Mask]:
    """Return the masks of a structure set by TG-263 name."""
    organ_by_name = {name: organ for organ, name in NAMES.items()}
    found = {}
    for structure in read_structure_set(path, None).structures:
        found[organ_by_name[structure.name]] = rasterise(structure.contours, GRID)
    return found


def drafted(site: Site, draft: int) -> dict[str, Mask]:
    store = Store.of(site)
    with store.begin() as session:
        folder = session.get_one(Draft, draft).folder
    store.engine.dispose()
    return masks(site.folder / folder / STRUCTURES)


def approved(site: Site, draft: int) -> dict[str, Mask]:
    store = Store.of(site)
    with store.begin() as session:
        file = session.query(Approval).filter_by(draft_id=draft).one().file
    store.engine.dispose()
    return masks(site.folder / file)


def distance_to_line_mm(start: tuple[float, float], end: tuple[float, float]) -> Floats:
    """Return how far each pixel's centre of a slice is from a line, (rows, columns)."""
    _, rows, columns = GRID.shape
    row, column = np.mgrid[:rows, :columns]
    points = GRID.to_mm(np.column_stack([column.ravel(), row.ravel()]).astype(float))
    along = np.subtract(end, start)
    share = np.clip((points - start) @ along / (along @ along), 0, 1)
    nearest = np.asarray(start) + share[:, None] * along
    away_mm: Floats = np.hypot(*(points - nearest).T).reshape(rows, columns)
    return away_mm


def choose(person: Person, organ: str) -> None:
    person.find(f'#organs .pick[title="{organ}"]').click()
    person.says("#axial .nw", organ)


def check_painted(
    was: dict[str, Mask],
    now: dict[str, Mask],
    start: tuple[float, float],
    end: tuple[float, float],
) -> None:
    """Check that a brush along a line on slice 4, and nothing else, tells `now` from `was`."""
    assert set(was) == {STEM, "Lens_L", "Lens_R"}
    assert set(now) == {STEM, "Lens_L"}
    np.testing.assert_array_equal(now["Lens_L"], was["Lens_L"])
    others = [0, 1, 2, 3, 5]
    np.testing.assert_array_equal(now[STEM][others], was[STEM][others])
    away_mm = distance_to_line_mm(start, end)
    # the path is sent to 0.01 mm, the brush has 64 corners, and the file holds 0.0001 mm
    slack_mm = 0.01 + RADIUS_MM * (1 - np.cos(np.pi / 64)) + 0.0001
    assert now[STEM][4][away_mm < RADIUS_MM - slack_mm].all()
    is_outside = away_mm > RADIUS_MM + slack_mm
    np.testing.assert_array_equal(now[STEM][4][is_outside], was[STEM][4][is_outside])
    assert (now[STEM][4] & ~was[STEM][4]).any()


def test_a_doctor_corrects_and_approves(doctor: Person, site: Site, draft: int) -> None:
    """The approved structure set differs from the draft exactly where the mouse was."""
    doctor.browser.get(doctor.url)
    doctor.says("#series tbody", "to review")
    doctor.find(f'#series a.button[href="/review/{draft}"]').click()
    doctor.says("#patient", "PHANTOM, Ada")
    doctor.open(draft)
    choose(doctor, STEM)
    doctor.press(Keys.HOME)
    doctor.says("#axial .nw", "Slice 6 of 6")
    doctor.turn_wheel(100)
    doctor.says("#axial .nw", "Slice 4 of 6")
    doctor.press(".")
    doctor.says("#axial .nw", "Slice 5 of 6")

    # with the mouse: a straight stroke of the brush, from inside the brain stem to outside
    doctor.press("b")
    start_px = doctor.pixel_of((8.0, 0.0))
    end_px = (start_px[0] + LONG_PX, start_px[1])
    start, end = doctor.mm_of(start_px), doctor.mm_of(end_px)
    doctor.drag(start, end)
    doctor.reaches(1)
    painted = doctor.working()["contours"]

    # with the keyboard: two steps to the right, as one move; undone, done again, and undone
    doctor.press("m", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    doctor.reaches(2)
    moved = doctor.working()["contours"]
    assert moved != painted
    doctor.press(Keys.CONTROL, "z")
    doctor.reaches(1)
    assert doctor.working()["contours"] == painted
    doctor.press(Keys.CONTROL, "y")
    doctor.reaches(2)
    assert doctor.working()["contours"] == moved
    doctor.press(Keys.CONTROL, "z")
    doctor.reaches(1)

    # what was edited, and what was not looked at, is said before anything is approved
    doctor.press(Keys.CONTROL, Keys.ENTER)
    doctor.says("#approval-organs", "edited on 1 slice")
    doctor.says("#approval-warning", "not looked at Lens_R.")
    doctor.find('#approval-organs [aria-label="Approve Lens_R"]').click()
    doctor.find("#approval-yes").click()
    doctor.says("#said", "2 organs approved")
    doctor.says("#layers", "Approved by doctor")

    check_painted(drafted(site, draft), approved(site, draft), start, end)
    assert doctor.troubles() == []  # such as something that the page's own policy refused


def test_every_tool_works_by_keyboard_alone(doctor: Person, draft: int) -> None:
    doctor.open(draft)
    choose(doctor, STEM)

    def slices() -> dict[str, object]:
        found: dict[str, object] = doctor.working()["contours"].get(STEM, {})
        return found

    original = slices()
    assert set(original) == {"1", "2", "3", "4", "5"}
    doctor.press(Keys.END)
    doctor.says("#axial .nw", "Slice 2 of 6")
    doctor.press(Keys.SHIFT, Keys.ARROW_RIGHT)  # to the edge of the brain stem
    doctor.press("b", Keys.SPACE, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.SPACE)
    doctor.reaches(1)
    doctor.press("e", "]", Keys.SPACE, Keys.SPACE)
    doctor.reaches(2)
    right, down = [Keys.ARROW_RIGHT] * 6, [Keys.ARROW_DOWN] * 6
    left, up = [Keys.ARROW_LEFT] * 6, [Keys.ARROW_UP] * 6
    doctor.press("a", Keys.SPACE, *right, Keys.SPACE, *down, Keys.SPACE, Keys.ENTER)
    doctor.reaches(3)
    doctor.press("r", Keys.SPACE, *up, Keys.SPACE, *left, Keys.SPACE, Keys.ENTER)
    doctor.reaches(4)
    doctor.press(".", "x")
    doctor.reaches(5)
    assert "2" not in slices()
    doctor.press("i")  # fills it from those above and below
    doctor.reaches(6)
    assert "2" in slices()
    doctor.press("c")  # as the model drew it
    doctor.reaches(7)
    assert slices()["2"] == original["2"]
    doctor.press(Keys.SHIFT, "u")  # from here up
    doctor.reaches(8)
    assert set(slices()) == {"1"}
    doctor.press(Keys.SHIFT, "d")  # from here down
    doctor.reaches(9)
    assert slices() == {}
    doctor.press(Keys.SHIFT, "c")
    doctor.reaches(10)
    assert slices() == original
    doctor.press(*["z"] * 10)
    doctor.reaches(0)
    assert slices() == original


def test_another_persons_lock_is_shown(doctor: Person, served: Served, draft: int) -> None:
    doctor.open(draft)
    doctor.press("b")  # taking up a tool takes the lock
    until(lambda: doctor.get(f"/api/series/{draft}")["lock"], "the lock")
    with someone(served.url) as editor:
        editor.log_in("editor", password_of("editor"))
        editor.open(draft)
        editor.says("#lock", "doctor is correcting these contours")
        editor.press("b")
        editor.says("#said", "doctor is correcting")
        editor.drag((15.0, 0.0), (25.0, 0.0))
        assert editor.working()["revision"] == 0
        doctor.browser.get(served.url)  # leaving the page gives the lock back
        editor.run("window.dispatchEvent(new Event('focus'))")
        until(lambda: editor.find("#lock").get_property("hidden"), "the lock to be given back")
        editor.press("b")
        editor.drag((15.0, 0.0), (25.0, 0.0))
        editor.reaches(1)


def test_a_killed_server_loses_no_stroke(doctor: Person, served: Served, draft: int) -> None:
    doctor.open(draft)
    choose(doctor, STEM)
    doctor.press("b")
    doctor.drag((15.0, 0.0), (25.0, 0.0))
    doctor.reaches(1)
    doctor.put_down((0.0, 15.0))
    served.kill()
    doctor.lift((0.0, 25.0))
    doctor.says("#saved", "Not saved")
    served.start()
    doctor.is_saved()
    assert doctor.working()["revision"] == 2


def replace_draft(site: Site, draft: int, uid: str) -> None:
    """Give a draft's number to another one, as happens when a patient's data was deleted."""
    store = Store.of(site)
    with store.begin() as session:
        session.get_one(Draft, draft).sop_instance_uid = uid
    store.engine.dispose()


def test_a_window_of_a_replaced_draft_changes_nothing_and_offers_to_load(
    doctor: Person, site: Site, draft: int
) -> None:
    doctor.open(draft)
    choose(doctor, "Lens_R")
    doctor.says('#organs li:has([title="Lens_R"])', "seen")
    choose(doctor, STEM)
    doctor.press("b")
    replace_draft(site, draft, "1.2.3.1")
    doctor.drag((15.0, 0.0), (25.0, 0.0))
    doctor.says("#trouble", "of another draft")
    assert doctor.working()["revision"] == 0
    doctor.find("#trouble button").click()
    until(lambda: doctor.find("#trouble").get_property("hidden"), "the page to load")
    doctor.open(draft)
    replace_draft(site, draft, "1.2.3.2")
    doctor.press(Keys.CONTROL, Keys.ENTER)
    doctor.says("#approval-warning", "Lens_R.")  # was not looked at in this draft
    doctor.find("#approval-yes").click()
    doctor.says("#trouble", "of another draft")
    doctor.find("#trouble button").click()
    doctor.open(draft)
    choose(doctor, STEM)
    doctor.press("b")
    doctor.drag((15.0, 0.0), (25.0, 0.0))
    doctor.reaches(1)
    doctor.troubles()  # Chromium notes each answer of 409


# Lets one stroke reach the server, and loses the answer. Then the page sends it again.
LOSE_AN_ANSWER = """
const fetched = window.fetch;
window.asked = [];
window.fetch = async (path, options) => {
  const answer = await fetched(path, options);
  if (!String(path).endsWith("/edits")) return answer;
  window.asked.push(JSON.parse(options.body).request);
  if (window.asked.length === 1) throw new TypeError("the answer is lost");
  return answer;
};
"""


def test_a_stroke_whose_answer_was_lost_is_sent_again_and_drawn_once(
    doctor: Person, draft: int
) -> None:
    doctor.open(draft)
    choose(doctor, STEM)
    doctor.press("b")
    doctor.run(LOSE_AN_ANSWER)
    doctor.drag((15.0, 0.0), (25.0, 0.0))
    until(lambda: doctor.run("return window.asked.length") == 2, "the stroke to be sent again")
    doctor.reaches(1)
    first, second = doctor.run("return window.asked")
    assert first == second
    doctor.drag((15.0, 4.0), (25.0, 4.0))
    doctor.reaches(2)
    assert len(set(doctor.run("return window.asked"))) == 2


def test_what_came_back_is_listed_with_its_label_and_can_be_copied(tmp_path: Path) -> None:
    path = new_site(tmp_path)
    site = read_site(path)
    store = Store.of(site)
    draft = add_small_draft(site, store)
    with store.begin() as session:
        file = site.folder / session.get_one(Draft, draft).folder / STRUCTURES
    label = "Round <b>2</b>"
    number = add_returned(site, store, file, draft, uid="1.2.3.3", status="UNAPPROVED", label=label)
    store.engine.dispose()
    with Served(path, site.page.port) as served, someone(served.url) as doctor:
        doctor.log_in("doctor", password_of("doctor"))
        came = f'A structure set "{label}" came from OHIF, not approved, '
        doctor.says("#series tbody", came)
        doctor.open(draft)
        doctor.says("#layers", "From OHIF, not approved, ")
        doctor.says("#layers", f": {label}")
        choose(doctor, STEM)
        original = doctor.working()["contours"][STEM]
        doctor.press(Keys.END, "x")
        doctor.reaches(1)
        assert doctor.working()["contours"][STEM] != original
        layer = f"returned-{number}"
        doctor.run("document.querySelector('#copy-from').value = arguments[0]", layer)
        doctor.press(Keys.SHIFT, "c")
        doctor.reaches(2)
        assert doctor.working()["contours"][STEM] == original
        assert doctor.troubles() == []


def test_words_can_be_read_and_controls_have_names(served: Served, draft: int) -> None:
    """WCAG 2.2 AA: a contrast of 4.5 : 1 (1.4.3), and a name for each control (4.1.2)."""
    with someone(served.url) as boss:
        boss.browser.get(f"{served.url}/login")
        seen = boss.run(WORDS)
        boss.log_in("boss", password_of("boss"))
        boss.find("#series tbody tr")
        seen += boss.run(WORDS)
        nameless = boss.run(NAMELESS)
        boss.browser.get(f"{served.url}/models")
        boss.find(".model tbody tr")
        seen += boss.run(WORDS)
        nameless += boss.run(NAMELESS)
        boss.open(draft)
        boss.press("?")
        seen += boss.run(WORDS)
        boss.press(Keys.ESCAPE)
        boss.find("#approve").click()
        seen += boss.run(WORDS)
        nameless += boss.run(NAMELESS)
    assert len(seen) > 100
    assert [one for one in seen if one["contrast"] < 4.5] == []
    assert nameless == []


# The contrast of every text that is shown, with the nearest ground that is painted behind it.
# Disabled controls are exempt.
WORDS = """
const luminance = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).slice(0, 3).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (!/rgba\\(.*, 0\\)/.test(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const found = [];
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  const words = walker.currentNode.textContent.trim();
  const isShown = element.checkVisibility() && element.getClientRects().length > 0;
  if (!words || !isShown || element.closest(":disabled, svg, option")) continue;
  const [a, b] = [luminance(getComputedStyle(element).color), luminance(ground(element))];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  found.push({ words, contrast });
}
return found;
"""
NAMELESS = """
const kinds = "button, input:not([type=hidden]), select, a, [role=slider], [tabindex='0']";
const controls = document.querySelectorAll(kinds);
return [...controls].filter((one) => {
  const named = one.textContent.trim() || one.getAttribute("aria-label") || one.labels?.length;
  return !named;
}).map((one) => one.outerHTML);
"""
