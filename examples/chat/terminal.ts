// SPDX-License-Identifier: Apache-2.0
// A chat in the terminal over raw TCP and TLS. node examples/chat/terminal.ts --help
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { createInterface, type Interface } from "node:readline";
import { type ParseArgsConfig, parseArgs } from "node:util";
import { ImClient } from "../../client/src/node.ts";
import { TerminalChat, type Tone } from "./terminal-chat.ts";
import { COMMANDS } from "./terminal-text.ts";

const HELP = `A chat in the terminal.

  node examples/chat/terminal.ts --as USER --to USER --url URL --token-file FILE [--ca FILE] [--servername NAME]

  --as USER          who you are; only shown, the token decides
  --to USER          whom you write to
  --url URL          tls://host[:443], tcp://host:port, wss://host/ws or ws://host/ws
  --token-file FILE  file with the access token
  --ca FILE          PEM of the authority that signed the server's certificate (tls:// only)
  --servername NAME  name in that certificate, when it is not the host of the URL (tls:// only)
  --device ID        device id; default: one per user and machine
  --help             this text

Type a line and press Enter: ✓ it is stored, ✓✓ it was read. Ctrl-D leaves.

${COMMANDS}
`;

/** What the command line asks for. */
interface Options {
  as: string;
  to: string;
  url: string;
  token: () => string;
  ca?: string;
  servername?: string;
  deviceId: string;
}

const ARGS = {
  as: { type: "string" },
  to: { type: "string" },
  url: { type: "string" },
  ca: { type: "string" },
  servername: { type: "string" },
  "token-file": { type: "string" },
  device: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const satisfies ParseArgsConfig["options"];

/** A wrong command line or file: its message is for the person at the terminal. */
class UsageError extends Error {}

function readText(path: string, option: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new UsageError(`--${option} ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function optionsOf(argv: string[]): Options | "help" {
  let values: ReturnType<typeof parseArgs<{ options: typeof ARGS }>>["values"];
  try {
    ({ values } = parseArgs({ args: argv, options: ARGS }));
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  if (values.help) return "help";
  const { as, to, url, ca, servername, "token-file": tokenFile } = values;
  const needed = { as, to, url, "token-file": tokenFile };
  const missing = Object.entries(needed).flatMap(([name, value]) => (value ? [] : [`--${name}`]));
  if (missing.length > 0) throw new UsageError(`missing: ${missing.join(", ")}`);
  if (!as || !to || !url || !tokenFile) throw new UsageError("incomplete options");
  const scheme = URL.canParse(url) ? new URL(url).protocol : "";
  if (!["tls:", "tcp:", "wss:", "ws:"].includes(scheme)) {
    throw new UsageError(`--url ${url}: want tls://host[:443], tcp://host:port, wss://host/ws or ws://host/ws`);
  }
  // Read now, so that a wrong path is told before anything is dialled; and again for each login.
  const token = (): string => readText(tokenFile, "token-file");
  if (token() === "") throw new UsageError(`--token-file ${tokenFile}: the file is empty`);
  const deviceId = values.device ?? `terminal-${as}-${hostname()}`.slice(0, 64);
  const trust = { ...(ca ? { ca: readText(ca, "ca") } : {}), ...(servername ? { servername } : {}) };
  return { as, to, url, token, deviceId, ...trust };
}

const isColored = process.stdout.isTTY && !process.env.NO_COLOR;
const CODES: Readonly<Record<Tone, number>> = { dim: 2, mine: 36, theirs: 32, bad: 31 };
const paint = (tone: Tone, text: string): string => (isColored ? `\x1b[${CODES[tone]}m${text}\x1b[0m` : text);

/** Prints above the line being typed. */
function printer(terminal: Interface): (text: string) => void {
  return (text) => {
    if (process.stdout.isTTY) process.stdout.write("\r\x1b[K");
    console.log(text);
    if (process.stdin.isTTY) terminal.prompt(true);
  };
}

async function chat(options: Options): Promise<number> {
  const { as, to, url, token, deviceId, ca, servername } = options;
  const tls = { ...(ca === undefined ? {} : { ca }), ...(servername === undefined ? {} : { servername }) };
  const client = new ImClient({ url, getToken: token, deviceId, deviceName: `${as}'s terminal`, tls });
  const terminal = createInterface({ input: process.stdin, output: process.stdout, prompt: `${as}> ` });
  const talk = new TerminalChat({ client, me: as, to, print: printer(terminal), paint });
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  client.on("state", (state) => {
    if (state.kind === "closed" && state.code !== 1000) end(1);
  });
  if (process.stdin.isTTY) process.stdin.on("keypress", () => terminal.line !== "" && talk.writes());
  terminal.on("line", (line) => {
    if (talk.take(line)) terminal.prompt();
    else terminal.close();
  });
  terminal.on("SIGINT", () => {
    client.close().then(
      () => end(130),
      () => end(130),
    );
  });
  // The end of the input: what was typed is still done.
  terminal.on("close", () => {
    talk.idle().then(
      () => end(0),
      () => end(1),
    );
  });
  client.connect();
  terminal.prompt();
  const code = await ended;
  terminal.close();
  await client.close();
  // An input that stays open would keep the process alive.
  process.stdin.destroy();
  return code;
}

async function main(argv: string[]): Promise<number> {
  try {
    const options = optionsOf(argv);
    if (options !== "help") return await chat(options);
    process.stdout.write(HELP);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\nnode examples/chat/terminal.ts --help explains the options`);
    return 2;
  }
}

process.exitCode = await main(process.argv.slice(2));
