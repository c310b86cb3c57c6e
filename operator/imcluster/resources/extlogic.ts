// SPDX-License-Identifier: Apache-2.0
import type { Deployment } from "../../kube/types.ts";
import { PORT } from "../names.ts";
import { hooksEnv, hooksMounts } from "./chat.ts";
import { type BuildContext, perContext } from "./context.ts";
import { deployment } from "./deployment.ts";
import { LOG_LEVEL_ENV, logLevelMount } from "./log-levels.ts";
import {
  ackTimeoutEnv,
  adminProbes,
  type EnvVar,
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
import { pushEnv, pushMounts } from "./push.ts";
import { tracingEnv, tracingHash, tracingMounts } from "./tracing.ts";

const WEBHOOK_DIR = "/etc/imcluster/webhook";

/** Extlogic pods: everything that may be slow or late. */
export const extlogicDeployment = perContext((context: BuildContext): Deployment => {
  const { extlogic, chat } = context.cluster.spec;
  const { internal, users, webhook, push, pushKeys: sealKeys } = context.hashes;
  const { postgres, redis } = users.extlogic;
  const secret = extlogic.webhook?.secretRef;
  return deployment(context, {
    component: "extlogic",
    replicas: extlogic.replicas,
    resources: extlogic.resources,
    template: extlogic.podTemplate,
    configHash: [internal.extlogic, postgres, redis, webhook, push, sealKeys, ...tracingHash(context)],
    mounts: [
      internalTls(context, "extlogic"),
      logLevelMount(context, "extlogic"),
      postgresUrl(context, "extlogic"),
      ...redisUrls(context, "extlogic"),
      pushKeys(context),
      ...(secret ? [secretMount("webhook", secret.name, WEBHOOK_DIR, { [secret.key]: "secret" })] : []),
      ...pushMounts(extlogic.push),
      ...hooksMounts(chat),
      ...tracingMounts(context),
    ],
    container: {
      name: "extlogic",
      image: context.image,
      command: ["node", "logic/extlogic.ts"],
      env: [
        ...identityEnv(context),
        ...tracingEnv(context),
        INTERNAL_TLS_ENV,
        LOG_LEVEL_ENV,
        POSTGRES_URL_ENV,
        PUSH_KEYS_ENV,
        ...redisEnv(context),
        ackTimeoutEnv(context),
        ...retentionEnv(context),
        ...webhookEnv(context),
        ...pushEnv(extlogic.push),
        ...hooksEnv(chat),
      ],
      ports: [{ name: "admin", containerPort: PORT.admin }],
      ...adminProbes(2),
    },
  });
});

function retentionEnv({ cluster }: BuildContext): EnvVar[] {
  const { days, resendDays, broadcastDays } = cluster.spec.retention;
  return [
    { name: "IM_RETENTION_DAYS", value: String(days) },
    { name: "IM_IDEMPOTENCY_DAYS", value: String(resendDays) },
    { name: "IM_BROADCAST_DAYS", value: String(broadcastDays) },
  ];
}

function webhookEnv(context: BuildContext): EnvVar[] {
  const { webhook } = context.cluster.spec.extlogic;
  if (!webhook) return [];
  return [
    { name: "IM_PUSH_WEBHOOK_URL", value: webhook.url },
    ...(webhook.secretRef ? [{ name: "IM_PUSH_WEBHOOK_SECRET_FILE", value: `${WEBHOOK_DIR}/secret` }] : []),
  ];
}
