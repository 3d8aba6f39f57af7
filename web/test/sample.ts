// Runs made up for the tests: small enough to reckon by hand, or as large as the budget.
import { complete, type Arrivals, type Delta, type RunDocument } from "../src/document";

/** A repeatable stream of numbers in [0, 1). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** `count` leechers and one seeder; every leecher gets every piece, one after the other, from somebody who has it. */
export function swarm(count: number, pieces: number, seed = 1): RunDocument {
  const next = random(seed);
  const nodes = Array.from({ length: count + 1 }, (_, index) => ({
    name: index === 0 ? "seeder" : `leecher-${index}`,
    role: index === 0 ? "share" : "get",
    group: index === 0 ? "seeder" : "leecher",
    file: 0,
    reports_pieces: true,
  }));
  const arrivals = { t: [] as number[], node: [] as number[], piece: [] as number[], source: [] as number[] };
  for (let piece = 0; piece < pieces; piece++) {
    const holders = [0];
    for (let node = 1; node <= count; node++) {
      arrivals.t.push(1000 + piece * 20 + Math.floor(next() * 18));
      arrivals.node.push(node);
      arrivals.piece.push(piece);
      arrivals.source.push(holders[Math.floor(next() * holders.length)]);
      holders.push(node);
    }
  }
  const end = 1000 + pieces * 20;
  return complete({
    version: 1,
    run: { scenario: "made up", duration: end + 500, verdict: "passed" },
    files: [{ name: "file", size: pieces * 1000 - 1, pieces, piece_length: 1000, sha256: "00" }],
    nodes,
    phases: nodes.flatMap((_, node) =>
      node === 0
        ? [[0, 0, "seed"] as [number, number, string]]
        : ([
            [0, node, "waiting"],
            [1000, node, "get"],
            [end, node, "seed"],
          ] as [number, number, string][]),
    ),
    held: [[0, 0, "all"]],
    faults: [{ id: 0, kind: "partition", text: "cut", pairs: [[0, 1]], began: 1200, applied: 1210, ended: 1400 }],
    marks: [
      [end, 1, "completed", -1, ""],
      [1200, 1, "lost", 0, "silent"],
    ],
    logs: [[1200, 1, "source lost"]],
    arrivals,
  });
}

/** The same run as a stream: what happened in each of `parts` stretches of time. */
export function asDeltas(run: RunDocument, parts: number): { empty: RunDocument; deltas: Delta[]; until: number[] } {
  const end = run.run.duration + 1;
  const until = Array.from({ length: parts }, (_, index) => Math.ceil((end * (index + 1)) / parts));
  const deltas = until.map((stop, index) => {
    const start = index === 0 ? -Infinity : until[index - 1];
    const within = (time: number): boolean => time >= start && time < stop;
    return {
      marks: run.marks.filter(([time]) => within(time)),
      phases: run.phases.filter(([time]) => within(time)),
      traffic: run.traffic.filter(([time]) => within(time)),
      logs: run.logs.filter(([time]) => within(time)),
      held: run.held.filter(([, time]) => within(time)),
      faults: run.faults.filter((fault) => within(fault.began)),
      arrivals: pick(run.arrivals, (time) => within(time)),
    };
  });
  return { empty: before(run, -Infinity), deltas, until };
}

/** What a snapshot taken at `stop` has. */
export function before(run: RunDocument, stop: number): RunDocument {
  const within = (time: number): boolean => time < stop;
  return {
    ...run,
    marks: run.marks.filter(([time]) => within(time)),
    phases: run.phases.filter(([time]) => within(time)),
    traffic: run.traffic.filter(([time]) => within(time)),
    logs: run.logs.filter(([time]) => within(time)),
    held: run.held.filter(([, time]) => within(time)),
    faults: run.faults.filter((fault) => within(fault.began)),
    arrivals: pick(run.arrivals, within),
  };
}

function pick(arrivals: Arrivals, within: (time: number) => boolean): Arrivals {
  const keep = Array.from(arrivals.t, (time, index) => (within(time) ? index : -1)).filter((index) => index >= 0);
  const column = (values: ArrayLike<number>): number[] => keep.map((index) => values[index]);
  return {
    t: column(arrivals.t),
    node: column(arrivals.node),
    piece: column(arrivals.piece),
    source: column(arrivals.source),
  };
}
