import { faultEnd, faultText, harms, hitNodes, lasts } from "../faults";
import { clip, percent, plain, seconds, tickStep } from "../format";
import { nameOf, TimeScale, type App, type Frame, type Panel } from "./app";
import { button, element, panel, setText } from "./dom";
import { PHASES, phaseSays } from "./palette";
import { drawFlag } from "./axis";
import { drawPlayhead, fitText, FONT, SMALL, Surface } from "./surface";

const HEAD = 30;
/** What a mark is drawn as; `at` is its height in the lane. */
const GLYPHS: Record<string, { sign: string; bad?: boolean; says: string }> = {
  listening: { sign: "|", says: "program is up" },
  published: { sign: "◆", says: "registered as a seed" },
  lookup: { sign: "?", says: "looked the file up" },
  picked: { sign: "▸", says: "picked a source" },
  lost: { sign: "×", bad: true, says: "lost a source" },
  bad_piece: { sign: "!", bad: true, says: "discarded a bad piece" },
  completed: { sign: "✓", says: "has the whole file" },
  resumed: { sign: "↻", says: "found pieces on its disk" },
  failed: { sign: "✗", bad: true, says: "gave the download up" },
  forgotten: { sign: "∅", bad: true, says: "removed by the tracker" },
  left: { sign: "‹", says: "said that it leaves" },
  joined: { sign: "+", says: "registered" },
  exited: { sign: "■", says: "program ended" },
  started: { sign: "▶", says: "program started" },
  paused: { sign: "‖", says: "process paused" },
  resumed_process: { sign: "▷", says: "process goes on" },
  note: { sign: "i", says: "note" },
};

export function markSays(kind: string): string {
  return GLYPHS[kind]?.says ?? kind;
}

/** A lane a node: its phases, its pieces as a rising fill, the faults that hit it, and what happened. */
export class Lanes implements Panel {
  readonly section: HTMLElement;
  readonly #app: App;
  readonly #surface: Surface;
  readonly #readout = element("p", { class: "tn-readout" });
  #scale = new TimeScale(100, 0, 1);
  #cursor = 0;
  #lane = 24;

