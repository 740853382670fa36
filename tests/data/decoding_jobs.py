"""Jobs of a worker process whose decoder hangs, leaks or crashes, or whose disk fails, depending on the recording."""

import errno
import os
import signal
from functools import partial

import numpy as np
import soundfile

from myxtts.audio import waveform
from myxtts.data import features, jobs
from myxtts.data.pool import job_limits

really_read = waveform.read_recording


def read(path, *more):
    if path.stem == "hangs":
        while True:
            pass
    if path.stem == "eats":
        return [np.ones(1 << 30) for _ in range(40)]  # each of 8 GiB, more than the limit
    if path.stem == "crashes":
        os.kill(os.getpid(), signal.SIGSEGV)
    if path.stem == "sector":
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    if path.stem == "network":
        soundfile.SoundFile.read = fails
    return really_read(path, *more)


def fails(*_, **__):
    raise soundfile.LibsndfileError(2)  # its code for a system call that failed


def work_on(job):
    waveform.read_recording = read
    jobs.job_limits = partial(job_limits, processor_seconds=0.5)
    return jobs.extract(job) if isinstance(job, features.AudioJob) else features.encode(job)
