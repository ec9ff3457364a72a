/* A policy network's answer to one observation: pure functions over plain arrays. A network has
 * `convolutions` (may be missing) and dense `layers` with tanh between them; kernels are rows of
 * numbers, one row an input. `pixels`: observations are bytes. */

function policyLogits(network, observation) {
  let x = Array.from(observation, Math.fround); // as in training
  if (network.pixels) x = x.map((byte) => byte / 255);
  let shape = network.observation_shape;
  for (const convolution of network.convolutions ?? []) {
    [x, shape] = policyConvolution(convolution, x, shape);
  }
  return network.layers.reduce(
    (input, { kernel, bias }, index) =>
      bias.map((offset, out) => {
        let sum = offset;
        for (let i = 0; i < input.length; i += 1) sum += input[i] * kernel[i][out];
        return index + 1 < network.layers.length ? Math.tanh(sum) : sum;
      }),
    x,
  );
}

/* Without padding; x is [height][width][channels] in one row, and so is what comes out. */
function policyConvolution({ kernel, bias, size, stride }, x, [height, width, channels]) {
  const y = [];
  const rows = Math.floor((height - size) / stride) + 1;
  const columns = Math.floor((width - size) / stride) + 1;
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const sums = [...bias];
      for (let at = 0; at < kernel.length; at += 1) {
        const [i, rest] = [Math.floor(at / (size * channels)), at % (size * channels)];
        const start = ((row * stride + i) * width + column * stride) * channels;
        for (let f = 0; f < sums.length; f += 1) sums[f] += x[start + rest] * kernel[at][f];
      }
      for (const sum of sums) y.push(Math.tanh(sum));
    }
  }
  return [y, [rows, columns, bias.length]];
}

function policyProbabilities(network, observation) {
  const logits = policyLogits(network, observation);
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}
