import { faultEnd, faultText, harms, hitNodes } from "./faults";
import { seconds } from "./format";
import type { RunStore } from "./store";
import type { WhyTarget } from "./view_state";

/** One step of an explanation: what happened when, and how it is known. */
export interface Cause {
  t: number;
  text: string;
  kind: "end" | "mark" | "fault" | "piece" | "log" | "rule";
}

export interface Explanation {
  title: string;
  /** In the order of time; the last one is what was asked about. */
  chain: Cause[];
}

const MOST_LOGS = 6;
const MOST_MARKS = 14;
const SAYS: Record<string, string> = {
  picked: "picked",
  lost: "lost",
  bad_piece: "discarded a bad piece from",
  forgotten: "was removed by the tracker",
  completed: "had the whole file",
  failed: "gave the download up",
  resumed: "found pieces of an earlier run on its disk",
  exited: "ended",
  started: "was started",
  paused: "was paused",
  resumed_process: "went on",
  lookup: "looked the file up at",
  published: "was registered as a seed",
  joined: "was registered",
  left: "said that it leaves",
  listening: "was up",
};

/** Why a piece came when it did, what a pair exchanged, or what a node waited for. */
export function explain(store: RunStore, target: WhyTarget): Explanation {
  switch (target.about) {
    case "piece":
      return explainPiece(store, target.node, target.piece);
    case "link":
      return explainLink(store, target.from, target.to);
    case "gap":
      return explainGap(store, target.node, target.t);
  }
}

function explainPiece(store: RunStore, name: string, piece: number): Explanation {
  const node = indexOf(store, name);
  const title = `Piece ${piece} at ${name}`;
  if (node < 0) return { title, chain: [] };
  const { arrivals } = store;
  let at = -1;
  for (let i = 0; i < arrivals.length; i++) if (arrivals.node[i] === node && arrivals.piece[i] === piece) at = i;
  if (at < 0) {
    const held = store.data.held.find(
      ([owner, , which]) => owner === node && (which === "all" || which.includes(piece)),
    );
    if (held) return { title, chain: [end(held[1], `${name} had piece ${piece} without a download`)] };
    const stop = store.span()[1];
    if (!store.data.nodes[node].reports_pieces) {
      return {
        title,
        chain: [end(stop, `${name} does not report its pieces: nothing is known about piece ${piece}`)],
      };
    }
    const before = previous(store, node, arrivals.length, stop);
    return {
      title,
      chain: [...story(store, node, before, stop, []), end(stop, `${name} never got piece ${piece}`)],
    };
  }
  const t = arrivals.t[at];
  const source = arrivals.source[at];
  const before = previous(store, node, at, t);
  const origin = originOf(store, source, piece, t);
  const chain = [
    ...origin,
    ...story(store, node, before, t, source >= 0 ? [source] : []),
    end(t, `${name} had piece ${piece} from ${nameOf(store, source)}`),
  ];
  return { title, chain: sorted(chain) };
}

/** How the source had come by the piece, back to the one that had it from the start. */
function originOf(store: RunStore, source: number, piece: number, until: number): Cause[] {
  const chain: Cause[] = [];
  let [owner, limit] = [source, until];
  for (let hops = 0; owner >= 0 && hops < 12; hops++) {
    const at = arrivalBefore(store, owner, piece, limit);
    if (at < 0) {
      const held = store.data.held.find(
        ([who, , which]) => who === owner && (which === "all" || which.includes(piece)),
      );
      if (held)
        chain.push({
          t: held[1],
          kind: "piece",
          text: `${nameOf(store, owner)} had piece ${piece} from the start`,
        });
      break;
    }
    limit = store.arrivals.t[at];
    const giver = store.arrivals.source[at];
    chain.push({
      t: limit,
      kind: "piece",
      text: `${nameOf(store, owner)} had piece ${piece} from ${nameOf(store, giver)}`,
    });
    owner = giver;
  }
  return chain;
}

