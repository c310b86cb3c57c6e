// SPDX-License-Identifier: Apache-2.0
import * as z from "zod";
import { envBool, envList, envLogLevel, envLogLevelDir, envPort, envString, loadConfig } from "#lib/config.ts";

const SCHEMA = z.object({
  IM_LOG_LEVEL: envLogLevel().default("info"),
  IM_LOG_LEVEL_DIR: envLogLevelDir().optional(),
  IM_ADMIN_PORT: envPort().default(9090).describe("the port of /livez, /readyz, /metrics and /debug"),
  IM_VERSION: envString(64).optional().describe("the version of this build; the default is package.json's"),
  IM_WATCH_NAMESPACES: envList().default([]).describe("namespaces to watch, comma separated; empty for all"),
  IM_DRAIN_TAINTS: envList()
    .default([])
    .describe(
      "taints of nodes whose entries are drained; none: nodes are not watched. Not used with IM_WATCH_NAMESPACES",
    ),
  IM_OPERAND_IMAGE: envString(512).describe("the image of entry and logic, e.g. ghcr.io/imcluster/imcluster:0.1.0"),
  IM_POSTGRES_IMAGE: envString(512)
    .default("docker.io/library/postgres:18")
    .describe("an image like the official postgres"),
  IM_REDIS_IMAGE: envString(512).default("docker.io/library/redis:7.4").describe("an image like the official redis"),
  IM_CLUSTER_DOMAIN: envString(253).default("cluster.local").describe("the DNS suffix of Services"),
  IM_POD_NAME: envString(253).default("im-operator").describe("the name of this pod"),
  IM_POD_NAMESPACE: envString(63).default("default").describe("the namespace of this pod, where the Lease is kept"),
  IM_ADMISSION: envString(253)
    .optional()
    .describe(
      "the name of the webhooks on evictions and updates, of their Service and of their Secret; none: they are not served",
    ),
  IM_WEBHOOK_PORT: envPort().default(8443).describe("the port of the webhooks"),
  IM_LEADER_ELECT: envBool().default(true).describe("false only when a single operator runs"),
  IM_WORKERS: z.coerce
    .number()
    .int()
    .min(1)
    .max(64)
    .default(4)
    .describe("clusters worked on at the same time, 1 to 64"),
});

export type OperatorConfig = z.infer<typeof SCHEMA>;

/** @throws {ImError} BAD_REQUEST that lists every bad variable */
export function operatorConfig(env: NodeJS.ProcessEnv = process.env): OperatorConfig {
  return loadConfig(SCHEMA, env);
}
