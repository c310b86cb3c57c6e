// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import { ImClient } from "../../client/src/node.ts";
import type { DemoAccess } from "./demo.ts";

const DEADLINE_MS = 20_000;
/** Users of their own, so that proving the road never takes a slot from a person who chats. */
const [SENDER, RECEIVER] = ["probe-a", "probe-b"] as const;

function probe(access: DemoAccess, user: string): ImClient {
  return new ImClient({
    url: `tls://${access.address}:443`,
    tls: { ca: access.caPem, servername: access.serverName },
    deviceId: `make-up-${user}`,
    platform: "desktop",
    getToken: () => access.mintToken(user),
  });
}

/** Resolves when `client` shows `text`; rejects when the signal fires first. */
function arrivalOf(client: ImClient, text: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error(`no message within ${DEADLINE_MS / 1000} s`)), {
      once: true,
    });
    client.on("message", (message) => {
      if (message.text === text) resolve();
    });
  });
}

/** One real message through the LoadBalancer, certificate verified. Returns the milliseconds from send to arrival. */
export async function proveDelivery(access: DemoAccess): Promise<number> {
  const sender = probe(access, SENDER);
  const receiver = probe(access, RECEIVER);
  const signal = AbortSignal.timeout(DEADLINE_MS);
  try {
    const text = `hello from make up ${randomUUID()}`;
    const arrived = arrivalOf(receiver, text, signal);
    arrived.catch(() => undefined);
    sender.connect();
    receiver.connect();
    await Promise.all([sender.ready({ signal }), receiver.ready({ signal })]);
    const startedMs = performance.now();
    await sender.send({ to: RECEIVER, content: text, signal });
    await arrived;
    return Math.round(performance.now() - startedMs);
  } finally {
    await Promise.all([sender.close(), receiver.close()]);
  }
}
