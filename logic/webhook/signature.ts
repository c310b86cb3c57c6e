// SPDX-License-Identifier: Apache-2.0
import { createHmac } from "node:crypto";

/**
 * The value of X-Im-Signature: `t=<unix seconds>,v1=<hex HMAC-SHA-256 of "<t>.<body>">`. A receiver recomputes it
 * and refuses old timestamps.
 */
export function signature(secret: string, unixSeconds: number, body: string): string {
  const mac = createHmac("sha256", secret).update(`${unixSeconds}.${body}`).digest("hex");
  return `t=${unixSeconds},v1=${mac}`;
}
