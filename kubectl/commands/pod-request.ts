// SPDX-License-Identifier: Apache-2.0
import { sleep } from "#lib/sleep.ts";
import { IM_CLUSTER } from "../../operator/api/resource.ts";
import { type DrainIntent, parseIntent } from "../../operator/imcluster/drain.ts";
import { ANNOTATION, LABEL } from "../../operator/imcluster/names.ts";
import { isPodReady } from "../../operator/imcluster/observed.ts";
import { isFenced } from "../../operator/imcluster/wanted.ts";
import type { KubeClient } from "../../operator/kube/client.ts";
import { KubeError } from "../../operator/kube/kube-error.ts";
import { PODS, type Pod } from "../../operator/kube/types.ts";
import type { Access } from "../access.ts";
import { CliFault, EXIT, type ExitCode } from "../fault.ts";
import type { Command, CommandContext } from "../run.ts";
import { span } from "../text.ts";

const POLL_MS = 1_000;
/** An operator reacts within seconds; a pod that is fenced goes with its grace period at the latest. */
const MAX_WAIT_MS = 3_600_000;

/** `cordon POD` */
export const cordon: Command = async (context) => {
  const { access, pod } = await entryPod(context);
  requireStaying(pod);
  await requestCordon(access, pod, true);
  return await told(context, access, pod, { isDone: isClosed, text: "it takes no new connections; open ones stay" });
};

/** `uncordon POD` */
export const uncordon: Command = async (context) => {
  const { access, pod } = await entryPod(context);
  requireStaying(pod);
  await requestCordon(access, pod, false);
  return await told(context, access, pod, { isDone: isServing, text: "it takes new connections again" });
};

/** `fence POD` */
export const fence: Command = async (context) => {
  const { access, pod } = await entryPod(context);
  const name = nameOf(pod);
  if (!context.flags.isSet("yes"))
    throw new CliFault(`fence cuts every client of ${name} at once`, "Run it again with --yes.");
  await addFenced(access, pod);
  return await told(context, access, pod, { isDone: isGone, text: "it is cut off, and another takes its place" });
};

export const nameOf = ({ metadata }: Pod): string => metadata.name;
export const intentOf = ({ metadata }: Pod): DrainIntent | undefined =>
  parseIntent(metadata.annotations?.[ANNOTATION.drain]);

/** Whoever leaves takes no new connections anyway, and never will again. */
function requireStaying(pod: Pod): void {
  const intent = intentOf(pod);
  const why = pod.metadata.deletionTimestamp ? "deleted" : intent && `drained (${intent.reason}, ${intent.phase})`;
  if (why) throw new CliFault(`${nameOf(pod)} is being ${why}`, "`kubectl im status` shows how far it is.");
}

/** The pod that the command is about. @throws CliFault when it is no entry pod, with those that there are */
export async function entryPod({ access: open, words }: CommandContext): Promise<{ access: Access; pod: Pod }> {
  const access = open();
  const name = words[0] ?? "";
  const pod = await access.client.get(PODS, access.namespace, name, access.call);
  if (pod?.metadata.labels?.[LABEL.component] === "entry" && pod.metadata.labels[LABEL.cluster]) return { access, pod };
  const entries = (await access.all(PODS, { [LABEL.component]: "entry" })).map(nameOf).sort();
  const problem = pod ? `${name} is no entry pod` : `there is no pod ${name} in namespace ${access.namespace}`;
  throw new CliFault(
    problem,
    entries.length > 0 ? `Name one of ${entries.join(", ")}.` : "There is no entry pod here: name a namespace by -n.",
  );
}

/** Says what was asked for, with --wait when it is done. */
async function told(
  context: CommandContext,
  access: Access,
  pod: Pod,
  { isDone, text }: { isDone: Done; text: string },
): Promise<ExitCode> {
  const isWaiting = context.flags.isSet("wait");
  if (isWaiting) await untilDone(context, access, pod, isDone);
  context.show({ pod: nameOf(pod), command: context.command, done: isWaiting }, () => `${nameOf(pod)}: ${text}\n`);
  return EXIT.ok;
}

