// SPDX-License-Identifier: Apache-2.0
import { ref } from "./sample-ref.ts";
import type { Wrong } from "./wrong-specs.ts";

/** PostgreSQL, Redis, Secrets and tokens. */
export const WRONG_STORES: readonly Wrong[] = [
  {
    what: "both kinds of PostgreSQL",
    spec: { postgres: { urlSecretRef: ref, embedded: {} } },
    field: "spec.postgres",
    remedy: /exclude each other: remove one/,
  },
  {
    what: "both kinds of Redis",
    spec: { redis: { urlSecretRef: ref, embedded: {} } },
    field: "spec.redis",
    remedy: /exclude each other: remove one/,
  },
  {
    what: "a queue beside the embedded Redis",
    spec: { redis: { queueUrlSecretRef: ref } },
    field: "spec.redis",
    remedy: /needs spec\.redis\.urlSecretRef/,
  },
  {
    what: "Secret without key",
    spec: { postgres: { urlSecretRef: { name: "db" } } },
    field: "spec.postgres.urlSecretRef.key",
    remedy: /Required/,
  },
  {
    what: "Secret name with upper case",
    spec: { redis: { urlSecretRef: { name: "DB", key: "url" } } },
    field: "spec.redis.urlSecretRef.name",
    remedy: /only a-z, 0-9, '-' and '\.'/,
  },
  {
    what: "storage of 1 MiB",
    spec: { postgres: { embedded: { storageSize: "1Mi" } } },
    field: "spec.postgres.embedded.storageSize",
    remedy: /between 1Gi and 16Ti/,
  },
  {
    what: "Redis memory in words",
    spec: { redis: { embedded: { maxMemory: "all" } } },
    field: "spec.redis.embedded.maxMemory",
    remedy: /between 16Mi and 64Gi/,
  },
  {
    what: "generated TLS Secret named",
    spec: { tls: { secretName: "demo-tls" } },
    field: "",
    remedy: /spec\.tls\.secretName must not be '<name>-tls'.*leave the field out/,
  },
  {
    what: "embedded database's Secret named",
    spec: { postgres: { urlSecretRef: { name: "demo-postgres", key: "url" } } },
    field: "",
    remedy: /spec\.postgres\.urlSecretRef\.name must not be.*name your own Secret/,
  },
  {
    what: "generated push keys named",
    spec: { postgres: { pushKeysSecretRef: { name: "demo-push-keys", key: "keys" } } },
    field: "",
    remedy: /spec\.postgres\.pushKeysSecretRef\.name must not be.*leave the field out/,
  },
  {
    what: "server API without any calls",
    spec: { logic: { serverApi: { ratePerSecond: 0 } } },
    field: "spec.logic.serverApi.ratePerSecond",
    remedy: /between 1 and 100000/,
  },
  {
    what: "audit log that is forgotten too soon",
    spec: { logic: { serverApi: { auditDays: 89 } } },
    field: "spec.logic.serverApi.auditDays",
    remedy: /between 90 and 3650/,
  },
  {
    what: "path for the server API's certificate",
    spec: { logic: { serverApi: { tlsSecretName: "/etc/tls" } } },
    field: "spec.logic.serverApi.tlsSecretName",
    remedy: /name of a Secret/,
  },
  {
    what: "API keys without a key",
    spec: { logic: { serverApi: { keysSecretRef: { name: "shop-keys" } } } },
    field: "spec.logic.serverApi.keysSecretRef.key",
    remedy: /Required/,
  },
  {
    what: "push keys without a name",
    spec: { postgres: { pushKeysSecretRef: { key: "keys" } } },
    field: "spec.postgres.pushKeysSecretRef.name",
    remedy: /Required/,
  },
  {
    what: "generated keys named",
    spec: { auth: { jwksSecretRef: { name: "demo-auth", key: "jwks.json" } } },
    field: "",
    remedy: /spec\.auth\.jwksSecretRef\.name must not be.*leave the field out/,
  },
  {
    what: "generated keys named as a shared secret",
    spec: { auth: { sharedSecretRef: { name: "demo-auth", key: "secret" } } },
    field: "",
    remedy: /spec\.auth\.sharedSecretRef\.name must not be.*name your own Secret/,
  },
  {
    what: "public keys and a shared secret",
    spec: { auth: { jwksSecretRef: ref, sharedSecretRef: ref } },
    field: "spec.auth",
    remedy: /not both/,
  },
  {
    what: "HS256 without a shared secret",
    spec: { auth: { algorithms: ["HS256"] } },
    field: "spec.auth",
    remedy: /exactly when sharedSecretRef is set/,
  },
  {
    what: "EdDSA next to a shared secret's HS256",
    spec: { auth: { sharedSecretRef: ref, algorithms: ["HS256", "EdDSA"] } },
    field: "spec.auth",
    remedy: /must be \[HS256\]/,
  },
  {
    what: "no algorithm",
    spec: { auth: { algorithms: [] } },
    field: "spec.auth.algorithms",
    remedy: /at least 1 item/,
  },
  {
    what: "an unsigned algorithm",
    spec: { auth: { algorithms: ["none"] } },
    field: "spec.auth.algorithms",
    remedy: /EdDSA/,
  },
  { what: "empty issuer", spec: { auth: { issuer: "" } }, field: "spec.auth.issuer", remedy: /at least 1 chars/ },
];
