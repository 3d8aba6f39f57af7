import type { RunNode } from "../document";
import { Fold } from "../fold";
import { plain } from "../format";
import type { RunStore } from "../store";
import type { View, WhyTarget } from "../view_state";
import { Patterns, type Palette } from "./palette";

/** What every panel needs to draw one frame. */
export interface Frame {
  t: number;
  from: number;
  to: number;
  palette: Palette;
  view: View;
}

export interface Panel {
  readonly section: HTMLElement;
  draw(frame: Frame): void;
}

export interface Run {
  store: RunStore;
  fold: Fold;
}

/** What panels may ask of the page. */
export interface App {
  readonly store: RunStore;
  readonly fold: Fold;
  /** The second run of `--against`, on the same clock. */
  readonly against: Run | null;
  readonly patterns: Patterns;
  readonly view: View;
  readonly playing: boolean;
  readonly calm: boolean;
  nodes(): RunNode[];
  set(changes: Partial<View>): void;
  /** Move the playhead, and stop the replay. */
  go(t: number): void;
  select(node: number, add: boolean): void;
  why(target: WhyTarget): void;
  hint(event: PointerEvent | null, text?: string): void;
  announce(text: string): void;
  redraw(): void;
}

export function nameOf(app: App, node: number): string {
  return node < 0 ? "unknown" : plain(app.nodes()[node]?.name ?? "unknown");
}

/** Gutter of the names, left of everything that has the page's time axis. */
export function gutter(width: number): number {
  return width < 600 ? 84 : 132;
}

export const RIGHT = 14;

export class TimeScale {
  readonly left: number;
  readonly right: number;
  readonly from: number;
  readonly to: number;

  constructor(width: number, from: number, to: number, left = gutter(width)) {
    this.left = left;
    this.right = Math.max(width - RIGHT, this.left + 10);
    this.from = from;
    this.to = Math.max(to, from + 1);
  }

  x(t: number): number {
    return this.left + ((t - this.from) / (this.to - this.from)) * (this.right - this.left);
  }

  t(x: number): number {
    return this.from + ((x - this.left) / (this.right - this.left)) * (this.to - this.from);
  }

  clampX(t: number): number {
    return Math.min(Math.max(this.x(t), this.left), this.right);
  }
}
