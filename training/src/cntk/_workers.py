"""Which process of several this is, as `mpirun`, `torchrun` and their kin tell it."""

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

_RANKS: Final = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "RANK")
_SIZES: Final = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "WORLD_SIZE")
_LOCAL_RANKS: Final = ("OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "LOCAL_RANK")
_LOCAL_SIZES: Final = ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "LOCAL_WORLD_SIZE")
_JOBS: Final = ("PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "PMI_JOBID", "SLURM_JOB_ID")
_FIRST_PORT: Final = 20000
_PORTS: Final = 10000


@final
@dataclass(frozen=True, slots=True)
class Place:
    """A process among others.

    Args:
        rank: Its number, from 0.
        size: How many there are.
        local_rank: Its number on its machine.
        address: Where the first process listens, host and port.
    """

    rank: int
    size: int
    local_rank: int
    address: tuple[str, int]


def place(environment: Mapping[str, str] = os.environ) -> Place:
    """Return this process's place; the only one if nothing says otherwise.

    Raises:
        ValueError: What the environment says does not fit together.
    """
    size = _number(environment, _SIZES, 1)
    rank = _number(environment, _RANKS, 0)
    if size == 1:
        rank = 0
    if not 0 <= rank < size:
        message = f"This process is said to be number {rank} of {size} workers: set both or none."
        raise ValueError(message)
    local_rank = _number(environment, _LOCAL_RANKS, rank)
    host = environment.get("MASTER_ADDR")
    if host is None:
        if _number(environment, _LOCAL_SIZES, size) != size:
            message = (
                "The workers run on several machines: set MASTER_ADDR to the name of the one with "
                "rank 0, for all of them."
            )
            raise ValueError(message)
        host = "127.0.0.1"
    port = int(environment.get("MASTER_PORT", 0)) or _port(environment)
    return Place(rank, size, local_rank, (host, port))


def _port(environment: Mapping[str, str]) -> int:
    """Return the same port in all processes of one job: from the job's name, or their parent."""
    job = next((environment[name] for name in _JOBS if name in environment), str(os.getppid()))
    return _FIRST_PORT + zlib.crc32(job.encode()) % _PORTS


def _number(environment: Mapping[str, str], names: tuple[str, ...], otherwise: int) -> int:
    for name in names:
        if name in environment:
            try:
                return int(environment[name])
            except ValueError:
                message = f"{name} must be a number, not {environment[name]!r}."
                raise ValueError(message) from None
    return otherwise
