import assert from "node:assert/strict";
import { test } from "node:test";
import { complete, type RunDocument } from "../src/document";
import { RunStore } from "../src/store";
import { outcomeOf } from "../src/view/predict";

function run(times: number[], ...phases: RunDocument["phases"]): RunStore {
  return new RunStore(
    complete({
      nodes: [{ name: "leecher", file: 0, reports_pieces: true }],
      phases: [[0, 0, "get"], ...phases],
      faults: [{ kind: "kill", began: 1000 }],
      arrivals: {
        t: times,
        node: times.map(() => 0),
        piece: times.map((_, piece) => piece),
        source: times.map(() => -1),
      },
    }),
  );
}

test("the record says what a fault did to the downloads", () => {
  const says = (store: RunStore): string | null => outcomeOf(store, store.data.faults[0]);
  assert.equal(says(run([900, 1100, 1500, 2200])), "on");
  assert.equal(says(run([900, 1100, 2600])), "pause");
  assert.equal(says(run([900])), "end");
  assert.equal(says(run([100], [500, 0, "seed"])), null, "nobody was downloading");
});
