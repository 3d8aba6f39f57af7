import { HELD, LACKS } from "../fold";
import { seconds, tick, tickStep } from "../format";
import { nameOf, type App, type Frame, type Panel } from "./app";
import { element, panel, setText } from "./dom";
import { fitText, SMALL, Surface } from "./surface";

interface Member {
  node: number;
  t: number;
  parent: number;
  line: number;
}

/** The family tree of one piece: from whom each node has it, from left to right in time. */
export class Family implements Panel {
  readonly section: HTMLElement;
  readonly #app: App;
  readonly #surface: Surface;
  readonly #note = element("p", { class: "tn-note" });
  readonly #piece = element("input", { type: "number", min: "0", step: "1", "aria-label": "Piece" });
  #members: Member[] = [];
  #line = 16;
  #left = 20;

  constructor(app: App) {
    this.#app = app;
    this.#piece.addEventListener("change", () => {
      const piece = Math.trunc(Number(this.#piece.value));
      if (Number.isFinite(piece) && piece >= 0) app.set({ piece });
    });
    const { section, body } = panel("family", "Family tree of a piece", element("label", {}, "Piece ", this.#piece));
    this.section = section;
    this.#surface = new Surface("Family tree of the piece, in time from left to right", () => app.redraw());
    body.append(this.#surface.canvas, this.#note);
    this.#surface.canvas.addEventListener("pointermove", (event) => this.#hover(event));
    this.#surface.canvas.addEventListener("pointerleave", () => app.hint(null));
    this.#surface.canvas.addEventListener("click", (event) => {
      const member = this.#memberAt(event);
      const node = member ? app.nodes()[member.node] : undefined;
      if (node) app.why({ about: "piece", node: node.name, piece: this.#number() });
    });
  }

  draw(frame: Frame): void {
    const piece = this.#number();
    if (document.activeElement !== this.#piece) this.#piece.value = String(piece);
    if (!this.#surface.visible) return;
    this.#members = this.#trace(frame, piece);
    const count = Math.max(this.#members.length, 3);
    this.#line = count <= 24 ? 17 : count <= 60 ? 11 : 7;
    const pen = this.#surface.begin(24 + count * this.#line + 8);
    const { palette } = frame;
    pen.font = SMALL;
    if (this.#members.length === 0) {
      pen.fillStyle = palette.muted;
      pen.fillText(`Nobody had piece ${piece} by ${seconds(frame.t)}.`, 8, 20);
      setText(this.#note, "");
      return;
    }
    const got = this.#members.filter((member) => member.parent >= 0 || member.t > 0);
    const first = Math.min(...got.map((member) => member.t), frame.t);
    const last = Math.max(...got.map((member) => member.t), first + 1);
    const right = this.#surface.width - 92;
    const x = (t: number): number =>
      this.#left + 16 + Math.max(0, (t - first) / (last - first)) * Math.max(right - this.#left - 16, 10);
    const y = (line: number): number => 28 + line * this.#line;
    this.#drawTicks(pen, frame, first, last, x, y(this.#members.length));
    const place = new Map(this.#members.map((member) => [member.node, member]));
    pen.lineWidth = 1.2;
    for (const member of this.#members) {
      const from = place.get(member.parent);
      const at = member.parent < 0 && member.t <= first ? this.#left : x(member.t);
      if (from) {
        const start = from.parent < 0 && from.t <= first ? this.#left : x(from.t);
        pen.strokeStyle = palette.get;
        pen.globalAlpha = 0.65;
        pen.beginPath();
        pen.moveTo(start, y(from.line));
        pen.bezierCurveTo(start + 4, y(member.line), start + 4, y(member.line), at, y(member.line));
        pen.stroke();
        pen.globalAlpha = 1;
      }
      pen.fillStyle = from ? palette.get : palette.seed;
      pen.beginPath();
      pen.arc(at, y(member.line), this.#line >= 11 ? 3.5 : 2.4, 0, 7);
      pen.fill();
      if (this.#line < 11) continue;
      pen.fillStyle = palette.text;
      pen.textAlign = "left";
      pen.fillText(fitText(pen, nameOf(this.#app, member.node), this.#surface.width - at - 12), at + 7, y(member.line));
    }
    const depth = Math.max(...this.#members.map((member) => generations(member, place)));
    setText(
      this.#note,
      `Piece ${piece}: ${this.#members.length} nodes have it at ${seconds(frame.t)}, at most ${depth} ${depth === 1 ? "hand-over" : "hand-overs"} from one that had it from the start.`,
    );
  }

  #drawTicks(
    pen: CanvasRenderingContext2D,
    { palette }: Frame,
    first: number,
    last: number,
    x: (t: number) => number,
    bottom: number,
  ): void {
    const step = tickStep(last - first, 4);
    pen.textAlign = "center";
    for (let t = Math.ceil(first / step) * step; t <= last; t += step) {
      pen.fillStyle = palette.line;
      pen.fillRect(x(t), 18, 1, bottom - 18);
      pen.fillStyle = palette.muted;
      pen.fillText(tick(t, step), x(t), 9);
    }
  }

  #number(): number {
    return this.#app.view.piece ?? 0;
  }

  /** Who has the piece by now, parents before their children, siblings in the order of time. */
  #trace(frame: Frame, piece: number): Member[] {
    const { fold, store } = this.#app;
    const { file } = frame.view;
    const children = new Map<number, Member[]>();
    const holders = new Set<number>();
    const all: Member[] = [];
    this.#app.nodes().forEach((about, node) => {
      const how = about.file === file && piece < store.piecesOf(node) ? fold.have[fold.row[node] + piece] : LACKS;
      if (how === LACKS) return;
      holders.add(node);
      const held = how === HELD;
      all.push({
        node,
        t: held ? 0 : store.arrivals.t[how],
        parent: held ? -1 : store.arrivals.source[how],
        line: 0,
      });
    });
    for (const member of all) {
      if (!holders.has(member.parent)) member.parent = -1;
      const siblings = children.get(member.parent);
      if (siblings) siblings.push(member);
      else children.set(member.parent, [member]);
    }
    const result: Member[] = [];
    const seen = new Set<number>();
    const stack = (children.get(-1) ?? []).sort((a, b) => b.t - a.t);
    while (stack.length > 0) {
      const member = stack.pop() as Member;
      if (seen.has(member.node)) continue;
      seen.add(member.node);
      member.line = result.length;
      result.push(member);
      stack.push(...(children.get(member.node) ?? []).sort((a, b) => b.t - a.t));
    }
    return result;
  }

  #memberAt(event: MouseEvent): Member | undefined {
    const line = Math.round((this.#surface.at(event)[1] - 28) / this.#line);
    return this.#members[line];
  }

  #hover(event: PointerEvent): void {
    const member = this.#memberAt(event);
    if (!member) return this.#app.hint(null);
    const from =
      member.parent < 0
        ? "had it from the start, or from an unknown peer"
        : `from ${nameOf(this.#app, member.parent)} at ${seconds(member.t)}`;
    this.#app.hint(event, `${nameOf(this.#app, member.node)}: ${from}\nclick: why?`);
  }
}

function generations(member: Member, place: ReadonlyMap<number, Member>): number {
  let depth = 0;
  for (let at: Member | undefined = member; at && at.parent >= 0 && depth < 500; at = place.get(at.parent)) depth++;
  return depth;
}
