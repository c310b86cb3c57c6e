// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";

/** A whole body, or why there is none: over the limit, or the client left in the middle. */
export type Body = { kind: "whole"; bytes: Buffer } | { kind: "too_large" } | { kind: "aborted" };

/** Reads a body of at most `maxBytes`; beyond, nothing more is read. The deadline is the socket's. */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Body> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) return Promise.resolve({ kind: "too_large" });
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      request.pause();
      resolve({ kind: "too_large" });
    });
    request.on("end", () => resolve({ kind: "whole", bytes: Buffer.concat(chunks, length) }));
    // After "end" this changes nothing.
    request.on("close", () => resolve({ kind: "aborted" }));
    request.on("error", () => resolve({ kind: "aborted" }));
  });
}
