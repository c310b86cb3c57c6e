// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync, renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { connect } from "node:tls";
import { SERVER_NAME } from "../harness/fleet.ts";
import { authorityAt } from "../harness/tls.ts";
import { assertKept, chat, targetOf, useFleet } from "./fleet-suite.ts";

const ROTATIONS = 50;
const RELOAD_MS = 100;
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** A new pair is in force after one look at the folder; the rest is for a loaded machine. */
const IN_FORCE_TIMEOUT_MS = 15_000;

/** Fingerprint of the certificate that a new connection is shown; it must be valid for the authority. */
async function handshake(port: number, ca: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, ca, servername: SERVER_NAME, ALPNProtocols: ["im/1"] });
  try {
    await once(socket, "secureConnect", { signal: AbortSignal.timeout(HANDSHAKE_TIMEOUT_MS) });
    return socket.getPeerX509Certificate()?.fingerprint256 ?? "";
  } finally {
    socket.destroy();
  }
}

describe("a certificate that is renewed", () => {
  const fleet = useFleet({
    entries: 2,
    logics: 1,
    extlogics: 0,
    entryEnv: { IM_TLS_RELOAD_MS: String(RELOAD_MS) },
  });

  it(`${ROTATIONS} times under load drops no connection and fails no handshake`, async () => {
    const { dir, ca, entries } = fleet();
    const tls = join(dir, "tls");
    const authority = authorityAt(join(dir, "authority"));
    // As the kubelet does it with a Secret: a link to a folder, exchanged at once.
    renameSync(tls, `${tls}-0`);
    symlinkSync(`${tls}-0`, tls);
    let handshakes = 0;
    const rotate = async (round: number): Promise<void> => {
      const issued = await authority.issue(`${tls}-${round}`, { dnsNames: [SERVER_NAME] });
      const { fingerprint256 } = new X509Certificate(readFileSync(join(issued.dir, "tls.crt")));
      symlinkSync(issued.dir, `${tls}-next`);
      renameSync(`${tls}-next`, tls);
      const deadlineMs = performance.now() + IN_FORCE_TIMEOUT_MS;
      for (const { name, tlsPort } of entries) {
        for (let shown = ""; shown !== fingerprint256; handshakes++) {
          shown = await handshake(tlsPort, ca);
          assert.ok(performance.now() < deadlineMs, `${name} shows ${shown} instead of ${fingerprint256}`);
        }
      }
    };
    const report = await chat(fleet(), {
      pairs: [
        { a: targetOf(fleet(), "tls", 0), b: targetOf(fleet(), "wss", 1) },
        { a: targetOf(fleet(), "wss", 0), b: targetOf(fleet(), "tls", 1) },
      ],
      messages: 2000,
      ratePerSecond: 150,
      nemesis: async (run) => {
        for (let round = 1; round <= ROTATIONS; round++) {
          await run.reached((round - 1) / ROTATIONS);
          await rotate(round);
        }
      },
    });
    assertKept(report);
    assert.equal(report.reconnects, 0);
    assert.ok(handshakes >= ROTATIONS * entries.length);
    console.log(JSON.stringify({ rotations: ROTATIONS, handshakes, reconnects: report.reconnects }));
  });
});
