// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";

/** What a WebSocket frame is (RFC 6455, 5.2). */
export const WsOpcode = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;
export type WsOpcode = (typeof WsOpcode)[keyof typeof WsOpcode];

/** In place of a code when a close frame named none; never on the wire. */
export const NO_CLOSE_CODE = 1005;
/** A control frame holds 125 bytes, two of them the code. */
const MAX_REASON_BYTES = 123;
const FINAL = 0x80;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

/** A frame of the server: whole and unmasked, its header and a copy of the payload in one buffer. */
export function wsFrame(opcode: WsOpcode, payload: Uint8Array): Buffer {
  const { length } = payload;
  const head = length < LENGTH_16 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(head + length);
  frame[0] = FINAL | opcode;
  if (head === 2) frame[1] = length;
  else if (head === 4) {
    frame[1] = LENGTH_16;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = LENGTH_64;
    frame.writeUInt32BE(0, 2);
    frame.writeUInt32BE(length, 6);
  }
  frame.set(payload, head);
  return frame;
}

/** A close frame. @param reason ASCII; cut where the frame ends */
export function wsCloseFrame(code: number, reason: string): Buffer {
  if (code === NO_CLOSE_CODE) return wsFrame(WsOpcode.CLOSE, Buffer.alloc(0));
  const payload = Buffer.alloc(2 + Math.min(reason.length, MAX_REASON_BYTES));
  payload.writeUInt16BE(code, 0);
  payload.write(reason, 2, "latin1");
  return wsFrame(WsOpcode.CLOSE, payload);
}
