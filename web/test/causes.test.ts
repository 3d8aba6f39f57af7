import assert from "node:assert/strict";
import { test } from "node:test";
import { explain } from "../src/causes";
import { complete } from "../src/document";
import { isActive } from "../src/faults";
import { islands, places } from "../src/islands";
import { lastSecond, rates } from "../src/rates";
import { RunStore } from "../src/store";
import { swarm } from "./sample";

const RUN = complete({
  run: { duration: 5000 },
  files: [{ name: "f", size: 4000, pieces: 4, piece_length: 1000, sha256: "" }],
  nodes: [
    { name: "seeder-1", file: 0, reports_pieces: true },
    { name: "seeder-2", file: 0, reports_pieces: true },
    { name: "leecher", file: 0, reports_pieces: true },
    { name: "student", file: 0, reports_pieces: false },
  ],
  held: [
    [0, 0, "all"],
    [1, 0, "all"],
  ],
  faults: [{ id: 4, kind: "kill", text: "kill seeder-1", nodes: [0], began: 2001, applied: 2098 }],
  marks: [
    [500, 2, "picked", 0, "one of 2"],
    [2015, 2, "lost", 0, "connection reset"],
    [2300, 2, "picked", 1, "one of 1"],
  ],
  logs: [[2015, 2, "source_lost peer=seeder-1"]],
  rules: [[4, 0, "kill -9"]],
  arrivals: { t: [1000, 1500, 2600, 3000], node: [2, 2, 2, 2], piece: [0, 1, 2, 3], source: [0, 0, 1, 1] },
});

test("a piece's chain names the pick, the loss, the fault and the new pick", () => {
  const { title, chain } = explain(new RunStore(RUN), { about: "piece", node: "leecher", piece: 2 });
  assert.equal(title, "Piece 2 at leecher");
  assert.deepEqual(
    chain.map(({ t, text }) => `${t} ${text}`),
    [
      "0 seeder-2 had piece 2 from the start",
      "1500 leecher had piece 1 from seeder-1",
      "2001 the lab: kill seeder-1",
      "2015 leecher lost seeder-1 (connection reset)",
      "2015 source_lost peer=seeder-1",
      "2098 kill -9",
      "2300 leecher picked seeder-2 (one of 1)",
      "2600 leecher had piece 2 from seeder-2",
    ],
  );
});

test("a gap's chain says how long nothing came, and why", () => {
  const { chain } = explain(new RunStore(RUN), { about: "gap", node: "leecher", t: 2100 });
  assert.ok(chain.some(({ kind }) => kind === "fault"));
  assert.equal(chain.at(-1)?.text, "leecher had piece 2 from seeder-2, 1.100 s after the one before");
});

test("a link's chain counts its pieces", () => {
  const { chain } = explain(new RunStore(RUN), { about: "link", from: "seeder-1", to: "leecher" });
  assert.equal(chain.at(-1)?.text, "seeder-1 gave leecher 2 pieces in all");
});

test("what nobody knows is said", () => {
  const store = new RunStore(RUN);
  const says = (node: string, piece: number): string | undefined =>
    explain(store, { about: "piece", node, piece }).chain.at(-1)?.text;
  assert.equal(says("student", 1), "student does not report its pieces: nothing is known about piece 1");
  assert.equal(says("leecher", 9), "leecher never got piece 9");
  assert.equal(says("nobody", 1), undefined);
});

test("a cut in both directions makes islands, a cut in one does not", () => {
  const cut = (pairs: [number, number][]): ReturnType<typeof complete>["faults"] =>
    complete({ faults: [{ kind: "partition", pairs, began: 10, ended: 20 }] }).faults;
  const both = cut([
    [0, 1],
    [1, 0],
    [2, 1],
    [1, 2],
  ]);
  assert.deepEqual(islands(3, both, 15), [[0, 2], [1]]);
  assert.deepEqual(islands(3, both, 20), [[0, 1, 2]]);
  assert.deepEqual(islands(2, cut([[0, 1]]), 15), [[0, 1]]);
  assert.equal(isActive(both[0], 9), false);
});

test("every node has a place of its own within the map", () => {
  for (const groups of [
    [[0, 1, 2, 3, 4]],
    [
      [0, 1, 2],
      [3, 4],
    ],
    [[0], [1], [2], [3, 4]],
    [[]],
  ]) {
    const spots = places(groups, 0);
    const keys = spots.map(({ x, y }) => `${x.toFixed(3)} ${y.toFixed(3)}`);
    assert.equal(new Set(keys).size, groups.flat().length);
    for (const { x, y } of spots) assert.ok(Math.abs(x) <= 1 && Math.abs(y) <= 1);
  }
});

test("the last second's bytes go by pairs", () => {
  const store = new RunStore(RUN);
  assert.deepEqual([...lastSecond(store, 1500)], [[0 * 4 + 2, 2000]]);
  assert.deepEqual([...lastSecond(store, 2499)], [[0 * 4 + 2, 1000]]);
  assert.deepEqual([...lastSecond(store, 2500)], []);
});

test("rates sum up to what arrived", () => {
  const store = new RunStore(swarm(4, 50));
  const everybody = new Set([0, 1, 2, 3, 4]);
  const { values, step } = rates(store, everybody, "down", 0, 4000, 400);
  const bits = values.reduce((sum, rate) => sum + (rate * step) / 1000, 0);
  assert.ok(Math.abs(bits / 8 - 4 * 49_999) < 1000, `${bits / 8} bytes`);
});
