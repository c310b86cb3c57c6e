// SPDX-License-Identifier: Apache-2.0
import { BlockList, isIP } from "node:net";
import { ErrorCode, ImError } from "#lib/errors.ts";

/** Of IPv4, what is not the Internet's (IANA's registry of special addresses, and multicast). */
const SPECIAL_V4: readonly [string, number][] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
];
/** Of IPv6 only 2000::/3 is the Internet's, but for tunnels to IPv4 and documentation. */
const SPECIAL_V6: readonly [string, number][] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];
const PUBLIC_V6: readonly [string, number] = ["2000::", 3];

const special = new BlockList();
for (const [net, bits] of SPECIAL_V4) special.addSubnet(net, bits, "ipv4");
for (const [net, bits] of SPECIAL_V6) special.addSubnet(net, bits, "ipv6");
const global = new BlockList();
global.addSubnet(...PUBLIC_V6, "ipv6");

/** Networks that whoever runs the cluster allows although they are private: where its own backends are. */
export class AllowedNetworks {
  readonly #list = new BlockList();

  /** @throws {ImError} BAD_REQUEST for what is no network such as 10.1.0.0/16 */
  constructor(networks: readonly string[]) {
    for (const network of networks) {
      const [net = "", bits = "", ...rest] = network.split("/");
      const family = isIP(net);
      const isGood =
        rest.length === 0 && family !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
      if (!isGood) throw new ImError(ErrorCode.BAD_REQUEST, `${network} is no network: write it like 10.1.0.0/16`);
      this.#list.addSubnet(net, Number(bits), family === 4 ? "ipv4" : "ipv6");
    }
  }

  has(address: string): boolean {
    const family = isIP(address);
    return family !== 0 && this.#list.check(address, family === 4 ? "ipv4" : "ipv6");
  }
}

/** Is it an address of the Internet? IPv4 in the clothes of IPv6 is none. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !special.check(address, "ipv4");
  return family === 6 && global.check(address, "ipv6") && !special.check(address, "ipv6");
}
