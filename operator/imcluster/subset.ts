// SPDX-License-Identifier: Apache-2.0
import { quantity } from "./units.ts";

/**
 * Is everything that `wanted` says true of `actual`? Fields that only `actual` has (defaults and fields of others) do not
 * matter; lists must have the same length and order; quantities are compared by value, because the API server rewrites them
 * (`0.5` becomes `500m`).
 */
export function isSubset(wanted: unknown, actual: unknown): boolean {
  if (wanted === undefined || (actual === undefined && isZero(wanted))) return true;
  if (Array.isArray(wanted)) {
    if (!Array.isArray(actual) || wanted.length !== actual.length) return false;
    return wanted.every((item, index) => isSubset(item, actual[index]));
  }
  if (wanted !== null && typeof wanted === "object") {
    if (actual === null || typeof actual !== "object") return false;
    return Object.entries(wanted).every(([key, value]) => isSubset(value, (actual as Record<string, unknown>)[key]));
  }
  return wanted === actual || isSameQuantity(wanted, actual);
}

/** What the API server leaves out of its answers in many fields. */
function isZero(value: unknown): boolean {
  if (value !== null && typeof value === "object") return Object.keys(value).length === 0;
  return value === "" || value === false || value === 0;
}

function isSameQuantity(a: unknown, b: unknown): boolean {
  const isScalar = (value: unknown) => typeof value === "string" || typeof value === "number";
  if (!isScalar(a) || !isScalar(b)) return false;
  const [x, y] = [quantity(a as string | number), quantity(b as string | number)];
  return !Number.isNaN(x) && Math.abs(x - y) <= Math.abs(x) * 1e-9;
}
