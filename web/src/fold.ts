import type { RunStore } from "./store";

/** In `have`: the node lacks the piece, or had it without an arrival. Other values are indices of arrivals. */
export const LACKS = -1;
export const HELD = -2;

/** The state of a run at one moment: every node's phase and pieces, and who has given what to whom. */
export class Fold {
  readonly store: RunStore;
  t = Number.NEGATIVE_INFINITY;
  /** Per node: the phase, "" before the first one. */
  phase: string[] = [];
  /** Per node: when the phase began. */
  since: Float64Array = new Float64Array(0);
  /** Per node: how many pieces it has. */
  count: Int32Array = new Int32Array(0);
  /** Per node, from `row[node]` on: one entry a piece. */
  have: Int32Array = new Int32Array(0);
  row: Int32Array = new Int32Array(0);
  /** Bytes from a source to a receiver, at `source * nodes + receiver`. */
  given: Float64Array = new Float64Array(0);

  #version = -1;
  #phaseAt = 0;
  #heldAt = 0;
  #arrivalAt = 0;
  #trafficAt = 0;
  #observed = new Set<number>();

  constructor(store: RunStore) {
    this.store = store;
  }

  get nodes(): number {
    return this.store.data.nodes.length;
  }

  /** Go to a moment. Forwards costs what lies between; backwards starts anew. */
  seek(t: number): void {
    if (t < this.t || this.#version !== this.store.version) this.#reset();
    this.t = t;
    const { phases, held, traffic } = this.store.data;
    const arrivals = this.store.arrivals;
    const n = this.nodes;
    for (;;) {
      const phaseTime = this.#phaseAt < phases.length ? phases[this.#phaseAt][0] : Infinity;
      const heldTime = this.#heldAt < held.length ? held[this.#heldAt][1] : Infinity;
      const arrivalTime = this.#arrivalAt < arrivals.length ? arrivals.t[this.#arrivalAt] : Infinity;
      const next = Math.min(phaseTime, heldTime, arrivalTime);
      if (next > t || next === Infinity) break;
      // A node that comes back has lost its pieces before it finds them again on its disk.
      if (phaseTime === next) this.#enter(phases[this.#phaseAt++]);
      else if (heldTime === next) this.#hold(held[this.#heldAt++]);
      else this.#arrive(this.#arrivalAt++);
    }
    for (; this.#trafficAt < traffic.length && traffic[this.#trafficAt][0] <= t; this.#trafficAt++) {
      const [, from, to, bytes] = traffic[this.#trafficAt];
      if (from >= 0 && to >= 0 && from < n && to < n) this.given[from * n + to] = bytes;
    }
  }

  isGone(node: number): boolean {
    return this.phase[node] === "gone";
  }

  /** The share of its file that a node has, or null where it reports no pieces. */
  share(node: number): number | null {
    const pieces = this.store.piecesOf(node);
    if (pieces > 0 && (this.count[node] > 0 || this.store.data.nodes[node].reports_pieces)) {
      return this.count[node] / pieces;
    }
    if (this.phase[node] === "seed") return 1;
    return null;
  }

  /** How many nodes that are up have each piece of a file. */
  availability(file: number): Int32Array {
    const pieces = this.store.piecesOfFile(file);
    const result = new Int32Array(pieces);
    for (let node = 0; node < this.nodes; node++) {
      if (this.store.data.nodes[node].file !== file || this.isGone(node)) continue;
      const from = this.row[node];
      for (let piece = 0; piece < pieces; piece++) if (this.have[from + piece] !== LACKS) result[piece]++;
    }
    return result;
  }

  #reset(): void {
    const n = this.nodes;
    this.#version = this.store.version;
    this.#phaseAt = this.#heldAt = this.#arrivalAt = this.#trafficAt = 0;
    this.phase = new Array<string>(n).fill("");
    this.since = new Float64Array(n);
    this.count = new Int32Array(n);
    this.row = new Int32Array(n + 1);
    for (let node = 0; node < n; node++) this.row[node + 1] = this.row[node] + this.store.piecesOf(node);
    if (this.have.length === this.row[n]) this.have.fill(LACKS);
    else this.have = new Int32Array(this.row[n]).fill(LACKS);
    if (this.given.length === n * n) this.given.fill(0);
    else this.given = new Float64Array(n * n);
    this.#observed = new Set(this.store.data.traffic.map(([, from, to]) => from * n + to));
  }

  #enter([time, node, phase]: readonly [number, number, string]): void {
    if (node < 0 || node >= this.nodes) return;
    if (this.phase[node] === "gone" && phase !== "gone") {
      this.have.fill(LACKS, this.row[node], this.row[node + 1]);
      this.count[node] = 0;
    }
    this.phase[node] = phase;
    this.since[node] = time;
  }

  #hold([node, , pieces]: readonly [number, number, "all" | number[]]): void {
    if (node < 0 || node >= this.nodes) return;
    const all = this.row[node + 1] - this.row[node];
    if (pieces === "all") for (let piece = 0; piece < all; piece++) this.#get(node, piece, HELD);
    else for (const piece of pieces) this.#get(node, piece, HELD);
  }

  #arrive(index: number): void {
    const { node: nodes, piece: pieces, source: sources } = this.store.arrivals;
    const node = nodes[index];
    if (node < 0 || node >= this.nodes) return;
    this.#get(node, pieces[index], index);
    const source = sources[index];
    if (source < 0 || source >= this.nodes) return;
    const pair = source * this.nodes + node;
    if (this.#observed.has(pair)) return;
    this.given[pair] += this.store.pieceBytes(this.store.data.nodes[node].file, pieces[index]);
  }

  #get(node: number, piece: number, how: number): void {
    const at = this.row[node] + piece;
    if (piece < 0 || at >= this.row[node + 1]) return;
    if (this.have[at] === LACKS) this.count[node]++;
    this.have[at] = how;
  }
}
