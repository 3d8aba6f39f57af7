// The run document, version 1: what Python's lab/report/run_document.py writes and this viewer reads.
// Times are milliseconds after t = 0; nodes are indices into `nodes`; -1 is unknown.

export interface Run {
  scenario: string;
  about: string;
  verdict: string;
  exit_code: number | null;
  error: string | null;
  notes: string[];
  began: string;
  duration: number;
  seed: number | null;
  parameters: Record<string, unknown>;
  time_limit: number | null;
  environment: Record<string, unknown>;
  command: string;
  touched: boolean;
  live: boolean;
}

export interface SharedFile {
  name: string;
  size: number;
  pieces: number;
  piece_length: number;
  sha256: string | null;
}

export interface RunNode {
  name: string;
  role: string;
  group: string;
  address: string | null;
  file: number;
  start: number;
  strategy: string | null;
  client: string | null;
  reports_pieces: boolean;
}

export interface Caps {
  nodes: number[];
  uplink: number | null;
  downlink: number | null;
}

export interface Answer {
  node: number;
  passed: boolean | null;
  judged: boolean;
  measured: string | number | null;
  time: number | null;
  look: string | null;
}

export interface Expectation {
  text: string;
  says: string;
  where: string | null;
  level: string;
  passed: boolean | null;
  judged: boolean;
  deadline: number | null;
  answers: Answer[];
}

export interface Fault {
  id: number;
  kind: string;
  name: string | null;
  text: string;
  nodes: number[];
  pairs: [number, number][];
  qualities: Record<string, unknown>;
  planned: number | null;
  began: number;
  applied: number | null;
  ended: number | null;
  /** What it did, as it was measured: "62 packets stopped". */
  measured: string | null;
  error: string | null;
  where: string | null;
}

export type Mark = [time: number, node: number, kind: string, peer: number, text: string];
export type PhaseRow = [time: number, node: number, phase: string];
export type TrafficRow = [time: number, from: number, to: number, bytes: number];
export type HeldRow = [node: number, time: number, pieces: "all" | number[]];
export type LogRow = [time: number, node: number, text: string];
export type RuleRow = [fault: number, node: number, text: string];

/** Verified pieces, one an index; the four columns are equally long. `t` is absolute. */
export interface Arrivals {
  t: ArrayLike<number>;
  node: ArrayLike<number>;
  piece: ArrayLike<number>;
  source: ArrayLike<number>;
}

/** The columns as they stand in report.html: base64 of gzip of little-endian int32, `t` as deltas. */
export interface PackedColumns {
  n: number;
  gz: string;
}

export interface RunDocument {
  version: number;
  seq?: number;
  run: Run;
  files: SharedFile[];
  nodes: RunNode[];
  caps: Caps[];
  expectations: Expectation[];
  faults: Fault[];
  marks: Mark[];
  phases: PhaseRow[];
  traffic: TrafficRow[];
  arrivals: Arrivals;
  held: HeldRow[];
  binned: { piece_bin: number; text: string } | null;
  logs: LogRow[];
  logs_dropped: number;
  rules: RuleRow[];
  bound: { text: string; t: number } | null;
}

/** What a live page receives: only what is new, or the whole of a list that is short. */
export interface Delta {
  marks?: Mark[];
  phases?: PhaseRow[];
  arrivals?: Arrivals;
  traffic?: TrafficRow[];
  logs?: LogRow[];
  faults?: Fault[];
  expectations?: Expectation[];
  held?: HeldRow[];
  rules?: RuleRow[];
  nodes?: RunNode[];
  files?: SharedFile[];
  run?: Partial<Run>;
}

const EMPTY_RUN: Run = {
  scenario: "",
  about: "",
  verdict: "not judged",
  exit_code: null,
  error: null,
  notes: [],
  began: "",
  duration: 0,
  seed: null,
  parameters: {},
  time_limit: null,
  environment: {},
  command: "",
  touched: false,
  live: false,
};

