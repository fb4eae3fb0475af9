"""The command line: which words are understood, and how a run ends.

Exit code 0: done. 2: something the user can mend, 1: a fault of the machine; each with one line that says what to do.
"""

import argparse
import errno
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path

from recontour.errors import RecontourError
from recontour.files import printable

INTERRUPTED = "interrupted; nothing was left half written"
GOES_ON = {  # by command, for those that keep what they did
    "train": "; --resume goes on from the last checkpoint (one a minute), or starts again where there is none yet",
    "adapt": "; --resume goes on from the last checkpoint (one a minute), or starts again where there is none yet",
    "import_": "; the patients imported so far stay, repeat the command to go on",
    "demo": "; repeat the command to go on",
    "study": "; --resume goes on from the last checkpoints",
}
FULL_MEMORY = "the memory is full; close other programs, or use a smaller --preset"
FULL = {  # by what PyTorch says
    "out of memory": FULL_MEMORY,
    "can't allocate memory": FULL_MEMORY,
    "shared memory": "the shared memory is full; enlarge /dev/shm (for a container: --shm-size=8g)",
    "killed by signal: killed": f"the system killed the process that prepares data; most likely {FULL_MEMORY}",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    options, unknown = _parser().parse_known_args(arguments)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")  # with the command's usage
    _show_what_can_be_shown()
    warnings.filterwarnings("ignore")  # what libraries remark among themselves is not the user's concern
    try:
        commands = import_module("recontour.cli.commands")  # torch comes with it: `--help` does not wait
        getattr(commands, options.command)(options)
    except RecontourError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail(INTERRUPTED + GOES_ON.get(options.command, ""), 2)
    except MemoryError:
        return _fail(FULL_MEMORY, 1)
    except RuntimeError as error:
        for words, line in FULL.items():
            if words in str(error).lower():
                return _fail(line, 1)
        raise
    except OSError as error:
        is_path = error.errno == errno.ENAMETOOLONG  # then it is no fault of the machine
        return _fail(f"{error.filename or 'the system'}: {error.strerror or error}", 2 if is_path else 1)
    return 0


def _show_what_can_be_shown() -> None:
    """Put a question mark for a letter that a screen or file which is not UTF-8 does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def _fail(line: str, code: int) -> int:
    print("recontour: " + " ".join(printable(line).split()), file=sys.stderr)
    return code


@cache
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recontour",
        description="Make another centre's contouring network contour the way your centre does. Research use only.",
    )
    parser.add_argument("--version", action="version", version=f"recontour {version('recontour')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, does: str, words: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=words, description=words)
        added.set_defaults(command=does, parser=added)
        return added

    importing = command("import", "import_", "DICOM archive (CT + RTSTRUCT or SEG) -> cohort folder")
    importing.add_argument("dicom_dir", type=_path, metavar="DICOM_DIR", help="any nesting, any file names")
    importing.add_argument("cohort", type=_path, metavar="COHORT", help="a new folder, or a cohort to add to")
    importing.add_argument("--centre", help="the label that reports show; the cohort folder's name if not given")
    importing.add_argument("--names", type=_path, metavar="MAP.toml", help="your own ROI names -> TG-263")

    hiding = command("deidentify", "deidentify", "DICOM archive -> the same without what names its patients")
    hiding.add_argument("dicom_dir", type=_path, metavar="IN", help="any nesting, any file names")
    hiding.add_argument("out", type=_path, metavar="OUT", help="a new folder")
    hiding.add_argument("--names", type=_path, metavar="MAP.toml", help="your own ROI names -> TG-263")
    hiding.add_argument("--key", type=_path, metavar="FILE", help="a secret to keep: the same pseudonyms in later runs")

    command("inspect", "inspect", "what a cohort holds, and what was left out").add_argument(
        "cohort", type=_path, metavar="COHORT"
    )

    _add_exchange(command)

    training = command("train", "train", "cohort -> model, from scratch")
    training.add_argument("cohort", type=_path, metavar="COHORT")
    training.add_argument("--preset", default="compact", help="compact (for a CPU; default) or paper (for a GPU)")
    _add_learning(training)

    adapting = command("adapt", "adapt", "model + your cohort -> model that contours your way")
    adapting.add_argument("model", type=_path, metavar="MODEL")
    adapting.add_argument("cohort", type=_path, metavar="COHORT")
    adapting.add_argument("--retrain-last", type=int, default=10, metavar="N", help="layers, as in the paper (10)")
    _add_learning(adapting)

    contouring = command("contour", "contour", "model + one CT series -> RTSTRUCT, DICOM SEG or NIfTI")
    contouring.add_argument("model", type=_path, metavar="MODEL")
    contouring.add_argument("ct_dir", type=_path, metavar="CT_DIR")
    contouring.add_argument("--out", type=_path, required=True, metavar="FILE.dcm", help="for nifti a new folder")
    contouring.add_argument("--organs", nargs="+", metavar="ORGAN", help="TG-263 names; all of the model's")
    contouring.add_argument("--format", choices=("rtstruct", "seg", "nifti"), default="rtstruct", help="rtstruct")

    evaluating = command("evaluate", "evaluate", "models on a cohort -> scores, statistics and a report")
    evaluating.add_argument("cohort", type=_path, metavar="COHORT")
    evaluating.add_argument("models", type=_path, nargs="+", metavar="MODEL")
    evaluating.add_argument("--out", type=_path, required=True, metavar="DIR")

    studying = command("study", "study", "the whole comparison, declared in a file: models, depths, numbers of cases")
    studying.add_argument("study", type=_path, nargs="?", metavar="STUDY.toml")
    studying.add_argument("--out", type=_path, metavar="DIR")
    studying.add_argument("--resume", action="store_true", help="go on with a study that was broken off, or grew")
    studying.add_argument("--dry-run", action="store_true", help="list the cells, and estimate time and disk")
    studying.add_argument("--example", action="store_true", help="print a commented study file")

    command("report", "report", "rebuild a study's report from its results").add_argument(
        "study", type=_path, metavar="DIR"
    )

    demo = command("demo", "demo", "the whole job on two synthetic centres, in about a quarter of an hour")
    demo.add_argument("--out", type=_path, default=Path("recontour-demo"), metavar="DIR")
    return parser


def _path(word: str) -> Path:
    """A path that was named; Path itself takes nothing for the current folder."""
    if not word:
        raise argparse.ArgumentTypeError("an empty word names no file or folder; is a variable of your script empty?")
    return Path(word)


def _add_exchange(command: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """The commands that lead to other tools and back."""
    exporting = command("export", "export", "cohort -> NIfTI for nnU-Net, 3D Slicer and others")
    exporting.add_argument("cohort", type=_path, metavar="COHORT")
    exporting.add_argument("out", type=_path, metavar="OUT", help="a new folder; for nnU-Net Dataset001_NAME")
    exporting.add_argument("--format", choices=("nnunet", "nifti"), required=True, help="nnunet: raw data set of v2")
    exporting.add_argument("--organs", nargs="+", metavar="ORGAN", help="TG-263 names; all of the cohort's")

    converting = command("convert", "convert", "NIfTI labels or a DICOM SEG on a CT -> RTSTRUCT: back from other tools")
    converting.add_argument("labels", type=_path, metavar="LABELS", help="label map, folder of ORGAN.nii.gz, or SEG")
    converting.add_argument("ct_dir", type=_path, metavar="CT_DIR", help="the CT series whose grid they lie on")
    converting.add_argument("--out", type=_path, required=True, metavar="FILE.dcm")


def _add_learning(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=_path, required=True, metavar="MODEL", help="the model file to write")
    parser.add_argument("--organs", nargs="+", metavar="ORGAN", help="TG-263 names; all that fit if not given")
    parser.add_argument("--iterations", type=int, metavar="N", help="the preset's if not given")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--deterministic", action="store_true", help="the same bits on the same GPU again, slower")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was broken off")
