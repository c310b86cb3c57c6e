// SPDX-License-Identifier: Apache-2.0
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import type { TarEntry } from "#lib/tar.ts";
import { run } from "../command.ts";

/** Which members of a walked folder to take; both get the path relative to the walk's root. */
export interface TreeFilter {
  folder?: (relative: string) => boolean;
  file?: (relative: string) => boolean;
}

/** Every file below `source`, as entries below `target`. Symbolic links are left out: an image names its own. */
export function* walkTree(source: string, target: string, filter: TreeFilter = {}, relative = ""): Generator<TarEntry> {
  for (const item of readdirSync(join(source, relative), { withFileTypes: true })) {
    const inner = relative === "" ? item.name : `${relative}/${item.name}`;
    if (item.isDirectory()) {
      if (filter.folder?.(inner) ?? true) yield* walkTree(source, target, filter, inner);
    } else if (item.isFile() && (filter.file?.(inner) ?? true)) {
      yield { kind: "file", path: `${target}/${inner}`, source: join(source, inner) };
    }
  }
}

/** Absolute paths in the output of ldd, the loader among them: `libm.so.6 => /lib/libm.so.6 (0x...)`. */
export function parseLdd(output: string): string[] {
  const paths = output.split("\n").flatMap((line) => {
    const match = /(?:=>\s+|^\s+)(\/\S+)\s+\(0x/.exec(line);
    return match?.[1] ? [match[1]] : [];
  });
  return [...new Set(paths)];
}

/** Loaded by glibc at run time where it is older than 2.34, so ldd does not name them. */
const NAME_SERVICE_LIBRARIES = ["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"];

/**
 * The shared libraries that `programs` need, at the paths where their loader looks for them.
 * Libraries below `ownFolder` are left out: the image brings them itself.
 */
export async function libraryEntries(programs: readonly string[], ownFolder?: string): Promise<TarEntry[]> {
  const found = new Set<string>();
  for (const program of programs) {
    const { stdout } = await run("ldd", [program], ownFolder ? { env: { LD_LIBRARY_PATH: ownFolder } } : {});
    for (const path of parseLdd(stdout)) if (!ownFolder || !path.startsWith(`${ownFolder}/`)) found.add(path);
  }
  const libc = [...found].find((path) => path.endsWith("/libc.so.6"));
  for (const name of libc ? NAME_SERVICE_LIBRARIES : []) {
    const path = join(dirname(libc ?? ""), name);
    if (existsSync(path)) found.add(path);
  }
  return [...found].map((path) => ({ kind: "file", path, source: realpathSync(path), mode: 0o755 }));
}

/** A host program and, if it is a link (`sh` -> `dash`), the file behind it, at `path` in the image. */
export function programEntry(source: string, path: string): TarEntry {
  return { kind: "file", path, source: realpathSync(source), mode: 0o755 };
}

/** /etc/passwd, group, nsswitch.conf and a writable /tmp: what libc asks for in an image without a distribution. */
export function baseEntries(user: { name: string; uid: number; home: string }): TarEntry[] {
  const { name, uid, home } = user;
  return [
    {
      kind: "content",
      path: "/etc/passwd",
      content: `root:x:0:0:root:/root:/bin/false\n${name}:x:${uid}:${uid}:${name}:${home}:/bin/false\n`,
    },
    { kind: "content", path: "/etc/group", content: `root:x:0:\n${name}:x:${uid}:\n` },
    { kind: "content", path: "/etc/nsswitch.conf", content: "hosts: files dns\n" },
    { kind: "folder", path: "/tmp", mode: 0o1777 },
  ];
}
