// SPDX-License-Identifier: Apache-2.0

import { inTurns } from "#lib/in-turns.ts";
import type { ImCluster } from "../operator/api/v1alpha1.ts";
import { LABEL } from "../operator/imcluster/names.ts";
import { secretNames } from "../operator/imcluster/secrets.ts";
import { KubeError } from "../operator/kube/kube-error.ts";
import {
  DEPLOYMENTS,
  EVENTS,
  JOBS,
  PERSISTENT_VOLUME_CLAIMS,
  POD_DISRUPTION_BUDGETS,
  PODS,
  type Pod,
  type Resource,
  SERVICE_ACCOUNTS,
  SERVICES,
  type Secret,
  STATEFUL_SETS,
} from "../operator/kube/types.ts";
import type { Access } from "./access.ts";
import { byTime } from "./log-lines.ts";
import { containersOf, type LogSource, type ReadLog, readLog } from "./pod-logs.ts";
import { Redactor, secretSummary } from "./redact.ts";

/** A file of the report, by its path in the archive. */
export interface ReportFile {
  path: string;
  content: string;
}

export interface ReportContent {
  files: ReportFile[];
  /** What could not be read, a sentence each. */
  problems: string[];
}

export interface ReportOptions {
  nowMs: number;
  /** Of kubectl im. */
  version: string;
  sinceSeconds?: number;
}

const KINDS: readonly Resource[] = [
  PODS,
  SERVICES,
  DEPLOYMENTS,
  STATEFUL_SETS,
  JOBS,
  POD_DISRUPTION_BUDGETS,
  PERSISTENT_VOLUME_CLAIMS,
  SERVICE_ACCOUNTS,
];
const OPERATOR_LABELS = "app.kubernetes.io/name=im-operator";
/** Of one container. With the number of containers it bounds the report, and what is held in memory. */
const MAX_LOG_BYTES = 4 * 1024 * 1024;
const MAX_LOGS = 60;
const TAIL_LINES = 20_000;
const AT_A_TIME = 6;

/**
 * Everything of an ImCluster that helps somebody who cannot look themselves. What may not be read is left out and said.
 * Values of its Secrets are replaced wherever they occur.
 */
export async function collectReport(
  access: Access,
  cluster: ImCluster,
  options: ReportOptions,
): Promise<ReportContent> {
  const problems: string[] = [];
  const { name } = cluster.metadata;
  const secrets = await readSecrets(access, cluster, problems);
  const redactor = new Redactor(secrets);
  const file = (path: string, object: unknown): ReportFile => ({
    path,
    content: `${JSON.stringify(redactor.object(object), undefined, 2)}\n`,
  });
  const files = [file("imcluster.json", cluster), file("secrets.json", secrets.map(secretSummary))];
  for (const resource of KINDS) {
    const found = await tried(access.all(resource, { [LABEL.cluster]: name }), resource.plural, problems);
    if (found) files.push(file(`${resource.plural}.json`, found));
  }
  const events = await tried(access.all(EVENTS), "events", problems);
  if (events)
    files.push(
      file(
        "events.json",
        events.filter((event) => isAbout(event.regarding.name, name)),
      ),
    );
  files.push(...(await logFiles(access, name, redactor, options, problems)));
  files.push(file("about.json", await aboutFile(access, cluster, options, problems)));
  return { files, problems };
}

async function readSecrets(access: Access, cluster: ImCluster, problems: string[]): Promise<Secret[]> {
  const found = await inTurns(secretNames(cluster), AT_A_TIME, (secret) => access.secret(secret));
  const refused = found.find((one) => typeof one === "string");
  if (refused)
    problems.push(
      `Secrets (${refused}): their values are unknown here, so only what looks like a secret was taken out`,
    );
  return found.filter((one): one is Secret => typeof one === "object");
}

/** Undefined, and a problem, for what may not be read or is not served. */
async function tried<T>(asked: Promise<T>, what: string, problems: string[]): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof KubeError) || error.reason === "Aborted" || error.status === 401) throw error;
    problems.push(`${what}: ${error.message}`);
    return undefined;
  }
}

const isAbout = (regarding: string | undefined, name: string): boolean =>
  regarding === name || regarding?.startsWith(`${name}-`) === true;

async function aboutFile(
  access: Access,
  { metadata }: ImCluster,
  options: ReportOptions,
  problems: string[],
): Promise<object> {
  const kubernetes = await tried(access.client.raw("/version", access.call), "version", problems);
  return {
    madeAt: new Date(options.nowMs).toISOString(),
    kubectlIm: options.version,
    namespace: metadata.namespace,
    imcluster: metadata.name,
    kubernetes: kubernetes === undefined ? undefined : (JSON.parse(kubernetes) as unknown),
    leftOut: problems,
  };
}

type Wanted = LogSource & { namespace: string; isPrevious: boolean };

async function logFiles(
  access: Access,
  name: string,
  redactor: Redactor,
  { sinceSeconds }: ReportOptions,
  problems: string[],
): Promise<ReportFile[]> {
  const own = (await tried(access.podsOf(name), "pods", problems)) ?? [];
  const everywhere = access.client.list(PODS, undefined, { ...access.call, labelSelector: OPERATOR_LABELS });
  const operators = (await tried(everywhere, "pods of the operator", problems))?.items ?? [];
  const wanted = [...own, ...operators].flatMap(logsOf);
  if (wanted.length > MAX_LOGS)
    problems.push(`logs of ${wanted.length - MAX_LOGS} of ${wanted.length} containers: too many`);
  const range = { tailLines: TAIL_LINES, sinceSeconds, limitBytes: MAX_LOG_BYTES };
  const files = await inTurns(wanted.slice(0, MAX_LOGS), AT_A_TIME, async (source): Promise<ReportFile[]> => {
    const asked = readLog(access, source, { ...range, namespace: source.namespace, previous: source.isPrevious });
    const read = await tried(asked, `log of ${source.pod}`, problems);
    if (read?.problem) problems.push(`log of ${read.problem}`);
    return read ? [logFile(source, read, redactor)] : [];
  });
  return files.flat();
}

/** The log of each container, and that of before its last restart. */
function logsOf(pod: Pod): Wanted[] {
  const { namespace = "" } = pod.metadata;
  return containersOf([pod]).flatMap((source) => {
    const restarts = pod.status?.containerStatuses?.find(({ name }) => name === source.container)?.restartCount ?? 0;
    const present = { ...source, namespace, isPrevious: false };
    return restarts > 0 ? [present, { ...present, isPrevious: true }] : [present];
  });
}

function logFile({ pod, container, isPrevious }: Wanted, { lines }: ReadLog, redactor: Redactor): ReportFile {
  const content = lines
    .sort(byTime)
    .map(({ time, text }) => `${time} ${text}\n`)
    .join("");
  return { path: `logs/${pod}.${container}${isPrevious ? ".previous" : ""}.log`, content: redactor.text(content) };
}
