// SPDX-License-Identifier: Apache-2.0
import type { LocateReply } from "#proto/gen/messages.ts";
import type { Access } from "../access.ts";
import { callAdmin } from "../admin-call.ts";
import { EXIT, type ExitCode } from "../fault.ts";
import type { CommandContext } from "../run.ts";
import { count, type Paint, table } from "../text.ts";
import { DEVICE_HEADINGS, deviceRow, entryOf, type PodNames } from "./devices-view.ts";

/** `route USER` */
export async function route(context: CommandContext): Promise<ExitCode> {
  const { words, flags, clock, paint } = context;
  const user = words[0] ?? "";
  const access = context.access();
  const cluster = await access.cluster(flags.text("cluster"));
  const reply = await callAdmin<LocateReply>(access, cluster, ["locate", user]);
  const pods = await entryNames(access, cluster.metadata.name);
  const devices = reply.devices.map((device) => (device.online ? { ...device, entry: entryOf(device, pods) } : device));
  context.show({ user, inboxHead: reply.inboxHead, devices }, () =>
    routeText(user, reply, pods, clock.wallMs(), paint),
  );
  return EXIT.ok;
}

/** Names of the entry pods by their UID. */
export async function entryNames(access: Access, cluster: string): Promise<PodNames> {
  const pods = await access.podsOf(cluster, "entry");
  return new Map(pods.map(({ metadata }) => [metadata.uid ?? "", metadata.name]));
}

/** What people see. Pure. */
export function routeText(user: string, reply: LocateReply, pods: PodNames, nowMs: number, paint: Paint): string {
  const { devices, inboxHead } = reply;
  if (devices.length === 0) return `${user} never logged in here; the inbox has ${count(inboxHead)} messages\n`;
  const online = devices.filter((device) => device.online).length;
  const state = online > 0 ? paint.good(`online on ${online} of ${devices.length} devices`) : paint.warn("offline");
  const rows = devices.map((device) => deviceRow(device, inboxHead, pods, nowMs, paint));
  return `${paint.bold(user)} is ${state}; the inbox has ${count(inboxHead)} messages\n\n${table(DEVICE_HEADINGS, rows, paint)}`;
}
