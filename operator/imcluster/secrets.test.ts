// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { describe, it } from "node:test";
import type { Secret } from "../kube/types.ts";
import { isIssuedBy, readCertificate } from "../pki/x509.ts";
import { makeSecret, operatorLeaf } from "./secret-content.ts";
import {
  contentHashes,
  generatedNames,
  missingReferences,
  neededSecrets,
  secretNames,
  secretValue,
} from "./secrets.ts";
import { NOW_MS, sampleCluster, sampleSecrets } from "./testing/sample.ts";

const cluster = sampleCluster();
const secrets = sampleSecrets(cluster);
const value = (name: string, key: string) => secretValue(secrets, name, key) ?? assert.fail(`${name} has no ${key}`);
const SETTLED = { addresses: ["192.0.2.1"], awaitsAddress: false, nowMs: NOW_MS };
const DAY_MS = 86_400_000;

interface Jwk {
  kid?: string;
  d?: string;
}

describe("neededSecrets", () => {
  it("makes CAs before what they sign, and nothing twice", () => {
    const first = neededSecrets(cluster, new Map(), SETTLED).map(({ kind }) => kind);
    const users = ["postgres-logic", "postgres-extlogic", "redis-logic", "redis-extlogic"];
    assert.deepEqual(first, ["internalCa", "tlsCa", "auth", "pushKeys", "postgres", "redis", ...users]);
    assert.deepEqual(neededSecrets(cluster, secrets, SETTLED), []);
  });

  it("waits with the client certificate for an address that is about to come", () => {
    const some = new Map([...secrets].filter(([name]) => name !== "demo-tls"));
    assert.deepEqual(neededSecrets(cluster, some, { ...SETTLED, awaitsAddress: true }), []);
    assert.deepEqual(
      neededSecrets(cluster, some, SETTLED).map(({ name }) => name),
      ["demo-tls"],
    );
  });

  it("makes none that the spec names itself", () => {
    const own = sampleCluster({
      postgres: { urlSecretRef: { name: "db", key: "url" }, pushKeysSecretRef: { name: "seal", key: "k" } },
      redis: { urlSecretRef: { name: "r", key: "url" } },
      tls: { secretName: "own-tls" },
      auth: { jwksSecretRef: { name: "keys", key: "jwks" } },
    });
    assert.deepEqual(
      neededSecrets(own, new Map(), SETTLED).map(({ name }) => name),
      ["demo-internal-ca"],
    );
    assert.deepEqual(
      secretNames(own)
        .filter((name) => !name.startsWith("demo-"))
        .sort(),
      ["db", "keys", "own-tls", "r", "seal"],
    );
  });

  it("calls none its own that the spec names: its maker may own it", () => {
    const own = sampleCluster({
      auth: { jwksSecretRef: { name: "keys", key: "jwks" } },
      tls: { secretName: "own-tls" },
    });
    const names = generatedNames(own);
    assert.ok(names.includes("demo-postgres"));
    for (const other of ["keys", "own-tls", "demo-auth", "demo-tls"]) assert.ok(!names.includes(other), other);
  });

  it("renews leaves in their last 30 days, never CAs, keys or passwords", () => {
    const soon = neededSecrets(cluster, secrets, { ...SETTLED, nowMs: NOW_MS + 340 * DAY_MS });
    assert.deepEqual(
      soon.map(({ name, reason }) => `${name} ${reason}`),
      ["entry", "logic", "extlogic"]
        .map((role) => `demo-internal-${role} ends in less than 30 days`)
        .concat("demo-tls ends in less than 30 days"),
    );
    assert.ok(soon.every(({ replaces }) => replaces));
    assert.deepEqual(neededSecrets(cluster, secrets, { ...SETTLED, nowMs: NOW_MS + 330 * DAY_MS }), []);
  });

  it("renews the client certificate when an address is new, not when one went", () => {
    const reasonOf = (addresses: string[]) => neededSecrets(cluster, secrets, { ...SETTLED, addresses })[0]?.reason;
    assert.equal(reasonOf(["192.0.2.1", "fd00:0:0:0:0:0:0:2"]), "does not name fd00:0:0:0:0:0:0:2");
    assert.equal(reasonOf([]), undefined);
  });

  it("names the endpoints of the spec in the client certificate, once", () => {
    const endpoints = [
      "direct=IM-1.Example.com:8443",
      "list=[2001:0DB8::1]*2",
      "list=192.0.2.1",
      "balancer=im.example.com",
    ];
    const listed = sampleCluster({ entry: { endpoints } });
    const reason = neededSecrets(listed, secrets, SETTLED)[0]?.reason;
    assert.equal(reason, "does not name IM-1.Example.com, 2001:0DB8::1, im.example.com");
    const made = sampleSecrets(listed);
    assert.deepEqual(neededSecrets(listed, made, SETTLED), []);
    const names = readCertificate(secretValue(made, "demo-tls", "tls.crt") ?? "")?.altNames ?? [];
    assert.deepEqual(names.slice(2), ["192.0.2.1", "im-1.example.com", "2001:db8::1", "im.example.com"]);
  });

  it("makes a leaf again that another CA signed", () => {
    const foreign = sampleSecrets(cluster);
    const mixed = new Map(secrets).set("demo-internal-logic", foreign.get("demo-internal-logic") as Secret);
    assert.deepEqual(
      neededSecrets(cluster, mixed, SETTLED).map(({ reason }) => reason),
      ["was not issued by its CA"],
    );
  });
});

