"""The invisible watermark as an operator's choice. A made up package stands in for the real one, which the tests do without."""

import sys
from types import ModuleType

import pytest
from PIL import Image

from bot.__main__ import main
from bot.domain.batch_curve import BatchCurve
from bot.errors import ModelError
from bot.inference.engine_settings import EngineSettings
from bot.inference.images.watermark import Watermark
from bot.resources import engine_settings
from bot.settings import Settings
from tests.inference.conftest import draw, make_generator, make_request, pixels
from tests.tiny_sdxl import TinyModels


class Encoder:
    """Makes the first channel that it is given, blue, one level brighter."""

    def set_watermark(self, kind, bits):
        assert kind == "bits"
        assert len(bits) == 48

    def encode(self, blue_first, method):
        assert method == "dwtDct"
        marked = blue_first.copy()
        marked[:, :, 0] ^= 1
        return marked


@pytest.fixture
def package(monkeypatch):
    module = ModuleType("imwatermark")
    module.WatermarkEncoder = Encoder
    monkeypatch.setitem(sys.modules, "imwatermark", module)


@pytest.mark.usefixtures("package")
def test_the_package_gets_blue_first_and_the_picture_comes_back_with_red_first():
    image = Image.new("RGB", (256, 256), (10, 20, 30))

    assert Watermark().over(image).getpixel((0, 0)) == (10, 20, 31)


@pytest.mark.usefixtures("package")
def test_a_picture_that_is_too_small_stays_as_it_is():
    image = Image.new("RGB", (255, 256))

    assert Watermark().over(image) is image


@pytest.mark.usefixtures("package")
async def test_every_picture_is_marked_where_the_operator_wants_it_and_else_none(models: TinyModels):
    plain, marked = [], []
    for watermark, drawn in ((False, plain), (True, marked)):
        settings = EngineSettings(batch=1, curve=BatchCurve(((1, 1.0),)), watermark=watermark)
        generator = make_generator(models, engine=settings)
        result = await draw(generator, make_request(width=256, height=256, num_inference_steps=2, num_images=2))
        drawn += [pixels(image.data) for image in result.images]
        await generator.close()

    for one, other in zip(plain, marked, strict=True):
        assert (one[..., :2] == other[..., :2]).all()
        assert (one[..., 2].astype(int) ^ other[..., 2].astype(int) == 1).all()


def test_a_package_that_cannot_be_imported_is_one_sentence_with_a_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "imwatermark", None)

    with pytest.raises(ModelError, match=r"WATERMARK=true.*cannot be imported.*Install it with.*or take WATERMARK out"):
        Watermark()


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("fresh")
def test_a_missing_package_is_one_sentence_at_the_start(monkeypatch, capsys):
    monkeypatch.setenv("WATERMARK", "true")
    monkeypatch.setattr("bot.settings.find_spec", lambda name: None)

    assert main(["draw", "1girl", "--out", "a.png"]) == 78
    told = capsys.readouterr().err
    assert "WATERMARK=true needs a package that is not installed. Install it with" in told
    assert "Traceback" not in told


@pytest.mark.usefixtures("fresh")
def test_the_watermark_is_off_unless_it_is_asked_for(monkeypatch):
    assert not engine_settings(Settings.load(need_token=False)).watermark

    monkeypatch.setenv("WATERMARK", "true")
    monkeypatch.setattr("bot.settings.find_spec", lambda name: name)

    assert engine_settings(Settings.load(need_token=False)).watermark
