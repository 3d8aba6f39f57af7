// Elements are made here. Text goes in by textContent and attributes only: what nodes print is never HTML.

type Child = Node | string | null | undefined | false;

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | boolean | number | undefined> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null && child !== undefined && child !== false) made.append(child);
  return made;
}

export function button(
  label: string,
  title: string,
  action: () => void,
  extra: Record<string, string> = {},
): HTMLButtonElement {
  const made = element("button", { type: "button", title, ...extra }, label);
  made.addEventListener("click", action);
  return made;
}

/** A panel of the page with its heading; the tools stand beside the heading. */
export function panel(id: string, heading: string, ...tools: Child[]): { section: HTMLElement; body: HTMLElement } {
  const title = element("h2", { id: `tn-${id}-title` }, heading);
  const body = element("div", { class: "tn-body" });
  const section = element(
    "section",
    { class: `tn-panel tn-${id}`, "aria-labelledby": `tn-${id}-title` },
    element("div", { class: "tn-head" }, title, element("div", { class: "tn-tools" }, ...tools)),
    body,
  );
  return { section, body };
}

/** One choice of a few, as radio buttons that look like one switch. */
export function choice<T extends string>(
  name: string,
  label: string,
  values: readonly (readonly [T, string])[],
  chosen: T,
  change: (value: T) => void,
): { group: HTMLElement; set: (value: T) => void } {
  const inputs = new Map<T, HTMLInputElement>();
  const group = element("div", { class: "tn-choice", role: "radiogroup", "aria-label": label });
  for (const [value, text] of values) {
    const input = element("input", { type: "radio", name: `tn-${name}`, value });
    input.checked = value === chosen;
    input.addEventListener("change", () => change(value));
    inputs.set(value, input);
    group.append(element("label", {}, input, element("span", {}, text)));
  }
  return {
    group,
    set: (value) => {
      const input = inputs.get(value);
      if (input) input.checked = true;
    },
  };
}

export function setText(target: Node, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = element("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
