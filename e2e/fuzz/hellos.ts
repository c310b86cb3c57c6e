// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { type ConnectionOptions, connect } from "node:tls";
import { Random } from "../sim/random.ts";
import { cut, type FuzzCase, mutate, randomBytes } from "./input.ts";

const OFFERS: readonly ConnectionOptions[] = [
  { ALPNProtocols: ["im/1"], servername: "localhost" },
  { ALPNProtocols: ["http/1.1", "h2"] },
  { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" },
  { ecdhCurve: "P-256", sigalgs: "ecdsa_secp256r1_sha256" },
];

/** First flights of real TLS clients, to be mutated. */
export async function captureHellos(): Promise<Buffer[]> {
  return await Promise.all(OFFERS.map(captureHello));
}

async function captureHello(options: ConnectionOptions): Promise<Buffer> {
  const flight = Promise.withResolvers<Buffer>();
  const wire = new Duplex({ read: () => undefined, write: (chunk: Buffer) => flight.resolve(Buffer.from(chunk)) });
  const client = connect({ ...options, socket: wire });
  // It never gets an answer.
  client.on("error", () => undefined);
  const hello = await flight.promise;
  client.destroy();
  return hello;
}

/** One TLS client hello, changed, followed by whatever; the session ids and keys differ from run to run. */
export function helloCase(hellos: readonly Buffer[], seed: number, index: number): FuzzCase {
  const random = new Random(seed, `tls/${index}`);
  const hello = random.pick(hellos);
  const bytes = Buffer.from(hello);
  switch (random.int(0, 4)) {
    case 0:
      // A length of the record, the handshake or a list.
      bytes[random.pick([3, 4, 6, 7, 8, 43, 76, 77])] = random.int(0, 255);
      return { chunks: cut(bytes, random), inputs: 1 };
    case 1:
      return { chunks: [bytes, mutate(bytes, random)], inputs: 1 };
    case 2:
      return { chunks: cut(Buffer.concat([bytes, randomBytes(random, 100)]), random), inputs: 1 };
    default:
      return { chunks: cut(mutate(bytes, random), random), inputs: 1 };
  }
}
