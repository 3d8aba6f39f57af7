// Numbers as people read them.

/** 3204 -> "3.204 s", 75000 -> "1:15.000". */
export function seconds(ms: number): string {
  const sign = ms < 0 ? "−" : "";
  const whole = Math.abs(Math.round(ms));
  if (whole < 60_000) return `${sign}${(whole / 1000).toFixed(3)} s`;
  const minutes = Math.floor(whole / 60_000);
  return `${sign}${minutes}:${((whole % 60_000) / 1000).toFixed(3).padStart(6, "0")}`;
}

/** The same for an axis whose ticks are `step` ms apart: no digits that are always 0. */
export function tick(ms: number, step: number): string {
  const sign = ms < 0 ? "−" : "";
  const whole = Math.abs(ms);
  const digits = step >= 1000 ? 0 : step >= 100 ? 1 : step >= 10 ? 2 : 3;
  if (whole < 60_000 && step < 60_000) return `${sign}${(whole / 1000).toFixed(digits)} s`;
  const minutes = Math.floor(whole / 60_000);
  const rest = ((whole % 60_000) / 1000).toFixed(digits);
  return `${sign}${minutes}:${rest.padStart(digits > 0 ? digits + 3 : 2, "0")}`;
}

/** A distance of ticks that is 1, 2 or 5 times a power of ten, or whole minutes. */
export function tickStep(span: number, wanted: number): number {
  const rough = Math.max(span / Math.max(wanted, 1), 1);
  for (const step of [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5]) {
    if (step >= rough) return step;
  }
  return Math.ceil(rough / 36e5) * 36e5;
}

export function bytes(count: number): string {
  for (const [unit, size] of [
    ["GB", 1e9],
    ["MB", 1e6],
    ["kB", 1e3],
  ] as const) {
    if (count >= size) return `${short(count / size)} ${unit}`;
  }
  return `${Math.round(count)} B`;
}

/** Bits a second, as links are named in scenarios. */
export function bitRate(bits: number): string {
  for (const [unit, size] of [
    ["Gbit/s", 1e9],
    ["Mbit/s", 1e6],
    ["kbit/s", 1e3],
  ] as const) {
    if (bits >= size) return `${short(bits / size)} ${unit}`;
  }
  return `${Math.round(bits)} bit/s`;
}

export function percent(share: number): string {
  return `${Math.floor(share * 100 + 1e-9)} %`;
}

function short(value: number): string {
  return value >= 100
    ? value.toFixed(0)
    : value >= 10
      ? value.toFixed(1).replace(/\.0$/, "")
      : value.toFixed(2).replace(/\.?0+$/, "");
}

/** A name as it may stand in a narrow place. */
export function clip(text: string, length: number): string {
  const characters = [...text];
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join("")}…`;
}

/** Control and direction characters would change the text around them: show their code instead. */
export function plain(text: string): string {
  return String(text).replace(
    /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
