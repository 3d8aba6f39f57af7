// Colours come from the style sheet's variables, so that light, dark and forced colours are decided in one place.

export interface Palette {
  background: string;
  panel: string;
  text: string;
  muted: string;
  line: string;
  get: string;
  seed: string;
  waiting: string;
  paused: string;
  fault: string;
  impair: string;
  accent: string;
  against: string;
  dark: boolean;
  forced: boolean;
  /** Changes with the colours. */
  key: string;
}

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const variable = (name: string): string => style.getPropertyValue(`--${name}`).trim() || "CanvasText";
  return {
    background: variable("bg"),
    panel: variable("panel"),
    text: variable("fg"),
    muted: variable("muted"),
    line: variable("line"),
    get: variable("get"),
    seed: variable("seed"),
    waiting: variable("waiting"),
    paused: variable("paused"),
    fault: variable("fault"),
    impair: variable("impair"),
    accent: variable("accent"),
    against: variable("against"),
    dark: variable("scheme") === "dark",
    forced: variable("scheme") === "forced",
    key: `${variable("scheme")} ${devicePixelRatio}`,
  };
}

export type PatternName = "solid" | "dots" | "diagonal" | "back" | "vertical" | "cross" | "missing" | "none";
const CELL = 8;

/** Patterns say what hues say, for those who do not see them, and on paper. */
export class Patterns {
  readonly #made = new Map<string, CanvasPattern | string>();

  /** A fill of `color`; its pattern is cut out in `background`. */
  fill(
    context: CanvasRenderingContext2D,
    name: PatternName,
    color: string,
    background: string,
  ): CanvasPattern | string {
    if (name === "solid") return color;
    const key = `${name} ${color} ${background}`;
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const tile = document.createElement("canvas");
    const scale = Math.max(1, Math.round(devicePixelRatio || 1));
    tile.width = tile.height = CELL * scale;
    const pen = tile.getContext("2d");
    if (pen === null) return color;
    pen.scale(scale, scale);
    if (background !== "transparent") {
      pen.fillStyle = background;
      pen.fillRect(0, 0, CELL, CELL);
    }
    pen.fillStyle = pen.strokeStyle = color;
    pen.lineWidth = 1.6;
    drawTile(pen, name);
    const pattern = context.createPattern(tile, "repeat");
    pattern?.setTransform(new DOMMatrix().scale(1 / scale));
    this.#made.set(key, pattern ?? color);
    return pattern ?? color;
  }

  clear(): void {
    this.#made.clear();
  }
}

function drawTile(pen: CanvasRenderingContext2D, name: PatternName): void {
  const lines = (draw: (offset: number) => void): void => [-CELL, 0, CELL].forEach(draw);
  pen.beginPath();
  switch (name) {
    case "dots":
      pen.fillRect(1, 1, 1.6, 1.6);
      pen.fillRect(5, 5, 1.6, 1.6);
      break;
    case "diagonal":
    case "missing":
      lines((offset) => (pen.moveTo(offset, CELL), pen.lineTo(offset + CELL, 0)));
      break;
    case "back":
      lines((offset) => (pen.moveTo(offset, 0), pen.lineTo(offset + CELL, CELL)));
      break;
    case "vertical":
      lines((offset) => (pen.moveTo(offset + 2, 0), pen.lineTo(offset + 2, CELL)));
      break;
    case "cross":
      lines((offset) => (pen.moveTo(offset, CELL), pen.lineTo(offset + CELL, 0)));
      lines((offset) => (pen.moveTo(offset, 0), pen.lineTo(offset + CELL, CELL)));
      break;
  }
  pen.stroke();
}

/** What a phase looks like: hue and pattern. */
export const PHASES: Record<string, { color: keyof Palette; pattern: PatternName; says: string }> = {
  created: { color: "line", pattern: "dots", says: "not started" },
  waiting: { color: "waiting", pattern: "dots", says: "waiting" },
  get: { color: "get", pattern: "diagonal", says: "downloading" },
  seed: { color: "seed", pattern: "solid", says: "has the file, serves it" },
  paused: { color: "paused", pattern: "vertical", says: "paused" },
  up: { color: "waiting", pattern: "none", says: "up" },
  gone: { color: "muted", pattern: "cross", says: "gone" },
};

export function phaseSays(phase: string): string {
  return phase === "" ? "not started" : (PHASES[phase]?.says ?? phase);
}
