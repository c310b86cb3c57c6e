// SPDX-License-Identifier: Apache-2.0
import { DisconnectCode } from "#lib/codes.ts";
import { MAX_FRAME_BYTES } from "#proto/commands.ts";
import { EnvelopeReader } from "./envelope.ts";
import { type FrameFault, FrameReader } from "./frame.ts";

/** A frame as tests compare it; body in hex. */
export interface DecodedFrame {
  cmd: number;
  rid: number;
  flags: number;
  body: string;
}

/** Feeds chunks through reader and envelope, as a connection does, until the first fault. */
export function decodeAll(
  chunks: readonly Buffer[],
  maxFrameBytes = MAX_FRAME_BYTES,
): { frames: DecodedFrame[]; fault: FrameFault; pendingBytes: number } {
  const reader = new FrameReader(maxFrameBytes);
  const envelope = new EnvelopeReader();
  const frames: DecodedFrame[] = [];
  let fault: FrameFault;
  const sink = {
    onFrame(buffer: Buffer, start: number, end: number): boolean {
      if (!envelope.read(buffer, start, end)) {
        fault = DisconnectCode.BAD_FRAME;
        return false;
      }
      frames.push({
        cmd: envelope.cmd,
        rid: envelope.rid,
        flags: envelope.flags,
        body: envelope.body.toString("hex"),
      });
      return true;
    },
  };
  for (const chunk of chunks) {
    const framing = reader.push(chunk, sink);
    fault ??= framing;
    if (fault !== undefined) break;
  }
  return { frames, fault, pendingBytes: reader.pendingBytes };
}
