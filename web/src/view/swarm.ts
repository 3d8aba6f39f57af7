import { cuts, isActive } from "../faults";
import { bitRate, clip, percent, seconds } from "../format";
import { islands, places, type Spot } from "../islands";
import { lastSecond } from "../rates";
import { nameOf, type App, type Frame, type Panel } from "./app";
import { element, panel, setText } from "./dom";
import { PHASES, phaseSays, type Palette } from "./palette";
import { FONT, SMALL, Surface } from "./surface";

const MOST_BUTTONS = 120;
const MOST_CUTS = 400;
const MOST_LINKS = 300;
const NARROW = 520;
const SETTLE_MS = 260;

/** Called with the nodes on both sides of a line that a person drew through the map. */
export type DrawnLine = (one: number[], other: number[]) => void;

/** The swarm on a ring: nodes as pies, links as wide as the last second's bytes; cuts push islands apart. */
export class Swarm implements Panel {
  readonly section: HTMLElement;
  /** Set on a live page while a partition is being drawn. */
  drawing: DrawnLine | null = null;
  readonly tools: HTMLElement;
  readonly #app: App;
  readonly #surface: Surface;
  readonly #stage: HTMLElement;
  readonly #note = element("p", { class: "tn-note" });
  readonly #buttons: HTMLButtonElement[] = [];
  #spots: Spot[] = [];
  #targets: Spot[] = [];
  #groupsKey = "";
  #moved = 0;
  #radius = 12;
  #rates = new Map<number, number>();
  #line: [Spot, Spot] | null = null;

  constructor(app: App) {
    this.#app = app;
    this.#surface = new Surface("The swarm at the playhead: who sends to whom, and who has how much", () =>
      app.redraw(),
    );
    this.#stage = element("div", { class: "tn-stage", role: "group", "aria-label": "Nodes" }, this.#surface.canvas);
    const { section, body } = panel("swarm", "Swarm");
    this.section = section;
    this.tools = section.querySelector<HTMLElement>(".tn-tools") ?? section;
    body.append(this.#stage, this.#note);
    this.#stage.addEventListener("pointerdown", (event) => this.#down(event));
    this.#stage.addEventListener("pointermove", (event) => this.#move(event));
    this.#stage.addEventListener("pointerup", () => this.#up());
    this.#stage.addEventListener("pointerleave", () => app.hint(null));
    this.#surface.canvas.addEventListener("click", (event) => this.#ask(event));
  }

