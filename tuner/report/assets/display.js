/* Shows the game: the picture, the figures, and one frame after another. */
const FIGURES_EVERY = 8; // steps between two percentages, so that they can be read

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/* Has a screen reader read it out. */
function say(text) {
  find("status").textContent = text;
}

let written = 0; // the step of the last percentages

function show(share = 1) {
  const between = game.state.map((now, i) => game.before[i] + share * (now - game.before[i]));
  drawing.draw(section, canvas, {
    state: between,
    effort: game.effort,
    push: game.over ? 0 : push(),
  });
  write(find("step"), String(game.steps));
  write(find("return"), String(game.steps)); // a reward of 1 a step
  write(find("last"), game.last === null ? "–" : String(game.last));
  write(find("run"), game.running ? "Pause" : "Play");
  const right = game.running ? game.shown : game.odds[1];
  const due = !game.running || game.steps < written || game.steps >= written + FIGURES_EVERY;
  findAll(".play-odd").forEach((odd, action) => {
    const share = action === 1 ? right : 1 - right;
    odd.querySelector(".play-bar > span").style.transform = `scaleX(${share.toFixed(3)})`;
    if (due) write(odd.querySelector(".play-percent"), `${Math.round(100 * share)}%`);
  });
  if (due) written = game.steps;
  const verdict = find("verdict");
  verdict.hidden = game.running && !game.over;
  if (verdict.hidden) return;
  const kind = { fell: "bad", "stayed up": "good" }[game.over];
  write(verdict, game.over === "fell" ? `fell after ${game.steps} steps` : (game.over ? `stayed up, ${game.steps} steps` : "paused"));
  verdict.dataset.kind = kind ?? "";
}

let frame = 0;
let unplayed = 0; // seconds
let seen = 0; // when the last frame was drawn, in milliseconds

function onFrame(now) {
  frame = 0;
  if (!game.running || !game.inView) return show();
  // The game does not catch up after a pause of the browser.
  unplayed += Math.min((now - seen) / 1000, 0.1);
  seen = now;
  for (; unplayed >= cartPole.SECONDS_PER_STEP; unplayed -= cartPole.SECONDS_PER_STEP) tick();
  show(unplayed / cartPole.SECONDS_PER_STEP);
  frame = requestAnimationFrame(onFrame);
}

function refresh() {
  if (frame) return;
  seen = performance.now();
  frame = requestAnimationFrame(onFrame);
}
