/* The game: episodes in Gymnasium's pace, the visitor's hands, and what the page tells of both. */
const section = document.getElementById("play");
const find = (name) => section.querySelector(`.play-${name}`);
const findAll = (selector) => [...section.querySelectorAll(selector)];
const canvas = find("canvas");
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

const PUSH = 8; // newtons: less than the policy's 10, so that it can hold against a short one
const TAP_STEPS = 8; // a push lasts at least as long, or a tap would not be seen
const REST_STEPS = 75; // between an episode's end and the next one's start
const TIPS = 28;
const TELL_EVERY = 8; // steps, for the same reason as smoothing
const SMOOTHING = 0.2; // bars that jump 50 times a second could not be read

const game = {
  policy: policy.snapshots.length - 1,
  greedy: true,
  running: !calm.matches,
  inView: true,
  state: [0, 0, 0, 0],
  before: [0, 0, 0, 0], // one step ago; what is drawn lies between the two
  odds: [0.5, 0.5],
  shown: 0.5, // the odds of going right, smoothed
  effort: 0, // what was done, smoothed
  steps: 0,
  over: null, // "fell" or "stayed up"
  rest: 0,
  last: null, // steps of the episode before
  tips: [],
  held: new Map(), // what pushes, and in which direction
  tap: 0, // steps that a tap goes on for
  tapped: 0, // its direction
  told: false, // whether the end of an episode was announced since the visitor last did something
};

function odds() {
  return cartPole.probabilities(policy.snapshots[game.policy].layers, game.state);
}

function reset(state = cartPole.start(Math.random)) {
  game.state = game.before = [...state];
  game.odds = odds();
  Object.assign(game, { steps: 0, over: null, rest: 0, tips: [], effort: 0, shown: game.odds[1] });
}

function push() {
  const sum = [...game.held.values()].reduce((a, b) => a + b, 0);
  return Math.sign(sum) || (game.tap > 0 ? game.tapped : 0);
}

/* One step of the environment, 0.02 s; nothing once the episode is over. */
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
  game.tips = [...game.tips, [game.state[0], game.state[2]]].slice(-TIPS);
  if (cartPole.hasFallen(game.state)) end("fell");
  else if (game.steps === policy.max_episode_steps) end("stayed up");
}

function end(how) {
  Object.assign(game, { over: how, rest: REST_STEPS, last: game.steps, effort: 0, tap: 0 });
  if (!game.told) say(`The pole ${how} ${how === "fell" ? "after" : "for all"} ${game.steps} steps.`);
  game.told = true;
}

/* What 0.02 s bring while the game runs. */
function tick() {
  if (!game.over) return step();
  game.rest -= 1;
  game.before = game.state;
  if (game.rest <= 0) reset();
}

function say(text) {
  find("status").textContent = text;
}

// What is seen

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

let told = 0; // steps when the percentages were written last

function show(share = 1) {
  const between = game.state.map((now, i) => game.before[i] + share * (now - game.before[i]));
  drawing.draw(section, canvas, {
    state: between,
    tips: calm.matches ? [] : game.tips,
    effort: game.effort,
    push: game.over ? 0 : push(),
  });
  write(find("step"), String(game.steps));
  write(find("return"), String(game.steps)); // a reward of 1 a step
  write(find("last"), game.last === null ? "–" : String(game.last));
  write(find("run"), game.running ? "Pause" : "Play");
  const right = game.running ? game.shown : game.odds[1];
  findAll(".play-odd").forEach((odd, action) => {
    const share = action === 1 ? right : 1 - right;
    odd.querySelector(".play-bar > span").style.transform = `scaleX(${share.toFixed(3)})`;
    if (!game.running || game.steps < told || game.steps >= told + TELL_EVERY) {
      write(odd.querySelector(".play-percent"), `${Math.round(100 * share)}%`);
    }
  });
  if (game.steps < told || game.steps >= told + TELL_EVERY) told = game.steps;
  const verdict = find("verdict");
  verdict.hidden = game.running && !game.over;
  if (verdict.hidden) return;
  const kind = { fell: "bad", "stayed up": "good" }[game.over];
  write(verdict, game.over === "fell" ? `fell after ${game.steps} steps` : (game.over ? `stayed up, ${game.steps} steps` : "paused"));
  verdict.dataset.kind = kind ?? "";
}

