// SPDX-License-Identifier: Apache-2.0
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CliFault, EXIT, type ExitCode } from "../fault.ts";
import type { CommandContext } from "../run.ts";
import { clientVersion } from "./version.ts";

const CHART = fileURLToPath(new URL("../../charts/im-operator", import.meta.url));
const RELEASE = "im-operator";
const NAMESPACE = "imcluster-system";
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
const runFile = promisify(execFile);

/** `install generate`: the rendered chart, behind its namespace. */
export async function installGenerate(context: CommandContext): Promise<ExitCode> {
  const { flags, env, terminal } = context;
  const chart = flags.text("chart") ?? CHART;
  if (!existsSync(join(chart, "Chart.yaml")))
    throw new CliFault(`${chart} holds no chart`, "Name the folder of the chart im-operator by --chart.");
  const namespace = flags.text("namespace") ?? NAMESPACE;
  const head = `# ImCluster operator ${clientVersion()}: kubectl apply --server-side -f -\n`;
  const manifest = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } };
  const rendered = await runHelm(
    ["template", RELEASE, chart, "--namespace", namespace, ...valuesOf(context)],
    env,
    context,
  );
  terminal.out(`${head}---\n${JSON.stringify(manifest)}\n${rendered}`);
  return EXIT.ok;
}

function valuesOf({ flags }: CommandContext): string[] {
  const image = flags.text("image");
  const watch = flags.text("watch");
  return [
    ...(image === undefined ? [] : imageValues(image)),
    ...(watch === undefined ? [] : ["--set", `watchNamespaces={${watch}}`]),
  ];
}

/** `repository:tag` or `repository@digest` as the chart wants it. */
export function imageValues(image: string): string[] {
  const [named = "", digest] = image.split("@");
  const colon = named.lastIndexOf(":");
  // The colon of a registry's port stands before a slash.
  const hasTag = colon > named.lastIndexOf("/");
  const values = {
    "image.repository": hasTag ? named.slice(0, colon) : named,
    "image.tag": hasTag ? named.slice(colon + 1) : "",
    "image.digest": digest ?? "",
  };
  return Object.entries(values).flatMap(([key, value]) => ["--set-string", `${key}=${value}`]);
}

async function runHelm(
  args: readonly string[],
  env: CommandContext["env"],
  { timeoutMs, signal }: Pick<CommandContext, "timeoutMs" | "signal">,
): Promise<string> {
  try {
    const options = { timeout: timeoutMs, signal, env: { ...env }, maxBuffer: MAX_OUTPUT_BYTES };
    return (await runFile("helm", args, options)).stdout;
  } catch (cause) {
    const { code, stderr = "" } = cause as { code?: string | number; stderr?: string };
    if (code === "ENOENT")
      throw new CliFault(
        "helm is not on PATH",
        "Install it (https://helm.sh/docs/intro/install), or `helm install` the chart where it is.",
        {
          cause,
        },
      );
    throw new CliFault(`helm template failed: ${stderr.trim() || code}`, "Correct what helm names.", { cause });
  }
}
