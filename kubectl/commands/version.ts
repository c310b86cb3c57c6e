// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { EXIT, type ExitCode } from "../fault.ts";
import type { CommandContext } from "../run.ts";

/** Of this program: that of the package. */
export function clientVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** `version [NAME] [--client]` */
export async function version(context: CommandContext): Promise<ExitCode> {
  const client = clientVersion();
  if (context.flags.isSet("client")) {
    context.show({ client }, () => `kubectl im ${client}\n`);
    return EXIT.ok;
  }
  const access = context.access();
  const { metadata, status } = await access.cluster(context.words[0]);
  const { gitVersion } = JSON.parse(await access.client.raw("/version", access.call)) as { gitVersion: string };
  const fleet = status?.version ?? "unknown";
  const image = status?.image ?? "unknown";
  context.show(
    { client, kubernetes: gitVersion, cluster: metadata.name, fleet, image },
    () =>
      `kubectl im ${client}\nfleet ${fleet} (ImCluster ${metadata.name}, image ${image})\nKubernetes ${gitVersion}\n`,
  );
  return EXIT.ok;
}
