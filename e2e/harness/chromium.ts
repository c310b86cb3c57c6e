// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import { ensureAptPackages } from "../../scripts/cluster/apt.ts";
import { ClusterFault } from "../../scripts/cluster/fault.ts";
import type { Progress } from "../../scripts/cluster/progress.ts";

const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/** Without them Chinese text and emoji are empty boxes. */
const FONTS = ["fonts-wqy-zenhei", "fonts-noto-color-emoji"];

/** A real Chromium without a window, installed when there is none. The caller closes it. */
export async function launchChromium(progress: Progress): Promise<Browser> {
  const browser = BROWSERS.some((path) => existsSync(path)) ? [] : ["chromium"];
  await ensureAptPackages([...browser, ...FONTS], { progress });
  const executablePath = BROWSERS.find((path) => existsSync(path));
  if (executablePath === undefined)
    throw new ClusterFault("no Chromium was found", "Install the package chromium, then run it again.");
  return await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}
