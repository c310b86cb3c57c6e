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
  readonly #onAdded: (words: readonly string[]) => void;
  readonly #loaded = new Set<string>();
  #starts = 1;

  /** @param onAdded told of every XADD, in scripts too */
  constructor(wallMs: () => number, onAdded: (words: readonly string[]) => void = () => undefined) {
    this.#wallMs = wallMs;
    this.#onAdded = onAdded;
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

  #run(words: readonly string[]): unknown {
    const name = words[0]?.toUpperCase();
    switch (name) {
      case "EVALSHA":
        return this.#eval(words);
      case "SCRIPT":
        return this.#load(words[2] ?? "");
      case "INFO":
        return `# Server\r\nrun_id:run${this.#starts}\r\n`;
      case "FLUSHALL":
        this.flush();
        return "OK";
    }
    return this.#command(words, this.#wallMs());
  }

  #command(words: readonly string[], nowMs: number): unknown {
    if (words[0] === "XADD") this.#onAdded(words);
    return runCommand(this.keys, words, nowMs);
  }

  #load(lua: string): string {
    const sha = createHash("sha1").update(lua).digest("hex");
    sources.set(sha, lua);
    this.#loaded.add(sha);
    return sha;
  }

  #eval(words: readonly string[]): unknown {
    const [, sha = "", count = "0"] = words;
    const firstArg = 3 + Number(count);
    if (!this.#loaded.has(sha)) throw new LuaError("NOSCRIPT No matching script. Please use EVAL.");
    let script = compiled.get(sha);
    if (!script) {
      script = compileLua(sources.get(sha) ?? "");
      compiled.set(sha, script);
    }
    const keys = words.slice(3, firstArg);
    const args = words.slice(firstArg);
    // Redis freezes the time while a script runs.
    const nowMs = this.#wallMs();
    const call = (command: readonly string[]): unknown => this.#command(command, nowMs);
    return toReply(script.run({ call }, keys, args));
  }
}
