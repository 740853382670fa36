"""GPUs: setting up TensorFlow for them, and why it cannot use an existing one.

TensorFlow reports a missing library only in its log, among many similar lines that are hidden: a machine with an NVIDIA
card would train on the processor without a message.
"""

from __future__ import annotations

import ctypes
import os
import re
import sysconfig
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import tensorflow as tf

from myxtts.config.schema import TrainingConfig
from myxtts.errors import ConfigError

LIBRARIES = (
    "libcudart.so.12",
    "libcublas.so.12",
    "libcudnn.so.9",
    "libcufft.so.11",
    "libcusolver.so.11",
    "libcusparse.so.12",
)
"""What TensorFlow 2.21 loads (tf.sysconfig.get_build_info: CUDA 12, cuDNN 9)."""
OLDEST_DRIVER = 525
"""The oldest NVIDIA driver that runs CUDA 12."""
INSTALL = "`pip install 'myxtts[gpu]'`"
WHY = "`TF_CPP_MIN_LOG_LEVEL=0 python3 -c \"import tensorflow as tf; tf.config.list_physical_devices('GPU')\"`"


def _loads(name: str) -> bool:
    """Whether the dynamic linker finds a library."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Machine:
    """Where to look for a card and its libraries."""

    root: Path = Path("/")
    packages: Path = field(default_factory=lambda: Path(sysconfig.get_paths()["purelib"]))
    """Where the nvidia-* packages are, in whose folders TensorFlow looks first."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    loads: Callable[[str], bool] = _loads

    def card(self) -> str | None:
        """The NVIDIA card that the operating system shows, by its driver; None without one."""
        if (version := self.driver()) is not None:
            return f"driver {version}" if version else "driver of unknown version"
        if (self.root / "dev/nvidia0").exists():
            return "no driver in /proc/driver/nvidia"
        # /dev/dxg is any GPU of a Windows machine; this library is NVIDIA's
        if (self.root / "dev/dxg").exists() and (self.root / "usr/lib/wsl/lib/libcuda.so.1").exists():
            return "driver of Windows"
        return None

    def driver(self) -> str | None:
        """Version of the driver, such as 550.54; empty if its text has none, None without a driver."""
        try:
            text = (self.root / "proc/driver/nvidia/version").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        found = re.search(r"Kernel Module.*?\s(\d+(?:\.\d+)+)", text)
        return found[1] if found else ""

    def missing(self) -> list[str]:
        """The libraries that neither the packages nor the dynamic linker have."""
        there = {path.name for path in self.packages.glob("nvidia/*/lib/lib*.so*")}
        return [name for name in LIBRARIES if name not in there and not self.loads(name)]


def unusable_gpu(machine: Machine, usable: int, *, cuda_build: bool) -> str | None:
    """One line on an NVIDIA card that TensorFlow cannot use: what is missing and the command; None if all is well.

    Args:
        machine: where to look.
        usable: GPUs that TensorFlow sees.
        cuda_build: whether this TensorFlow was built with CUDA.
    """
    card = None if usable else machine.card()
    if card is None:
        return None
    hidden = machine.environment.get("CUDA_VISIBLE_DEVICES")
    driver = machine.driver()
    if hidden is not None and hidden.strip() in ("", "-1"):
        why = f"CUDA_VISIBLE_DEVICES={hidden!r} hides it. To use it: `unset CUDA_VISIBLE_DEVICES`"
    elif not cuda_build:
        why = (
            f"this TensorFlow is built without CUDA. `pip uninstall tensorflow-cpu`, then {INSTALL} brings one with it"
        )
    elif missing := machine.missing():
        verb = "is" if len(missing) == 1 else "are"
        why = f"{', '.join(missing)} {verb} missing. {INSTALL} brings what is missing"
    elif driver and int(driver.partition(".")[0]) < OLDEST_DRIVER:
        why = f"the driver is older than {OLDEST_DRIVER}, which CUDA 12 needs: install a newer one"
    else:
        why = f"all libraries are there. {WHY} prints the reason"
    return f"an NVIDIA GPU is here ({card}) and TensorFlow cannot use it, so training runs on the processor: {why}"


def check_gpu(machine: Machine | None = None) -> str | None:
    """As `unusable_gpu` for this machine and this TensorFlow."""
    usable = len(tf.config.list_physical_devices("GPU"))
    return unusable_gpu(machine or Machine(), usable, cuda_build=bool(tf.test.is_built_with_cuda()))


def require_gpu(machine: Machine | None = None) -> None:
    """Check that TensorFlow has the GPU that this process was started for, one of several.

    Raises:
        ConfigError: it has none; so many processes on processors would be slower than one.
    """
    if not tf.config.list_physical_devices("GPU"):
        raise ConfigError(f"{check_gpu(machine) or 'TensorFlow cannot use the GPU of this process'}, or --devices 1")


def prepare_tensorflow(training: TrainingConfig) -> list[str]:
    """Set up threads, the memory of GPUs, the precision of products and deterministic kernels; returns lines to print.

    Call this before TensorFlow computes anything.

    Products of fp32 numbers are computed in fp32 on every GPU: TF32, the default of TensorFlow, rounds their factors to
    ten bits, while losses, normalizations and the aligner are promised in fp32. Who wants the speed takes bf16.

    Raises:
        ConfigError: TensorFlow has already started, so that the number of threads cannot change.
    """
    if training.threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(training.threads)
            tf.config.threading.set_inter_op_parallelism_threads(training.threads)
        except RuntimeError as error:
            raise ConfigError(
                f"training.threads {training.threads}: TensorFlow has already started; start a new process"
            ) from error
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with suppress(RuntimeError):  # it is in use already, by an earlier training of this process
            tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if deterministic(training.deterministic, len(gpus)):
        tf.config.experimental.enable_op_determinism()
    return determinism_lines(training.deterministic, len(gpus))


def deterministic(setting: str, gpus: int) -> bool:
    """Whether kernels are deterministic: the setting itself, or for `auto` on processors only."""
    return setting == "on" or (setting == "auto" and not gpus)


def determinism_lines(setting: str, gpus: int) -> list[str]:
    """What determinism means for this run, in a line."""
    on = deterministic(setting, gpus)
    why = f" (training.deterministic auto: {'a GPU' if gpus else 'no GPU'})" if setting == "auto" else ""
    promise = "a resumed run is bit-exact" if on else "faster; a resumed run differs in the last digits"
    return [f"Deterministic kernels: {'on' if on else 'off'}{why}; {promise}."]
