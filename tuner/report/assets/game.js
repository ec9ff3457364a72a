/* The game: episodes of CartPole, played by the policy and pushed by the reader. */
const section = document.getElementById("play");
const find = (name) => section.querySelector(`.play-${name}`);
const findAll = (selector) => [...section.querySelectorAll(selector)];
const canvas = find("canvas");
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

const PUSH = 8; // newtons: less than the policy's 10, so that it can recover from a short push
const TAP_STEPS = 8; // the shortest push, so that a tap can be seen
const REST_STEPS = 75; // between the end of an episode and the next
const SMOOTHING = 0.2; // of what is shown: bars that jump 50 times a second cannot be read

const game = {
  policy: policy.snapshots.length - 1,
  greedy: true,
  running: !calm.matches,
  inView: true,
  state: [0, 0, 0, 0],
  before: [0, 0, 0, 0], // one step ago; frames are drawn between the two
  odds: [0.5, 0.5],
  shown: 0.5, // the probability of going right, smoothed
  effort: 0, // the actions, smoothed
  steps: 0,
  over: null, // "fell" or "stayed up"
  rest: 0,
  last: null, // steps of the previous episode
  held: new Map(), // the key, pointer or button that pushes -> its direction
  tap: 0, // steps left of a tap
  tapped: 0, // its direction
  announced: false, // whether an episode's end was read out since the reader last did something
};

function odds() {
  return policyProbabilities(policy.snapshots[game.policy], game.state);
}

function reset(state = cartPole.start(Math.random)) {
  game.state = game.before = [...state];
  game.odds = odds();
  Object.assign(game, { steps: 0, over: null, rest: 0, effort: 0, shown: game.odds[1] });
}

function push() {
  const sum = [...game.held.values()].reduce((a, b) => a + b, 0);
  return Math.sign(sum) || (game.tap > 0 ? game.tapped : 0);
}

/* One step of the environment, 0.02 s, unless the episode is over. */
function step() {
  if (game.over) return;
  const right = game.greedy ? game.odds[1] > game.odds[0] : Math.random() < game.odds[1];
  game.before = game.state;
  game.state = cartPole.step(game.state, right ? 1 : 0, PUSH * push());
  game.odds = odds();
  game.steps += 1;
  game.tap = Math.max(0, game.tap - 1);
  game.effort += SMOOTHING * ((right ? 1 : -1) - game.effort);
  game.shown += SMOOTHING * (game.odds[1] - game.shown);
  if (cartPole.hasFallen(game.state)) end("fell");
  else if (game.steps === policy.max_episode_steps) end("stayed up");
}

function end(how) {
  Object.assign(game, { over: how, rest: REST_STEPS, last: game.steps, effort: 0, tap: 0 });
  if (!game.announced) say(`The pole ${how} ${how === "fell" ? "after" : "for all"} ${game.steps} steps.`);
  game.announced = true;
}

/* Advances a running game by 0.02 s. */
function tick() {
  if (!game.over) return step();
  game.rest -= 1;
  game.before = game.state;
  if (game.rest <= 0) reset();
}

