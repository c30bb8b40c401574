"""Preflight checks of versions, device, memory and disks; the state of the machine is scripted here."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ctai.config import RunConfig
from ctai.pipeline.preflight.checks import Check, Disk, Machine, preflight
from tests.support.headers import large_model

pytestmark = pytest.mark.unit
GIB = 1 << 30
MOUNTS = {Path("/"): "overlay", Path("/workspace"): "ext4", Path("/dev/shm"): "tmpfs"}
NO_MOUNTS: dict[Path, str] = {}
CONFIG = RunConfig.load("embedded")


def check(
    name: str, config: RunConfig = CONFIG, *, free: int | None = 64 * GIB, mounts=NO_MOUNTS, root="run", disk=None
) -> Check:
    machine = Machine(lambda device: free, lambda: mounts, disk or roomy)
    (result,) = [check for check in preflight(config, Path(root), machine) if check.name == name]
    return result


def roomy(path: Path) -> Disk:
    return Disk(1, 1 << 50)


def on_cuda(**model) -> RunConfig:
    return CONFIG.model_copy(update={"model": CONFIG.model.model_copy(update={"device": "cuda", **model})})


def pod(folder: Path, *settings: str) -> RunConfig:
    return RunConfig.load("pod", [f"model.name='{folder}'", *settings])


# ---------------------------------------------------------------------------------------------- versions and device


def test_versions_are_compared_with_what_the_package_asks_for(monkeypatch):
    assert check("versions").ok
    monkeypatch.setattr("ctai.pipeline.preflight.checks.package_requirements", lambda: ["torch>=99"])
    found = check("versions")
    assert not found.ok
    assert found.message.endswith(". Run pip install 'torch>=99'")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine where nothing works on CUDA")
@pytest.mark.parametrize(
    ("bfloat16", "problem"), [(False, "no support of bfloat16"), (True, "bitsandbytes does not work here (")]
)
def test_a_gpu_is_tried_before_it_is_paid_for(bfloat16, problem, monkeypatch):
    card = SimpleNamespace(name="Some GPU", total_memory=48 * GIB)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda index: card)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: bfloat16)
    found = check("device", on_cuda())
    assert not found.ok
    assert found.message.startswith(f"Some GPU, 48 GiB: {problem}")


# ---------------------------------------------------------------------------------------------------------- test set


def test_a_test_set_that_cannot_meet_its_thresholds_is_refused_before_a_model_is_loaded():
    assert check("test set").ok
    found = check("test set", RunConfig.load("embedded", ["heldout.count=10"]))
    assert not found.ok
    assert found.message.startswith("heldout_effective_items is 9.71, required >= 190 (10 items of 8 families")
    assert "raise heldout.count" in found.message


# ------------------------------------------------------------------------------------------------------------ memory


def test_a_model_that_does_not_fit_is_refused_with_numbers_and_remedy(tmp_path):
    found = check("memory", pod(large_model(tmp_path / "large")), free=16 * GIB)
    assert not found.ok
    assert found.message.startswith("16.0 GiB free on cuda, about 26.9 GiB needed (weights 17.9,")
    assert found.message.endswith("take a smaller model or a larger device")
    found = check("memory", pod(tmp_path / "large", "model.quantization='none'"), free=40 * GIB)
    assert found.message.endswith("or set model.quantization='nf4'")


def test_training_that_does_not_fit_is_refused_with_its_settings(tmp_path):
    config = pod(large_model(tmp_path / "large"), "training.device_batch_size=16", "training.max_tokens=4096")
    found = check("memory", config, free=46 * GIB)
    assert not found.ok
    assert "lower training.device_batch_size or training.max_tokens" in found.message


def test_a_batch_that_does_not_fit_is_said_and_no_reason_to_stop(tmp_path):
    found = check("memory", pod(large_model(tmp_path / "large")), free=26 * GIB)
    assert found.ok
    assert "Batches that do not fit are halved" in found.message
    assert "halved" not in check("memory", pod(tmp_path / "large"), free=80 * GIB).message


def test_the_embedded_model_fits_and_a_machine_without_memory_is_refused():
    assert check("memory").ok
    assert check("memory", free=None).message.endswith("free memory not known")
    found = check("memory", free=GIB // 2)
    assert not found.ok
    assert found.message.startswith("0.5 GiB free on cpu")


def test_an_estimate_that_cannot_be_made_says_so(tmp_path):
    folder = large_model(tmp_path / "large")
    (folder / "config.json").write_text("{}")
    found = check("memory", pod(folder), free=1)
    assert found.ok
    assert found.message == "not estimated from the model's files (KeyError('num_attention_heads'))"
    (folder / "model.safetensors").write_bytes(b"\xff" * 100)
    assert "is no safetensors file" in check("memory", pod(folder), free=1).message


# ------------------------------------------------------------------------------------------------------------- disks


@pytest.mark.parametrize("folder", ["/proc/ctai/run", "/proc/self/status/run", f"/tmp/{'long' * 100}/run"])
def test_a_run_directory_that_cannot_be_made_is_refused_whoever_asks(folder):
    found = check("run directory", root=folder)
    assert not found.ok
    assert found.message.startswith(f"{folder} cannot be written (choose another with --run-dir): ")


def test_trying_to_make_the_run_directory_leaves_nothing_behind(tmp_path):
    assert check("run directory", root=tmp_path / "a" / "run").ok
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    assert check("run directory", root=tmp_path / "run").ok
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


SHARDS = {f"model-0000{i}-of-00003.safetensors": 20 * GIB for i in (1, 2, 3)}
ELSEWHERE = {"pytorch_model.bin": 60 * GIB, "original/consolidated.safetensors": 60 * GIB}


@pytest.fixture
def on_hub(monkeypatch, tmp_path) -> Path:
    """A model of 60 GiB in three parts on a hub that is not asked twice; returns its empty folder in the cache."""
    files = [SimpleNamespace(rfilename=name, size=size) for name, size in {**SHARDS, **ELSEWHERE}.items()]
    info = SimpleNamespace(sha="0" * 40, siblings=[*files, SimpleNamespace(rfilename="config.json", size=600)])
    monkeypatch.setattr("ctai.model.hub.HfApi", lambda: SimpleNamespace(model_info=lambda *_, **__: info))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--some--model"
    folder = repository / "snapshots" / info.sha
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(info.sha)
    return folder


def put(folder: Path, names, *, index: bool = True) -> None:
    """Files of a download into the cache, as large as they are, and nothing on the disk."""
    for name in names:
        with (folder / name).open("wb") as file:
            file.truncate(20 * GIB)
    if index:
        weight_map = {f"layer.{i}": name for i, name in enumerate(SHARDS)}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


HUB = RunConfig.load("pod", ["model.name='some/model'"])


def test_weights_that_are_still_to_come_need_room(on_hub):
    found = check("disk", HUB, disk=lambda path: Disk(1, 99 * GIB))
    assert (found.ok, found.message) == (
        False,
        "99.0 GiB free, 100 needed. Free some, choose another --run-dir, or lower limits.minimum_free_gb",
    )
    assert check("disk", HUB, disk=lambda path: Disk(1, 101 * GIB)).ok
    assert check("model", HUB).message == "some/model, on the hub; gate contamination downloads 64.4 GB of 64.4"


def test_weights_that_are_there_need_no_room(on_hub):
    put(on_hub, SHARDS)
    assert check("disk", HUB, disk=lambda path: Disk(1, 41 * GIB)).message == "41.0 GiB free, 40 needed"
    assert not check("disk", HUB, disk=lambda path: Disk(1, 39 * GIB)).ok
    assert check("model", HUB).message == f"some/model, on this disk: {on_hub}"


@pytest.mark.parametrize("index", [True, False])
def test_of_a_download_that_was_interrupted_the_rest_needs_room(on_hub, index):
    put(on_hub, list(SHARDS)[:2], index=index)
    assert check("disk", HUB, disk=lambda path: Disk(1, 61 * GIB)).message == "61.0 GiB free, 60 needed"
    assert not check("disk", HUB, disk=lambda path: Disk(1, 59 * GIB)).ok
    assert check("model", HUB).message == "some/model, on the hub; gate contamination downloads 21.5 GB of 64.4"
    assert "not on this disk yet" in check("memory", HUB).message


@pytest.mark.parametrize("text", ["[1]", '{"weight_map": ["a"]}', "{nope"])
def test_a_damaged_index_is_no_download_that_is_there(on_hub, text):
    put(on_hub, SHARDS)
    (on_hub / "model.safetensors.index.json").write_text(text)
    assert "on the hub" in check("model", HUB).message


def test_a_cache_on_another_disk_needs_room_for_the_download(on_hub, tmp_path):
    def small_cache(path: Path) -> Disk:
        return Disk(2, 50 * GIB) if path == tmp_path / "hub" else Disk(1, 45 * GIB)

    found = check("download", HUB, disk=small_cache)
    assert (found.ok, found.message) == (
        False,
        f"50.0 GiB free, 60 needed in the hub's cache {tmp_path / 'hub'}. "
        "Free some, or export HF_HOME=FOLDER on a larger disk",
    )
    assert check("disk", HUB, disk=small_cache).message == "45.0 GiB free, 40 needed"
    put(on_hub, list(SHARDS)[:1])
    assert check("download", HUB, disk=small_cache).ok


def test_a_run_needs_room_beside_a_model_that_is_larger_than_the_room_asked_for(on_hub):
    put(on_hub, SHARDS)
    config = RunConfig.load("embedded", ["model.name='some/model'"])
    assert check("disk", config, disk=lambda path: Disk(1, 3 * GIB)).message == "3.0 GiB free, 2 needed"
    assert not check("disk", config, disk=lambda path: Disk(1, GIB)).ok


def test_a_paid_run_belongs_on_the_disk_that_lasts():
    found = check("durable", on_cuda(), mounts=MOUNTS, root="/srv/run")
    assert not found.ok
    assert found.message == (
        "/srv/run is on / (overlay), and only /workspace outlives this machine. Give --run-dir /workspace/run"
    )
    assert check("durable", CONFIG, mounts=MOUNTS, root="/srv/run").ok


def test_memory_is_no_disk():
    mounts = {Path("/"): "overlay", Path("/data"): "ext4", Path("/dev/shm"): "tmpfs"}
    found = check("durable", on_cuda(), mounts=mounts, root="/dev/shm/run")
    assert not found.ok
    assert "is memory and is lost when the machine stops" in found.message
    assert check("durable", on_cuda(), mounts=mounts, root="/srv/run").ok
    assert check("durable", on_cuda(), mounts={}).message.startswith("not known")


@pytest.mark.parametrize(
    ("variables", "ok"),
    [({}, False), ({"HF_HOME": "/workspace/hf"}, True), ({"HF_HOME": "/srv/hf"}, False),
     ({"HF_HOME": "/workspace/hf", "HF_HUB_CACHE": "/srv"}, False)],
)  # fmt: skip
def test_weights_belong_on_it_too(monkeypatch, variables, ok):
    for name in ("HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = check("caches", root="/workspace/run")
    assert found.ok is ok
    assert ok or "export HF_HOME=/workspace/hf" in found.message
    assert check("caches", root="run").ok
