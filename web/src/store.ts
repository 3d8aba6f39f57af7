import { Columns } from "./columns";
import type { Caps, Delta, Fault, RunDocument } from "./document";

/** Log lines that a live page keeps; a report has fewer. */
export const MOST_LOGS = 30_000;

type Timed = readonly [number, ...unknown[]];

function compare(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const left = String(a);
  const right = String(b);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Rows by time, then node, then the rest: the same order however they came. Log lines keep theirs. */
function byRow(a: Timed, b: Timed): number {
  for (let i = 0; i < a.length; i++) {
    const order = compare(a[i], b[i]);
    if (order !== 0) return order;
  }
  return 0;
}

const byTimeAndNode = (a: Timed, b: Timed): number => a[0] - b[0] || (a[1] as number) - (b[1] as number);

/** One run's data, as far as it is known. A live page adds deltas; a report has all of it from the start. */
export class RunStore {
  data: RunDocument;
  arrivals: Columns;
  /** Changes whenever the data do. */
  version = 0;

  constructor(document: RunDocument) {
    this.data = {
      ...document,
      marks: document.marks.toSorted(byRow),
      phases: document.phases.toSorted(byRow),
      traffic: document.traffic.toSorted(byRow),
      logs: document.logs.toSorted(byTimeAndNode),
      held: document.held.toSorted((a, b) => a[1] - b[1] || a[0] - b[0]),
      faults: document.faults.toSorted((a, b) => a.id - b.id),
    };
    this.arrivals = new Columns(document.arrivals);
  }

  /** Begin anew with another document of the same run. */
  replace(document: RunDocument): void {
    const fresh = new RunStore(document);
    this.data = fresh.data;
    this.arrivals = fresh.arrivals;
    this.version++;
  }

  apply(delta: Delta): void {
    const data = this.data;
    if (delta.nodes) data.nodes = delta.nodes;
    if (delta.files) data.files = delta.files;
    if (delta.run) data.run = { ...data.run, ...delta.run };
    if (delta.marks?.length) data.marks = merge(data.marks, delta.marks, byRow);
    if (delta.phases?.length) data.phases = merge(data.phases, delta.phases, byRow);
    if (delta.traffic?.length) data.traffic = merge(data.traffic, delta.traffic, byRow);
    if (delta.logs?.length) {
      data.logs = merge(data.logs, delta.logs, byTimeAndNode);
      const over = data.logs.length - MOST_LOGS;
      if (over > 0) {
        // Some more than needed, so that not every message moves all lines.
        data.logs_dropped += data.logs.splice(0, over + MOST_LOGS / 10).length;
      }
    }
    if (delta.held?.length) data.held = data.held.concat(delta.held).sort((a, b) => a[1] - b[1] || a[0] - b[0]);
    if (delta.rules?.length) data.rules = data.rules.concat(delta.rules);
    if (delta.arrivals) this.arrivals.add(delta.arrivals);
    if (delta.expectations) data.expectations = delta.expectations;
    if (delta.faults?.length) {
      const byId = new Map<number, Fault>(data.faults.map((fault) => [fault.id, fault]));
      for (const fault of delta.faults) byId.set(fault.id, fault);
      data.faults = [...byId.values()].sort((a, b) => a.id - b.id);
    }
    this.version++;
  }

  /** What is known by now, as a document: equal to the one that a server gives after the same deltas. */
  snapshot(): RunDocument {
    return { ...this.data, arrivals: this.arrivals.plain() };
  }

  /** The time of the newest thing that has happened. */
  newest(): number {
    const { marks, phases, logs } = this.data;
    const arrived = this.arrivals.length > 0 ? this.arrivals.t[this.arrivals.length - 1] : 0;
    return Math.max(arrived, marks.at(-1)?.[0] ?? 0, phases.at(-1)?.[0] ?? 0, logs.at(-1)?.[0] ?? 0);
  }

  /** The first and the last millisecond that a view shows. */
  span(): [number, number] {
    const { run, marks, phases, logs, faults, bound } = this.data;
    let end = Math.max(run.duration, 1000);
    let start = 0;
    const see = (time: number | null | undefined): void => {
      if (time === null || time === undefined || !Number.isFinite(time)) return;
      if (time > end) end = time;
      if (time < start) start = time;
    };
    see(marks.at(-1)?.[0]);
    see(phases.at(-1)?.[0]);
    if (this.arrivals.length > 0) see(this.arrivals.t[this.arrivals.length - 1]);
    if (run.live) see(logs.at(-1)?.[0]);
    for (const fault of faults) {
      see(fault.began);
      see(fault.ended);
    }
    see(marks[0]?.[0]);
    if (bound) see(Math.min(bound.t, end * 2));
    // Nothing of interest happens in the minutes before t = 0 in which an image is built.
    return [Math.max(start, -5000), end];
  }

  /** Pieces of a node's file as this document counts them: joined ones count as one. */
  piecesOf(node: number): number {
    return this.piecesOfFile(this.data.nodes[node]?.file ?? -1);
  }

  piecesOfFile(file: number): number {
    const pieces = this.data.files[file]?.pieces ?? 0;
    return Math.ceil(pieces / (this.data.binned?.piece_bin ?? 1));
  }

  pieceBytes(file: number, piece: number): number {
    const shared = this.data.files[file];
    if (shared === undefined || shared.piece_length <= 0) return 0;
    const length = shared.piece_length * (this.data.binned?.piece_bin ?? 1);
    return piece < 0 ? length : Math.max(0, Math.min(length, shared.size - piece * length));
  }

  capsOf(node: number): Caps | undefined {
    return this.data.caps.findLast((caps) => caps.nodes.includes(node));
  }
}

function merge<T extends Timed>(rows: T[], more: T[], order: (a: Timed, b: Timed) => number): T[] {
  const last = rows.at(-1);
  const sorted = more.length > 1 ? more.toSorted(order) : more;
  if (last === undefined || order(last, sorted[0]) <= 0) {
    rows.push(...sorted);
    return rows;
  }
  return rows.concat(sorted).sort(order);
}
