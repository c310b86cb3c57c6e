// SPDX-License-Identifier: Apache-2.0
import { parseEndpoint } from "#lib/endpoint.ts";
import type { ImCluster } from "../api/v1alpha1.ts";
import type { ConfigMap, Secret } from "../kube/types.ts";
import { type CertificateFacts, canonicalName, isIssuedBy, readCertificate } from "../pki/x509.ts";
import { hashOf } from "./hash.ts";
import { namesOf, type PodRole, ROLES, STORE_ROLES, type StoreRole } from "./names.ts";
import type { ContentHashes } from "./resources/context.ts";

/** Secrets that the operator makes. */
export type SecretKind =
  | "internalCa"
  | `internal-${PodRole}`
  | "tlsCa"
  | "tls"
  | "auth"
  | "pushKeys"
  | "postgres"
  | "redis"
  | `${"postgres" | "redis"}-${StoreRole}`;
/** By name; only those that exist. */
export type Secrets = ReadonlyMap<string, Secret>;
/** By name; of those that the spec names, the ones that exist. */
export type ConfigMaps = ReadonlyMap<string, ConfigMap>;

/** A Secret to make, or with `replaces` to make again. */
export interface SecretNeed {
  kind: SecretKind;
  name: string;
  reason: string;
  replaces?: Secret;
}

/** Certificates are issued again this long before they end. */
const RENEW_BEFORE_MS = 30 * 86_400_000;

export function secretValue(secrets: Secrets, name: string, key: string): string | undefined {
  const value = secrets.get(name)?.data?.[key];
  return value === undefined ? undefined : Buffer.from(value, "base64").toString("utf8");
}

interface Reference {
  field: string;
  name: string;
  keys: string[];
}

/** Secret keys of the push providers, by the field that names them. */
function pushReferences({ spec }: ImCluster): [string, { name: string; key: string } | undefined][] {
  const { apns, fcm, webPush, wechat, sms } = spec.extlogic.push ?? {};
  return [
    ["spec.extlogic.push.apns.keySecretRef", apns?.keySecretRef],
    ["spec.extlogic.push.fcm.serviceAccountSecretRef", fcm?.serviceAccountSecretRef],
    ["spec.extlogic.push.webPush.keySecretRef", webPush?.keySecretRef],
    ["spec.extlogic.push.wechat.secretRef", wechat?.secretRef],
    ["spec.extlogic.push.sms.secretRef", sms?.secretRef],
  ];
}

/** Secrets that the spec names and somebody else makes. */
function references(cluster: ImCluster): Reference[] {
  const { postgres, redis, auth, tls, logic, extlogic, chat, tracing } = cluster.spec;
  const byKey: [string, { name: string; key: string } | undefined][] = [
    ["spec.postgres.urlSecretRef", postgres.urlSecretRef],
    ["spec.postgres.pushKeysSecretRef", postgres.pushKeysSecretRef],
    ["spec.redis.urlSecretRef", redis.urlSecretRef],
    ["spec.redis.queueUrlSecretRef", redis.queueUrlSecretRef],
    ["spec.auth.jwksSecretRef", auth.jwksSecretRef],
    ["spec.auth.sharedSecretRef", auth.sharedSecretRef],
    ["spec.logic.serverApi.keysSecretRef", logic.serverApi?.keysSecretRef],
    ["spec.extlogic.webhook.secretRef", extlogic.webhook?.secretRef],
    ["spec.chat.cards.keysSecretRef", chat.cards?.keysSecretRef],
    ["spec.chat.cards.actions.secretRef", chat.cards?.actions?.secretRef],
    ["spec.chat.hooks.secretRef", chat.hooks?.secretRef],
    ["spec.tracing.headersSecretRef", tracing?.headersSecretRef],
    ...pushReferences(cluster),
  ];
  const found = byKey.flatMap(([field, ref]) => (ref ? [{ field, name: ref.name, keys: [ref.key] }] : []));
  const pairs: [string, string | undefined][] = [
    ["spec.tls.secretName", tls.secretName],
    ["spec.logic.serverApi.tlsSecretName", logic.serverApi?.tlsSecretName],
  ];
  for (const [field, name] of pairs) if (name) found.push({ field, name, keys: ["tls.crt", "tls.key"] });
  return found;
}

/** ConfigMaps that the spec names. */
function configMapReferences({ spec }: ImCluster): Reference[] {
  const ref = spec.chat.policy?.configMapRef;
  return ref ? [{ field: "spec.chat.policy.configMapRef", name: ref.name, keys: [ref.key] }] : [];
}

