"""A policy as one ES module without dependencies, and its TypeScript types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources

from trainer.exports.policy_network import PolicyNetwork, as_json


def module(network: PolicyNetwork, info: Mapping[str, str]) -> str:
    """The text of `policy.js`. The functions that evaluate it are those of the report page."""
    functions = resources.files("trainer.contract").joinpath("policy.js").read_text("utf-8")
    return f"""\
{functions}
const network = {json.dumps(as_json(network), separators=(",", ":"))};

/* What the policy is and how it was trained. */
export const info = {json.dumps(dict(info))};

function flat(observation) {{
  const x = Array.isArray(observation) ? observation.flat(Infinity) : observation;
  if (x.length !== {network.observation_size}) {{
    throw new RangeError(`${{x.length}} numbers, but {network.observation_size} are needed`);
  }}
  return x;
}}

/* The probability of each action. */
export function probabilities(observation) {{
  return policyProbabilities(network, flat(observation));
}}

/* The likeliest action, the first of equals. */
export function act(observation) {{
  const logits = policyLogits(network, flat(observation));
  return logits.indexOf(Math.max(...logits));
}}
"""


def types(network: PolicyNetwork) -> str:
    """The text of `policy.d.ts`."""
    array = "Uint8Array | Uint8ClampedArray" if network.pixels else "Float32Array | Float64Array"
    return f"""\
/** {network.observation_size} numbers; images row by row, channels last, or nested. */
export type Observation = readonly number[] | readonly Observation[] | {array};
/** What the policy is and how it was trained. */
export const info: Readonly<Record<string, string>>;
/** The probability of each of the {network.num_actions} actions. */
export function probabilities(observation: Observation): number[];
/** The likeliest action, the first of equals. */
export function act(observation: Observation): number;
"""
