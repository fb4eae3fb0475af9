"""What can be found where jobs run."""

from recontour.findings import Finding, ScreenOnly, finding
from recontour.processes import how_ended
from recontour.wording import shown

MOST_WORKERS = 1000


@finding
class DeadWorker(Finding):
    """The process of a job died, and so did those that tried again. exit_code: of the last one."""

    times: int
    exit_code: int | None

    def sentence(self) -> str:
        ended = f"ended early {self.times} times ({how_ended(self.exit_code)} at last)"
        return f"the worker process {ended}; perhaps the memory is full"

    def remedy(self) -> str:
        return "close other programs or use fewer workers, then repeat"


@finding
class UnknownPlace(Finding):
    """Jobs cannot be sent to such a place."""

    given: ScreenOnly[str]

    def sentence(self) -> str:
        return f"no place to run jobs ({shown(self.given)})"

    def remedy(self) -> str:
        return f"choose local:N, slurm:N or tcp://HOST:PORT, with N from 1 to {MOST_WORKERS}"


@finding
class NoDask(Finding):
    """Jobs are to run elsewhere, and the libraries for that are not installed."""

    def sentence(self) -> str:
        return "other machines are reached through Dask, which is not installed"

    def remedy(self) -> str:
        return "install it: pip install 'recontour[cluster]'"


@finding
class NoSlurm(Finding):
    """Jobs are to run under Slurm, and this machine does not have its commands."""

    def sentence(self) -> str:
        return "there is no Slurm here (no command sbatch)"

    def remedy(self) -> str:
        return "start it on a machine that submits jobs, or choose --on local:N or tcp://HOST:PORT"


@finding
class RefusedJobs(Finding):
    """Slurm does not take jobs such as ours. reason: what it says."""

    reason: ScreenOnly[str]

    def sentence(self) -> str:
        return f"Slurm refuses the jobs ({self.reason})"

    def remedy(self) -> str:
        return "see what jobqueue.slurm says in Dask's configuration"


@finding
class NoWorkersYet(Finding):
    """A Dask scheduler has no workers; the jobs wait for one."""

    def sentence(self) -> str:
        return "the Dask scheduler has no workers yet, and nothing runs until it has"

    def remedy(self) -> str:
        return "start some with `dask worker` and the scheduler's address"


@finding
class NoScheduler(Finding):
    """No Dask scheduler answers."""

    address: ScreenOnly[str]

    def sentence(self) -> str:
        return f"no Dask scheduler answers at {shown(self.address)}"

    def remedy(self) -> str:
        return "start one there with `dask scheduler`, and let this machine reach its port"


@finding
class LostScheduler(Finding):
    """The connection to the Dask scheduler ended, or the scheduler did."""

    def sentence(self) -> str:
        return "the connection to the Dask scheduler is lost"

    def remedy(self) -> str:
        return "see that it runs, then repeat the command; a study goes on with --resume"


@finding
class DaemonWorker(Finding):
    """A Dask worker may not start processes."""

    def sentence(self) -> str:
        return "a Dask worker is not allowed to start processes"

    def remedy(self) -> str:
        return "start the workers with DASK_DISTRIBUTED__WORKER__DAEMON=False in their environment"
