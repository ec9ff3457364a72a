/* CartPole as Gymnasium steps it: pure functions. */
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

  return { step, hasFallen, start, SECONDS_PER_STEP, POSITION_LIMIT, ANGLE_LIMIT };
})();
