import { element } from "./dom";

export const FONT = '12px system-ui, -apple-system, "Segoe UI", sans-serif';
export const SMALL = '10.5px system-ui, -apple-system, "Segoe UI", sans-serif';

/** A canvas that is as wide as its place, sharp on every display, and keeps a picture of what changes seldom. */
export class Surface {
  readonly canvas: HTMLCanvasElement;
  readonly pen: CanvasRenderingContext2D;
  width = 0;
  height = 0;
  visible = true;
  #still: HTMLCanvasElement | null = null;
  #stillKey = "";

  constructor(label: string, redraw: () => void, attributes: Record<string, string> = {}) {
    this.canvas = element("canvas", { role: "img", "aria-label": label, ...attributes });
    const pen = this.canvas.getContext("2d");
    if (pen === null) throw new Error("This browser has no canvas.");
    this.pen = pen;
    if (typeof IntersectionObserver !== "undefined") {
      new IntersectionObserver(
        (entries) => {
          this.visible = entries[entries.length - 1].isIntersecting;
          if (this.visible) redraw();
        },
        { rootMargin: "200px" },
      ).observe(this.canvas);
    }
    if (typeof ResizeObserver !== "undefined") new ResizeObserver(redraw).observe(this.canvas);
  }

  /** Take the width of the place and a height; clear. */
  begin(height: number): CanvasRenderingContext2D {
    const ratio = devicePixelRatio || 1;
    this.width = Math.max(this.canvas.clientWidth, 60);
    this.height = Math.max(Math.round(height), 1);
    const [wide, high] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      this.canvas.width = wide;
      this.canvas.height = high;
      this.canvas.style.height = `${this.height}px`;
    }
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.pen.clearRect(0, 0, this.width, this.height);
    this.pen.font = FONT;
    this.pen.textBaseline = "middle";
    return this.pen;
  }

  /** Draw what depends on `key` alone once, and copy it from then on. */
  still(key: string, draw: (pen: CanvasRenderingContext2D) => void): void {
    const full = `${key} ${this.canvas.width} ${this.canvas.height}`;
    if (this.#still === null || this.#stillKey !== full) {
      this.#still ??= document.createElement("canvas");
      this.#still.width = this.canvas.width;
      this.#still.height = this.canvas.height;
      const pen = this.#still.getContext("2d");
      if (pen === null) return;
      const ratio = devicePixelRatio || 1;
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.font = FONT;
      pen.textBaseline = "middle";
      draw(pen);
      this.#stillKey = full;
    }
    this.pen.save();
    this.pen.setTransform(1, 0, 0, 1, 0, 0);
    this.pen.drawImage(this.#still, 0, 0);
    this.pen.restore();
  }

  /** Where a pointer is, in the units that are drawn in. */
  at(event: PointerEvent | MouseEvent): [number, number] {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }
}

export function drawPlayhead(
  pen: CanvasRenderingContext2D,
  x: number,
  top: number,
  bottom: number,
  color: string,
): void {
  pen.strokeStyle = color;
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.moveTo(x, top);
  pen.lineTo(x, bottom);
  pen.stroke();
}

/** Clip text to a width, with an ellipsis. */
export function fitText(pen: CanvasRenderingContext2D, text: string, width: number): string {
  if (pen.measureText(text).width <= width) return text;
  let [low, high] = [0, Math.min(text.length, 200)];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pen.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return low > 0 ? `${text.slice(0, low)}…` : "";
}
