// SPDX-License-Identifier: Apache-2.0
import type { Job } from "../../kube/types.ts";
import { hashOf } from "../hash.ts";
import { labelsOf } from "../names.ts";
import { type BuildContext, owned, perContext } from "./context.ts";
import { IMAGE_UID, identityEnv, migrationUrls, podSpec } from "./pod-parts.ts";

const BACKOFF_LIMIT = 6;
const DEADLINE_SECONDS = 900;

/** What a migration is about: another version, image or database, or another password of a user that it makes, needs another Job. */
export const migrationHash = perContext((context: BuildContext): string => {
  const { cluster, hashes } = context;
  const { logic, extlogic } = hashes.users;
  const users = cluster.spec.postgres.urlSecretRef ? [] : [logic.postgres, extlogic.postgres];
  return hashOf([context.version, context.image, hashes.postgres, ...users], 8);
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
            mounts: migrationUrls(context).mounts,
            container: {
              name: "migrate",
              image: context.image,
              command: ["node", "logic/migrate.ts"],
              env: [...identityEnv(context), ...migrationUrls(context).env],
            },
          }),
          restartPolicy: "Never",
        },
      },
    },
  });
});
