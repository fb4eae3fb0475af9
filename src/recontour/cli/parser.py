"""Which words the command line understands."""

import argparse
import os
import shlex
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from recontour.cli.completion import SHELLS, completion_script
from recontour.service.roles import ROLES
from recontour.wording import did_you_mean, printable, shown
from recontour.workflows.check_folder import USUAL_FOLDS

# The longest path that Linux accepts.
LONGEST_PATH_BYTES = 4095
# That of evaluation.control_chart, which loads SciPy.
USUAL_BASELINE = 10
# Those of training.presets, which loads torch.
PRESET_NAMES = ("accurate", "compact", "paper")
SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))


class _Parser(argparse.ArgumentParser):
    """A parser whose errors say what may be meant, and never steer a terminal.

    Options are typed in full: an abbreviation may hide a mistake.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Raise ArgumentError for a value that is no choice; argparse calls this."""
        if action.choices is None or value in action.choices:
            return
        choices = list(map(str, action.choices))
        choose = f"choose from {', '.join(choices)}"
        question = question_about(str(value), choices)
        help = f"{question} {choose}" if question else choose
        words = f"invalid choice: {shown(value)}; {help}"
        raise argparse.ArgumentError(action, words)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and exit with code 2."""
        super().error(printable(message))


class _PrintCompletion(argparse.Action):
    """Prints a shell's script and ends, as `--version` does."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        _options: argparse.Namespace,
        shell: Any,
        _option: str | None = None,
    ) -> None:
        """Print the script of the shell that was named."""
        path_types = (_path, _new_file, _new_file_or_folder)
        print(completion_script(parser, shell, path_types=path_types))
        parser.exit()


# argparse has no public name for what `add_subparsers` returns.
Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"


def question_about(typed: str, known: Iterable[str]) -> str:
    """Ask whether the word most like a misspelt one was meant; empty if none is alike.

    >>> question_about("contuor", ["contour", "convert"]), question_about("x", ["contour"])
    ('did you mean contour?', '')
    """
    return did_you_mean(get_close_matches(typed, known, n=1))


def known_options(command: argparse.ArgumentParser) -> list[str]:
    """Return the long options of a command; of the whole parser, those of all commands, too."""
    names = dict.fromkeys(command._option_string_actions)
    for action in command._actions:
        if isinstance(action.choices, dict):
            for below in action.choices.values():
                names |= dict.fromkeys(below._option_string_actions)
    return [name for name in names if name.startswith("--")]


@cache
def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands.

    The options it returns hold `command`, the function in commands.py; `name`, as it is typed;
    `parser`, the command's own parser; and `json`. Without a command, they hold none of these.
    """
    top = _Parser(
        prog="recontour",
        description="Make another centre's contouring network contour the way your centre does. "
        "Research use only.",
    )
    top.add_argument("--version", action="version", version=f"recontour {version('recontour')}")
    top.add_argument(
        "--completion",
        action=_PrintCompletion,
        choices=SHELLS,
        help="print the script with which a shell completes commands, options and paths, and exit",
    )
    commands = top.add_subparsers(
        title="commands",
        metavar="COMMAND",
    )
    _add_import(commands)
    _add_remove(commands)
    _add_deidentify(commands)
    _add_inspect(commands)
    _add_confirm_sides(commands)
    _add_confirm_cord(commands)
    _add_confirm_extent(commands)
    _add_export(commands)
    _add_convert(commands)
    _add_train(commands)
    _add_adapt(commands)
    _add_gain(commands)
    _add_contour(commands)
    _add_evaluate(commands)
    _add_accept(commands)
    _add_monitor(commands)
    _add_compare(commands)
    _add_study(commands)
    _add_report(commands)
    _add_serve(commands)
    _add_forget(commands)
    _add_account(commands)
    _add_demo(commands)
    return top


def _command(
    commands: Commands,
    name: str,
    does: str,
    words: str,
) -> argparse.ArgumentParser:
    """Add a command. does: its function in commands.py."""
    added = commands.add_parser(name, help=words, description=words)
    added.set_defaults(
        command=does,
        name=name,
        parser=added,
        json=False,
    )
    return added


def _path(words: str) -> Path:
    """Return a path as it is typed.

    An empty path, as from a variable without a value, would mean the current folder.
    """
    if not words:
        raise argparse.ArgumentTypeError(
            "an empty path names no file or folder; is a variable in your script empty?"
        )
    length = len(os.fsencode(words))
    if length > LONGEST_PATH_BYTES:
        raise argparse.ArgumentTypeError(f"a path of {length} bytes is too long; check it")
    return Path(words)


def _new_file(words: str) -> Path:
    """Return the path of a file to write; one that ends like a folder's would become a file."""
    path = _path(words)
    if words.endswith(SEPARATORS):
        raise argparse.ArgumentTypeError(
            f"{words} ends like a folder, and this is a file to write; add the file's name"
        )
    return path


