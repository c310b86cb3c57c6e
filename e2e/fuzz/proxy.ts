// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { proxyHeader } from "../../gateway/testing/proxy-header.ts";
import type { Random } from "../sim/random.ts";
import { framesCase } from "./frames.ts";
import { cut, type FuzzCase, mutate, randomBytes } from "./input.ts";

const ADDRESSES = ["203.0.113.7", "2001:db8::7", "::ffff:203.0.113.7", "0.0.0.0", "::", "255.255.255.255"];

function header(random: Random): Buffer {
  const address = random.pick(ADDRESSES);
  const extensions = randomBytes(random, random.chance(0.3) ? random.int(1, 600) : 0);
  switch (random.int(0, 7)) {
    case 0:
      return proxyHeader({ command: random.int(0, 255), family: random.int(0, 255), body: randomBytes(random, 40) });
    case 1:
      return proxyHeader({ family: random.pick([0x11, 0x21]), body: randomBytes(random, random.int(0, 40)) });
    case 2:
      return Buffer.from(`PROXY TCP4 ${address} ${address} 1 2\r\n`, "latin1");
    default:
      return proxyHeader({ address, extensions });
  }
}

/** A PROXY header, mostly broken, before the frames of a client. */
export function proxyCase(random: Random): FuzzCase {
  const bytes = random.chance(0.5) ? mutate(header(random), random) : header(random);
  const client = Buffer.concat(framesCase(random).chunks);
  const both = random.chance(0.7) ? Buffer.concat([bytes, client]) : bytes;
  return { chunks: cut(both, random), inputs: 1 };
}
