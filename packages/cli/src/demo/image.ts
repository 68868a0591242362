import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { systemClock, withDeadline } from "@smartstack/core";
import type Docker from "dockerode";

const IMPORT_MS_MAX = 8_000;
const LOOK_MS_MAX = 5_000;

/**
 * Makes an image of this machine's own Node and its libraries, so that nothing need be pulled.
 * @throws when this machine's programs cannot run in the engine's containers, or tools to pack them are missing.
 */
export async function makeNodeImage(docker: Docker, tag: string): Promise<void> {
  const files = [process.execPath, ...(await sharedLibraries(process.execPath))];
  const tar = spawn("tar", ["-c", "-h", "-C", "/", ...files.map((file) => file.slice(1))], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const failed = new Promise<never>((_, reject) => {
    tar.once("error", reject);
    tar.once("exit", (code) => {
      if (code !== 0) reject(new Error(`tar ended with ${code}`));
    });
  });
  try {
    const [repo = tag, version = "latest"] = tag.split(":");
    const imported = docker.importImage(tar.stdout, { repo, tag: version }).then(drained);
    await withDeadline(Promise.race([imported, failed]), {
      clock: systemClock,
      ms: IMPORT_MS_MAX,
      what: "import of the demo's image",
      side: "docker",
    });
  } finally {
    tar.kill("SIGKILL");
  }
}

/** The import is done when its progress stream ends; an error is a line in it. */
async function drained(progress: NodeJS.ReadableStream): Promise<void> {
  let text = "";
  for await (const chunk of progress) text = (text + String(chunk)).slice(-4_096);
  if (text.includes('"error"')) throw new Error(`image import failed: ${text.trim()}`);
}

async function sharedLibraries(program: string): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)("ldd", [program], { timeout: LOOK_MS_MAX });
  return [...stdout.matchAll(/(?:=>\s*|^\s*)(\/\S+)\s+\(0x/gm)]
    .map((match) => match[1] ?? "")
    .filter((file) => file !== "");
}
