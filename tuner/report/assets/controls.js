/* Keys, buttons and touches: they push the cart, pause, restart, and choose the policy. */
function run(running) {
  game.running = running;
  game.announced = false;
  release();
  say(running ? "Running." : "Paused.");
  refresh();
}

function restart() {
  game.announced = false;
  reset();
  refresh();
}

function press(source, direction) {
  if (!game.running || game.over) return;
  game.held.set(source, direction);
  game.tapped = direction;
  game.tap = TAP_STEPS;
  game.announced = false;
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

/* Keys count in this section, and where nothing has the focus. */
function ours(target) {
  if (target === document.body || target === document.documentElement) return game.inView;
  return section.contains(target) && target.type !== "radio"; // arrows choose among these
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
    if (event.detail > 0) return; // a pointer, which has pushed already
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

// For tests, which then need not wait.
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