def _new_file_or_folder(words: str) -> Path:
    """Return the path of a file to write, or of a folder for many; no file gets a folder's name."""
    path = _path(words)
    if words.endswith(SEPARATORS) and not path.is_dir():
        make = f"mkdir {shlex.quote(str(path))}"
        raise argparse.ArgumentTypeError(f"{words} is no folder; make it first: {make}")
    return path


def _whole_numbers(words: str) -> tuple[int, ...]:
    """Return whole numbers as they are typed: with commas in between."""
    parts = [part.strip() for part in words.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 7 for part in parts):
        raise argparse.ArgumentTypeError(
            f"{shown(words)} is no list of whole numbers; write them as in 3,6"
        )
    return tuple(map(int, parts))


def _named_folder(words: str) -> tuple[str, Path]:
    """Return a name and a folder as they are typed: NAME=FOLDER."""
    name, _, folder = words.partition("=")
    if not name.strip() or not folder:
        raise argparse.ArgumentTypeError("write NAME=FOLDER; tables show the name")
    return name, _path(folder)


# Options that several commands have


def _add_path(
    added: argparse.ArgumentParser,
    name: str,
    metavar: str,
    words: str | None = None,
) -> None:
    added.add_argument(
        name,
        type=_path,
        metavar=metavar,
        help=words,
    )


def _add_place(
    added: argparse.ArgumentParser,
    jobs: str,
    otherwise: str = "default: one, in this process",
) -> None:
    added.add_argument(
        "--on",
        metavar="PLACE",
        help=f"where {jobs}: local:N, N at a time ({otherwise}); slurm:N, in N jobs of a queue; "
        "tcp://HOST:PORT, on the workers of a Dask scheduler",
    )


def _add_out(
    added: argparse.ArgumentParser,
    metavar: str,
    words: str,
    kind: Callable[[str], Path] = _path,
) -> None:
    added.add_argument(
        "--out",
        type=kind,
        required=True,
        metavar=metavar,
        help=words,
    )


def _add_organs(added: argparse.ArgumentParser, words: str) -> None:
    added.add_argument(
        "--organs",
        nargs="+",
        metavar="ORGAN",
        help=words,
    )


def _add_names(added: argparse.ArgumentParser, words: str = "your own ROI names -> TG-263") -> None:
    added.add_argument(
        "--names",
        type=_path,
        metavar="MAP.toml",
        help=words,
    )
    added.add_argument(
        "--new-organ",
        action="append",
        default=[],
        metavar="NAME",
        help="accept this name in the map although TG-263 does not list it; may be repeated",
    )


def _add_json(added: argparse.ArgumentParser) -> None:
    words = "print one JSON object instead of words"
    added.add_argument("--json", action="store_true", help=words)


def _add_learning(added: argparse.ArgumentParser) -> None:
    _add_organs(added, "TG-263 names; default: all that fit")
    added.add_argument(
        "--iterations",
        type=int,
        metavar="N",
        help="number of batches to learn from; fewer take less time, more may give better contours "
        "(default: the preset's, raised for many patients)",
    )
    added.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of weights and batches; default: 0",
    )
    added.add_argument(
        "--precision",
        choices=("auto", "float32", "bf16"),
        default="auto",
        help="auto (default): what pays on this machine",
    )
    added.add_argument(
        "--deterministic",
        action="store_true",
        help="the same bits on the same machine again, slower",
    )
    added.add_argument("--resume", action="store_true", help="continue a run that was interrupted")
    added.add_argument(
        "--keep-log",
        action="store_true",
        help="leave the log for TensorBoard in OUT.run",
    )
    _add_json(added)


# The commands


