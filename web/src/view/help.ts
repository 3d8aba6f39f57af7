import { button, element } from "./dom";

const KEYS = [
  ["Space", "play or stop"],
  ["← →", "previous or next event"],
  ["Shift ← →", "one second back or on"],
  [", .", "a fiftieth of what is shown back or on"],
  ["Home End", "start or end of what is shown"],
  ["− +", "slower or faster"],
  ["Z  Shift Z  0", "show less time, more, all of it"],
  ["↑ ↓", "choose a node, cell or pair in the picture that has the focus"],
  ["Enter", "select the node, or ask about the cell or pair"],
  ["W", "ask why, for the node that is chosen"],
  ["H", "next view of the pieces: arrival, source, availability"],
  ["L", "to the filter of the log lines"],
  ["D", "next colours: system, light, dark"],
  ["N", "follow the running lab (live page)"],
  ["Esc", "close this, close “Why?”, clear the selection"],
  ["?", "this help"],
] as const;

export function helpDialog(): HTMLDialogElement {
  const rows = KEYS.map(([keys, does]) =>
    element("tr", {}, element("th", { scope: "row" }, keys), element("td", {}, does)),
  );
  const dialog = element(
    "dialog",
    { class: "tn-dialog", "aria-labelledby": "tn-help-title" },
    element("h2", { id: "tn-help-title" }, "Keys"),
    element("table", {}, element("tbody", {}, ...rows)),
    element(
      "p",
      {},
      "Drag over the upper axis to show a part of the time. The address of this page holds what you see: copy it to show somebody else the same moment.",
    ),
  );
  dialog.append(button("Close", "Close (Esc)", () => dialog.close()));
  return dialog;
}
