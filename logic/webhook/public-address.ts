// SPDX-License-Identifier: Apache-2.0
import { BlockList, isIP } from "node:net";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { INTERNET_V6, SPECIAL_V4, SPECIAL_V6 } from "#lib/special-addresses.ts";

const special = new BlockList();
for (const [net, bits] of SPECIAL_V4) special.addSubnet(net, bits, "ipv4");
for (const [net, bits] of SPECIAL_V6) special.addSubnet(net, bits, "ipv6");
const global = new BlockList();
global.addSubnet(...INTERNET_V6, "ipv6");

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
