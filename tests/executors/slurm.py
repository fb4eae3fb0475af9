"""A real Slurm of two nodes on this machine, for one test; Debian's slurmctld, slurmd and munge.

    .venv/bin/python -m tests.executors.slurm COMMAND...

runs a command in one.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
SETTINGS = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
InactiveLimit=0
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=4000
NodeName=two NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=4000
PartitionName=all Nodes=one,two Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def _real_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Start a Slurm; give the variables by which its commands find it."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        pytest.skip(f"no Slurm to start here: {', '.join(missing) or 'only root may'}")
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    settings = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    settings.write_text(SETTINGS.format(folder=folder, host=host, ports=free_ports(3)))
    environment = os.environ | {"SLURM_CONF": str(settings)}
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> None:
        with (folder / f"{len(started)}.log").open("wb") as log:
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    try:
        munged = [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
        start(
            "munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munged,
            f"--key-file={key}",
        )  # fmt: skip
        while not (folder / "munge.socket").exists():
            time.sleep(0.05)
        start("slurmctld", "-D", "-f", str(settings))
        for node in ("one", "two"):
            (folder / f"spool.{node}").mkdir()
            start("slurmd", "-D", "-N", node, "-f", str(settings))
        while "idle" not in _said(["sinfo", "--noheader", "--format=%T"], environment):
            assert all(process.poll() is None for process in started)
            time.sleep(0.2)
        yield {
            "SLURM_CONF": str(settings),
            "DASK_JOBQUEUE__SLURM__INTERFACE": "lo",
            "DASK_JOBQUEUE__SLURM__LOG_DIRECTORY": str(folder),
            "DASK_JOBQUEUE__SLURM__LOCAL_DIRECTORY": str(folder),
        }
    finally:
        for process in reversed(started):  # munged last, without which the others do not end
            process.terminate()
            process.wait()


@contextmanager
def in_slurm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start a Slurm that this process, and those it starts, use."""
    with _real_slurm(folder) as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _said(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch, _real_slurm(Path(scratch)) as found_by:
        sys.exit(subprocess.run(sys.argv[1:], env=os.environ | found_by, check=False).returncode)
