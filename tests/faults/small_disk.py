"""A real disk of a few megabytes that can be filled, made read-only and forbidden, and is always unmounted again."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

BLOCK = 1 << 16


def _mount(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *words], capture_output=True, text=True, check=False)


def _unmount(path: Path) -> None:
    if subprocess.run(["umount", str(path)], capture_output=True, check=False).returncode:
        subprocess.run(["umount", "--lazy", str(path)], capture_output=True, check=True)


@contextlib.contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[Path]:
    """A tmpfs of that size at `path`; the test is skipped where this user may not mount."""
    path.mkdir(parents=True, exist_ok=True)
    try:
        refused = _mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(path)).stderr.strip()
    except FileNotFoundError:
        refused = "there is no mount"
    if refused:
        pytest.skip(f"no real small disk ({refused}); test_store.py has the same failures by fail points")
    try:
        yield path
    finally:
        _unmount(path)


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not a byte is left on the disk."""
    filler = disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            size = BLOCK
            while size:
                try:
                    file.write(bytes(size))
                except OSError:
                    size //= 2
        yield
    finally:
        filler.unlink(missing_ok=True)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing in the folder can be written, by anybody: a mount of it onto itself, read-only."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        for _ in range(100):  # fails while a file in it is open for writing
            refused = _mount("-o", "remount,bind,ro", str(folder)).stderr.strip()
            if not refused:
                break
            time.sleep(0.01)
        assert not refused, refused
        yield
    finally:
        _unmount(folder)


class FailingDisk:
    """An ext4 file system in a file, which becomes read-only by itself, as a disk with bad sectors does.

    `mount -o remount,ro` does not work for a run: it fails while files are open for writing.
    """

    def __init__(self, image: Path, path: Path, megabytes: int) -> None:
        self.image, self.path = image, path
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", str(image)], check=True)
        self.mount()

    def mount(self) -> None:
        """Mount it, writable."""
        self.path.mkdir(exist_ok=True)
        if refused := _mount("-o", "loop,errors=remount-ro", str(self.image), str(self.path)).stderr.strip():
            pytest.skip(f"no disk in a file: {refused}")

    def fail(self) -> None:
        """From now on nothing can be written, also not to open files."""
        lines = Path("/proc/mounts").read_text("utf-8").splitlines()
        (device,) = [line.split()[0] for line in lines if line.split()[1] == str(self.path)]
        Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("1", "ascii")

    def repair(self) -> None:
        """What an administrator does."""
        _unmount(self.path)
        subprocess.run(["fsck.ext4", "-p", "-f", str(self.image)], check=False, capture_output=True)
        self.mount()


@contextlib.contextmanager
def failing_disk(path: Path, megabytes: int) -> Iterator[FailingDisk]:
    """A disk that can fail, mounted at `path`; the test is skipped where this user may not mount."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None or not Path("/sys/fs/ext4").is_dir():
        pytest.skip("a disk that fails needs root and ext4")
    disk = FailingDisk(path.with_suffix(".img"), path, megabytes)
    try:
        yield disk
    finally:
        _unmount(path)


@contextlib.contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    """No names can be made or removed in the folder by its owner; root's powers must be dropped for that to count."""
    mode = folder.stat().st_mode
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(mode)
