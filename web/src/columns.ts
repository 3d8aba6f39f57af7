import type { Arrivals } from "./document";

/** The arrivals of a run in the order of time, node, piece; four growing columns of int32. */
export class Columns {
  length = 0;
  t = new Int32Array(1024);
  node = new Int32Array(1024);
  piece = new Int32Array(1024);
  source = new Int32Array(1024);

  constructor(arrivals?: Arrivals) {
    if (arrivals !== undefined) this.add(arrivals);
  }

  add(more: Arrivals): void {
    this.#reserve(this.length + more.t.length);
    for (let i = 0; i < more.t.length; i++) {
      this.#insert(more.t[i], more.node[i], more.piece[i], more.source[i]);
    }
  }

  /** Index of the first arrival later than `time`. */
  after(time: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.t[middle] <= time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  plain(): { t: number[]; node: number[]; piece: number[]; source: number[] } {
    const cut = (column: Int32Array): number[] => Array.from(column.subarray(0, this.length));
    return { t: cut(this.t), node: cut(this.node), piece: cut(this.piece), source: cut(this.source) };
  }

  /** Peers report a few times a second, so that an arrival may come somewhat after later ones. */
  #insert(t: number, node: number, piece: number, source: number): void {
    let at = this.length;
    while (at > 0 && this.#isAfter(at - 1, t, node, piece)) at--;
    if (at < this.length) {
      for (const column of [this.t, this.node, this.piece, this.source]) column.copyWithin(at + 1, at, this.length);
    }
    this.t[at] = t;
    this.node[at] = node;
    this.piece[at] = piece;
    this.source[at] = source;
    this.length++;
  }

  #isAfter(index: number, t: number, node: number, piece: number): boolean {
    if (this.t[index] !== t) return this.t[index] > t;
    if (this.node[index] !== node) return this.node[index] > node;
    return this.piece[index] > piece;
  }

  #reserve(wanted: number): void {
    if (wanted <= this.t.length) return;
    const size = Math.max(wanted, this.t.length * 2);
    const grow = (old: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> => {
      const larger = new Int32Array(size);
      larger.set(old.subarray(0, this.length));
      return larger;
    };
    this.t = grow(this.t);
    this.node = grow(this.node);
    this.piece = grow(this.piece);
    this.source = grow(this.source);
  }
}
