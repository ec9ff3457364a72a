/* CartPole's dynamics, as in Gymnasium, and a policy's action probabilities: pure functions. */
const cartPole = (() => {
  const GRAVITY = 9.8, CART_MASS = 1.0, POLE_MASS = 0.1, HALF_POLE_LENGTH = 0.5;
  const FORCE = 10.0, SECONDS_PER_STEP = 0.02;
  const POSITION_LIMIT = 2.4, ANGLE_LIMIT = (12 * 2 * Math.PI) / 360;
  const RESET_RANGE = 0.05; // initial states are uniform in +- this
  const MASS = CART_MASS + POLE_MASS, POLE_MOMENT = POLE_MASS * HALF_POLE_LENGTH;

  /* The state 0.02 s later: m, m/s, rad, rad/s. `push` is the reader's force, in newtons. */
  function step([x, xDot, theta, thetaDot], action, push = 0) {
    const force = (action === 1 ? FORCE : -FORCE) + push;
    const cos = Math.cos(theta), sin = Math.sin(theta);
    const drive = (force + POLE_MOMENT * thetaDot * thetaDot * sin) / MASS;
    const thetaAcc =
      (GRAVITY * sin - cos * drive) /
      (HALF_POLE_LENGTH * (4.0 / 3.0 - (POLE_MASS * cos * cos) / MASS));
    const xAcc = drive - (POLE_MOMENT * thetaAcc * cos) / MASS;
    const tau = SECONDS_PER_STEP;
    return [x + tau * xDot, xDot + tau * xAcc, theta + tau * thetaDot, thetaDot + tau * thetaAcc];
  }

  /* Whether the cart left the track or the pole tilted too far. */
  function hasFallen([x, , theta]) {
    return Math.abs(x) > POSITION_LIMIT || Math.abs(theta) > ANGLE_LIMIT;
  }

  /* An initial state. */
  function start(random) {
    return Array.from({ length: 4 }, () => (2 * random() - 1) * RESET_RANGE);
  }

  /* Dense layers with tanh between them; the last gives the logits. */
  function logits(layers, observation) {
    return layers.reduce(
      (input, { kernel, bias }, index) =>
        bias.map((offset, out) => {
          let sum = offset;
          for (let i = 0; i < input.length; i += 1) sum += input[i] * kernel[i][out];
          return index + 1 < layers.length ? Math.tanh(sum) : sum;
        }),
      observation,
    );
  }

  /* The probability of each action; the policy sees float32, as in training. */
  function probabilities(layers, state) {
    const answers = logits(layers, state.map(Math.fround));
    const highest = Math.max(...answers);
    const powers = answers.map((answer) => Math.exp(answer - highest));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / sum);
  }

  return {
    step, hasFallen, start, logits, probabilities,
    SECONDS_PER_STEP, POSITION_LIMIT, ANGLE_LIMIT,
  };
})();
