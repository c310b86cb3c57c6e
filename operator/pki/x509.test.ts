// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import * as der from "./der.ts";
import { createCa, isIssuedBy, issueLeaf, type KeyPair, readCertificate } from "./x509.ts";

const dir = mkdtempSync(join(tmpdir(), "imcluster-x509-"));
after(() => rmSync(dir, { recursive: true, force: true }));

const nowMs = Date.now();
const ca = createCa({ commonName: "demo internal CA", nowMs, validDays: 3650 });
const leaf = (altNames: string[], usage: ("server" | "client")[] = ["server", "client"], issuer = ca): KeyPair =>
  issueLeaf(issuer, { commonName: altNames[0] ?? "", nowMs, validDays: 365, altNames, usage });

function openssl(args: string[], files: Record<string, string>): string {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content);
  return execFileSync("openssl", args, { cwd: dir, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

describe("der", () => {
  it("encodes integers, lengths and identifiers as X.690 says", () => {
    assert.equal(der.integer(0).toString("hex"), "020100");
    assert.equal(der.integer(127).toString("hex"), "02017f");
    assert.equal(der.integer(128).toString("hex"), "02020080");
    assert.equal(der.integer(Buffer.from([0, 0, 0x80])).toString("hex"), "02020080");
    assert.equal(der.octetString(Buffer.alloc(127)).subarray(0, 2).toString("hex"), "047f");
    assert.equal(der.octetString(Buffer.alloc(128)).subarray(0, 3).toString("hex"), "048180");
    assert.equal(der.octetString(Buffer.alloc(300)).subarray(0, 4).toString("hex"), "0482012c");
    assert.equal(der.objectIdentifier("1.2.840.10045.4.3.2").toString("hex"), "06082a8648ce3d040302");
    assert.equal(der.namedBits([5, 6]).toString("hex"), "03020106");
    assert.equal(der.namedBits([0]).toString("hex"), "03020780");
  });

  it("writes UTCTime before 2050 and GeneralizedTime from then on", () => {
    assert.equal(der.time(new Date("2049-12-31T23:59:59.9Z")).subarray(2).toString(), "491231235959Z");
    assert.equal(der.time(new Date("2050-01-01T00:00:00Z")).subarray(2).toString(), "20500101000000Z");
  });
});

describe("x509", () => {
  it("is accepted by openssl verify, strictly, for its purposes", () => {
    const files = { "ca.crt": ca.cert, "leaf.crt": leaf(["entry.imcluster.internal"]).cert };
    for (const purpose of ["sslserver", "sslclient"]) {
      const args = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.crt", "leaf.crt"];
      assert.match(openssl(args, files), /leaf\.crt: OK/);
    }
  });

  it("is refused by openssl for a purpose it does not have, and under another CA", () => {
    const serverOnly = leaf(["a.example"], ["server"]).cert;
    const other = createCa({ commonName: "other", nowMs, validDays: 10 });
    const verify = (purpose: string, files: Record<string, string>) =>
      openssl(["verify", "-purpose", purpose, "-CAfile", "ca.crt", "leaf.crt"], files);
    assert.throws(() => verify("sslclient", { "ca.crt": ca.cert, "leaf.crt": serverOnly }));
    assert.throws(() => verify("sslserver", { "ca.crt": other.cert, "leaf.crt": serverOnly }));
  });

  it("may not sign further certificates from a leaf", () => {
    const first = leaf(["a.example"]);
    const second = leaf(["b.example"], ["server"], first);
    const files = { "ca.crt": ca.cert, "mid.crt": first.cert, "leaf.crt": second.cert };
    assert.throws(() => openssl(["verify", "-CAfile", "ca.crt", "-untrusted", "mid.crt", "leaf.crt"], files));
  });

  it("carries DNS names and both kinds of addresses", () => {
    const names = ["demo-entry.shop.svc", "10.89.0.201", "fd00::1:2", "::1"];
    const facts = readCertificate(leaf(names).cert);
    assert.deepEqual(facts?.altNames, ["demo-entry.shop.svc", "10.89.0.201", "fd00::1:2", "::1"]);
    assert.ok(Math.abs((facts?.notAfterMs ?? 0) - nowMs - 365 * 86_400_000) < 1000);
  });

  it("reads nothing out of what is no certificate", () => {
    assert.equal(readCertificate("no pem"), undefined);
    assert.equal(isIssuedBy("no pem", ca.cert), false);
    assert.equal(isIssuedBy(leaf(["x.example"]).cert, ca.cert), true);
    assert.equal(isIssuedBy(leaf(["x.example"]).cert, createCa({ commonName: "b", nowMs, validDays: 1 }).cert), false);
  });

  it("works in a mutual TLS 1.3 handshake of node:tls, checked by address and by name", async () => {
    const server = leaf(["logic.imcluster.internal", "127.0.0.1"]);
    const client = leaf(["operator.imcluster.internal"]);
    const listener = createServer(
      {
        key: server.key,
        cert: server.cert,
        ca: ca.cert,
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: "TLSv1.3",
      },
      (socket) => socket.end(socket.getPeerCertificate().subjectaltname ?? ""),
    );
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const { port } = listener.address() as { port: number };
    const talk = (options: object): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket: TLSSocket = connect({ port, host: "127.0.0.1", ca: ca.cert, ...options });
        let text = "";
        socket.on("data", (chunk) => {
          text += chunk.toString();
        });
        socket.on("end", () => resolve(text));
        socket.on("error", reject);
      });
    try {
      const own = { key: client.key, cert: client.cert };
      assert.equal(await talk(own), "DNS:operator.imcluster.internal");
      assert.equal(await talk({ ...own, servername: "logic.imcluster.internal" }), "DNS:operator.imcluster.internal");
      await assert.rejects(talk({ ...own, servername: "entry.imcluster.internal" }), /altnames|does not match/);
      const foreign = createCa({ commonName: "foreign", nowMs, validDays: 1 });
      await assert.rejects(talk({ ...own, ca: foreign.cert }));
    } finally {
      listener.close();
    }
  });
});