// Time

let frame = 0, due = 0, seen = 0;

function onFrame(now) {
  frame = 0;
  if (!game.running || !game.inView) return show();
  // After a pause of the browser's own the game goes on, and does not catch up.
  due += Math.min((now - seen) / 1000, 0.1);
  seen = now;
  for (; due >= cartPole.SECONDS_PER_STEP; due -= cartPole.SECONDS_PER_STEP) tick();
  show(due / cartPole.SECONDS_PER_STEP);
  frame = requestAnimationFrame(onFrame);
}

function refresh() {
  if (frame) return;
  seen = performance.now();
  frame = requestAnimationFrame(onFrame);
}

function run(running) {
  game.running = running;
  game.told = false;
  release();
  say(running ? "Running." : "Paused.");
  refresh();
}

function restart() {
  game.told = false;
  reset();
  refresh();
}

// Hands

function press(source, direction) {
  if (!game.running || game.over) return;
  game.held.set(source, direction);
  game.tapped = direction;
  game.tap = TAP_STEPS;
  game.told = false;
  mark();
}

function release(source) {
  if (source === undefined) game.held.clear();
  else game.held.delete(source);
  mark();
}

function mark() {
  const held = [...game.held.values()];
  for (const button of findAll(".play-push")) {
    button.classList.toggle("pushing", held.includes(Number(button.dataset.push)));
  }
}

/* A key is ours on the picture and the buttons, and where nothing has the focus. */
function ours(target) {
  if (target === document.body || target === document.documentElement) return game.inView;
  return section.contains(target) && target.type !== "radio"; // which has arrows of its own
}

const ARROWS = { ArrowLeft: -1, ArrowRight: 1 };

window.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || !ours(event.target)) return;
  if (event.key in ARROWS) {
    if (!event.repeat) press(event.key, ARROWS[event.key]);
    event.preventDefault();
  } else if (event.target === canvas && !event.repeat) {
    if (event.key === " ") run(!game.running);
    else if (event.key === "r" || event.key === "R") restart();
    else return;
    event.preventDefault();
  }
});
window.addEventListener("keyup", (event) => release(event.key));
window.addEventListener("blur", () => release());
document.addEventListener("visibilitychange", () => (document.hidden ? release() : refresh()));

function pushWhere(element, direction) {
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    press(event.pointerId, direction(event));
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    element.addEventListener(name, (event) => release(event.pointerId));
  }
  element.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch
}

pushWhere(canvas, (event) => (event.offsetX < canvas.clientWidth / 2 ? -1 : 1));
for (const button of findAll(".play-push")) {
  const direction = Number(button.dataset.push);
  pushWhere(button, () => direction);
  button.addEventListener("click", (event) => {
    if (event.detail > 0) return; // the pointer's own, which has pushed by now
    press(button, direction);
    release(button);
  });
}
find("run").addEventListener("click", () => run(!game.running));
find("reset").addEventListener("click", restart);
for (const radio of findAll("input")) {
  radio.addEventListener("change", () => {
    if (radio.name === "play-mode") game.greedy = radio.value === "greedy";
    else game.policy = Number(radio.value);
    restart();
  });
}

new ResizeObserver(() => refresh()).observe(canvas);
new IntersectionObserver(([entry]) => {
  game.inView = entry.isIntersecting;
  if (game.inView) refresh();
  else release();
}).observe(canvas);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);

reset();
refresh();

// For tests, which need not wait for time to pass.
window.playIt = {
  get state() {
    const { state, steps, over, running, greedy, odds } = game;
    const { label } = policy.snapshots[game.policy];
    return { state: [...state], steps, over, running, greedy, odds: [...odds], label, push: push() };
  },
  step(count = 1) {
    for (let i = 0; i < count; i += 1) step();
    show();
    return window.playIt.state;
  },
  reset(state) {
    reset(state);
    show();
  },
};