  draw(frame: Frame): void {
    if (!this.#surface.visible) return;
    const nodes = this.#app.nodes();
    const wide = this.#stage.clientWidth;
    const pen = this.#surface.begin(wide < NARROW ? wide * 1.05 : Math.min(wide * 0.8, 520));
    const { palette } = frame;
    if (nodes.length === 0) {
      pen.fillStyle = palette.muted;
      pen.fillText("This record names no nodes.", 8, 20);
      return;
    }
    this.#settle(frame);
    this.#radius =
      nodes.length <= 12 ? 17 : nodes.length <= 30 ? 12 : nodes.length <= 70 ? 8 : nodes.length <= 150 ? 6 : 3.5;
    this.#rates = lastSecond(this.#app.store, frame.t);
    this.#drawCuts(pen, frame);
    this.#drawLinks(pen, frame);
    nodes.forEach((_, node) => this.#drawNode(pen, frame, node));
    this.#placeButtons(frame);
    if (this.#line) {
      pen.setLineDash([6, 4]);
      drawLine(pen, this.#line[0], this.#line[1], palette.fault, 2.5);
      pen.setLineDash([]);
    }
  }

  /** Let the nodes drift to where they belong; at once under reduced motion and in the first frame. */
  #settle(frame: Frame): void {
    const nodes = this.#app.nodes();
    const { faults } = this.#app.store.data;
    const active = faults.filter((fault) => cuts(fault) && isActive(fault, frame.t));
    const key = `${nodes.length} ${active.map((fault) => `${fault.id}:${fault.pairs.length}`).join()}`;
    if (key !== this.#groupsKey) {
      this.#groupsKey = key;
      const trackers = nodes.flatMap((node, index) => (node.role === "tracker" ? [index] : []));
      this.#targets = places(islands(nodes.length, active, frame.t), trackers.length === 1 ? trackers[0] : -1);
      this.#moved = performance.now();
    }
    if (this.#app.calm || this.#spots.length !== nodes.length) {
      this.#spots = this.#targets.map((spot) => ({ ...spot }));
      return;
    }
    const now = performance.now();
    const part = 1 - Math.exp(-Math.min(now - this.#moved, 60) / SETTLE_MS);
    this.#moved = now;
    let restless = false;
    this.#spots.forEach((spot, node) => {
      const target = this.#targets[node];
      const [dx, dy] = [target.x - spot.x, target.y - spot.y];
      if (Math.abs(dx) + Math.abs(dy) < 0.002) return Object.assign(spot, target);
      spot.x += dx * part;
      spot.y += dy * part;
      restless = true;
      return spot;
    });
    if (restless) setTimeout(() => this.#app.redraw());
  }

  #at(node: number): Spot {
    const at = this.#spots[node] ?? { x: 0, y: 0 };
    // On a narrow page islands lie above each other.
    const spot = this.#surface.width < NARROW ? { x: at.y, y: at.x } : at;
    const room = 26 + this.#radius;
    return {
      x:
        this.#surface.width / 2 +
        spot.x * (this.#surface.width / 2 - room) * Math.min(1, this.#surface.height / this.#surface.width + 0.3),
      y: this.#surface.height / 2 + spot.y * (this.#surface.height / 2 - room),
    };
  }

  #drawCuts(pen: CanvasRenderingContext2D, frame: Frame): void {
    const { palette } = frame;
    for (const fault of this.#app.store.data.faults) {
      if (!isActive(fault, frame.t) || fault.pairs.length > MOST_CUTS) continue;
      const cut = cuts(fault);
      pen.setLineDash(cut ? [3, 5] : [1, 4]);
      pen.globalAlpha = fault.pairs.length > 24 ? 0.22 : 0.6;
      const seen = new Set<string>();
      for (const [from, to] of fault.pairs) {
        const key = from < to ? `${from} ${to}` : `${to} ${from}`;
        if (from < 0 || to < 0 || seen.has(key)) continue;
        seen.add(key);
        drawLine(pen, this.#at(from), this.#at(to), cut ? palette.fault : palette.impair, cut ? 1.2 : 2.5);
      }
      pen.globalAlpha = 1;
      pen.setLineDash([]);
    }
  }

  #drawLinks(pen: CanvasRenderingContext2D, { palette }: Frame): void {
    const n = this.#app.nodes().length;
    let rates = [...this.#rates];
    setText(
      this.#note,
      [
        "Pie: share of the file. Link: bytes of the last second, thick at the source. Click a link to ask about it.",
        rates.length > MOST_LINKS ? `Only the ${MOST_LINKS} largest of ${rates.length} links are drawn.` : "",
        n > MOST_BUTTONS ? "Select nodes by their lanes: the map has no buttons for so many." : "",
      ]
        .filter(Boolean)
        .join(" "),
    );
    if (rates.length > MOST_LINKS) rates = rates.sort((a, b) => b[1] - a[1]).slice(0, MOST_LINKS);
    const most = rates.reduce((high, [, amount]) => Math.max(high, amount), 1);
    pen.fillStyle = palette.get;
    for (const [pair, amount] of rates) {
      if (amount <= 0) continue;
      const [from, to] = [Math.floor(pair / n), pair % n];
      const wide = Math.max(1.2, Math.sqrt(amount / most) * Math.min(this.#radius * 1.1, 14));
      pen.globalAlpha = rates.length > 150 ? 0.18 : rates.length > 60 ? 0.35 : 0.55;
      taper(pen, this.#at(from), this.#at(to), wide, this.#radius);
    }
    pen.globalAlpha = 1;
  }

  #drawNode(pen: CanvasRenderingContext2D, frame: Frame, node: number): void {
    const { palette, view } = frame;
    const { fold } = this.#app;
    const { x, y } = this.#at(node);
    const phase = fold.phase[node] ?? "";
    const gone = phase === "gone" || phase === "" || phase === "created";
    const color = palette[PHASES[phase]?.color ?? "line"] as string;
    const about = this.#app.nodes()[node];
    const radius = this.#radius;
    pen.beginPath();
    if (about.role === "tracker")
      pen.roundRect(x - radius * 0.85, y - radius * 0.85, radius * 1.7, radius * 1.7, radius * 0.3);
    else pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fillStyle = palette.panel;
    pen.fill();
    if (phase === "waiting" || phase === "paused") {
      pen.fillStyle = this.#app.patterns.fill(pen, PHASES[phase].pattern, color, "transparent");
      pen.fill();
    }
    pen.lineWidth = Math.max(1.4, radius / 8);
    pen.strokeStyle = gone ? palette.muted : about.role === "tracker" ? palette.text : color;
    if (gone) pen.setLineDash([3, 3]);
    pen.stroke();
    pen.setLineDash([]);
    const share = about.role === "tracker" ? null : fold.share(node);
    if (share !== null && share > 0 && !(gone && phase !== "gone")) {
      pen.globalAlpha = gone ? 0.3 : 1;
      pen.fillStyle = color;
      pen.beginPath();
      pen.moveTo(x, y);
      pen.arc(x, y, radius * 0.78, -Math.PI / 2, -Math.PI / 2 + share * 2 * Math.PI);
      pen.fill();
      pen.globalAlpha = 1;
    }
    if (phase === "gone") {
      pen.strokeStyle = palette.fault;
      pen.lineWidth = 1.6;
      pen.beginPath();
      const arm = radius * 0.5;
      pen.moveTo(x - arm, y - arm);
      pen.lineTo(x + arm, y + arm);
      pen.moveTo(x + arm, y - arm);
      pen.lineTo(x - arm, y + arm);
      pen.stroke();
    }
    if (about.role === "tracker" && radius >= 8) {
      pen.fillStyle = palette.text;
      pen.textAlign = "center";
      pen.font = `bold ${Math.round(radius * 0.9)}px system-ui, sans-serif`;
      pen.fillText("T", x, y + 0.5);
    }
    if (view.selected.has(about.name)) {
      pen.strokeStyle = palette.accent;
      pen.lineWidth = 2.5;
      pen.beginPath();
      pen.arc(x, y, radius + 4, 0, 2 * Math.PI);
      pen.stroke();
    }
    if (this.#app.nodes().length <= (this.#surface.width < NARROW ? 14 : 36) || view.selected.has(about.name))
      this.#drawName(pen, palette, node, x, y);
  }

  #drawName(pen: CanvasRenderingContext2D, palette: Palette, node: number, x: number, y: number): void {
    pen.font = this.#radius >= 12 ? FONT : SMALL;
    const text = clip(nameOf(this.#app, node), 18);
    const half = pen.measureText(text).width / 2;
    const down = y + this.#radius + 9;
    const middle = Math.min(Math.max(x, half + 2), this.#surface.width - half - 2);
    pen.textAlign = "center";
    pen.lineWidth = 3;
    pen.strokeStyle = palette.panel;
    pen.strokeText(text, middle, down);
    pen.fillStyle = palette.text;
    pen.fillText(text, middle, down);
  }

  /** Real buttons over the pies: for the keyboard and for those who hear the page. */
  #placeButtons(frame: Frame): void {
    const nodes = this.#app.nodes();
    const count = nodes.length <= MOST_BUTTONS ? nodes.length : 0;
    while (this.#buttons.length > count) this.#buttons.pop()?.remove();
    while (this.#buttons.length < count) {
      const index = this.#buttons.length;
      const made = element("button", { type: "button", class: "tn-node" });
      made.addEventListener("click", (event) =>
        this.#app.select(index, event.shiftKey || event.ctrlKey || event.metaKey),
      );
      this.#buttons.push(made);
      this.#stage.append(made);
    }
    this.#buttons.forEach((made, node) => {
      const { x, y } = this.#at(node);
      const size = Math.max(this.#radius * 2, 14);
      made.style.width = made.style.height = `${size}px`;
      made.style.transform = `translate(${(x - size / 2).toFixed(1)}px, ${(y - size / 2).toFixed(1)}px)`;
      const label = this.#says(node);
      if (made.getAttribute("aria-label") !== label) made.setAttribute("aria-label", label);
      made.setAttribute("aria-pressed", String(frame.view.selected.has(nodes[node].name)));
    });
  }

  #says(node: number): string {
    const share = this.#app.nodes()[node].role === "tracker" ? null : this.#app.fold.share(node);
    return `${nameOf(this.#app, node)}, ${phaseSays(this.#app.fold.phase[node] ?? "")}${share === null ? "" : `, ${percent(share)}`}`;
  }

  #nodeNear(x: number, y: number): number {
    return this.#app.nodes().findIndex((_, node) => {
      const spot = this.#at(node);
      return Math.hypot(spot.x - x, spot.y - y) <= Math.max(this.#radius, 7);
    });
  }

  #linkNear(x: number, y: number): [number, number] | null {
    const n = this.#app.nodes().length;
    let best: [number, number] | null = null;
    let nearest = 8;
    const pairs = new Set(this.#rates.keys());
    for (const fault of this.#app.store.data.faults) {
      if (isActive(fault, this.#app.fold.t) && fault.pairs.length <= MOST_CUTS) {
        for (const [from, to] of fault.pairs) pairs.add(from * n + to);
      }
    }
    for (const pair of pairs) {
      const [from, to] = [Math.floor(pair / n), pair % n];
      const away = distance({ x, y }, this.#at(from), this.#at(to));
      if (away < nearest) [nearest, best] = [away, [from, to]];
    }
    return best;
  }

  #down(event: PointerEvent): void {
    if (!this.drawing) return;
    const [x, y] = this.#surface.at(event);
    this.#stage.setPointerCapture(event.pointerId);
    this.#line = [
      { x, y },
      { x, y },
    ];
    event.preventDefault();
  }

  #move(event: PointerEvent): void {
    const [x, y] = this.#surface.at(event);
    if (this.#line) {
      this.#line[1] = { x, y };
      return this.#app.redraw();
    }
    const node = this.#nodeNear(x, y);
    if (node >= 0) return this.#app.hint(event, this.#says(node));
    const link = this.#linkNear(x, y);
    if (link === null) return this.#app.hint(null);
    const n = this.#app.nodes().length;
    const amount = this.#rates.get(link[0] * n + link[1]) ?? 0;
    const names = `${nameOf(this.#app, link[0])} → ${nameOf(this.#app, link[1])}`;
    this.#app.hint(event, `${names}\n${bitRate(amount * 8)} in the second before ${seconds(this.#app.fold.t)}`);
  }

  #up(): void {
    const line = this.#line;
    const drawing = this.drawing;
    this.#line = null;
    this.#app.redraw();
    if (!line || !drawing || Math.hypot(line[0].x - line[1].x, line[0].y - line[1].y) < 20) return;
    const sides: [number[], number[]] = [[], []];
    this.#app.nodes().forEach((_, node) => {
      const { x, y } = this.#at(node);
      const side = (line[1].x - line[0].x) * (y - line[0].y) - (line[1].y - line[0].y) * (x - line[0].x);
      sides[side < 0 ? 0 : 1].push(node);
    });
    drawing(sides[0], sides[1]);
  }

