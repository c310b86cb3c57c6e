// SPDX-License-Identifier: Apache-2.0
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { RawSocket } from "../../gateway/testing/raw-socket.ts";

/** A TLS port on loopback that is looked at. */
export interface SecurityTarget {
  port: number;
  /** PEM of the authority. */
  ca: string;
  servername: string;
}

export function dialTls(target: SecurityTarget, options: ConnectionOptions = {}): TLSSocket {
  const { port, ca, servername } = target;
  return connectTls({ port, host: "127.0.0.1", ca, servername, ALPNProtocols: ["http/1.1"], ...options });
}

/** Bytes over TLS. */
export function dialRaw(target: SecurityTarget, options: ConnectionOptions = {}): RawSocket {
  return new RawSocket(dialTls(target, options));
}

const ANSWER_TIMEOUT_MS = 20_000;

/** Writes a request; what came until the server closed, or `isEnough`. @throws Error when neither happens in 20 s */
export async function exchange(
  target: SecurityTarget,
  request: Uint8Array | string,
  isEnough: (text: string) => boolean = () => false,
): Promise<string> {
  const client = dialRaw(target);
  try {
    client.write(request);
    const deadlineMs = performance.now() + ANSWER_TIMEOUT_MS;
    while (!client.isClosed && !isEnough(client.text)) {
      if (performance.now() > deadlineMs) throw new Error(`neither answered nor closed: ${client.text.slice(0, 200)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return client.text;
  } finally {
    client.destroy();
  }
}

/** Status of each answer in what came. */
export function statusesIn(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
}

/** Runs `attempt` for each; the names of those where it told a fault, with the fault. Bounded in parallel. */
export async function faultsOf<T>(
  items: Iterable<readonly [string, T]>,
  attempt: (item: T) => Promise<string | undefined>,
  width = 8,
): Promise<string | undefined> {
  const waiting = [...items];
  const faults: string[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [name, item] = next;
      const fault = await attempt(item).catch((error: unknown) => String(error));
      if (fault !== undefined) faults.push(`${name}: ${fault}`);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return faults.length > 0 ? faults.join("; ") : undefined;
}
