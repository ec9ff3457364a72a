"""A policy of images keeps its convolutions and its bytes in every form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.policy_runtimes import Runtime
from tests.trainer.exports.test_parity import FORMS, TOLERANCE, export
from trainer.agents.networks import Architecture
from trainer.agents.population import Agents
from trainer.agents.random_streams import Streams
from trainer.contract.settings import Hyperparameters
from trainer.outputs.models import save_models
from trainer.storage.job_dir import JobDir

# Of Keras, when it reads variables.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = (44, 36, 3)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Runtime]:
    folder = tmp_path_factory.mktemp("images")
    architecture = Architecture(SHAPE, 5, 16, critic=True)
    agents = Agents("a2c", architecture, [Hyperparameters()], Streams([(3, 0)]))
    weights = agents.state.weights * 5  # fresh policies answer all images nearly alike
    agents.state = agents.state._replace(averaged=weights)
    save_models(JobDir(folder / "job"), agents, 0, pixels=True)
    return export(Path(folder / "job"), folder / "exports").forms


@pytest.mark.parametrize("form", FORMS)
def test_images_give_the_same_probabilities(forms: dict[str, Runtime], form: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, *SHAPE)).astype(np.uint8)
    images[0], images[1] = 0, 255
    expected, expected_actions = forms["keras"](images)
    probabilities, actions = forms[form](images)
    assert len(set(expected_actions.tolist())) > 1
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(actions, expected_actions)
