// SPDX-License-Identifier: Apache-2.0
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { IM_CLUSTER } from "../api/resource.ts";
import type { ImCluster } from "../api/v1alpha1.ts";
import { controllerReference } from "../kube/owner.ts";
import type { Secret } from "../kube/types.ts";
import { createCa, issueLeaf, type KeyPair } from "../pki/x509.ts";
import { type Component, labelsOf, namesOf, PORT, STORE_USER, type StoreRole } from "./names.ts";
import { clientAltNames, type SecretKind, type SecretNeed, type Secrets, secretValue } from "./secrets.ts";

const CA_DAYS = 3650;
const LEAF_DAYS = 365;
const OPERATOR_LEAF_DAYS = 1;

export interface SecretInputs {
  cluster: ImCluster;
  secrets: Secrets;
  addresses: readonly string[];
  clusterDomain: string;
  nowMs: number;
}

/** Makes the content of a needed Secret: new random keys each time. @throws {ImError} INTERNAL when its CA is not there */
export function makeSecret(need: SecretNeed, inputs: SecretInputs): Secret {
  const { cluster } = inputs;
  const texts = contentOf(need.kind, inputs);
  const data = Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString("base64")]),
  );
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: need.name,
      namespace: cluster.metadata.namespace ?? "default",
      labels: labelsOf(cluster.metadata.name, componentOf(need.kind)),
      ownerReferences: [controllerReference(IM_CLUSTER, cluster)],
      ...(need.replaces?.metadata.uid ? { uid: need.replaces.metadata.uid } : {}),
    },
    type: texts["tls.key"] === undefined ? "Opaque" : "kubernetes.io/tls",
    data,
  };
}

function componentOf(kind: SecretKind): Component {
  switch (kind) {
    case "postgres":
    case "redis":
      return kind;
    case "internal-logic":
    case "postgres-logic":
    case "redis-logic":
    case "auth":
    case "pushKeys":
      return "logic";
    case "internal-extlogic":
    case "postgres-extlogic":
    case "redis-extlogic":
      return "extlogic";
    default:
      return "entry";
  }
}

function contentOf(kind: SecretKind, inputs: SecretInputs): Record<string, string> {
  const { cluster, nowMs } = inputs;
  const { name } = cluster.metadata;
  switch (kind) {
    case "internalCa":
    case "tlsCa": {
      const purpose = kind === "internalCa" ? "internal" : "client";
      const ca = createCa({ commonName: `ImCluster ${name} ${purpose} CA`, nowMs, validDays: CA_DAYS });
      return { "ca.crt": ca.cert, "ca.key": ca.key };
    }
    case "tls": {
      const altNames = clientAltNames(cluster, inputs.addresses);
      return leafContent(namesOf(name).tlsCa, inputs, {
        commonName: `${name}.imcluster.local`,
        altNames,
        usage: ["server"],
      });
    }
    case "auth":
      return signingKeys();
    case "pushKeys":
      return { keys: `${randomBytes(32).toString("base64")}\n` };
    case "postgres":
      return postgresContent(inputs);
    case "redis":
      return redisContent(inputs);
    case "postgres-logic":
      return postgresUserContent(inputs, "logic");
    case "postgres-extlogic":
      return postgresUserContent(inputs, "extlogic");
    case "redis-logic":
      return redisUserContent(inputs, "logic");
    case "redis-extlogic":
      return redisUserContent(inputs, "extlogic");
    default: {
      const role = `${kind.slice("internal-".length)}.imcluster.internal`;
      return leafContent(namesOf(name).internalCa, inputs, {
        commonName: role,
        altNames: [role],
        usage: ["server", "client"],
      });
    }
  }
}

type LeafNames = { commonName: string; altNames: string[]; usage: ("server" | "client")[] };

