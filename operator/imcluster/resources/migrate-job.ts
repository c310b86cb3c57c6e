// SPDX-License-Identifier: Apache-2.0
import type { Job } from "../../kube/types.ts";
import { hashOf } from "../hash.ts";
import { labelsOf } from "../names.ts";
import { type BuildContext, owned, perContext } from "./context.ts";
import {
  IMAGE_UID,
  identityEnv,
  MIGRATION_URL_ENV,
  migrationUrl,
  POSTGRES_URL_ENV,
  podSpec,
  postgresUrl,
} from "./pod-parts.ts";

const BACKOFF_LIMIT = 6;
const DEADLINE_SECONDS = 900;

/** What a migration is about: another version, image or database needs another Job. */
export const migrationHash = perContext((context: BuildContext): string => {
  return hashOf([context.version, context.image, context.hashes.postgres], 8);
});

/** Brings the schema to the version of the image. Never changed, only replaced; kept as a record after success. */
export const migrateJob = perContext((context: BuildContext): Job => {
  return owned(context, "migrate", {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: context.names.migrate(migrationHash(context)) },
    spec: {
      backoffLimit: BACKOFF_LIMIT,
      activeDeadlineSeconds: DEADLINE_SECONDS,
      template: {
        metadata: { labels: labelsOf(context.cluster.metadata.name, "migrate") },
        spec: {
          ...podSpec(context, {
            component: "migrate",
            uid: IMAGE_UID,
            serviceAccountName: context.names.logic,
            terminationGracePeriodSeconds: 10,
            resources: context.cluster.spec.logic.resources,
            template: context.cluster.spec.logic.podTemplate,
            mounts: [postgresUrl(context), ...migrationUrl(context)],
            container: {
              name: "migrate",
              image: context.image,
              command: ["node", "logic/migrate.ts"],
              env: [
                ...identityEnv(context),
                POSTGRES_URL_ENV,
                ...(migrationUrl(context).length > 0 ? [MIGRATION_URL_ENV] : []),
              ],
            },
          }),
          restartPolicy: "Never",
        },
      },
    },
  });
});
