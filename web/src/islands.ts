import type { Fault } from "./document";
import { cuts, isActive } from "./faults";

/** Groups of nodes that reach each other, one way or the other, while the faults of a moment cut the rest. */
export function islands(nodes: number, faults: readonly Fault[], t: number): number[][] {
  const blocked = new Set<number>();
  for (const fault of faults) {
    if (!cuts(fault) || !isActive(fault, t)) continue;
    for (const [from, to] of fault.pairs) blocked.add(from * nodes + to);
  }
  if (blocked.size === 0) return [Array.from({ length: nodes }, (_, node) => node)];
  const parent = Array.from({ length: nodes }, (_, node) => node);
  const root = (node: number): number => {
    while (parent[node] !== node) node = parent[node] = parent[parent[node]];
    return node;
  };
  for (let a = 0; a < nodes; a++) {
    for (let b = a + 1; b < nodes; b++) {
      if (!blocked.has(a * nodes + b) || !blocked.has(b * nodes + a)) parent[root(a)] = root(b);
    }
  }
  const groups = new Map<number, number[]>();
  for (let node = 0; node < nodes; node++) {
    const key = root(node);
    const group = groups.get(key);
    if (group) group.push(node);
    else groups.set(key, [node]);
  }
  return [...groups.values()].sort((a, b) => b.length - a.length || a[0] - b[0]);
}

export interface Spot {
  x: number;
  y: number;
}

/**
 * Places of the nodes in a square from -1 to 1. All together: one ring, whose order is that of the scenario, with a lone
 * tracker in its middle. Cut apart: a ring an island, the islands around the centre.
 */
export function places(groups: readonly number[][], center: number): Spot[] {
  const spots: Spot[] = [];
  if (groups.length <= 1) {
    ring(spots, groups[0] ?? [], center, { x: 0, y: 0 }, 0.94);
    return spots;
  }
  const weights = groups.map((group) => Math.sqrt(group.length) + 0.35);
  const sum = weights.reduce((a, b) => a + b, 0);
  let angle = Math.PI - (weights[0] / sum) * Math.PI;
  groups.forEach((group, index) => {
    const share = (weights[index] / sum) * 2 * Math.PI;
    const middle = angle + share / 2;
    angle += share;
    const wide = Math.min(0.36, Math.max(0.1, Math.sin(Math.min(share / 2, Math.PI / 2)) * 0.36));
    const away = 0.95 - wide;
    const spread = group.length === 1 ? 0 : Math.min(wide, 0.1 + 0.06 * group.length);
    ring(spots, group, center, { x: Math.cos(middle) * away, y: Math.sin(middle) * away }, spread);
  });
  return spots;
}

function ring(spots: Spot[], group: readonly number[], center: number, at: Spot, radius: number): void {
  const around = group.length > 3 ? group.filter((node) => node !== center) : group;
  if (around.length !== group.length) spots[center] = at;
  around.forEach((node, index) => {
    const angle = (index / around.length) * 2 * Math.PI - Math.PI / 2;
    spots[node] = around.length === 1 ? at : { x: at.x + Math.cos(angle) * radius, y: at.y + Math.sin(angle) * radius };
  });
}
