// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage } from "node:http";

const MAX_BODY_BYTES = 64 * 1024;

/** The whole body; undefined when it is over 64 KiB or the caller went away. */
export async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of request) {
      bytes += (part as Buffer).length;
      if (bytes > MAX_BODY_BYTES) return undefined;
      parts.push(part as Buffer);
    }
  } catch {
    // The caller went away in the middle: nothing was told.
    return undefined;
  }
  return Buffer.concat(parts);
}
