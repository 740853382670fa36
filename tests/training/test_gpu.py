"""GPUs that TensorFlow cannot use, on made-up machines; how TensorFlow is set up with and without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from myxtts.config.schema import TrainingConfig
from myxtts.errors import ConfigError
from myxtts.training import gpu, run
from myxtts.training.cluster import Alone
from myxtts.training.gpu import LIBRARIES, Machine, check_gpu, prepare_tensorflow, require_gpu, unusable_gpu

UNIX = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC version:  gcc 12"
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  510.42.02  Release Build  (dvs-builder)"


def machine(
    root: Path, driver: str = UNIX, packages: tuple[str, ...] = (), linker: tuple[str, ...] = (), **environment: str
) -> Machine:
    """A machine with a driver, and the libraries that its packages and its dynamic linker have."""
    if driver:
        (root / "proc/driver/nvidia").mkdir(parents=True)
        (root / "proc/driver/nvidia/version").write_text(driver)
    for name in packages:
        folder = root / "site/nvidia" / name.partition(".")[0] / "lib"
        folder.mkdir(parents=True)
        (folder / name).touch()
    return Machine(root, root / "site", environment, lambda name: name in linker)


def warning(made: Machine, *, usable: int = 0, cuda_build: bool = True) -> str:
    found = unusable_gpu(made, usable, cuda_build=cuda_build)
    assert found is not None and "\n" not in found
    assert found.startswith("an NVIDIA GPU is here (") and "runs on the processor" in found
    return found


def test_the_missing_library_and_the_command_are_named(tmp_path: Path) -> None:
    found = warning(machine(tmp_path, packages=LIBRARIES[:2], linker=LIBRARIES[3:]))
    assert "(driver 550.54.15)" in found
    assert found.endswith("libcudnn.so.9 is missing. `pip install 'myxtts[gpu]'` brings what is missing")


def test_all_missing_libraries_are_named(tmp_path: Path) -> None:
    found = warning(machine(tmp_path))
    assert all(name in found for name in LIBRARIES) and " are missing" in found


def test_other_causes(tmp_path: Path) -> None:
    whole: dict[str, Any] = {"linker": LIBRARIES}
    assert "`unset CUDA_VISIBLE_DEVICES`" in warning(machine(tmp_path / "1", **whole, CUDA_VISIBLE_DEVICES="-1"))
    assert "`unset CUDA_VISIBLE_DEVICES`" in warning(machine(tmp_path / "2", **whole, CUDA_VISIBLE_DEVICES=""))
    assert "without CUDA" in warning(machine(tmp_path / "3", **whole), cuda_build=False)
    assert "older than 525" in warning(machine(tmp_path / "4", OPEN, **whole))
    assert "TF_CPP_MIN_LOG_LEVEL=0" in warning(machine(tmp_path / "5", **whole, CUDA_VISIBLE_DEVICES="0"))
    assert "driver of unknown version" in warning(machine(tmp_path / "6", "something else", **whole))


def test_other_signs_of_a_card(tmp_path: Path) -> None:
    for names in (["dev/nvidia0"], ["dev/dxg", "usr/lib/wsl/lib/libcuda.so.1"]):
        root = tmp_path / names[0].replace("/", "-")
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        assert "libcudart.so.12" in warning(machine(root, driver=""))


def test_nothing_is_said_without_a_card_or_with_a_usable_one(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/dxg").touch()  # the GPU of another maker in WSL
    nothing = machine(tmp_path, driver="", CUDA_VISIBLE_DEVICES="-1")
    assert unusable_gpu(nothing, 0, cuda_build=True) is None and check_gpu(nothing) is None
    assert unusable_gpu(machine(tmp_path / "card"), 1, cuda_build=True) is None


def test_this_machine_can_be_asked() -> None:
    found = check_gpu()
    assert found is None or "CUDA_VISIBLE_DEVICES" in found, "the tests hide a GPU"
    assert not Machine().loads("libno-such-library.so.3")


def test_a_process_that_was_started_for_a_gpu_needs_it(tmp_path: Path, calls: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"libcudnn\.so\.9 is missing\. .*, or --devices 1$"):
        require_gpu(machine(tmp_path, packages=LIBRARIES[:2], linker=LIBRARIES[3:], CUDA_VISIBLE_DEVICES="0"))
    calls["gpus"] = ["GPU:0"]
    require_gpu()


def test_processes_must_choose_the_same_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "chosen_precision", lambda setting: "bf16")
    run.check_precision("auto", Alone())
    monkeypatch.setattr(Alone, "gather", lambda self, value: [value, value, "fp32"])
    with pytest.raises(ConfigError, match=r"training\.precision auto is bf16 in process 0 and fp32 in process 2"):
        run.check_precision("auto", Alone())


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A stand-in for TensorFlow's configuration, and its GPUs."""
    seen: dict[str, Any] = {"growth": [], "tf32": [], "deterministic": 0, "gpus": []}
    tried = tf.config.experimental

    def deterministic() -> None:
        seen["deterministic"] += 1

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: seen["gpus"])
    monkeypatch.setattr(tried, "set_memory_growth", lambda device, on: seen["growth"].append((device, on)))
    monkeypatch.setattr(tried, "enable_tensor_float_32_execution", seen["tf32"].append)
    monkeypatch.setattr(tried, "enable_op_determinism", deterministic)
    return seen


@pytest.mark.parametrize(
    ("setting", "gpus", "on", "line"),
    [
        ("auto", 0, 1, "Deterministic kernels: on (training.deterministic auto: no GPU); a resumed run is bit-exact."),
        (
            "auto",
            2,
            0,
            "Deterministic kernels: off (training.deterministic auto: a GPU); faster; a resumed run differs",
        ),
        ("on", 1, 1, "Deterministic kernels: on; a resumed run is bit-exact."),
        ("off", 0, 0, "Deterministic kernels: off; faster; a resumed run differs in the last digits."),
    ],
)
def test_setting_up(calls: dict[str, Any], setting: str, gpus: int, on: int, line: str) -> None:
    calls["gpus"] = [f"GPU:{number}" for number in range(gpus)]
    (said,) = prepare_tensorflow(TrainingConfig(deterministic=setting))
    assert said.startswith(line) and calls["deterministic"] == on
    assert calls["growth"] == [(gpu, True) for gpu in calls["gpus"]] and calls["tf32"] == [False]


def test_a_second_training_of_a_process_does_not_fail(calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def late(device: str, on: bool) -> None:
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    calls["gpus"] = ["GPU:0"]
    monkeypatch.setattr(gpu.tf.config.experimental, "set_memory_growth", late)
    assert prepare_tensorflow(TrainingConfig())
