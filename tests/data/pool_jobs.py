"""Jobs for all the ways in which a worker process can end."""

import os
import signal
import time

from myxtts.data.pool import job_limits


def work(job):
    """Does what its name says; anything else is returned doubled."""
    if job == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if job == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "exit":
        os._exit(3)
    if job == "hang":
        with job_limits(processor_seconds=0.1):
            while True:
                pass
    if job == "wait":
        with job_limits(wall_seconds=0.1):
            time.sleep(60)
    if job in ("stop", "stop and overrun"):
        own = os.getpid()
        if os.fork() == 0:
            time.sleep(0.5)
            os.kill(own, signal.SIGCONT)
            os._exit(0)
        with job_limits(wall_seconds=600.0 if job == "stop" else 0.1):
            os.kill(own, signal.SIGSTOP)
    if job == "raise":
        raise KeyError("a defect")
    if job == "threads":
        return os.environ["OMP_NUM_THREADS"]
    return job * 2