function explainLink(store: RunStore, from: string, to: string): Explanation {
  const [source, receiver] = [indexOf(store, from), indexOf(store, to)];
  const title = `From ${from} to ${to}`;
  if (source < 0 || receiver < 0) return { title, chain: [] };
  const { arrivals, data } = store;
  const mine: number[] = [];
  for (let i = 0; i < arrivals.length; i++)
    if (arrivals.source[i] === source && arrivals.node[i] === receiver) mine.push(i);
  const chain: Cause[] = [];
  for (const [t, node, kind, peer, text] of data.marks) {
    if (node === receiver && peer === source) chain.push(mark(store, t, node, kind, peer, text));
  }
  for (const fault of data.faults) {
    const onPair = fault.pairs.some(([a, b]) => (a === source && b === receiver) || (a === receiver && b === source));
    const onEnd = fault.pairs.length === 0 && hitNodes(fault).some((node) => node === source || node === receiver);
    if (harms(fault) && (onPair || onEnd)) chain.push(...faultCauses(store, fault.id));
  }
  if (mine.length > 0) {
    chain.push(pieceCause(store, mine[0], "the first of"), pieceCause(store, mine[mine.length - 1], "the last of"));
    const gap = longest(mine.map((index) => arrivals.t[index]));
    if (gap)
      chain.push({
        t: gap[0],
        kind: "piece",
        text: `no piece for ${seconds(gap[1] - gap[0])}, the longest pause of this link`,
      });
  }
  const bytes = mine.length === 1 ? "1 piece" : `${mine.length} pieces`;
  const last = mine.length > 0 ? arrivals.t[mine[mine.length - 1]] : store.span()[1];
  chain.push(end(Math.max(last, ...chain.map((cause) => cause.t)), `${from} gave ${to} ${bytes} in all`));
  return { title, chain: sorted(chain) };
}

function explainGap(store: RunStore, name: string, t: number): Explanation {
  const node = indexOf(store, name);
  const title = `${name} at ${seconds(t)}`;
  if (node < 0) return { title, chain: [] };
  const { arrivals } = store;
  const stop = store.span()[1];
  const before = previous(store, node, arrivals.after(t), t);
  let after = -1;
  for (let i = arrivals.after(t); i < arrivals.length && after < 0; i++) if (arrivals.node[i] === node) after = i;
  const until = after >= 0 ? arrivals.t[after] : stop;
  const chain = story(store, node, before, until, []);
  const from = before === Number.NEGATIVE_INFINITY ? null : before;
  const pause = from === null ? "" : `, ${seconds(until - from)} after the one before`;
  if (after >= 0)
    chain.push({
      ...pieceCause(store, after, "the next of"),
      text: `${pieceCause(store, after, "").text}${pause}`,
      kind: "end",
    });
  else chain.push(end(until, `no further piece came to ${name}`));
  return { title, chain: sorted(chain) };
}

/** What happened to a node, to its sources and to the links between them from one moment to another. */
function story(store: RunStore, node: number, from: number, to: number, sources: readonly number[]): Cause[] {
  const { data } = store;
  const start = Number.isFinite(from) ? from : Number.NEGATIVE_INFINITY;
  const near = new Set([node, ...sources]);
  const causes: Cause[] = [];
  // The pick that led here may lie before the last piece.
  const pick = data.marks.findLast(([t, owner, kind, peer]) => {
    return t <= to && owner === node && kind === "picked" && (sources.length === 0 || sources.includes(peer));
  });
  const marks = data.marks.filter(([t, owner, , peer]) => t > start && t <= to && (owner === node || peer === node));
  if (pick && !marks.includes(pick)) marks.unshift(pick);
  for (const [, owner, , peer] of marks) if (owner === node && peer >= 0) near.add(peer);
  for (const [t, owner, kind, peer, text] of marks.slice(-MOST_MARKS))
    causes.push(mark(store, t, owner, kind, peer, text));
  for (const fault of data.faults) {
    const touches = hitNodes(fault).some((hit) => near.has(hit));
    if (!touches || !harms(fault) || fault.began > to || faultEnd(fault, Infinity) < start) continue;
    causes.push(...faultCauses(store, fault.id).filter((cause) => cause.t <= to));
  }
  if (Number.isFinite(from)) {
    const last = previousIndex(store, node, from);
    if (last >= 0) causes.push(pieceCause(store, last, "before:"));
  }
  const logs = data.logs.filter(([t, owner]) => owner === node && t > start && t <= to + 20);
  for (const [t, , text] of logs.slice(-MOST_LOGS)) causes.push({ t, kind: "log", text });
  return causes;
}

