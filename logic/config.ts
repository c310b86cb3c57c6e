// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import * as z from "zod";
import {
  envDurationMs,
  envInt,
  envList,
  envLogLevel,
  envLogLevelDir,
  envPort,
  envRedisUrl,
  envString,
  envUrl,
} from "#lib/config.ts";
import { tracingShape } from "#lib/tracing/config.ts";
import { DEFAULT_CHANGE_POLICY } from "./changes/change-policy.ts";
import { MAX_GROUP_MEMBERS, MOST_GROUP_MEMBERS } from "./groups/group-rules.ts";
import { checkPushConfig, pushShape } from "./push/push-config.ts";
import { envTenantDays } from "./retention/tenant-days.ts";
import {
  CONVERSATION_POLICIES,
  envTenantPolicies,
  MAX_ITEM_CONVERSATIONS,
  MOST_ITEM_CONVERSATIONS,
} from "./send/subject.ts";
import { serverApiShape } from "./server-api/config.ts";
import { DEFAULT_POLICY, MAX_SESSIONS_PER_SLOT } from "./session/slots.ts";

const common = {
  IM_LOG_LEVEL: envLogLevel().default("info"),
  IM_LOG_LEVEL_DIR: envLogLevelDir().optional(),
  IM_CLUSTER: envString(64).default("dev"),
  IM_POD_NAME: envString(253).default("local"),
  IM_POD_UID: envString(64).default(() => randomUUID()),
  IM_VERSION: envString(64).default("dev"),
  IM_ADMIN_PORT: envPort().default(9090),
  IM_POSTGRES_URL: envUrl("postgres:", "postgresql:").describe("postgres://user:password@host:5432/database"),
  IM_REDIS_URL: envRedisUrl(),
  /** Queue of push intents; default: with the routes. */
  IM_QUEUE_REDIS_URL: envRedisUrl().optional(),
  IM_PUSH_TOKEN_KEYS_FILE: envString()
    .optional()
    .describe(
      "a file with the keys that seal push tokens in the database, base64 of 32 bytes a line, the newest first",
    ),
  IM_HOOKS_FILE: envString()
    .optional()
    .describe("a JSON file that says which backends are told of what by webhooks; see docs/webhooks.md"),
  IM_WEBHOOK_ALLOWED_NETWORKS: envList()
    .optional()
    .describe("private networks that webhooks may go to, such as 10.1.0.0/16,fd00::/8"),
  /** How long a device may take to acknowledge a delivery before its user is pushed to. */
  IM_ACK_TIMEOUT_MS: envDurationMs(3000, 15_000).default(5000),
  ...tracingShape,
};

const hookShape = {
  /** Events that webhooks were told of can be told again for so long; what could not be told is given up then. */
  IM_HOOK_KEEP_MS: envDurationMs(60_000, 30 * 86_400_000).default(3 * 86_400_000),
};

const retentionShape = {
  /** Messages and inboxes older than this are dropped, a month at a time. */
  IM_RETENTION_DAYS: envInt(7, 3650).default(90),
  /** Of tenants for which it is shorter, by sweeps, to the day. */
  IM_RETENTION_TENANTS: envTenantDays(),
  /** How long a resend is recognised. */
  IM_IDEMPOTENCY_DAYS: envInt(7, 3650).default(14),
  /** Broadcasts are forgotten so long after they were over or retracted. */
  IM_BROADCAST_DAYS: envInt(1, 3650).default(90),
};

/** Environment of the logic process. */
export const logicSchema = z.object({
  ...common,
  IM_INTERNAL_TLS_DIR: envString().optional(),
  IM_GRPC_PORT: envPort().default(7443),
  IM_JWKS_FILE: envString().default("/etc/imcluster/auth/jwks.json"),
  IM_TOKEN_SECRET_FILE: envString()
    .optional()
    .describe("a file with a shared secret, instead of a JWKS: tokens are HS256"),
  IM_TOKEN_ALGORITHMS: envList().optional().describe("signature algorithms allowed, such as EdDSA,ES256"),
  IM_SESSIONS_PER_SLOT: envInt(1, MAX_SESSIONS_PER_SLOT).default(DEFAULT_POLICY.sessionsPerSlot),
  IM_LOGINS_PER_MINUTE: envInt(0, 10_000).default(DEFAULT_POLICY.loginsPerMinute),
  IM_TOKEN_ISSUER: envString(256).default("imcluster"),
  IM_TOKEN_AUDIENCE: envString(256).optional(),
  /** Whose presence clients may see: those whom they talk to, or nobody's. */
  IM_PRESENCE_VISIBLE_TO: z.enum(["nobody", "peers"]).default("nobody"),
  IM_PING_INTERVAL_MS: envDurationMs(1000, 600_000).default(30_000),
  /** Of apps in the background; unset = as in the foreground. */
  IM_BACKGROUND_PING_INTERVAL_MS: envDurationMs(1000, 600_000).optional(),
  // A crashed entry counts as online for 15 s at most: this, a renewal on its way, and the second of cached answers.
  IM_LEASE_TTL_MS: envDurationMs(1000, 600_000).default(13_000),
  /** How long after it was sent a message may be recalled or edited by its sender; 0 = never. */
  /** With more than 200 members a group is large: its messages are read in the conversation, and in no inbox. */
  IM_MAX_GROUP_MEMBERS: envInt(2, MOST_GROUP_MEMBERS).default(MAX_GROUP_MEMBERS),
  /** Has a pair of users one conversation, or one per subject? */
  IM_CONVERSATIONS: z.enum(CONVERSATION_POLICIES).default("per_peer"),
  /** Of tenants for which it is otherwise. */
  IM_CONVERSATIONS_TENANTS: envTenantPolicies(),
  /** With one per subject, a pair may have so many. */
  IM_MAX_ITEM_CONVERSATIONS: envInt(1, MOST_ITEM_CONVERSATIONS).default(MAX_ITEM_CONVERSATIONS),
  IM_RECALL_WINDOW_MS: envDurationMs(0, 30 * 86_400_000).default(DEFAULT_CHANGE_POLICY.recallWindowMs),
  IM_EDIT_WINDOW_MS: envDurationMs(0, 30 * 86_400_000).default(DEFAULT_CHANGE_POLICY.editWindowMs),
  IM_CARD_KEYS_FILE: envString()
    .optional()
    .describe("a file with the keys that sign cards, an id and 32 bytes in base64 a line, the newest first"),
  IM_CARD_ACTION_URL: envUrl("https:", "http:")
    .optional()
    .describe("https://... of the backend that is told of pressed buttons"),
  IM_CARD_ACTION_SECRET: envString(1024).default("").describe("the secret that signs what this backend is told"),
  IM_POLICY_FILE: envString()
    .optional()
    .describe("a file with the rules that messages are held against, in JSON; read again when it changes"),
  IM_SYNC_MAX_GAP_EVENTS: envInt(1, 1_000_000).default(2000),
  IM_SYNC_MAX_GAP_DAYS: envInt(1, 3650).default(30),
  ...serverApiShape,
});
export type LogicConfig = z.infer<typeof logicSchema>;

/** Environment of the extlogic process. */
export const extlogicSchema = z
  .object({ ...common, ...pushShape, ...hookShape, ...retentionShape })
  .superRefine(checkPushConfig);
export type ExtlogicConfig = z.infer<typeof extlogicSchema>;
