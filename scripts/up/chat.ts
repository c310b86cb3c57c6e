// SPDX-License-Identifier: Apache-2.0
// `make chat AS=alice`: the terminal chat of examples/chat, with address, CA and token of the running demo filled in.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { isUserId } from "../../logic/token/verify.ts";
import { unusable } from "../cluster/arguments.ts";
import { describeFault } from "../cluster/fault.ts";
import { PROJECT_ROOT } from "../cluster/paths.ts";
import { createProgress } from "../cluster/progress.ts";
import { demoFolder } from "./bring-up.ts";
import { demoAccess, tokenFileOf, writeDemoFiles } from "./demo.ts";
import { openKubeTools } from "./kube-tools.ts";

/** Says what is wrong and how to go on; chatting needs a terminal, not a stack. */
function giveUp(error: unknown): never {
  console.error(describeFault(error));
  process.exit(1);
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      as: { type: "string", default: "alice" },
      to: { type: "string" },
      tenant: { type: "string", default: "" },
      context: { type: "string" },
    },
  });
  for (const [variable, user] of Object.entries({ AS: values.as, TO: values.to ?? "" }))
    if (user !== "" && !isUserId(user))
      throw unusable(variable, user, "a user id has 1 to 64 letters, digits and _.:@-");
  return values;
}

let values: ReturnType<typeof readArguments>;
try {
  values = readArguments();
} catch (error) {
  giveUp(error);
}

const peerOf = (user: string): string => (user === "alice" ? "bob" : "alice");

const tools = await openKubeTools({ progress: createProgress() }, values.context).catch(giveUp);
const access = await demoAccess(tools);
await writeDemoFiles(access, demoFolder(), [values.as], values.tenant);
const tokenFile = join(demoFolder(), tokenFileOf(values.as, values.tenant));
const args = ["--as", values.as, "--to", values.to ?? peerOf(values.as), "--url", `tls://${access.address}:443`];
const trust = ["--ca", join(demoFolder(), "ca.crt"), "--servername", access.serverName, "--token-file", tokenFile];
const child = spawn(process.execPath, [join(PROJECT_ROOT, "examples/chat/terminal.ts"), ...args, ...trust], {
  stdio: "inherit",
});
child.once("exit", (code) => process.exit(code ?? 1));
