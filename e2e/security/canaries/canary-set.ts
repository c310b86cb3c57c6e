// SPDX-License-Identifier: Apache-2.0
// Markers that stand for what is private, and the search for them in whatever a fleet leaves behind.
import { randomBytes, randomInt } from "node:crypto";

/** One private thing that was put somewhere. */
export interface Canary {
  /** What it stands for, such as `message body`. */
  readonly sort: string;
  readonly text: string;
}

/** A canary that was found where it must not be. */
export interface Hit extends Canary {
  readonly place: string;
  /** How it was written there, and what stands around it. */
  readonly form: string;
  readonly around: string;
}

const AROUND_CHARS = 160;

/** Random, so that nothing else holds them. */
export class CanarySet {
  readonly #all: Canary[] = [];

  /** Lower-case letters and digits. */
  word(sort: string): string {
    return this.add(sort, `cnry${randomBytes(10).toString("hex")}`);
  }

  /** As tokens of APNs are. */
  hex(sort: string, bytes = 32): string {
    return this.add(sort, randomBytes(bytes).toString("hex"));
  }

  /** A phone number. */
  phone(sort: string): string {
    return this.add(sort, `+861${Array.from({ length: 10 }, () => randomInt(10)).join("")}`);
  }

  /** A secret that somebody else made. */
  add(sort: string, text: string): string {
    this.#all.push({ sort, text });
    return text;
  }

  /** Lines of a private key; each alone is enough to have found it. */
  addKey(sort: string, pem: string): void {
    const lines = pem.split("\n").filter((line) => line.length >= 16 && !line.startsWith("-----"));
    // The first ones are the same in every key of the kind.
    this.add(sort, lines.at(-2) ?? lines.at(-1) ?? pem.trim());
  }

  get size(): number {
    return this.#all.length;
  }

  /** How many of each sort. */
  get sorts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { sort } of this.#all) counts[sort] = (counts[sort] ?? 0) + 1;
    return counts;
  }

  /** All that stand in the text in any form. @param isMeant of which sorts; default: all */
  search(place: string, text: string, isMeant: (sort: string) => boolean = () => true): Hit[] {
    return this.#all.filter(({ sort }) => isMeant(sort)).flatMap((canary) => hitsOf(canary, place, text));
  }
}

function hitsOf(canary: Canary, place: string, text: string): Hit[] {
  for (const [form, written] of formsOf(canary.text)) {
    const at = text.indexOf(written);
    if (at < 0) continue;
    const around = text.slice(Math.max(0, at - AROUND_CHARS), at + written.length + AROUND_CHARS);
    return [{ ...canary, place, form, around }];
  }
  return [];
}

/** A text as logs, dumps and protocols write it. */
function formsOf(text: string): [form: string, written: string][] {
  const bytes = Buffer.from(text);
  const hex = bytes.toString("hex");
  const pairs = hex.match(/../g) ?? [];
  const forms: [string, string][] = [
    ["plain", text],
    ["in JSON", JSON.stringify(text).slice(1, -1)],
    ["in a URL", encodeURIComponent(text)],
    ["hex", hex],
    ["hex in upper case", hex.toUpperCase()],
    ["a Buffer of Node", pairs.join(" ")],
    ["a Buffer as JSON", [...bytes].join(",")],
    ["backwards", [...text].reverse().join("")],
  ];
  // Base64 depends on where the text begins in its group of three bytes: the characters that only it decides.
  for (const offset of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    const own = encoded.slice(offset === 0 ? 0 : offset + 1, Math.floor(((offset + bytes.length) * 8) / 6));
    forms.push(["base64", own], ["base64url", own.replaceAll("+", "-").replaceAll("/", "_")]);
  }
  return forms;
}

/** Hits as lines to read, each place and sort once. */
export function describeHits(hits: readonly Hit[]): string {
  const lines = new Map(hits.map((hit) => [`${hit.place}: a ${hit.sort} (${hit.form})`, hit.around]));
  return [...lines].map(([what, around]) => `${what}: ${JSON.stringify(around)}`).join("\n");
}

const CONTROL = /[\p{Cc}\u2028\u2029]/u;

/** Lines of a log that are not one JSON object on a line of visible characters: somebody else wrote a line of their own. */
export function forgedLines(log: string): string[] {
  return log.split("\n").filter((line) => line !== "" && !isRecord(line));
}

function isRecord(line: string): boolean {
  try {
    const value: unknown = JSON.parse(line);
    return (
      !CONTROL.test(line) && typeof value === "object" && value !== null && "level" in value && "component" in value
    );
  } catch {
    return false;
  }
}
