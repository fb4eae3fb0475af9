"""pydicom is silent while recontour reads, in all threads, and afterwards as before."""

import logging
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier, Event

import pytest
from pydicom import Dataset
from pydicom.config import settings
from pydicom.dataelem import DataElement
from tests.dicom.conftest import make_scan

from recontour.dicom import read_scan
from recontour.dicom.silence import LOGGERS, silence

SECONDS = 20
PYDICOM = logging.getLogger("pydicom")


def modes() -> tuple[int, int]:
    return settings.reading_validation_mode, settings.writing_validation_mode


def make_an_odd_value() -> None:
    """Make pydicom remark on a value."""
    Dataset().add(DataElement("PatientSex", "CS", "in lower case, and too long"))


def test_within_it_pydicom_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.warns(UserWarning, match="CS"):
        make_an_odd_value()
    caplog.clear()
    with silence(), silence():
        make_an_odd_value()
        for name in LOGGERS:
            logging.getLogger(name).error("a remark")
    assert not caplog.records
    with pytest.warns(UserWarning, match="CS"):
        make_an_odd_value()
    PYDICOM.error("a remark")
    assert caplog.records[-1].message == "a remark"


@pytest.mark.parametrize("level", [logging.NOTSET, logging.DEBUG, logging.CRITICAL])
def test_the_host_s_level_is_not_touched_and_does_not_matter(
    level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PYDICOM, "level", level)
    with silence():
        assert modes() == (0, 0)
        assert PYDICOM.level == level
        PYDICOM.setLevel(logging.ERROR)
    assert PYDICOM.level == logging.ERROR


def test_a_thread_that_leaves_first_or_last_changes_nothing_for_the_others() -> None:
    before = modes()
    filters = list(warnings.filters)
    first_is_in, second_is_in, first_is_out = Event(), Event(), Event()

    def first() -> None:
        with silence():
            first_is_in.set()
            assert second_is_in.wait(SECONDS)
        first_is_out.set()

    def second() -> None:
        assert first_is_in.wait(SECONDS)
        with silence():
            second_is_in.set()
            assert first_is_out.wait(SECONDS)
            assert modes() == (0, 0)
            make_an_odd_value()

    with ThreadPoolExecutor(2) as pool:
        for done in (pool.submit(first), pool.submit(second)):
            done.result(SECONDS)
    assert modes() == before
    assert warnings.filters == filters
    assert all(not logging.getLogger(name).filters for name in LOGGERS)


def test_after_an_error_pydicom_speaks_again() -> None:
    before = modes()
    with pytest.raises(ZeroDivisionError), silence():
        raise ZeroDivisionError
    assert modes() == before


def test_many_threads_read_at_once(tmp_path: Path) -> None:
    before = modes()
    expected = make_scan(tmp_path / "ct").hu
    start = Barrier(8)

    def read(_number: int) -> bool:
        start.wait(SECONDS)
        found = [read_scan(tmp_path / "ct").hu for _ in range(5)]
        return all((hu == expected).all() for hu in found)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8)))
    assert modes() == before


def test_a_host_that_catches_warnings_meanwhile_gets_its_filters_back() -> None:
    before = list(warnings.filters)
    catching = ExitStack()
    with silence():
        catching.enter_context(warnings.catch_warnings())
        make_an_odd_value()
    assert warnings.filters == before
    catching.close()
    assert warnings.filters == before
    with pytest.warns(UserWarning, match="CS"):
        make_an_odd_value()


def test_a_host_that_stops_catching_warnings_meanwhile_gets_its_filters_back() -> None:
    before = list(warnings.filters)
    catching = ExitStack()
    catching.enter_context(warnings.catch_warnings())
    warnings.simplefilter("error")
    with silence():
        catching.close()
    assert warnings.filters == before


def test_a_filter_that_the_host_adds_meanwhile_stays() -> None:
    with warnings.catch_warnings():
        before = list(warnings.filters)
        with silence():
            warnings.filterwarnings("error", message="of the host")
            make_an_odd_value()
        added, *others = warnings.filters
        assert (added[0], others) == ("error", before)
        with pytest.raises(UserWarning, match="of the host"):
            warnings.warn("of the host", stacklevel=1)
