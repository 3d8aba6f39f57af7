import assert from "node:assert/strict";
import { test } from "node:test";
import { complete } from "../src/document";
import { Fold, HELD, LACKS } from "../src/fold";
import { MOST_LOGS, RunStore } from "../src/store";
import { asDeltas, before, random, swarm } from "./sample";

function state(fold: Fold): unknown {
  return { phase: fold.phase, count: fold.count, have: fold.have, given: fold.given };
}

test("every prefix of a stream equals its snapshot", () => {
  const run = swarm(4, 60);
  const { empty, deltas, until } = asDeltas(run, 25);
  const live = new RunStore(empty);
  const fold = new Fold(live);
  deltas.forEach((delta, index) => {
    live.apply(delta);
    const snapshot = new RunStore(before(run, until[index]));
    assert.deepEqual(live.snapshot(), snapshot.snapshot());
    const whole = new Fold(snapshot);
    for (const t of [until[index] / 2, until[index]]) {
      fold.seek(t);
      whole.seek(t);
      assert.deepEqual(state(fold), state(whole));
    }
  });
});

test("the order in which reports come in does not matter", () => {
  const run = swarm(3, 20);
  const { empty, deltas } = asDeltas(run, 30);
  const shuffled = new RunStore(empty);
  const next = random(7);
  for (const delta of deltas.toSorted(() => next() - 0.5)) shuffled.apply(delta);
  assert.deepEqual(shuffled.snapshot(), new RunStore(run).snapshot());
});

test("going back gives what going forwards gave", () => {
  const store = new RunStore(swarm(4, 50));
  const fold = new Fold(store);
  const there = [0, 900, 1100, 1333, 1700, 2500].map((t) => {
    const fresh = new Fold(store);
    fresh.seek(t);
    return [t, state(fresh)] as const;
  });
  for (const [t, wanted] of there.toReversed()) {
    fold.seek(t);
    assert.deepEqual(state(fold), wanted);
  }
});

test("a node has what arrived, from whom it arrived", () => {
  const run = complete({
    files: [{ name: "f", size: 2500, pieces: 3, piece_length: 1000, sha256: "" }],
    nodes: [
      { name: "a", file: 0, reports_pieces: true },
      { name: "b", file: 0, reports_pieces: true },
    ],
    held: [[0, 10, "all"]],
    arrivals: { t: [20, 30], node: [1, 1], piece: [0, 2], source: [0, 0] },
  });
  const fold = new Fold(new RunStore(run));
  fold.seek(25);
  assert.deepEqual(Array.from(fold.have), [HELD, HELD, HELD, 0, LACKS, LACKS]);
  fold.seek(30);
  assert.equal(fold.given[0 * 2 + 1], 1500, "the last piece is shorter");
  assert.deepEqual(Array.from(fold.availability(0)), [2, 1, 2]);
  assert.equal(fold.share(1), 2 / 3);
});

test("a node that comes back has only what it finds on its disk", () => {
  const run = complete({
    files: [{ name: "f", size: 2000, pieces: 2, piece_length: 1000, sha256: "" }],
    nodes: [{ name: "a", file: 0, reports_pieces: true }],
    phases: [
      [0, 0, "get"],
      [50, 0, "gone"],
      [70, 0, "get"],
    ],
    held: [[0, 80, [1]]],
    arrivals: { t: [10, 20], node: [0, 0], piece: [0, 1], source: [-1, -1] },
  });
  const fold = new Fold(new RunStore(run));
  const counts = [30, 60, 75, 80].map((t) => (fold.seek(t), fold.count[0]));
  assert.deepEqual(counts, [2, 2, 0, 1]);
  fold.seek(60);
  assert.deepEqual(Array.from(fold.availability(0)), [0, 0], "a node that is gone serves nothing");
});

test("observed traffic counts in the place of arrivals", () => {
  const run = complete({
    files: [{ name: "f", size: 1000, pieces: 1, piece_length: 1000, sha256: "" }],
    nodes: [{ name: "a" }, { name: "b", file: 0 }],
    traffic: [
      [10, 0, 1, 400],
      [20, 0, 1, 1100],
    ],
    arrivals: { t: [20], node: [1], piece: [0], source: [0] },
  });
  const fold = new Fold(new RunStore(run));
  fold.seek(15);
  assert.equal(fold.given[1], 400);
  fold.seek(20);
  assert.equal(fold.given[1], 1100);
});

test("a live page keeps the newest lines and counts the others", () => {
  const store = new RunStore(complete({ nodes: [{ name: "a" }] }));
  for (let t = 0; t < MOST_LOGS + 10; t += 10) {
    store.apply({ logs: Array.from({ length: 10 }, (_, i): [number, number, string] => [t + i, 0, "line"]) });
  }
  const { logs, logs_dropped: dropped } = store.data;
  assert.equal(logs.length + dropped, MOST_LOGS + 10);
  assert.ok(logs.length <= MOST_LOGS);
  assert.equal(logs.at(-1)?.[0], MOST_LOGS + 9);
});

test("rows about nodes and pieces that do not exist are passed over", () => {
  const run = complete({
    nodes: [{ name: "a" }],
    phases: [[0, 7, "get"]],
    held: [[-1, 0, "all"]],
    arrivals: { t: [1, 2], node: [5, 0], piece: [0, 9], source: [0, 8] },
  });
  const fold = new Fold(new RunStore(run));
  fold.seek(100);
  assert.equal(fold.count[0], 0);
});