/** Writes what is wanted on the pod. One of the same name that came meanwhile is not hit: the UID is a condition. */
export async function writeAnnotation(
  access: Pick<Access, "client" | "namespace" | "call">,
  { metadata }: Pod,
  name: string,
  value: string | null,
): Promise<void> {
  const patch = { metadata: { uid: metadata.uid, annotations: { [name]: value } } };
  const patched = await access.client.patchMerge(PODS, access.namespace, metadata.name, patch, access.call);
  if (!patched) throw new CliFault(`${metadata.name} is gone`, "`kubectl im status` shows the pods that there are.");
}

/** @throws CliFault when the pod is gone */
export function requestCordon(
  access: Pick<Access, "client" | "namespace" | "call">,
  pod: Pod,
  isCordoned: boolean,
): Promise<void> {
  return writeAnnotation(access, pod, ANNOTATION.cordon, String(isCordoned));
}

/** The operator writes the status of the same object every few seconds, so a conflict says little: what is there is read again. */
const FENCE_TRIES = 8;

type FencingAccess = Pick<Access, "namespace" | "call" | "cluster" | "podsOf"> & {
  client: Pick<KubeClient, "patchMerge">;
};

/** Names the pod in `spec.fencedEntries`; names of pods that are gone leave the list. @throws CliFault when others write all the time */
export async function addFenced(access: FencingAccess, pod: Pod): Promise<void> {
  for (let tries = 0; tries < FENCE_TRIES; tries++) if (await tryAddFenced(access, pod)) return;
  const remedy = "Run the command again; if it keeps failing, see who else writes it.";
  throw new CliFault("the ImCluster was changed by somebody else each time that the pod was added", remedy);
}

async function tryAddFenced(access: FencingAccess, pod: Pod): Promise<boolean> {
  const cluster = await access.cluster(pod.metadata.labels?.[LABEL.cluster]);
  if (isFenced(cluster, nameOf(pod))) return true;
  const { name, resourceVersion } = cluster.metadata;
  const there = new Set((await access.podsOf(name, "entry")).map(nameOf));
  const kept = (cluster.spec.fencedEntries ?? []).filter((fenced) => there.has(fenced));
  const patch = { metadata: { resourceVersion }, spec: { fencedEntries: [...kept, nameOf(pod)] } };
  try {
    await access.client.patchMerge(IM_CLUSTER, access.namespace, name, patch, access.call);
    return true;
  } catch (error) {
    if (error instanceof KubeError && error.isConflict) return false;
    throw error;
  }
}

type Done = (now: Pod | undefined, uid: string | undefined) => boolean;

export const isGone: Done = (now, uid) => now?.metadata.uid !== uid;
export const isServing: Done = (now) => now !== undefined && isPodReady(now);
const isClosed: Done = (now) => now !== undefined && !isPodReady(now);

/** Looks every second. @throws CliFault when it does not come to an end, or the pod is gone before */
export async function untilDone(
  context: CommandContext,
  access: Access,
  pod: Pod,
  isDone: Done,
  onLook: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const { clock, signal } = context;
  const { name, uid } = pod.metadata;
  const untilMs = clock.nowMs() + MAX_WAIT_MS;
  while (clock.nowMs() < untilMs) {
    signal.throwIfAborted();
    const now = await access.client.get(PODS, access.namespace, name, access.call);
    if (isDone(now, uid)) return;
    if (isGone(now, uid)) throw new CliFault(`${name} is gone`, "`kubectl im status` shows what came.");
    await onLook();
    await sleep(context.clock, POLL_MS, context.signal);
  }
  const remedy = "`kubectl im status` shows what it waits for: does an operator run, and is the ImCluster not paused?";
  throw new CliFault(`nothing came of it in ${span(MAX_WAIT_MS)}`, remedy);
}
