// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { run } from "./command.ts";
import { type NodeLayout, RUN_ROOT } from "./layout.ts";

/** One line of /proc/PID/mountinfo, as far as we look. */
export interface Mount {
  path: string;
  type: string;
  /** Mount and unmount events travel to and from other namespaces. */
  isShared: boolean;
}

/** Parses mountinfo; octal escapes (`\040`) in paths are resolved. */
export function parseMountInfo(text: string): Mount[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [before = "", after = ""] = line.split(" - ");
      const fields = before.split(" ");
      const path = (fields[4] ?? "").replace(/\\(\d{3})/g, (_, code: string) =>
        String.fromCharCode(Number.parseInt(code, 8)),
      );
      return {
        path,
        type: after.split(" ")[0] ?? "",
        isShared: fields.slice(6).some((field) => field.startsWith("shared:")),
      };
    });
}

/** Mounts of this process's namespace. */
export function listMounts(): Mount[] {
  return parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8"));
}

/** Mounts at or below `folder`, the innermost first. */
export function mountsBelow(folder: string): Mount[] {
  return listMounts()
    .filter((mount) => mount.path === folder || mount.path.startsWith(`${folder}/`))
    .reverse();
}

/** Folders in which Kubernetes keeps files at fixed paths; each node gets empty ones in memory. */
export const PRIVATE_FOLDERS = ["/run", "/var/lib", "/var/log"] as const;
const MARKER = "/var/lib/.imcluster-node";

/**
 * The folder of sockets and namespace handles: a tmpfs of our own. It must be private: the kernel refuses to hold a
 * mount namespace open by a file on a shared mount.
 */
export async function ensureRunRoot(): Promise<void> {
  if (!listMounts().some((mount) => mount.path === RUN_ROOT)) {
    mkdirSync(RUN_ROOT, { recursive: true });
    await run("mount", ["-t", "tmpfs", "-o", "mode=0700,size=32m", "imcluster", RUN_ROOT]);
  }
  if (listMounts().find((mount) => mount.path === RUN_ROOT)?.isShared) await run("mount", ["--make-private", RUN_ROOT]);
}

/**
 * A mount namespace for a node, held open by a file: what its kubelet and containers mount is invisible to the host
 * and goes with the namespace, and both kubelets may use the same fixed paths.
 */
export async function ensureMountNamespace(node: NodeLayout): Promise<void> {
  const handle = node.mountNamespace;
  if (listMounts().some((mount) => mount.path === handle)) {
    const probe = await run("nsenter", [`--mount=${handle}`, "test", "-e", MARKER], { mayFail: true });
    if (probe.code === 0) return;
    await run("umount", [handle]);
  }
  if (!existsSync(handle)) writeFileSync(handle, "");
  const script = [
    "set -e",
    // /run last but as a whole: the new one is made ready inside the folder of sockets, which it must go on showing.
    `run=${node.runFolder}/run`,
    "mkdir -p $run",
    "mount -n -t tmpfs -o mode=0755,size=64m imcluster $run",
    `mkdir -p $run/lock $run/netns $run${RUN_ROOT.slice("/run".length)}`,
    `mount -n --bind ${RUN_ROOT} $run${RUN_ROOT.slice("/run".length)}`,
    "mount -n --move $run /run",
    "mount -n -t tmpfs -o mode=0755,size=64m imcluster /var/lib",
    "mount -n -t tmpfs -o mode=0755,size=64m imcluster /var/log",
    "mkdir -p /var/lib/kubelet /var/lib/cni /var/log/containers /var/log/pods",
    `: > ${MARKER}`,
  ].join("\n");
  await run("unshare", [`--mount=${handle}`, "--propagation", "slave", "sh", "-c", script]);
}

/** Unmounts {@link RUN_ROOT} and the handles on it. The namespaces end with their last process. Idempotent. */
export async function removeRunRoot(): Promise<void> {
  for (const mount of mountsBelow(RUN_ROOT)) await run("umount", ["-l", mount.path], { mayFail: true });
  if (existsSync(RUN_ROOT)) rmdirSync(RUN_ROOT);
}

/**
 * `ip netns add` mounts its folder of handles on itself and never unmounts it; an empty one serves nobody and is made
 * again when needed.
 */
export async function removeEmptyNamespaceFolder(): Promise<void> {
  const folder = "/run/netns";
  if (!existsSync(folder) || readdirSync(folder).length > 0) return;
  if (mountsBelow(folder).length > 0) await run("umount", [folder], { mayFail: true });
  if (mountsBelow(folder).length === 0) rmdirSync(folder);
}
