"""The recipe's way back: from what ships to a training that can go on."""

from pathlib import Path

import pytest
import torch

from bot.training.arrays import to_tensor
from bot.training.loop import averaged_weights
from bot.training.mini import recipe
from bot.training.mini.autoencoder import AutoencoderShape, build_autoencoder
from bot.training.mini.dataset import Bucket, draw_bucket, open_bucket
from bot.training.mini.recipe import Options

SHIPPED = Path(__file__).parents[3] / "data" / "models" / "mini"
FEW = Bucket(width=256, height=256, count=4)


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    """Restored from what ships."""
    options = Options(state=tmp_path_factory.mktemp("state"), out=SHIPPED)
    recipe.restore(options)
    return options


def test_a_training_that_goes_on_from_what_ships_has_the_components_that_its_encoder_learnt(options: Options) -> None:
    draw_bucket(options.pictures, FEW, seed=7, processes=1)
    picture = to_tensor(open_bucket(options.pictures, FEW))
    vae = build_autoencoder(AutoencoderShape(), seed=0)
    vae.load_state_dict(averaged_weights(options.state / "autoencoder.pt"))

    with torch.no_grad():
        learnt, components = vae.encode(picture).latent_dist.mean, recipe.open_components(options).project(picture)

    assert (learnt - components).std() < 0.2 * components.std()  # 0.13; in another order, it would be over 1


def test_what_was_restored_is_exported_as_it_was_with_its_components(options: Options, tmp_path: Path) -> None:
    recipe.export(Options(state=options.state, out=tmp_path))

    for name in (recipe.COMPONENTS, "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"):
        assert (tmp_path / name).read_bytes() == (SHIPPED / name).read_bytes(), name
