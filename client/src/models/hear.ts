// SPDX-License-Identifier: Apache-2.0
import type { ImClient } from "../client.ts";
import { ErrorCode } from "../codes.ts";
import { ImClientError, messageOf } from "../errors.ts";

/** What becomes of the frames that {@link hear} takes. */
export interface Heard<T> {
  /** What a server said. Bytes in it are views of the network's buffer: copy what you keep. */
  onFrame(value: T): void;
  /** The server had more to say than this client could take: frames of this command were dropped. Ask for what matters. */
  onLost?(): void;
  /** A frame that could not be read. Default: nothing; the next one may be. */
  onError?(error: ImClientError): void;
}

/**
 * Takes what servers say unasked by one command, which is of a module or of a product of yours: the event `frame` of the client, decoded.
 * Returns what ends it. Hears nothing while there is no connection, and nothing of that time later.
 */
export function hear<T>(
  client: Pick<ImClient, "on">,
  cmd: number,
  decode: (body: Uint8Array) => T,
  { onFrame, onLost, onError }: Heard<T>,
): () => void {
  return client.on("frame", (frame) => {
    if (frame.cmd !== cmd) return;
    if (frame.body.length === 0) {
      onLost?.();
      return;
    }
    let value: T;
    try {
      value = decode(frame.body);
    } catch (error) {
      onError?.(error instanceof ImClientError ? error : new ImClientError(ErrorCode.INTERNAL, messageOf(error)));
      return;
    }
    onFrame(value);
  });
}
