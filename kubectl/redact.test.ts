// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describe, it } from "node:test";
import type { Secret } from "../operator/kube/types.ts";
import { createCa, issueLeaf } from "../operator/pki/x509.ts";
import { Redactor, secretSummary } from "./redact.ts";

const secret = (data: Record<string, string>): Secret => ({
  metadata: { name: "s", namespace: "n", annotations: { note: "x" } },
  type: "Opaque",
  data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString("base64")])),
});

const NOW_MS = Date.parse("2026-11-26T00:00:00Z");
const CANARY = 'Canary/+"=\\pass word';
const ca = createCa({ commonName: "test", nowMs: NOW_MS, validDays: 10 });

describe("Redactor", () => {
  it("takes values of Secrets out, in every form in which they turn up", () => {
    const redactor = new Redactor([secret({ password: CANARY })]);
    const forms = [
      CANARY,
      JSON.stringify({ a: CANARY }),
      `redis://:${encodeURIComponent(CANARY)}/`,
      Buffer.from(CANARY).toString("base64"),
      Buffer.from(CANARY).toString("base64url"),
    ];
    for (const form of forms) {
      const clean = redactor.text(`before ${form} after`);
      assert.ok(clean.includes("[redacted]"), clean);
      assert.ok(clean.startsWith("before ") && clean.endsWith(" after"), clean);
      assert.ok(!clean.includes("Canary") && !clean.includes(Buffer.from("Canary").toString("base64")), clean);
    }
  });

  it("takes out passwords within URLs, lines of keys and members of JWKs by themselves", () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const { d = "" } = privateKey.export({ format: "jwk" });
    const secrets = [
      secret({ url: "postgres://im:s3cretPw@db:5432/im" }),
      secret({ "tls.key": ca.key }),
      secret({ "private.jwk.json": JSON.stringify({ kty: "OKP", d }) }),
    ];
    const redactor = new Redactor(secrets);
    const keyLine = ca.key.split("\n")[1] ?? "";
    for (const value of ["s3cretPw", keyLine, d]) assert.equal(redactor.text(`x ${value} y`), "x [redacted] y");
  });

  it("keeps what is public, and words that are too short to be secrets", () => {
    const leaf = issueLeaf(ca, { commonName: "x", altNames: ["x"], usage: ["server"], nowMs: NOW_MS, validDays: 1 });
    const redactor = new Redactor([
      secret({ "tls.crt": leaf.cert, "ca.crt": ca.cert, username: "imimimim", pin: "1234" }),
    ]);
    assert.equal(redactor.text(leaf.cert), leaf.cert);
    assert.equal(redactor.text("imimimim 1234"), "imimimim 1234");
  });

  it("knows what looks like a secret without having seen it", () => {
    const redactor = new Redactor([]);
    const cases: [string, string][] = [
      ["got eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl end", "got [token] end"],
      [`key ${ca.key.trim()} end`, "key [private key] end"],
      [`{"key":${JSON.stringify(ca.key)}}`, '{"key":"[private key]\\n"}'],
      ["to rediss://user:pw@host:6379/0", "to rediss://[credentials]@host:6379/0"],
      ["authorization: Bearer abcdefgh12345678", "authorization: Bearer [credentials]"],
      ["see https://host/path@v1 and a@b.c", "see https://host/path@v1 and a@b.c"],
    ];
    for (const [text, clean] of cases) assert.equal(redactor.text(text), clean);
  });

  it("cleans objects: values, keys, variables with a telling name, what nobody needs", () => {
    const redactor = new Redactor([secret({ token: "canary-token" })]);
    const object = {
      metadata: {
        name: "pod",
        managedFields: [{ manager: "x" }],
        annotations: {
          "kubectl.kubernetes.io/last-applied-configuration": "{}",
          seen: "canary-token",
          "canary-token": 1,
        },
      },
      spec: {
        containers: [
          {
            env: [
              { name: "DB_PASSWORD", value: "hunter2" },
              { name: "IM_LOG_LEVEL", value: "info" },
              { name: "IM_TOKEN", valueFrom: { secretKeyRef: { name: "demo-auth", key: "token" } } },
            ],
          },
        ],
        tls: { secretName: "demo-tls" },
        none: null,
      },
    };
    assert.deepEqual(redactor.object(object), {
      metadata: { name: "pod", annotations: { seen: "[redacted]", "[redacted]": 1 } },
      spec: {
        containers: [
          {
            env: [
              { name: "DB_PASSWORD", value: "[redacted]" },
              { name: "IM_LOG_LEVEL", value: "info" },
              { name: "IM_TOKEN", valueFrom: { secretKeyRef: { name: "demo-auth", key: "token" } } },
            ],
          },
        ],
        tls: { secretName: "demo-tls" },
        none: null,
      },
    });
  });
});

describe("secretSummary", () => {
  it("says how long values are and until when certificates last, never what they are", () => {
    const leaf = issueLeaf(ca, {
      commonName: "x",
      altNames: ["im.example.com"],
      usage: ["server"],
      nowMs: NOW_MS,
      validDays: 1,
    });
    const summary = secretSummary(secret({ "tls.crt": leaf.cert, "tls.key": leaf.key, odd: "twelve bytes" }));
    assert.deepEqual(summary, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "s", namespace: "n", labels: undefined, uid: undefined, creationTimestamp: undefined },
      type: "Opaque",
      keys: {
        "tls.crt": { bytes: leaf.cert.length, notAfter: "2026-11-27T00:00:00.000Z", names: ["im.example.com"] },
        "tls.key": { bytes: leaf.key.length },
        odd: { bytes: 12 },
      },
    });
  });
});
