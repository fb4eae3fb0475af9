"""A mistake that a user may make, and which commands are silent about it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from recontour.cli import main

Arguments = list[object]
Command = Callable[[Path], Arguments]  # given a new path to write to
SHORT: Arguments = ["--preset", "compact", "--iterations", "1", "--precision", "float32"]
SWAPPED = '[names]\n"Lt Parotid" = "Parotid_R"\n"Rt Parotid" = "Parotid_L"\n'


@dataclass
class Mistake:
    """One mistake, and the commands that were silent about it."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    silent: list[str] = field(default_factory=list)
    runs: int = 0

    def is_said_by(self, command: Command, words: str, kind: str) -> None:
        """Run a command twice: the words must be on the screen, and the kind in the JSON."""
        self.are_said_by(command, {kind: words})

    def are_said_by(self, command: Command, said: Mapping[str, str]) -> None:
        """Run a command twice: all words must be on the screen, and their kinds in the JSON."""
        told = " ".join(self.hear(command).split())
        answer = json.dumps(json.loads(self.hear(command, "--json")))
        for kind, words in said.items():
            if words not in told:
                self.silent.append(f"{self.name}: screen lacks {words!r}")
            if f'"kind": "{kind}"' not in answer:
                self.silent.append(f"{self.name}: JSON lacks {kind}")

    def hear(self, command: Command, *options: str) -> str:
        """Return what a command prints; with --json, only that."""
        self.runs += 1
        arguments = list(map(str, command(self.folder / f"run{self.runs}")))
        self.name = arguments[0]
        self.capsys.readouterr()
        main([*arguments, *options])
        told = self.capsys.readouterr()
        return told.out if options else told.out + told.err
