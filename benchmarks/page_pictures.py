#!/usr/bin/env python3
"""Take the pictures of the page that the documents show, of patients of the phantom.

    .venv/bin/python benchmarks/page_pictures.py

Makes a site with patients in several states, looks at it in headless Chromium, and writes
docs/images/page-*.png.
"""

import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # for tests/, which know how to make a site and to drive a browser

from tests.journeys.browsers import Person, Served, free_port, someone, until  # noqa: E402
from tests.service.page.site_with_a_draft import (  # noqa: E402
    add_people,
    add_phantom_draft,
    password_of,
    write_site,
)

from recontour.findings import as_json  # noqa: E402
from recontour.service import jobs  # noqa: E402
from recontour.service.findings import NoRuleTakes  # noqa: E402
from recontour.service.settings import Site, read_site  # noqa: E402
from recontour.service.store import ARRIVING, TAKEN, UNMATCHED, Series, Store, now  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WINDOW = (1600, 1000)
MINUTE_S = 60.0


def add_others(store: Store) -> None:
    """Add patients in other states: no rule takes one, one is arriving, one waits."""
    finding = as_json(NoRuleTakes(rules=1))
    others = [
        ("PHANTOM^Eve", "Thorax", UNMATCHED, 212, finding),
        ("PHANTOM^Ben", "Head and neck", ARRIVING, 41, None),
        ("PHANTOM^Cleo", "Head and neck", TAKEN, 88, None),
    ]
    with store.begin() as session:
        for number, (name, description, state, slices, why) in enumerate(others, start=7):
            at = now() - number * 3 * MINUTE_S
            series = Series(
                uid=f"1.2.{number}", modality="CT", patient_id=f"P-{number}", patient_name=name,
                description=description, state=state, instances=slices, finding=why, first_at=at,
                last_at=at,
            )  # fmt: skip
            session.add(series)
            session.flush()
            if state == TAKEN:
                jobs.put(session, "contour", f"contour {number}", series_id=series.id)


def take(person: Person, name: str) -> None:
    """Write what the person sees."""
    seen = Image.open(BytesIO(person.browser.get_screenshot_as_png())).convert("RGB")
    seen.save(IMAGES / f"page-{name}.png", optimize=True)


def look_around(person: Person, draft: int) -> None:
    """Take a picture of each page."""
    person.log_in("boss", password_of("boss"))
    person.find("#series tbody tr")
    # only the page runs here, which the list rightly says
    until(lambda: not person.find("#health").get_property("hidden"), "the site's health")
    person.run("document.querySelector('#health').hidden = true")
    take(person, "list")
    person.open(draft)
    person.find('#organs .pick[title="Parotid_L"]').click()
    for box in ("#names", "#layers li:nth-child(2) input"):
        person.find(box).click()
    person.press("b")
    x, y = person.run("""
        const path = document.querySelector('#axial path.current[data-layer="working"]');
        const box = path.getBBox();
        return [box.x + box.width, box.y + box.height / 2];
    """)
    person.drag((x - 2, y), (x + 6, y + 10))
    person.reaches(1)
    take(person, "review")
    person.find("#approve").click()
    take(person, "approve")


def main() -> None:
    with TemporaryDirectory() as folder:
        path = write_site(Path(folder), port=free_port())
        site: Site = read_site(path)
        store = Store.of(site)
        add_people(store)
        draft = add_phantom_draft(site, store)
        add_others(store)
        store.engine.dispose()
        with Served(path, site.page.port) as served, someone(served.url, WINDOW) as person:
            look_around(person, draft)


if __name__ == "__main__":
    main()