def _add_import(commands: Commands) -> None:
    added = _command(
        commands, "import", "import_", "DICOM archive (CT + RTSTRUCT or SEG) -> cohort folder"
    )
    added.add_argument(
        "dicom_dir",
        type=_path,
        nargs="?",
        metavar="DICOM_DIR",
        help="any nesting, any file names; left out with --undo",
    )
    added.add_argument(
        "cohort",
        type=_path,
        nargs="?",
        metavar="COHORT",
        help="a new folder, or a cohort to add to; not needed with --dry-run",
    )
    added.add_argument("--centre", help="the label in reports; default: the cohort folder's name")
    _add_names(added)
    added.add_argument(
        "--partial",
        action="append",
        default=[],
        metavar="ORGAN[=END]",
        help="in these patients, this organ is partly contoured, so it is unknown beyond (END: "
        "below or above; default: both); may be repeated",
    )
    added.add_argument(
        "--also-from-elsewhere",
        action="store_true",
        help="also patients of another institution, or from another scanner, than the cohort's",
    )
    added.add_argument(
        "--again",
        action="store_true",
        help="also re-read the patients who are already in the cohort, with the current names",
    )
    added.add_argument(
        "--undo",
        action="store_true",
        help="instead, take out what the last import into COHORT added",
    )
    added.add_argument(
        "--dry-run",
        action="store_true",
        help="show what would become of the ROI names, and import nothing",
    )
    _add_place(added, "patients are read")
    added.add_argument(
        "--draft-map",
        type=_new_file,
        metavar="MAP.toml",
        help="as --dry-run, and write a map of the unknown names to fill in",
    )
    _add_json(added)


def _add_remove(commands: Commands) -> None:
    added = _command(commands, "remove", "remove", "cohort -> the same without some of its cases")
    _add_path(added, "cohort", "COHORT", "a cohort folder")
    added.add_argument("cases", nargs="+", metavar="CASE", help="as `recontour inspect` shows it")
    _add_json(added)


def _add_deidentify(commands: Commands) -> None:
    words = "DICOM archive -> the same without what names its patients"
    added = _command(commands, "deidentify", "deidentify", words)
    _add_path(added, "dicom_dir", "IN", "any nesting, any file names")
    _add_path(added, "out", "OUT", "a new folder")
    _add_names(added)
    secret = "a secret to keep: the same pseudonyms in later runs"
    added.add_argument(
        "--key",
        type=_path,
        metavar="FILE",
        help=secret,
    )
    _add_json(added)


def _add_inspect(commands: Commands) -> None:
    words = "what a cohort holds and what was left out, or a model's card"
    added = _command(commands, "inspect", "inspect", words)
    _add_path(added, "path", "COHORT|MODEL", "a cohort folder, or a model file")
    added.add_argument(
        "--html",
        type=_new_file,
        metavar="FILE",
        help="also write a page of every case of the cohort with its contours, unusual ones first; "
        "replaces an earlier page of this cohort, unless that was edited",
    )
    added.add_argument(
        "--who",
        action="store_true",
        help="also show on the screen which patient each case is, from the DICOM it was imported "
        "from",
    )
    added.add_argument(
        "--who-from",
        type=_path,
        action="append",
        default=[],
        metavar="DICOM_DIR",
        help="as --who, from this folder: needed if the DICOM files have moved; may be repeated",
    )
    _add_json(added)


def _add_confirm_sides(commands: Commands) -> None:
    words = "say that left and right are named correctly where they look swapped"
    added = _command(commands, "confirm-sides", "confirm_sides", words)
    _add_path(added, "cohort", "COHORT", "a cohort folder")
    added.add_argument("cases", nargs="+", metavar="CASE", help="as `recontour inspect` shows it")
    _add_json(added)


def _add_confirm_cord(commands: Commands) -> None:
    words = "say that the cord is the cord where it looks like the spinal canal"
    added = _command(commands, "confirm-cord", "confirm_cord", words)
    _add_path(added, "cohort", "COHORT", "a cohort folder")
    added.add_argument("cases", nargs="+", metavar="CASE", help="as `recontour inspect` shows it")
    _add_json(added)


def _add_confirm_extent(commands: Commands) -> None:
    words = "say whether an organ that looks short is partly contoured, or whole"
    added = _command(commands, "confirm-extent", "confirm_extent", words)
    _add_path(added, "cohort", "COHORT", "a cohort folder")
    added.add_argument("cases", nargs="+", metavar="CASE", help="as `recontour inspect` shows it")
    answer = added.add_mutually_exclusive_group(required=True)
    answer.add_argument(
        "--partial",
        metavar="ORGAN[=END]",
        help="it goes on beyond its contours, where it is unknown (END: below or above; default: "
        "both)",
    )
    answer.add_argument(
        "--whole",
        metavar="ORGAN[=END]",
        help="this is all of it; takes back --partial, and the reverse, at the same end",
    )
    _add_json(added)


