import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { complete, decode } from "../src/document";

function packed(...columns: number[][]): { n: number; gz: string } {
  const n = columns[0].length;
  const bytes = Buffer.alloc(n * 16);
  columns.forEach((column, index) => column.forEach((value, i) => bytes.writeInt32LE(value, (index * n + i) * 4)));
  return { n, gz: gzipSync(bytes).toString("base64") };
}

test("packed columns are unpacked, their times summed up", async () => {
  const run = await decode({ version: 1, arrivals: packed([5, 0, 7], [1, 2, 1], [0, 0, 1], [0, -1, 2]) });
  assert.deepEqual(Array.from(run.arrivals.t), [5, 5, 12]);
  assert.deepEqual(Array.from(run.arrivals.source), [0, -1, 2]);
});

test("no arrivals are unpacked to none", async () => {
  const run = await decode({ version: 1, arrivals: packed([], [], [], []) });
  assert.equal(run.arrivals.t.length, 0);
});

test("plain columns have absolute times", async () => {
  const run = await decode({ arrivals: { n: 2, t: [3, 7], node: [0, 0], piece: [0, 1], source: [1, 1] } });
  assert.deepEqual(run.arrivals.t, [3, 7]);
});

test("half a record becomes a whole document", () => {
  const run = complete({
    nodes: [{ name: "a" }],
    faults: [{ kind: "kill", began: 3 }],
    expectations: [{ text: "x" }],
  });
  assert.equal(run.nodes[0].file, -1);
  assert.deepEqual(run.faults[0].pairs, []);
  assert.deepEqual(run.expectations[0].answers, []);
  assert.equal(run.run.verdict, "not judged");
});

test("what is no document is refused in one line", () => {
  assert.throws(() => complete(undefined), {
    message: "The run document is not an object: write the report again with `torrentnet report`.",
  });
  assert.throws(() => complete({ version: 2 }), {
    message:
      "The run document has version 2; this viewer reads version 1. Write the report again with `torrentnet report`.",
  });
});

test("damaged columns are refused in one line", async () => {
  const columns = { ...packed([1], [1], [1], [1]), n: 2 };
  await assert.rejects(decode({ arrivals: columns }), {
    message: "The pieces of this report are damaged: 16 bytes instead of 32.",
  });
});