function leafContent(caName: string, inputs: SecretInputs, names: LeafNames): Record<string, string> {
  const ca = caOf(inputs.secrets, caName);
  const leaf = issueLeaf(ca, { ...names, nowMs: inputs.nowMs, validDays: LEAF_DAYS });
  return { "tls.crt": leaf.cert, "tls.key": leaf.key, "ca.crt": ca.cert };
}

function caOf(secrets: Secrets, name: string): KeyPair {
  const cert = secretValue(secrets, name, "ca.crt");
  const key = secretValue(secrets, name, "ca.key");
  if (!cert || !key) throw new ImError(ErrorCode.INTERNAL, `Secret ${name} holds no CA`);
  return { cert, key };
}

/** A one-day certificate of the operator's role, kept in memory only. `undefined` until the CA exists. */
export function operatorLeaf(
  cluster: ImCluster,
  secrets: Secrets,
  nowMs: number,
): (KeyPair & { ca: string }) | undefined {
  const caName = namesOf(cluster.metadata.name).internalCa;
  if (!secrets.has(caName)) return undefined;
  const ca = caOf(secrets, caName);
  const role = "operator.imcluster.internal";
  const request = {
    commonName: role,
    altNames: [role],
    usage: ["client"] as const,
    nowMs,
    validDays: OPERATOR_LEAF_DAYS,
  };
  return { ...issueLeaf(ca, request), ca: ca.cert };
}

/** An Ed25519 key: the public half for logic as JWKS, the private half for whoever mints sample tokens. */
function signingKeys(): Record<string, string> {
  const { privateKey } = generateKeyPairSync("ed25519");
  const { crv, x, d } = privateKey.export({ format: "jwk" });
  // RFC 7638 (members in lexical order), with the members that RFC 8037 requires.
  const kid = createHash("sha256")
    .update(JSON.stringify({ crv, kty: "OKP", x }))
    .digest("base64url");
  const publicJwk = { kty: "OKP", crv, x, kid, alg: "EdDSA", use: "sig" };
  return {
    "jwks.json": JSON.stringify({ keys: [publicJwk] }),
    "private.jwk.json": JSON.stringify({ ...publicJwk, d }),
  };
}

/** 192 bits of letters, digits, `-` and `_`: needs no escaping in a URL. */
const password = (): string => randomBytes(24).toString("base64url");

function hostOf(inputs: SecretInputs, service: string): string {
  return `${service}.${inputs.cluster.metadata.namespace ?? "default"}.svc.${inputs.clusterDomain}`;
}

const DATABASE = "im";

/** The user that the image makes: it owns the tables, and makes the users of logic and extlogic. */
function postgresContent(inputs: SecretInputs): Record<string, string> {
  const secret = password();
  return { username: "im", password: secret, database: DATABASE, url: postgresUrl(inputs, "im", secret) };
}

function postgresUserContent(inputs: SecretInputs, role: StoreRole): Record<string, string> {
  return { url: postgresUrl(inputs, STORE_USER[role], password()) };
}

function postgresUrl(inputs: SecretInputs, user: string, secret: string): string {
  const host = hostOf(inputs, namesOf(inputs.cluster.metadata.name).postgres);
  return `postgres://${user}:${secret}@${host}:${PORT.postgres}/${DATABASE}`;
}

function redisContent(inputs: SecretInputs): Record<string, string> {
  const secret = password();
  return { password: secret, url: redisUrl(inputs, "", secret) };
}

/** The server's pod gets the hash only. 192 random bits cannot be guessed from it. */
function redisUserContent(inputs: SecretInputs, role: StoreRole): Record<string, string> {
  const secret = password();
  const passwordHash = createHash("sha256").update(secret).digest("hex");
  return { passwordHash, url: redisUrl(inputs, STORE_USER[role], secret) };
}

function redisUrl(inputs: SecretInputs, user: string, secret: string): string {
  const host = hostOf(inputs, namesOf(inputs.cluster.metadata.name).redis);
  return `redis://${user}:${secret}@${host}:${PORT.redis}/0`;
}
