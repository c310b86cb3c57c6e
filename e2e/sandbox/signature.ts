// SPDX-License-Identifier: Apache-2.0
import { createHmac, timingSafeEqual } from "node:crypto";

const MAX_AGE_S = 300;

/** Checks X-Im-Signature as a receiver does: the right key, and not older than five minutes. */
export function isSigned(secret: string, header: string, body: string): boolean {
  const match = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header);
  if (!match) return false;
  const [, seconds = "", mac = ""] = match;
  const expected = createHmac("sha256", secret).update(`${seconds}.${body}`).digest();
  const isFresh = Math.abs(Date.now() / 1000 - Number(seconds)) <= MAX_AGE_S;
  return isFresh && timingSafeEqual(expected, Buffer.from(mac, "hex"));
}
