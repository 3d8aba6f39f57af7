import { explain, type Cause } from "../causes";
import { plain, seconds } from "../format";
import type { App, Frame, Panel } from "./app";
import { button, element, setText } from "./dom";

const MOST = 60;
const KINDS: Record<Cause["kind"], string> = {
  end: "outcome",
  mark: "event",
  fault: "fault",
  piece: "piece",
  log: "line",
  rule: "rule",
};

/** "Why?": the chain of causes that led to a piece, a pause, or a pair's traffic. */
export class WhyPanel implements Panel {
  readonly section: HTMLElement;
  readonly #app: App;
  readonly #title = element("h2", { id: "tn-why-title", tabindex: "-1" });
  readonly #list = element("ol", { class: "tn-chain" });
  #key = "";

  constructor(app: App) {
    this.#app = app;
    this.section = element(
      "aside",
      { class: "tn-why", "aria-labelledby": "tn-why-title", hidden: true },
      element(
        "div",
        { class: "tn-head" },
        this.#title,
        button("Close", "Close (Esc)", () => app.set({ why: null })),
      ),
      this.#list,
    );
  }

  draw({ view }: Frame): void {
    const key = view.why ? `${JSON.stringify(view.why)} ${this.#app.store.version}` : "";
    if (key === this.#key) return;
    const opened = this.#key === "" || JSON.parse(this.#key.slice(0, this.#key.lastIndexOf(" "))) !== view.why;
    this.#key = key;
    this.section.hidden = view.why === null;
    if (view.why === null) return;
    const { title, chain } = explain(this.#app.store, view.why);
    setText(this.#title, `Why? ${plain(title)}`);
    const shown = chain.slice(-MOST);
    this.#list.replaceChildren(...shown.map((cause) => this.#row(cause)));
    if (chain.length === 0) this.#list.append(element("li", {}, "The record says nothing about it."));
    if (opened) this.#app.announce(`${title}: ${chain.length} steps. ${chain.at(-1)?.text ?? ""}`);
  }

  #row(cause: Cause): HTMLElement {
    const jump = button(seconds(cause.t), "Move the playhead here", () => this.#app.go(cause.t), {
      class: "tn-jump",
    });
    return element(
      "li",
      { class: `tn-cause tn-cause-${cause.kind}` },
      jump,
      element("b", {}, KINDS[cause.kind]),
      element("span", {}, plain(cause.text).slice(0, 600)),
    );
  }
}