const EMPTY_NODE: RunNode = {
  name: "?",
  role: "program",
  group: "",
  address: null,
  file: -1,
  start: 0,
  strategy: null,
  client: null,
  reports_pieces: false,
};

const EMPTY_FAULT: Fault = {
  id: 0,
  kind: "",
  name: null,
  text: "",
  nodes: [],
  pairs: [],
  qualities: {},
  planned: null,
  began: 0,
  applied: null,
  ended: null,
  measured: null,
  error: null,
  where: null,
};

export const NO_ARRIVALS: Arrivals = { t: [], node: [], piece: [], source: [] };

function list<T>(value: unknown): T[] {
  return Array.isArray(value) ? (value as T[]) : [];
}

function withoutNulls<T extends object>(value: T | null | undefined): Partial<T> {
  return Object.fromEntries(Object.entries(value ?? {}).filter(([, item]) => item !== undefined)) as Partial<T>;
}

/** Fill in what an older or half-written record lacks, so that every view may rely on the shape. */
export function complete(raw: unknown): RunDocument {
  if (typeof raw !== "object" || raw === null) {
    throw new Error("The run document is not an object: write the report again with `torrentnet report`.");
  }
  const given = raw as Partial<RunDocument>;
  if (given.version !== undefined && given.version !== 1) {
    throw new Error(
      `The run document has version ${String(given.version)}; this viewer reads version 1. Write the report again with \`torrentnet report\`.`,
    );
  }
  const faults = list<Fault>(given.faults).map((fault, index) => ({
    ...EMPTY_FAULT,
    id: index,
    ...withoutNulls(fault),
  }));
  return {
    version: 1,
    seq: given.seq,
    run: { ...EMPTY_RUN, ...withoutNulls(given.run) },
    files: list<SharedFile>(given.files),
    nodes: list<RunNode>(given.nodes).map((node) => ({ ...EMPTY_NODE, ...withoutNulls(node) })),
    caps: list<Caps>(given.caps),
    expectations: list<Expectation>(given.expectations).map((item) => ({
      ...item,
      answers: list<Answer>(item.answers),
    })),
    faults,
    marks: list<Mark>(given.marks),
    phases: list<PhaseRow>(given.phases),
    traffic: list<TrafficRow>(given.traffic),
    arrivals: given.arrivals ?? NO_ARRIVALS,
    held: list<HeldRow>(given.held),
    binned: given.binned ?? null,
    logs: list<LogRow>(given.logs),
    logs_dropped: given.logs_dropped ?? 0,
    rules: list<RuleRow>(given.rules),
    bound: given.bound ?? null,
  };
}

function isPacked(value: unknown): value is PackedColumns {
  return typeof value === "object" && value !== null && typeof (value as PackedColumns).gz === "string";
}

async function unpack(packed: PackedColumns): Promise<Arrivals> {
  const bytes = Uint8Array.from(atob(packed.gz), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const view = new DataView(await new Response(stream).arrayBuffer());
  const n = packed.n;
  if (view.byteLength !== n * 16) {
    throw new Error(`The pieces of this report are damaged: ${view.byteLength} bytes instead of ${n * 16}.`);
  }
  const column = (index: number): Int32Array => {
    const numbers = new Int32Array(n);
    for (let i = 0; i < n; i++) numbers[i] = view.getInt32((index * n + i) * 4, true);
    return numbers;
  };
  const t = column(0);
  for (let i = 1; i < n; i++) t[i] += t[i - 1];
  return { t, node: column(1), piece: column(2), source: column(3) };
}

/** Read a document as it is embedded or served: complete, its columns unpacked. Plain columns have absolute times. */
export async function decode(raw: unknown): Promise<RunDocument> {
  const run = complete(raw);
  const columns: unknown = run.arrivals;
  run.arrivals = isPacked(columns) ? await unpack(columns) : (columns as Arrivals);
  return run;
}
