// SPDX-License-Identifier: Apache-2.0
// Somebody with an empty folder and the pages of this tree: types the blocks of commands that the pages show, as they are written.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { run } from "../../scripts/cluster/command.ts";
import { PROJECT_ROOT } from "../../scripts/cluster/paths.ts";
import { type Fence, readPage } from "../docs/markdown.ts";
import { temporaryFolder } from "../harness/folders.ts";

/** Where the README says that the project is. */
const PUBLISHED = "https://github.com/imcluster/imcluster";
const GIT_TIMEOUT_MS = 60_000;
const MAX_OUTPUT_CHARS = 1 << 20;
/** What the run of the tests has in its environment, and nobody else. */
const OF_THE_TESTS =
  /^(NODE_TEST_CONTEXT|NODE_OPTIONS|MAKEFLAGS|MAKELEVEL|MFLAGS|KUBECONFIG|IM_.*|npm_(lifecycle|package)_.*)$/;

/** How a block of commands ended. */
export interface Typed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

/** The files of this tree, committed or not, as the repository that the README names. */
async function publish(repository: string): Promise<void> {
  const git = (...args: string[]) => run("git", ["--git-dir", repository, ...args], { timeoutMs: GIT_TIMEOUT_MS });
  await run("git", ["init", "--quiet", "--bare", "--initial-branch=main", repository], { timeoutMs: GIT_TIMEOUT_MS });
  await git("--work-tree", PROJECT_ROOT, "add", "--all", PROJECT_ROOT);
  const who = ["-c", "user.name=tests", "-c", "user.email=tests@example.org", "-c", "commit.gpgsign=false"];
  await git("--work-tree", PROJECT_ROOT, ...who, "commit", "--quiet", "--no-verify", "-m", "the tree under test");
}

/** git finds the README's address in this repository; everything else is as the user has it. */
function gitSettings(repository: string): string {
  const own = join(homedir(), ".gitconfig");
  const include = existsSync(own) ? `[include]\n\tpath = ${own}\n` : "";
  return `${include}[url "${repository}"]\n\tinsteadOf = ${PUBLISHED}\n[safe]\n\tdirectory = *\n`;
}

function environment(gitConfig: string): NodeJS.ProcessEnv {
  const ours = Object.entries(process.env).filter(([name]) => !OF_THE_TESTS.test(name));
  const path = (process.env.PATH ?? "").split(delimiter).filter((folder) => !folder.startsWith(PROJECT_ROOT));
  return { ...Object.fromEntries(ours), PATH: path.join(delimiter), GIT_CONFIG_GLOBAL: gitConfig };
}

/** A program that was started and not waited for. */
export interface Left {
  /** What it printed so far. */
  output(): string;
  /** Ctrl-C; resolves when it has ended, with its code. */
  interrupt(): Promise<number>;
}

export class Newcomer {
  /** Removed at the end, with everything in it. */
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  /** Where commands are typed. */
  #cwd: string;
  /** Typed at the beginning of every terminal, once `make up` has said it. */
  #profile = "";

  private constructor(folder: string, env: NodeJS.ProcessEnv) {
    this.#folder = folder;
    this.#env = env;
    this.#cwd = join(folder, "empty");
    mkdirSync(this.#cwd);
  }

  static async arrive(): Promise<Newcomer> {
    const folder = temporaryFolder("imcluster-newcomer-");
    const [repository, gitConfig] = [join(folder, "published.git"), join(folder, "gitconfig")];
    await publish(repository);
    writeFileSync(gitConfig, gitSettings(repository));
    return new Newcomer(folder, environment(gitConfig));
  }

  /** Goes into the clone. */
  enter(name: string): void {
    this.#cwd = join(this.#cwd, name);
  }

  /** From now on every terminal begins with this. */
  remember(line: string): void {
    this.#profile = line;
  }

  /** The block of a page of the clone (the README before there is one: that of the tree) whose commands match. @throws Error when there is not just one */
  block(page: string, commands: RegExp, languages: readonly string[] = ["sh"]): Fence {
    const inClone = join(this.#cwd, page);
    const markdown = readFileSync(existsSync(inClone) ? inClone : join(PROJECT_ROOT, page), "utf8");
    const { fences } = readPage(page, markdown);
    const found = fences.filter(({ language, text }) => languages.includes(language) && commands.test(text));
    const [fence] = found;
    if (fence === undefined || found.length > 1)
      throw new Error(`${page} has ${found.length} blocks of commands with ${commands}, not one`);
    return fence;
  }

  /** Types commands into a new terminal; the first that fails ends them. */
  async type(commands: string, timeoutMs: number): Promise<Typed> {
    const startedMs = performance.now();
    const child = this.#start(commands);
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
    const timer = setTimeout(() => signalAll(child, "SIGKILL"), timeoutMs);
    const code = await ended(child);
    clearTimeout(timer);
    return {
      code,
      stdout: stdout(),
      stderr: stderr(),
      seconds: Math.round((performance.now() - startedMs) / 100) / 10,
    };
  }

  /** Types commands into a terminal that is left alone with them. */
  leave(commands: string): Left {
    const child = this.#start(commands);
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
    const over = ended(child);
    return {
      output: () => stdout() + stderr(),
      async interrupt() {
        signalAll(child, "SIGINT");
        return await over;
      },
    };
  }

  /** The clone is gone. */
  depart(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #start(commands: string): ChildProcess {
    const text = `${this.#profile}\n${commands}`;
    const args = ["--norc", "--noprofile", "-eo", "pipefail", "-c", text];
    return spawn("bash", args, {
      ...{ cwd: this.#cwd, env: this.#env },
      stdio: ["ignore", "pipe", "pipe"],
    });
  }
}

/** Parents of all processes. */
function parents(): Map<number, number> {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return new Map(
    pids.flatMap((pid) => {
      try {
        // After the name, which may have blanks and parentheses: state, parent.
        const [, ppid] = readFileSync(`/proc/${pid}/stat`, "utf8")
          .replace(/^.*\)\s/s, "")
          .split(" ");
        return [[Number(pid), Number(ppid)]];
      } catch {
        return []; // It has just ended.
      }
    }),
  );
}

/**
 * A terminal sends Ctrl-C to everything that was started in it. It has no process group of its own, so that whoever ends the
 * tests ends it, too.
 */
function signalAll({ pid: root, exitCode, signalCode }: ChildProcess, signal: NodeJS.Signals): void {
  if (root === undefined || exitCode !== null || signalCode !== null) return;
  const parentOf = parents();
  const isBelow = (pid: number | undefined): boolean =>
    pid !== undefined && (pid === root || isBelow(parentOf.get(pid)));
  for (const pid of [...parentOf.keys()].filter((candidate) => isBelow(candidate))) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = "";
  stream?.setEncoding("utf8").on("data", (chunk: string) => {
    text = (text + chunk).slice(-MAX_OUTPUT_CHARS);
  });
  return () => text;
}

const ended = (child: ChildProcess): Promise<number> =>
  new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? (signal === null ? 1 : 128)));
  });
