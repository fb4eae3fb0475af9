"""What can be found while a site receives and sends."""

from typing import Literal

from recontour.findings import Finding, FitToStore, ScreenOnly, finding
from recontour.wording import agreeing, plural, size_in_words

SEND_AGAIN = "send the series again"


# Who calls


@finding
class UnknownCaller(Finding):
    """A machine that is not among node.callers called."""

    title: ScreenOnly[str]
    address: FitToStore[str]

    def sentence(self) -> str:
        return f"{self.title} at {self.address} may not send here"

    def remedy(self) -> str:
        return "add it to node.callers, title and address, if it should"


@finding
class PortTaken(Finding):
    """The receiver cannot listen."""

    address: FitToStore[str]
    port: int
    reason: FitToStore[str]

    def sentence(self) -> str:
        return f"cannot listen at {self.address}, port {self.port}: {self.reason}"

    def remedy(self) -> str:
        return "end what listens there, or set another node.port"


@finding
class UnusableTls(Finding):
    """The files of a [tls] cannot be used. reason: of the library for TLS."""

    reason: FitToStore[str]

    def sentence(self) -> str:
        return f"the certificate, key and authority cannot be used: {self.reason}"

    def remedy(self) -> str:
        return "check the three PEM files, and that the key belongs to the certificate"


# What arrives


@finding
class LittleDiskLeft(Finding):
    """So little of the disk is free that nothing more is received."""

    free_bytes: int
    least_bytes: int

    def sentence(self) -> str:
        free, least = size_in_words(self.free_bytes), size_in_words(self.least_bytes)
        return f"refused: {free} of the disk are free, fewer than {least} (node.least_free_gib)"

    def remedy(self) -> str:
        return f"free some space, then {SEND_AGAIN}"


@finding
class ForeignObject(Finding):
    """An object that is no CT image or structure set, or whose UIDs cannot be right."""

    def sentence(self) -> str:
        return "refused: neither a CT image nor an RT structure set with proper UIDs"


@finding
class TwoModalities(Finding):
    """An object of another modality than its series."""

    modality: FitToStore[str]

    def sentence(self) -> str:
        return f"refused: its series is of {self.modality}, and the object is not"


@finding
class NotKept(Finding):
    """An object could not be kept. reason: why."""

    reason: Finding

    def sentence(self) -> str:
        return f"refused: it could not be kept ({self.reason.sentence()})"

    def remedy(self) -> str:
        return self.reason.remedy()


@finding
class NotWritten(Finding):
    """The site's database does not take what happened."""

    def sentence(self) -> str:
        return "refused: the site's database cannot be written"

    def remedy(self) -> str:
        return f"check that its disk has space and that it runs, then {SEND_AGAIN}"


@finding
class FoundAgain(Finding):
    """Files that the database did not know, after a restart."""

    instances: int

    def sentence(self) -> str:
        return f"{plural(self.instances, 'file')} found that the database did not know"


# Why a series is not complete


@finding
class RefusedInstances(Finding):
    """Some instances of a series were refused when they came, and have not come again."""

    instances: int

    def sentence(self) -> str:
        were = agreeing(self.instances, "was", "were")
        return f"{plural(self.instances, 'image')} of this series {were} refused"

    def remedy(self) -> str:
        return SEND_AGAIN


@finding
class BrokenOff(Finding):
    """The transfer of a series ended early."""

    how: Literal["aborted", "lost", "damaged"]

    def sentence(self) -> str:
        said = {
            "aborted": "the sender broke off while it sent this series",
            "lost": "the receiver stopped while this series arrived",
            "damaged": "something unreadable came with this series",
        }
        return said[self.how]

    def remedy(self) -> str:
        return SEND_AGAIN


@finding
class OtherContent(Finding):
    """Instances came twice under one UID with different content; both are kept."""

    instances: int

    def sentence(self) -> str:
        return f"{plural(self.instances, 'image')} came again with the same UID and other content"

    def remedy(self) -> str:
        return "ask the sender which of them is right"


@finding
class NoInstances(Finding):
    """Nothing of a series was kept."""

    def sentence(self) -> str:
        return "nothing of this series was kept"

    def remedy(self) -> str:
        return SEND_AGAIN


