// Everything that a person can set in the viewer. It is what the URL's fragment holds.

export const SPEEDS = [0.5, 1, 2, 4, 8, 16, 32, 64] as const;
export const HEAT_MODES = ["arrival", "source", "availability"] as const;
export const THEMES = ["auto", "light", "dark"] as const;
export type HeatMode = (typeof HEAT_MODES)[number];
export type Theme = (typeof THEMES)[number];

/** What "Why?" was asked about; nodes by name, so that a link keeps its meaning. */
export type WhyTarget =
  | { about: "piece"; node: string; piece: number }
  | { about: "link"; from: string; to: string }
  | { about: "gap"; node: string; t: number };

export interface View {
  /** The playhead; null is the end, or now on a live page. */
  t: number | null;
  speed: number;
  /** The part of the time axis that is shown; null is all of it. */
  range: [number, number] | null;
  selected: ReadonlySet<string>;
  heat: HeatMode;
  file: number;
  piece: number | null;
  filter: string;
  /** Log lines of the selected nodes only. */
  onlySelected: boolean;
  why: WhyTarget | null;
  theme: Theme;
  /** Stop before each fault and ask what it will do. */
  predict: boolean;
}

export function initialView(): View {
  return {
    t: null,
    speed: 1,
    range: null,
    selected: new Set(),
    heat: "arrival",
    file: 0,
    piece: null,
    filter: "",
    onlySelected: false,
    why: null,
    theme: "auto",
    predict: false,
  };
}

/** The fragment of a view, without "#"; what is as in the beginning is left out. */
export function formatFragment(view: View): string {
  const start = initialView();
  const parts = new URLSearchParams();
  if (view.t !== null) parts.set("t", String(Math.round(view.t)));
  if (view.speed !== start.speed) parts.set("speed", String(view.speed));
  if (view.range) parts.set("range", view.range.map(Math.round).join("to"));
  for (const name of view.selected) parts.append("node", name);
  if (view.heat !== start.heat) parts.set("heat", view.heat);
  if (view.file !== start.file) parts.set("file", String(view.file));
  if (view.piece !== null) parts.set("piece", String(view.piece));
  if (view.filter) parts.set("logs", view.filter);
  if (view.onlySelected) parts.set("lines", "selected");
  if (view.theme !== start.theme) parts.set("theme", view.theme);
  if (view.predict) parts.set("predict", "1");
  const why = view.why;
  if (why) {
    parts.set("why", why.about);
    if (why.about === "piece") (parts.set("of", why.node), parts.set("number", String(why.piece)));
    if (why.about === "link") (parts.set("from", why.from), parts.set("to", why.to));
    if (why.about === "gap") (parts.set("of", why.node), parts.set("at", String(Math.round(why.t))));
  }
  return parts.toString();
}

/** Read a fragment; whatever it does not understand is as in the beginning. */
export function parseFragment(fragment: string): View {
  const parts = new URLSearchParams(fragment.replace(/^#/, ""));
  const view = initialView();
  const number = (key: string): number | null => {
    const text = parts.get(key);
    const value = text === null || text.trim() === "" ? Number.NaN : Number(text);
    return Number.isFinite(value) ? value : null;
  };
  view.t = number("t");
  const speed = number("speed");
  if (speed !== null && (SPEEDS as readonly number[]).includes(speed)) view.speed = speed;
  const range = /^(-?\d+)to(-?\d+)$/.exec(parts.get("range") ?? "");
  if (range && Number(range[1]) < Number(range[2])) view.range = [Number(range[1]), Number(range[2])];
  view.selected = new Set(parts.getAll("node"));
  view.heat = oneOf(HEAT_MODES, parts.get("heat")) ?? view.heat;
  view.theme = oneOf(THEMES, parts.get("theme")) ?? view.theme;
  view.file = Math.max(0, Math.trunc(number("file") ?? 0));
  const piece = number("piece");
  view.piece = piece === null ? null : Math.max(0, Math.trunc(piece));
  view.filter = (parts.get("logs") ?? "").slice(0, 200);
  view.onlySelected = parts.get("lines") === "selected";
  view.predict = parts.get("predict") === "1";
  view.why = readWhy(parts, number);
  return view;
}

function readWhy(parts: URLSearchParams, number: (key: string) => number | null): WhyTarget | null {
  const node = parts.get("of");
  const [from, to] = [parts.get("from"), parts.get("to")];
  const [piece, at] = [number("number"), number("at")];
  switch (parts.get("why")) {
    case "piece":
      return node !== null && piece !== null ? { about: "piece", node, piece: Math.trunc(piece) } : null;
    case "link":
      return from !== null && to !== null ? { about: "link", from, to } : null;
    case "gap":
      return node !== null && at !== null ? { about: "gap", node, t: at } : null;
    default:
      return null;
  }
}

function oneOf<T extends string>(values: readonly T[], text: string | null): T | undefined {
  return values.find((value) => value === text);
}
