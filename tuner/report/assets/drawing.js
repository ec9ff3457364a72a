/* The cart, its track and its pole on a canvas, sharp on any display. */
const drawing = (() => {
  const { POSITION_LIMIT, ANGLE_LIMIT } = cartPole;
  const WORLD = 2 * POSITION_LIMIT + 0.6; // metres from edge to edge

  function colours(section) {
    const style = getComputedStyle(section);
    const names = ["ink", "muted", "surface", "line", "accent", "cart", "wood", "wood-dark", "sign", "hand"];
    return Object.fromEntries(names.map((n) => [n, style.getPropertyValue(`--play-${n}`).trim()]));
  }

  /* Clears the canvas, at the display's resolution; the context it returns is in CSS pixels. */
  function prepare(canvas) {
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = window.devicePixelRatio || 1;
    const [columns, rows] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== columns || canvas.height !== rows) {
      canvas.width = columns;
      canvas.height = rows;
    }
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    return { g, width, height };
  }

  function line(g, colour, width, ...points) {
    g.strokeStyle = colour;
    g.lineWidth = width;
    g.beginPath();
    points.forEach(([x, y]) => g.lineTo(x, y));
    g.stroke();
  }

  function track(g, ink, { middle, ground, scale }) {
    g.lineCap = "round";
    const [left, right] = [-1, 1].map((side) => middle + side * POSITION_LIMIT * scale);
    line(g, ink.muted, 2, [left, ground], [right, ground]);
    for (const end of [left, right]) line(g, ink.muted, 4, [end, ground - 9], [end, ground + 9]);
    g.fillStyle = ink.muted;
    g.font = "12px system-ui, sans-serif";
    g.textAlign = "center";
    for (let metre = -2; metre <= 2; metre += 1) {
      const x = middle + metre * scale;
      line(g, ink.muted, 1, [x, ground + 4], [x, ground + 9]);
      g.fillText(`${metre < 0 ? "−" : ""}${Math.abs(metre)} m`.replace(/^0 m$/, "0"), x, ground + 24);
    }
  }

  /* The angles within which the episode goes on. */
  function cone(g, ink, [x, y], length) {
    g.save();
    const fade = g.createRadialGradient(x, y, length * 0.2, x, y, length * 1.22);
    fade.addColorStop(0, ink.accent);
    fade.addColorStop(1, "transparent");
    g.fillStyle = fade;
    g.globalAlpha = 0.16;
    g.beginPath();
    g.moveTo(x, y);
    g.arc(x, y, length * 1.22, -Math.PI / 2 - ANGLE_LIMIT, -Math.PI / 2 + ANGLE_LIMIT);
    g.fill();
    g.globalAlpha = 0.6;
    g.setLineDash([2, 6]);
    for (const side of [-1, 1]) {
      const angle = side * ANGLE_LIMIT;
      line(g, ink.muted, 1, [x, y], [x + Math.sin(angle) * length * 1.22, y - Math.cos(angle) * length * 1.22]);
    }
    g.restore();
  }

  function cart(g, ink, x, ground, width, turn) {
    const radius = width * 0.13, height = width * 0.42, top = ground - radius * 1.3 - height;
    g.save();
    g.shadowColor = "rgb(0 0 0 / .22)";
    g.shadowBlur = 12;
    g.shadowOffsetY = 4;
    g.fillStyle = ink.cart;
    g.beginPath();
    g.roundRect(x - width / 2, top, width, height, width * 0.11);
    g.fill();
    g.restore();
    for (const side of [-1, 1]) {
      const [wx, wy] = [x + side * width * 0.29, ground - radius - 1];
      g.fillStyle = ink.cart;
      g.strokeStyle = ink.surface;
      g.lineWidth = 2;
      g.beginPath();
      g.arc(wx, wy, radius, 0, 2 * Math.PI);
      g.fill();
      g.stroke();
      const [dx, dy] = [Math.cos(turn / radius), Math.sin(turn / radius)].map((d) => d * radius * 0.5);
      line(g, ink.surface, 1.5, [wx - dx, wy - dy], [wx + dx, wy + dy]);
    }
  }

  function pole(g, ink, [x, y], angle, length, width) {
    g.save();
    g.translate(x, y);
    g.rotate(angle);
    const shade = g.createLinearGradient(-width / 2, 0, width / 2, 0);
    shade.addColorStop(0, ink.wood);
    shade.addColorStop(0.45, ink.wood);
    shade.addColorStop(1, ink["wood-dark"]);
    g.fillStyle = shade;
    g.beginPath();
    g.roundRect(-width / 2, -length, width, length + width / 2, width / 2);
    g.fill();
    g.restore();
    g.fillStyle = ink.accent;
    g.strokeStyle = ink.surface;
    g.lineWidth = 2;
    g.beginPath();
    g.arc(x, y, width * 0.62, 0, 2 * Math.PI);
    g.fill();
    g.stroke();
  }

  /* Three chevrons from `x` in a direction; `amount`, from 0 to 1, is how many are visible. */
  function chevrons(g, colour, x, y, direction, size, amount) {
    g.save();
    g.lineCap = "round";
    g.lineJoin = "round";
    for (let i = 0; i < 3; i += 1) {
      g.globalAlpha = Math.max(0, Math.min(1, amount * 3 - i));
      const at = x + direction * i * size * 0.8;
      line(g, colour, size * 0.26, [at, y - size / 2], [at + (direction * size) / 2, y], [at, y + size / 2]);
    }
    g.restore();
  }

  /* `effort` is the policy's mean action, from -1 to 1; `push` is the reader's direction, or 0. */
  function draw(section, canvas, { state: [x, , angle], effort, push }) {
    if (!canvas.clientHeight) return; // not displayed, as on paper
    const { g, width, height } = prepare(canvas);
    const ink = colours(section);
    const scale = width / WORLD, middle = width / 2, ground = height - 44;
    const wide = Math.max(58, scale * 0.56);
    const length = Math.min(Math.max(scale * 1.08, 124), height - 132);
    const axle = ground - wide * 0.5;
    const at = middle + x * scale;
    track(g, ink, { middle, ground, scale });
    cone(g, ink, [at, axle], length);
    const level = ground - wide * 0.36;
    if (push) chevrons(g, ink.hand, at - push * (wide / 2 + 58), level, push, 22, 1);
    cart(g, ink, at, ground, wide, x * scale);
    const side = Math.sign(effort), size = wide * 0.14;
    if (side) chevrons(g, ink.sign, at + side * size * 0.9, level, side, size, Math.abs(effort));
    pole(g, ink, [at, axle], angle, length, Math.max(9, wide * 0.14));
  }

  return { draw };
})();
