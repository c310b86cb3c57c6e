// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";

/** JSON with sorted keys and without undefined: equal values give equal text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value).filter(([, field]) => field !== undefined);
    const fields = entries.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`);
    return `{${fields.sort().join(",")}}`;
  }
  return JSON.stringify(value) ?? "null";
}

/** First `length` hex digits of the SHA-256 of a value's canonical JSON. */
export function hashOf(value: unknown, length = 10): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex").slice(0, length);
}
