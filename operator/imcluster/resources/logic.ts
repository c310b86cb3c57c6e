// SPDX-License-Identifier: Apache-2.0
import type { Deployment } from "../../kube/types.ts";
import { PORT } from "../names.ts";
import { durationMs } from "../units.ts";
import type { BuildContext } from "./context.ts";
import { deployment } from "./deployment.ts";
import {
  adminProbes,
  INTERNAL_TLS_ENV,
  identityEnv,
  internalTls,
  POSTGRES_URL_ENV,
  postgresUrl,
  REDIS_URL_ENV,
  redisUrl,
  secretMount,
} from "./pod-parts.ts";

const AUTH_DIR = "/etc/imcluster/auth";

/** Logic pods: persist, route, deliver. */
export function logicDeployment(context: BuildContext): Deployment {
  const { logic, auth, entry } = context.cluster.spec;
  const jwks = auth.jwksSecretRef ?? { name: context.names.auth, key: "jwks.json" };
  const { internal, postgres, redis, jwks: jwksHash } = context.hashes;
  return deployment(context, {
    component: "logic",
    replicas: logic.replicas,
    resources: logic.resources,
    template: logic.podTemplate,
    configHash: [internal.logic, postgres, redis, jwksHash],
    mounts: [
      internalTls(context, "logic"),
      postgresUrl(context),
      redisUrl(context),
      secretMount("auth", jwks.name, AUTH_DIR, { [jwks.key]: "jwks.json" }),
    ],
    container: {
      name: "logic",
      image: context.image,
      command: ["node", "logic/logic.ts"],
      env: [
        ...identityEnv(context),
        INTERNAL_TLS_ENV,
        POSTGRES_URL_ENV,
        REDIS_URL_ENV,
        { name: "IM_JWKS_FILE", value: `${AUTH_DIR}/jwks.json` },
        { name: "IM_TOKEN_ISSUER", value: auth.issuer },
        { name: "IM_TOKEN_AUDIENCE", value: auth.audience ?? context.cluster.metadata.name },
        { name: "IM_PING_INTERVAL_MS", value: String(durationMs(entry.pingInterval)) },
      ],
      ports: [
        { name: "grpc", containerPort: PORT.logicGrpc },
        { name: "admin", containerPort: PORT.admin },
      ],
      ...adminProbes(2),
    },
  });
}
