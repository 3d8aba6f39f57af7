import type { RunStore } from "./store";

/** Bytes of a directed pair in the second before `t`; key is `from * nodes + to`. */
export function lastSecond(store: RunStore, t: number, window = 1000): Map<number, number> {
  const n = store.data.nodes.length;
  const result = new Map<number, number>();
  const observed = observedPairs(store);
  const { traffic } = store.data;
  if (traffic.length > 0) {
    const first = new Map<number, number>();
    for (const [time, from, to, bytes] of traffic) {
      if (time > t) break;
      const pair = from * n + to;
      if (time <= t - window) first.set(pair, bytes);
      else result.set(pair, bytes - (first.get(pair) ?? 0));
    }
  }
  const { arrivals } = store;
  for (let i = arrivals.after(t - window); i < arrivals.length && arrivals.t[i] <= t; i++) {
    const [from, to] = [arrivals.source[i], arrivals.node[i]];
    if (from < 0 || from >= n || to < 0 || to >= n) continue;
    const pair = from * n + to;
    if (observed.has(pair)) continue;
    result.set(pair, (result.get(pair) ?? 0) + store.pieceBytes(store.data.nodes[to].file, arrivals.piece[i]));
  }
  return result;
}

let known: { store: RunStore; version: number; pairs: Set<number> } | null = null;

function observedPairs(store: RunStore): Set<number> {
  if (known?.store !== store || known.version !== store.version) {
    const n = store.data.nodes.length;
    known = { store, version: store.version, pairs: new Set(store.data.traffic.map(([, a, b]) => a * n + b)) };
  }
  return known.pairs;
}

export interface Series {
  from: number;
  /** Milliseconds of one bin. */
  step: number;
  /** Bits a second, a bin. */
  values: Float64Array;
}

export type Direction = "down" | "up";

/** Rates over time of some receivers or senders, each value the mean of the second before. */
export function rates(
  store: RunStore,
  nodes: ReadonlySet<number>,
  direction: Direction,
  from: number,
  to: number,
  bins: number,
  partners: ReadonlySet<number> | null = null,
): Series {
  const step = Math.max((to - from) / bins, 1);
  const window = Math.max(1, Math.round(1000 / step));
  // Bins before the first that is shown, so that its mean is right.
  const extra = window;
  const raw = new Float64Array(bins + extra);
  const n = store.data.nodes.length;
  const observed = observedPairs(store);
  const add = (time: number, amount: number): void => {
    const bin = Math.floor((time - from) / step) + extra;
    if (bin >= 0 && bin < raw.length) raw[bin] += amount;
  };
  const { t, node, source, piece, length } = store.arrivals;
  for (let i = store.arrivals.after(from - 1001); i < length && t[i] <= to; i++) {
    const mine = direction === "down" ? node[i] : source[i];
    if (!nodes.has(mine) || (partners && !partners.has(direction === "down" ? source[i] : node[i]))) continue;
    if (observed.has(source[i] * n + node[i])) continue;
    add(t[i], store.pieceBytes(store.data.nodes[node[i]]?.file ?? -1, piece[i]));
  }
  const last = new Map<number, readonly [number, number]>();
  for (const [time, sender, receiver, bytes] of store.data.traffic) {
    const pair = sender * n + receiver;
    const before = last.get(pair) ?? [time, 0];
    last.set(pair, [time, bytes]);
    if (!nodes.has(direction === "down" ? receiver : sender)) continue;
    if (partners && !partners.has(direction === "down" ? sender : receiver)) continue;
    add(time, bytes - before[1]);
  }
  const values = new Float64Array(bins);
  let sum = 0;
  for (let bin = 0; bin < raw.length; bin++) {
    sum += raw[bin];
    if (bin >= window) sum -= raw[bin - window];
    if (bin >= extra) values[bin - extra] = (Math.max(sum, 0) * 8000) / (window * step);
  }
  return { from, step, values };
}