def _add_export(commands: Commands) -> None:
    words = "cohort -> NIfTI for nnU-Net, 3D Slicer and others"
    added = _command(commands, "export", "export", words)
    _add_path(added, "cohort", "COHORT", "a cohort folder")
    _add_path(added, "out", "OUT", "a new folder; for nnU-Net Dataset001_NAME")
    added.add_argument(
        "--format",
        choices=("nnunet", "nifti"),
        required=True,
        help="nnunet: raw data set of v2",
    )
    _add_organs(added, "TG-263 names; default: all of the cohort's")
    _add_json(added)


def _add_convert(commands: Commands) -> None:
    words = "NIfTI labels or a DICOM SEG on a CT -> RTSTRUCT: back from other tools"
    added = _command(commands, "convert", "convert", words)
    _add_path(added, "labels", "LABELS", "label map, folder of ORGAN.nii.gz, or SEG")
    _add_path(added, "ct_dir", "CT_DIR", "the CT series whose grid they lie on")
    _add_out(added, "FILE.dcm", "a new file", _new_file)
    _add_json(added)


def _add_train(commands: Commands) -> None:
    added = _command(commands, "train", "train", "cohort -> model, from scratch")
    _add_path(added, "cohort", "COHORT", "a cohort folder")
    _add_out(added, "MODEL", "the model file to write", _new_file)
    added.add_argument(
        "--preset",
        choices=PRESET_NAMES,
        default="accurate",
        help="accurate (default) or compact (faster, rougher), or paper (for a GPU)",
    )
    _add_learning(added)


def _add_adapt(commands: Commands) -> None:
    words = "model + your cohort -> model that contours your way"
    added = _command(commands, "adapt", "adapt", words)
    _add_path(added, "model", "MODEL", "the model to begin with")
    _add_path(added, "cohort", "COHORT", "your patients")
    added.add_argument(
        "--retrain-last",
        type=int,
        metavar="N",
        help="how many layers; default: all, but 10 of preset paper",
    )
    added.add_argument(
        "--plain",
        action="store_true",
        help="the parent has no say; with --retrain-last 10, as in the paper",
    )
    checking = added.add_mutually_exclusive_group()
    checking.add_argument(
        "--check",
        action="store_true",
        default=None,
        help="first score it thoroughly by cross-validation over your patients",
    )
    checking.add_argument(
        "--no-check",
        dest="check",
        action="store_false",
        help="leave out the short check that chooses the parent's say",
    )
    added.add_argument(
        "--folds",
        type=int,
        metavar="K",
        help=f"of --check; default: {USUAL_FOLDS}",
    )
    output = added.add_mutually_exclusive_group(required=True)
    output.add_argument(
        "--out",
        type=_new_file,
        metavar="MODEL",
        help="the model file to write",
    )
    output.add_argument(
        "--head-only",
        type=_new_file,
        metavar="HEAD",
        help="instead, a file of only what is learnt, to be used as TRUNK+HEAD",
    )
    _add_learning(added)


def _add_gain(commands: Commands) -> None:
    words = "model + your cohort -> what your last patients brought, and whether to contour more"
    added = _command(commands, "gain", "gain", words)
    _add_path(added, "model", "MODEL", "the model to adapt")
    _add_path(added, "cohort", "COHORT", "your patients, at least 3")
    added.add_argument(
        "--sizes",
        type=_whole_numbers,
        metavar="N,N,...",
        help="numbers of patients to learn from; default: half and all of those that every fold "
        "leaves",
    )
    added.add_argument(
        "--folds",
        type=int,
        metavar="K",
        help=f"more leave more patients to learn from; default: {USUAL_FOLDS}",
    )
    added.add_argument(
        "--useful",
        type=float,
        default=0.01,
        metavar="DSC",
        help="the smallest gain in mean DSC that is worth further patients; default: 0.01",
    )
    added.add_argument(
        "--retrain-last",
        type=int,
        metavar="N",
        help="how many layers; default: as adapt",
    )
    _add_organs(added, "TG-263 names; default: all that fit")
    added.add_argument(
        "--iterations",
        type=int,
        metavar="N",
        help="of each adaptation; default: half as many as adapt takes",
    )
    added.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of the order of patients, weights and batches; default: 0",
    )
    added.add_argument("--resume", action="store_true", help="continue a run that was interrupted")
    _add_out(added, "DIR", "a new folder")
    _add_json(added)


