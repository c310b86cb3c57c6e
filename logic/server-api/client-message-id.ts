// SPDX-License-Identifier: Apache-2.0
import { hash } from "node:crypto";

/**
 * Client message id of what a call stores. Called again with the same idempotency key it is the same, also when the answer to the
 * first is forgotten: the message store knows it for longer.
 */
export function clientMessageIdOf(tenant: string, idempotencyKey: string): string {
  return `api-${hash("sha256", `${tenant}\0${idempotencyKey}`, "hex").slice(0, 40)}`;
}
