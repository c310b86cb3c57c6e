// SPDX-License-Identifier: Apache-2.0
import { COMMANDS, findCommand, GLOBAL_FLAGS } from "./commands.ts";

/**
 * What may stand for the last of `words`, which may be empty or unfinished. Nothing of the cluster: completion answers at
 * once, and asks nobody.
 */
export function candidates(words: readonly string[]): string[] {
  const last = words.at(-1) ?? "";
  return all(words.slice(0, -1), last).filter((word) => word.startsWith(last));
}

function all(before: readonly string[], last: string): string[] {
  const plain = before.filter((word, at) => !word.startsWith("-") && !isFlagValue(before, at));
  const command = findCommand(plain.slice(0, 2).join(" ")) ?? findCommand(plain[0] ?? "");
  const flags = [...GLOBAL_FLAGS, ...(command?.flags ?? [])];
  const flag = flagOf(flags, before.at(-1));
  if (flag?.value !== undefined) return [...(flag.choices ?? [])];
  if (last.startsWith("-")) return flags.map(({ name }) => `--${name}`);
  if (command) return command.name === "help" ? firstWords() : argumentsAt(command, plain);
  const longer = COMMANDS.filter(({ name }) => plain[0] !== undefined && name.startsWith(`${plain[0]} `));
  return plain.length === 0 ? firstWords() : longer.map(({ name }) => name.split(" ")[1] ?? "");
}

function argumentsAt(command: (typeof COMMANDS)[number], plain: readonly string[]): string[] {
  const at = plain.length - command.name.split(" ").length;
  return [...(command.arguments[at]?.choices ?? [])];
}

const firstWords = (): string[] => [...new Set(COMMANDS.map(({ name }) => name.split(" ")[0] ?? ""))];

function flagOf(flags: typeof GLOBAL_FLAGS, word: string | undefined) {
  if (!word?.startsWith("-")) return undefined;
  return flags.find(({ name, short }) => word === `--${name}` || (short !== undefined && word === `-${short}`));
}

function isFlagValue(before: readonly string[], at: number): boolean {
  const every = [...GLOBAL_FLAGS, ...COMMANDS.flatMap(({ flags }) => flags)];
  return at > 0 && flagOf(every, before[at - 1])?.value !== undefined;
}

const BASH = `# kubectl im: source <(kubectl-im completion bash)
_kubectl_im() {
  local IFS=$'\\n'
  COMPREPLY=($(kubectl-im __complete "\${COMP_WORDS[@]:1:COMP_CWORD}"))
}
complete -o default -F _kubectl_im kubectl-im
`;

const ZSH = `#compdef kubectl-im
# kubectl im: source <(kubectl-im completion zsh)
_kubectl_im() {
  local -a found
  found=("\${(@f)$(kubectl-im __complete "\${(@)words[2,CURRENT]}")}")
  if [[ -n "\${found[1]}" ]]; then compadd -a found; else _files; fi
}
compdef _kubectl_im kubectl-im
`;

const FISH = `# kubectl im: kubectl-im completion fish | source
function __kubectl_im
  set -l words (commandline -opc) (commandline -ct)
  kubectl-im __complete $words[2..-1]
end
complete -c kubectl-im -a '(__kubectl_im)'
`;

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

/** The script that a shell reads. @throws TypeError for another shell than bash, zsh or fish */
export function completionScript(shell: string): string {
  const script = SCRIPTS[shell];
  if (script === undefined) throw new TypeError(`no completion for ${shell}`);
  return script;
}
