// SPDX-License-Identifier: Apache-2.0
import type { TracedUser, TraceReply } from "#proto/gen/messages.ts";
import { callAdmin } from "../admin-call.ts";
import { CliFault, EXIT, type ExitCode, usageFault } from "../fault.ts";
import type { CommandContext } from "../run.ts";
import { count, type Paint, span, table, visible } from "../text.ts";
import { DEVICE_HEADINGS, deviceRow, type PodNames } from "./devices-view.ts";
import { entryNames } from "./route.ts";

/** `trace MESSAGE --user USER` */
export async function trace(context: CommandContext): Promise<ExitCode> {
  const { words, flags, clock, paint } = context;
  const message = words[0] ?? "";
  const user = flags.text("user");
  if (!user) throw usageFault("trace needs --user: who sent the message, or should have it", "trace");
  const access = context.access();
  const cluster = await access.cluster(flags.text("cluster"));
  const reply = await callAdmin<TraceReply>(access, cluster, ["trace", user, message]);
  if (!reply.found)
    throw new CliFault(
      `${user} neither sent ${message} nor has it among the last 20,000 messages`,
      "Is it the message id with anybody who should have it, or the client message id with the sender? Then it was never stored here.",
    );
  const pods = await entryNames(access, cluster.metadata.name);
  context.show(reply, () => traceText(reply, pods, clock.wallMs(), paint));
  return EXIT.ok;
}

/** What people see. Pure. */
export function traceText(reply: TraceReply, pods: PodNames, nowMs: number, paint: Paint): string {
  const as = `${visible(reply.sender)} as ${visible(reply.clientMessageId)}`;
  const type = reply.contentType ? `${visible(reply.contentType)}, ` : "";
  const head = [
    `${paint.bold(`Message ${reply.messageId}`)}  stored ${new Date(reply.sentAtMs).toISOString()}, ${span(nowMs - reply.sentAtMs)} ago\n`,
    reply.expired
      ? "Retention has taken its content; what follows is about its place.\n"
      : `From ${as}, ${type}${count(reply.contentBytes)} bytes\n`,
    `Conversation ${reply.conversationId}, position ${count(reply.convSeq)}\n`,
  ];
  const users = reply.users.map((user) => `\n${userText(user, reply, pods, nowMs, paint)}`);
  const more = reply.hasMore ? `\nThere are more members: name one by --user to see them.\n` : "";
  return [...head, ...users, more].join("");
}

function userText(user: TracedUser, reply: TraceReply, pods: PodNames, nowMs: number, paint: Paint): string {
  const { userId, inboxSeq, inboxHead, devices } = user;
  const title = `${paint.bold(userId)}  ${verdictOf(user, reply, paint)}\n`;
  const pushes = user.pushes.map(
    ({ channel, attempts, dueMs }) =>
      `  push by ${channel} ${dueText(dueMs, nowMs)}${attempts > 0 ? `, ${attempts} failed tries` : ""}\n`,
  );
  const rows = devices.map((device) => deviceRow(device, inboxHead, pods, nowMs, paint));
  const where = inboxSeq > 0 ? `  inbox position ${count(inboxSeq)} of ${count(inboxHead)}\n` : "";
  return [title, where, ...pushes, rows.length > 0 ? indented(table(DEVICE_HEADINGS, rows, paint)) : ""].join("");
}

/** One sentence: where it is for this user. */
function verdictOf(
  { userId, inboxSeq, pushedSeq, devices, pushes }: TracedUser,
  reply: TraceReply,
  paint: Paint,
): string {
  if (inboxSeq === 0) return paint.warn("not among the last 20,000 messages of the inbox");
  const has = devices.filter(({ ackedSeq }) => ackedSeq >= inboxSeq).length;
  const role = userId === reply.sender ? "sender, " : "";
  if (has === devices.length && has > 0) return role + paint.good(`every device has it (${has})`);
  if (has > 0) return role + paint.good(`${has} of ${devices.length} devices have it`);
  if (userId === reply.sender) return "sender";
  if (devices.length === 0) return paint.warn("no device has ever logged in");
  if (devices.some(({ online }) => online)) return paint.warn("online, and has not acknowledged it yet");
  if (pushedSeq >= inboxSeq) return "offline, was pushed to; comes with the next login";
  return paint.warn(pushes.length > 0 ? "offline, a push waits" : "offline, not pushed to yet");
}

function dueText(dueMs: number, nowMs: number): string {
  return dueMs > nowMs ? `in ${span(dueMs - nowMs)}` : "is due";
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, "  ");
}