/** One sentence for each Secret, ConfigMap or key that the spec names and that is not there: what it is, and what to do. */
export function missingReferences(cluster: ImCluster, secrets: Secrets, configMaps: ConfigMaps): string[] {
  return [
    ...references(cluster).flatMap((ref) =>
      missingOf("Secret", ref, secrets.has(ref.name), (key) => secretValue(secrets, ref.name, key)),
    ),
    ...configMapReferences(cluster).flatMap((ref) =>
      missingOf("ConfigMap", ref, configMaps.has(ref.name), (key) => configMaps.get(ref.name)?.data?.[key]),
    ),
  ];
}

function missingOf(
  kind: "Secret" | "ConfigMap",
  { field, name, keys }: Reference,
  exists: boolean,
  read: (key: string) => string | undefined,
): string[] {
  const which = `${kind} ${name}, named by ${field},`;
  if (!exists) return [`${which} does not exist: create it with ${keys.join(" and ")}, or name another one`];
  return keys.filter((key) => !read(key)).map((key) => `${which} has no key ${key}: add it, or name another key`);
}

/** Names of the Secrets that are ours. Whoever makes one that the spec names may own it, too. */
export function generatedNames(cluster: ImCluster): string[] {
  return generatedSecrets(cluster).map(({ name }) => name);
}

/** Names of all Secrets that a reconcile reads. */
export function secretNames(cluster: ImCluster): string[] {
  return [...new Set([...generatedNames(cluster), ...references(cluster).map(({ name }) => name)])];
}

/** Names of all ConfigMaps that a reconcile reads: the one that is ours, and those that the spec names. */
export function configMapNames(cluster: ImCluster): string[] {
  return [
    ...new Set([namesOf(cluster.metadata.name).logLevels, ...configMapReferences(cluster).map(({ name }) => name)]),
  ];
}

function generatedSecrets(cluster: ImCluster): { kind: SecretKind; name: string }[] {
  const names = namesOf(cluster.metadata.name);
  const { spec } = cluster;
  const all: [SecretKind, string, boolean][] = [
    ["internalCa", names.internalCa, true],
    ...ROLES.map((role): [SecretKind, string, boolean] => [`internal-${role}`, names.internal[role], true]),
    ["tlsCa", names.tlsCa, !spec.tls.secretName],
    ["tls", names.tls, !spec.tls.secretName],
    ["auth", names.auth, !spec.auth.jwksSecretRef && !spec.auth.sharedSecretRef],
    ["pushKeys", names.pushKeys, !spec.postgres.pushKeysSecretRef],
    ["postgres", names.postgres, !spec.postgres.urlSecretRef],
    ["redis", names.redis, !spec.redis.urlSecretRef],
    ...(["postgres", "redis"] as const).flatMap((store) =>
      STORE_ROLES.map((role): [SecretKind, string, boolean] => [
        `${store}-${role}`,
        names.storeUser[store][role],
        !spec[store].urlSecretRef,
      ]),
    ),
  ];
  return all.filter(([, , wanted]) => wanted).map(([kind, name]) => ({ kind, name }));
}

/** Names under which clients may reach the entries. */
export function clientAltNames(cluster: ImCluster, addresses: readonly string[]): string[] {
  const { name, namespace = "default" } = cluster.metadata;
  const own = [`${namesOf(name).entry}.${namespace}.svc`, `${name}.imcluster.local`];
  const endpoints = (cluster.spec.entry.endpoints ?? []).flatMap((text) => parseEndpoint(text)?.host ?? []);
  return [...new Set([...own, ...addresses, ...endpoints])];
}

export interface SecretSituation {
  /** Addresses of the entry Service. */
  addresses: readonly string[];
  /** The address is about to come: a certificate issued now would lack it. */
  awaitsAddress: boolean;
  nowMs: number;
}

/** What to make now, in an order in which what signs comes first. Secrets that exist are kept, but for certificates near their end. */
export function neededSecrets(cluster: ImCluster, secrets: Secrets, situation: SecretSituation): SecretNeed[] {
  return generatedSecrets(cluster).flatMap(({ kind, name }) => {
    const existing = secrets.get(name);
    if (!existing)
      return isPossible(kind, cluster, secrets, situation) ? [{ kind, name, reason: "does not exist" }] : [];
    const reason = staleReason({ kind, secret: existing }, cluster, secrets, situation);
    return reason ? [{ kind, name, reason, replaces: existing }] : [];
  });
}

function isPossible(kind: SecretKind, cluster: ImCluster, secrets: Secrets, situation: SecretSituation): boolean {
  const signer = signerOf(kind, cluster);
  return (!signer || secrets.has(signer)) && !(kind === "tls" && situation.awaitsAddress);
}

