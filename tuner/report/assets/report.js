"use strict";
// Sorts and filters trials, draws charts, copies commands. The page can be read without it.

(() => {
  const SHOWN = 25; // rows, until the reader asks for all
  const table = document.getElementById("board");
  if (!table) return;
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const buttons = heads.map((head) => head.querySelector("button"));
  const names = buttons.map((button) => (button ? button.dataset.name : ""));
  const more = document.getElementById("more");
  const filter = document.getElementById("filter");
  const state = document.getElementById("state");
  let all = false;

  // Read once, because reading the document is slow.
  const rows = [...body.rows].map((row) => {
    const values = [...row.cells].map((cell) => {
      const value = cell.dataset.v ?? cell.firstChild?.textContent ?? "";
      const number = value === "" ? NaN : Number(value);
      return Number.isNaN(number) ? value.toLowerCase() : number;
    });
    return { row, values, text: row.textContent.toLowerCase() };
  });
  const compare = { "<": (a, b) => a < b, "<=": (a, b) => a <= b, "=": (a, b) => a === b, ">": (a, b) => a > b, ">=": (a, b) => a >= b };

  function test(word) {
    const [, name, sign, value] = /^([^<>=]+)(<=|>=|<|>|=)(.+)$/.exec(word) ?? [];
    const column = name === undefined ? -1 : names.findIndex((known) => known.toLowerCase() === name);
    if (column < 0) return (item) => item.text.includes(word);
    const number = Number(value);
    if (Number.isNaN(number)) return (item) => sign === "=" && item.values[column] === value;
    return (item) => typeof item.values[column] === "number" && compare[sign](item.values[column], number);
  }

  function show() {
    const words = filter.value.toLowerCase().replace(/\s*(<=|>=|<|>|=)\s*/g, "$1").split(/\s+/).filter(Boolean).map(test);
    const column = names.indexOf("state");
    const wanted = state.value.toLowerCase();
    let found = 0;
    for (const item of rows) {
      const fits = (!wanted || item.values[column] === wanted) && words.every((fit) => fit(item));
      if (fits) found += 1;
      item.row.hidden = !fits || (!all && found > SHOWN);
    }
    const hides = !all && found > SHOWN;
    more.hidden = !hides;
    more.textContent = `Show all ${found.toLocaleString("en")}`;
    const total = rows.length.toLocaleString("en");
    document.getElementById("count").textContent =
      found === rows.length ? `${total} trials` : `${found.toLocaleString("en")} of ${total} trials`;
  }

  function sort(column, sign) {
    rows.sort((a, b) => {
      const x = a.values[column], y = b.values[column];
      if (x === "" || y === "") return (x === "") - (y === ""); // unknown values stay last
      if (typeof x === typeof y) return sign * (x < y ? -1 : x > y ? 1 : 0);
      return typeof x === "number" ? -1 : 1;
    });
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
    body.append(...rows.map((item) => item.row));
    show();
  }

  buttons.forEach((button, column) => button?.addEventListener("click", () => {
    const now = heads[column].getAttribute("aria-sort");
    const first = names[column] === "score" ? -1 : 1;
    sort(column, now === null ? first : now === "ascending" ? -1 : 1);
  }));
  filter.addEventListener("input", show);
  state.addEventListener("change", show);
  function showAll(wanted) {
    all = wanted;
    show();
  }

  more.addEventListener("click", () => {
    showAll(true);
    rows.find((item) => !item.row.hidden)?.row.closest(".scroll").focus();
  });
  addEventListener("beforeprint", () => showAll(true));
  show();
})();

(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const drawn = new Set();
  const narrow = matchMedia("(max-width: 48rem)");
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const part = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

  // Charts name colours, which are looked up when they are drawn: one chart serves both modes.
  function painted(value) {
    if (typeof value === "string") {
      if (value.startsWith("var(")) return color(value.slice(4, -1));
      if (value.startsWith("mix(")) {
        const share = Number(value.slice(4, -1)), low = part(color("--scale-low")), high = part(color("--scale-high"));
        return `rgb(${low.map((x, i) => Math.round(x + share * (high[i] - x))).join(",")})`;
      }
      return value;
    }
    if (Array.isArray(value)) return value.every((item) => typeof item === "number") ? value : value.map(painted);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, painted(v)]));
    return value;
  }

  function layout(chart, width, height) {
    const axis = { exponentformat: "power", minexponent: 4, gridcolor: color("--rule"), zerolinecolor: color("--rule"), linecolor: color("--rule-strong"), tickcolor: color("--rule-strong"), automargin: true, fixedrange: true };
    const own = painted(chart.layout);
    const found = {
      paper_bgcolor: "transparent", plot_bgcolor: "transparent", width, height, margin: { l: 48, r: 16, t: 16, b: 40 },
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: color("--muted") },
      hoverlabel: { bgcolor: color("--ink"), bordercolor: color("--ink"), font: { color: color("--paper") } },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: color("--ink") } },
      showlegend: false, hovermode: "closest", dragmode: false, ...own,
    };
    for (const key of ["xaxis", "yaxis"]) {
      found[key] = { ...axis, ...own[key] };
      if (found[key].title?.text) found[key].title = { standoff: 10, ...found[key].title, font: { size: 12 } };
    }
    return found;
  }

  function draw(place) {
    const chart = charts[place.dataset.chart];
    drawn.add(place);
    const height = narrow.matches ? Math.min(chart.height, 340) : chart.height;
    place.style.height = `${height}px`;
    return Plotly.react(place, painted(chart.data), layout(chart, place.clientWidth, height), { displayModeBar: false });
  }

  const places = [...document.querySelectorAll("[data-chart]")];
  if (!places.length) return;
  // Each is drawn when it comes near, so that the first screen need not wait for the last.
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((entry) => entry.isIntersecting)) {
      watcher.unobserve(entry.target);
      draw(entry.target);
      resizes.observe(entry.target);
    }
  }, { rootMargin: "600px 0px" });
  const resizes = new ResizeObserver((entries) => entries
    .filter(({ target }) => target.clientWidth !== target._fullLayout?.width)
    .forEach(({ target }) => draw(target)));
  places.forEach((place) => watcher.observe(place));
  const again = () => drawn.forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  narrow.addEventListener("change", again);
  // Paper is narrower than most screens, and always light.
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("printing");
    places.forEach(draw);
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("printing");
    again();
  });
})();

(() => {
  // A region that is wider than the page says that it can be scrolled.
  for (const region of document.querySelectorAll(".leaderboard, .plain, .roomy")) {
    const hint = document.createElement("p");
    hint.className = "swipe";
    hint.textContent = "Scroll sideways for more →";
    hint.setAttribute("aria-hidden", "true");
    region.after(hint);
    const show = () => {
      region.classList.toggle("more", region.scrollLeft + region.clientWidth < region.scrollWidth - 1);
      hint.hidden = region.scrollWidth <= region.clientWidth;
    };
    region.addEventListener("scroll", show, { passive: true });
    new ResizeObserver(show).observe(region);
    new ResizeObserver(show).observe(region.firstElementChild);
  }
})();

document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
  const target = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(target.textContent);
  } catch {
    getSelection().selectAllChildren(target);
    document.execCommand("copy");
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}));
