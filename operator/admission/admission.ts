// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import type { KubeClient } from "../kube/client.ts";
import { WebhookCertificate } from "./certificate.ts";
import { EvictionGuard, evictionIn, type FleetView } from "./eviction-guard.ts";
import { AdmissionServer } from "./server.ts";
import { type KnownClusters, UpdateAdviser } from "./update-warnings.ts";

export interface AdmissionOptions {
  client: KubeClient;
  /** For the certificate; default `client`. */
  certificateClient?: KubeClient;
  fleet: FleetView & KnownClusters;
  /** Of the Secret, the Service and the ValidatingWebhookConfiguration alike. */
  name: string;
  /** Of the operator. */
  namespace: string;
  port: number;
  host?: string;
  /** By which the API server calls it. Default: the Service. */
  altNames?: readonly string[];
  clock: Clock;
  log: Logger;
  onEviction?(answer: "allowed" | "refused"): void;
}

/** The webhooks of the operator: they are served once the certificate is there. */
export interface Admission {
  server: AdmissionServer;
  certificate: WebhookCertificate;
  close(): Promise<void>;
}

/** Evictions of entries begin with a drain, and updates of ImClusters say what they cost. `certificate.start()` begins. */
export function createAdmission(options: AdmissionOptions): Admission {
  const { client, certificateClient = client, fleet, name, namespace, clock, log } = options;
  const { port, host, altNames, onEviction } = options;
  const guard = new EvictionGuard({ client, fleet, clock, log, ...(onEviction ? { onAnswer: onEviction } : {}) });
  const adviser = new UpdateAdviser(fleet, log);
  const server = new AdmissionServer({
    ...{ port, log, ...(host === undefined ? {} : { host }) },
    answers: {
      "/evictions": async (review) => {
        const eviction = evictionIn(review);
        return eviction && { refusal: await guard.refuse(eviction) };
      },
      "/updates": (review) => adviser.advise(review),
    },
  });
  const certificate = new WebhookCertificate({
    ...{ client: certificateClient, namespace, name, clock, log },
    ...(altNames ? { altNames } : {}),
    onPair: (pair) => server.use(pair),
  });
  const close = async (): Promise<void> => {
    certificate.close();
    await server.close();
  };
  return { server, certificate, close };
}
