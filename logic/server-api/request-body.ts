// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage } from "node:http";
import { type Refusal, refuse } from "./problem.ts";

function tooLarge(maxBytes: number): Refusal {
  return refuse("too_large", `the body is larger than ${maxBytes} bytes`);
}

/** Whether the request says that its body is larger. */
export function announcesMore(request: IncomingMessage, maxBytes: number): boolean {
  return Number(request.headers["content-length"] ?? 0) > maxBytes;
}

/** The whole body, of at most `maxBytes`: what is longer is not read to its end. How long it may take is the server's requestTimeout. */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Uint8Array | Refusal> {
  if (announcesMore(request, maxBytes)) return Promise.resolve(tooLarge(maxBytes));
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (result: Uint8Array | Refusal): void => {
      request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
      resolve(result);
    };
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= maxBytes) return;
      request.pause();
      settle(tooLarge(maxBytes));
    };
    const onEnd = (): void => settle(Buffer.concat(chunks, bytes));
    const onClose = (): void => settle(refuse("malformed", "the connection ended within the body"));
    request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  });
}
