// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { ClusterFault } from "../fault.ts";
import { baseEntries, libraryEntries, programEntry } from "./files.ts";
import type { ImageSpec } from "./image.ts";

const REDIS_UID = 999;
/**
 * Debian's redis-tools package holds the server under this name (it serves when called `redis-server`). The
 * redis-server package would also start a server on the machine.
 */
const SERVER_SOURCES = ["/usr/bin/redis-check-rdb", "/usr/bin/redis-server"];
const CLI = "/usr/bin/redis-cli";

const ENTRYPOINT = `#!/bin/sh
# Arguments are redis-server's. As in the official image, it answers other hosts without a password unless told otherwise.
[ "\${1:-}" != redis-server ] || shift
case \${1:-} in '' | -*) set -- --protected-mode no "$@" ;; esac
exec /usr/local/bin/redis-server "$@"
`;

/** Debian's Redis with redis-cli for probes; the folder /data is its working directory. */
export async function redisSpec(): Promise<ImageSpec> {
  const server = SERVER_SOURCES.find((path) => existsSync(path));
  if (!server || !existsSync(CLI)) {
    throw new ClusterFault(
      "the Redis server is not installed on this machine",
      "As root: apt-get install -y redis-tools",
    );
  }
  return {
    name: "redis",
    tag: "7",
    layers: [
      [
        ...baseEntries({ name: "redis", uid: REDIS_UID, home: "/data" }),
        { kind: "folder", path: "/data", uid: REDIS_UID, mode: 0o755 },
        programEntry("/bin/sh", "/bin/sh"),
        programEntry(server, "/usr/local/bin/redis-server"),
        programEntry(CLI, "/usr/local/bin/redis-cli"),
        { kind: "content", path: "/usr/local/bin/entrypoint.sh", mode: 0o755, content: ENTRYPOINT },
        ...(await libraryEntries([server, CLI, "/bin/sh"])),
      ],
    ],
    config: {
      User: `${REDIS_UID}:${REDIS_UID}`,
      WorkingDir: "/data",
      Entrypoint: ["/bin/sh", "/usr/local/bin/entrypoint.sh"],
    },
  };
}
