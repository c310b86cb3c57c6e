// SPDX-License-Identifier: Apache-2.0
import { WRONG_CHATS } from "./wrong-chats.ts";
import { WRONG_ENTRIES } from "./wrong-entries.ts";
import { WRONG_NETWORKS } from "./wrong-networks.ts";
import { WRONG_PUSH } from "./wrong-push.ts";
import { WRONG_STORES } from "./wrong-stores.ts";
import { WRONG_UPDATES } from "./wrong-updates.ts";

/** A spec that the API server must refuse, and how. */
export interface Wrong {
  what: string;
  spec?: unknown;
  name?: string;
  /** The field as the API server names it. */
  field: string;
  /** What the message tells the person to do. */
  remedy: RegExp;
}

/** What concerns the ImCluster as a whole. */
const WRONG_CLUSTERS: readonly Wrong[] = [
  { what: "name of 41 characters", name: "a".repeat(41), field: "metadata.name", remedy: /choose a shorter one/ },
  { what: "name that starts with a digit", name: "1im", field: "metadata.name", remedy: /start with a letter/ },
  { what: "name with a dot", name: "im.demo", field: "metadata.name", remedy: /only a-z, 0-9 and '-'/ },
  {
    what: "traces without a collector",
    spec: { tracing: { ratio: "0.5" } },
    field: "spec.tracing.endpoint",
    remedy: /Required value/,
  },
  {
    what: "a collector that is no URL",
    spec: { tracing: { endpoint: "otel:4318" } },
    field: "spec.tracing.endpoint",
    remedy: /must start with http:\/\/ or https:\/\//,
  },
  {
    what: "a collector with credentials",
    spec: { tracing: { endpoint: "https://me:secret@otel.example" } },
    field: "spec.tracing.endpoint",
    remedy: /credentials belong in headersSecretRef/,
  },
  {
    what: "a share of traces above 1",
    spec: { tracing: { endpoint: "http://otel:4318", ratio: "1.5" } },
    field: "spec.tracing.ratio",
    remedy: /a number from 0 to 1 in quotes/,
  },
  {
    what: "too many traces in a second",
    spec: { tracing: { endpoint: "http://otel:4318", maxPerSecond: 1001 } },
    field: "spec.tracing.maxPerSecond",
    remedy: /between 1 and 1000/,
  },
  {
    what: "version with v",
    spec: { version: "v1.2.3" },
    field: "spec.version",
    remedy: /semantic version such as 0\.1\.0/,
  },
  { what: "version of two numbers", spec: { version: "1.2" }, field: "spec.version", remedy: /semantic version/ },
  {
    what: "image latest",
    spec: { image: "r.io/im:latest" },
    field: "spec.image",
    remedy: /name a version tag or a digest/,
  },
  { what: "image without tag", spec: { image: "r.io/im" }, field: "spec.image", remedy: /must end in a tag or digest/ },
  {
    what: "image with port, no tag",
    spec: { image: "r.io:5000/im" },
    field: "spec.image",
    remedy: /must end in a tag or digest/,
  },
  { what: "image with short digest", spec: { image: "im@sha256:abc" }, field: "spec.image", remedy: /64 hex digits/ },
  {
    what: "an acknowledgement within two seconds",
    spec: { delivery: { ackTimeout: "2999ms" } },
    field: "spec.delivery.ackTimeout",
    remedy: /between 3s and 15s/,
  },
  {
    what: "an acknowledgement within a minute",
    spec: { delivery: { ackTimeout: "1m" } },
    field: "spec.delivery.ackTimeout",
    remedy: /between 3s and 15s/,
  },
  {
    what: "an acknowledgement timeout without unit",
    spec: { delivery: { ackTimeout: "5" } },
    field: "spec.delivery.ackTimeout",
    remedy: /such as 5s or 7500ms/,
  },
  { what: "no logic", spec: { logic: { replicas: 0 } }, field: "spec.logic.replicas", remedy: /between 1 and 100/ },
  {
    what: "another policy",
    spec: { sessions: { policy: "two" } },
    field: "spec.sessions.policy",
    remedy: /n-per-slot/,
  },
  {
    what: "n-per-slot without a number",
    spec: { sessions: { policy: "n-per-slot" } },
    field: "spec.sessions",
    remedy: /set both/,
  },
  {
    what: "a number without n-per-slot",
    spec: { sessions: { perSlot: 3 } },
    field: "spec.sessions",
    remedy: /set both/,
  },
  {
    what: "one session by n-per-slot",
    spec: { sessions: { policy: "n-per-slot", perSlot: 1 } },
    field: "spec.sessions.perSlot",
    remedy: /greater than or equal to 2/,
  },
  {
    what: "33 sessions of a class",
    spec: { sessions: { policy: "n-per-slot", perSlot: 33 } },
    field: "spec.sessions.perSlot",
    remedy: /less than or equal to 32/,
  },
  {
    what: "negative logins per minute",
    spec: { sessions: { loginsPerMinute: -1 } },
    field: "spec.sessions.loginsPerMinute",
    remedy: /greater than or equal to 0/,
  },
  {
    what: "presence for everybody",
    spec: { presence: { visibleTo: "everybody" } },
    field: "spec.presence.visibleTo",
    remedy: /"nobody", "peers"/,
  },
  {
    what: "retention of 6 days",
    spec: { retention: { days: 6, resendDays: 7 } },
    field: "spec.retention.days",
    remedy: /between 7 and 3650/,
  },
  {
    what: "resends of 3651 days",
    spec: { retention: { days: 3650, resendDays: 3651 } },
    field: "spec.retention.resendDays",
    remedy: /between 7 and 3650/,
  },
  {
    what: "broadcasts kept for no day",
    spec: { retention: { broadcastDays: 0 } },
    field: "spec.retention.broadcastDays",
    remedy: /between 1 and 3650/,
  },
  {
    what: "resends kept longer than messages",
    spec: { retention: { days: 13 } },
    field: "spec.retention",
    remedy: /must not be longer than spec\.retention\.days/,
  },
];

export const WRONG: readonly Wrong[] = [
  ...WRONG_CLUSTERS,
  ...WRONG_ENTRIES,
  ...WRONG_UPDATES,
  ...WRONG_PUSH,
  ...WRONG_STORES,
  ...WRONG_CHATS,
  ...WRONG_NETWORKS,
];
