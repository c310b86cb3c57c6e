// SPDX-License-Identifier: Apache-2.0

/** From now on Ctrl-C and SIGTERM end this process, as a shell expects of a command that they ended: 128 and the signal's number. */
export function endWhenInterrupted(lastWords: (signal: string) => void = () => undefined): void {
  for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143 }))
    process.once(signal, () => {
      lastWords(signal);
      process.exit(code);
    });
}
