"""What each export holds, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.support.policy_runtimes import C_FLAGS
from tests.trainer.exports.test_parity import card
from trainer.contract.settings import EXPORT_FORMATS, export_formats
from trainer.exports import formats, model_card
from trainer.exports.formats import ExportError
from trainer.exports.policy_network import Dense, PolicyNetwork

PROGRAM = """\
#include "policy.h"
#include <stdio.h>
int main(void) {
    const float observation[POLICY_OBSERVATION_SIZE] = {1.0f, -2.0f};
    float probabilities[POLICY_ACTIONS];
    policy_probabilities(observation, probabilities);
    printf("%d %.4f", policy_act(observation), probabilities[1]);
    return 0;
}
"""


@pytest.fixture
def network() -> PolicyNetwork:
    """Two inputs, one hidden neuron, two actions: tanh(1 - 2 * -0.5) = tanh(2) = 0.9640."""
    hidden = Dense(np.array([[1.0], [-0.5]], np.float32), np.zeros(1, np.float32))
    output = Dense(np.array([[0.0, 1.0]], np.float32), np.array([0.0, 0.5], np.float32))
    return PolicyNetwork((2,), False, (), (hidden, output))


def write(network: PolicyNetwork, folder: Path, names: str) -> list[str]:
    return formats.write(network, card(network), export_formats(names), folder)


@pytest.mark.parametrize("compiler", [("gcc", *C_FLAGS), ("g++", "-x", "c++", *C_FLAGS[1:])])
def test_the_header_compiles_without_a_warning(
    network: PolicyNetwork, tmp_path: Path, compiler: tuple[str, ...]
) -> None:
    write(network, tmp_path, "c")
    (tmp_path / "main.c").write_text(PROGRAM)
    subprocess.run(
        [*compiler, "main.c", "-nodefaultlibs", "-lc", "-o", "main"], cwd=tmp_path, check=True
    )
    ended = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
    # softmax of (0, 0.9640 + 0.5): 1 / (1 + exp(-1.4640)) = 0.8121
    assert ended.stdout == "1 0.8121"


def test_the_onnx_graph_says_what_it_is(network: PolicyNetwork, tmp_path: Path) -> None:
    write(network, tmp_path, "onnx")
    model = onnx.load(tmp_path / "policy.onnx")
    facts = {each.key: each.value for each in model.metadata_props}
    assert facts["environment"] == "CartPole-v1"
    assert facts["seed"] == "0"
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_the_reader_in_numpy_is_short(network: PolicyNetwork, tmp_path: Path) -> None:
    assert write(network, tmp_path, "numpy") == ["policy.py", "policy.json", "MODEL_CARD.md"]
    assert len((tmp_path / "policy.py").read_text().splitlines()) <= 60


def test_weights_survive_as_decimals(network: PolicyNetwork, tmp_path: Path) -> None:
    kernel = np.array([[0.1], [1 / 3]], np.float32)
    changed = network._replace(layers=(Dense(kernel, network.layers[0].bias), network.layers[1]))
    write(changed, tmp_path, "numpy")
    found = json.loads((tmp_path / "policy.json").read_bytes())["layers"][0]["kernel"]
    np.testing.assert_array_equal(np.array(found, np.float32), kernel)


def test_javascript_refuses_an_observation_of_another_size(
    network: PolicyNetwork, tmp_path: Path
) -> None:
    write(network, tmp_path, "js")
    program = f'import {{ act }} from "{tmp_path}/policy.js"; act([1, 2, 3]);'
    node = [shutil.which("node") or "node", "--input-type=module", "-e", program]
    ended = subprocess.run(node, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "RangeError: 3 numbers, but 2 are needed" in ended.stderr


@pytest.mark.parametrize("name", ["js", "numpy"])
def test_what_a_format_cannot_hold_is_refused_by_name(
    network: PolicyNetwork, tmp_path: Path, name: str
) -> None:
    broken = network.layers[1]._replace(bias=np.array([np.nan, 0], np.float32))
    with pytest.raises(ExportError, match=f"cannot be exported as {name}: .* not finite"):
        write(network._replace(layers=(network.layers[0], broken)), tmp_path, name)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match=r"onxx is not an export format\. The formats are onnx,"):
        export_formats("c,onxx")


def test_every_format_that_a_flag_may_name_is_there() -> None:
    assert tuple(formats.FORMATS) == EXPORT_FORMATS


def test_a_comment_cannot_be_ended_from_outside(network: PolicyNetwork, tmp_path: Path) -> None:
    hostile = card(network)._replace(environment="*/ int x; /*")
    formats.write(network, hostile, ("c",), tmp_path)
    assert "*/ int x" not in (tmp_path / "policy.h").read_text()


def test_the_card_tells_score_interval_command_and_loading(network: PolicyNetwork) -> None:
    scored = card(network)._replace(
        mean_score=178.0,
        interquartile_mean=147.7,
        interval=(132.0, 164.8),
        interval_over="episodes",
    )
    text = model_card.markdown(scored, ("c",))
    assert "Mean return 178: the run's final policies" in text
    assert "Interquartile mean 147.7, 95% interval over episodes [132, 164.8]." in text
    assert "    python -m trainer.task" in text
    assert '#include "policy.h"' in text
    assert "onnxruntime" not in text