function faultCauses(store: RunStore, id: number): Cause[] {
  const fault = store.data.faults.find((row) => row.id === id);
  if (!fault) return [];
  const result = fault.error ? `; it changed nothing: ${fault.error}` : fault.measured ? ` (${fault.measured})` : "";
  const text = `the lab: ${faultText(fault, store.data)}${result}`;
  const causes: Cause[] = [{ t: fault.began, kind: "fault", text }];
  if (fault.ended !== null && fault.ended > fault.began + 1 && fault.pairs.length > 0) {
    causes.push({ t: fault.ended, kind: "fault", text: `the lab ended: ${faultText(fault, store.data)}` });
  }
  const rule = store.data.rules.find(([owner]) => owner === id);
  if (rule) causes.push({ t: fault.applied ?? fault.began, kind: "rule", text: rule[2] });
  return causes;
}

function mark(store: RunStore, t: number, node: number, kind: string, peer: number, text: string): Cause {
  const says = SAYS[kind] ?? kind;
  const other =
    peer >= 0 && peer !== node && !["completed", "forgotten"].includes(kind) ? ` ${nameOf(store, peer)}` : "";
  const subject = kind === "forgotten" && peer >= 0 ? peer : node;
  return { t, kind: "mark", text: `${nameOf(store, subject)} ${says}${other}${text ? ` (${text})` : ""}` };
}

function pieceCause(store: RunStore, index: number, prefix: string): Cause {
  const { t, node, piece, source } = store.arrivals;
  const number = piece[index] < 0 ? "a piece" : `piece ${piece[index]}`;
  const text = `${nameOf(store, node[index])} had ${number} from ${nameOf(store, source[index])}`;
  const label = prefix.startsWith("the ") ? ` (${prefix.replace(" of", "")})` : "";
  return { t: t[index], kind: "piece", text: `${text}${label}` };
}

function end(t: number, text: string): Cause {
  return { t, kind: "end", text };
}

function sorted(chain: Cause[]): Cause[] {
  const order = { fault: 0, rule: 1, piece: 2, mark: 3, log: 4, end: 5 };
  const seen = new Set<string>();
  return chain
    .filter((cause) => {
      const key = `${cause.t} ${cause.text}`;
      return !seen.has(key) && seen.add(key);
    })
    .sort((a, b) => a.t - b.t || order[a.kind] - order[b.kind]);
}

function longest(times: readonly number[]): [number, number] | null {
  let best: [number, number] | null = null;
  for (let i = 1; i < times.length; i++) {
    if (best === null || times[i] - times[i - 1] > best[1] - best[0]) best = [times[i - 1], times[i]];
  }
  return best;
}

function arrivalBefore(store: RunStore, node: number, piece: number, until: number): number {
  const { arrivals } = store;
  for (let i = arrivals.after(until) - 1; i >= 0; i--)
    if (arrivals.node[i] === node && arrivals.piece[i] === piece) return i;
  return -1;
}

/** When the node's piece before an arrival came; -Infinity where there is none. */
function previous(store: RunStore, node: number, index: number, t: number): number {
  for (let i = index - 1; i >= 0; i--) {
    if (store.arrivals.node[i] === node && store.arrivals.t[i] <= t) return store.arrivals.t[i];
  }
  return Number.NEGATIVE_INFINITY;
}

function previousIndex(store: RunStore, node: number, t: number): number {
  for (let i = store.arrivals.after(t) - 1; i >= 0; i--) if (store.arrivals.node[i] === node) return i;
  return -1;
}

function indexOf(store: RunStore, name: string): number {
  return store.data.nodes.findIndex((node) => node.name === name);
}

function nameOf(store: RunStore, node: number): string {
  return store.data.nodes[node]?.name ?? "an unknown peer";
}