def _add_contour(commands: Commands) -> None:
    words = "model + CT series, one or many -> RTSTRUCT, DICOM SEG or NIfTI"
    added = _command(commands, "contour", "contour", words)
    _add_path(added, "model", "MODEL", "a model file, or TRUNK+HEAD")
    _add_path(added, "ct_dir", "CT_DIR", "a folder with one CT series, or with many")
    out = "one series: a new file; many: a folder, to which repeats add"
    _add_out(added, "FILE.dcm|DIR", out, _new_file_or_folder)
    _add_organs(added, "TG-263 names; default: all of the model's")
    formats = ("rtstruct", "seg", "nifti")
    added.add_argument(
        "--format",
        choices=formats,
        default="rtstruct",
        help="default: rtstruct",
    )
    _add_names(added, "your own ROI names, colours and labels for the output")
    added.add_argument(
        "--protocol",
        metavar="NAME",
        help="write as [protocol.NAME] of the map says",
    )
    added.add_argument(
        "--anyway",
        action="store_true",
        help="also if the CT is unlike those that the model learnt from",
    )
    _add_place(added, "series are contoured, if there are many")
    _add_json(added)


def _add_evaluate(commands: Commands) -> None:
    words = "models, and contours from elsewhere, on a cohort -> scores, statistics and a report"
    added = _command(commands, "evaluate", "evaluate", words)
    _add_path(added, "cohort", "COHORT", "patients that no model was trained on")
    models = added.add_argument(
        "models",
        type=_path,
        nargs="+",
        default=[],
        metavar="MODEL",
        help="the first is the baseline; with --contours, there may be none",
    )
    # With nargs="*", argparse would take none where options stand between COHORT and the models.
    models.required = False
    added.add_argument(
        "--contours",
        type=_named_folder,
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="another tool's or a second observer's RTSTRUCT, SEG or NIfTI for the same CTs; "
        "may be repeated",
    )
    _add_names(added, "ROI names of these contours -> TG-263")
    added.add_argument(
        "--tolerances",
        type=_path,
        metavar="FILE.toml",
        help="of the surface DSC in mm, lines such as Brainstem = 2.0",
    )
    _add_place(added, "cases are scored")
    _add_out(added, "DIR", "a new folder")
    _add_json(added)


def _add_accept(commands: Commands) -> None:
    words = "may a model replace the one in use? decisions by organ, and a report to sign"
    added = _command(commands, "accept", "accept", words)
    _add_path(added, "cohort", "COHORT", "patients that neither model was trained on")
    _add_path(added, "candidate", "CANDIDATE", "the model that may replace the other one")
    added.add_argument(
        "--against",
        type=_path,
        required=True,
        metavar="MODEL",
        help="the model in use, such as the one that the candidate was adapted from",
    )
    for option, measure in (("--margin-dsc", "DSC"), ("--margin-surface-dsc", "surface DSC")):
        added.add_argument(
            option,
            type=float,
            default=0.02,
            metavar="X",
            help=f"by how much the candidate's mean {measure} may be lower, at most; default: 0.02",
        )
    added.add_argument(
        "--per-organ",
        type=_new_file,
        metavar="FILE.safetensors",
        help="also write a model that takes promoted organs from the candidate, and all others "
        "from the model in use",
    )
    added.add_argument(
        "--tolerances",
        type=_path,
        metavar="FILE.toml",
        help="of the surface DSC in mm, lines such as Brainstem = 2.0",
    )
    _add_place(added, "cases are scored")
    _add_out(added, "DIR", "a new folder")
    _add_json(added)


def _add_monitor(commands: Commands) -> None:
    words = "drafts, and what was approved later -> control charts: has a model drifted?"
    added = _command(commands, "monitor", "monitor", words)
    _add_path(
        added,
        "drafts",
        "DRAFTS|MODEL",
        "a folder of structure sets as `contour` wrote them, or a model to replay on cohorts",
    )
    added.add_argument(
        "approved",
        type=_path,
        nargs="+",
        metavar="APPROVED|COHORT",
        help="a folder of structure sets that were approved later; for a model, cohorts, the "
        "oldest first. The CTs may be in either of the two folders",
    )
    added.add_argument(
        "--limits",
        type=_path,
        metavar="FILE",
        help="limits.json of `accept`: what is usual; default: the first patients say it",
    )
    added.add_argument(
        "--baseline",
        type=int,
        default=USUAL_BASELINE,
        metavar="N",
        help=f"how many of the first patients say what is usual; default: {USUAL_BASELINE}",
    )
    _add_names(added, "ROI names of both folders -> TG-263")
    _add_out(added, "DIR", "a new folder")
    _add_json(added)


