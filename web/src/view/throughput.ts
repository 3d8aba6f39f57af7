import { harms } from "../faults";
import { bitRate, plain, seconds, tickStep } from "../format";
import { rates, type Direction, type Series } from "../rates";
import type { RunStore } from "../store";
import { nameOf, TimeScale, type App, type Frame, type Panel } from "./app";
import { choice, element, panel, setText } from "./dom";
import { drawPlayhead, SMALL, Surface } from "./surface";

const HEIGHT = 170;
const TOP = 10;
const MOST_LINES = 6;

interface Line {
  label: string;
  series: Series;
  color: string;
  dash: number[];
  cap: number | null;
}

/** Rates over time: all nodes together, or each selected one, with the caps of their links. */
export class Throughput implements Panel {
  readonly section: HTMLElement;
  readonly #app: App;
  readonly #surface: Surface;
  readonly #note = element("p", { class: "tn-note" });
  #direction: Direction = "down";
  #scale = new TimeScale(100, 0, 1);
  #lines: Line[] = [];
  #key = "";

  constructor(app: App) {
    this.#app = app;
    const direction = choice(
      "direction",
      "Direction",
      [
        ["down", "received"],
        ["up", "sent"],
      ] as const,
      "down",
      (value) => {
        this.#direction = value;
        app.redraw();
      },
    );
    const { section, body } = panel("rates", "Throughput", direction.group);
    this.section = section;
    this.#surface = new Surface("Throughput over time, with the caps of the links as dashed lines", () => app.redraw());
    body.append(this.#surface.canvas, this.#note);
    const canvas = this.#surface.canvas;
    canvas.addEventListener("pointerdown", (event) => app.go(this.#scale.t(this.#surface.at(event)[0])));
    canvas.addEventListener("pointermove", (event) => this.#hover(event));
    canvas.addEventListener("pointerleave", () => app.hint(null));
  }

  draw(frame: Frame): void {
    if (!this.#surface.visible) return;
    const { palette, view } = frame;
    const pen = this.#surface.begin(HEIGHT);
    this.#scale = new TimeScale(this.#surface.width, frame.from, frame.to);
    const key = [
      this.#app.store.version,
      frame.from,
      frame.to,
      palette.key,
      this.#direction,
      this.#surface.width,
      [...view.selected].join(),
    ].join(" ");
    if (key !== this.#key) {
      this.#key = key;
      this.#lines = this.#makeLines(frame);
    }
    this.#surface.still(key, (still) => this.#drawStill(still, frame));
    const x = this.#scale.x(frame.t);
    if (x >= this.#scale.left - 1 && x <= this.#scale.right + 1) drawPlayhead(pen, x, 0, HEIGHT - 4, palette.accent);
    setText(this.#note, this.#says(frame.t));
  }

  #makeLines(frame: Frame): Line[] {
    const { palette, view } = frame;
    const bins = Math.max(20, Math.floor(this.#scale.right - this.#scale.left));
    const nodes = this.#app.nodes();
    const of = (store: RunStore, members: number[]): Series =>
      rates(store, new Set(members), this.#direction, frame.from, frame.to, bins);
    const chosen = nodes.flatMap((node, index) => (view.selected.has(node.name) ? [index] : []));
    const colors = [palette.get, palette.seed, palette.paused, palette.against, palette.fault, palette.muted];
    const dashes = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 4], [1, 2]];
    const lines: Line[] = [];
    if (chosen.length === 0) {
      const all = nodes.map((_, index) => index);
      lines.push({
        label: "all nodes",
        series: of(this.#app.store, all),
        color: palette.get,
        dash: [],
        cap: null,
      });
    } else {
      chosen.slice(0, MOST_LINES).forEach((node, index) => {
        const caps = this.#app.store.capsOf(node);
        const cap = (this.#direction === "down" ? caps?.downlink : caps?.uplink) ?? null;
        const series = of(this.#app.store, [node]);
        lines.push({ label: nameOf(this.#app, node), series, color: colors[index], dash: dashes[index], cap });
      });
    }
    if (chosen.length === 2) {
      // Two nodes: their link too.
      const [one, other] = this.#direction === "down" ? [chosen[1], chosen[0]] : [chosen[0], chosen[1]];
      [
        [one, other],
        [other, one],
      ].forEach(([from, to], index) => {
        const mine = new Set([this.#direction === "down" ? to : from]);
        const partner = new Set([this.#direction === "down" ? from : to]);
        const series = rates(this.#app.store, mine, this.#direction, frame.from, frame.to, bins, partner);
        const label = `${nameOf(this.#app, from)} → ${nameOf(this.#app, to)}`;
        lines.push({ label, series, color: colors[2 + index], dash: dashes[2 + index], cap: null });
      });
    }
    if (this.#app.against) {
      const other = this.#app.against.store;
      const names = new Set(chosen.map((node) => nodes[node].name));
      const members = other.data.nodes.flatMap((node, index) =>
        names.size === 0 || names.has(node.name) ? [index] : [],
      );
      lines.push({
        label: "other run",
        series: of(other, members),
        color: palette.against,
        dash: [6, 4],
        cap: null,
      });
    }
    return lines;
  }

  #drawStill(pen: CanvasRenderingContext2D, frame: Frame): void {
    const { palette } = frame;
    const { left, right, from, to } = this.#scale;
    const bottom = HEIGHT - 6;
    const caps = this.#lines.flatMap((line) => (line.cap === null ? [] : [line.cap]));
    const seen = Math.max(1, ...this.#lines.map((line) => line.series.values.reduce((a, b) => Math.max(a, b), 0)));
    // A cap far above what was reached would press the curves to the ground.
    const most = Math.max(seen, ...caps.filter((cap) => cap < seen * 4)) * 1.08;
    const y = (rate: number): number => bottom - (rate / most) * (bottom - TOP);
    pen.font = SMALL;
    const step = rateStep(most);
    for (let rate = 0; rate <= most; rate += step) {
      pen.fillStyle = palette.line;
      pen.fillRect(left, Math.round(y(rate)), right - left, 1);
      pen.fillStyle = palette.muted;
      pen.textAlign = "right";
      pen.fillText(rate === 0 ? "0" : bitRate(rate), left - 6, y(rate));
    }
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, right - left, HEIGHT);
    pen.clip();
    const ticks = tickStep(to - from, (right - left) / 90);
    pen.fillStyle = palette.line;
    for (let t = Math.ceil(from / ticks) * ticks; t <= to; t += ticks)
      pen.fillRect(this.#scale.x(t), TOP, 1, bottom - TOP);
    for (const fault of this.#app.store.data.faults.filter(harms)) {
      pen.fillStyle = fault.kind === "impair" ? palette.impair : palette.fault;
      pen.globalAlpha = 0.5;
      pen.fillRect(this.#scale.x(fault.began), TOP, 1, bottom - TOP);
      pen.globalAlpha = 1;
    }
    for (const line of this.#lines) this.#drawLine(pen, line, y, bottom);
    this.#drawBound(pen, frame, bottom);
    pen.restore();
  }

  #drawLine(pen: CanvasRenderingContext2D, line: Line, y: (rate: number) => number, bottom: number): void {
    const { series } = line;
    pen.beginPath();
    series.values.forEach((rate, bin) => {
      const x = this.#scale.x(series.from + (bin + 1) * series.step);
      if (bin === 0) pen.moveTo(x, y(rate));
      else pen.lineTo(x, y(rate));
    });
    pen.strokeStyle = line.color;
    pen.lineWidth = 1.6;
    pen.setLineDash(line.dash);
    pen.stroke();
    pen.setLineDash([]);
    if (this.#lines.length === 1) {
      pen.lineTo(this.#scale.right, bottom);
      pen.lineTo(this.#scale.left, bottom);
      pen.globalAlpha = 0.14;
      pen.fillStyle = line.color;
      pen.fill();
      pen.globalAlpha = 1;
    }
    if (line.cap !== null) {
      pen.setLineDash([2, 5]);
      pen.beginPath();
      pen.moveTo(this.#scale.left, y(line.cap));
      pen.lineTo(this.#scale.right, y(line.cap));
      pen.stroke();
      pen.setLineDash([]);
      pen.fillStyle = line.color;
      pen.textAlign = "right";
      pen.fillText(`cap ${bitRate(line.cap)}`, this.#scale.right - 2, Math.max(y(line.cap) - 8, 6));
    }
  }

  /** The textbook's least time: no run can be done before it. */
  #drawBound(pen: CanvasRenderingContext2D, frame: Frame, bottom: number): void {
    const { bound } = this.#app.store.data;
    if (bound === null || bound.t < frame.from || bound.t > frame.to) return;
    const x = this.#scale.x(bound.t);
    pen.strokeStyle = pen.fillStyle = frame.palette.text;
    pen.setLineDash([6, 3]);
    pen.beginPath();
    pen.moveTo(x, TOP);
    pen.lineTo(x, bottom);
    pen.stroke();
    pen.setLineDash([]);
    const onRight = x < (this.#scale.left + this.#scale.right) / 2;
    pen.textAlign = onRight ? "left" : "right";
    pen.fillText(`${plain(bound.text)}: ${seconds(bound.t)}`, x + (onRight ? 5 : -5), TOP + 8);
  }

  #at(line: Line, t: number): number {
    const bin = Math.floor((t - line.series.from) / line.series.step);
    return line.series.values[Math.min(Math.max(bin, 0), line.series.values.length - 1)] ?? 0;
  }

  #says(t: number): string {
    const all = this.#lines.map((line) => `${line.label} ${bitRate(this.#at(line, t))}`).join("; ");
    const more =
      this.#app.view.selected.size > MOST_LINES ? ` (the first ${MOST_LINES} of ${this.#app.view.selected.size})` : "";
    return `${this.#direction === "down" ? "Received" : "Sent"}, mean of the second before ${seconds(t)}: ${all}${more}. Select nodes to see each, two to see their link.`;
  }

  #hover(event: PointerEvent): void {
    const t = this.#scale.t(this.#surface.at(event)[0]);
    if (event.buttons === 1) return this.#app.go(t);
    this.#app.hint(
      event,
      [seconds(t), ...this.#lines.map((line) => `${line.label}: ${bitRate(this.#at(line, t))}`)].join("\n"),
    );
  }
}

function rateStep(most: number): number {
  const rough = most / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough) ?? rough;
}
