"""Reference model: loaded whatever its name, without template, and refused wherever a base is needed."""

import shutil
from pathlib import Path

import pytest

from ctai.config import ModelSettings
from ctai.errors import ContaminationError
from ctai.model.clean_model import CleanModel
from ctai.model.lazy import LazyBaseModel, LazyReferenceModel
from ctai.model.loader import CleanModelLoader
from ctai.model.reference import ReferenceModel, require_base
from ctai.records import Sampling

pytestmark = pytest.mark.unit

SAMPLING = Sampling(max_new_tokens=4)


@pytest.fixture
def instruct_folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "tiny-Instruct"))


def test_a_model_named_instruct_is_a_reference_and_no_base(instruct_folder: Path, tiny_model: CleanModel) -> None:
    loader = CleanModelLoader(str(instruct_folder))
    with pytest.raises(ContaminationError, match="cannot be used as a base model"):
        loader.load(sentinels=False)
    reference = loader.load_reference()
    assert isinstance(reference, ReferenceModel)
    assert (reference.provenance.role, reference.provenance.template_disabled) == ("reference", True)
    assert reference.engine.generate(["x"], SAMPLING) == tiny_model.engine.generate(["x"], SAMPLING)


def test_a_reference_is_refused_as_a_base(instruct_folder: Path) -> None:
    reference = CleanModelLoader(str(instruct_folder)).load_reference()
    with pytest.raises(ContaminationError, match="cannot be used as a base model"):
        require_base(reference.provenance)
    base = LazyBaseModel(ModelSettings(name=str(instruct_folder), quantization="none"))
    with pytest.raises(ContaminationError, match="loaded as a reference model"):
        base.mark_passed(reference.provenance)
    assert not base.is_passed
    assert not hasattr(reference, "module")
    assert not hasattr(reference, "with_adapter")


def test_the_base_leaves_memory_before_the_reference_is_loaded(
    instruct_folder: Path, tiny_model_folder: Path, tiny_model: CleanModel
) -> None:
    base = LazyBaseModel(ModelSettings(name=str(tiny_model_folder), quantization="none"))
    base.mark_passed(tiny_model.provenance)
    before = base.engine.generate(["x"], SAMPLING)
    reference = LazyReferenceModel(ModelSettings(name=str(instruct_folder), quantization="none"), base)
    reference.mark_known(tiny_model.provenance)
    assert reference.provenance == tiny_model.provenance  # known, so not loaded
    assert base._loaded is not None
    assert reference.engine.generate(["x"], SAMPLING) == before
    assert base._loaded is None
    reference.release()
    assert base.engine.generate(["x"], SAMPLING) == before