/** Name of the CA's Secret for kinds that are leaves. */
function signerOf(kind: SecretKind, cluster: ImCluster): string | undefined {
  const names = namesOf(cluster.metadata.name);
  if (kind === "tls") return names.tlsCa;
  return kind.startsWith("internal-") ? names.internalCa : undefined;
}

interface Issued {
  caPem: string;
  facts: CertificateFacts | undefined;
}

/** A signature costs more to verify than all the rest of a pass, and a Secret that was read does not change. */
const issued = new WeakMap<Secret, Issued>();

/** What its certificate says; `undefined` when this CA did not issue it. */
function issuedFacts(secret: Secret, caPem: string): CertificateFacts | undefined {
  const known = issued.get(secret);
  if (known?.caPem === caPem) return known.facts;
  const certPem = Buffer.from(secret.data?.["tls.crt"] ?? "", "base64").toString("utf8");
  const facts = isIssuedBy(certPem, caPem) ? readCertificate(certPem) : undefined;
  issued.set(secret, { caPem, facts });
  return facts;
}

function staleReason(
  { kind, secret }: { kind: SecretKind; secret: Secret },
  cluster: ImCluster,
  secrets: Secrets,
  situation: SecretSituation,
): string | undefined {
  const signer = signerOf(kind, cluster);
  const caPem = signer && secretValue(secrets, signer, "ca.crt");
  if (!caPem) return undefined;
  const facts = issuedFacts(secret, caPem);
  if (!facts) return "was not issued by its CA";
  if (facts.notAfterMs - situation.nowMs < RENEW_BEFORE_MS) return "ends in less than 30 days";
  if (kind !== "tls") return undefined;
  const missing = clientAltNames(cluster, situation.addresses).filter(
    (alt) => !facts.altNames.includes(canonicalName(alt)),
  );
  return missing.length > 0 ? `does not name ${missing.join(", ")}` : undefined;
}

/** Hashes of the contents that pods read once, at their start. */
export function contentHashes(cluster: ImCluster, secrets: Secrets): ContentHashes {
  const names = namesOf(cluster.metadata.name);
  const { postgres, redis, auth, extlogic, chat, tracing } = cluster.spec;
  const of = (ref: { name: string; key: string } | undefined): string => {
    const value = ref && secretValue(secrets, ref.name, ref.key);
    return value === undefined ? "" : hashOf(value);
  };
  const ofUser = (store: "postgres" | "redis", role: StoreRole) =>
    of(cluster.spec[store].urlSecretRef ?? { name: names.storeUser[store][role], key: "url" });
  const usersOf = (store: "postgres" | "redis") => STORE_ROLES.map((role) => ofUser(store, role));
  const queueHash = of(redis.queueUrlSecretRef);
  // Each empty while the first is unknown, whatever the second is.
  const withQueue = (hash: string) => (hash === "" ? "" : hash + queueHash);
  const redisHash = of(redis.urlSecretRef ?? { name: names.redis, key: "url" });
  const internal = (role: PodRole) => of({ name: names.internal[role], key: "tls.crt" });
  return {
    internal: { entry: internal("entry"), logic: internal("logic"), extlogic: internal("extlogic") },
    postgres: of(postgres.urlSecretRef ?? { name: names.postgres, key: "url" }),
    redis: redis.urlSecretRef ? withQueue(redisHash) : joined([redisHash, ...usersOf("redis")]),
    users: {
      logic: { postgres: ofUser("postgres", "logic"), redis: withQueue(ofUser("redis", "logic")) },
      extlogic: { postgres: ofUser("postgres", "extlogic"), redis: withQueue(ofUser("redis", "extlogic")) },
    },
    tokenKeys: of(auth.jwksSecretRef ?? auth.sharedSecretRef ?? { name: names.auth, key: "jwks.json" }),
    pushKeys: of(postgres.pushKeysSecretRef ?? { name: names.pushKeys, key: "keys" }),
    webhook: of(extlogic.webhook?.secretRef),
    cardActions: of(chat.cards?.actions?.secretRef),
    tracing: of(tracing?.headersSecretRef),
    push: hashOf(pushReferences(cluster).map(([, ref]) => of(ref))),
  };
}

/** One hash of several; empty while one is unknown. */
function joined(hashes: readonly string[]): string {
  return hashes.includes("") ? "" : hashOf(hashes);
}

/** Fingerprint of the certificate that clients see; empty while there is none. */
export function tlsFingerprint(cluster: ImCluster, secrets: Secrets): string {
  const name = cluster.spec.tls.secretName ?? namesOf(cluster.metadata.name).tls;
  const cert = secretValue(secrets, name, "tls.crt");
  return cert === undefined ? "" : hashOf(cert);
}
