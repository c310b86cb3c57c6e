// SPDX-License-Identifier: Apache-2.0
import type { KickUserReply } from "#proto/gen/messages.ts";
import { callAdmin } from "../admin-call.ts";
import { EXIT, type ExitCode } from "../fault.ts";
import type { CommandContext } from "../run.ts";

/** `kick USER` */
export async function kick(context: CommandContext): Promise<ExitCode> {
  const { words, flags } = context;
  const user = words[0] ?? "";
  const access = context.access();
  const cluster = await access.cluster(flags.text("cluster"));
  const call = ["kick", user, flags.text("slot") ?? "", flags.text("reason") ?? ""];
  const { sessions } = await callAdmin<KickUserReply>(access, cluster, call);
  context.show({ user, sessions }, () => {
    if (sessions === 0) return `${user} had no session${flags.text("slot") ? " there" : ""}: nothing was closed\n`;
    return `closed ${sessions} session${sessions === 1 ? "" : "s"} of ${user}\n`;
  });
  return EXIT.ok;
}
