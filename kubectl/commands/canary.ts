// SPDX-License-Identifier: Apache-2.0
import { sleep } from "#lib/sleep.ts";
import { drainLimits } from "../../operator/imcluster/drain-limits.ts";
import { isPodReady } from "../../operator/imcluster/observed.ts";
import { PODS, type Pod } from "../../operator/kube/types.ts";
import type { Access } from "../access.ts";
import { canaryFindings, watchCanary } from "../doctor/canary.ts";
import { type DialPorts, messageOf, type Target } from "../doctor/dial.ts";
import { bad, type Finding, ok, warning } from "../doctor/findings.ts";
import { WatchedSession } from "../doctor/session.ts";
import type { CommandContext } from "../run.ts";
import { requestCordon } from "./pod-request.ts";

const CHECK = "canary";
const POLL_MS = 250;
/** For the operator to carry out a request, and the kubelet to notice. */
const REACT_MS = 60_000;
/** Also after Ctrl-C: the cordon must not stay. */
const CLEAN_UP_MS = 1_500;

/** Cordons the entry that answers, watches what the network does with it, and takes the cordon back. */
export async function examineCanary(
  context: CommandContext,
  target: Target,
  token: string | undefined,
  ports: DialPorts,
): Promise<Finding[]> {
  if (token === undefined)
    return [
      warning(CHECK, "not tried: without a login nobody knows which entry answers", "Give a token by --token-file."),
    ];
  const access = context.access();
  const cluster = await access.cluster(context.words[0]);
  const ready = (await access.podsOf(cluster.metadata.name, "entry")).filter(isPodReady);
  if (ready.length < 2)
    return [
      warning(
        CHECK,
        `not tried: ${ready.length} entries are ready, and one must stay`,
        "Scale it to two entries, then run this again.",
      ),
    ];
  const session = await opened(target, token, ports);
  if (typeof session === "string") return [bad(CHECK, session, "See the logins above.")];
  try {
    const pod = ready.find(({ metadata }) => metadata.name === session.entry);
    if (!pod)
      return [
        warning(
          CHECK,
          `not tried: ${session.entry} answered, which is no ready pod of ${cluster.metadata.name}`,
          "Does the address lead to this ImCluster?",
        ),
      ];
    const lbDetachMs = drainLimits(cluster).lbDetachMs;
    return await whileCordoned(context, access, pod, async () => {
      const report = await watchCanary(pod.metadata.name, session, target, ports);
      return canaryFindings(report, lbDetachMs);
    });
  } finally {
    session.close();
  }
}

async function opened(target: Target, token: string, ports: DialPorts): Promise<WatchedSession | string> {
  try {
    return await WatchedSession.open(target, token, ports);
  } catch (error) {
    return messageOf(error);
  }
}

async function whileCordoned(
  context: CommandContext,
  access: Access,
  pod: Pod,
  look: () => Promise<Finding[]>,
): Promise<Finding[]> {
  const { name } = pod.metadata;
  let findings: Finding[];
  try {
    await requestCordon(access, pod, true);
    if (!(await becomes(context, access, pod, false)))
      return [
        bad(
          CHECK,
          `${name} is still ready ${REACT_MS / 1000} s after it was cordoned`,
          "Does an operator run, and is the ImCluster not paused?",
        ),
      ];
    context.terminal.err(`${name} takes no new connections for a moment: watching what becomes of connections\n`);
    findings = await look();
  } finally {
    const call = { deadlineMs: CLEAN_UP_MS, signal: new AbortController().signal };
    await requestCordon({ client: access.client, namespace: access.namespace, call }, pod, false);
  }
  const isBack = await becomes(context, access, pod, true);
  const back = isBack
    ? ok(CHECK, `${name} takes new connections again`)
    : bad(
        CHECK,
        `${name} is not ready again after ${REACT_MS / 1000} s`,
        `\`kubectl im status\` shows what it does; \`kubectl im uncordon ${name}\` asks again.`,
      );
  return [...findings, back];
}

/** Waits until the pod is ready, or not any more. @returns false when it does not come to that */
async function becomes(context: CommandContext, access: Access, { metadata }: Pod, isReady: boolean): Promise<boolean> {
  const { clock, signal } = context;
  const untilMs = clock.nowMs() + REACT_MS;
  while (clock.nowMs() < untilMs) {
    signal.throwIfAborted();
    const now = await access.client.get(PODS, access.namespace, metadata.name, access.call);
    if (now && isPodReady(now) === isReady) return true;
    await sleep(context.clock, POLL_MS, context.signal);
  }
  return false;
}
