// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { isIPv4 } from "node:net";

/** A PROXY v2 header, right unless told otherwise. */
export interface ProxyHeaderParts {
  /** Of the client. */
  address?: string;
  /** Version and command; default: 2, PROXY. */
  command?: number;
  /** Default: TCP of the address's family. */
  family?: number;
  /** In place of addresses and ports. */
  body?: Buffer;
  extensions?: Buffer;
}

const SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
const PORTS = Buffer.from([0x9c, 0x40, 0x01, 0xbb]);

export function proxyHeader(parts: ProxyHeaderParts): Buffer {
  const { address, command = 0x21, extensions = Buffer.alloc(0) } = parts;
  const family = parts.family ?? (address === undefined ? 0 : isIPv4(address) ? 0x11 : 0x21);
  const addresses =
    address === undefined ? Buffer.alloc(0) : Buffer.concat([bytesOf(address), bytesOf(address), PORTS]);
  const body = Buffer.concat([parts.body ?? addresses, extensions]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(body.length);
  return Buffer.concat([SIGNATURE, Buffer.from([command, family]), length, body]);
}

function bytesOf(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split(".").map(Number));
  // The URL parser writes the embedded IPv4 address as hexadecimal groups.
  const [head = "", tail = ""] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const [left, right] = [groups(head), groups(tail)];
  const all = [...left, ...Array<string>(8 - left.length - right.length).fill("0"), ...right];
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
}
