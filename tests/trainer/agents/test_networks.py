from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainer.agents import networks
from trainer.agents.networks import Architecture
from trainer.agents.random_streams import Purpose, Streams

SHAPES = [(4,), (36, 40, 3), (10, 7, 4), (3, 3, 1)]


def stack(architecture: Architecture, agents: int) -> dict[str, networks.Network]:
    streams = Streams([(0, agent) for agent in range(agents)])
    generators = [streams.generator(Purpose.INITIALISATION, k, 0) for k in range(agents)]
    return architecture.unpack(tf.constant(networks.initialise(architecture, generators)))


def observations(shape: tuple[int, ...], agents: int) -> np.ndarray:
    generator = np.random.default_rng(1)
    if len(shape) == 3:
        return generator.integers(256, size=(agents, 5, *shape), dtype=np.uint8)
    return generator.normal(size=(agents, 5, *shape)).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_numpy_and_tensorflow_compute_the_same(shape: tuple[int, ...]) -> None:
    architecture = Architecture(shape, 3, 16, critic=False)
    network, x = stack(architecture, 2)["actor"], observations(shape, 2)
    arrays = tf.nest.map_structure(lambda w: w.numpy(), network)
    of_numpy = networks.forward(arrays, x, architecture.convolutions)
    of_tensorflow = networks.forward(network, tf.constant(x), architecture.convolutions)
    assert isinstance(of_numpy, np.ndarray)
    np.testing.assert_allclose(of_numpy, of_tensorflow, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_agent_computes_the_same_alone_and_in_a_stack(shape: tuple[int, ...]) -> None:
    architecture = Architecture(shape, 3, 16, critic=True)
    x = observations(shape, 4)
    alone, together = stack(architecture, 1)["critic"], stack(architecture, 4)["critic"]
    np.testing.assert_allclose(
        networks.forward(alone, tf.constant(x[:1]), architecture.convolutions),
        networks.forward(together, tf.constant(x), architecture.convolutions)[:1],
        atol=1e-6,
    )


def test_the_convolutional_front_is_keras_convolution() -> None:
    architecture = Architecture((36, 40, 3), 3, 16, critic=False)
    (kernel, bias), *_ = stack(architecture, 1)["actor"]
    x = observations((36, 40, 3), 1).astype(np.float32)
    expected = tf.nn.conv2d(x[0], tf.reshape(kernel[0], [8, 8, 3, 16]), 4, "VALID")
    patches = networks._patches(tf.constant(x), 8, 4)
    ours = patches[0] @ kernel[0] + bias[0]
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-2)


def test_kernels_are_orthogonal_with_their_gains() -> None:
    network = stack(Architecture((4,), 2, 32, critic=False), 3)["actor"]
    gains = [np.sqrt(2), np.sqrt(2), 0.01]
    for (kernel, bias), gain in zip(network, gains, strict=True):
        singular_values = np.linalg.svd(kernel, compute_uv=False)
        np.testing.assert_allclose(singular_values, gain, rtol=1e-4)
        assert not np.any(bias)


def test_the_first_policy_is_close_to_uniform() -> None:
    architecture = Architecture((4,), 2, 64, critic=False)
    logits = networks.forward(stack(architecture, 1)["actor"], observations((4,), 1), ())
    np.testing.assert_allclose(tf.nn.softmax(logits), 0.5, atol=0.02)


def test_images_too_small_for_the_convolutions_are_refused() -> None:
    with pytest.raises(ValueError, match="of 2 x 10 x 3 are too small: the least is 3 x 3"):
        stack(Architecture((2, 10, 3), 2, 8, critic=False), 1)


@pytest.mark.parametrize("shape", [(20, 20, 1), (19, 20, 1), (480, 640, 3), (3, 50, 2)])
def test_images_of_any_size_have_a_front_that_fits(shape: tuple[int, ...]) -> None:
    architecture = Architecture(shape, 2, 8, critic=False)
    network = stack(architecture, 1)["actor"]
    images = np.zeros((1, 2, *shape), np.uint8)
    assert networks.forward(network, images, architecture.convolutions).shape == (1, 2, 2)


def test_neurons_that_weigh_nothing_stay_so_under_gradients() -> None:
    """The ground on which agents of several widths may share one stack: padding with zeros."""
    architecture = Architecture((4,), 2, 8, critic=False)
    network = stack(architecture, 1)["actor"]
    mask = np.array([1.0] * 5 + [0.0] * 3, np.float32)
    (k1, b1), (k2, b2), (k3, b3) = network
    narrow = ((k1 * mask, b1), (k2 * mask * mask[:, None], b2), (k3 * mask[:, None], b3))
    with tf.GradientTape() as tape:
        tape.watch(narrow)
        logits = networks.forward(narrow, tf.constant(observations((4,), 1)), ())
        loss = tf.reduce_sum(logits**2)
    gradients = tape.gradient(loss, narrow)
    for kernel, bias in gradients[:2]:
        assert not np.any(kernel.numpy()[..., 5:])
        assert not np.any(bias.numpy()[..., 5:])