def _add_compare(commands: Commands) -> None:
    words = "a cohort's contours beside a model's -> what differs from the model's centre, in mm"
    added = _command(commands, "compare", "compare", words)
    _add_path(added, "model", "MODEL", "a model of the other centre")
    _add_path(added, "cohort", "COHORT", "patients that the model was not trained on")
    added.add_argument(
        "--home",
        type=_path,
        metavar="COHORT",
        help="patients of the model's centre, for a model that keeps nothing of them",
    )
    _add_out(added, "DIR", "a new folder")
    _add_json(added)


def _add_study(commands: Commands) -> None:
    words = "the whole comparison, declared in a file: models, depths, numbers of cases"
    added = _command(commands, "study", "study", words)
    added.add_argument(
        "study",
        type=_path,
        nargs="?",
        metavar="STUDY.toml",
        help="the study file; left out with --example",
    )
    added.add_argument(
        "--out", type=_path, metavar="DIR", help="a new folder; with --resume the study's"
    )
    added.add_argument(
        "--resume", action="store_true", help="continue a study that was interrupted, or grew"
    )
    added.add_argument(
        "--folds",
        type=int,
        metavar="K",
        help="cross-validate over the target's patients in K folds, in place of the file's split",
    )
    _add_place(added, "cells run", "in place of the file's workers")
    added.add_argument(
        "--dry-run", action="store_true", help="list the cells, and estimate time and disk"
    )
    added.add_argument("--example", action="store_true", help="print a commented study file")
    _add_json(added)


def _add_report(commands: Commands) -> None:
    added = _command(commands, "report", "report", "rebuild a study's report from its results")
    _add_path(added, "study", "DIR", "the --out of `recontour study`")
    _add_json(added)


def _add_serve(commands: Commands) -> None:
    words = "contour what arrives, let people correct and approve it, and learn from that"
    added = _command(commands, "serve", "serve", words)
    added.add_argument(
        "site",
        type=_path,
        nargs="?",
        metavar="SITE.toml",
        help="the site file; left out with --example",
    )
    instead = added.add_mutually_exclusive_group()
    instead.add_argument(
        "--check",
        action="store_true",
        help="read everything, ask every destination, say what would happen, and start nothing",
    )
    instead.add_argument(
        "--dry-run",
        type=_path,
        metavar="DICOM_DIR",
        help="say which rule would take each CT series of a folder, and why the others would not",
    )
    instead.add_argument("--example", action="store_true", help="print a commented site file")
    added.add_argument(
        "--calling-ae",
        default="",
        metavar="TITLE",
        help="with --dry-run: as if the series came from there",
    )
    _add_json(added)


def _add_forget(commands: Commands) -> None:
    words = "delete all that a site keeps of a patient; its audit trail stays"
    added = _command(commands, "forget", "forget", words)
    _add_path(added, "site", "SITE.toml", "the site file")
    added.add_argument("patient_id", metavar="PATIENT_ID", help="as DICOM has it")
    _add_json(added)


def _add_account(commands: Commands) -> None:
    words = "who may log in to a site's page: make, change or close an account"
    added = _command(commands, "account", "account", words)
    _add_path(added, "site", "SITE.toml", "the site file")
    added.add_argument("account", metavar="NAME", help="of the account: the same name changes it")
    what = added.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--role",
        choices=ROLES,
        help="what the account may do: each role also what the ones before it may. The password is "
        "asked twice, or read as one line from standard input",
    )
    what.add_argument("--close", action="store_true", help="nobody can log in to it any more")
    _add_json(added)


def _add_demo(commands: Commands) -> None:
    words = "the whole job on two synthetic centres, in about a quarter of an hour"
    added = _command(commands, "demo", "demo", words)
    added.add_argument(
        "--out",
        type=_path,
        default=Path("recontour-demo"),
        metavar="DIR",
        help="default: recontour-demo",
    )
    _add_json(added)
