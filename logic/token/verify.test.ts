// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { KeyFile, parseJwks, parseSecret } from "./jwks.ts";
import { TokenVerifier } from "./verify.ts";

const NOW_S = 1_700_000_000;
const ed = generateKeyPairSync("ed25519");
const edOther = generateKeyPairSync("ed25519");
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });

const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: "jwk" }), kid });
const jwks = JSON.stringify({
  keys: [jwk(ed.publicKey, "ed"), jwk(ec.publicKey, "ec"), jwk(rsa.publicKey, "rsa")],
});

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

interface Shape {
  header?: object;
  claims?: object;
  key?: KeyObject;
}

const claims = { iss: "imcluster", aud: "demo", sub: "alice", exp: NOW_S + 600 };

function mint({
  header = { alg: "EdDSA", kid: "ed" },
  claims: body = claims,
  key = ed.privateKey,
}: Shape = {}): string {
  const signed = `${part(header)}.${part(body)}`;
  const algorithm = key.asymmetricKeyType === "ed25519" ? null : "sha256";
  const signature = sign(algorithm, Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}

function hmac(header: object, secret: string | Buffer): string {
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

const verifier = new TokenVerifier({
  keys: { current: () => parsed },
  issuer: "imcluster",
  audience: "demo",
  nowMs: () => NOW_S * 1000,
});
const parsed = parseJwks(jwks);

describe("token verifier", () => {
  it("accepts EdDSA, ES256 and RS256 tokens", async () => {
    const good = [
      mint(),
      mint({ header: { alg: "ES256", kid: "ec" }, key: ec.privateKey }),
      mint({ header: { alg: "RS256", kid: "rsa" }, key: rsa.privateKey }),
      mint({ claims: { ...claims, aud: ["other", "demo"] } }),
      mint({ claims: { ...claims, sub: "Ab1_.:@-" } }),
      mint({ claims: { ...claims, exp: NOW_S - 59 } }),
      mint({ claims: { ...claims, nbf: NOW_S + 59, iat: NOW_S + 60 } }),
      mint({ claims: { ...claims, jti: "j".repeat(128) } }),
    ];
    for (const token of good) assert.equal((await verifier.verify(token)).kind, "ok");
    assert.deepEqual(await verifier.verify(mint()), {
      kind: "ok",
      userId: "alice",
      tokenId: "",
      issuedAtMs: 0,
      expiresAtMs: (NOW_S + 600) * 1000,
    });
    const facts = await verifier.verify(mint({ claims: { ...claims, jti: "j-1", iat: NOW_S - 5 } }));
    assert.ok(facts.kind === "ok" && facts.tokenId === "j-1" && facts.issuedAtMs === (NOW_S - 5) * 1000);
  });

  it("puts the tenant of a token in front of its user and its id, and nothing where there is none", async () => {
    const idsOf = async (more: object) => {
      const verdict = await verifier.verify(mint({ claims: { ...claims, ...more } }));
      return verdict.kind === "ok" ? [verdict.userId, verdict.tokenId] : verdict.code;
    };
    assert.deepEqual(await idsOf({ tenant: "acme" }), ["acme/alice", ""]);
    assert.deepEqual(await idsOf({ tenant: "acme", jti: "j-1" }), ["acme/alice", "\u0001acme\u0001j-1"]);
    assert.deepEqual(await idsOf({ tenant: "", jti: "j-1" }), ["alice", "j-1"]);
    assert.deepEqual(await idsOf({ tenant: `a${"-".repeat(31)}` }), [`a${"-".repeat(31)}/alice`, ""]);
  });

  it("tells an expired token from an invalid one", async () => {
    const verdict = await verifier.verify(mint({ claims: { ...claims, exp: NOW_S - 61 } }));
    assert.ok(verdict.kind === "denied" && verdict.code === DisconnectCode.TOKEN_EXPIRED);
  });

  it("does not trust its memory beyond the expiry, or beyond a change of keys", async () => {
    let nowMs = NOW_S * 1000;
    let keys = parsed;
    const remembering = new TokenVerifier({
      keys: { current: () => keys },
      issuer: "imcluster",
      audience: "demo",
      nowMs: () => nowMs,
    });
    const token = mint();
    assert.equal((await remembering.verify(token)).kind, "ok");
    assert.equal((await remembering.verify(token)).kind, "ok");
    keys = parseJwks(JSON.stringify({ keys: [jwk(edOther.publicKey, "ed")] }));
    assert.equal((await remembering.verify(token)).kind, "denied");
    keys = parsed;
    assert.equal((await remembering.verify(token)).kind, "ok");
    nowMs += 660_000;
    const late = await remembering.verify(token);
    assert.ok(late.kind === "denied" && late.code === DisconnectCode.TOKEN_EXPIRED);
  });

  const [head = "", body = "", signature = ""] = mint().split(".");
  const edDer = ed.publicKey.export({ type: "spki", format: "der" });
  const rsaPem = rsa.publicKey.export({ type: "spki", format: "pem" }).toString();
  const bad: Record<string, string> = {
    "no token": "",
    "not a JWT": "hello",
    "two parts": `${head}.${body}`,
    "four parts": `${head}.${body}.${signature}.x`,
    "empty signature": `${head}.${body}.`,
    "wrong signature": `${head}.${body}.${Buffer.alloc(64).toString("base64url")}`,
    "signature of another key": mint({ key: edOther.privateKey }),
    "changed claims": `${head}.${part({ ...claims, sub: "mallory" })}.${signature}`,
    "alg none": `${part({ alg: "none", kid: "ed" })}.${body}.`,
    "alg None": `${part({ alg: "None", kid: "ed" })}.${body}.`,
    "alg HS256 with the public key as secret": hmac({ alg: "HS256", kid: "rsa" }, rsaPem),
    "alg HS256 with the DER as secret": hmac({ alg: "HS256", kid: "ed" }, edDer),
    "alg of another key type": mint({ header: { alg: "ES256", kid: "ed" } }),
    "kid of another key": mint({ header: { alg: "EdDSA", kid: "ec" } }),
    "alg PS256": mint({ header: { alg: "PS256", kid: "rsa" }, key: rsa.privateKey }),
    "no alg": mint({ header: { kid: "ed" } }),
    "alg as a list": mint({ header: { alg: ["EdDSA"], kid: "ed" } }),
    "no kid": mint({ header: { alg: "EdDSA" } }),
    "empty kid": mint({ header: { alg: "EdDSA", kid: "" } }),
    "kid as a number": mint({ header: { alg: "EdDSA", kid: 1 } }),
    "unknown kid": mint({ header: { alg: "EdDSA", kid: "nope" } }),
    "kid as a path": mint({ header: { alg: "EdDSA", kid: "../../etc/passwd" } }),
    "kid of a prototype": mint({ header: { alg: "EdDSA", kid: "__proto__" } }),
    "huge kid": mint({ header: { alg: "EdDSA", kid: "k".repeat(200) } }),
    "its own key": mint({
      header: { alg: "EdDSA", kid: "ed", jwk: jwk(edOther.publicKey, "ed") },
      key: edOther.privateKey,
    }),
    "a key address": mint({ header: { alg: "EdDSA", kid: "ed", jku: "http://127.0.0.1:1/jwks" } }),
    "a certificate address": mint({ header: { alg: "EdDSA", kid: "ed", x5u: "http://127.0.0.1:1/crt" } }),
    "a certificate": mint({ header: { alg: "EdDSA", kid: "ed", x5c: ["MIIB"] } }),
    "an unknown critical header": mint({ header: { alg: "EdDSA", kid: "ed", crit: ["exp"] } }),
    "unencoded payload": mint({ header: { alg: "EdDSA", kid: "ed", b64: false } }),
    "compressed payload": mint({ header: { alg: "EdDSA", kid: "ed", zip: "DEF" } }),
    "header not JSON": `${Buffer.from("{").toString("base64url")}.${body}.${signature}`,
    "header null": `${part(null)}.${body}.${signature}`,
    "header a list": `${part([])}.${body}.${signature}`,
    "no exp": mint({ claims: { iss: "imcluster", aud: "demo", sub: "alice" } }),
    "exp as text": mint({ claims: { ...claims, exp: "tomorrow" } }),
    "not yet valid": mint({ claims: { ...claims, nbf: NOW_S + 61 } }),
    "nbf as text": mint({ claims: { ...claims, nbf: "now" } }),
    "issued in the future": mint({ claims: { ...claims, iat: NOW_S + 61 } }),
    "issued before 1970": mint({ claims: { ...claims, iat: -1 } }),
    "iat as text": mint({ claims: { ...claims, iat: "now" } }),
    "jti too long": mint({ claims: { ...claims, jti: "j".repeat(129) } }),
    "jti with NUL": mint({ claims: { ...claims, jti: "a\0b" } }),
    "jti as a number": mint({ claims: { ...claims, jti: 7 } }),
    "exp as a list": mint({ claims: { ...claims, exp: [NOW_S + 600] } }),
    "issuer as a list": mint({ claims: { ...claims, iss: ["imcluster"] } }),
    "issuer by prefix": mint({ claims: { ...claims, iss: "imcluster.evil" } }),
    "empty audience list": mint({ claims: { ...claims, aud: [] } }),
    "a thumbprint": mint({ header: { alg: "EdDSA", kid: "ed", x5t: "abc" } }),
    "alg HS256 with the JWKS as secret": hmac({ alg: "HS256", kid: "ed" }, jwks),
    "alg HS384": hmac({ alg: "HS384", kid: "ed" }, "secret"),
    "alg with another case": mint({ header: { alg: "eddsa", kid: "ed" } }),
    "signature cut short": `${head}.${body}.${signature.slice(0, -4)}`,
    "a swapped ECDSA signature form": `${part({ alg: "ES256", kid: "ec" })}.${body}.${sign("sha256", Buffer.from(`${part({ alg: "ES256", kid: "ec" })}.${body}`), { key: ec.privateKey, dsaEncoding: "der" }).toString("base64url")}`,
    "white space around it": ` ${mint()} `,
    "wrong issuer": mint({ claims: { ...claims, iss: "elsewhere" } }),
    "no issuer": mint({ claims: { aud: "demo", sub: "alice", exp: NOW_S + 600 } }),
    "wrong audience": mint({ claims: { ...claims, aud: "other" } }),
    "audience by prefix": mint({ claims: { ...claims, aud: "demo2" } }),
    "no audience": mint({ claims: { iss: "imcluster", sub: "alice", exp: NOW_S + 600 } }),
    "no sub": mint({ claims: { iss: "imcluster", aud: "demo", exp: NOW_S + 600 } }),
    "empty sub": mint({ claims: { ...claims, sub: "" } }),
    "tenant as a number": mint({ claims: { ...claims, tenant: 7 } }),
    "tenant null": mint({ claims: { ...claims, tenant: null } }),
    "tenant as a list": mint({ claims: { ...claims, tenant: ["acme"] } }),
    "tenant in capitals": mint({ claims: { ...claims, tenant: "Acme" } }),
    "tenant with a slash": mint({ claims: { ...claims, tenant: "acme/shop" } }),
    "tenant with a line break": mint({ claims: { ...claims, tenant: "acme\n" } }),
    "tenant too long": mint({ claims: { ...claims, tenant: "a".repeat(33) } }),
    "sub with a tenant": mint({ claims: { ...claims, sub: "acme/alice" } }),
    "jti of another tenant": mint({ claims: { ...claims, jti: "\u0001acme\u0001j-1" } }),
    "sub as a number": mint({ claims: { ...claims, sub: 7 } }),
    "sub with a space": mint({ claims: { ...claims, sub: "alice bob" } }),
    "sub with a brace": mint({ claims: { ...claims, sub: "{bob}" } }),
    "sub with a line break": mint({ claims: { ...claims, sub: "alice\n" } }),
    "sub too long": mint({ claims: { ...claims, sub: "a".repeat(65) } }),
    "claims a list": mint({ claims: [] }),
    "too long": `${head}.${part({ ...claims, pad: "x".repeat(4096) })}.${signature}`,
    encrypted: "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.AAAA.AAAA",
  };
  it("knows enough ways to be wrong", () => assert.ok(Object.keys(bad).length >= 60));

  it("fetches nothing, whatever a token names", async (context) => {
    const fetched = context.mock.method(globalThis, "fetch", () => assert.fail("fetched"));
    const sockets: unknown[] = [];
    const onSocket = (message: unknown): unknown => sockets.push(message);
    subscribe("net.client.socket", onSocket);
    try {
      for (const token of Object.values(bad)) await verifier.verify(token);
    } finally {
      unsubscribe("net.client.socket", onSocket);
    }
    assert.deepEqual([fetched.mock.callCount(), sockets.length], [0, 0]);
  });

  for (const [name, token] of Object.entries(bad)) {
    it(`refuses a token with ${name}`, async () => {
      const verdict = await verifier.verify(token);
      assert.ok(verdict.kind === "denied", `${name} was accepted`);
      assert.equal(verdict.code, DisconnectCode.TOKEN_INVALID);
      assert.ok(verdict.reason.length > 10);
    });
  }
});

describe("token verifier with a shared secret", () => {
  const secret = "0123456789abcdef0123456789abcdef";
  const bySecret = new TokenVerifier({
    keys: { current: () => shared },
    issuer: "imcluster",
    audience: "demo",
    nowMs: () => NOW_S * 1000,
  });
  const shared = parseSecret(`${secret}\n`);

  it("accepts HS256, with and without a kid, and nothing else", async () => {
    assert.equal((await bySecret.verify(hmac({ alg: "HS256" }, secret))).kind, "ok");
    assert.equal((await bySecret.verify(hmac({ alg: "HS256", kid: "any" }, secret))).kind, "ok");
    const bad = [
      hmac({ alg: "HS256" }, `${secret}x`),
      hmac({ alg: "HS512" }, secret),
      hmac({ alg: "HS256", jku: "http://127.0.0.1:1" }, secret),
      mint(),
      `${part({ alg: "none" })}.${part(claims)}.`,
    ];
    for (const token of bad) assert.equal((await bySecret.verify(token)).kind, "denied");
  });

  it("needs 32 bytes", () => {
    assert.throws(() => parseSecret("0123456789abcdef0123456789abcde\n"), /32 random/);
    assert.equal(parseSecret("0123456789abcdef0123456789abcdef\r\n").length, 32);
  });

  it("allows only the algorithms of its list", async () => {
    const only = new TokenVerifier({
      keys: { current: () => parsed },
      issuer: "imcluster",
      audience: "demo",
      algorithms: ["ES256"],
      nowMs: () => NOW_S * 1000,
    });
    assert.equal((await only.verify(mint({ header: { alg: "ES256", kid: "ec" }, key: ec.privateKey }))).kind, "ok");
    const other = await only.verify(mint());
    assert.ok(other.kind === "denied" && /ES256/.test(other.reason));
  });
});

describe("JWKS", () => {
  it("refuses key sets that would weaken the check", () => {
    const weakRsa = generateKeyPairSync("rsa", { modulusLength: 1024 });
    const bad: unknown[] = [
      {},
      { keys: [] },
      { keys: [null] },
      { keys: [{ kty: "oct", k: "c2VjcmV0", kid: "a" }] },
      { keys: [{ ...jwk(ed.publicKey, "a"), kid: undefined }] },
      { keys: [jwk(ed.publicKey, "a"), jwk(ec.publicKey, "a")] },
      { keys: [jwk(weakRsa.publicKey, "a")] },
      { keys: [{ ...jwk(ed.publicKey, "a"), use: "enc" }] },
      { keys: [jwk(generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey, "a")] },
    ];
    for (const set of bad) assert.throws(() => parseJwks(JSON.stringify(set)), /JWKS/);
    assert.throws(() => parseJwks("{"), /not JSON/);
  });

  it("drops private parts", () => {
    const [key] = parseJwks(JSON.stringify({ keys: [jwk(ed.privateKey, "a")] })).keys;
    assert.equal(key?.d, undefined);
    assert.equal(key?.kid, "a");
  });

  const folders: string[] = [];
  after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

  it("follows the file and keeps the last good keys", async () => {
    const folder = await mkdtemp(join(tmpdir(), "im-jwks-"));
    folders.push(folder);
    const path = join(folder, "jwks.json");
    await assert.rejects(
      KeyFile.openJwks(path, { clock: new FakeClock(), onError: () => assert.fail() }),
      /IM_JWKS_FILE/,
    );
    await writeFile(path, jwks);
    const faults: unknown[] = [];
    const clock = new FakeClock();
    const file = await KeyFile.openJwks(path, { clock, onError: (error) => faults.push(error) });
    await writeFile(path, JSON.stringify({ keys: [jwk(edOther.publicKey, "new")] }));
    await file.poll();
    assert.deepEqual(
      file.current().keys.map((key) => key.kid),
      ["new"],
    );
    await writeFile(path, "{");
    await file.poll();
    assert.equal(faults.length, 1);
    assert.deepEqual(
      file.current().keys.map((key) => key.kid),
      ["new"],
    );
    file.close();
    assert.equal(clock.pending, 0);
  });
});