describe("contents", () => {
  it("have one role name per internal certificate", () => {
    for (const role of ["entry", "logic", "extlogic"]) {
      const cert = value(`demo-internal-${role}`, "tls.crt");
      assert.deepEqual(readCertificate(cert)?.altNames, [`${role}.imcluster.internal`]);
      assert.ok(isIssuedBy(cert, value("demo-internal-ca", "ca.crt")));
      assert.ok(!isIssuedBy(cert, value("demo-tls-ca", "ca.crt")), "clients trust another CA than pods do");
    }
    const operator = operatorLeaf(cluster, secrets, NOW_MS);
    assert.deepEqual(readCertificate(operator?.cert ?? "")?.altNames, ["operator.imcluster.internal"]);
    assert.equal(operatorLeaf(cluster, new Map(), NOW_MS), undefined);
  });

  it("have signing keys that match, and only the public half in the JWKS", () => {
    const [jwk] = (JSON.parse(value("demo-auth", "jwks.json")) as { keys: Jwk[] }).keys;
    assert.ok(jwk && jwk.d === undefined);
    const secret = JSON.parse(value("demo-auth", "private.jwk.json")) as Jwk;
    const message = Buffer.from("x");
    const signature = sign(null, message, createPrivateKey({ key: secret as never, format: "jwk" }));
    assert.ok(verify(null, message, createPublicKey({ key: jwk as never, format: "jwk" }), signature));
    assert.equal(jwk.kid, secret.kid);
  });

  it("have URLs with the password that the servers get", () => {
    const postgres = new URL(value("demo-postgres", "url"));
    assert.equal(postgres.password, value("demo-postgres", "password"));
    assert.equal(postgres.username, value("demo-postgres", "username"));
    assert.equal(postgres.pathname, `/${value("demo-postgres", "database")}`);
    assert.equal(postgres.host, "demo-postgres.shop.svc.cluster.local:5432");
    assert.equal(new URL(value("demo-redis", "url")).password, value("demo-redis", "password"));
  });

  it("have users of logic and extlogic, each with a password of its own, of which Redis gets the hash", () => {
    const passwords = new Set([value("demo-postgres", "password"), value("demo-redis", "password")]);
    for (const role of ["logic", "extlogic"]) {
      const [postgres, redis] = ["postgres", "redis"].map((store) => new URL(value(`demo-${store}-${role}`, "url")));
      assert.ok(postgres && redis);
      assert.deepEqual([postgres.username, redis.username], [`imcluster_${role}`, `imcluster_${role}`]);
      assert.equal(postgres.host + postgres.pathname, "demo-postgres.shop.svc.cluster.local:5432/im");
      assert.equal(redis.host + redis.pathname, "demo-redis.shop.svc.cluster.local:6379/0");
      passwords.add(postgres.password).add(redis.password);
      const hash = createHash("sha256").update(redis.password).digest("hex");
      assert.equal(value(`demo-redis-${role}`, "passwordHash"), hash);
    }
    assert.equal(passwords.size, 6);
  });

  it("are random each time", () => {
    const need = { kind: "postgres", name: "demo-postgres", reason: "" } as const;
    const inputs = { cluster, secrets, addresses: [], clusterDomain: "cluster.local", nowMs: NOW_MS };
    assert.notDeepEqual(makeSecret(need, inputs).data, makeSecret(need, inputs).data);
  });

  it("replace only the Secret they were made for", () => {
    const replaces: Secret = { metadata: { name: "demo-tls", uid: "u1" } };
    const need = { kind: "tls", name: "demo-tls", reason: "", replaces } as const;
    const made = makeSecret(need, { cluster, secrets, addresses: [], clusterDomain: "cluster.local", nowMs: NOW_MS });
    assert.equal(made.metadata.uid, "u1");
    assert.equal(made.type, "kubernetes.io/tls");
  });
});

