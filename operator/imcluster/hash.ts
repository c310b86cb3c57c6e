// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";

/** Keys of these characters are in the same order with and without the quotes around them. */
const PLAIN_KEY = /^[#-[\]-~]*$/;

/** JSON with sorted keys and without undefined: equal values give equal text. */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(",")}]`;
  const keys = Object.keys(value);
  if (keys.every((key) => PLAIN_KEY.test(key))) keys.sort();
  else keys.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  let text = "";
  for (const key of keys) {
    const field = (value as Record<string, unknown>)[key];
    if (field !== undefined) text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${canonicalJson(field)}`;
  }
  return `{${text}}`;
}

/** Do two values have the same {@link canonicalJson}? Makes no text. */
export function isSameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object")
    return canonicalJson(a) === canonicalJson(b);
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, at) => isSameJson(item ?? null, b[at] ?? null));
  }
  const [one, other] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const count = (fields: Record<string, unknown>): number =>
    Object.values(fields).reduce<number>((total, field) => total + (field === undefined ? 0 : 1), 0);
  if (count(one) !== count(other)) return false;
  return Object.entries(one).every(
    ([key, field]) => field === undefined || (other[key] !== undefined && isSameJson(field, other[key])),
  );
}

/** First `length` hex digits of the SHA-256 of a value's canonical JSON. */
export function hashOf(value: unknown, length = 10): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex").slice(0, length);
}
