// SPDX-License-Identifier: Apache-2.0
// Who gets to see a token: TLS servers that only listen.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, describe, it } from "node:test";
import { createSecureContext, createServer, type Server, type TlsOptions } from "node:tls";
import { systemClock } from "#lib/clock.ts";
import { createCa, issueLeaf, type KeyPair } from "../../operator/pki/x509.ts";
import { runWords } from "../testing.ts";

const nowMs = Date.now();
const folder = mkdtempSync(join(tmpdir(), "kubectl-im-trust-"));
after(() => rmSync(folder, { recursive: true }));
const file = (name: string, content: string): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const authority = (commonName: string): KeyPair => createCa({ commonName, nowMs, validDays: 30 });
const ours = authority("ours");
const issued = (ca: KeyPair, name: string): KeyPair =>
  issueLeaf(ca, { commonName: name, altNames: [name], usage: ["server"], nowMs, validDays: 30 });
const good = issued(ours, "im.example.com");
const stranger = issued(authority("stranger"), "im.example.com");
const otherName = issued(ours, "other.example.com");

const TOKEN = "header.the-secret-of-somebody.signature";
const [ca, tokenFile] = [file("ca.crt", ours.cert), file("token", `${TOKEN}\n`)];

let server: Server | undefined;
afterEach(async () => {
  const closing = server;
  server = undefined;
  if (closing) await new Promise((resolve) => closing.close(resolve));
});

/** Hears what is said, answers nothing and hangs up. @param then the certificate from the second connection on */
async function listenWith(pair: KeyPair, then = pair): Promise<{ address: string; heard: () => string }> {
  let heard = "";
  const contexts = [createSecureContext(pair)];
  const later = createSecureContext(then);
  const SNICallback: TlsOptions["SNICallback"] = (_name, done) => done(null, contexts.shift() ?? later);
  const made = createServer({ ...pair, SNICallback, ALPNProtocols: ["im/1", "http/1.1"] }, (socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      heard += bytes.toString("latin1");
      socket.destroy();
    });
  });
  server = made;
  made.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
  return { address: `127.0.0.1:${(made.address() as AddressInfo).port}`, heard: () => heard };
}

async function doctor(address: string, ...more: string[]) {
  const args = ["--server", address, "--server-name", "im.example.com", "--ca", ca, "--token-file", tokenFile];
  return await runWords(["doctor", ...args, ...more], { clock: systemClock });
}

describe("a token", () => {
  it("goes to a server whose certificate is in order", async () => {
    const { address, heard } = await listenWith(good);
    const { out } = await doctor(address);
    assert.ok(heard().includes(TOKEN), out);
    assert.doesNotMatch(out, /was not sent/);
  });

  for (const [what, pair] of [
    ["of an authority that nobody named", stranger],
    ["of another name", otherName],
  ] as const) {
    it(`is not sent to one with a certificate ${what}, and it says so`, async () => {
      const { address, heard } = await listenWith(pair);
      const { out, code } = await doctor(address);
      assert.ok(heard().includes("im-doctor"), "the way is tried all the same, with a token that is none");
      assert.ok(!heard().includes(TOKEN));
      assert.match(out, /token +was not sent: .* not trusted as im\.example\.com; a made-up one is tried instead/);
      assert.match(out, /by --ca or its name by --server-name, or send the token all the same by --insecure/);
      assert.equal(code, 3);
    });
  }

  it("is not sent to one that shows another certificate from the second connection on", async () => {
    const { address, heard } = await listenWith(good, stranger);
    const { out } = await doctor(address);
    assert.match(out, /certificate +trusted as im\.example\.com/);
    assert.ok(!heard().includes(TOKEN), out);
  });

  it("is sent to anybody with --insecure", async () => {
    const { address, heard } = await listenWith(stranger);
    const { out } = await doctor(address, "--insecure");
    assert.ok(heard().includes(TOKEN), out);
    assert.doesNotMatch(out, /was not sent/);
  });
});
