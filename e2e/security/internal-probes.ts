// SPDX-License-Identifier: Apache-2.0
// The ports between the processes: nobody without a certificate of the cluster gets an answer there.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { RawSocket } from "../../gateway/testing/raw-socket.ts";
import { createTestAuthority } from "../harness/tls.ts";
import { type Check, check } from "./checks.ts";
import { faultsOf } from "./target.ts";

/** How an HTTP/2 client begins, with its empty settings: a server that lets it in answers with its own. */
const PREFACE = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from("000000040000000000", "hex"),
]);
const ANSWER_TIMEOUT_MS = 10_000;
const POLL_MS = 10;

/** "answered", "closed", or "silent" when neither came in time. */
async function outcomeOf(port: number, options: ConnectionOptions): Promise<"answered" | "closed" | "silent"> {
  const own = { host: "127.0.0.1", port, rejectUnauthorized: false, ALPNProtocols: ["h2"] };
  const client = new RawSocket(connectTls({ ...own, ...options }));
  try {
    client.write(PREFACE);
    const deadlineMs = performance.now() + ANSWER_TIMEOUT_MS;
    while (performance.now() < deadlineMs) {
      if (client.bytes.length > 0) return "answered";
      if (client.isClosed) return "closed";
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return "silent";
  } finally {
    client.destroy();
  }
}

function pairIn(dir: string): ConnectionOptions {
  return { cert: readFileSync(join(dir, "tls.crt")), key: readFileSync(join(dir, "tls.key")) };
}

/** `ownDir`: a certificate of the cluster. `dir`: for those of strangers. */
export async function internalProbes(
  area: string,
  ports: Readonly<Record<string, number>>,
  ownDir: string,
  dir: string,
): Promise<Check[]> {
  const stranger = await createTestAuthority(join(dir, "stranger"));
  const forged = await stranger.issue(join(dir, "forged"), { dnsNames: ["entry.imcluster.internal"] });
  const strangers: [string, ConnectionOptions][] = [
    ["no certificate", {}],
    ["a certificate of another authority", pairIn(forged.dir)],
    ["an old version with a right certificate", { ...pairIn(ownDir), minVersion: "TLSv1.1", maxVersion: "TLSv1.1" }],
  ];
  const checks: Check[] = [];
  for (const [name, port] of Object.entries(ports)) {
    const fault = await faultsOf(strangers, async (options) => {
      const outcome = await outcomeOf(port, options);
      return outcome === "closed" ? undefined : outcome;
    });
    const own = await outcomeOf(port, pairIn(ownDir));
    checks.push(
      check(`${area}: ${name} refuses strangers`, "high", fault, `${strangers.length} refused`),
      check(`${area}: ${name} answers its own`, "medium", own === "answered" ? undefined : own, own),
    );
  }
  return checks;
}
