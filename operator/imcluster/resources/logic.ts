// SPDX-License-Identifier: Apache-2.0
import type { SessionsSpec } from "../../api/v1alpha1.ts";
import type { Deployment } from "../../kube/types.ts";
import { PORT } from "../names.ts";
import { durationMs } from "../units.ts";
import { chatEnv, chatMounts, hooksEnv, hooksMounts } from "./chat.ts";
import { type BuildContext, perContext } from "./context.ts";
import { deployment } from "./deployment.ts";
import { LOG_LEVEL_ENV, logLevelMount } from "./log-levels.ts";
import {
  ackTimeoutEnv,
  adminProbes,
  INTERNAL_TLS_ENV,
  identityEnv,
  internalTls,
  POSTGRES_URL_ENV,
  PUSH_KEYS_ENV,
  postgresUrl,
  pushKeys,
  redisEnv,
  redisUrls,
  secretMount,
} from "./pod-parts.ts";
import { serverApiEnv, serverApiMounts } from "./server-api.ts";
import { tracingEnv, tracingHash, tracingMounts } from "./tracing.ts";

const AUTH_DIR = "/etc/imcluster/auth";

/** Logic pods: persist, route, deliver. */
export const logicDeployment = perContext((context: BuildContext): Deployment => {
  const { logic, auth, entry, sessions, presence, chat } = context.cluster.spec;
  const keys = auth.jwksSecretRef ?? auth.sharedSecretRef ?? { name: context.names.auth, key: "jwks.json" };
  const keyFile = auth.sharedSecretRef ? "secret" : "jwks.json";
  const { hashes } = context;
  return deployment(context, {
    component: "logic",
    replicas: logic.replicas,
    resources: logic.resources,
    template: logic.podTemplate,
    configHash: [
      hashes.internal.logic,
      hashes.users.logic.postgres,
      hashes.users.logic.redis,
      hashes.tokenKeys,
      hashes.pushKeys,
      hashes.cardActions,
      ...tracingHash(context),
    ],
    mounts: [
      internalTls(context, "logic"),
      logLevelMount(context, "logic"),
      postgresUrl(context, "logic"),
      ...redisUrls(context, "logic"),
      pushKeys(context),
      secretMount("auth", keys.name, AUTH_DIR, { [keys.key]: keyFile }),
      ...serverApiMounts(logic.serverApi),
      ...chatMounts(chat),
      ...hooksMounts(chat),
      ...tracingMounts(context),
    ],
    container: {
      name: "logic",
      image: context.image,
      command: ["node", "logic/logic.ts"],
      env: [
        ...identityEnv(context),
        ...tracingEnv(context),
        INTERNAL_TLS_ENV,
        LOG_LEVEL_ENV,
        POSTGRES_URL_ENV,
        PUSH_KEYS_ENV,
        ...redisEnv(context),
        { name: auth.sharedSecretRef ? "IM_TOKEN_SECRET_FILE" : "IM_JWKS_FILE", value: `${AUTH_DIR}/${keyFile}` },
        ...(auth.algorithms ? [{ name: "IM_TOKEN_ALGORITHMS", value: auth.algorithms.join(",") }] : []),
        { name: "IM_TOKEN_ISSUER", value: auth.issuer },
        { name: "IM_TOKEN_AUDIENCE", value: auth.audience ?? context.cluster.metadata.name },
        { name: "IM_SESSIONS_PER_SLOT", value: String(sessionsPerSlot(sessions)) },
        { name: "IM_LOGINS_PER_MINUTE", value: String(sessions.loginsPerMinute) },
        { name: "IM_PRESENCE_VISIBLE_TO", value: presence.visibleTo },
        { name: "IM_PING_INTERVAL_MS", value: String(durationMs(entry.pingInterval)) },
        { name: "IM_BACKGROUND_PING_INTERVAL_MS", value: String(durationMs(entry.backgroundPingInterval)) },
        ackTimeoutEnv(context),
        ...serverApiEnv(logic.serverApi),
        ...chatEnv(chat),
        ...hooksEnv(chat),
      ],
      ports: [
        { name: "grpc", containerPort: PORT.logicGrpc },
        { name: "admin", containerPort: PORT.admin },
        ...(logic.serverApi ? [{ name: "api", containerPort: PORT.api }] : []),
        ...(logic.serverApi?.grpc ? [{ name: "api-grpc", containerPort: PORT.apiGrpc }] : []),
      ],
      ...adminProbes(2),
    },
  });
});

/** What `all` means: everything is bounded. */
const MAX_SESSIONS_PER_SLOT = 32;

function sessionsPerSlot({ policy, perSlot }: SessionsSpec): number {
  switch (policy) {
    case "one-per-slot":
      return 1;
    case "n-per-slot":
      return perSlot ?? 1;
    case "all":
      return MAX_SESSIONS_PER_SLOT;
  }
}