describe("references", () => {
  const own = sampleCluster({ postgres: { urlSecretRef: { name: "db", key: "url" } }, tls: { secretName: "own-tls" } });

  it("that lead nowhere are named with their field", () => {
    assert.deepEqual(missingReferences(own, new Map(), new Map()), [
      "Secret db, named by spec.postgres.urlSecretRef, does not exist: create it with url, or name another one",
      "Secret own-tls, named by spec.tls.secretName, does not exist: create it with tls.crt and tls.key, or name another one",
    ]);
    const half = new Map<string, Secret>([
      ["db", { metadata: { name: "db" }, data: { other: "eA==" } }],
      ["own-tls", { metadata: { name: "own-tls" }, data: { "tls.crt": "eA==" } }],
    ]);
    assert.deepEqual(missingReferences(own, half, new Map()), [
      "Secret db, named by spec.postgres.urlSecretRef, has no key url: add it, or name another key",
      "Secret own-tls, named by spec.tls.secretName, has no key tls.key: add it, or name another key",
    ]);
  });

  it("of the queue's Redis are found missing, and their value changes the hash of Redis", () => {
    const ref = (name: string) => ({ name, key: "url" });
    const two = sampleCluster({ redis: { urlSecretRef: ref("routes"), queueUrlSecretRef: ref("queue") } });
    const have = (queue: string) =>
      new Map<string, Secret>([
        ["routes", { metadata: { name: "routes" }, data: { url: "eA==" } }],
        ["queue", { metadata: { name: "queue" }, data: { url: queue } }],
      ]);
    assert.ok(
      missingReferences(two, new Map(), new Map()).some((text) => text.includes("spec.redis.queueUrlSecretRef")),
    );
    assert.equal(contentHashes(two, new Map()).pushKeys, "", "logic waits for the keys of push tokens");
    assert.notEqual(contentHashes(two, have("eA==")).redis, contentHashes(two, have("eQ==")).redis);
    assert.equal(contentHashes(two, new Map([...have("eA==")].slice(1))).redis, "", "unknown until both are there");
  });

  it("change the hash with the value only", () => {
    const db = (url: string, extra = ""): Map<string, Secret> =>
      new Map([["db", { metadata: { name: "db" }, data: { url: Buffer.from(url).toString("base64"), extra } }]]);
    assert.equal(contentHashes(own, db("a")).postgres, contentHashes(own, db("a", "b")).postgres);
    assert.notEqual(contentHashes(own, db("a")).postgres, contentHashes(own, db("b")).postgres);
    assert.equal(contentHashes(own, new Map()).postgres, "");
  });
});
