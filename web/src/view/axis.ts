import { faultEnd, faultText, harms } from "../faults";
import { plain, seconds, tick, tickStep } from "../format";
import { TimeScale, type App, type Frame } from "./app";
import { drawPlayhead, fitText, SMALL, Surface } from "./surface";

const OVERVIEW = 22;
const HEIGHT = 62;

/** The one time axis: above, the whole run with a brush; below, the part that is shown, with the playhead and flags. */
export class Axis {
  readonly surface: Surface;
  readonly #app: App;
  #whole = new TimeScale(100, 0, 1);
  #part = new TimeScale(100, 0, 1);
  #grip: "brush" | "move" | "scrub" | null = null;
  #anchor = 0;
  #range: [number, number] = [0, 1];

  constructor(app: App) {
    this.#app = app;
    this.surface = new Surface("Time axis: the whole run above, the part that is shown below", () => app.redraw());
    const canvas = this.surface.canvas;
    canvas.classList.add("tn-axis");
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", () => (this.#grip = null));
    canvas.addEventListener("pointercancel", () => (this.#grip = null));
    canvas.addEventListener("pointerleave", () => app.hint(null));
    canvas.addEventListener("dblclick", () => app.set({ range: null }));
  }

  draw(frame: Frame): void {
    const pen = this.surface.begin(HEIGHT);
    const { palette } = frame;
    const [from, to] = this.#app.store.span();
    this.#whole = new TimeScale(this.surface.width, from, to);
    this.#part = new TimeScale(this.surface.width, frame.from, frame.to);
    const key = [this.#app.store.version, from, to, frame.from, frame.to, palette.key].join();
    this.surface.still(key, (still) => {
      this.#drawOverview(still, frame);
      this.#drawTicks(still, frame);
    });
    const x = this.#part.x(frame.t);
    drawPlayhead(pen, this.#whole.clampX(frame.t), 2, OVERVIEW, palette.accent);
    if (x < this.#part.left - 1 || x > this.#part.right + 1) return;
    drawPlayhead(pen, x, OVERVIEW + 8, HEIGHT, palette.accent);
    pen.fillStyle = palette.accent;
    pen.beginPath();
    pen.moveTo(x - 6, OVERVIEW + 4);
    pen.lineTo(x + 6, OVERVIEW + 4);
    pen.lineTo(x, OVERVIEW + 12);
    pen.fill();
  }

  #drawOverview(pen: CanvasRenderingContext2D, frame: Frame): void {
    const { palette } = frame;
    const { left, right } = this.#whole;
    pen.fillStyle = palette.panel;
    pen.strokeStyle = palette.line;
    pen.beginPath();
    pen.roundRect(left, 3, right - left, OVERVIEW - 5, 4);
    pen.fill();
    pen.stroke();
    this.#drawDensity(pen, palette.get);
    for (const fault of this.#app.store.data.faults.filter(harms)) {
      const x = this.#whole.clampX(fault.began);
      pen.globalAlpha = 0.35;
      pen.fillStyle = fault.kind === "impair" ? palette.impair : palette.fault;
      pen.fillRect(x, 4, Math.max(this.#whole.clampX(faultEnd(fault, this.#whole.to)) - x, 2), OVERVIEW - 7);
      pen.globalAlpha = 1;
    }
    const [a, b] = [this.#whole.clampX(frame.from), this.#whole.clampX(frame.to)];
    pen.fillStyle = palette.background;
    pen.globalAlpha = 0.65;
    pen.fillRect(left, 3, a - left, OVERVIEW - 5);
    pen.fillRect(b, 3, right - b, OVERVIEW - 5);
    pen.globalAlpha = 1;
    pen.strokeStyle = palette.accent;
    pen.lineWidth = 1;
    pen.strokeRect(a, 3, Math.max(b - a, 2), OVERVIEW - 5);
    pen.fillStyle = palette.muted;
    pen.font = SMALL;
    pen.textAlign = "left";
    pen.fillText(fitText(pen, "whole run", left - 10), 2, OVERVIEW / 2 + 1);
  }

  /** How many pieces arrived when, as a quiet hill. */
  #drawDensity(pen: CanvasRenderingContext2D, color: string): void {
    const { t, length } = this.#app.store.arrivals;
    const { left, right } = this.#whole;
    const bins = new Float64Array(Math.max(1, Math.ceil((right - left) / 2)));
    for (let i = 0; i < length; i++) {
      const bin = Math.floor((this.#whole.x(t[i]) - left) / 2);
      if (bin >= 0 && bin < bins.length) bins[bin]++;
    }
    const most = Math.max(1, ...bins);
    pen.fillStyle = color;
    pen.globalAlpha = 0.4;
    bins.forEach((count, bin) => {
      const high = Math.sqrt(count / most) * (OVERVIEW - 8);
      if (count > 0) pen.fillRect(left + bin * 2, OVERVIEW - 3 - high, 2, high);
    });
    pen.globalAlpha = 1;
  }

  #drawTicks(pen: CanvasRenderingContext2D, frame: Frame): void {
    const { palette } = frame;
    const scale = this.#part;
    const step = tickStep(scale.to - scale.from, (scale.right - scale.left) / 90);
    pen.font = SMALL;
    pen.textAlign = "center";
    for (let t = Math.ceil(scale.from / step) * step; t <= scale.to; t += step) {
      const x = scale.x(t);
      pen.fillStyle = palette.line;
      pen.fillRect(x - 0.5, HEIGHT - 12, 1, 12);
      pen.fillStyle = palette.muted;
      const text = tick(t, step);
      const half = pen.measureText(text).width / 2;
      pen.fillText(text, Math.min(Math.max(x, scale.left + half - 4), scale.right - half + 10), HEIGHT - 20);
    }
    for (const { deadline, passed } of this.#app.store.data.expectations) {
      if (deadline === null || deadline < scale.from || deadline > scale.to) continue;
      drawFlag(
        pen,
        scale.x(deadline),
        HEIGHT,
        passed === false ? palette.fault : passed ? palette.seed : palette.muted,
      );
    }
    pen.fillStyle = palette.muted;
    pen.textAlign = "left";
    pen.fillText(fitText(pen, "after t = 0", scale.left - 10), 2, HEIGHT - 20);
  }

  #down(event: PointerEvent): void {
    if (event.button !== 0) return;
    const [x, y] = this.surface.at(event);
    this.surface.canvas.setPointerCapture(event.pointerId);
    if (y >= OVERVIEW) {
      this.#grip = "scrub";
      this.#app.go(this.#part.t(x));
      return;
    }
    const t = this.#whole.t(x);
    const range = this.#app.view.range;
    this.#grip = range && t > range[0] && t < range[1] ? "move" : "brush";
    this.#anchor = t;
    if (range) this.#range = range;
  }

  #move(event: PointerEvent): void {
    const [x, y] = this.surface.at(event);
    const [start, end] = [this.#whole.from, this.#whole.to];
    if (this.#grip === "scrub") this.#app.go(Math.min(Math.max(this.#part.t(x), start), end));
    else if (this.#grip === "brush") {
      const t = Math.min(Math.max(this.#whole.t(x), start), end);
      const [a, b] = [Math.min(t, this.#anchor), Math.max(t, this.#anchor)];
      this.#app.set({ range: b - a < (end - start) / 200 ? null : [a, b] });
    } else if (this.#grip === "move") {
      const wide = this.#range[1] - this.#range[0];
      const a = Math.min(Math.max(this.#range[0] + this.#whole.t(x) - this.#anchor, start), end - wide);
      this.#app.set({ range: [a, a + wide] });
    } else this.#app.hint(event, this.#says(x, y));
  }

  #says(x: number, y: number): string {
    const scale = y < OVERVIEW ? this.#whole : this.#part;
    const lines = [seconds(scale.t(x))];
    const { faults, expectations } = this.#app.store.data;
    for (const fault of faults) {
      const [a, b] = [scale.x(fault.began), scale.x(faultEnd(fault, scale.to))];
      if (x >= a - 3 && x <= b + 3) lines.push(plain(faultText(fault, this.#app.store.data)));
    }
    if (y >= OVERVIEW) {
      for (const { deadline, says, text, passed } of expectations) {
        if (deadline === null || Math.abs(scale.x(deadline) - x) > 6) continue;
        lines.push(`deadline ${passed === false ? "missed" : passed ? "met" : "not judged"}: ${plain(says || text)}`);
      }
    }
    return lines.slice(0, 8).join("\n");
  }
}

/** An expectation's deadline. */
export function drawFlag(pen: CanvasRenderingContext2D, x: number, bottom: number, color: string): void {
  pen.strokeStyle = pen.fillStyle = color;
  pen.lineWidth = 1.2;
  pen.beginPath();
  pen.moveTo(x, bottom);
  pen.lineTo(x, bottom - 16);
  pen.stroke();
  pen.beginPath();
  pen.moveTo(x, bottom - 16);
  pen.lineTo(x + 9, bottom - 12.5);
  pen.lineTo(x, bottom - 9);
  pen.fill();
}
