// SPDX-License-Identifier: Apache-2.0
// Processes inside pods of the local cluster, which are processes of this machine, too.
import { readFileSync } from "node:fs";
import { commandLine, identify, type ProcessIdentity } from "../../scripts/cluster/process-identity.ts";
import { allPids } from "../../scripts/cluster/processes.ts";

/** Programs of the image, as containers start them. */
export const PROGRAM = { entry: "gateway/main.ts", operator: "operator/main.ts" } as const;

const POD_NAME = "IM_POD_NAME";

/** Value of a variable in the text of `/proc/PID/environ`. Pure. */
export function environmentValue(environ: string, name: string): string | undefined {
  const prefix = `${name}=`;
  const line = environ.split("\0").find((one) => one.startsWith(prefix));
  return line?.slice(prefix.length);
}

/** The process that runs `program` in the pod; undefined when there is none now. */
export function podProcess(podName: string, program: string): ProcessIdentity | undefined {
  for (const pid of allPids()) {
    const [command = "", script] = commandLine(pid);
    if (script !== program || !/(^|\/)node$/.test(command)) continue;
    if (environmentValue(environOf(pid), POD_NAME) === podName) return identify(pid);
  }
  return undefined;
}

/** Empty for a process that has gone. */
function environOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return "";
    throw error;
  }
}
