// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { runCommand } from "./commands.ts";
import { Keyspace } from "./keyspace.ts";
import { type CompiledScript, compileLua } from "./lua-compile.ts";
import { LuaError, toReply } from "./lua-library.ts";

/** Compiled once per process: scripts never change while it runs. */
const compiled = new Map<string, CompiledScript>();
const sources = new Map<string, string>();

/** One Redis: keyspace, scripts and run id. Commands run at once and in the order of the calls. */
export class RedisServer {
  readonly keys: Keyspace;
  readonly #wallMs: () => number;
  readonly #loaded = new Set<string>();
  /** Run after every command: blocked readers look again. */
  readonly #watchers = new Set<() => void>();
  #starts = 1;

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
    this.keys = new Keyspace(wallMs);
  }

  /** A reply, or an Error as the reply of a refused command. */
  execute(words: readonly string[]): unknown {
    try {
      return this.#run(words);
    } catch (error) {
      if (error instanceof LuaError) return error;
      throw error;
    }
  }

  /** Restarts with an empty memory and without scripts. */
  restart(): void {
    this.#starts++;
    this.#loaded.clear();
    this.keys.clear();
  }

  /** FLUSHALL. */
  flush(): void {
    this.keys.clear();
  }

  /** `fn` runs after every write that may have added stream entries; returns what removes it. */
  watch(fn: () => void): () => void {
    this.#watchers.add(fn);
    return () => this.#watchers.delete(fn);
  }

  #run(words: readonly string[]): unknown {
    const [name = "", ...rest] = words;
    switch (name.toUpperCase()) {
      case "EVALSHA":
        return this.#eval(rest);
      case "SCRIPT":
        return this.#load(rest[1] ?? "");
      case "INFO":
        return `# Server\r\nrun_id:run${this.#starts}\r\n`;
      case "FLUSHALL":
        this.flush();
        return "OK";
    }
    const reply = runCommand(this.keys, words, this.#wallMs());
    if (name.toUpperCase() === "XADD") this.#wake();
    return reply;
  }

  #load(lua: string): string {
    const sha = createHash("sha1").update(lua).digest("hex");
    sources.set(sha, lua);
    this.#loaded.add(sha);
    return sha;
  }

  #eval([sha = "", count = "0", ...rest]: readonly string[]): unknown {
    if (!this.#loaded.has(sha)) throw new LuaError("NOSCRIPT No matching script. Please use EVAL.");
    let script = compiled.get(sha);
    if (!script) {
      script = compileLua(sources.get(sha) ?? "");
      compiled.set(sha, script);
    }
    const keys = rest.slice(0, Number(count));
    // Redis freezes the time while a script runs.
    const nowMs = this.#wallMs();
    const call = (...words: string[]): unknown => runCommand(this.keys, words, nowMs);
    const reply = toReply(script.run({ call }, keys, rest.slice(Number(count))));
    this.#wake();
    return reply;
  }

  #wake(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}
