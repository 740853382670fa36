"""The job of a worker process with decoders that hang, eat memory or crash and a disk that fails, by recording."""

import errno
import os
import signal
from functools import partial

import numpy as np
import soundfile

from myxtts.audio import waveform
from myxtts.data import features, jobs
from myxtts.data.pool import job_limits

really_read = waveform.read


def read(path, *more):
    if path.stem == "hangs":
        while True:
            pass
    if path.stem == "eats":
        return [np.ones(1 << 30) for _ in range(40)]  # 8 GiB are refused at the first
    if path.stem == "crashes":
        os.kill(os.getpid(), signal.SIGSEGV)
    if path.stem == "sector":
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    if path.stem == "network":
        soundfile.SoundFile.read = refused
    return really_read(path, *more)


def refused(*_, **__):
    raise soundfile.LibsndfileError(2)  # its word for a system call that failed


def work_on(job):
    waveform.read = read
    jobs.job_limits = partial(job_limits, processor_seconds=0.5)
    return jobs.extract(job) if isinstance(job, features.AudioJob) else features.encode(job)