  #ask(event: MouseEvent): void {
    if (this.drawing) return;
    const [x, y] = this.#surface.at(event);
    const node = this.#nodeNear(x, y);
    if (node >= 0) return this.#app.select(node, event.shiftKey);
    const link = this.#linkNear(x, y);
    const nodes = this.#app.nodes();
    if (link) this.#app.why({ about: "link", from: nodes[link[0]].name, to: nodes[link[1]].name });
  }
}

function drawLine(pen: CanvasRenderingContext2D, a: Spot, b: Spot, color: string, wide: number): void {
  pen.strokeStyle = color;
  pen.lineWidth = wide;
  pen.beginPath();
  pen.moveTo(a.x, a.y);
  pen.lineTo(b.x, b.y);
  pen.stroke();
}

/** A link that is thick at its source and thin at its receiver: its direction needs no arrow. */
function taper(pen: CanvasRenderingContext2D, a: Spot, b: Spot, wide: number, gap: number): void {
  const long = Math.hypot(b.x - a.x, b.y - a.y);
  if (long < 1) return;
  const [dx, dy] = [(b.x - a.x) / long, (b.y - a.y) / long];
  // Both directions of a pair lie side by side.
  const side = wide / 2 + 0.5;
  const start = { x: a.x + dx * gap - dy * side * 0.5, y: a.y + dy * gap + dx * side * 0.5 };
  const end = { x: b.x - dx * (gap + 1) - dy * side * 0.5, y: b.y - dy * (gap + 1) + dx * side * 0.5 };
  const thin = Math.max(wide * 0.2, 0.6);
  pen.beginPath();
  pen.moveTo(start.x - (dy * wide) / 2, start.y + (dx * wide) / 2);
  pen.lineTo(end.x - (dy * thin) / 2, end.y + (dx * thin) / 2);
  pen.lineTo(end.x + (dy * thin) / 2, end.y - (dx * thin) / 2);
  pen.lineTo(start.x + (dy * wide) / 2, start.y - (dx * wide) / 2);
  pen.fill();
}

function distance(point: Spot, a: Spot, b: Spot): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const long = dx * dx + dy * dy || 1;
  const part = Math.min(Math.max(((point.x - a.x) * dx + (point.y - a.y) * dy) / long, 0), 1);
  return Math.hypot(a.x + part * dx - point.x, a.y + part * dy - point.y);
}
