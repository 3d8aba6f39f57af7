import { seconds } from "../format";
import { SPEEDS, THEMES, type Theme, type View } from "../view_state";
import type { App, Frame } from "./app";
import { button, element, setText } from "./dom";

export interface ToolbarActions {
  toggle(): void;
  step(direction: 1 | -1): void;
  help(): void;
  now: (() => void) | null;
}

/** Play, steps, speed, the time as a slider, the theme and the help. */
export class Toolbar {
  readonly bar: HTMLElement;
  readonly #play: HTMLButtonElement;
  readonly #slider = element("input", {
    type: "range",
    class: "tn-time",
    "aria-label": "Time after t = 0",
    step: "1",
  });
  readonly #clock = element("output", { class: "tn-clock", "aria-label": "Playhead", "aria-live": "off" });
  readonly #speed = element("select", { "aria-label": "Speed of the replay" });
  readonly #theme = element("select", { "aria-label": "Colours" });
  readonly #predict = element("input", { type: "checkbox" });
  readonly #live: HTMLButtonElement | null = null;

  constructor(app: App, actions: ToolbarActions) {
    this.#play = button("Play", "Play or stop (Space)", actions.toggle, { class: "tn-play" });
    for (const speed of SPEEDS)
      this.#speed.append(element("option", { value: speed }, speed === 0.5 ? "½×" : `${speed}×`));
    this.#speed.addEventListener("change", () => app.set({ speed: Number(this.#speed.value) }));
    for (const theme of THEMES)
      this.#theme.append(element("option", { value: theme }, theme === "auto" ? "system" : theme));
    this.#theme.addEventListener("change", () => app.set({ theme: this.#theme.value as Theme }));
    this.#slider.addEventListener("input", () => app.go(Number(this.#slider.value)));
    this.#predict.addEventListener("change", () => app.set({ predict: this.#predict.checked }));
    if (actions.now) this.#live = button("Now", "Follow the lab (N)", actions.now, { class: "tn-now" });
    this.bar = element(
      "div",
      { class: "tn-bar", role: "toolbar", "aria-label": "Replay" },
      this.#play,
      button("◂", "Previous event (←)", () => actions.step(-1), { "aria-label": "Previous event" }),
      button("▸", "Next event (→)", () => actions.step(1), { "aria-label": "Next event" }),
      this.#clock,
      this.#live,
      this.#slider,
      element("label", {}, element("span", {}, "Speed "), this.#speed),
      element(
        "label",
        { title: "The replay stops before each fault and asks what it will do" },
        this.#predict,
        " predict",
      ),
      element("label", { class: "tn-theme" }, element("span", {}, "Colours "), this.#theme),
      button("Keys", "What the keys do (?)", actions.help),
    );
  }

  draw(frame: Frame, playing: boolean, view: View, follows: boolean): void {
    const [from, to] = [Math.floor(frame.from), Math.ceil(frame.to)];
    this.#slider.min = String(from);
    this.#slider.max = String(to);
    this.#slider.value = String(Math.round(frame.t));
    this.#slider.setAttribute("aria-valuetext", seconds(frame.t));
    setText(this.#clock, seconds(frame.t));
    setText(this.#play, playing ? "Stop" : "Play");
    this.#speed.value = String(view.speed);
    this.#theme.value = view.theme;
    this.#predict.checked = view.predict;
    this.#live?.setAttribute("aria-pressed", String(follows));
  }
}
