// SPDX-License-Identifier: Apache-2.0
// `make up`, `make down`, `make status`: a Kubernetes, the operator by Helm, the demo ImCluster, and how to look at it.
import { parseArgs } from "node:util";
import { describeFault } from "../cluster/fault.ts";
import { createProgress } from "../cluster/progress.ts";
import { bringUp } from "./bring-up.ts";
import { reportStatus } from "./status.ts";
import { tearDown } from "./tear-down.ts";

const USAGE = "usage: main.ts up [--context NAME] | down | status [--context NAME]";

function readArguments(): { command: string; context: string | undefined } {
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: { context: { type: "string" } } });
    return { command: positionals[0] ?? "", context: values.context };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exit(2);
  }
}

const progress = createProgress();
const abort = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    progress.line(
      `${signal}: stopping. Finished steps are kept: \`make up\` goes on from here, \`make down\` removes them.`,
    );
    abort.abort(new Error(`stopped by ${signal}`));
    setTimeout(() => process.exit(130), 3_000).unref();
  });
}

async function main(): Promise<object> {
  const { command, context } = readArguments();
  const options = { context, progress, signal: abort.signal };
  if (command === "up") return await bringUp(options);
  if (command === "down") return await tearDown(options);
  if (command === "status") return await reportStatus(options);
  console.error(USAGE);
  process.exit(2);
}

try {
  console.log(JSON.stringify(await main()));
} catch (error) {
  console.error(abort.signal.aborted ? String(abort.signal.reason) : describeFault(error));
  process.exit(abort.signal.aborted ? 130 : 1);
}
