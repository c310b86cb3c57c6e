// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";

const DURATION = /^(\d+(ms|s|m|h))+$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration such as `1m30s`. @throws {ImError} BAD_REQUEST: the API server lets none through that is not one */
export function durationMs(text: string): number {
  if (!DURATION.test(text))
    throw new ImError(ErrorCode.BAD_REQUEST, `${JSON.stringify(text)} is not a duration like 30s`);
  let total = 0;
  for (const [, digits = "0", unit = "ms"] of text.matchAll(/(\d+)(ms|s|m|h)/g)) {
    total += Number(digits) * (UNIT_MS[unit] ?? 1);
  }
  return total;
}

const SUFFIX: Readonly<Record<string, number>> = {
  "": 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** Value of a Kubernetes quantity such as `500m`, `2`, `1e3` or `128Mi`; NaN when it is none. */
export function quantity(value: number | string): number {
  if (typeof value === "number") return value;
  const match = /^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)$/.exec(value);
  const factor = SUFFIX[match?.[2] ?? "?"];
  return match && factor !== undefined ? Number(match[1]) * factor : Number.NaN;
}