  constructor(app: App) {
    this.#app = app;
    this.#surface = new Surface(
      "Nodes over time. Arrow keys up and down choose a node, Enter selects it, W asks why.",
      () => app.redraw(),
      { role: "application", tabindex: "0", "aria-roledescription": "timeline" },
    );
    const why = button("Why?", "What the node was waiting for at the playhead (W)", () => this.#why());
    const { section, body } = panel("lanes", "Nodes over time", legend(app.against !== null));
    body.append(this.#surface.canvas, element("div", { class: "tn-row" }, this.#readout, why));
    this.section = section;
    const canvas = this.#surface.canvas;
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#hover(event));
    canvas.addEventListener("pointerleave", () => app.hint(null));
    canvas.addEventListener("dblclick", () => this.#why());
    canvas.addEventListener("focus", () => app.redraw());
    canvas.addEventListener("blur", () => app.redraw());
  }

  draw(frame: Frame): void {
    const nodes = this.#app.nodes();
    this.#cursor = Math.min(this.#cursor, Math.max(nodes.length - 1, 0));
    if (nodes[this.#cursor]) setText(this.#readout, this.#says(this.#cursor, frame.t));
    if (!this.#surface.visible) return;
    const count = Math.max(nodes.length, 1);
    this.#lane = count <= 16 ? 30 : count <= 30 ? 24 : count <= 60 ? 16 : count <= 150 ? 10 : 5;
    const pen = this.#surface.begin(HEAD + count * this.#lane + 2);
    this.#scale = new TimeScale(this.#surface.width, frame.from, frame.to);
    const { palette, view } = frame;
    const key = [this.#app.store.version, frame.from, frame.to, palette.key, [...view.selected].join()].join();
    this.#surface.still(key, (still) => this.#drawStill(still, frame));
    if (document.activeElement === this.#surface.canvas) {
      pen.strokeStyle = palette.accent;
      pen.lineWidth = 2;
      pen.strokeRect(1, HEAD + this.#cursor * this.#lane, this.#surface.width - 2, this.#lane);
    }
    const x = this.#scale.x(frame.t);
    if (x >= this.#scale.left - 1 && x <= this.#scale.right + 1) {
      drawPlayhead(pen, x, 0, this.#surface.height, palette.accent);
    }
  }

  #drawStill(pen: CanvasRenderingContext2D, frame: Frame): void {
    const { palette } = frame;
    const { left, right, from, to } = this.#scale;
    const nodes = this.#app.nodes();
    const bottom = HEAD + nodes.length * this.#lane;
    if (nodes.length === 0) {
      pen.fillStyle = palette.muted;
      pen.fillText("This record names no nodes.", left, HEAD + this.#lane / 2);
      return;
    }
    const step = tickStep(to - from, (right - left) / 90);
    pen.fillStyle = palette.line;
    for (let t = Math.ceil(from / step) * step; t <= to; t += step)
      pen.fillRect(this.#scale.x(t), HEAD - 4, 1, bottom - HEAD + 4);
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, right - left, bottom + 2);
    pen.clip();
    this.#drawPieces(pen, frame);
    this.#drawPhases(pen, frame);
    this.#drawAgainst(pen, frame);
    this.#drawFaults(pen, frame, bottom);
    this.#drawMarks(pen, frame);
    this.#drawDeadlines(pen, frame, bottom);
    pen.restore();
    this.#drawNames(pen, frame);
  }

  #drawNames(pen: CanvasRenderingContext2D, frame: Frame): void {
    const { palette, view } = frame;
    if (this.#lane < 9) return;
    pen.font = this.#lane < 12 ? SMALL : FONT;
    pen.textAlign = "left";
    this.#app.nodes().forEach((node, index) => {
      const y = HEAD + index * this.#lane;
      const selected = view.selected.has(node.name);
      if (selected) {
        pen.fillStyle = palette.accent;
        pen.fillRect(0, y + 2, 3, this.#lane - 4);
      }
      pen.fillStyle = selected ? palette.accent : palette.text;
      pen.fillText(fitText(pen, plain(node.name), this.#scale.left - 16), 8, y + this.#lane / 2 + 0.5);
    });
  }

  #drawPhases(pen: CanvasRenderingContext2D, frame: Frame): void {
    const { palette } = frame;
    const { phases } = this.#app.store.data;
    const end = this.#app.store.data.run.live
      ? this.#app.store.span()[1]
      : Math.max(this.#app.store.data.run.duration, frame.to);
    const open = new Map<number, readonly [number, string]>();
    const inset = this.#lane > 12 ? 4 : 1;
    const draw = (node: number, start: number, stop: number, phase: string): void => {
      const [a, b] = [this.#scale.clampX(start), this.#scale.clampX(stop)];
      if (b <= a && stop !== start) return;
      const y = HEAD + node * this.#lane + inset;
      const high = this.#lane - 2 * inset;
      const look = PHASES[phase] ?? PHASES.created;
      const color = palette[look.color] as string;
      if (phase === "gone") {
        pen.fillStyle = color;
        pen.fillRect(a, y + high / 2 - 0.5, b - a, 1);
        return;
      }
      pen.globalAlpha = palette.forced ? 1 : phase === "get" ? 0.4 : phase === "seed" ? 0.75 : 0.8;
      pen.fillStyle = this.#app.patterns.fill(pen, look.pattern, color, "transparent");
      pen.fillRect(a, y, Math.max(b - a, 1), high);
      pen.globalAlpha = 1;
      pen.strokeStyle = color;
      pen.lineWidth = 1;
      if (high > 8) pen.strokeRect(a + 0.5, y + 0.5, Math.max(b - a - 1, 0), high - 1);
    };
    for (const [time, node, phase] of phases) {
      const before = open.get(node);
      if (before) draw(node, before[0], time, before[1]);
      open.set(node, [time, phase]);
    }
    for (const [node, [start, phase]] of open) draw(node, start, Math.max(end, start), phase);
  }

  /** The share of the file, rising from the lane's foot: a stall is a level stretch. */
  #drawPieces(pen: CanvasRenderingContext2D, frame: Frame): void {
    const { store } = this.#app;
    const { t, node, length } = store.arrivals;
    const inset = this.#lane > 12 ? 4 : 1;
    const high = this.#lane - 2 * inset;
    const count = new Int32Array(this.#app.nodes().length);
    const lastX = new Float64Array(count.length).fill(-1);
    const resets = store.data.phases.filter(([, , phase]) => phase === "gone");
    let reset = 0;
    pen.fillStyle = frame.palette.get;
    const block = (index: number, until: number): void => {
      const pieces = store.piecesOf(index);
      if (pieces === 0 || count[index] === 0 || until <= lastX[index]) return;
      const level = Math.min(count[index] / pieces, 1) * high;
      pen.fillRect(lastX[index], HEAD + (index + 1) * this.#lane - inset - level, until - lastX[index], level);
    };
    const clear = (until: number): void => {
      for (; reset < resets.length && resets[reset][0] <= until; reset++) {
        const index = resets[reset][1];
        if (index < 0 || index >= count.length) continue;
        block(index, this.#scale.clampX(resets[reset][0]));
        count[index] = 0;
      }
    };
    for (let i = 0; i < length; i++) {
      const index = node[i];
      if (index < 0 || index >= count.length) continue;
      clear(t[i]);
      const x = this.#scale.clampX(t[i]);
      if (lastX[index] < 0) lastX[index] = x;
      if (x - lastX[index] >= 0.75) {
        block(index, x);
        lastX[index] = x;
      }
      count[index]++;
    }
    clear(Infinity);
    for (let index = 0; index < count.length; index++) {
      const done = count[index] >= store.piecesOf(index);
      if (count[index] > 0 && !done) block(index, this.#scale.clampX(Math.max(store.data.run.duration, 0)));
    }
  }

  /** The other run on the same clock: its share of the file as a line, and when it was done. */
  #drawAgainst(pen: CanvasRenderingContext2D, frame: Frame): void {
    const other = this.#app.against?.store;
    if (other === undefined) return;
    const inset = this.#lane > 12 ? 4 : 1;
    const high = this.#lane - 2 * inset;
    const lanes = new Map(this.#app.nodes().map((node, index) => [node.name, index]));
    const paths = new Map<number, { lane: number; path: Path2D; count: number; pieces: number; x: number }>();
    other.data.nodes.forEach((node, index) => {
      const lane = lanes.get(node.name);
      if (lane !== undefined)
        paths.set(index, { lane, path: new Path2D(), count: 0, pieces: other.piecesOf(index), x: -1 });
    });
    const { t, node, length } = other.arrivals;
    for (let i = 0; i < length; i++) {
      const one = paths.get(node[i]);
      if (one === undefined || one.pieces === 0) continue;
      const foot = HEAD + (one.lane + 1) * this.#lane - inset;
      const x = this.#scale.x(t[i]);
      if (one.count === 0) one.path.moveTo(x, foot);
      one.count++;
      if (x - one.x < 0.7 && one.count < one.pieces) continue;
      one.x = x;
      one.path.lineTo(x, foot - Math.min(one.count / one.pieces, 1) * high);
    }
    pen.strokeStyle = pen.fillStyle = frame.palette.against;
    pen.lineWidth = 2;
    pen.setLineDash([5, 3]);
    for (const { path } of paths.values()) pen.stroke(path);
    pen.setLineDash([]);
    pen.font = "bold 12px system-ui, sans-serif";
    pen.textAlign = "center";
    for (const [time, owner, kind] of other.data.marks) {
      const one = paths.get(owner);
      if (kind !== "completed" || one === undefined) continue;
      pen.fillText("✓", this.#scale.x(time), HEAD + one.lane * this.#lane + this.#lane / 2);
    }
  }

  #drawFaults(pen: CanvasRenderingContext2D, frame: Frame, bottom: number): void {
    const { palette } = frame;
    const taken: number[] = [-Infinity, -Infinity];
    for (const fault of this.#app.store.data.faults) {
      const color = !harms(fault) ? palette.muted : fault.kind === "impair" ? palette.impair : palette.fault;
      const a = this.#scale.x(fault.began);
      const b = this.#scale.x(faultEnd(fault, this.#app.store.span()[1]));
      if (b < this.#scale.left || a > this.#scale.right) continue;
      for (const node of hitNodes(fault)) {
        const y = HEAD + node * this.#lane;
        if (lasts(fault)) {
          pen.globalAlpha = palette.forced ? 1 : 0.55;
          pen.fillStyle = this.#app.patterns.fill(pen, fault.kind === "impair" ? "dots" : "back", color, "transparent");
          pen.fillRect(a, y, Math.max(b - a, 2), this.#lane);
          pen.globalAlpha = 0.16;
          pen.fillStyle = color;
          pen.fillRect(a, y, Math.max(b - a, 2), this.#lane);
          pen.globalAlpha = 1;
        }
        pen.fillStyle = color;
        pen.fillRect(a - 1, y, 2, this.#lane);
        if (lasts(fault) && fault.ended !== null) pen.fillRect(b - 1, y, 1.5, this.#lane);
      }
      pen.strokeStyle = color;
      pen.setLineDash([2, 3]);
      pen.beginPath();
      pen.moveTo(a, 14);
      pen.lineTo(a, bottom);
      pen.globalAlpha = 0.5;
      pen.stroke();
      pen.globalAlpha = 1;
      pen.setLineDash([]);
      pen.font = SMALL;
      pen.textAlign = "left";
      const text = fitText(pen, clip(plain(faultText(fault, this.#app.store.data)), 60), 260);
      const wide = pen.measureText(text).width;
      const row = taken.findIndex((end) => end < a);
      if (row < 0) continue;
      const x = Math.max(Math.min(a, this.#scale.right - wide - 4), this.#scale.left + 2);
      taken[row] = x + wide + 8;
      pen.fillStyle = color;
      pen.fillText(text, x + 2, 7 + row * 12);
    }
  }

  #drawMarks(pen: CanvasRenderingContext2D, frame: Frame): void {
    if (this.#lane < 9) return;
    const { palette } = frame;
    pen.textAlign = "center";
    pen.font = this.#lane < 14 ? "9px system-ui, sans-serif" : "bold 12px system-ui, sans-serif";
    const last = new Map<number, number>();
    for (const [time, node, kind, peer] of this.#app.store.data.marks) {
      const glyph = GLYPHS[kind] ?? GLYPHS.note;
      // What the tracker notes of a peer belongs to the peer's lane.
      const lane = (kind === "forgotten" || kind === "left" || kind === "joined") && peer >= 0 ? peer : node;
      if (lane < 0 || kind === "lookup" || kind === "joined" || kind === "listening") continue;
      const x = this.#scale.x(time);
      if (x < this.#scale.left || x > this.#scale.right || (!glyph.bad && x - (last.get(lane) ?? -99) < 7)) continue;
      last.set(lane, x);
      const y = HEAD + lane * this.#lane + this.#lane / 2 + 0.5;
      const wide = this.#lane < 14 ? 3 : 7;
      pen.fillStyle = palette.panel;
      pen.globalAlpha = 0.85;
      pen.beginPath();
      pen.arc(x, y, wide, 0, 7);
      pen.fill();
      pen.globalAlpha = 1;
      pen.fillStyle = glyph.bad ? palette.fault : palette.text;
      pen.fillText(glyph.sign, x, y);
    }
  }

  #drawDeadlines(pen: CanvasRenderingContext2D, frame: Frame, bottom: number): void {
    const { palette } = frame;
    for (const { deadline, passed, answers } of this.#app.store.data.expectations) {
      if (deadline === null) continue;
      const color = passed === false ? palette.fault : passed ? palette.seed : palette.muted;
      const x = this.#scale.x(deadline);
      if (x < this.#scale.left || x > this.#scale.right) continue;
      if (answers.length === 0) drawFlag(pen, x, Math.min(HEAD + this.#lane, bottom), color);
      for (const answer of answers) {
        if (answer.node < 0) continue;
        const one = answer.passed === false ? palette.fault : answer.passed ? palette.seed : palette.muted;
        if (this.#lane >= 14) drawFlag(pen, x, HEAD + (answer.node + 1) * this.#lane, one);
        else {
          pen.fillStyle = one;
          pen.fillRect(x - 1, HEAD + answer.node * this.#lane, 2, this.#lane);
        }
      }
    }
  }

  #nodeAt(y: number): number {
    const node = Math.floor((y - HEAD) / this.#lane);
    return node >= 0 && node < this.#app.nodes().length ? node : -1;
  }

  #down(event: PointerEvent): void {
    const [x, y] = this.#surface.at(event);
    const node = this.#nodeAt(y);
    if (node >= 0) this.#cursor = node;
    if (x < this.#scale.left && node >= 0) this.#app.select(node, event.shiftKey || event.ctrlKey || event.metaKey);
    else if (x >= this.#scale.left) this.#app.go(this.#scale.t(x));
  }

  #hover(event: PointerEvent): void {
    const [x, y] = this.#surface.at(event);
    const node = this.#nodeAt(y);
    if (event.buttons === 1 && x >= this.#scale.left) this.#app.go(this.#scale.t(x));
    if (node < 0) return this.#app.hint(null);
    const t = this.#scale.t(x);
    if (x < this.#scale.left) return this.#app.hint(event, this.#about(node));
    const near = (4 * (this.#scale.to - this.#scale.from)) / (this.#scale.right - this.#scale.left);
    const { marks, faults, nodes } = this.#app.store.data;
    const lines = [`${plain(nodes[node].name)}, ${seconds(t)}`];
    for (const [time, owner, kind, peer, text] of marks) {
      if ((owner !== node && peer !== node) || Math.abs(time - t) > near) continue;
      const other = peer >= 0 && peer !== node ? `: ${nameOf(this.#app, peer)}` : "";
      lines.push(`${seconds(time)} ${markSays(kind)}${other}${text ? ` (${clip(plain(text), 60)})` : ""}`);
    }
    for (const fault of faults) {
      if (fault.began - near > t || faultEnd(fault, this.#scale.to) + near < t || !hitNodes(fault).includes(node))
        continue;
      lines.push(plain(faultText(fault, this.#app.store.data)));
    }
    this.#app.hint(event, lines.slice(0, 9).join("\n"));
  }

  #about(index: number): string {
    const node = this.#app.nodes()[index];
    const details = [node.role, node.group, node.address, node.strategy, node.client]
      .filter(Boolean)
      .map((word) => plain(String(word)));
    return `${plain(node.name)}\n${details.join(", ")}\nclick to select, with Shift to add`;
  }

  #says(index: number, t: number): string {
    const { fold } = this.#app;
    const share = fold.share(index);
    const pieces = this.#app.store.piecesOf(index);
    const count =
      share === null ? "pieces not reported" : `${fold.count[index]} of ${pieces} pieces, ${percent(share)}`;
    return `${nameOf(this.#app, index)} at ${seconds(t)}: ${phaseSays(fold.phase[index] ?? "")}${pieces > 0 ? `; ${count}` : ""}`;
  }

  #why(): void {
    const node = this.#app.nodes()[this.#cursor];
    if (node) this.#app.why({ about: "gap", node: node.name, t: this.#app.fold.t });
  }

  #key(event: KeyboardEvent): void {
    const last = this.#app.nodes().length - 1;
    const moves: Record<string, number> = {
      ArrowUp: this.#cursor - 1,
      ArrowDown: this.#cursor + 1,
      PageUp: this.#cursor - 10,
      PageDown: this.#cursor + 10,
    };
    if (event.key in moves) this.#cursor = Math.min(Math.max(moves[event.key], 0), Math.max(last, 0));
    else if (event.key === "Enter") this.#app.select(this.#cursor, event.shiftKey);
    else if (event.key === "w" || event.key === "W") return this.#why();
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (last >= 0) this.#app.announce(this.#says(this.#cursor, this.#app.fold.t));
    this.#app.redraw();
  }
}

function legend(against: boolean): HTMLElement {
  const list = element("ul", { class: "tn-legend", "aria-label": "Phases" });
  for (const [phase, says] of [
    ["waiting", "waiting"],
    ["get", "downloading"],
    ["seed", "serving"],
    ["paused", "paused"],
    ["gone", "gone"],
    ["cut", "cut"],
    ["impair", "impaired"],
    ...(against ? [["against", "other run"]] : []),
  ]) {
    list.append(element("li", {}, element("i", { class: `tn-key tn-key-${phase}`, "aria-hidden": "true" }), says));
  }
  return list;
}
