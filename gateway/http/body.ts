// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";

/** A whole body, or why there is none: over the limit, or the client left in the middle. */
export type Body = { kind: "whole"; bytes: Buffer } | { kind: "too_large" } | { kind: "aborted" };

const EMPTY = Buffer.alloc(0);

/**
 * Reads a body of at most `maxBytes`; beyond, nothing more is read. The deadline is the socket's. What it keeps grows with
 * the bytes that came, at most twofold, and not with their chunks: one of a single byte costs a hundred in memory.
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Body> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) return Promise.resolve({ kind: "too_large" });
  return new Promise((resolve) => {
    let bytes: Buffer = EMPTY;
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      if (length + chunk.length > maxBytes) {
        bytes = EMPTY;
        length = maxBytes;
        request.pause();
        resolve({ kind: "too_large" });
        return;
      }
      // Most bodies are one chunk: not copied.
      bytes = length === 0 ? chunk : append(bytes, length, chunk, maxBytes);
      length += chunk.length;
    });
    request.on("end", () => resolve({ kind: "whole", bytes: bytes.subarray(0, length) }));
    // After "end" this changes nothing.
    request.on("close", () => resolve({ kind: "aborted" }));
    request.on("error", () => resolve({ kind: "aborted" }));
  });
}

/** `bytes` with `chunk` at `length`: in place while it fits, else in a buffer twice as large. */
function append(bytes: Buffer, length: number, chunk: Buffer, maxBytes: number): Buffer {
  const needed = length + chunk.length;
  let target = bytes;
  if (needed > bytes.length) {
    target = Buffer.allocUnsafeSlow(Math.min(maxBytes, needed * 2));
    bytes.copy(target, 0, 0, length);
  }
  chunk.copy(target, length);
  return target;
}
