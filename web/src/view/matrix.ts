import { bytes, seconds } from "../format";
import { nameOf, type App, type Frame, type Panel } from "./app";
import { element, panel, setText } from "./dom";
import { Colors } from "./heat";
import { fitText, SMALL, Surface } from "./surface";

/** Source by receiver: the bytes given until the playhead. */
export class Matrix implements Panel {
  readonly section: HTMLElement;
  readonly #app: App;
  readonly #surface: Surface;
  readonly #note = element("p", { class: "tn-note" });
  readonly #image = document.createElement("canvas");
  #nodes: number[] = [];
  #cell = 10;
  #left = 60;
  #top = 60;
  #cursor: [number, number] = [0, 0];

  constructor(app: App) {
    this.#app = app;
    const { section, body } = panel("matrix", "Who gave to whom");
    this.section = section;
    this.#surface = new Surface(
      "Sources by receivers. Arrow keys choose a pair, Enter asks about it.",
      () => app.redraw(),
      {
        role: "application",
        tabindex: "0",
        "aria-roledescription": "matrix",
      },
    );
    body.append(this.#surface.canvas, this.#note);
    const canvas = this.#surface.canvas;
    canvas.addEventListener("pointermove", (event) => {
      const pair = this.#pair(event);
      app.hint(pair ? event : null, pair ? this.#says(pair) : "");
    });
    canvas.addEventListener("pointerleave", () => app.hint(null));
    canvas.addEventListener("click", (event) => this.#ask(this.#pair(event)));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => app.redraw());
    canvas.addEventListener("blur", () => app.redraw());
  }

  draw(frame: Frame): void {
    if (!this.#surface.visible) return;
    const all = this.#app.nodes();
    this.#nodes = all.flatMap((node, index) => (node.role === "tracker" ? [] : [index]));
    const count = Math.max(this.#nodes.length, 1);
    const wide = this.#surface.canvas.clientWidth || 400;
    const named = count <= 40;
    this.#left = named ? Math.min(110, wide * 0.26) : 24;
    this.#top = named ? 74 : 22;
    this.#cell = Math.min(34, (wide - this.#left - 12) / count, Math.max(420 / count, 2));
    const pen = this.#surface.begin(this.#top + count * this.#cell + 6);
    const { palette } = frame;
    if (this.#nodes.length === 0) {
      pen.fillStyle = palette.muted;
      pen.fillText("This record names no peers.", 8, 20);
      return;
    }
    const n = all.length;
    const { given } = this.#app.fold;
    let most = 1;
    for (const amount of given) if (amount > most) most = amount;
    const colors = new Colors(palette, "arrival", 1);
    const pixels = new ImageData(count, count);
    const out = new Uint32Array(pixels.data.buffer);
    this.#nodes.forEach((from, line) => {
      this.#nodes.forEach((to, column) => {
        const amount = given[from * n + to];
        if (amount > 0) out[line * count + column] = colors.ramp(0.08 + 0.92 * Math.sqrt(amount / most));
      });
    });
    this.#image.width = this.#image.height = count;
    this.#image.getContext("2d")?.putImageData(pixels, 0, 0);
    const size = this.#cell * count;
    pen.fillStyle = palette.background;
    pen.fillRect(this.#left, this.#top, size, size);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.#image, this.#left, this.#top, size, size);
    this.#drawLabels(pen, frame, named, size);
    if (document.activeElement === this.#surface.canvas) {
      pen.strokeStyle = palette.text;
      pen.lineWidth = 2;
      const [line, column] = this.#cursor;
      pen.strokeRect(this.#left + column * this.#cell, this.#top + line * this.#cell, this.#cell, this.#cell);
    }
    let sum = 0;
    for (const amount of given) sum += amount;
    setText(
      this.#note,
      `${bytes(sum)} in all until ${seconds(frame.t)}; a row gives, a column receives; deepest: ${bytes(most <= 1 ? 0 : most)}.`,
    );
  }

  #drawLabels(pen: CanvasRenderingContext2D, { palette, view }: Frame, named: boolean, size: number): void {
    if (this.#cell >= 6) {
      pen.strokeStyle = palette.panel;
      pen.lineWidth = 1;
      pen.beginPath();
      for (let i = 0; i <= this.#nodes.length; i++) {
        pen.moveTo(this.#left + i * this.#cell, this.#top);
        pen.lineTo(this.#left + i * this.#cell, this.#top + size);
        pen.moveTo(this.#left, this.#top + i * this.#cell);
        pen.lineTo(this.#left + size, this.#top + i * this.#cell);
      }
      pen.stroke();
    }
    pen.font = SMALL;
    pen.fillStyle = palette.muted;
    pen.textAlign = "left";
    if (!named || this.#cell < 8) {
      pen.fillText("receivers →", this.#left, 10);
      pen.save();
      pen.translate(10, this.#top);
      pen.rotate(Math.PI / 2);
      pen.fillText("sources →", 0, 0);
      pen.restore();
      return;
    }
    this.#nodes.forEach((node, index) => {
      const middle = (index + 0.5) * this.#cell;
      pen.fillStyle = view.selected.has(this.#app.nodes()[node].name) ? palette.accent : palette.text;
      pen.textAlign = "right";
      pen.fillText(fitText(pen, nameOf(this.#app, node), this.#left - 8), this.#left - 5, this.#top + middle);
      pen.save();
      pen.translate(this.#left + middle, this.#top - 6);
      pen.rotate(-Math.PI / 4);
      pen.textAlign = "left";
      pen.fillText(fitText(pen, nameOf(this.#app, node), 88), 0, 0);
      pen.restore();
    });
  }

  #pair(event: PointerEvent | MouseEvent): [number, number] | null {
    const [x, y] = this.#surface.at(event);
    const line = Math.floor((y - this.#top) / this.#cell);
    const column = Math.floor((x - this.#left) / this.#cell);
    const inside = (index: number): boolean => index >= 0 && index < this.#nodes.length;
    return inside(line) && inside(column) ? [line, column] : null;
  }

  #says([line, column]: [number, number]): string {
    const [from, to] = [this.#nodes[line], this.#nodes[column]];
    const { given } = this.#app.fold;
    const n = this.#app.nodes().length;
    const back = given[to * n + from];
    const names = `${nameOf(this.#app, from)} gave ${nameOf(this.#app, to)} ${bytes(given[from * n + to])}`;
    return back > 0 ? `${names} and got ${bytes(back)}` : names;
  }

  #ask(pair: [number, number] | null): void {
    if (pair === null) return;
    this.#cursor = pair;
    const nodes = this.#app.nodes();
    this.#app.why({ about: "link", from: nodes[this.#nodes[pair[0]]].name, to: nodes[this.#nodes[pair[1]]].name });
  }

  #key(event: KeyboardEvent): void {
    const moves: Record<string, [number, number]> = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
    };
    const move = moves[event.key];
    if (this.#nodes.length === 0 || (!move && event.key !== "Enter")) return;
    event.preventDefault();
    event.stopPropagation();
    if (!move) return this.#ask(this.#cursor);
    const last = this.#nodes.length - 1;
    this.#cursor = [
      Math.min(Math.max(this.#cursor[0] + move[0], 0), last),
      Math.min(Math.max(this.#cursor[1] + move[1], 0), last),
    ];
    this.#app.announce(this.#says(this.#cursor));
    this.#app.redraw();
  }
}
