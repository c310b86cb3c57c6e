// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import { BlockList, isIPv4, isIPv6 } from "node:net";

/** Version 2 of the PROXY protocol: what a load balancer writes before the client's bytes. */
export type ProxyHeader =
  /** More bytes are needed. */
  | { kind: "more" }
  | { kind: "bad" }
  /** `address` undefined: the proxy speaks for itself (a health check), or knows no address. */
  | { kind: "header"; bytes: number; address: string | undefined };

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const FIXED_BYTES = 16;
/** Longest header read, fields and extensions together. */
const MAX_BYTES = 536;
const VERSION_LOCAL = 0x20;
const VERSION_PROXY = 0x21;
/** Family and transport, with the bytes of the addresses and ports. */
const UNSPECIFIED = 0x00;
const TCP4 = 0x11;
const TCP4_BYTES = 12;
const TCP6 = 0x21;
const TCP6_BYTES = 36;

const MORE: ProxyHeader = { kind: "more" };
const BAD: ProxyHeader = { kind: "bad" };

/** Reads the header at the start of `bytes`. Decides as early as it can; never reads beyond 536 bytes. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  const known = Math.min(bytes.length, SIGNATURE.length);
  for (let i = 0; i < known; i++) if (bytes[i] !== SIGNATURE[i]) return BAD;
  const command = bytes[12];
  if (command !== undefined && command !== VERSION_LOCAL && command !== VERSION_PROXY) return BAD;
  const family = bytes[13];
  const isKnown = family === UNSPECIFIED || family === TCP4 || family === TCP6;
  if (family !== undefined && !isKnown && command === VERSION_PROXY) return BAD;
  if (bytes.length < FIXED_BYTES) return MORE;
  const length = bytes.readUInt16BE(14);
  const end = FIXED_BYTES + length;
  if (end > MAX_BYTES) return BAD;
  const needed = command === VERSION_LOCAL ? 0 : family === TCP4 ? TCP4_BYTES : family === TCP6 ? TCP6_BYTES : 0;
  if (length < needed) return BAD;
  if (bytes.length < end) return MORE;
  if (needed === 0) return { kind: "header", bytes: end, address: undefined };
  return {
    kind: "header",
    bytes: end,
    address: family === TCP4 ? ipv4At(bytes, FIXED_BYTES) : ipv6At(bytes, FIXED_BYTES),
  };
}

function ipv4At(bytes: Buffer, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

function ipv6At(bytes: Buffer, at: number): string {
  const groups: number[] = [];
  for (let i = 0; i < 8; i++) groups.push(bytes.readUInt16BE(at + 2 * i));
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  return isMapped ? ipv4At(bytes, at + 12) : groups.map((group) => group.toString(16)).join(":");
}

/** Address ranges in CIDR notation. @throws {RangeError} that names the first that is none */
export class AddressRanges {
  readonly #list = new BlockList();
  readonly isEmpty: boolean;

  constructor(cidrs: readonly string[]) {
    this.isEmpty = cidrs.length === 0;
    for (const cidr of cidrs) {
      const [network = "", bits = ""] = cidr.split("/");
      const family = isIPv4(network) ? "ipv4" : isIPv6(network) ? "ipv6" : undefined;
      const prefix = /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
      if (!family || !(prefix <= (family === "ipv4" ? 32 : 128))) {
        throw new RangeError(`${JSON.stringify(cidr)} is no range like 10.0.0.0/8 or fd00::/8`);
      }
      this.#list.addSubnet(network, prefix, family);
    }
  }

  has(address: string): boolean {
    if (this.isEmpty) return false;
    return isIPv6(address) ? this.#list.check(address, "ipv6") : isIPv4(address) && this.#list.check(address, "ipv4");
  }
}
