// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";

/** Header and payload of one WebSocket frame, right or wrong. */
export interface WsFrame {
  opcode: number;
  payload: Buffer;
  isFinal?: boolean;
  /** The three reserved bits. */
  rsv?: number;
  isMasked?: boolean;
  /** How the length is written; default: the shortest. */
  lengthBytes?: 0 | 2 | 8;
  /** Length as claimed; default: the payload's. */
  claimed?: number | bigint;
}

const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

export function wsFrame(frame: WsFrame): Buffer {
  const { opcode, payload, isFinal = true, rsv = 0, isMasked = true } = frame;
  const claimed = BigInt(frame.claimed ?? payload.length);
  const shortest = claimed < 126n ? 0 : claimed < 65_536n ? 2 : 8;
  const lengthBytes = frame.lengthBytes ?? shortest;
  const header = Buffer.alloc(2 + lengthBytes);
  header[0] = (isFinal ? 0x80 : 0) | (rsv << 4) | opcode;
  header[1] = (isMasked ? 0x80 : 0) | (lengthBytes === 0 ? Number(claimed & 0x7fn) : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) header.writeUInt16BE(Number(claimed & 0xffffn), 2);
  if (lengthBytes === 8) header.writeBigUInt64BE(BigInt.asUintN(64, claimed), 2);
  if (!isMasked) return Buffer.concat([header, payload]);
  const masked = Buffer.from(payload);
  for (let i = 0; i < masked.length; i++) masked[i] = (masked[i] ?? 0) ^ (MASK[i & 3] ?? 0);
  return Buffer.concat([header, MASK, masked]);
}

/** The request of a WebSocket client as it should be; `more` are header lines. */
export function upgradeRequest(more: readonly string[] = [], path = "/ws"): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    "Host: im.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ...more,
  ];
  return `${lines.join("\r\n")}\r\n\r\n`;
}
