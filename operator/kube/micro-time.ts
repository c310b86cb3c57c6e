// SPDX-License-Identifier: Apache-2.0

/** RFC 3339 with the six digits of a second that the Kubernetes type MicroTime asks for. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace("Z", "000Z");
}
