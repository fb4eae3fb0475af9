"""What launchers say of a process, and what they leave behind in jobs that are one process."""

import pytest

from recontour.launched import Launched, launched

TORCHRUN = {
    "RANK": "3",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "4",
    "MASTER_ADDR": "n1",
    "MASTER_PORT": "29500",
}
SRUN = {
    "SLURM_JOB_ID": "12",
    "SLURM_STEP_ID": "3",
    "SLURM_NTASKS": "4",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
}
BATCH_SCRIPT = {"SLURM_JOB_ID": "12", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}


def test_torchrun_says_who_a_process_is() -> None:
    assert launched(TORCHRUN) == Launched(3, 4, 1, "env://")


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("gpu[07-08]", "gpu07"),
        ("gpu[07,11]", "gpu07"),
        ("gpu[1-2,5]-ib,other", "gpu1-ib"),
        ("north,south", "north"),
    ],
)
def test_srun_says_who_a_process_is_and_the_first_one_s_machine(nodes: str, host: str) -> None:
    meeting = f"tcp://{host}:20123?rank=3&world_size=4"
    assert launched(SRUN | {"SLURM_STEP_NODELIST": nodes}) == Launched(3, 4, 1, meeting)


def test_a_step_on_one_machine_needs_no_name_of_it_and_a_user_may_choose() -> None:
    here = launched(SRUN | {"SLURM_STEP_NUM_NODES": "1"})
    assert here
    assert here.meeting.startswith("tcp://127.0.0.1:20123?")
    chosen = launched(SRUN | {"MASTER_ADDR": "n1", "MASTER_PORT": "7"})
    assert chosen
    assert chosen.meeting.startswith("tcp://n1:7?")


@pytest.mark.parametrize(
    "environment",
    [
        {},
        BATCH_SCRIPT,
        # It was submitted from within a step of four tasks, and is a job of one.
        SRUN | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"},
        {name: "1" if name == "SLURM_STEP_NUM_TASKS" else value for name, value in SRUN.items()},
        TORCHRUN | {"RANK": "0", "WORLD_SIZE": "1"},
        TORCHRUN | {"WORLD_SIZE": "many"},
        {"RANK": "3", "WORLD_SIZE": "4"},
    ],
)
def test_a_process_that_no_launcher_started_with_others_is_alone(
    environment: dict[str, str],
) -> None:
    assert launched(environment) is None
