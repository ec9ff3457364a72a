"""Observations of any space as the networks take them: float32 vectors, or images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, iterate
from numpy.typing import NDArray

SMALLEST_IMAGE = 3  # height and width; what is smaller is a vector
SMALLEST_GREY_IMAGE = 20  # a matrix of bytes this large is an image without a channels axis
EXACT_INTEGERS = 2**24  # float32 counts no further in steps of 1


class Encoder:
    """Encodes observations of one space; `shape` and `dtype` are those of an encoded one.

    Discrete observations become one-hot. Dict, Tuple, MultiDiscrete and MultiBinary are flattened
    as Gymnasium flattens them. An image is height x width x channels, wherever its channels stood.
    Arrays of any other rank are flattened. Stacked frames are further channels, or features.
    """

    def __init__(self, space: spaces.Space[Any], frames: int = 1) -> None:
        """`space` is that of one frame; `frames` of them are an observation.

        Raises:
            ValueError: a part of `space`, which it names, has no fixed size.
        """
        self.space, self.frames = space, frames
        self.pixels = False
        self.scaled = False
        self._axes: tuple[int, ...] | None = None  # of an image: height, width, then channels
        if isinstance(space, spaces.Discrete):
            self.shape: tuple[int, ...] = (int(space.n),)
        elif isinstance(space, spaces.Box):
            self._describe_box(space)
        else:
            if not _is_flattenable(space):
                raise ValueError(f"{_unflattenable(space)} has no fixed size")
            self.shape = (spaces.flatdim(space),)
        self.dtype: Any = np.uint8 if self.pixels else np.float32
        self._frame_shape = self.shape
        self._stacked = batch_space(space, frames)
        self.shape = (*self.shape[:-1], self.shape[-1] * frames)

    def encode(self, observations: Sequence[Any]) -> NDArray[Any]:
        """Encodes a batch. Raises ValueError where one of them is not of the space's shape."""
        if self.frames == 1:
            return self._encode_frames(observations)
        frames = [frame for stack in observations for frame in iterate(self._stacked, stack)]
        encoded = self._encode_frames(frames)
        encoded = encoded.reshape(-1, self.frames, *self._frame_shape)
        return np.moveaxis(encoded, 1, -2).reshape(-1, *self.shape)

    def _encode_frames(self, observations: Sequence[Any]) -> NDArray[Any]:
        space = self.space
        if isinstance(space, spaces.Discrete):
            index = np.asarray(observations) - space.start
            if index.ndim != 1 or index.min() < 0 or index.max() >= space.n:
                raise ValueError(f"observations are not of {space}")
            return np.eye(self._frame_shape[0], dtype=np.float32)[index]
        if not isinstance(space, spaces.Box):
            flat = [spaces.flatten(space, observation) for observation in observations]
            return np.asarray(flat, np.float32).reshape(-1, *self._frame_shape)
        array = np.asarray(observations)
        if array.shape[1:] != space.shape:
            raise ValueError(f"observations are not of shape {space.shape}")
        if self.scaled:
            low, high = space.low.astype(np.float64), space.high.astype(np.float64)
            array = (array - low) / np.maximum(high - low, 1)
        if self._axes is not None:
            array = array.transpose(0, *(axis + 1 for axis in self._axes))
        if array.dtype != self.dtype:
            with np.errstate(over="ignore"):  # the environment pool checks for infinite numbers
                array = array.astype(self.dtype)
        return array.reshape(-1, *self._frame_shape)

    def _describe_box(self, space: spaces.Box) -> None:
        shape = space.shape
        axes = _image_axes(shape, space.dtype == np.uint8)
        if axes is not None and min(shape[axes[0]], shape[axes[1]]) >= SMALLEST_IMAGE:
            height, width, *channels = (shape[axis] for axis in axes)
            self.shape = (height, width, math.prod(channels))
            self._axes = None if axes == (0, 1, 2) else axes
            self.pixels = space.dtype == np.uint8
        else:
            self.shape = (math.prod(shape),)
        if np.issubdtype(space.dtype, np.integer):
            limits = np.iinfo(str(space.dtype))  # as bounds they mean no bounds
            low, high = int(space.low.min(initial=0)), int(space.high.max(initial=0))
            bounded = low > limits.min or limits.min == 0
            self.scaled = bounded and high < limits.max and max(-low, high) > EXACT_INTEGERS

    @property
    def warning(self) -> str | None:
        """A warning if the encoding loses precision; None otherwise."""
        if not isinstance(self.space, spaces.Box) or not np.issubdtype(
            self.space.dtype, np.integer
        ):
            return None
        if self.scaled:
            return (
                f"has integers up to {self.space.high.max()} in its observations, where float32 is"
                f" exact up to {EXACT_INTEGERS:,}: they are scaled to [0, 1] by their bounds."
            )
        if np.iinfo(str(self.space.dtype)).max > EXACT_INTEGERS < self.space.high.max(initial=0):
            return (
                f"has {self.space.dtype} observations without bounds: numbers beyond"
                f" {EXACT_INTEGERS:,} are rounded to float32."
            )
        return None


def _image_axes(shape: tuple[int, ...], of_bytes: bool) -> tuple[int, ...] | None:
    """The axes of height, width and channels, in this order; None if it is not an image."""
    if len(shape) == 2 and of_bytes and min(shape) >= SMALLEST_GREY_IMAGE:
        return (0, 1)
    if len(shape) == 3:
        return (1, 2, 0) if shape[0] < min(shape[1:]) else (0, 1, 2)
    if len(shape) == 4:  # frames that a wrapper stacked
        height, width, channels = (axis + 1 for axis in _image_axes(shape[1:], of_bytes) or ())
        return (height, width, 0, channels)
    return None


def _is_flattenable(space: spaces.Space[Any]) -> bool:
    try:
        return bool(space.is_np_flattenable)
    except NotImplementedError:  # a space of a package's own
        return False


def _unflattenable(space: spaces.Space[Any], name: str = "") -> str:
    """The part of a space that Gymnasium cannot flatten, by its key."""
    parts: dict[Any, spaces.Space[Any]] = {}
    if isinstance(space, spaces.Dict):
        parts = dict(space.spaces)
    elif isinstance(space, spaces.Tuple):
        parts = dict(enumerate(space.spaces))
    for key, part in parts.items():
        if not _is_flattenable(part):
            return _unflattenable(part, f"{name}[{key!r}]")
    return f"{name} {space}".strip()
