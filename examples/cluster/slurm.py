"""A Dask cluster on SLURM that grows and shrinks with the work; its address is what --dask takes.

    pip install dask-jobqueue
    python slurm.py --queue cpu --jobs 16 --cores 16 --memory 48GB --walltime 04:00:00
    rwsr degrade build ... --dask ADDRESS          # in another shell, or a job of its own

Run it where jobs may reach it (a login node, or inside a small job), in the environment that rwsr is installed in; the
jobs use the same. Photographs, store and bank must lie where every node sees them: a shared disk, or s3://. A worker is
one process for each core; half an hour of walltime is enough, since a shard takes less than a minute and a job that
ends hands its shard to another.
"""

import argparse
import signal
from threading import Event

from dask_jobqueue import SLURMCluster


def cluster_of(told: argparse.Namespace) -> SLURMCluster:
    """Jobs of so many single-threaded workers, each of which stops taking shards before its walltime is over."""
    hours, minutes, seconds = map(int, told.walltime.split(":"))
    lifetime_s = max(60, hours * 3600 + minutes * 60 + seconds - 300)
    return SLURMCluster(
        queue=told.queue,
        account=told.account,
        cores=told.cores,
        processes=told.cores,
        memory=told.memory,
        walltime=told.walltime,
        interface=told.interface,
        local_directory=told.scratch,
        job_extra_directives=told.directive,
        worker_extra_args=["--lifetime", f"{lifetime_s}s", "--lifetime-stagger", "60s"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queue", help="the partition")
    parser.add_argument("--account")
    parser.add_argument("--jobs", type=int, default=16, help="at most")
    parser.add_argument("--cores", type=int, default=16, help="of a job")
    parser.add_argument("--memory", default="48GB", help="of a job; 2 to 3 GB a core")
    parser.add_argument("--walltime", default="04:00:00")
    parser.add_argument("--interface", help="the network that nodes talk by, as ib0")
    parser.add_argument("--scratch", default="/tmp", help="a folder on each node's own disk")
    parser.add_argument("--directive", action="append", default=[], help="more for #SBATCH, as --exclusive")
    told = parser.parse_args()
    with cluster_of(told) as cluster:
        cluster.adapt(minimum_jobs=0, maximum_jobs=told.jobs)
        print(cluster.scheduler_address, flush=True)
        over = Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: over.set())
        over.wait()


if __name__ == "__main__":
    main()
