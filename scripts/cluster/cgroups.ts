// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ClusterFault } from "./fault.ts";

const CGROUP_ROOT = "/sys/fs/cgroup";
const V2_CONTROLLERS = ["cpuset", "cpu", "io", "memory", "pids"];

/** 2 where the unified hierarchy is the only one, else 1 (hybrid counts as 1). */
export function cgroupVersion(root = CGROUP_ROOT): 1 | 2 {
  return existsSync(join(root, "cgroup.controllers")) ? 2 : 1;
}

/** Folders in which a group has to exist: the one hierarchy of version 2, or every mounted one of version 1. */
export function hierarchies(root = CGROUP_ROOT): string[] {
  if (cgroupVersion(root) === 2) return [root];
  return readdirSync(root, { withFileTypes: true })
    .filter((item) => item.isDirectory() && existsSync(join(root, item.name, "cgroup.procs")))
    .map((item) => join(root, item.name));
}

/** Makes a top-level group in every hierarchy; version 1 cpusets must be filled before a process may enter. */
export function createCgroup(name: string): void {
  for (const hierarchy of hierarchies()) {
    const folder = join(hierarchy, name);
    mkdirSync(folder, { recursive: true });
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      if (cgroupVersion() === 1 && existsSync(join(folder, file))) {
        writeFileSync(join(folder, file), readFileSync(join(hierarchy, file), "utf8"));
      }
    }
  }
  if (cgroupVersion() === 2) delegateControllers(CGROUP_ROOT);
}

function delegateControllers(folder: string): void {
  const available = readFileSync(join(folder, "cgroup.controllers"), "utf8").trim().split(" ");
  const wanted = V2_CONTROLLERS.filter((controller) => available.includes(controller));
  try {
    writeFileSync(join(folder, "cgroup.subtree_control"), wanted.map((controller) => `+${controller}`).join(" "));
  } catch (error) {
    throw new ClusterFault(
      `cgroup controllers (${wanted.join(", ")}) cannot be enabled in ${folder}`,
      "Inside a container, its processes must first leave the root group; easier: run on the machine itself.",
      { cause: error },
    );
  }
}

/** `undefined` when the group was removed meanwhile: containers come and go while we look. */
function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENODEV") return undefined;
    throw error;
  }
}

/** A group and all groups below it, the deepest first. */
function* walkGroups(folder: string): Generator<string> {
  const items = unlessGone(() => readdirSync(folder, { withFileTypes: true }));
  if (!items) return;
  for (const item of items) if (item.isDirectory()) yield* walkGroups(join(folder, item.name));
  yield folder;
}

/** Pids in a group and below, in any hierarchy. */
export function cgroupPids(name: string): number[] {
  const pids = new Set<number>();
  for (const hierarchy of hierarchies()) {
    for (const folder of walkGroups(join(hierarchy, name))) {
      const members = unlessGone(() => readFileSync(join(folder, "cgroup.procs"), "utf8")) ?? "";
      for (const line of members.split("\n")) if (line !== "") pids.add(Number(line));
    }
  }
  return [...pids];
}

/** Removes a group without processes and everything below it; false when the kernel still holds some of it. */
export function removeCgroup(name: string): boolean {
  let isGone = true;
  for (const hierarchy of hierarchies()) {
    for (const folder of walkGroups(join(hierarchy, name))) {
      try {
        rmdirSync(folder);
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === "EBUSY") isGone = false;
        else if (code !== "ENOENT") throw error;
      }
    }
  }
  return isGone;
}

/** Folders of a group that exist now. */
export function cgroupFolders(name: string): string[] {
  return hierarchies()
    .map((hierarchy) => join(hierarchy, name))
    .filter((folder) => statSync(folder, { throwIfNoEntry: false }) !== undefined);
}
