"""Scalars for TensorBoard, written at once.

A full disk ends the run with an error. Fabric's TensorBoardLogger writes from a thread, and waits
for ever then: see docs/decisions/039-tensorboard.md.
"""

import time
from collections.abc import Mapping
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar

from recontour.files import output_error


class ScalarLog:
    """An event file in a folder that TensorBoard reads."""

    def __init__(self, folder: Path, done: int) -> None:
        """Begin a new event file.

        Iterations after `done` in earlier files no longer count.
        Raises: OutputError, FaultError: the file cannot be written.
        """
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = EventsWriter(str(folder / "events"))
        except OSError as error:
            raise output_error(folder, error) from error
        self._write(Event(step=done, session_log=SessionLog(status=SessionLog.START)))

    def write(
        self,
        iteration: int,
        values: Mapping[str, float],
    ) -> None:
        """Log values by name. Raises: FaultError: the disk is full."""
        for name, value in values.items():
            self._write(Event(step=iteration, summary=scalar(name, value)))

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        try:
            self._writer.write_event(event)
            self._writer.flush()
        except OSError as error:
            raise output_error(self._folder, error) from error
