"""Where a site keeps what: the received files are the record, the database says what became of it.

received/SERIES/UID.dcm         what arrived, one folder per series, named by a hash of its UID
drafts/SERIES/NUMBER/           a draft, RS.dcm, and what the page shows of its CT
approved/SERIES/NUMBER.dcm      what a person approved
models/NAME/NAME-NUMBER.safetensors   versions of a model that the site learnt
corrected/NAME/                 the cohort of approved cases
acceptance/NAME-NUMBER/         the report on a candidate
deleted/                        what is being deleted; the database no longer knows it
site.db  lock  NAME.lock  processes.json
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

LETTERS = 16  # of a hash in a folder's name
OWNER_ALONE = 0o700


@dataclass(frozen=True, slots=True)
class SiteFolder:
    """The paths of a site.

    >>> SiteFolder(Path("site")).received("1.2.3").parent
    PosixPath('site/received')
    """

    path: Path

    def make(self) -> None:
        """Make what is missing, for the owner alone. Raises: OSError."""
        for folder in (self.path, *map(self._part, PARTS)):
            folder.mkdir(mode=OWNER_ALONE, parents=True, exist_ok=True)

    def _part(self, name: str) -> Path:
        return self.path / name

    @property
    def all_received(self) -> Path:
        """Return the folder of all series that arrived."""
        return self._part("received")

    def received(self, series_uid: str) -> Path:
        """Return the folder of the files of a series."""
        return self._part("received") / hashed(series_uid)

    def drafts(self, series_uid: str) -> Path:
        """Return the folder of the drafts of a series, one folder each."""
        return self._part("drafts") / hashed(series_uid)

    def approved(self, series_uid: str) -> Path:
        """Return the folder of the structure sets of a series that people approved."""
        return self._part("approved") / hashed(series_uid)

    def models(self, name: str) -> Path:
        """Return the folder of the versions of a model that the site learnt."""
        return self._part("models") / name

    def corrected(self, name: str) -> Path:
        """Return the cohort of approved cases that a model learns from."""
        return self._part("corrected") / name

    def acceptance(self, name: str, number: int) -> Path:
        """Return the folder of the report on a candidate."""
        return self._part("acceptance") / f"{name}-{number}"

    @property
    def deleted(self) -> Path:
        """Return the folder of what is being deleted."""
        return self._part("deleted")

    @property
    def database(self) -> Path:
        """Return SQLite's file."""
        return self._part("site.db")

    @property
    def lock(self) -> Path:
        """Return the file that the one process that serves the site holds."""
        return self._part("lock")

    @property
    def processes(self) -> Path:
        """Return the file in which `recontour serve` says how its processes fare."""
        return self._part("processes.json")


PARTS = ("received", "drafts", "approved", "models", "corrected", "acceptance", "deleted")


def hashed(uid: str) -> str:
    """Return a name for a folder that nothing in a UID can bend.

    >>> hashed("1.2.3")
    'c47f5b18b8a430e6'
    """
    return hashlib.sha256(uid.encode()).hexdigest()[:LETTERS]
