"""The command line: which words are understood, and how a run ends.

Exit code 0: done. 2: something the user can mend, or the run was interrupted; 1: a fault of the
    machine. 1 and 2 come with one line that says what to do.
"""

import argparse
import errno
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from recontour.cli.streams import forgiving_streams
from recontour.errors import RecontourError
from recontour.files import REMEDIES
from recontour.processes import ended_by_signals
from recontour.wording import printable

LONGEST_PATH = 4095  # bytes; Linux takes no more
INTERRUPTED = "interrupted; nothing was left half written"
RESUME = "; --resume goes on from the last checkpoint, or starts again where there is none yet"
GOES_ON = {  # by command, for those that keep what they did
    "train": RESUME,
    "adapt": RESUME,
    "import_": "; the patients imported so far stay, repeat the command to go on",
    "demo": "; repeat the command to go on",
    "study": "; --resume goes on from the last checkpoints",
}
FULL_MEMORY = "the memory is full; close other programs, or use a smaller --preset"
# What PyTorch and the libraries below it say in errors that have no class of their own, in small
# letters.
FULL = {
    "out of memory": FULL_MEMORY,  # of a GPU
    "can't allocate memory": FULL_MEMORY,  # PyTorch, on a CPU
    "cannot allocate memory": FULL_MEMORY,  # the system's word, as when a library is loaded
    "failed to map segment": FULL_MEMORY,
    "std::bad_alloc": FULL_MEMORY,
    "can't start new thread": f"no more threads can be started: raise the limit (ulimit -u), or {FULL_MEMORY}",
    # several GPUs
    "shared memory": "the shared memory is full; enlarge /dev/shm (for a container: --shm-size=8g)",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    with forgiving_streams() as shown:
        options, unknown = _parser().parse_known_args(arguments)
        if unknown:
            options.parser.error(
                f"unrecognized arguments: {' '.join(unknown)}"
            )  # with the command's usage
        code = _run(options)
        sys.stdout.flush()
        if code == 0 and shown.lost:
            return _not_shown(options, shown.lost)
        return code


def _run(options: argparse.Namespace) -> int:
    warnings.filterwarnings(
        "ignore"
    )  # what libraries remark among themselves is not the user's concern
    try:
        with ended_by_signals(for_good=True):
            commands = import_module(
                "recontour.cli.commands"
            )  # torch comes with it: `--help` does not wait
            getattr(commands, options.command)(options)
    except RecontourError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail(INTERRUPTED + GOES_ON.get(options.command, ""), 2)
    except MemoryError:
        return _fail(FULL_MEMORY, 1)
    except OSError as error:
        is_path = error.errno == errno.ENAMETOOLONG  # then it is no fault of the machine
        return _fail(_of_the_system(error), 2 if is_path else 1)
    except Exception as error:
        if line := _of_the_machine(error):
            return _fail(line, 1)
        raise
    return 0


def _of_the_system(error: OSError) -> str:
    """What the operating system said, and what helps."""
    where = f"{error.filename}: " if error.filename else ""
    said = error.strerror or str(error)
    if remedy := REMEDIES.get(error.errno or 0) or _full(error):
        return f"{where}{said}: {remedy}"
    return f"{where or 'the system: '}{said}"


def _of_the_machine(error: Exception) -> str | None:
    """What is missing, where an error comes of a machine that lacks something;

    None for a fault of ours.
    """
    if full := _full(error):
        return full
    if isinstance(error, ImportError) and not (error.name or "").startswith("recontour"):
        return f"a library cannot be loaded ({error}); install recontour again"
    return None


def _full(error: BaseException | None) -> str | None:
    """What is full, by the words of an error or of those that led to it."""
    while error:
        said = str(error).lower()
        for words, line in FULL.items():
            if words in said:
                return line
        if isinstance(error, MemoryError):
            return FULL_MEMORY
        error = error.__cause__ or error.__context__
    return None


def _not_shown(options: argparse.Namespace, why: str) -> int:
    """Say that the words of a command that went well were lost:

    a failure only where there was nothing but words.
    """
    shows_only = options.command == "inspect" or any(
        vars(options).get(name) for name in ("example", "dry_run")
    )
    if shows_only:
        return _fail(
            f"standard output could not be written ({why}), and this command does nothing else", 1
        )
    return _fail(
        f"done, but the results could not be shown: standard output could not be written ({why})", 0
    )


def _fail(line: str, code: int) -> int:
    print("recontour: " + " ".join(printable(line).split()), file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    """A parser whose errors repeat what was typed, which may be a file's name, without what steers
    a terminal.
    """

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and leave."""
        super().error(printable(message))


def _path(words: str) -> Path:
    """A path as it is typed.

    One left empty, as by a variable without a value, would mean the current folder.
    """
    if not words:
        raise argparse.ArgumentTypeError(
            "an empty path names no file or folder; is a variable in your script empty?"
        )
    length = len(os.fsencode(words))
    if length > LONGEST_PATH:
        raise argparse.ArgumentTypeError(f"a path of {length} bytes is too long; check it")
    return Path(words)


@cache
def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="recontour",
        description="Make another centre's contouring network contour the way your centre does. Research use only.",
    )
    parser.add_argument("--version", action="version", version=f"recontour {version('recontour')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, does: str, words: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=words, description=words)
        added.set_defaults(command=does, parser=added)
        return added

    importing = command(
        "import", "import_", "DICOM archive (CT + RTSTRUCT or SEG) -> cohort folder"
    )
    importing.add_argument(
        "dicom_dir", type=_path, metavar="DICOM_DIR", help="any nesting, any file names"
    )
    importing.add_argument(
        "cohort", type=_path, metavar="COHORT", help="a new folder, or a cohort to add to"
    )
    importing.add_argument(
        "--centre", help="the label that reports show; the cohort folder's name if not given"
    )
    importing.add_argument(
        "--names", type=_path, metavar="MAP.toml", help="your own ROI names -> TG-263"
    )

    hiding = command(
        "deidentify", "deidentify", "DICOM archive -> the same without what names its patients"
    )
    hiding.add_argument("dicom_dir", type=_path, metavar="IN", help="any nesting, any file names")
    hiding.add_argument("out", type=_path, metavar="OUT", help="a new folder")
    hiding.add_argument(
        "--names", type=_path, metavar="MAP.toml", help="your own ROI names -> TG-263"
    )
    hiding.add_argument(
        "--key",
        type=_path,
        metavar="FILE",
        help="a secret to keep: the same pseudonyms in later runs",
    )

    command("inspect", "inspect", "what a cohort holds, and what was left out").add_argument(
        "cohort", type=_path, metavar="COHORT"
    )

    _add_exchange(command)

    training = command("train", "train", "cohort -> model, from scratch")
    training.add_argument("cohort", type=_path, metavar="COHORT")
    training.add_argument(
        "--preset", default="compact", help="compact (for a CPU; default) or paper (for a GPU)"
    )
    _add_learning(training)

    adapting = command("adapt", "adapt", "model + your cohort -> model that contours your way")
    adapting.add_argument("model", type=_path, metavar="MODEL", help="the model to begin with")
    adapting.add_argument("cohort", type=_path, metavar="COHORT", help="your patients")
    adapting.add_argument(
        "--retrain-last",
        type=int,
        default=10,
        metavar="N",
        help="so many layers; 10, as in the paper, if not given",
    )
    _add_learning(adapting)

    contouring = command(
        "contour", "contour", "model + one CT series -> RTSTRUCT, DICOM SEG or NIfTI"
    )
    contouring.add_argument("model", type=_path, metavar="MODEL")
    contouring.add_argument(
        "ct_dir", type=_path, metavar="CT_DIR", help="a folder with one CT series"
    )
    contouring.add_argument(
        "--out",
        type=_path,
        required=True,
        metavar="FILE.dcm",
        help="a new file; for nifti a new folder",
    )
    contouring.add_argument(
        "--organs", nargs="+", metavar="ORGAN", help="TG-263 names; all of the model's if not given"
    )
    contouring.add_argument(
        "--format",
        choices=("rtstruct", "seg", "nifti"),
        default="rtstruct",
        help="rtstruct if not given",
    )

    evaluating = command(
        "evaluate", "evaluate", "models on a cohort -> scores, statistics and a report"
    )
    evaluating.add_argument(
        "cohort", type=_path, metavar="COHORT", help="patients that no model was trained on"
    )
    evaluating.add_argument(
        "models", type=_path, nargs="+", metavar="MODEL", help="the first is the baseline"
    )
    evaluating.add_argument("--out", type=_path, required=True, metavar="DIR", help="a new folder")

    studying = command(
        "study",
        "study",
        "the whole comparison, declared in a file: models, depths, numbers of cases",
    )
    studying.add_argument("study", type=_path, nargs="?", metavar="STUDY.toml")
    studying.add_argument(
        "--out", type=_path, metavar="DIR", help="a new folder; with --resume the study's"
    )
    studying.add_argument(
        "--resume", action="store_true", help="go on with a study that was broken off, or grew"
    )
    studying.add_argument(
        "--dry-run", action="store_true", help="list the cells, and estimate time and disk"
    )
    studying.add_argument("--example", action="store_true", help="print a commented study file")

    command("report", "report", "rebuild a study's report from its results").add_argument(
        "study", type=_path, metavar="DIR", help="the --out of `recontour study`"
    )

    demo = command(
        "demo", "demo", "the whole job on two synthetic centres, in about a quarter of an hour"
    )
    demo.add_argument(
        "--out",
        type=_path,
        default=Path("recontour-demo"),
        metavar="DIR",
        help="recontour-demo if not given",
    )
    return parser


def _add_exchange(command: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """The commands that lead to other tools and back."""
    exporting = command("export", "export", "cohort -> NIfTI for nnU-Net, 3D Slicer and others")
    exporting.add_argument("cohort", type=_path, metavar="COHORT")
    exporting.add_argument(
        "out", type=_path, metavar="OUT", help="a new folder; for nnU-Net Dataset001_NAME"
    )
    exporting.add_argument(
        "--format", choices=("nnunet", "nifti"), required=True, help="nnunet: raw data set of v2"
    )
    exporting.add_argument(
        "--organs",
        nargs="+",
        metavar="ORGAN",
        help="TG-263 names; all of the cohort's if not given",
    )

    converting = command(
        "convert",
        "convert",
        "NIfTI labels or a DICOM SEG on a CT -> RTSTRUCT: back from other tools",
    )
    converting.add_argument(
        "labels", type=_path, metavar="LABELS", help="label map, folder of ORGAN.nii.gz, or SEG"
    )
    converting.add_argument(
        "ct_dir", type=_path, metavar="CT_DIR", help="the CT series whose grid they lie on"
    )
    converting.add_argument("--out", type=_path, required=True, metavar="FILE.dcm")


def _add_learning(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=_path, required=True, metavar="MODEL", help="the model file to write"
    )
    parser.add_argument(
        "--organs", nargs="+", metavar="ORGAN", help="TG-263 names; all that fit if not given"
    )
    parser.add_argument("--iterations", type=int, metavar="N", help="the preset's if not given")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of weights and batches; 0 if not given"
    )
    parser.add_argument(
        "--deterministic", action="store_true", help="the same bits on the same GPU again, slower"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with a run that was broken off"
    )
