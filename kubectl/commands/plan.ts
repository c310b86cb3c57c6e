// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { IM_CLUSTER } from "../../operator/api/resource.ts";
import type { ImCluster } from "../../operator/api/v1alpha1.ts";
import { previewPlan, type UpdatePreview } from "../../operator/imcluster/preview.ts";
import { parseManifests } from "../../operator/kube/manifests.ts";
import type { Access } from "../access.ts";
import { type FieldChange, fieldChanges, specPatch } from "../edit.ts";
import { CliFault, EXIT, type ExitCode, usageFault } from "../fault.ts";
import type { CommandContext } from "../run.ts";
import { capped, count, oneLine, type Paint, span, table } from "../text.ts";

const MAX_FIELDS = 20;
const MAX_VALUE_CHARS = 40;

/** What an edit would change and cost. */
export interface EditPlan {
  namespace: string;
  name: string;
  /** It does not exist yet. */
  isNew: boolean;
  fields: FieldChange[];
  preview: UpdatePreview;
}

/** `plan -f FILE` */
export async function plan(context: CommandContext): Promise<ExitCode> {
  const { flags, terminal, paint } = context;
  const file = flags.text("filename");
  if (!file) throw usageFault("plan needs -f: the manifest with the ImCluster, or - for the input", "plan");
  const wanted = imClusterIn(file === "-" ? await terminal.readInput() : contentOf(file), file);
  const found = await planOf(context.access(), wanted);
  context.show(found, () => planText(found, paint));
  return EXIT.ok;
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new CliFault(`${file} cannot be read: ${(cause as Error).message}`, "Name a file that is there by -f.", {
      cause,
    });
  }
}

/** The one ImCluster of a manifest. @throws CliFault when there is none, or several */
function imClusterIn(text: string, file: string): ImCluster {
  const [group] = IM_CLUSTER.apiVersion.split("/");
  const ours = parseManifests(text).filter(
    ({ kind, apiVersion }) => kind === IM_CLUSTER.kind && apiVersion?.split("/")[0] === group,
  );
  const [only] = ours;
  if (only && ours.length === 1) return only as ImCluster;
  throw new CliFault(`${file} holds ${ours.length === 0 ? "no" : ours.length} ImClusters`, "Give a manifest with one.");
}

/** Asks the API server what would become of the file, and the operator's own rules what that would cost. */
async function planOf(access: Access, file: ImCluster): Promise<EditPlan> {
  const { name, namespace = access.namespace } = file.metadata;
  const live = await access.client.get(IM_CLUSTER, namespace, name, access.call);
  const options = { ...access.call, dryRun: true };
  if (!live) {
    const made = await access.client.create(
      IM_CLUSTER,
      { ...file, metadata: { ...file.metadata, namespace } },
      options,
    );
    if (made === "exists") throw new CliFault(`${name} was made at this moment`, "Run the command again.");
    return { namespace, name, isNew: true, fields: [], preview: NOTHING };
  }
  const edited = await access.client.patchMerge(IM_CLUSTER, namespace, name, { spec: specPatch(live, file) }, options);
  if (!edited) throw new CliFault(`${name} was deleted at this moment`, "Run the command again.");
  const fields = fieldChanges(live.spec, edited.spec, "spec");
  return { namespace, name, isNew: false, fields, preview: previewPlan(live, edited.spec) };
}

const NOTHING: UpdatePreview = {
  changes: [],
  sessionsAffected: 0,
  estimatedSeconds: 0,
  peakReconnectsPerSecond: 0,
  needsApproval: false,
};

/** For people. Pure. */
export function planText({ namespace, name, isNew, fields, preview }: EditPlan, paint: Paint): string {
  const title = paint.bold(`Edit of ImCluster ${namespace}/${name}`);
  if (isNew) return `${title}: it does not exist yet, and the manifest is in order: to apply it makes it\n`;
  if (fields.length === 0) return `${title}: nothing changes\n`;
  const { shown, rest } = capped(fields, MAX_FIELDS);
  const rows = shown.map(({ path, from, to }) => [path, valueText(from), valueText(to)]);
  const changes = preview.changes.map((change) => `  ${change}\n`);
  return [
    `${title}\n\n`,
    table(["FIELD", "NOW", "THEN"], rows, paint),
    rest,
    changes.length > 0 ? `\nWhat happens\n${changes.join("")}` : "\nNothing that runs changes.\n",
    costText(preview, paint),
  ].join("");
}

function costText(
  { sessionsAffected, estimatedSeconds, peakReconnectsPerSecond, needsApproval }: UpdatePreview,
  paint: Paint,
): string {
  const time = estimatedSeconds > 0 ? `, about ${span(estimatedSeconds * 1000)}` : "";
  const sessions = `${count(sessionsAffected)} sessions reconnect${time}, at most ${count(peakReconnectsPerSecond)} per second\n`;
  const cost = sessionsAffected === 0 ? `No session reconnects${time}\n` : paint.warn(sessions);
  return `\n${cost}${needsApproval ? paint.warn("A person must agree before it begins: see spec.entry.update.approval.\n") : ""}`;
}

function valueText(value: unknown): string {
  if (value === undefined) return "-";
  return oneLine(typeof value === "string" ? value : JSON.stringify(value), MAX_VALUE_CHARS);
}
