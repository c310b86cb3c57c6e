// SPDX-License-Identifier: Apache-2.0
import { isTrue } from "../../operator/api/conditions.ts";
import { IM_CLUSTER } from "../../operator/api/resource.ts";
import { isRevocable } from "../../operator/imcluster/drain.ts";
import { ANNOTATION, LABEL } from "../../operator/imcluster/names.ts";
import type { Pod } from "../../operator/kube/types.ts";
import type { Access } from "../access.ts";
import { CliFault, EXIT } from "../fault.ts";
import type { Command, CommandContext } from "../run.ts";
import { count, span } from "../text.ts";
import { entryPod, intentOf, isGone, isServing, nameOf, untilDone, writeAnnotation } from "./pod-request.ts";

/** What the operator calls a drain that a person asked for. */
const BY_A_PERSON = "Manual";

/** `drain POD`, or with --cancel takes one back. */
export const drain: Command = async (context) => {
  const { access, pod } = await entryPod(context);
  const name = nameOf(pod);
  const isWaiting = context.flags.isSet("wait");
  if (context.flags.isSet("cancel")) {
    requireRevocable(pod);
    await writeAnnotation(access, pod, ANNOTATION.drainRequest, null);
    if (isWaiting) await untilDone(context, access, pod, isServing);
    context.show({ pod: name, command: "drain", cancelled: true }, () => `${name}: it stays\n`);
    return EXIT.ok;
  }
  if (pod.metadata.deletionTimestamp)
    throw new CliFault(`${name} is being deleted already`, "`kubectl im status` shows how far it is.");
  await writeAnnotation(access, pod, ANNOTATION.drainRequest, BY_A_PERSON);
  if (isWaiting) await untilDone(context, access, pod, isGone, progress(context, access, pod));
  context.show({ pod: name, command: "drain", done: isWaiting }, () =>
    isWaiting
      ? `${name} is gone\n`
      : `${name}: another comes, then its clients are asked to move; \`kubectl im status\` shows how far it is\n`,
  );
  return EXIT.ok;
};

/** @throws CliFault when the drain cannot be taken back, or is nobody's wish */
function requireRevocable(pod: Pod): void {
  const intent = intentOf(pod);
  if (!intent) return;
  const name = nameOf(pod);
  if (!isRevocable(intent))
    throw new CliFault(
      `${name} cannot be kept: its clients are told to move already (${intent.phase})`,
      "`kubectl im status` shows how far it is.",
    );
  if (pod.metadata.annotations?.[ANNOTATION.drainRequest] === undefined)
    throw new CliFault(
      `${name} is drained for another reason: ${intent.reason}`,
      "Undo that: the replicas, the edit, or the node's cordon.",
    );
}

/** Prints what the operator writes about the drain, whenever it is new. */
function progress({ flags, terminal }: CommandContext, access: Access, { metadata }: Pod): () => Promise<void> {
  let said = "";
  return async () => {
    const found = await access.client.get(
      IM_CLUSTER,
      access.namespace,
      metadata.labels?.[LABEL.cluster] ?? "",
      access.call,
    );
    const under = found?.status?.drains?.find(({ podUID, finishedAt }) => podUID === metadata.uid && !finishedAt);
    const left = under?.remaining === undefined ? "" : `, ${count(under.remaining)} left`;
    const eta = under?.etaSeconds === undefined ? "" : `, about ${span(under.etaSeconds * 1000)}`;
    const isPaused = isTrue(found?.status?.conditions, "Paused");
    const text = isPaused
      ? "the ImCluster is paused: the operator does nothing"
      : under
        ? under.phase + left + eta
        : "";
    if (text !== "" && text !== said && flags.output === "text") terminal.out(`${text}\n`);
    said = text;
  };
}
