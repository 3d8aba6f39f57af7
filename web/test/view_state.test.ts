import assert from "node:assert/strict";
import { test } from "node:test";
import { bitRate, bytes, clip, plain, seconds, tick } from "../src/format";
import { formatFragment, initialView, parseFragment, type View } from "../src/view_state";

test("a fragment holds the whole state", () => {
  const view: View = {
    t: 3204,
    speed: 0.5,
    range: [-100, 6000],
    selected: new Set(["leecher-1", "a,b & c=d"]),
    heat: "source",
    file: 1,
    piece: 17,
    filter: "lost #1",
    onlySelected: true,
    why: { about: "piece", node: "leecher-1", piece: 17 },
    theme: "dark",
    predict: true,
  };
  assert.deepEqual(parseFragment(`#${formatFragment(view)}`), view);
  for (const why of [{ about: "link", from: "a", to: "b" } as const, { about: "gap", node: "a", t: 12 } as const]) {
    assert.deepEqual(parseFragment(formatFragment({ ...view, why })).why, why);
  }
});

test("the view of the beginning needs no fragment", () => {
  assert.equal(formatFragment(initialView()), "");
  assert.deepEqual(parseFragment(""), initialView());
});

test("a fragment of nonsense gives the view of the beginning", () => {
  const nonsense = "#t=x&speed=3&range=9to1&heat=<b>&file=-4&piece=&why=piece&theme=red&%%%";
  assert.deepEqual(parseFragment(nonsense), initialView());
});

test("numbers are written as people read them", () => {
  assert.deepEqual([0, 3204, 75_000, -500].map(seconds), ["0.000 s", "3.204 s", "1:15.000", "−0.500 s"]);
  assert.deepEqual([tick(3200, 200), tick(3000, 1000), tick(90_000, 30_000)], ["3.2 s", "3 s", "1:30"]);
  assert.deepEqual([0, 999, 1500, 4_194_304].map(bytes), ["0 B", "999 B", "1.5 kB", "4.19 MB"]);
  assert.deepEqual([8e6, 1_234_567, 500].map(bitRate), ["8 Mbit/s", "1.23 Mbit/s", "500 bit/s"]);
});

test("hostile text is shown, not obeyed", () => {
  assert.equal(plain("a\u202eb\u0000\u001b[31m"), "a\\u202eb\\u0000\\u001b[31m");
  assert.equal(clip("😀😀😀😀", 3), "😀😀…");
});
