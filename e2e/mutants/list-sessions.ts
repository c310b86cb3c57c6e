// SPDX-License-Identifier: Apache-2.0
// Bugs in logins, routes, leases and kicks.
import type { Mutant } from "./mutant.ts";

export const SESSION_MUTANTS: readonly Mutant[] = [
  {
    name: "purge by entry name",
    seeds: "entries",
    edits: [
      {
        file: "logic/router/purge.ts",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: source text
        find: "`${incarnation};`",
        replace: 'incarnation.replace(/-pod.*/, "")',
      },
    ],
  },
  {
    name: "purge without compare",
    seeds: "entries",
    edits: [
      {
        file: "logic/router/lua/purge.lua",
        find: "if ver == ARGV[2] and string.sub(routes[i + 1], 1, #ARGV[1]) == ARGV[1] then",
        replace: "if true then",
      },
    ],
  },
  {
    name: "logout without session id",
    seeds: "calm",
    edits: [
      {
        file: "logic/router/lua/logout.lua",
        find: "if ver == ARGV[1] and string.sub(routes[at + 1], 1, #prefix) == prefix then",
        replace: "if true then",
      },
    ],
  },
  {
    name: "no fence on renew",
    seeds: "entries",
    edits: [
      {
        file: "logic/grpc/leases.ts",
        find: 'if (inSql.status === "fulfilled" && inSql.value === "dead") return "fenced";',
        replace: "",
      },
      {
        file: "logic/grpc/leases.ts",
        find: 'if ((await this.#ports.store.entryState(stream.incarnation)) === "dead") this.fence(stream);',
        replace: "",
      },
      {
        file: "logic/router/lua/renew.lua",
        find: "if redis.call('EXISTS', KEYS[1]) == 1 then",
        replace: "if false then",
      },
      {
        file: "logic/compose.ts",
        find: "    if (stream) leases.fence(stream);\n    else gone(incarnation);",
        replace: "    if (!stream) gone(incarnation);",
      },
    ],
  },
  {
    name: "kick by entry, not by session",
    edits: [
      {
        file: "gateway/uplink/downlink.ts",
        find: "        connection?.onKick(Disconnect.decode(record.body));\n",
        replace: "        for (const one of [...this.#hub.all()]) one.onKick(Disconnect.decode(record.body));\n",
      },
    ],
  },
  {
    name: "no re-announce",
    seeds: "redis",
    edits: [{ file: "logic/compose.ts", find: "      entries.reannounce();\n", replace: "" }],
  },
  {
    name: "login completes after close",
    edits: [
      {
        file: "logic/grpc/server.ts",
        find: "      if (pending.isGone) {\n        this.#ports.routes.remove",
        replace: "      if (false) {\n        this.#ports.routes.remove",
      },
      {
        file: "gateway/uplink/downlink.ts",
        find: "      link.sendControl({ kind: RecordKind.CLOSED, conn: record.conn });\n      return;",
        replace: "      return;",
      },
    ],
  },
  {
    name: "kick loop",
    edits: [
      {
        file: "client/src/link.ts",
        find: "    if (end.mayReconnect) return true;\n",
        replace: "    if (end.mayReconnect || end.code === DisconnectCode.KICKED) return true;\n",
      },
    ],
  },
  {
    name: "token not checked on resume",
    edits: [
      {
        file: "logic/store/memory-identity.ts",
        find: '    if (login.token && this.#isRevoked({ userId, ...login.token })) return { kind: "revoked" };\n',
        replace:
          '    const isResumed = this.devices.has(pair(userId, deviceId));\n    if (!isResumed && login.token && this.#isRevoked({ userId, ...login.token })) return { kind: "revoked" };\n',
      },
    ],
  },
];
