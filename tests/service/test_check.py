"""`recontour serve --check` and `--dry-run`: what would happen, without doing it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pynetdicom.ae import ApplicationEntity
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from tests.dicom.conftest import edit
from tests.journeys.conftest import write_patient
from tests.service.small_site import ORGANS, small_site

from recontour.findings import kind, words
from recontour.service.check import check, dry_run
from recontour.service.findings import SeriesOfGoneRule
from recontour.service.node import send
from recontour.service.settings import (
    Condition,
    Destination,
    NodeSettings,
    PageSettings,
    Rule,
    Site,
    SiteModel,
    When,
)
from recontour.service.store import Series, Store

# pynetdicom leaves the socket of a call that nobody takes to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = small_site(tmp_path)
    node = NodeSettings(port=free_port(), least_free_gib=0)
    page = PageSettings(port=free_port(), login=False)
    away = Destination("tps", "TPS", "127.0.0.1", free_port())
    return replace(made, node=node, page=page, destinations=(away,))


@contextmanager
def answering(title: str) -> Iterator[int]:
    """A machine that answers a C-ECHO if it is called by its title."""
    entity = ApplicationEntity(title)
    entity.require_called_aet = True
    entity.add_supported_context(Verification)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@contextmanager
def silent() -> Iterator[int]:
    """A machine that takes a call and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def problems(site: Site) -> list[str]:
    return [kind(one) for one in check(site).problems]


def sending_to(site: Site, title: str, port: int) -> Site:
    return replace(site, destinations=(Destination("tps", title, "127.0.0.1", port),))


def test_a_site_in_order_is_told_whole_and_nothing_is_made(site: Site) -> None:
    with answering("TPS") as port:
        found = check(sending_to(site, "TPS", port))
    assert found.problems == found.notes == ()
    assert found.answers == {"tps": True}
    assert found.rules[0].organs == {organ: organ for organ in ORGANS}
    assert found.cards["north"].heads[0].centres == ("north",)
    assert not site.folder.exists()


def test_destinations_that_do_not_answer_are_told_apart(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "CONNECT_S", 0.5)
    with answering("ELSE") as other, silent() as mute:
        said = [problems(sending_to(site, "TPS", port)) for port in (other, mute, free_port())]
    assert said == [["destination_rejects"], ["destination_silent"], ["destination_silent"]]


def test_everything_that_is_wrong_is_said_at_once(site: Site, tmp_path: Path) -> None:
    rules = (
        Rule("one", "north", organs=("Pituitary",)),
        Rule("two", "north", template=tmp_path / "names.toml"),
        Rule("three", "south"),
    )
    models = {**site.models, "south": SiteModel(tmp_path / "south.safetensors")}
    with answering("TPS") as port:
        wrong = replace(sending_to(site, "TPS", port), rules=rules, models=models)
        found = [kind(one) for one in check(wrong).problems]
    assert found == ["organs_not_in_model", "not_found", "not_found"]


def test_a_port_that_is_taken_is_said(site: Site) -> None:
    with socket.socket() as listener, answering("TPS") as port:
        listener.bind(("127.0.0.1", site.page.port))
        listener.listen()
        assert problems(sending_to(site, "TPS", port)) == ["taken_port"]


def test_who_can_log_in_and_who_can_send_is_noted(site: Site) -> None:
    page = replace(site.page, login=True)
    node = replace(site.node, address="0.0.0.0")
    found = check(replace(site, page=page, node=node))
    assert [kind(one) for one in found.notes] == ["open_to_all", "no_account"]
    assert not site.folder.exists()


def test_a_rule_that_series_went_to_and_that_is_not_there_any_more_is_noted(site: Site) -> None:
    with Store.of(site).begin() as session:
        session.add(Series(uid="1", modality="CT", first_at=0.0, last_at=0.0, rule="older"))
    assert check(site).notes == (SeriesOfGoneRule(rule="older", series=1),)


def test_a_dry_run_says_which_rule_takes_each_series_and_why_others_do_not(
    site: Site, tmp_path: Path
) -> None:
    for number in range(2):
        write_patient(tmp_path / "dicom" / str(number), number)
    edit(tmp_path / "dicom" / "1" / "CT", lambda ct: setattr(ct, "SeriesDescription", "Neck"))
    (tmp_path / "dicom" / "1" / "RS.dcm").unlink()
    neck = When(description=Condition(contains=("neck",)), least_slices=6)
    from_ct1 = When(calling_ae=Condition(equals=("CT1",)))
    rules = (Rule("neck", "north", neck), Rule("ct1", "north", from_ct1))
    of_neck, of_rest = "rule neck: description contains neck", "rule ct1: calling_ae equals CT1"
    first, second = dry_run(replace(site, rules=rules), tmp_path / "dicom")
    assert first.decision.rule is None
    assert [words(one).partition(", found")[0] for one in first.decision.against] == [
        of_neck,
        of_rest,
    ]
    assert second.decision.rule == rules[0]
    assert (second.arrived.slices, second.arrived.description) == (6, "Neck")
    first, _ = dry_run(replace(site, rules=rules), tmp_path / "dicom", "CT1")
    assert first.decision.rule == rules[1]
    assert not site.folder.exists()
