import type { Fault, RunDocument } from "./document";

const LASTING = new Set(["partition", "isolate", "impair"]);

/** Cuts and impairments last; a kill is a moment whose consequence the lanes show. */
export function lasts(fault: Fault): boolean {
  return LASTING.has(fault.kind);
}

/** Planned starts, resumes and heals stand among the faults of a record; they harm nobody. */
export function harms(fault: Fault): boolean {
  return !["start", "resume", "heal", "run", "console"].includes(fault.kind);
}

export function faultEnd(fault: Fault, end: number): number {
  if (fault.ended !== null) return fault.ended;
  return lasts(fault) ? end : (fault.applied ?? fault.began);
}

export function isActive(fault: Fault, t: number): boolean {
  return lasts(fault) && fault.began <= t && (fault.ended === null || t < fault.ended);
}

/** Whether packets of a pair are all stopped, not merely late or lost now and then. */
export function cuts(fault: Fault): boolean {
  return fault.kind === "partition" || fault.kind === "isolate";
}

/** The nodes that a fault hits; a cut between two sides hits both. */
export function hitNodes(fault: Fault): number[] {
  const nodes = new Set(fault.nodes);
  if (nodes.size === 0) for (const pair of fault.pairs) pair.forEach((node) => nodes.add(node));
  return [...nodes].filter((node) => node >= 0).sort((a, b) => a - b);
}

/** One line about a fault: its own words, or what is known. */
export function faultText(fault: Fault, document: RunDocument): string {
  if (fault.text) return fault.text;
  const names = hitNodes(fault).map((node) => document.nodes[node]?.name ?? "?");
  return [fault.kind, fault.name, names.slice(0, 3).join(", ") + (names.length > 3 ? ", …" : "")]
    .filter(Boolean)
    .join(" ");
}

/** Moments at which something happened: what the step keys stop at. */
export function stops(document: RunDocument): number[] {
  const times = new Set<number>();
  for (const fault of document.faults) {
    times.add(fault.began);
    if (fault.ended !== null) times.add(fault.ended);
  }
  for (const [time] of document.marks) times.add(time);
  for (const [time] of document.phases) times.add(time);
  for (const { deadline } of document.expectations) if (deadline !== null) times.add(deadline);
  return [...times].sort((a, b) => a - b);
}
