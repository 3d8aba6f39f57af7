import { HELD, LACKS } from "../fold";
import { seconds } from "../format";
import { HEAT_MODES, type HeatMode } from "../view_state";
import { gutter, nameOf, RIGHT, type App, type Frame, type Panel } from "./app";
import { choice, element, panel, setText } from "./dom";
import type { Palette } from "./palette";
import { fitText, FONT, SMALL, Surface } from "./surface";

const TOP = 18;

/** Node by piece: when it arrived, from whom, or how many have it. */
export class HeatMap implements Panel {
  readonly section: HTMLElement;
  readonly #app: App;
  readonly #surface: Surface;
  readonly #note = element("p", { class: "tn-note" });
  readonly #mode: { group: HTMLElement; set: (value: HeatMode) => void };
  readonly #file = element("select", { "aria-label": "File" });
  readonly #image = document.createElement("canvas");
  #rows: number[] = [];
  #pieces = 0;
  #row = 12;
  #left = 0;
  #wide = 1;
  #cursor: [number, number] = [0, 0];
  #files = -1;

  constructor(app: App) {
    this.#app = app;
    this.#mode = choice(
      "heat",
      "What the pieces show",
      HEAT_MODES.map((mode) => [mode, mode] as const),
      app.view.heat,
      (heat) => app.set({ heat }),
    );
    this.#file.addEventListener("change", () => app.set({ file: Number(this.#file.value), piece: null }));
    const { section, body } = panel("heat", "Pieces", this.#file, this.#mode.group);
    this.section = section;
    this.#surface = new Surface(
      "Pieces of every node. Arrow keys choose a cell, Enter asks why it came when it did.",
      () => app.redraw(),
      { role: "application", tabindex: "0", "aria-roledescription": "map of pieces" },
    );
    body.append(this.#surface.canvas, this.#note);
    const canvas = this.#surface.canvas;
    canvas.addEventListener("pointermove", (event) => this.#hover(event));
    canvas.addEventListener("pointerleave", () => app.hint(null));
    canvas.addEventListener("click", (event) => this.#ask(this.#cell(event)));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => app.redraw());
    canvas.addEventListener("blur", () => app.redraw());
  }

  draw(frame: Frame): void {
    this.#mode.set(frame.view.heat);
    this.#fillFiles(frame.view.file);
    if (!this.#surface.visible) return;
    const { data } = this.#app.store;
    const file = Math.min(frame.view.file, Math.max(data.files.length - 1, 0));
    this.#rows = data.nodes.flatMap((node, index) => (node.file === file && node.role !== "tracker" ? [index] : []));
    this.#pieces = this.#app.store.piecesOfFile(file);
    const count = Math.max(this.#rows.length, 1);
    this.#row = Math.min(34, Math.max(count > 150 ? 3 : 5, Math.floor(400 / count)));
    const pen = this.#surface.begin(TOP + count * this.#row + 20);
    this.#left = this.#row >= 9 ? gutter(this.#surface.width) - 20 : 30;
    this.#wide = this.#surface.width - this.#left - RIGHT;
    const { palette } = frame;
    pen.fillStyle = palette.muted;
    if (this.#rows.length === 0 || this.#pieces === 0) {
      pen.fillText("No node of this record has said which pieces its file has.", 8, TOP + 10);
      setText(this.#note, "");
      return;
    }
    this.#drawCells(pen, frame, file);
    this.#drawFrame(pen, frame);
    const shown = data.binned ? data.binned.text : "";
    setText(this.#note, [LEGENDS[frame.view.heat], shown].filter(Boolean).join(" "));
  }

  #drawCells(pen: CanvasRenderingContext2D, frame: Frame, file: number): void {
    const { fold, store } = this.#app;
    const colors = new Colors(frame.palette, frame.view.heat, store.data.nodes.length);
    const pixels = new ImageData(this.#pieces, this.#rows.length);
    const out = new Uint32Array(pixels.data.buffer);
    const available = frame.view.heat === "availability" ? fold.availability(file) : null;
    // All of the colours go to the time in which pieces came.
    const { t: times, length } = store.arrivals;
    const start = Math.max(frame.from, length > 0 ? times[0] : 0);
    const long = Math.max(Math.min(frame.to, length > 0 ? times[length - 1] : frame.to) - start, 1);
    this.#rows.forEach((node, line) => {
      const from = fold.row[node];
      for (let piece = 0; piece < this.#pieces; piece++) {
        const how = fold.have[from + piece];
        let color = 0;
        if (how !== LACKS) {
          if (available) color = colors.ramp(available[piece] / Math.max(this.#rows.length, 1));
          else if (how === HELD) color = colors.held;
          else if (frame.view.heat === "arrival") color = colors.ramp((store.arrivals.t[how] - start) / long);
          else color = colors.ofNode(store.arrivals.source[how]);
        }
        out[line * this.#pieces + piece] = color;
      }
    });
    if (this.#image.width !== this.#pieces || this.#image.height !== this.#rows.length) {
      this.#image.width = this.#pieces;
      this.#image.height = this.#rows.length;
    }
    this.#image.getContext("2d")?.putImageData(pixels, 0, 0);
    pen.fillStyle = frame.palette.background;
    pen.fillRect(this.#left, TOP, this.#wide, this.#rows.length * this.#row);
    this.#rows.forEach((node, line) => {
      if (this.#known(node)) return;
      pen.fillStyle = this.#app.patterns.fill(pen, "missing", frame.palette.muted, "transparent");
      pen.fillRect(this.#left, TOP + line * this.#row, this.#wide, this.#row);
      if (this.#row < 12) return;
      pen.font = SMALL;
      pen.textAlign = "left";
      const wide = pen.measureText("not reported").width;
      pen.fillStyle = frame.palette.panel;
      pen.fillRect(this.#left + 6, TOP + line * this.#row + 3, wide + 8, this.#row - 6);
      pen.fillStyle = frame.palette.muted;
      pen.fillText("not reported", this.#left + 10, TOP + (line + 0.5) * this.#row + 0.5);
    });
    pen.imageSmoothingEnabled = this.#pieces > this.#wide * (devicePixelRatio || 1);
    pen.drawImage(this.#image, this.#left, TOP, this.#wide, this.#rows.length * this.#row);
  }

  #drawFrame(pen: CanvasRenderingContext2D, frame: Frame): void {
    const { palette, view } = frame;
    const bottom = TOP + this.#rows.length * this.#row;
    const cell = this.#wide / this.#pieces;
    pen.strokeStyle = palette.panel;
    pen.lineWidth = 1;
    if (cell >= 5) {
      pen.beginPath();
      for (let piece = 1; piece < this.#pieces; piece++) {
        pen.moveTo(this.#left + piece * cell, TOP);
        pen.lineTo(this.#left + piece * cell, bottom);
      }
      pen.stroke();
    }
    if (this.#row >= 5) {
      pen.beginPath();
      for (let line = 1; line < this.#rows.length; line++) {
        pen.moveTo(this.#left, TOP + line * this.#row);
        pen.lineTo(this.#left + this.#wide, TOP + line * this.#row);
      }
      pen.stroke();
    }
    pen.font = this.#row >= 14 ? FONT : SMALL;
    pen.textAlign = "left";
    if (this.#row >= 9) {
      this.#rows.forEach((node, line) => {
        pen.fillStyle = view.selected.has(this.#app.nodes()[node].name) ? palette.accent : palette.text;
        pen.fillText(fitText(pen, nameOf(this.#app, node), this.#left - 8), 2, TOP + (line + 0.5) * this.#row + 0.5);
      });
    }
    pen.font = SMALL;
    pen.fillStyle = palette.muted;
    pen.textAlign = "left";
    const joined = this.#app.store.data.binned?.piece_bin ?? 1;
    pen.fillText("piece 0", this.#left, TOP - 9);
    pen.textAlign = "right";
    pen.fillText(String(this.#pieces * joined - 1), this.#left + this.#wide, TOP - 9);
    if (view.piece !== null && view.piece < this.#pieces) {
      pen.strokeStyle = palette.accent;
      pen.lineWidth = 1.5;
      pen.strokeRect(this.#left + view.piece * cell - 1, TOP - 2, Math.max(cell, 2) + 2, bottom - TOP + 4);
    }
    if (document.activeElement === this.#surface.canvas) {
      const [line, piece] = this.#cursor;
      pen.strokeStyle = palette.text;
      pen.lineWidth = 2;
      pen.strokeRect(this.#left + piece * cell - 2, TOP + line * this.#row - 2, Math.max(cell, 2) + 4, this.#row + 4);
    }
    if (view.heat === "source") this.#drawSources(pen, frame, bottom);
    else drawRamp(pen, frame, this.#left, bottom + 6);
  }

  /** Whose colour is whose, as far as there is room. */
  #drawSources(pen: CanvasRenderingContext2D, frame: Frame, bottom: number): void {
    const colors = new Colors(frame.palette, "source", this.#app.nodes().length);
    let x = this.#left;
    pen.textAlign = "left";
    for (const node of this.#rows) {
      const name = nameOf(this.#app, node);
      const wide = pen.measureText(name).width;
      if (x + wide + 16 > this.#left + this.#wide) {
        pen.fillStyle = frame.palette.muted;
        pen.fillText("…", x, bottom + 11);
        break;
      }
      pen.fillStyle = css(colors.ofNode(node));
      pen.fillRect(x, bottom + 7, 9, 9);
      pen.fillStyle = frame.palette.muted;
      pen.fillText(name, x + 12, bottom + 12);
      x += wide + 24;
    }
  }

  #fillFiles(chosen: number): void {
    const { files } = this.#app.store.data;
    if (this.#files !== files.length) {
      this.#files = files.length;
      this.#file.replaceChildren(
        ...files.map((file, index) => element("option", { value: index }, file.name.slice(0, 60))),
      );
      this.#file.hidden = files.length < 2;
    }
    this.#file.value = String(chosen);
  }

  #cell(event: PointerEvent | MouseEvent): [number, number] | null {
    const [x, y] = this.#surface.at(event);
    const line = Math.floor((y - TOP) / this.#row);
    const piece = Math.floor(((x - this.#left) / this.#wide) * this.#pieces);
    if (line < 0 || line >= this.#rows.length || piece < 0 || piece >= this.#pieces) return null;
    return [line, piece];
  }

  #says([line, piece]: [number, number]): string {
    const { fold, store } = this.#app;
    const node = this.#rows[line];
    const joined = store.data.binned?.piece_bin ?? 1;
    const number = joined > 1 ? `pieces ${piece * joined} to ${(piece + 1) * joined - 1}` : `piece ${piece}`;
    const how = fold.have[fold.row[node] + piece];
    const name = nameOf(this.#app, node);
    if (how === LACKS) {
      return this.#known(node) ? `${name} lacks ${number}` : `${name} does not report its pieces`;
    }
    if (how === HELD) return `${name} had ${number} from the start`;
    return `${name}: ${number} arrived at ${seconds(store.arrivals.t[how])} from ${nameOf(this.#app, store.arrivals.source[how])}`;
  }

  /** Whether the record says which pieces a node has. */
  #known(node: number): boolean {
    return (
      this.#app.store.data.nodes[node].reports_pieces || this.#app.store.data.held.some(([owner]) => owner === node)
    );
  }

  #hover(event: PointerEvent): void {
    const cell = this.#cell(event);
    this.#app.hint(cell ? event : null, cell ? `${this.#says(cell)}\nclick: why?` : "");
  }

  #ask(cell: [number, number] | null): void {
    if (cell === null) return;
    this.#cursor = cell;
    const node = this.#app.nodes()[this.#rows[cell[0]]];
    this.#app.set({ piece: cell[1] });
    this.#app.why({ about: "piece", node: node.name, piece: cell[1] });
  }

  #key(event: KeyboardEvent): void {
    const moves: Record<string, [number, number]> = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
    };
    const move = moves[event.key];
    if (this.#rows.length === 0 || this.#pieces === 0 || (!move && event.key !== "Enter")) return;
    event.preventDefault();
    event.stopPropagation();
    if (!move) return this.#ask(this.#cursor);
    const far = event.shiftKey ? 10 : 1;
    this.#cursor = [
      Math.min(Math.max(this.#cursor[0] + move[0] * far, 0), this.#rows.length - 1),
      Math.min(Math.max(this.#cursor[1] + move[1] * far, 0), this.#pieces - 1),
    ];
    this.#app.announce(this.#says(this.#cursor));
    this.#app.redraw();
  }
}

const LEGENDS: Record<HeatMode, string> = {
  arrival: "The colour says when a piece arrived; grey: had it from the start; empty: not yet; hatched: not reported.",
  source: "The colour says who gave a piece; grey: had it from the start; hatched: not reported.",
  availability: "The colour says how many nodes that are up have the piece at the playhead; hatched: not reported.",
};

function drawRamp(pen: CanvasRenderingContext2D, frame: Frame, left: number, top: number): void {
  const colors = new Colors(frame.palette, frame.view.heat, 1);
  const wide = 120;
  for (let x = 0; x < wide; x += 2) {
    pen.fillStyle = css(colors.ramp(x / wide));
    pen.fillRect(left + x, top + 1, 2, 8);
  }
  pen.fillStyle = frame.palette.muted;
  pen.textAlign = "left";
  pen.fillText(frame.view.heat === "arrival" ? "early to late" : "few to all", left + wide + 8, top + 6);
}

function css(color: number): string {
  return `rgb(${color & 255} ${(color >> 8) & 255} ${(color >> 16) & 255})`;
}

/** Colours as 0xAABBGGRR, as ImageData has them on all machines of today. */
export class Colors {
  readonly held: number;
  readonly #ramp = new Uint32Array(256);
  readonly #nodes: Uint32Array;

  constructor(palette: Palette, _mode: HeatMode, nodes: number) {
    const dark = palette.dark;
    this.held = dark ? rgb(86, 94, 103) : rgb(176, 181, 187);
    // From pale to deep on light paper, from deep to bright on dark: one hue's way, in even steps of lightness.
    const stops = dark
      ? [
          [38, 62, 104],
          [44, 122, 146],
          [106, 190, 136],
          [240, 224, 120],
        ]
      : [
          [232, 214, 110],
          [104, 182, 132],
          [38, 116, 142],
          [52, 42, 100],
        ];
    for (let i = 0; i < 256; i++) {
      const place = (i / 255) * (stops.length - 1);
      const low = Math.min(Math.floor(place), stops.length - 2);
      const mix = (part: number): number =>
        stops[low][part] + (stops[low + 1][part] - stops[low][part]) * (place - low);
      this.#ramp[i] = rgb(mix(0), mix(1), mix(2));
    }
    this.#nodes = new Uint32Array(nodes);
    for (let node = 0; node < nodes; node++) {
      this.#nodes[node] = hsl((node * 137.508 + 25) % 360, 0.42, (dark ? 0.58 : 0.5) + ((node % 3) - 1) * 0.1);
    }
  }

  ramp(share: number): number {
    return this.#ramp[Math.min(Math.max(Math.round(share * 255), 0), 255)];
  }

  ofNode(node: number): number {
    return node >= 0 && node < this.#nodes.length ? this.#nodes[node] : this.held;
  }
}

function rgb(red: number, green: number, blue: number): number {
  return ((255 << 24) | (Math.round(blue) << 16) | (Math.round(green) << 8) | Math.round(red)) >>> 0;
}

function hsl(hue: number, saturation: number, lightness: number): number {
  const chroma = saturation * Math.min(lightness, 1 - lightness);
  const part = (shift: number): number => {
    const k = (shift + hue / 30) % 12;
    return (lightness - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1))) * 255;
  };
  return rgb(part(0), part(8), part(4));
}