@finding
class OtherCount(Finding):
    """Another machine says that a series has more, or fewer, images than arrived."""

    source: FitToStore[str]
    instances: int
    expected: int

    def sentence(self) -> str:
        return f"{plural(self.instances, 'image')} arrived, and {self.source} has {self.expected}"

    def remedy(self) -> str:
        return SEND_AGAIN


@finding
class CountUnknown(Finding):
    """Another machine does not say how many images a series has."""

    source: FitToStore[str]

    def sentence(self) -> str:
        return f"{self.source} does not say how many images this series has"

    def remedy(self) -> str:
        return "it is asked again; check that it runs, and that it has the series"


@finding
class NotJudged(Finding):
    """An error of recontour's own kept the watcher from judging a series. reason: its kind."""

    reason: FitToStore[str]

    def sentence(self) -> str:
        return f"whether this series is whole could not be told ({self.reason})"

    def remedy(self) -> str:
        return "it is tried again; the log says where, please report it"


@finding
class LateSlices(Finding):
    """Images came after a series was taken to be complete. It is contoured again."""

    def sentence(self) -> str:
        return "images came late, after this series seemed complete: contoured again"

    def remedy(self) -> str:
        return "use the newest contours; raise node.quiet_s if this happens often"


@finding
class NoScanOfStructures(Finding):
    """The CT of a structure set that arrived is not here."""

    def sentence(self) -> str:
        return "the CT that these structures were drawn on is not here"


# What is sent


@finding
class OutdatedNotSent(Finding):
    """A draft waited to be sent until it was outdated."""

    destination: FitToStore[str]

    def sentence(self) -> str:
        return (
            f"earlier contours were not sent to {self.destination}: before it took them, images or "
            "newer contours came"
        )


@finding
class UnknownDestination(Finding):
    """A destination that the site file does not have any more."""

    destination: FitToStore[str]

    def sentence(self) -> str:
        return f"the site has no destination {self.destination}"

    def remedy(self) -> str:
        return "add it to the site file again, restart, and try again"


@finding
class NothingToSend(Finding):
    """The file that is to be sent is gone, or cannot be read."""

    def sentence(self) -> str:
        return "the file to send is gone or cannot be read"


@finding
class DestinationSilent(Finding):
    """A destination does not answer, or breaks off."""

    destination: FitToStore[str]

    def sentence(self) -> str:
        return f"{self.destination} does not answer"

    def remedy(self) -> str:
        return "check that it runs, its address and port, and the certificates if it uses TLS"


@finding
class DestinationRejects(Finding):
    """A destination rejects the connection. why: in the words of PS3.8."""

    destination: FitToStore[str]
    why: FitToStore[str]

    def sentence(self) -> str:
        return f"{self.destination} rejects the connection: {self.why}"

    def remedy(self) -> str:
        return (
            "enter this node's AE title and address there, and check the AE title it is called by"
        )


@finding
class KindRefused(Finding):
    """A destination takes no objects of a kind."""

    destination: FitToStore[str]

    def sentence(self) -> str:
        return f"{self.destination} does not take RT structure sets"

    def remedy(self) -> str:
        return "allow RT Structure Set Storage there"


@finding
class DestinationRefuses(Finding):
    """A destination refuses an object. status: of its answer, PS3.4 B.2.3."""

    destination: FitToStore[str]
    status: int

    def sentence(self) -> str:
        return f"{self.destination} refuses the structure set with status 0x{self.status:04X}"

    def remedy(self) -> str:
        return "look for the reason in its log"


@finding
class NotYetCommitted(Finding):
    """A destination has a structure set, and has not committed to keeping it yet."""

    destination: FitToStore[str]

    def sentence(self) -> str:
        return f"sent; {self.destination} has not committed to keeping it yet"


@finding
class WillNotKeep(Finding):
    """A destination says that it does not keep a structure set. It is sent again."""

    destination: FitToStore[str]

    def sentence(self) -> str:
        return f"{self.destination} took the structure set, and says that it does not keep it"

    def remedy(self) -> str:
        return "it is sent again; look for the reason in its log"
