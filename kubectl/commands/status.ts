// SPDX-License-Identifier: Apache-2.0
import type { ImCluster } from "../../operator/api/v1alpha1.ts";
import { namesOf } from "../../operator/imcluster/names.ts";
import { EVENTS, type KubeEvent } from "../../operator/kube/types.ts";
import { readCertificate } from "../../operator/pki/x509.ts";
import { type Access, readable } from "../access.ts";
import { EXIT, type ExitCode } from "../fault.ts";
import type { CommandContext } from "../run.ts";
import { type CertificateFacts, lastSeen, type StatusFacts, statusText } from "./status-view.ts";

/** Warnings that are older say nothing of now. */
const RECENT_MS = 3_600_000;

/** `status [NAME]` */
export async function status(context: CommandContext): Promise<ExitCode> {
  const { words, clock, paint } = context;
  const access = context.access();
  const cluster = await access.cluster(words[0]);
  const nowMs = clock.wallMs();
  const [certificate, warnings] = await Promise.all([
    readCertificateOf(access, cluster),
    recentWarnings(access, cluster.metadata.name, nowMs),
  ]);
  const facts: StatusFacts = { cluster, certificate, warnings, nowMs };
  context.show(statusData(facts), () => statusText(facts, paint));
  return EXIT.ok;
}

/** What -o json and yaml show. */
export function statusData({ cluster, certificate, warnings }: StatusFacts): object {
  const { namespace, name, generation } = cluster.metadata;
  return {
    namespace,
    name,
    generation,
    ...cluster.status,
    certificate:
      "problem" in certificate
        ? certificate
        : {
            secret: certificate.secret,
            notAfter: new Date(certificate.notAfterMs).toISOString(),
            names: certificate.names,
          },
    warnings:
      typeof warnings === "string"
        ? { problem: warnings }
        : warnings.map((event) => ({
            lastSeen: lastSeen(event),
            about: `${event.regarding.kind}/${event.regarding.name}`,
            reason: event.reason,
            note: event.note,
          })),
  };
}

/** The certificate for clients, out of its Secret. */
export async function readCertificateOf(access: Access, cluster: ImCluster): Promise<CertificateFacts> {
  const secret = cluster.spec.tls.secretName ?? namesOf(cluster.metadata.name).tls;
  const found = await access.secret(secret);
  if (typeof found === "string") return { secret, problem: found };
  const pem = found?.data?.["tls.crt"];
  if (pem === undefined)
    return { secret, problem: `Secret ${secret} ${found ? "has no key tls.crt" : "does not exist"}` };
  const facts = readCertificate(Buffer.from(pem, "base64").toString("utf8"));
  if (!facts) return { secret, problem: `tls.crt of Secret ${secret} is no certificate` };
  return { secret, notAfterMs: facts.notAfterMs, names: facts.altNames };
}

/** Of the ImCluster and of everything that bears its name, newest first. */
async function recentWarnings(access: Access, name: string, nowMs: number): Promise<KubeEvent[] | string> {
  const found = await readable(access.all(EVENTS));
  if (typeof found === "string") return found;
  const isOurs = ({ regarding }: KubeEvent) => regarding.name === name || regarding.name?.startsWith(`${name}-`);
  return found
    .filter((event) => event.type === "Warning" && isOurs(event) && nowMs - Date.parse(lastSeen(event)) < RECENT_MS)
    .sort((a, b) => lastSeen(b).localeCompare(lastSeen(a)));
}
